"""What is run of a workload, and whether the answers agree with the plain loops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.bench.peers import data
from tests.bench.peers.agree import Agreement, compare, compare_fills, compare_sweep
from tests.bench.peers.catalog import OURS, PEERS
from tests.bench.peers.install import is_installed
from tests.bench.peers.plain import plain_run
from tests.bench.peers.quotes import plain_quotes
from tests.bench.peers.runner import BUDGET_S, RUNS, Case

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.peers.catalog import Peer, Road
    from tests.bench.peers.runner import Measured

__all__ = ["Checker", "absent", "cases_of"]


def cases_of(workload: str, *, quick: bool, only: Sequence[str] = ()) -> list[Case]:
    """Every road of that workload whose program is there, ours first."""
    return [
        _case(peer, road, quick=quick)
        for peer in (*OURS, *PEERS)
        for road in peer.roads
        if road.workload == workload
        and (not only or peer.name in only)
        and (not peer.requirements or is_installed(peer))
    ]


def absent(workload: str, only: Sequence[str] = ()) -> list[Peer]:
    """The peers that could run the workload and are not installed."""
    wanted = [peer for peer in PEERS if not only or peer.name in only]
    return [p for p in wanted if any(road.workload == workload for road in p.roads) and not is_installed(p)]


def _case(peer: Peer, road: Road, *, quick: bool) -> Case:
    share = road.quick if quick else 0
    pairs = data.pairs() if road.workload == "W3" else []
    rows = 0
    if road.workload == "W3":
        # Spread over the whole grid, for long averages trade less.
        pairs = pairs[:: len(pairs) // share] if share else pairs
        work = data.BARS_YEAR * len(pairs)
    elif road.workload == "W4":
        rows = share
        work = share or data.QUOTES
    else:
        rows = share
        work = share or data.BARS_YEAR
    request = {
        "workload": road.workload,
        "variant": road.variant,
        "data": str(data.ensure("quotes" if road.workload == "W4" else "1y")),
        "bars": rows,
        "pairs": pairs,
        "runs": RUNS,
        "budget_s": BUDGET_S,
    }
    return Case(peer, road, request, work)


class Checker:
    """Compares answers with the plain loop under the road's rules; equal rules are walked once."""

    def __init__(self) -> None:
        self._columns: dict[tuple[str, int], dict[str, Any]] = {}
        self._known: dict[Any, Any] = {}

    def check(self, measured: Measured) -> Agreement:
        """What the last answer of a case says."""
        case, answer = measured.case, measured.answer
        if measured.trouble:
            return Agreement(False, measured.trouble)
        if case.road.workload == "W4":
            return compare_fills(answer, self._once(case, 0, 0, lambda c: plain_quotes(c, case.road)))
        if case.road.workload == "W3":
            plains = [
                self._once(case, fast, slow, lambda c, f=fast, s=slow: plain_run(c, case.road, f, s))  # type: ignore[misc]
                for fast, slow in case.request["pairs"]
            ]
            return compare_sweep(answer, plains)
        return compare(answer, self._once(case, 20, 50, lambda c: plain_run(c, case.road)))

    def _once(self, case: Case, fast: int, slow: int, walk: Callable[[dict[str, Any]], Any]) -> Any:
        folder, rows = case.request["data"], case.request["bars"]
        if (folder, rows) not in self._columns:
            self._columns[folder, rows] = data.read(data.ensure("quotes" if case.road.workload == "W4" else "1y"), rows)
        rules = case.road._replace(kind="", variant="", quick=0, note="")
        key = (rules, rows, fast, slow)
        if key not in self._known:
            self._known[key] = walk(self._columns[folder, rows])
        return self._known[key]

"""The comparison without a peer: what the runner asks and adds up, and that disagreement is seen."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.peers import cold, data, install, report, runner
from tests.bench.peers.agree import compare, compare_fills, compare_sweep
from tests.bench.peers.cases import Checker
from tests.bench.peers.catalog import LOT, OURS, PEERS, Peer, Road
from tests.bench.peers.cold import Cold
from tests.bench.peers.places import CHILDREN
from tests.bench.peers.plain import CAPITAL, plain_run
from tests.bench.peers.quotes import plain_quotes
from tests.bench.peers.runner import Case, collect, measure_in_turn
from tests.bench.peers.trades import steps_between
from tests.kit.candles import walk_bars
from tests.kit.workloads import plain_band, plain_crossing

if TYPE_CHECKING:
    from pathlib import Path

W1, W2 = Road("W1", "event", lot=LOT), Road("W2", "event", lot=LOT, tick="0.01")
FAKE = """
import sys
sys.path.insert(0, {folder!r})
import kit

def prepare(data, request):
    rows = len(data)
    return lambda: (rows, request["variant"])

def result(given, request):
    rows, variant = given
    trades = {trades!r}
    if variant == "late":
        trades = [[t[0] + 1, *t[1:]] for t in trades]
    return {{"trades": trades, "equity": {equity!r}}}

kit.main("1.2.3", {{"W1": prepare}}, result)
"""


@pytest.fixture(scope="module")
def columns() -> dict[str, Any]:
    walk = walk_bars(5, 6000, "1m")
    names = ("open", "high", "low", "close", "volume")
    return {"ts": walk.ts // 1_000_000, **{name: getattr(walk, name).round(2) for name in names}}


def fake(tmp_path: Path, columns: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Road:
    """A peer whose interpreter is this one and whose trades are the plain loop's; gives its road."""
    plain = plain_run(columns, W1)
    program = tmp_path / "fake_child.py"
    text = FAKE.format(folder=str(CHILDREN), trades=[list(t) for t in plain.trades], equity=plain.equity)
    program.write_text(textwrap.dedent(text), encoding="utf-8")
    monkeypatch.setattr(runner, "CHILDREN", tmp_path)
    monkeypatch.setattr(runner, "interpreter", lambda name: sys.executable)
    data.write(tmp_path / "data" / "1y", columns)
    monkeypatch.setattr(data, "data_folder", lambda: tmp_path / "data")
    return W1


def case(road: Road, folder: Path, rows: int = 0) -> Case:
    request = {"workload": road.workload, "variant": road.variant, "data": str(folder), "bars": rows, "pairs": []}
    return Case(Peer("fake", "fake", ("fake==1.2.3",), (road,)), road, {**request, "runs": 2, "budget_s": 9.0}, 6000)


def test_without_options_the_loops_are_those_of_the_kit(columns: dict[str, Any]) -> None:
    bars = data.as_bars(columns)
    for road, (trades, equity) in (
        (W1, plain_crossing(bars, LOT, CAPITAL)),
        (W2, plain_band(bars, LOT, 0.01, CAPITAL)),
    ):
        found = plain_run(columns, road)
        assert len(found.trades) > 30
        assert [trade[:2] for trade in found.trades] == [(t.entry_bar, t.exit_bar) for t in trades]
        assert [x for trade in found.trades for x in trade[2:]] == pytest.approx(
            [x for t in trades for x in (t.entry_price, t.exit_price, t.quantity)], rel=1e-9
        )
        assert found.equity == pytest.approx(equity, rel=1e-9)


def test_a_child_is_measured_in_turn_and_its_trades_are_checked(
    tmp_path: Path, columns: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    road = fake(tmp_path, columns, monkeypatch)
    folder = tmp_path / "data" / "1y"
    told: list[str] = []
    good, late = measure_in_turn([case(road, folder), case(road._replace(variant="late"), folder)], 2, told.append)
    assert told == [f"round {n}: fake W1{v}" for n in (1, 2) for v in ("", " late")]
    assert (good.trouble, good.version, len(good.walls), len(good.cpus)) == ("", "1.2.3", 4, 4)
    assert good.peak_mb > 1
    assert good.answer["bars"] == 6000
    checker = Checker()
    assert checker.check(good).same
    other = checker.check(late)
    assert not other.same
    assert other.words.startswith("0 of ")
    rows = [report.row_of(one, checker.check(one)) for one in (good, late)]
    text = report.table({"workload": "W1", "words": "…", "rows": rows, "absent": ["jesse"], "bars": []})
    assert "| jesse | not installed |" in text
    assert text.count("DIFFERS") == 1


def test_a_child_that_fails_is_told_and_not_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fake_child.py").write_text("raise SystemExit('no such market')\n", encoding="utf-8")
    monkeypatch.setattr(runner, "CHILDREN", tmp_path)
    monkeypatch.setattr(runner, "interpreter", lambda name: sys.executable)
    told: list[str] = []
    (measured,) = measure_in_turn([case(W1, tmp_path)], 3, told.append)
    assert measured.trouble == "exit code 1: no such market"
    assert len(told) == 1
    assert not Checker().check(measured).same


def test_medians_peaks_and_rounds_that_disagree(tmp_path: Path) -> None:
    answer = {"walls": [2.0, 1.0], "cpus": [1.0], "peak_mb": 10.0, "before_mb": 5.0, "version": "1", "equity": 1.0}
    other = {**answer, "walls": [4.0], "cpus": [3.0, 5.0], "peak_mb": 30.0}
    both = collect(case(W1, tmp_path), [answer, other])
    assert both.per_wall == 6000 / 2.0
    assert both.per_cpu == 6000 / 3.0
    assert both.peak_mb == 30.0
    differ = collect(case(W1, tmp_path), [answer, {**other, "equity": 2.0}])
    assert differ.trouble == "rounds gave different results"
    assert differ.per_wall == 0.0


def test_the_bars_of_the_table() -> None:
    def row(name: str, kind: str, speed: float, variant: str = "", **others: Any) -> dict[str, Any]:
        ours = name.startswith("ours")
        base = {"program": name, "kind": kind, "variant": variant, "ours": ours, "trouble": "", "peak_mb": 100.0}
        return {**base, "per_wall": speed, "per_cpu": speed, **others}

    rows = [
        row("ours_kernel", "columns", 30e6),
        row("ours_event", "event", 2e5),
        row("ours_event", "event", 31_000, "no-skip"),
        row("raptorbt", "columns", 5e6),
        row("raptorbt", "event", 3e5, "class"),
        row("backtrader", "event", 9e3),
    ]
    met = {bar["bar"]: bar["met"] for bar in report.bars_of("W1", rows)}
    assert list(met.values()) == [True, False, True, True]
    assert [bar["met"] for bar in report.bars_of("W1", rows[3:])] == [None, None, None, None]
    assert [bar["met"] for bar in report.bars_of("W3", rows[:4])] == [True, True]
    assert [bar["met"] for bar in report.bars_of("W3", [{**rows[0], "peak_mb": 1500.0}, rows[3]])] == [True, False]


def test_minutes_become_hours_and_a_slow_first_result_is_said(columns: dict[str, Any]) -> None:
    rows = cold.hours(columns)
    assert len(rows) == 100
    assert rows[1][0] - rows[0][0] == 3_600_000
    assert rows[1][1:5] == (
        columns["open"][60],
        columns["high"][60:120].max(),
        columns["low"][60:120].min(),
        columns["close"][119],
    )
    text = cold.table([Cold("ours", [1.0, 2.0, 9.0], [0.5]), Cold("import x", [0.1], [0.1]), Cold("y", [], [], "gone")])
    assert "| ours | 2.00 | 0.50 | ≤ 1.5 s: no |" in text
    assert "| y | gone | | |" in text


def test_only_the_marked_block_of_the_document_is_rewritten() -> None:
    text = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    assert report.rewritten(text, "new") == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    with pytest.raises(ValueError, match="no block"):
        report.rewritten("nothing", "new")


def test_rules_are_exchanged_one_at_a_time(columns: dict[str, Any]) -> None:
    theirs = W2._replace(entry_bar_levels=False, ends_at="mark", levels_from="entry")
    steps = steps_between(W2, theirs, lambda road: plain_run(columns, road))
    assert [step.rule for step in steps] == ["levels_from", "entry_bar_levels", "ends_at"]
    assert steps_between(W2, W2, lambda road: plain_run(columns, road)) == []


def test_what_counts_as_equal(columns: dict[str, Any]) -> None:
    plain = plain_run(columns, W1)
    answer: dict[str, Any] = {"trades": [list(trade) for trade in plain.trades], "equity": plain.equity}
    assert compare(answer, plain).same
    assert not compare({**answer, "equity": plain.equity * 1.001}, plain).same
    assert not compare({**answer, "trades": answer["trades"][1:]}, plain).same
    first = [*plain.trades[0][:3], plain.trades[0][3] * 1.0001, plain.trades[0][4]]
    assert not compare({**answer, "trades": [first, *answer["trades"][1:]]}, plain).same
    counts = [len(plain.trades)]
    assert compare_sweep({"counts": counts, "equities": [plain.equity]}, [plain]).same
    assert not compare_sweep({"counts": [0], "equities": [plain.equity]}, [plain]).same
    fills = [(5, 1, 100.1), (7, -1, 100.2)]
    assert compare_fills({"fills": [[5, 1, 100.10000000000001], [7, -1, 100.2]]}, fills).same
    assert not compare_fills({"fills": [[5, 1, 100.1]]}, fills).same


def test_the_quoter_fills_when_the_other_side_comes() -> None:
    import numpy as np

    bids = np.full(300, 100.0)
    asks = np.full(300, 100.2)
    asks[0] = bids[0] = 100.0  # where it is placed it does not fill
    asks[50] = 100.0
    bids[120], asks[120] = 100.3, 100.4
    fills = plain_quotes({"bid": bids, "ask": asks}, Road("W4", "event"))
    assert fills == [(1, -1, 100.0), (50, 1, 100.0), (120, -1, 100.2)]


def test_the_catalogue_is_pinned_and_every_child_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for peer in PEERS:
        assert all("==" in requirement for requirement in peer.requirements)
        assert (CHILDREN / f"{peer.name}_child.py").is_file()
    for peer in OURS:
        assert runner.command_of(peer)[:2] == [sys.executable, "-m"]
    monkeypatch.setenv("PEERS_FOLDER", str(tmp_path))
    peer = PEERS[0]
    assert not install.is_installed(peer)
    mark = tmp_path / peer.name / install.DONE
    mark.parent.mkdir()
    mark.write_text("\n".join(peer.requirements), encoding="utf-8")
    assert install.is_installed(peer)
    mark.write_text(json.dumps("another==1"), encoding="utf-8")
    assert not install.is_installed(peer)

"""Starting children in turn, and what their measurements add up to."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.bench.peers.places import CHILDREN, interpreter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.bench.peers.catalog import Peer, Road

__all__ = ["Case", "Measured", "ask", "collect", "command_of", "measure_in_turn"]

TIMEOUT_S = 1800
BUDGET_S = 1.0
RUNS = 5
ROOT = Path(__file__).resolve().parents[3]


class Case(NamedTuple):
    """One program on one workload."""

    peer: Peer
    road: Road
    request: dict[str, Any]
    """See `kit.measure`; with `workload` and `variant`."""
    work: int
    """Bars (of all pairs together) or quotes that one run walks."""


class Measured(NamedTuple):
    """The runs of one case in all rounds."""

    case: Case
    walls: list[float]
    cpus: list[float]
    peak_mb: float
    """Most of all rounds."""
    before_mb: float
    version: str
    answer: dict[str, Any]
    """What the last child gave."""
    trouble: str = ""
    """Why there is nothing, in one line."""

    @property
    def per_wall(self) -> float:
        """Bars or quotes per second: the median of all runs."""
        return self.case.work / statistics.median(self.walls) if self.walls else 0.0

    @property
    def per_cpu(self) -> float:
        """Bars or quotes per second of processor time: the median of all runs."""
        return self.case.work / max(statistics.median(self.cpus), 1e-9) if self.cpus else 0.0


def command_of(peer: Peer) -> list[str]:
    """How a child is started: a peer's by its own interpreter, ours as a module by this one."""
    if not peer.requirements:
        return [sys.executable, "-m", f"tests.bench.peers.{peer.name}"]
    return [str(interpreter(peer.name)), str(CHILDREN / f"{peer.name}_child.py")]


def ask(command: Sequence[str], request: dict[str, Any], timeout_s: float = TIMEOUT_S) -> dict[str, Any]:
    """One child's answer; `trouble` in it when there is none."""
    with tempfile.TemporaryDirectory() as folder:
        asked, told = Path(folder) / "request.json", Path(folder) / "result.json"
        asked.write_text(json.dumps(request), encoding="utf-8")
        try:
            done = subprocess.run(
                [*command, str(asked), str(told)],
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
                cwd=ROOT,
            )
        except subprocess.TimeoutExpired:
            return {"trouble": f"not ready after {timeout_s:.0f} s"}
        except OSError as error:
            return {"trouble": f"could not be started: {error}"}
        if done.returncode or not told.is_file():
            last = (done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["no word"])[-1]
            return {"trouble": f"exit code {done.returncode}: {last[:300]}"}
        answer: dict[str, Any] = json.loads(told.read_text(encoding="utf-8"))
        return answer


def measure_in_turn(cases: Sequence[Case], rounds: int, told: Callable[[str], None]) -> list[Measured]:
    """Every case once a round, one after the other; a case that fails is not asked again."""
    answers: list[list[dict[str, Any]]] = [[] for _ in cases]
    for number in range(rounds):
        for case, given in zip(cases, answers, strict=True):
            if given and "trouble" in given[-1]:
                continue
            told(f"round {number + 1}: {case.peer.name} {case.road.workload} {case.road.variant}".rstrip())
            given.append(ask(command_of(case.peer), case.request))
    return [collect(case, given) for case, given in zip(cases, answers, strict=True)]


def collect(case: Case, answers: Sequence[dict[str, Any]]) -> Measured:
    """The runs of all rounds together. Rounds must give the same trades; one that does not is a trouble."""
    troubles = [answer["trouble"] for answer in answers if "trouble" in answer]
    good = [answer for answer in answers if "trouble" not in answer]
    results = {json.dumps(_results(answer)) for answer in good}
    if len(results) > 1:
        troubles.append("rounds gave different results")
    if troubles or not good:
        return Measured(case, [], [], 0.0, 0.0, "", {}, (troubles or ["never asked"])[0])
    return Measured(
        case,
        [wall for answer in good for wall in answer["walls"]],
        [cpu for answer in good for cpu in answer["cpus"]],
        max(answer["peak_mb"] for answer in good),
        max(answer["before_mb"] for answer in good),
        good[-1]["version"],
        good[-1],
    )


def _results(answer: dict[str, Any]) -> dict[str, Any]:
    return {
        name: answer[name] for name in ("trades", "count", "equity", "counts", "equities", "fills") if name in answer
    }

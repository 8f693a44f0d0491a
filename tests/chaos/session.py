"""One session of the fault test: engines live, are killed and hung up in one home folder, then everything is judged."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.control.venue_process import find_venue, send_stop, wait_until_gone
from engine.crash_points import CRASH_AT
from tests.chaos import clients
from tests.chaos import life as lives
from tests.chaos.oracle import Verdict, judge
from tests.chaos.records import Counts

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerContext, ForkServerProcess

    from tests.chaos.plan import Life, Plan

__all__ = ["Outcome", "calm", "run"]

START_S = 60.0
POINT_S = 6.0
"""Seconds of trading after which a point that was not passed often enough is given up."""
CALM_S = 90.0
HANDOVER_S = 20.0


@dataclass
class Outcome:
    """What became of a session."""

    plan: Plan
    verdict: Verdict
    hits: Counter[str] = field(default_factory=Counter)
    """How often an engine died at each point, and how often each thing happened from outside."""
    missed: Counter[str] = field(default_factory=Counter)
    """Points that were not passed often enough within a life."""
    counts: dict[str, int] = field(default_factory=dict)
    home: Path | None = None
    """Kept when something was found."""


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    # Children are forks of a process that has imported all this and runs nothing.
    context.set_forkserver_preload([lives.__name__, clients.__name__])
    return context


def _start(work: Any, *arguments: Any, **more: Any) -> tuple[ForkServerProcess, Connection]:
    context = _context()
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=work, args=(*arguments, there), kwargs=more)
    child.start()
    there.close()
    return child, here


def _bury(child: ForkServerProcess, patience: float = 0.0) -> None:
    child.join(patience)
    if child.is_alive():
        child.kill()
    child.join()
    child.close()


def calm(home: Path, plan: Plan) -> list[str]:
    """Let a last engine bring everything to rest; gives what it could not bring in line."""
    child, line = _start(lives.calm, home, plan)
    try:
        if not line.poll(CALM_S):
            return ["the last engine did not come to rest"]
        problems: list[str] = msgspec.json.decode(line.recv())
        return problems
    except EOFError:
        return [f"the last engine died (exit code {child.exitcode}); its words are in life.log"]
    finally:
        line.close()
        _bury(child, patience=CALM_S)


class _Session:
    def __init__(self, plan: Plan, home: Path) -> None:
        self.plan = plan
        self.home = home
        self.hits: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()
        self._pause = threading.Event()

    def run(self) -> list[str]:
        """All lives, then the calm; gives what the last engine could not bring in line."""
        snapshots = any(point.startswith("snapshot") for point in (self.plan.point, *self.plan.points))
        lives.config(self.home, self.plan, snapshots=snapshots)
        Counts(self.home / "counts")
        outside = _start(clients.trade_outside, self.home, self.plan) if self.plan.socket else None
        try:
            for number in range(self.plan.lives):
                self._live(self.plan.life(number))
            if outside is not None and not outside[0].is_alive():
                raise AssertionError(f"the clients of seed {self.plan.seed} ended; their words are in life.log")
        finally:
            if outside is not None:
                outside[1].close()
                _bury(outside[0])
        return calm(self.home, self.plan)

    def _live(self, life: Life) -> None:
        venue = self._doomed_venue(life) if self.plan.process and life.point.startswith("venue") else None
        # The engine has nothing to do with that point then: it is killed like at random, after its venue.
        here = replace(life, point="") if venue is not None else life
        child, line = _start(lives.trade, self.home, self.plan, here)
        try:
            said = self._hear(line)
            if said not in ("ready", None):
                raise AssertionError(f"life {life.number} of seed {self.plan.seed} did not start: {said}")
            if life.point.startswith("handover"):
                self._hand_over(child, life)
            elif venue is not None:
                self._await_venue(venue, life)
            elif life.point:
                self._await_point(child, life)
            else:
                self._hang_up(child, life)
        finally:
            line.close()
            _bury(child)

    @staticmethod
    def _hear(line: Connection) -> str | None:
        """What a life says of its start; None when it died before."""
        try:
            return str(line.recv()) if line.poll(START_S) else "it says nothing"
        except EOFError:
            return None

    def _await_point(self, child: ForkServerProcess, life: Life) -> None:
        # A snapshot is cut by a program that has to be started first.
        child.join(POINT_S * (3 if life.point.startswith("snapshot") else 1))
        died = child.exitcode == -signal.SIGKILL
        if child.exitcode not in (None, -signal.SIGKILL):
            raise AssertionError(f"life {life.number} of seed {self.plan.seed} ended by itself: {child.exitcode}")
        (self.hits if died else self.missed)[life.point] += 1

    def _hand_over(self, child: ForkServerProcess, life: Life) -> None:
        """A second engine takes over, and one of the two dies on the way; the other goes on for a while."""
        self._pause.wait(life.after_s / 3)
        successor, line = _start(lives.trade, self.home, self.plan, life, succeeds=True)
        both = (child, successor)
        try:
            multiprocessing.connection.wait([process.sentinel for process in both], HANDOVER_S)
            # The one that goes on learns of it, trades, and is killed as well.
            self._pause.wait(0.3 + life.after_s / 3)
            died = any(process.exitcode == -signal.SIGKILL for process in both)
            (self.hits if died else self.missed)[life.point] += 1
        finally:
            line.close()
            _bury(successor)

    def _doomed_venue(self, life: Life) -> subprocess.Popen[str]:
        """Start the venue's process so that it dies at the life's point."""
        send_stop(self.home)
        wait_until_gone(self.home, 20)
        (self.home / "logs").mkdir(exist_ok=True)
        venue = subprocess.Popen(
            [sys.executable, "-P", "-m", "engine.control.venue_process", "--home", str(self.home)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, CRASH_AT: life.order, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
            text=True,
        )
        assert venue.stdout is not None
        with venue.stdout as said:
            said.readline()
        return venue

    def _await_venue(self, venue: subprocess.Popen[str], life: Life) -> None:
        with suppress(subprocess.TimeoutExpired):
            venue.wait(POINT_S)
        (self.missed if venue.poll() is None else self.hits)[life.point] += 1
        # The engine has the venue started anew, and goes on for a while.
        self._pause.wait(life.after_s)

    def _hang_up(self, child: ForkServerProcess, life: Life) -> None:
        what = life.hang_up
        if not self.plan.process and what not in ("kill", "freeze", "hand over"):
            what = "kill"
        self._pause.wait(life.after_s)
        if what == "hand over":
            self._succeed(child, life)
            return
        match what:
            case "freeze":
                self._freeze(child.pid, life.pause_s)
            case "freeze the venue":
                self._freeze(self._venue(), life.pause_s)
            case "kill the venue":
                self._signal(self._venue(), signal.SIGKILL)
                self._pause.wait(life.pause_s)
        self._pause.wait(life.pause_s if what != "kill" else 0)
        if not child.is_alive():
            raise AssertionError(f"life {life.number} of seed {self.plan.seed} ended by itself: {child.exitcode}")
        self.hits[what] += 1

    def _succeed(self, child: ForkServerProcess, life: Life) -> None:
        """A second engine takes over and trades; both are killed, at whatever the first one is by then."""
        successor, line = _start(lives.trade, self.home, self.plan, life, succeeds=True)
        try:
            said = self._hear(line)
            if said != "ready":
                raise AssertionError(f"life {life.number} of seed {self.plan.seed} was not taken over: {said}")
            self._pause.wait(life.pause_s)
            self.hits["hand over"] += 1
        finally:
            line.close()
            _bury(successor)

    def _venue(self) -> int | None:
        owner = find_venue(self.home)
        return owner.pid if owner is not None else None

    def _freeze(self, pid: int | None, seconds: float) -> None:
        self._signal(pid, signal.SIGSTOP)
        self._pause.wait(seconds)
        self._signal(pid, signal.SIGCONT)

    @staticmethod
    def _signal(pid: int | None, number: int) -> None:
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _keep(home: Path, place: Path) -> None:
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(home, place, ignore=shutil.ignore_patterns("*.sock"))


def run(plan: Plan, *, keep: Path | None = None) -> Outcome:
    """Run a session and judge it.

    Args:
        plan: What happens.
        keep: Where the home folder of a session goes in which something was found; None removes it.
    """
    # Short, because a socket's path has to be.
    home = Path(tempfile.mkdtemp(prefix="chaos-"))
    session = _Session(plan, home)
    try:
        problems = session.run()
        # One that a killed engine had still begun to start may follow on the first.
        if not any(send_stop(home) is None or wait_until_gone(home, 5) for _ in range(8)):
            problems.append("the venue's process does not end")
        verdict = judge(home)
        verdict.differs += problems
        outcome = Outcome(plan, verdict, session.hits, session.missed, Counts(home / "counts").read())
        if not verdict.clean and keep is not None:
            outcome.home = keep / f"seed-{plan.seed}-{plan.point}"
            _keep(home, outcome.home)
        return outcome
    except BaseException:
        if keep is not None:
            _keep(home, keep / f"seed-{plan.seed}-{plan.point}")
        raise
    finally:
        if (owner := find_venue(home)) is not None and owner.pid:
            os.kill(owner.pid, signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)

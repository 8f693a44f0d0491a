"""The fault test of the hand-over: at each of its steps one side is killed or frozen, while clients go on asking.

    python -m tests.chaos.handovers              every step on both venues, each side killed and frozen, 20 times each
    python -m tests.chaos.handovers --seed N --step handover.granted:stop

The engine that runs is to go on until the switch, the other one after it; whatever happens, at most one of them writes,
and the judge of the fault test finds nothing.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.control.venue_process import find_venue, send_stop, wait_until_gone
from engine.crash_points import POINTS
from tests.chaos import handover_life, life
from tests.chaos.oracle import judge
from tests.chaos.plan import Plan
from tests.chaos.records import Counts
from tests.chaos.session import CALM_S, START_S, _context

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import ForkServerProcess

__all__ = ["AFTER", "OLD", "STEPS", "Ending", "run"]

OLD = ("greeted", "proven", "frozen", "booked", "let_go", "granting", "granted", "left")
"""Steps of the engine that runs, in their order."""
NEW = ("warm", "ready", "taking", "taken", "signed", "told", "trading")
"""Steps of the one that takes over."""
AFTER = ("taken", "signed", "told", "left", "trading")
"""Steps at which the epoch has moved on."""
STEPS = tuple(f"handover.{step}:{action}" for step in (*OLD, *NEW) for action in ("kill", "stop"))
SETTLE_S = 2.5
TRADE_S = 0.4
EITHER = "either"


@dataclass
class Ending:
    """What became of a session."""

    said: dict[str, list[str]] = field(default_factory=lambda: {"old": [], "new": []})
    """What each engine has said of itself, such as `ready` and `left`."""
    struck: bool = False
    """Whether the step was reached."""
    problems: list[str] = field(default_factory=list)


class _Handover:
    def __init__(self, plan: Plan, step: str, home: Path) -> None:
        self.plan = plan
        self.home = home
        name, _, self.action = step.partition(":")
        self.step = name.partition(".")[2]
        self.order = f"{name}:1" + (":stop" if self.action == "stop" else "")
        self.ending = Ending()
        self._context = _context()
        self._pause = threading.Event()
        self._children: dict[str, ForkServerProcess] = {}
        self._lines: dict[str, Connection] = {}

    def run(self) -> Ending:
        life.config(self.home, self.plan, snapshots=False)
        Counts(self.home / "counts")
        chance = random.Random(self.plan.seed)
        try:
            self._start("old", handover_life.live, self.plan, 0, self.order if self.step in OLD else "")
            self._expect("old", "ready")
            self._pause.wait(chance.uniform(0.2, 0.8))
            self._start("new", handover_life.live, self.plan, 1, self.order if self.step in NEW else "")
            self._watch()
        finally:
            for child in self._children.values():
                if child.is_alive():
                    child.kill()
                child.join()
        self._judge_course()
        self._come_to_rest()
        return self.ending

    def _start(self, who: str, work: Any, *arguments: Any) -> None:
        here, there = self._context.Pipe(duplex=False)
        child = self._context.Process(target=work, args=(self.home, *arguments, there))
        child.start()
        there.close()
        self._children[who], self._lines[who] = child, here

    def _expect(self, who: str, word: str) -> None:
        said = self._hear(who, START_S)
        if said != word:
            raise AssertionError(f"the {who} engine of seed {self.plan.seed} did not start: {said}")

    def _hear(self, who: str, seconds: float) -> str:
        with suppress(EOFError):
            if self._lines[who].poll(seconds):
                said = str(self._lines[who].recv())
                self.ending.said[who].append(said)
                return said
        return ""

    def _watch(self) -> None:
        """Until the step has struck and what follows from it has happened; a frozen engine then goes on."""
        victim = "old" if self.step in OLD else "new"
        self.ending.struck = self._await_strike(victim)
        if self.action == "stop" and self.ending.struck:
            # Long enough for the other side's patience, whose decision is then final.
            self._pause.wait(SETTLE_S)
            with suppress(ProcessLookupError):
                os.kill(self._children[victim].pid or 0, signal.SIGCONT)
        for who in ("new", "old"):
            while self._hear(who, SETTLE_S if not self.ending.said[who][1:] else 0.1):
                pass
        self._pause.wait(TRADE_S)
        self.alive = {who: self._lives(who) for who in self._children}

    def _lives(self, who: str) -> bool:
        return self._children[who].is_alive() and not {*self.ending.said[who]} - {"ready"}

    def _await_strike(self, victim: str) -> bool:
        child = self._children[victim]
        for _ in range(int(START_S / 0.02)):
            if self.action == "kill" and not child.is_alive():
                return child.exitcode == -signal.SIGKILL
            if self.action == "stop" and _is_stopped(child.pid or 0):
                return True
            if not child.is_alive():
                return False
            self._pause.wait(0.02)
        return False

    def _judge_course(self) -> None:
        """Whether the right one goes on."""
        problems, said = self.ending.problems, self.ending.said
        if not self.ending.struck:
            problems.append(f"{self.step} was not reached: {said}")
            return
        if all(self.alive.values()):
            problems.append(f"both engines trade: {said}")
        wanted = self._wanted()
        if wanted == EITHER:
            if not any(self.alive.values()):
                problems.append(f"neither engine trades: {said}")
        elif wanted and not self.alive[wanted]:
            problems.append(f"the {wanted} engine does not trade: {said}")

    def _wanted(self) -> str:
        """Who has to trade in the end; nobody when the one that had the right to is dead."""
        if self.action == "stop" and self.step in ("greeted", "warm"):
            # The other side has patience there: orders leave meanwhile, and the hand-over may still come about.
            return EITHER
        if self.action == "stop" and self.step in NEW:
            # Ended by the engine before it, or left alone because it has the epoch.
            return "new" if self.step in AFTER else "old"
        if self.action == "stop":
            return "new" if self.step in ("granted", *AFTER) else "old"
        if self.step in OLD:
            return "new" if self.step in ("granted", *AFTER) else ""
        return "" if self.step in AFTER else "old"

    def _come_to_rest(self) -> None:
        self._start("calm", life.calm, self.plan)
        line, child = self._lines["calm"], self._children["calm"]
        try:
            if line.poll(CALM_S):
                self.ending.problems += msgspec.json.decode(line.recv())
            else:
                self.ending.problems.append("the last engine did not come to rest")
        except EOFError:
            self.ending.problems.append("the last engine died; its words are in life.log")
        finally:
            child.join(5)
            child.kill()
            child.join()


def _is_stopped(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def run(seed: int, step: str, *, process: bool = False, keep: Path | None = None) -> Ending:
    """Run a session and judge it.

    Args:
        seed: What clients do, and how the line to the venue is.
        step: One of STEPS.
        process: Whether the venue runs in a process of its own.
        keep: Where the home folder of a session goes in which something was found.
    """
    home = Path(tempfile.mkdtemp(prefix="qd-chaos-"))
    plan = Plan(seed, process=process, trouble=0.2)
    try:
        ending = _Handover(plan, step, home).run()
        if not any(send_stop(home) is None or wait_until_gone(home, 5) for _ in range(8)):
            ending.problems.append("the venue's process does not end")
        ending.problems += judge(home).problems
        if ending.problems and keep is not None:
            shutil.copytree(home, keep / f"{step}-{seed}", ignore=shutil.ignore_patterns("*.sock"), dirs_exist_ok=True)
        return ending
    finally:
        if (owner := find_venue(home)) is not None and owner.pid:
            os.kill(owner.pid, signal.SIGKILL)
        shutil.rmtree(home, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; 0 when nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.handovers")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--step", choices=STEPS)
    parser.add_argument("--process", action="store_true")
    parser.add_argument("--hits", type=int, default=20)
    parser.add_argument("-j", "--jobs", type=int, default=2)
    options = parser.parse_args(arguments)
    keep = Path("chaos-kept")
    if options.seed is not None:
        ending = run(options.seed, options.step or STEPS[0], process=options.process, keep=keep)
        print(ending)
        return 1 if ending.problems else 0
    found = 0
    steps = [options.step] if options.step else list(STEPS)
    with ThreadPoolExecutor(options.jobs) as pool:
        for process in (False, True):
            for step in steps:
                seeds = range(9000, 9000 + options.hits)
                endings = list(pool.map(lambda seed: run(seed, step, process=process, keep=keep), seeds))  # noqa: B023
                hits = Counter(ending.struck for ending in endings)[True]
                bad = {seed: ending.problems for seed, ending in zip(seeds, endings, strict=True) if ending.problems}
                found += len(bad)
                print(f"{step:<26} {'process' if process else 'engine':<8} {hits:>4}  {'FOUND' if bad else 'ok'}")
                for seed, problems in bad.items():
                    print(f"    seed {seed}: {problems[:5]}", flush=True)
    return 1 if found else 0


assert {f"handover.{step}" for step in (*OLD, *NEW)} == {point for point in POINTS if point.startswith("handover")}

if __name__ == "__main__":
    sys.exit(main())

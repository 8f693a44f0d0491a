"""The power-loss test: files cut back to what had been synced when a request left or a client was answered.

One engine trades under the recorder (`disk_log.c`). For chosen moments its home folder is rebuilt as a disk would hold
it had the power failed then, an engine starts on it, and the oracle of the fault test judges. Clients are on another
machine: what they heard up to that moment they have heard.

    python -m tests.chaos.power --seed N      every moment of one session; the exit status is 1 when anything is found
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from engine.clock import SystemClock
from tests.chaos import life as lives
from tests.chaos.defects import DISK_DEFECTS
from tests.chaos.disk import Disk, build_recorder
from tests.chaos.oracle import judge
from tests.chaos.plan import ANY, Life, Plan
from tests.chaos.session import calm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.oracle import Verdict

__all__ = ["Moment", "Recording", "recorded"]

MARKERS = ("sent", "asked", "counts", "life.log", "ready")
START_S = 60.0
TRADE_S = 2.0


@dataclass(frozen=True, slots=True)
class Moment:
    """When the power fails."""

    place: int
    """In the log."""
    what: str
    """What was just about to happen, or had just been said."""


class Recording:
    """A session that was written down, and what becomes of it at any moment."""

    def __init__(self, disk: Disk, plan: Plan) -> None:
        self.disk = disk
        self.plan = plan
        self.moments = [Moment(place, _words(name, line)) for place, name, line in disk.moments if _counts(name, line)]

    def fail(self, moment: Moment, chance: random.Random | None) -> Verdict:
        """Let the power fail at a moment, start again, judge."""
        home = Path(tempfile.mkdtemp(prefix="power-"))
        try:
            for name, content in self.disk.image(moment.place, chance).items():
                if name.partition("/")[0] not in (*MARKERS, "logs"):
                    (home / name).parent.mkdir(parents=True, exist_ok=True)
                    (home / name).write_bytes(content)
            for name in ("sent", "asked"):
                (home / name).write_bytes(self.disk.lines(name, moment.place))
            problems = calm(home, self.plan)
            verdict = judge(home)
            verdict.differs += problems
            return verdict
        finally:
            shutil.rmtree(home, ignore_errors=True)


def _counts(name: str, line: bytes) -> bool:
    return name == "sent" or (name == "asked" and line.startswith(b'["done"'))


def _words(name: str, line: bytes) -> str:
    values = msgspec.json.decode(line)
    return f"order {values[0]} leaves" if name == "sent" else f"{values[2]} of {values[3]} was answered"


@contextmanager
def recorded(plan: Plan, seconds: float = TRADE_S) -> Iterator[Recording]:
    """Let an engine trade for so long under the recorder, then kill it."""
    folder = Path(tempfile.mkdtemp(prefix="disk-"))
    try:
        home = folder / "home"
        home.mkdir()
        lives.config(home, plan, snapshots=True)
        base = {path.name: path.read_bytes() for path in home.iterdir()}
        library = build_recorder(folder)
        environment = {**os.environ, "LD_PRELOAD": str(library), "DISK_LOG": str(folder / "log")}
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.power", "--child", str(home), msgspec.json.encode(plan).decode()],
            env={**environment, "DISK_LOG_ROOT": str(home), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        try:
            _wait_for(home / "ready", child)
            threading.Event().wait(seconds)
        finally:
            child.kill()
            child.wait()
        yield Recording(Disk(folder / "log", home, base, MARKERS), plan)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(path: Path, child: subprocess.Popen[bytes]) -> None:
    pause, clock = threading.Event(), SystemClock()
    end = clock.monotonic() + int(START_S * 1e9)
    while not path.exists():
        if child.poll() is not None or clock.monotonic() > end:
            raise AssertionError(f"the engine under the recorder did not start ({child.returncode})")
        pause.wait(0.02)


class _Ready:
    """Stands for the connection over which a life says that it trades."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def send(self, words: str) -> None:
        (self._home / words.split()[0]).touch()


def _child(home: Path, plan: Plan) -> None:
    lives.trade(home, plan, Life(0, plan.seed), _Ready(home))


def main(arguments: list[str] | None = None) -> int:
    """Fail at every moment of a session, or at some, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.power")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--moments", type=int, default=0, help="so many of them, drawn from the seed; 0 for all")
    parser.add_argument("--seconds", type=float, default=TRADE_S, help="how long the engine trades")
    parser.add_argument("--defect", default="", choices=["", *DISK_DEFECTS])
    options = parser.parse_args(arguments)
    if options.child:
        _child(Path(options.child[0]), msgspec.json.decode(options.child[1], type=Plan))
        return 0
    chance, bad = random.Random(options.seed), 0
    with recorded(Plan(options.seed, ANY, defect=options.defect), options.seconds) as recording:
        moments = recording.moments
        if options.moments:
            moments = chance.sample(moments, min(options.moments, len(moments)))
        for number, moment in enumerate(moments):
            # By turns: nothing that was not synced is there, or a part of it.
            verdict = recording.fail(moment, random.Random(f"{options.seed}|{moment.place}") if number % 2 else None)
            bad += not verdict.clean
            for problem in verdict.problems[:5]:
                print(f"{moment.what} ({moment.place}): {problem}", flush=True)
    print(f"the power failed at {len(moments)} moments of seed {options.seed}; something was found at {bad}")
    return 1 if bad or not moments else 0


if __name__ == "__main__":
    sys.exit(main())

"""A tiny engine for tests of the processes around it: it beats, and writes down what it has seen.

Its heart beats every 5 ms on the shared loop and measures by how much each beat comes late; that and whatever others
have it note is in `stub.json` in the home folder.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.control.lock import EngineLock

__all__ = ["StubEngine", "seen"]

BEAT_S = 0.005
REPORT_EVERY = 10


class StubEngine:
    """Beats, and writes down what was seen.

    Args:
        home: Where it writes.
        fail: `start` refuses to start, `stop` never ends, `crash` ends the process once it runs, `fail` makes the
            engine end by itself, `hang` holds the loop in the first process that runs, empty does all as it should.
    """

    def __init__(self, home: Path, fail: str = "") -> None:
        self.seen: dict[str, Any] = {"beats": 0, "late_ms": 0.0, "state": "new", "size": None, "frames": 0, "keys": ""}
        self.seen["held"] = 0
        self._file = home / "stub.json"
        self._fail = fail
        self._failed = asyncio.Event()
        self._heart: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._fail == "start":
            raise RuntimeError("the stub refuses to start")
        self.seen |= {"state": "running", "pid": os.getpid(), "reloads": 0}
        self._heart = asyncio.create_task(self._beat(), name="heart")

    async def stop(self) -> None:
        if self._fail == "stop":
            self.report(state="stopping")
            await asyncio.Event().wait()
        assert self._heart is not None
        self._heart.cancel()
        self.report(state="stopped")

    async def wait_stopped(self) -> None:
        if self._fail == "hang" and not (self._file.parent / "hung").exists():
            (self._file.parent / "hung").touch()
            await asyncio.sleep(0.02)
            hang()
        if self._fail in ("crash", "fail"):
            await asyncio.sleep(0.02)
            if self._fail == "crash":
                os._exit(9)
            raise RuntimeError("the stub fails")
        await self._failed.wait()

    @property
    def successor(self) -> int:
        return 0

    @property
    def keys_descriptor(self) -> int | None:
        return None

    def hold(self, lock: EngineLock | None, successor: Sequence[str] = ()) -> None:
        self.seen["lock"] = lock.holder.pid if lock is not None else 0

    async def take_over(self) -> None:
        raise NotImplementedError

    async def reload(self) -> None:
        self.report(reloads=self.seen["reloads"] + 1)

    def report(self, **more: object) -> None:
        self.seen |= more
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps(self.seen), encoding="utf-8")
        partial.replace(self._file)

    async def _beat(self) -> None:
        while True:
            due = time.monotonic() + BEAT_S
            await asyncio.sleep(BEAT_S)
            late = (time.monotonic() - due) * 1000
            # Starting the app compiles style sheets; lateness counts from its first frames on.
            if self.seen["frames"] > 2:
                self.seen["late_ms"] = max(self.seen["late_ms"], late)
            self.seen["beats"] += 1
            if self.seen["beats"] % REPORT_EVERY == 0:
                self.report()


def hang() -> None:
    """Hold the thread for good."""
    threading.Event().wait()


def seen(home: Path, what: str) -> Any:
    """A value that the stub engine has written down; None when it has not."""
    try:
        return json.loads((home / "stub.json").read_text(encoding="utf-8"))[what]
    except (OSError, KeyError):
        return None

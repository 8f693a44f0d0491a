"""The engine of the soak, headless on a faster clock: `python -m tests.soak.engine_child HOME READY SPEED`."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path

from console.headless import ReadyLine, serve
from engine.config import load_settings
from engine.control.host import EngineHost

__all__ = ["FastClock"]

MARKET = {"paper.updates_per_second": 10.0, "paper.seed": 100, "paper.balances": {"USDT": "100000"}}


class FastClock:
    """The machine's clock, so many times as fast from the moment it is made.

    Args:
        speed: Seconds that pass in one second.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._began = time.time_ns()
        self._steady = time.monotonic_ns()

    def now(self) -> int:
        """UTC nanoseconds, ahead of the machine's."""
        return self._began + self.monotonic()

    def monotonic(self) -> int:
        """Nanoseconds since it was made, in its own time."""
        return int((time.monotonic_ns() - self._steady) * self._speed)

    async def sleep(self, seconds: float) -> None:
        """Wait that long in its own time."""
        await asyncio.sleep(seconds / self._speed)


def main() -> int:
    """Run until told to stop."""
    home, ready, speed = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    logging.basicConfig(level=logging.WARNING)

    def build() -> EngineHost:
        return EngineHost(home, load_settings(home, explicit=MARKET), clock=FastClock(speed))

    return serve(home, build, ReadyLine(ready), watched=False)


if __name__ == "__main__":
    sys.exit(main())

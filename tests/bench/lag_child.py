"""The console's process with a heartbeat on its loop: run on a terminal by the lag benchmark, not by itself.

    python -m tests.bench.lag_child HOME LAUNCHER_FD RESULT

It is `console.embedded` but for five bots, and one task more, which sleeps 5 ms again and again and notes by how much
it woke late.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from console.app import QuarterdeckApp
from console.embedded import make_app, serve
from engine.config import Settings, load_settings
from engine.control.host import EngineHost

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.driver import TerminalLease
    from console.stage import ConsoleApp

BEAT_S = 0.005
START_S = 5.0
"""The first seconds belong to the start, which has a bar of its own."""
UPDATES_PER_SECOND = 100.0
"""Of the book of every one of the five markets."""
BOTS = ("BTC/USDT", "ETH/USDT", "ETH/BTC", "SOL/USDT", "BNB/USDT")


class MeasuredHost(EngineHost):
    """An engine host that measures its loop from the moment it runs.

    Args:
        home: Home folder.
        settings: Validated settings.
        result: File for the lateness of every beat in milliseconds, written at the end.
    """

    def __init__(self, home: Path, settings: Settings, result: Path) -> None:
        super().__init__(home, settings)
        self._late: list[float] = []
        self._result = result
        self._beat: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the engine and five bots, then begin to measure."""
        await super().start()
        link = self.link()
        for number, symbol in enumerate(BOTS):
            name = f"bot-{number}"
            strategy = "trend_following" if number % 2 else "mean_reversion"
            request = {"name": name, "strategy": strategy, "instrument": f"SIM:{symbol}", "timeframe": "1m"}
            await link.call("bots.create", {**request, "capital": "2000"})
            await link.call("bots.start", {"bot": name})
        self._beat = asyncio.get_running_loop().create_task(self._measure(), name="heartbeat")

    async def _measure(self) -> None:
        await asyncio.sleep(START_S)
        while True:
            before = time.monotonic()
            await asyncio.sleep(BEAT_S)
            self._late.append(max(0.0, (time.monotonic() - before - BEAT_S) * 1e3))

    async def stop(self) -> None:
        """Write what was measured and end the engine."""
        if self._beat is not None:
            self._beat.cancel()
        self._result.write_text(json.dumps(self._late), encoding="utf-8")
        await super().stop()


def main() -> int:
    """Serve the console until it is told to end."""
    home, launcher, result = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    market = {
        "paper.updates_per_second": UPDATES_PER_SECOND,
        "paper.seed": 100,
        "paper.balances": {"USDT": "100000"},
    }

    def factories() -> tuple[Callable[[], MeasuredHost], Callable[[MeasuredHost, TerminalLease], ConsoleApp]]:
        return (
            lambda: MeasuredHost(home, load_settings(home, explicit=market), result),
            lambda engine, lease: make_app(QuarterdeckApp, engine, lease),
        )

    return serve(home, launcher, factories)


if __name__ == "__main__":
    sys.exit(main())

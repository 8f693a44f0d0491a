"""The console's process with a way of an order that is measured all the time: run by the detach benchmark.

    python -m tests.bench.detach_child HOME LAUNCHER_FD RESULT

It is `console.embedded` with ten bots on 100 book updates a second and market, and one task more: it places and cancels
a resting order again and again, and notes when each was submitted and when the venue was called. The times are written
at the end, on the machine's monotonic scale.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.app import QuarterdeckApp
from console.embedded import make_app, serve
from engine.config import Settings, load_settings
from engine.control.host import EngineHost
from engine.model.ids import InstrumentId

if TYPE_CHECKING:
    from collections.abc import Callable

    from console.driver import TerminalLease
    from console.stage import ConsoleApp
    from engine.model.venue import Venue

UPDATES_PER_SECOND = 100.0
PAUSE_S = 0.01
BEAT_S = 0.001
SYMBOLS = ("BTC/USDT", "ETH/USDT", "ETH/BTC", "SOL/USDT", "BNB/USDT")
INSTRUMENT = "SIM:BTC/USDT"


class MeasuredHost(EngineHost):
    """An engine host that measures the way of its orders.

    Args:
        home: Home folder.
        settings: Validated settings.
        result: File for the measurements, written at the end.
    """

    def __init__(self, home: Path, settings: Settings, result: Path) -> None:
        super().__init__(home, settings)
        self._result = result
        self._called = 0.0
        self._sent = asyncio.Event()
        self._orders: list[tuple[float, float]] = []
        self._late: list[tuple[float, float]] = []
        self._measuring: list[asyncio.Task[None]] = []

    def make_venue(self) -> Venue:
        venue = super().make_venue()
        place = venue.place

        async def measured(command: Any) -> None:
            self._called = time.monotonic()
            self._sent.set()
            await place(command)

        venue.place = measured  # type: ignore[method-assign]
        return venue

    async def start(self) -> None:
        """Start the engine and ten bots, then begin to measure."""
        await super().start()
        link = self.link()
        for number in range(10):
            strategy = "trend_following" if number % 2 else "mean_reversion"
            request = {"name": f"bot-{number}", "strategy": strategy, "timeframe": "1m", "capital": "2000"}
            await link.call("bots.create", {**request, "instrument": f"SIM:{SYMBOLS[number % 5]}"})
            await link.call("bots.start", {"bot": f"bot-{number}"})
        loop = asyncio.get_running_loop()
        self._measuring = [
            loop.create_task(self._order(), name="orders"),
            loop.create_task(self._beat(), name="heartbeat"),
        ]

    async def _order(self) -> None:
        link = self.link()
        assert self.engine is not None
        instrument = self.engine.state.instruments[InstrumentId(INSTRUMENT)]
        while True:
            mark = self.engine.mark(instrument.id)
            assert mark is not None
            price = (mark * Decimal("0.97")).quantize(Decimal(1))
            request = {"instrument": INSTRUMENT, "side": "buy", "type": "limit", "quantity": "0.001", "price": price}
            self._sent.clear()
            submitted = time.monotonic()
            row = await link.call("orders.place", {**request, "reason": "bench"})
            await self._sent.wait()
            self._orders.append((submitted, self._called))
            await link.call("orders.cancel", {"client_id": row.client_id})
            await asyncio.sleep(PAUSE_S)

    async def _beat(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(BEAT_S)
            self._late.append((before, max(0.0, time.monotonic() - before - BEAT_S)))

    async def stop(self) -> None:
        """Write what was measured and end the engine."""
        for task in self._measuring:
            task.cancel()
        self._result.write_text(json.dumps({"orders": self._orders, "late": self._late}), encoding="utf-8")
        await super().stop()


def main() -> int:
    """Serve the console until it is told to end."""
    home, launcher, result = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    market = {
        "paper.updates_per_second": UPDATES_PER_SECOND,
        "paper.seed": 100,
        "paper.balances": {"USDT": "100000"},
        "risk.max_orders_per_second": 1000,
        "risk.max_orders_per_minute": 60_000,
    }

    def factories() -> tuple[Callable[[], MeasuredHost], Callable[[MeasuredHost, TerminalLease], ConsoleApp]]:
        return (
            lambda: MeasuredHost(home, load_settings(home, explicit=market), result),
            lambda engine, lease: make_app(QuarterdeckApp, engine, lease),
        )

    return serve(home, launcher, factories)


if __name__ == "__main__":
    sys.exit(main())

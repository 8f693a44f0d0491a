"""A process with a paper venue that kills itself at a chosen point; it prints all that the outside was told."""

from __future__ import annotations

import asyncio
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from engine.events import encode_event
from engine.model.ids import ClientOrderId, InstrumentId
from engine.model.order import OrderSide, OrderType
from engine.model.venue import OrderCommand
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from engine.venues.paper.settings import LatencySettings, PaperSettings
from engine.venues.paper.store import Batch, PaperStore
from engine.venues.paper.venue import PAPER_ACCOUNT, PaperVenue

if TYPE_CHECKING:
    import sqlite3

    from engine.events import VenueEvent
    from engine.model.ids import AccountId

BTC = InstrumentId("SIM:BTC/USDT")
KILLED = 9


class DyingStore(PaperStore):
    """Ends the process at its nth commit: before it, within the transaction, or right after it."""

    def __init__(self, path: Path, point: str, nth: int) -> None:
        super().__init__(path)
        self.point = point
        self.left = nth

    def commit(self, batch: Batch) -> None:
        self.left -= 1
        if self.point == "before" and self.left == 0:
            os._exit(KILLED)
        super().commit(batch)
        if self.point == "after" and self.left == 0:
            os._exit(KILLED)

    def write(self, connection: sqlite3.Connection, batch: Batch) -> None:
        super().write(connection, batch)
        if self.point == "inside" and self.left == 0:
            os._exit(KILLED)


def tell(kind: bytes, body: bytes) -> None:
    """Say something to the parent at once, in one piece."""
    os.write(1, kind + b" " + body.hex().encode() + b"\n")


async def main(path: Path, point: str, nth: int) -> None:
    """Trade until killed."""
    clock = SystemClock()
    told = 0

    def hear(_: AccountId, event: VenueEvent) -> None:
        nonlocal told
        tell(b"event", encode_event(event))
        told += 1
        if point == "delivered" and told == nth:
            os._exit(KILLED)

    settings = PaperSettings(latency=LatencySettings(request_ms=0, report_ms=1, jitter_ms=0))
    market = SimulatedMarket(SimulatedSettings(seed=3), clock.now())
    venue = PaperVenue(market, DyingStore(path, point, nth), clock, settings)
    await venue.start(hear, lambda _: None)

    async def send(number: int) -> None:
        bid = (await venue.book(BTC, 1)).bids[0][0]
        limit = number % 3 == 0
        price = market.instruments()[0].price_from_int(bid * 9 // 10)
        command = OrderCommand(
            client_id=ClientOrderId(f"crash{number}"),
            account=PAPER_ACCOUNT,
            instrument=BTC,
            side=OrderSide.BUY,
            type=OrderType.LIMIT if limit else OrderType.MARKET,
            quantity=Decimal("0.001"),
            price=price if limit else None,
        )
        tell(b"sent", command.client_id.encode())
        await venue.place(command)
        tell(b"replied", command.client_id.encode())

    for round_ in range(20):
        await asyncio.gather(*(send(3 * round_ + i) for i in range(3)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))

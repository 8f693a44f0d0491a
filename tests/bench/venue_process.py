"""The paper venue in a process of its own: what its market stream costs the engine's loop, and a round trip."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from engine.control.paper_venue import join_venue
from engine.control.venue_process import send_stop, wait_until_gone
from engine.model.ids import ClientOrderId
from engine.model.market import BookUpdate, MarketEvent
from engine.model.order import OrderSide, OrderType
from engine.model.venue import OrderCommand
from engine.venues.paper.venue import PAPER_ACCOUNT
from tests.bench.table import Row, percentile, workplace

if TYPE_CHECKING:
    from pathlib import Path

    from engine.venues.remote.client import RemoteVenue

SECONDS = 10.0
MARKETS, RATE = 5, 100
ASKED = 2_000
PLACED = 300
SHARE_BAR = 0.05
ROUND_TRIP_MS = 1.0


def run() -> list[Row]:
    """Measure against a real process with five markets of a hundred book updates a second each."""
    with workplace("venue_process") as folder:
        home = folder / "home"
        home.mkdir()
        settings = f"[paper]\nprocess = true\nlatency_ms = 0\nlatency_jitter_ms = 0\nupdates_per_second = {RATE}\n"
        (home / "config.toml").write_text(settings)
        try:
            return asyncio.run(_measure(home))
        finally:
            send_stop(home)
            wait_until_gone(home, 20)


async def _measure(home: Path) -> list[Row]:
    heard: list[int] = []

    def take(event: MarketEvent) -> None:
        if isinstance(event, BookUpdate):
            heard.append(event.ts)

    venue = await asyncio.to_thread(join_venue, home, SystemClock(), "bench", lambda: None)
    await venue.start(lambda *_: None, take)
    try:
        idle = await _burnt(SECONDS / 2)
        markets = [instrument.id for instrument in await venue.instruments()][:MARKETS]
        await venue.watch(markets)
        await asyncio.sleep(1)
        heard.clear()
        busy = await _burnt(SECONDS)
        rate, share = len(heard) / SECONDS, busy - idle
        each = share * SECONDS / max(len(heard), 1) * 1e6
        await venue.unwatch(markets)
        trips = [await _timed(venue.server_time()) for _ in range(ASKED)]
        orders = [await _timed(venue.place(await _order(venue, number))) for number in range(PLACED)]
    finally:
        await venue.close()
    trip, slow = percentile(trips, 50), percentile(trips, 99)
    return [
        Row(
            f"venue process: share of the engine's loop for {rate:.0f} book updates/s",
            f"{share:.1%}, {each:.0f} µs each",
            f"< {SHARE_BAR:.0%}",
            share < SHARE_BAR,
        ),
        Row(
            "venue process: a question's round trip",
            f"p50 {trip:.2f} ms, p99 {slow:.2f} ms",
            f"p50 < {ROUND_TRIP_MS:.0f} ms",
            trip < ROUND_TRIP_MS,
        ),
        Row(
            "venue process: a market order until its reply, stored",
            f"p50 {percentile(orders, 50):.1f} ms, p99 {percentile(orders, 99):.1f} ms",
        ),
    ]


async def _burnt(seconds: float) -> float:
    """Share of a processor that this process used meanwhile."""
    before = time.process_time()
    await asyncio.sleep(seconds)
    return (time.process_time() - before) / seconds


async def _timed(call: object) -> float:
    began = time.perf_counter()
    await call  # type: ignore[misc]
    return (time.perf_counter() - began) * 1e3


async def _order(venue: RemoteVenue, number: int) -> OrderCommand:
    return OrderCommand(
        client_id=ClientOrderId(f"bench{number}"),
        account=PAPER_ACCOUNT,
        instrument=(await venue.instruments())[0].id,
        side=OrderSide.BUY,
        type=OrderType.MARKET,
        quantity=Decimal("0.0002"),
    )

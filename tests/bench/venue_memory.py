"""Memory of a native venue's connection with 20 books and the full list of instruments, and of what is loaded for it.

OKX's adapter against a process that stands for the exchange's public side (`feed_child`), 3,000 pairs listed; its books
have moved for some seconds when it is weighed. A second connection to another venue of the kind is weighed beside it.
The largest recorded books, Coinbase's, are weighed as well, all 20 of that size.
"""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import aiohttp

from engine.clock import SystemClock
from engine.health import limit_arenas, resident_bytes
from engine.market.hub import MarketHub
from engine.model.ids import VenueId, instrument_id
from engine.venues.factory import NoKeys, make_adapter
from engine.venues.limits.coordinator import Coordinator
from engine.venues.native.books.coinbase import CoinbaseBooks
from engine.venues.native.books.loading import load
from engine.venues.native.ccxt_class import import_class
from engine.venues.native.options import VenueOptions
from tests.bench.recordings import CAPTURES, coinbase
from tests.bench.streams import MARKETS, exchange
from tests.bench.table import Row
from tests.venues.native.books.kit import Log, instrument

if TYPE_CHECKING:
    from engine.model.market import MarketEvent
    from engine.model.venue import Venue

RATE, SECONDS = 2_000, 5
MOST_MB = 80.0


def megabytes() -> float:
    """Held now."""
    gc.collect()
    return resident_bytes() / 2**20


async def connect(port: int, name: str, clock: SystemClock) -> tuple[Venue, MarketHub, int]:
    """A venue with its books; gives the number of its instruments too."""
    hub = MarketHub()
    ready = asyncio.Event()
    address = f"127.0.0.1:{port}"
    addresses = {"rest": f"http://{address}", "ws": f"ws://{address}"}
    options = VenueOptions(id=VenueId(name), testnet=False, addresses=addresses)
    venue = make_adapter("okx", options, NoKeys(), clock, coordinator=Coordinator(clock))

    def hear(event: MarketEvent) -> None:
        hub.on_market(event, clock.now())
        if all(market.live for market in hub.markets.values()):
            ready.set()

    await venue.start(lambda *_: None, hear)
    listed = {one.id: one for one in await venue.instruments()}
    names = [instrument_id(name, f"Q{number}/USDT") for number in range(MARKETS)]
    for one in names:
        hub.add(listed[one])
    await venue.watch(names)
    await ready.wait()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{address}/go", params={"rate": str(RATE), "seconds": str(SECONDS)}) as answer,
    ):
        await answer.read()
    return venue, hub, len(listed)


async def connections(port: int) -> tuple[float, float, int]:
    """Megabytes of the first connection and of the second, and how many instruments each lists."""
    clock = SystemClock()
    before = megabytes()
    first, _, count = await connect(port, "OKX", clock)
    between = megabytes()
    second, _, _ = await connect(port, "OTHER", clock)
    after = megabytes()
    await first.close()
    await second.close()
    return between - before, after - between, count


def largest_books() -> tuple[float, int]:
    """Megabytes of so many books of the size of Coinbase's, and how many levels each has."""
    recording = coinbase()
    books: Any = CoinbaseBooks(Log())
    before = megabytes()
    for number in range(MARKETS):
        name = f"B{number:02}-USD"
        books.add(name, instrument("X", 2, 8))
        books.feed(recording.snapshot.replace(recording.symbol.encode(), name.encode(), 1), name)
        for data in recording.updates:
            books.feed(data.replace(recording.symbol.encode(), name.encode(), 1), name)
    after = megabytes()
    kept = list(books.kept.values())
    assert all(one.live for one in kept), kept[0].reason
    return after - before, len(kept[0].book.to_snapshot().bids) + len(kept[0].book.to_snapshot().asks)


def run() -> list[Row]:
    """The table."""
    if not CAPTURES.is_dir():
        return [Row("venue_memory", f"skipped: no recordings at {CAPTURES}")]
    limit_arenas()
    bare = megabytes()
    load()
    compiled = megabytes()
    make_adapter("okx", VenueOptions(id=VenueId("X")), NoKeys(), SystemClock(), coordinator=Coordinator(SystemClock()))
    import_class("okx", streaming=False)
    loaded = megabytes()
    with exchange() as port:
        first, second, count = asyncio.run(connections(port))
    largest, levels = largest_books()
    return [
        Row(
            f"native connection, {MARKETS} books, {count:,} instruments",
            f"{first:.0f} MB, another one {second:.0f} MB",
            f"≤ {MOST_MB:.0f} MB",
            max(first, second) <= MOST_MB and count >= 3_000,
        ),
        Row("  with ccxt, which is loaded once for its requests", f"{first + loaded - compiled:.0f} MB"),
        Row("  with the compiled kernels too, loaded once", f"{first + loaded - bare:.0f} MB"),
        Row(f"  {MARKETS} books of {levels:,} levels (Coinbase's BTC-USD)", f"{largest:.0f} MB"),
    ]

"""A process in an environment of its own: cryptofeed's own handlers over the messages of a file; prints their rates."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

PARTS = 3


def exchange(venue: str, symbol: str, pair: str) -> Any:
    """Its class for a venue, which knows one market and asks nobody for more."""
    from cryptofeed import exchanges  # type: ignore[import-not-found]
    from cryptofeed.defines import L2_BOOK  # type: ignore[import-not-found]
    from cryptofeed.symbols import Symbols  # type: ignore[import-not-found]

    kinds = {"binance": "Binance", "usdm": "BinanceFutures", "okx": "OKX", "coinbase": "Coinbase"}
    kind = getattr(exchanges, kinds[venue])
    Symbols.set(kind.id, {pair: symbol}, {"instrument_type": {pair: "spot"}})

    async def told(*_: Any) -> None:
        """Looks at nothing: it sorts a side only when asked, all of it, which would be most of its time."""

    return kind(symbols=[pair], channels=[L2_BOOK], callbacks={L2_BOOK: told})


async def begin(feed: Any, venue: str, symbol: str, pair: str, snapshot: str) -> None:
    """Give it the snapshot."""
    from cryptofeed.types import OrderBook  # type: ignore[import-not-found]

    if venue in ("okx", "coinbase"):
        if venue == "coinbase":
            # It looks for "ask" where the exchange writes "offer", and would miss that side of the snapshot.
            snapshot = snapshot.replace('"offer"', '"ask"')
        await feed.message_handler(snapshot, None, 0.0)
        return
    body = json.loads(snapshot)
    sides = [{Decimal(p): Decimal(q) for p, q in body[side]} for side in ("bids", "asks")]
    feed._l2_book[pair] = OrderBook(feed.id, pair, max_depth=0, bids=sides[0], asks=sides[1])
    feed.last_update_id[pair] = body["lastUpdateId"]


async def measure(text: dict[str, Any]) -> tuple[list[float], float]:
    """Messages a second of processor time: of each part, and with answers after each message."""
    venue, symbol, pair = text["venue"], text["symbol"], "BTC-USDT"
    feed = exchange(venue, symbol, pair)
    await begin(feed, venue, symbol, pair, text["snapshot"])
    updates = text["updates"]
    size = len(updates) // PARTS
    rates = []
    for part in range(PARTS):
        messages = updates[part * size : (part + 1) * size]
        began = time.process_time()
        for message in messages:
            await feed.message_handler(message, None, 0.0)
        rates.append(size / (time.process_time() - began))
    assert feed._l2_book[pair].book.bids.index(0), "the book was given up"
    feed = exchange(venue, symbol, pair)
    await begin(feed, venue, symbol, pair, text["snapshot"])
    began = time.process_time()
    for message in updates[: text["asked"]]:
        await feed.message_handler(message, None, 0.0)
        book = feed._l2_book[pair].book
        bids, asks = book.bids, book.asks
        top = [[side.index(place) for place in range(min(text["depth"], len(side)))] for side in (bids, asks)]
        bids[top[0][0][0]]
    return rates, text["asked"] / (time.process_time() - began)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(json.loads(Path(sys.argv[1]).read_bytes())))))

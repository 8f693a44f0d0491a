"""Captures of Binance, spot and USD-M futures: diff streams joined to REST snapshots by their update ids.

The rules of joining are those of the exchange's documentation ("How to manage a local order book correctly"). Spot:
drop diffs with u <= lastUpdateId, the first one kept has U <= lastUpdateId + 1 <= u, then each U is the u before plus
one. Futures: drop u < lastUpdateId, the first one kept has U <= lastUpdateId <= u, then each `pu` is the u before.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import orjson

from engine.model.ids import Currency, TradeId, VenueId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.market import MarketDatum, MarketTrade
from engine.model.order import OrderSide
from engine.venues.markets.capture import CaptureLine, FeedBook, Places, scaled
from engine.venues.markets.listing import decimal_places, plain, split_pair

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.model.market import MarketDatum

__all__ = ["BinanceParser", "survey"]

_MS = 1_000_000
_BUFFERED = 1_000
"""Diffs kept while a snapshot is awaited."""
_SPOT_FEE = Decimal("0.001")
_FUTURES_MAKER, _FUTURES_TAKER = Decimal("0.0002"), Decimal("0.0005")
"""Published fees of an account without volume; a capture does not hold any."""


def survey(lines: Iterable[CaptureLine], venue: str) -> tuple[Instrument, ...]:
    """Instruments of a capture: rules from a recorded exchangeInfo, else as fine as the prices and quantities seen."""
    places = Places()
    listed: dict[str, dict[str, Any]] = {}
    futures = False
    for line in lines:
        if line.t == "http":
            body = orjson.loads(line.data)
            futures = futures or "fapi.binance.com" in line.url
            listed.update({s["symbol"]: s for s in body.get("symbols", ())})
            symbol = _symbol_of(line.url)
            if symbol is not None and "bids" in body:
                places.see(symbol, body["bids"] + body["asks"])
        elif line.t == "recv":
            message = _message(line)
            if message.get("e") == "depthUpdate":
                futures = futures or "pu" in message
                places.see(message["s"], message["b"] + message["a"])
            elif message.get("e") in ("trade", "aggTrade"):
                places.see(message["s"], [[message["p"], message["q"]]])
    return tuple(_instrument(s, listed.get(s), places.of(s), venue, futures=futures) for s in places.symbols())


def _instrument(
    symbol: str, listed: dict[str, Any] | None, places: tuple[int, int], venue: str, *, futures: bool
) -> Instrument:
    price_places, quantity_places = places
    tick, lot = Decimal(1).scaleb(-price_places), Decimal(1).scaleb(-quantity_places)
    least = min_notional = Decimal(0)
    base, quote = split_pair(symbol) if listed is None else (listed["baseAsset"], listed["quoteAsset"])
    if listed is not None:
        filters = {f["filterType"]: f for f in listed["filters"]}
        tick = plain(filters["PRICE_FILTER"]["tickSize"])
        lot = plain(filters["LOT_SIZE"]["stepSize"])
        least = plain(filters["LOT_SIZE"]["minQty"])
        value = filters.get("MIN_NOTIONAL", filters.get("NOTIONAL", {}))
        min_notional = plain(value.get("minNotional", value.get("notional", "0")))
        # A book may still hold prices of an older, finer tick.
        price_places = max(price_places, decimal_places(tick))
        quantity_places = max(quantity_places, decimal_places(lot))
    rules = InstrumentRules(
        valid_from=0,
        price_tick=tick,
        lot=lot,
        min_quantity=least,
        min_notional=min_notional,
        maker_fee=_FUTURES_MAKER if futures else _SPOT_FEE,
        taker_fee=_FUTURES_TAKER if futures else _SPOT_FEE,
    )
    settle = quote if listed is None else listed.get("marginAsset", quote)
    name = f"{base}/{quote}:{settle}" if futures else f"{base}/{quote}"
    return Instrument(
        id=instrument_id(venue, name),
        venue=VenueId(venue.upper()),
        symbol=name,
        kind=InstrumentKind.LINEAR_PERPETUAL if futures else InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(settle),
        rules=(rules,),
        price_scale=price_places,
        quantity_scale=quantity_places,
    )


class _Stream:
    """One symbol's book on its way from diffs and a snapshot to a live book."""

    __slots__ = ("book", "bridged", "last_id", "waiting")

    def __init__(self, book: FeedBook) -> None:
        self.book = book
        self.last_id = -1
        """Update id up to which the book is known."""
        self.bridged = False
        """Whether a diff has followed the snapshot."""
        self.waiting: deque[dict[str, Any]] = deque(maxlen=_BUFFERED)
        """Diffs that came while there was no book."""

    def diff(self, message: dict[str, Any]) -> list[MarketDatum]:
        """Take a diff in: wait, drop, apply, or lose the book over a gap."""
        book = self.book
        if not book.live:
            self.waiting.append(message)
            return []
        before = message.get("pu")
        if self.bridged:
            follows = before == self.last_id if before is not None else message["U"] == self.last_id + 1
        else:
            meets = self.last_id if before is not None else self.last_id + 1
            if message["u"] < meets:
                return []
            follows = message["U"] <= meets
        ts = message["E"] * _MS
        if not follows:
            self.waiting.append(message)
            return book.lose(ts, f"Update ids do not follow after {self.last_id}.")
        self.bridged = True
        self.last_id = message["u"]
        return [book.update(ts, book.levels(message["b"]), book.levels(message["a"]))]

    def snapshot(self, ts: int, body: dict[str, Any]) -> list[MarketDatum]:
        """Take a REST snapshot in and the diffs that waited for it."""
        book = self.book
        if book.live:
            return []
        self.last_id, self.bridged = body["lastUpdateId"], False
        events = book.snapshot(ts, book.levels(body["bids"]), book.levels(body["asks"]))
        waiting = list(self.waiting)
        self.waiting.clear()
        for message in waiting:
            events += self.diff(message)
        return events


class BinanceParser:
    """Books and trades out of combined-stream messages and REST depth snapshots.

    Args:
        instruments: What `survey` found.
    """

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self._streams = {f"{i.base}{i.quote}": _Stream(FeedBook(i)) for i in instruments}
        self._time = 0

    def last_update_id(self, symbol: str) -> int:
        """Update id up to which a symbol's book is known; -1 while there is none."""
        stream = self._streams[symbol]
        return stream.last_id if stream.book.live else -1

    def feed(self, line: CaptureLine) -> list[MarketDatum]:
        """Events of one line."""
        if line.t == "http":
            return self._rest(line)
        if line.t != "recv":
            return []
        message = _message(line)
        stream = self._streams.get(message.get("s", ""))
        if stream is None:
            return []
        # REST snapshots of the spot market carry no time; the last message's is the nearest.
        self._time = message.get("E", 0) * _MS or self._time
        kind = message.get("e")
        if kind == "depthUpdate":
            return stream.diff(message)
        if kind in ("trade", "aggTrade"):
            return _trade(stream.book, message)
        return []

    def _rest(self, line: CaptureLine) -> list[MarketDatum]:
        body = orjson.loads(line.data)
        if "lastUpdateId" not in body:
            return []
        symbol = _symbol_of(line.url)
        if symbol is None and len(self._streams) == 1:
            symbol = next(iter(self._streams))
        stream = self._streams.get(symbol or "")
        return [] if stream is None else stream.snapshot(body.get("E", 0) * _MS or self._time or line.ts_ns, body)


def _trade(book: FeedBook, message: dict[str, Any]) -> list[MarketDatum]:
    # Futures also print insurance fund and settlement trades, which did not meet the book.
    if message.get("X", "MARKET") != "MARKET":
        return []
    return [
        MarketTrade(
            book.instrument.id,
            message["T"] * _MS,
            TradeId(str(message["t"] if message["e"] == "trade" else message["a"])),
            scaled(message["p"], book.price_places),
            scaled(message["q"], book.quantity_places),
            OrderSide.SELL if message["m"] else OrderSide.BUY,
        )
    ]


def _message(line: CaptureLine) -> dict[str, Any]:
    """The payload inside a combined stream's envelope, or the bare one."""
    body = orjson.loads(line.data)
    if not isinstance(body, dict):
        return {}
    inner = body.get("data", body)
    return inner if isinstance(inner, dict) else {}


def _symbol_of(url: str) -> str | None:
    found = parse_qs(urlsplit(url).query).get("symbol")
    return found[0].upper() if found else None

"""Captures of OKX: books by snapshot and update, checked by checksum and sequence where they carry them.

The checksum is the signed CRC32 of `bid:size:ask:size:...` over the best 25 levels a side in the strings as sent;
the exchange dropped it later, when `seqId` and `prevSeqId` had taken its place. Options are left out: the house trades
none.
"""

from __future__ import annotations

import zlib
from decimal import Decimal
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import orjson

from engine.errors import DataValidationError
from engine.model.ids import Currency, TradeId, VenueId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.market import BookUpdate, MarketDatum, MarketTrade, OrderBook
from engine.model.order import OrderSide
from engine.venues.markets.capture import CaptureLine, FeedBook, Places, scaled
from engine.venues.markets.listing import decimal_places, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["OkxParser", "survey"]

_MS = 1_000_000
_CHECKED_LEVELS = 25
_MAKER, _TAKER = Decimal("0.0008"), Decimal("0.001")
"""Published fees of an account without volume; a capture does not hold any."""


def survey(lines: Iterable[CaptureLine], venue: str) -> tuple[Instrument, ...]:
    """Instruments of a capture: rules from recorded instrument lists, else as fine as the prices and sizes seen."""
    places = Places()
    listed: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line.t == "http" and "/public/instruments" in line.url:
            listed.update({i["instId"]: i for i in orjson.loads(line.data).get("data", ())})
        elif line.t == "recv":
            body = orjson.loads(line.data)
            name = body.get("arg", {}).get("instId", "")
            for item in body.get("data", ()):
                if _is_book(body):
                    places.see(name, item["bids"] + item["asks"])
                elif body["arg"]["channel"] == "trades":
                    places.see(name, [[item["px"], item["sz"]]])
    found = (_instrument(name, listed.get(name), places.of(name), venue) for name in places.symbols())
    return tuple(instrument for instrument in found if instrument is not None)


def _instrument(name: str, listed: dict[str, Any] | None, places: tuple[int, int], venue: str) -> Instrument | None:
    kind = _kind(name, listed)
    if kind is None:
        return None
    base, quote = name.split("-")[:2]
    settle = quote
    if kind is not InstrumentKind.SPOT:
        settle = listed["settleCcy"] if listed is not None else base if quote == "USD" else quote
    symbol = f"{base}/{quote}"
    if kind is not InstrumentKind.SPOT:
        symbol += f":{settle}"
    if kind is InstrumentKind.DATED_FUTURE:
        symbol += f"-{name.split('-')[2]}"
    known = listed or {}
    tick = _number(known.get("tickSz"), Decimal(1).scaleb(-places[0]))
    lot = _number(known.get("lotSz"), Decimal(1).scaleb(-places[1]))
    rules = InstrumentRules(
        valid_from=0,
        price_tick=tick,
        lot=lot,
        min_quantity=_number(known.get("minSz"), lot),
        maker_fee=_MAKER,
        taker_fee=_TAKER,
    )
    return Instrument(
        id=instrument_id(venue, symbol),
        venue=VenueId(venue.upper()),
        symbol=symbol,
        kind=kind,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(settle),
        rules=(rules,),
        multiplier=_number(known.get("ctVal"), Decimal(1)) if kind is not InstrumentKind.SPOT else Decimal(1),
        price_scale=max(places[0], decimal_places(tick)),
        quantity_scale=max(places[1], decimal_places(lot)),
    )


def _kind(name: str, listed: dict[str, Any] | None) -> InstrumentKind | None:
    """Kind by the shape of the name: `A-B`, `A-B-SWAP`, `A-B-yymmdd`; None for options."""
    parts = name.split("-")
    if len(parts) == 2:
        return InstrumentKind.SPOT
    if len(parts) != 3:
        return None
    if parts[2] != "SWAP":
        return InstrumentKind.DATED_FUTURE
    inverse = listed["ctType"] == "inverse" if listed is not None else parts[1] == "USD"
    return InstrumentKind.INVERSE_PERPETUAL if inverse else InstrumentKind.LINEAR_PERPETUAL


def _number(text: str | None, default: Decimal) -> Decimal:
    return plain(text) if text else default


def _is_book(body: dict[str, Any]) -> bool:
    return "action" in body and str(body["arg"]["channel"]).startswith("books")


class _Channel:
    """The book of one instrument with what is needed to check it."""

    def __init__(self, book: FeedBook) -> None:
        self.feed = book
        self.book = OrderBook(book.instrument.id)
        self.last_seq = -1
        self.texts: dict[tuple[int, int], tuple[str, str]] = {}
        """Price and size as sent, by side (0 bids, 1 asks) and scaled price."""

    def keep_texts(self, side: int, raw: Iterable[list[str]], levels: Iterable[tuple[int, int]]) -> None:
        for level, (price, quantity) in zip(raw, levels, strict=True):
            if quantity:
                self.texts[side, price] = (level[0], level[1])
            else:
                self.texts.pop((side, price), None)

    def checksum(self) -> int:
        """Of the best 25 levels a side, as the exchange computes it."""
        bids = [self.texts[0, p] for p, _ in self.book.top_bids(_CHECKED_LEVELS)]
        asks = [self.texts[1, p] for p, _ in self.book.top_asks(_CHECKED_LEVELS)]
        parts: list[str] = []
        for bid, ask in zip_longest(bids, asks, fillvalue=()):
            parts += [*bid, *ask]
        unsigned = zlib.crc32(":".join(parts).encode())
        return unsigned - (1 << 32) if unsigned >= 1 << 31 else unsigned


class OkxParser:
    """Books and trades out of public channel messages.

    Args:
        instruments: What `survey` found.
    """

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self._channels = {_native_name(i): _Channel(FeedBook(i)) for i in instruments}
        self.checked = 0
        """Checksums that held so far."""

    def feed(self, line: CaptureLine) -> list[MarketDatum]:
        """Events of one line."""
        if line.t != "recv":
            return []
        body = orjson.loads(line.data)
        channel = self._channels.get(body.get("arg", {}).get("instId", ""))
        if channel is None or "data" not in body:
            return []
        if _is_book(body):
            return [e for item in body["data"] for e in self._book(channel, body["action"], item)]
        if body["arg"]["channel"] == "trades":
            return [_trade(channel.feed, item) for item in body["data"]]
        return []

    def _book(self, channel: _Channel, action: str, item: dict[str, Any]) -> list[MarketDatum]:
        feed, ts = channel.feed, int(item["ts"]) * _MS
        seq, before = item.get("seqId"), item.get("prevSeqId")
        if action == "snapshot":
            channel.texts.clear()
        elif not feed.live:
            return []
        elif before is not None and before != channel.last_seq:
            return feed.lose(ts, f"Sequence {before} does not follow {channel.last_seq}.")
        bids, asks = feed.levels(item["bids"]), feed.levels(item["asks"])
        channel.keep_texts(0, item["bids"], bids)
        channel.keep_texts(1, item["asks"], asks)
        events: list[MarketDatum] = feed.snapshot(ts, bids, asks) if action == "snapshot" else []
        if action != "snapshot":
            events.append(feed.update(ts, bids, asks))
        channel.last_seq = seq if seq is not None else -1
        for event in events:
            if isinstance(event, BookUpdate):
                channel.book.apply(event)
        if "checksum" in item:
            if channel.checksum() != item["checksum"]:
                return feed.lose(ts, "The book's checksum does not hold.")
            self.checked += 1
        return events


def _native_name(instrument: Instrument) -> str:
    """The exchange's own name of an instrument."""
    name = f"{instrument.base}-{instrument.quote}"
    if instrument.kind is InstrumentKind.DATED_FUTURE:
        return f"{name}-{instrument.symbol.rpartition('-')[2]}"
    return name if instrument.kind is InstrumentKind.SPOT else f"{name}-SWAP"


def _trade(feed: FeedBook, item: dict[str, str]) -> MarketTrade:
    if item["side"] not in ("buy", "sell"):
        raise DataValidationError(f"A trade of {feed.instrument.id} has the side {item['side'][:20]!r}.")
    return MarketTrade(
        feed.instrument.id,
        int(item["ts"]) * _MS,
        TradeId(item["tradeId"]),
        scaled(item["px"], feed.price_places),
        scaled(item["sz"], feed.quantity_places),
        OrderSide(item["side"]),
    )

"""Captures of Coinbase: Advanced Trade (`l2_data`, `market_trades`) and the older Exchange feed (`l2update`, `match`).

Advanced Trade numbers all messages of a connection (`sequence_num`); a gap means that any book may have missed
something. The older feed numbers no book messages. Both name the maker's side of a trade; the aggressor is the other.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from engine.model.ids import TradeId
from engine.model.market import MarketDatum, MarketTrade
from engine.model.order import OrderSide
from engine.venues.markets.capture import CaptureLine, FeedBook, Places, iso_ns, scaled
from engine.venues.markets.listing import decimal_places, plain, spot_instrument

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.model.instrument import Instrument

__all__ = ["CoinbaseParser", "survey"]

_FEE = Decimal("0.006")
"""Published taker fee of an account without volume; a capture does not hold any."""


def survey(lines: Iterable[CaptureLine], venue: str) -> tuple[Instrument, ...]:
    """Instruments of a capture: rules from a recorded product list, else as fine as the prices and sizes seen."""
    places = Places()
    listed: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line.t == "http" and "products" in line.url:
            body = orjson.loads(line.data)
            products = body if isinstance(body, list) else body.get("products", ())
            listed.update({p.get("product_id", p.get("id")): p for p in products})
        elif line.t == "recv":
            for product, levels in _numbers(orjson.loads(line.data)):
                places.see(product, levels)
    return tuple(_instrument(p, listed.get(p, {}), places.of(p), venue) for p in places.symbols())


def _numbers(body: dict[str, Any]) -> Iterable[tuple[str, list[list[str]]]]:
    """All (price, size) pairs of a message, by product."""
    kind = body.get("type")
    if kind == "snapshot":
        yield body["product_id"], body["bids"] + body["asks"]
    elif kind == "l2update":
        yield body["product_id"], [c[1:] for c in body["changes"]]
    elif kind == "match":
        yield body["product_id"], [[body["price"], body["size"]]]
    elif body.get("channel") == "l2_data":
        for event in body["events"]:
            yield event["product_id"], [[u["price_level"], u["new_quantity"]] for u in event["updates"]]
    elif body.get("channel") == "market_trades":
        for event in body["events"]:
            for trade in event["trades"]:
                yield trade["product_id"], [[trade["price"], trade["size"]]]


def _instrument(product: str, listed: dict[str, Any], places: tuple[int, int], venue: str) -> Instrument:
    tick = _number(listed.get("price_increment", listed.get("quote_increment")))
    lot = _number(listed.get("base_increment"))
    least = _number(listed.get("quote_min_size", listed.get("min_market_funds")))
    return spot_instrument(
        venue,
        product.replace("-", "/"),
        price_places=max(places[0], decimal_places(tick or Decimal(0))),
        quantity_places=max(places[1], decimal_places(lot or Decimal(0))),
        tick=tick,
        lot=lot,
        min_notional=least if least is not None else Decimal(0),
        fee=_FEE,
    )


def _number(text: str | None) -> Decimal | None:
    return plain(text) if text else None


class CoinbaseParser:
    """Books and trades out of the messages of either feed.

    Args:
        instruments: What `survey` found.
    """

    def __init__(self, instruments: tuple[Instrument, ...]) -> None:
        self._feeds = {i.symbol.replace("/", "-"): FeedBook(i) for i in instruments}
        self._sequences: dict[str, int] = {}
        self._time = 0

    def feed(self, line: CaptureLine) -> list[MarketDatum]:
        """Events of one line."""
        if line.t != "recv":
            return []
        body = orjson.loads(line.data)
        if "channel" in body:
            return self._advanced(line.conn, body)
        return self._exchange(line, body)

    def _advanced(self, connection: str, body: dict[str, Any]) -> list[MarketDatum]:
        ts = iso_ns(body["timestamp"])
        events: list[MarketDatum] = []
        number, last = body["sequence_num"], self._sequences.get(connection)
        if last is not None and number != last + 1:
            reason = f"Message {number} does not follow {last}."
            events += [e for feed in self._feeds.values() for e in feed.lose(ts, reason)]
        self._sequences[connection] = number
        for event in body["events"]:
            if body["channel"] == "l2_data":
                events += self._levels(ts, event)
            elif body["channel"] == "market_trades" and event["type"] == "update":
                # Newest first as sent; the snapshot tells of trades before the connection and is left out.
                events += [self._trade(t["product_id"], t) for t in reversed(event["trades"])]
        return events

    def _levels(self, ts: int, event: dict[str, Any]) -> list[MarketDatum]:
        feed = self._feeds[event["product_id"]]
        bids = feed.levels([u["price_level"], u["new_quantity"]] for u in event["updates"] if u["side"] == "bid")
        asks = feed.levels([u["price_level"], u["new_quantity"]] for u in event["updates"] if u["side"] != "bid")
        if event["type"] == "snapshot":
            return feed.snapshot(ts, bids, asks)
        return [feed.update(ts, bids, asks)] if feed.live else []

    def _exchange(self, line: CaptureLine, body: dict[str, Any]) -> list[MarketDatum]:
        feed = self._feeds.get(body.get("product_id", ""))
        if feed is None:
            return []
        kind = body["type"]
        if "time" in body and kind in ("l2update", "match"):
            self._time = iso_ns(body["time"])
        if kind == "snapshot":
            return feed.snapshot(self._time or line.ts_ns, feed.levels(body["bids"]), feed.levels(body["asks"]))
        if kind == "l2update" and feed.live:
            bids = feed.levels(c[1:] for c in body["changes"] if c[0] == "buy")
            asks = feed.levels(c[1:] for c in body["changes"] if c[0] == "sell")
            return [feed.update(self._time, bids, asks)]
        return [self._trade(body["product_id"], body)] if kind == "match" else []

    def _trade(self, product: str, trade: dict[str, Any]) -> MarketTrade:
        feed = self._feeds[product]
        return MarketTrade(
            feed.instrument.id,
            iso_ns(trade["time"]),
            TradeId(str(trade["trade_id"])),
            scaled(trade["price"], feed.price_places),
            scaled(trade["size"], feed.quantity_places),
            OrderSide(trade["side"].lower()).opposite,
        )

"""Coinbase's streams: channels by product, one count over all messages of a connection, the account's orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine.model.market import BookUpdate, MarketTrade
from tests.wire.coinbase.keys import key_of_token
from tests.wire.coinbase.orders import CoinbaseOrders
from tests.wire.coinbase.words import iso, product_id, text, user_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketDatum
    from tests.wire.exchange import Notice
    from tests.wire.ledger import WireOrder
    from tests.wire.sockets import Socket

__all__ = ["CoinbaseStreams"]

_PAGE = 50
_TRADES = 100
_CANDLES = 100
_NS = 1_000_000_000
_BATCH_NS = 5 * _NS
"""Between two tickers of a product on `ticker_batch`."""
_PUBLIC = {"level2", "market_trades", "ticker", "ticker_batch", "candles", "status", "heartbeats"}
_ALL = ""


class CoinbaseStreams(CoinbaseOrders):
    """Connections of clients."""

    def begin_streams(self) -> None:
        """Listen to the exchange."""
        self.beats = 40_000
        self._batched: dict[str, int] = {}
        self.exchange.public.append(self._on_market)
        self.exchange.private.append(self._on_notice)
        self._beat_at = self.exchange.clock.now()
        self.exchange.at(self._beat_at, self._beat)

    def accept(self, socket: Socket) -> Callable[[Any], None] | None:
        """Take over a connection: market data and accounts come over the same paths."""
        socket.state = {"channels": {}, "account": None, "count": 0}
        return lambda data: self._hear(socket, data)

    # --- what clients say --------------------------------------------------------------------------------------------

    def _hear(self, socket: Socket, data: Any) -> None:
        self.exchange.follow()
        try:
            told = msgspec.json.decode(data)
            verb, channel = told["type"], told["channel"]
            products = [str(p) for p in told.get("product_ids") or ()]
        except (msgspec.DecodeError, KeyError, TypeError):
            self._fail(socket, "failure to process message")
            return
        if channel not in _PUBLIC | {"user"} or verb not in ("subscribe", "unsubscribe"):
            self._fail(socket, f"channel {channel} is not supported")
        elif unknown := [p for p in products if p not in self._by_product]:
            self._fail(socket, f"{unknown[0]} is not a valid product")
        elif verb == "unsubscribe":
            self._leave(socket, channel, products)
        else:
            self._join(socket, channel, products, told.get("jwt"))

    def _fail(self, socket: Socket, words: str) -> None:
        socket.send({"type": "error", "message": words})

    def _join(self, socket: Socket, channel: str, products: list[str], token: Any) -> None:
        if channel == "user":
            now_s = self.exchange.now() / _NS
            key = key_of_token(token, self.exchange.keys, now_s) if isinstance(token, str) else None
            if key is None or not key.read:
                self._fail(socket, "authentication failure")
                return
            socket.private = True
            socket.state["account"] = key.account
        wanted = socket.state["channels"].setdefault(channel, {})
        fresh = [p for p in (self._canonical(p) for p in products or [_ALL]) if p not in wanted]
        wanted.update(dict.fromkeys(fresh))
        self._snapshots(socket, channel, fresh)
        self._confirm(socket)

    def _leave(self, socket: Socket, channel: str, products: list[str]) -> None:
        wanted = socket.state["channels"].get(channel, {})
        for product in products or list(wanted):
            wanted.pop(self._canonical(product), None)
        if not wanted:
            socket.state["channels"].pop(channel, None)
        self._confirm(socket)

    def _canonical(self, product: str) -> str:
        """The product whose book a product shares."""
        shared = product[:-1] if product.endswith("-USDC") else product
        return shared if shared in self._by_product else product

    def _confirm(self, socket: Socket) -> None:
        state = {
            name: [name] if name == "heartbeats" else [p for p in products if p] or [name]
            for name, products in socket.state["channels"].items()
        }
        self._say(socket, "subscriptions", [{"subscriptions": state}], "subscriptions")

    # --- what is said ------------------------------------------------------------------------------------------------

    def _say(self, socket: Socket, channel: str, events: list[Any], kind: str) -> None:
        """One message with the connection's next number; a message that is lost has one too."""
        number = socket.state["count"]
        socket.state["count"] = number + 1
        message = {
            "channel": channel,
            "timestamp": iso(self.exchange.now(), 9),
            "sequence_num": number,
            "events": events,
        }
        socket.send(message, kind)

    def _snapshots(self, socket: Socket, channel: str, products: Sequence[str]) -> None:
        if channel == "user":
            self._open_orders(socket)
            return
        named = {"level2": "l2_data"}.get(channel, channel)
        for details in (self._by_product[product] for product in products if product):
            event = self._snapshot(channel, details)
            if event is not None:
                self._say(socket, named, [{"type": "snapshot", **event}], f"{named}_snapshot")

    def _snapshot(self, channel: str, details: Instrument) -> dict[str, Any] | None:
        if channel == "level2":
            return self._book_event(details, self._whole(details))
        if channel == "market_trades":
            trades = list(self.exchange.tapes[details.id].trades)[-_TRADES:]
            # The real venue has always traded before.
            return {"trades": [self.trade_row(details, trade) for trade in reversed(trades)]} if trades else None
        if channel in ("ticker", "ticker_batch"):
            row = self._ticker_row(details)
            return None if row is None else {"tickers": [row]}
        return {"candles": self._candles(details)} if channel == "candles" else None

    def _whole(self, details: Instrument) -> BookUpdate:
        return self.exchange.books[details.id].to_snapshot()

    def _book_event(self, details: Instrument, update: BookUpdate) -> dict[str, Any]:
        at = iso(self.exchange.shown(update.ts))
        return {
            "type": "snapshot" if update.snapshot else "update",
            "product_id": product_id(details.id),
            "updates": [
                {
                    "side": side,
                    "event_time": at,
                    "price_level": text(details.price_from_int(price)),
                    "new_quantity": text(details.quantity_from_int(quantity)),
                }
                for side, levels in (("bid", update.bids), ("offer", update.asks))
                for price, quantity in levels
            ],
        }

    def _ticker_row(self, details: Instrument) -> dict[str, Any] | None:
        day = self.exchange.tapes[details.id].day(self.exchange.clock.now())
        bids, asks = (side(1) for side in (self._top(details, "top_bids"), self._top(details, "top_asks")))
        if day is None or not bids or not asks:
            return None
        return {
            "type": "ticker",
            "product_id": product_id(details.id),
            "price": text(day.last),
            "volume_24_h": text(day.volume),
            "low_24_h": text(day.low),
            "high_24_h": text(day.high),
            "low_52_w": text(day.low),
            "high_52_w": text(day.high),
            "price_percent_chg_24_h": f"{(day.last / day.open - 1) * 100 if day.open else 0:.14f}",
            "best_bid": text(details.price_from_int(bids[0][0])),
            "best_ask": text(details.price_from_int(asks[0][0])),
            "best_bid_quantity": text(details.quantity_from_int(bids[0][1])),
            "best_ask_quantity": text(details.quantity_from_int(asks[0][1])),
        }

    def _top(self, details: Instrument, name: str) -> Callable[[int], list[tuple[int, int]]]:
        found: Callable[[int], list[tuple[int, int]]] = getattr(self.exchange.books[details.id], name)
        return found

    def _candles(self, details: Instrument, count: int = _CANDLES) -> list[dict[str, str]]:
        now, places = self.exchange.clock.now(), details.price_scale
        found = self.exchange.tapes[details.id].candles("5m", None, now, count, now)
        return [
            {
                "start": str(candle.ts // _NS),
                "high": f"{candle.high:.{places}f}",
                "low": f"{candle.low:.{places}f}",
                "open": f"{candle.open:.{places}f}",
                "close": f"{candle.close:.{places}f}",
                "volume": f"{candle.volume:.8f}",
                "product_id": product_id(details.id),
            }
            for candle in found
        ]

    # --- what happens ------------------------------------------------------------------------------------------------

    def _listening(self, channel: str, product: str) -> list[Socket]:
        return [s for s in self.sockets if product in s.state["channels"].get(channel, {})]

    def _on_market(self, event: MarketDatum) -> None:
        name = product_id(event.instrument)
        if self._canonical(name) != name:
            return
        details = self.exchange.instruments[event.instrument]
        if isinstance(event, BookUpdate):
            for socket in self._listening("level2", name):
                self._say(socket, "l2_data", [self._book_event(details, event)], "l2_data_update")
        elif isinstance(event, MarketTrade):
            self._on_trade(name, details, event)

    def _on_trade(self, name: str, details: Instrument, trade: MarketTrade) -> None:
        for socket in self._listening("market_trades", name):
            rows = [self.trade_row(details, trade)]
            self._say(socket, "market_trades", [{"type": "update", "trades": rows}], "market_trades_update")
        now = self.exchange.clock.now()
        batch = now - self._batched.get(name, 0) >= _BATCH_NS
        for channel in ("ticker", "ticker_batch") if batch else ("ticker",):
            for socket in self._listening(channel, name):
                row = self._ticker_row(details)
                if row is not None:
                    self._say(socket, channel, [{"type": "update", "tickers": [row]}], "ticker_update")
        if batch:
            self._batched[name] = now
        for socket in self._listening("candles", name):
            rows = self._candles(details, 1)
            self._say(socket, "candles", [{"type": "update", "candles": rows}], "candles_update")

    def _beat(self) -> None:
        self.beats += 1
        self._beat_at += _NS
        self.exchange.at(self._beat_at, self._beat)
        now = self.exchange.now()
        told = {
            "current_time": iso(now, 9).replace("T", " ").replace("Z", " +0000 UTC") + f" m=+{self.beats}.000000001",
            "heartbeat_counter": self.beats,
        }
        for socket in self.sockets:
            if "heartbeats" in socket.state["channels"]:
                self._say(socket, "heartbeats", [told], "heartbeats")

    # --- accounts ----------------------------------------------------------------------------------------------------

    def _hearing(self, account: AccountId, instrument: InstrumentId) -> list[Socket]:
        name = self._canonical(product_id(instrument))
        found = []
        for socket in self.sockets:
            wanted = socket.state["channels"].get("user", {})
            if socket.state["account"] == account and (_ALL in wanted or name in wanted):
                found.append(socket)
        return found

    def _on_notice(self, notice: Notice) -> None:
        for socket in self._hearing(notice.account, notice.order.command.instrument):
            self._say_orders(socket, "update", [notice.order])

    def _open_orders(self, socket: Socket) -> None:
        orders = self.exchange.open(socket.state["account"])
        for start in range(0, len(orders) or 1, _PAGE):
            self._say_orders(socket, "snapshot", orders[start : start + _PAGE])

    def _say_orders(self, socket: Socket, kind: str, orders: Sequence[WireOrder]) -> None:
        rows = [user_row(order, self.exchange.shown) for order in orders]
        self._say(socket, "user", [{"type": kind, "orders": rows}], f"user_{kind}")

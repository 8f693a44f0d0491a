"""OKX's WebSocket: login, subscriptions, books every 100 ms, trades, candles, and an account's reports."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from engine.events import OrderAmended, OrderFilled, OrderTriggered
from engine.model.instrument import InstrumentKind
from engine.model.market import BookUpdate, MarketTrade
from tests.wire.okx.common import sign
from tests.wire.okx.market_requests import BARS, SEQ
from tests.wire.okx.order_requests import OrderRequests
from tests.wire.okx.rows import (
    balance_row,
    candle_row,
    inst_id,
    inst_type,
    is_algo,
    levels,
    order_row,
    position_row,
    pushed_fill,
    text,
    trade_row,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.ids import AccountId, Currency
    from engine.model.instrument import Instrument
    from engine.model.market import MarketDatum
    from tests.wire.exchange import Exchange, Notice
    from tests.wire.sockets import Socket

__all__ = ["OkxStreams"]

PRIVATE = {"private": {"orders", "account", "positions", "fills"}, "business": {"orders-algo"}}
PUBLIC = {
    "books",
    "books5",
    "bbo-tbt",
    "trades",
    "tickers",
    "mark-price",
    "index-tickers",
    "funding-rate",
    "instruments",
}
DEPTHS = {"books": 400, "books5": 5, "bbo-tbt": 1}
_BOOK_S = 0.1
_MARK_S = 0.2


class _Line:
    """One subscription of one connection."""

    def __init__(self, arg: dict[str, str], details: Instrument | None) -> None:
        self.arg = arg
        self.channel = arg["channel"]
        self.details = details
        self.seq = -1
        self.shown: tuple[dict[int, int], dict[int, int]] = ({}, {})
        self.due = False
        self.bar = -1
        """Opening time of the last bar told; -1 before the first."""


class OkxStreams(OrderRequests):
    """Takes over connections to `/ws/v5/public`, `/private` and `/business`."""

    def __init__(self, exchange: Exchange, **more: Any) -> None:
        super().__init__(exchange, **more)
        self._ids = count(0xA4D3AE55)
        exchange.public.append(self._on_market)
        exchange.private.append(self._on_notice)
        exchange.money.append(self._on_money)
        exchange.after(_MARK_S, self._beat)

    # --- connections -------------------------------------------------------------------------------------------------

    def accept(self, socket: Socket) -> Callable[[Any], None] | None:
        """Take a connection over."""
        path = socket.path.partition("?")[0]
        if not path.startswith("/ws/v5/"):
            return None
        kind = path.removeprefix("/ws/v5/")
        if kind not in ("public", "private", "business"):
            return None
        socket.state = {"kind": kind, "lines": {}, "id": f"{next(self._ids):08x}", "account": None}
        return lambda data: self._hear(socket, data)

    def _hear(self, socket: Socket, data: Any) -> None:
        self.exchange.follow()
        said = data if isinstance(data, bytes) else data.encode()
        if said == b"ping":
            socket.text("pong")
            return
        try:
            message = msgspec.json.decode(said)
        except msgspec.DecodeError:
            self._error(socket, "60012", f"Invalid request: {said[:80].decode()}")
            return
        op, args = message.get("op"), message.get("args", [])
        self.counts[f"WS {op}"] += 1
        if op == "login":
            self._login(socket, args)
        elif op in ("subscribe", "unsubscribe"):
            for arg in args:
                (self._subscribe if op == "subscribe" else self._unsubscribe)(socket, arg, str(message.get("id", "")))
        else:
            self._error(socket, "60012", f"Invalid request: {said[:80].decode()}")

    def _error(self, socket: Socket, code: str, words: str) -> None:
        socket.send({"event": "error", "code": code, "msg": words, "connId": socket.state["id"]})

    def _login(self, socket: Socket, args: list[dict[str, str]]) -> None:
        row = args[0] if args else {}
        key, stamp = self.exchange.keys.find(row.get("apiKey", "")), row.get("timestamp", "")
        if key is None or key.expired:
            self._error(socket, "60005", "Invalid apiKey")
        elif key.passphrase != row.get("passphrase"):
            self._error(socket, "60024", "Wrong passphrase")
        elif not stamp.isdecimal() or abs(int(stamp) * 1000 - self.exchange.ms()) > 30_000:
            self._error(socket, "60006", "Timestamp request expired")
        elif row.get("sign") != sign(key.secret, f"{stamp}GET/users/self/verify"):
            self._error(socket, "60007", "Invalid sign")
        else:
            socket.private = True
            socket.state["account"] = key.account
            socket.send({"event": "login", "code": "0", "msg": "", "connId": socket.state["id"]})

    def _subscribe(self, socket: Socket, arg: dict[str, str], request: str) -> None:
        channel, kind = arg.get("channel", ""), socket.state["kind"]
        bar = channel.removeprefix("candle") if channel.startswith("candle") else ""
        mine = channel in PRIVATE.get(kind, ())
        if mine and socket.state["account"] is None:
            self._error(socket, "60011", "Please log in")
            return
        if not mine and not (kind == "public" and channel in PUBLIC) and not (kind == "business" and bar in BARS):
            self._error(socket, "60018", f"Wrong URL or {_named(arg)} doesn't exist. Please use the correct URL.")
            return
        name = arg.get("instId", "")
        details = self._meant(channel, name)
        if not mine and details is None and channel != "instruments":
            self._error(socket, "60018", f"Wrong URL or {_named(arg)} doesn't exist. Please use the correct URL.")
            return
        line = _Line(arg, details)
        socket.state["lines"][msgspec.json.encode(sorted(arg.items()))] = line
        answer: dict[str, Any] = {"event": "subscribe", "arg": arg, "connId": socket.state["id"]}
        socket.send(answer | ({"id": request} if request else {}))
        if mine:
            self._count_connections(socket, channel)
        self._begin(socket, line)

    def _meant(self, channel: str, name: str) -> Instrument | None:
        if channel == "index-tickers":
            # An index is that of the pair, whoever follows it.
            return self.by_name.get(name) or self.by_name.get(f"{name}-SWAP")
        return self.by_name.get(name)

    def _count_connections(self, socket: Socket, channel: str) -> None:
        """OKX tells how many connections have a private channel."""
        account = socket.state["account"]
        lines = (line for s in self.sockets if s.state.get("account") == account for line in s.state["lines"].values())
        number = sum(line.channel == channel for line in lines)
        socket.send(
            {
                "event": "channel-conn-count",
                "channel": channel,
                "connCount": str(number),
                "connId": socket.state["id"],
            }
        )

    def _unsubscribe(self, socket: Socket, arg: dict[str, str], request: str) -> None:
        socket.state["lines"].pop(msgspec.json.encode(sorted(arg.items())), None)
        answer: dict[str, Any] = {"event": "unsubscribe", "arg": arg, "connId": socket.state["id"]}
        socket.send(answer | ({"id": request} if request else {}))

    def upgrade(self) -> None:
        """Tell every connection that it will soon be closed."""
        for socket in list(self.sockets):
            words = "The connection will soon be closed for a service upgrade. Please reconnect."
            socket.send({"event": "notice", "code": "64008", "msg": words, "connId": socket.state["id"]})

    # --- the market --------------------------------------------------------------------------------------------------

    def _begin(self, socket: Socket, line: _Line) -> None:
        """What a channel sends at once."""
        if line.channel in DEPTHS:
            self._book(socket, line)
        elif line.channel == "account":
            self._push(socket, line, [self.balance_of(socket.state["account"])])
        elif line.channel == "positions":
            self._push(socket, line, self.positions_of(socket.state["account"]))
        elif line.channel in ("mark-price", "index-tickers", "funding-rate", "tickers"):
            self._value(socket, line)

    def _push(self, socket: Socket, line: _Line, rows: list[Any], **more: Any) -> None:
        socket.send({"arg": line.arg, **more, "data": rows}, line.channel)

    def _lines(self) -> list[tuple[Socket, _Line]]:
        return [(s, line) for s in list(self.sockets) for line in list(s.state.get("lines", {}).values())]

    def _on_market(self, event: MarketDatum) -> None:
        for socket, line in self._lines():
            if line.details is None or line.details.id != event.instrument:
                continue
            if isinstance(event, BookUpdate) and line.channel in DEPTHS and not line.due:
                line.due = True
                self.exchange.after(_BOOK_S, lambda s=socket, k=line: self._book(s, k))  # type: ignore[misc]
            elif isinstance(event, MarketTrade):
                self._trade(socket, line, event)

    def _trade(self, socket: Socket, line: _Line, trade: MarketTrade) -> None:
        details = line.details
        assert details is not None
        if line.channel == "trades":
            number = SEQ + self.exchange.books[details.id].seq
            more = {"count": "1", "source": "0", "seqId": number}
            self._push(socket, line, [trade_row(details, trade, self.exchange) | more])
        elif line.channel == "tickers":
            self._push(socket, line, [self.ticker(details)])
        elif line.channel.startswith("candle"):
            timeframe = BARS[line.channel.removeprefix("candle")]
            bar = self.exchange.tapes[details.id].bar(timeframe, self.exchange.clock.now())
            candle = bar.builder.growing
            if bar.closed is not None and 0 <= line.bar == bar.closed[0].ts:
                self._push(socket, line, [candle_row(details, bar.closed[0], closed=True)])
            if candle is not None:
                line.bar = candle.ts
                self._push(socket, line, [candle_row(details, candle, closed=False)])

    def _book(self, socket: Socket, line: _Line) -> None:
        """The whole book at first and for the short channels; what changed since the last time for `books`."""
        line.due = False
        details, depth = line.details, DEPTHS[line.channel]
        if socket.closed or details is None:
            return
        book = self.exchange.books[details.id]
        now = book.top_bids(depth), book.top_asks(depth)
        seq, before = SEQ + book.seq, line.seq
        if line.channel == "books" and before >= 0:
            changed = [_difference(old, dict(new)) for old, new in zip(line.shown, now, strict=True)]
            more: dict[str, Any] = {"action": "update"}
            numbers = {"seqId": seq, "prevSeqId": before}
        else:
            changed = list(now)
            more = {"action": "snapshot"} if line.channel == "books" else {}
            numbers = {"seqId": seq, **({"prevSeqId": -1} if line.channel == "books" else {})}
        line.seq, line.shown = seq, (dict(now[0]), dict(now[1]))
        row = {
            "asks": levels(details, changed[1]),
            "bids": levels(details, changed[0]),
            "ts": str(self.exchange.ms()),
            **numbers,
        }
        if line.channel == "books5":
            row["instId"] = inst_id(details)
        self._push(socket, line, [row], **more)

    def _value(self, socket: Socket, line: _Line) -> None:
        details = line.details
        assert details is not None
        rows = {
            "mark-price": self.mark_row,
            "index-tickers": self.index_row,
            "funding-rate": self.funding_row,
            "tickers": self.ticker,
        }
        self._push(socket, line, [rows[line.channel](details)])

    def _beat(self) -> None:
        """Mark and index prices go out all the time."""
        for socket, line in self._lines():
            if line.channel in ("mark-price", "index-tickers"):
                self._value(socket, line)
        self.exchange.after(_MARK_S, self._beat)

    # --- accounts ----------------------------------------------------------------------------------------------------

    def positions_of(self, account: AccountId) -> list[dict[str, Any]]:
        """Open positions."""
        found = self.exchange.positions(account)
        return [position_row(p, self.exchange.instruments[p.instrument], self.exchange) for p in found]

    def balance_of(self, account: AccountId) -> dict[str, Any]:
        """Everything in the trading account."""
        profit: dict[str, Decimal] = {}
        for position in self.exchange.positions(account):
            settle = self.exchange.instruments[position.instrument].settle
            profit[settle] = profit.get(settle, Decimal(0)) + position.unrealised
        return balance_row(self.exchange.balances(account), profit, self.exchange)

    def _mine(self, account: AccountId, channel: str) -> list[tuple[Socket, _Line]]:
        return [(s, k) for s, k in self._lines() if s.state["account"] == account and k.channel == channel]

    def _on_money(self, account: AccountId, currency: Currency, amount: Any) -> None:
        for socket, line in self._mine(account, "account"):
            self._push(socket, line, [self.balance_of(account)])

    def _on_notice(self, notice: Notice) -> None:
        order, event = notice.order, notice.event
        details = self.exchange.instruments[order.command.instrument]
        uid = {"uid": "77982378738415879"}
        waiting = is_algo(order) and (not order.triggered or isinstance(event, OrderTriggered))
        if waiting:
            row = self.algo(order) | self._change(notice) | {"notionalUsd": "", "reqId": ""}
            del row["activePx"], row["triggerPxType"]
            self._report(notice.account, "orders-algo", details, row, uid)
        if not waiting or isinstance(event, OrderTriggered):
            fill = event.fill if isinstance(event, OrderFilled) else None
            row = order_row(order, details, self.exchange)
            row |= pushed_fill(fill, self.exchange) | self._change(notice) | _PUSHED_ONLY
            row["notionalUsd"] = text(order.value)
            row["tradeQuoteCcy"] = details.quote
            self._report(notice.account, "orders", details, row, uid)
        self._on_money(notice.account, details.quote, None)
        if isinstance(event, OrderFilled) and details.kind is InstrumentKind.LINEAR_PERPETUAL:
            self._on_position(notice.account, details)

    def _on_position(self, account: AccountId, details: Instrument) -> None:
        """Tell how a position is after an execution, a closed one too."""
        rows = [row for row in self.positions_of(account) if row["instId"] == inst_id(details)]
        mode = self.exchange.margin(account, details.id).mode.value
        gone = {"instId": inst_id(details), "instType": "SWAP", "mgnMode": mode, "pos": "0", "posSide": "net"}
        for socket, line in self._mine(account, "positions"):
            self._push(socket, line, rows or [gone])

    @staticmethod
    def _change(notice: Notice) -> dict[str, str]:
        amended = isinstance(notice.event, OrderAmended)
        return {
            "amendResult": "0" if amended else "",
            "reqId": str(notice.order.terms.get("reqId", "")) if amended else "",
        }

    def _report(
        self, account: AccountId, channel: str, details: Instrument, row: dict[str, Any], uid: dict[str, str]
    ) -> None:
        for socket, line in self._mine(account, channel):
            if line.arg.get("instType") in ("ANY", inst_type(details)):
                socket.send({"arg": line.arg | uid, "data": [row]}, channel)


_PUSHED_ONLY = {
    "amendSource": "",
    "code": "0",
    "fillFwdPx": "",
    "fillIdxPx": "",
    "fillMarkPx": "",
    "fillMarkVol": "",
    "fillNotionalUsd": "",
    "fillPnl": "0",
    "fillPxUsd": "",
    "fillPxVol": "",
    "lastPx": "",
    "msg": "",
}


def _named(arg: dict[str, str]) -> str:
    return ",".join(f"{name}:{value}" for name, value in arg.items())


def _difference(old: dict[int, int], new: dict[int, int]) -> list[tuple[int, int]]:
    """Levels that changed, with 0 for those that are gone."""
    gone = [(price, 0) for price in old if price not in new]
    return gone + [(price, quantity) for price, quantity in new.items() if old.get(price) != quantity]

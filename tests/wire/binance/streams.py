"""Binance's market streams: subscriptions, diffs every 100 ms, trades, best quotes, klines, tickers, the daily cut."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from engine.model.market import BookUpdate, MarketTrade
from tests.wire.binance.market_data import INTERVALS, BinanceMarketData

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketDatum
    from tests.wire.simulator import Call
    from tests.wire.sockets import Socket

__all__ = ["BinanceStreams"]

_FLUSH_S = 0.1
_SLOW = 10
"""Flushes between two tickers."""
_LIFE_S = 86_400.0
_MOST_STREAMS = 1024
_PATH = re.compile(
    r"^(?:/(?P<part>public|market|private))?/(?P<kind>ws|stream)(?:/(?P<names>[^?]+))?(?:\?(?P<query>.*))?$"
)
_DEPTH = re.compile(r"^depth(?P<levels>5|10|20)?(?:@(?:0|100|250|500|1000)ms)?$")


class _Changes:
    """What of a book has changed since the last diff."""

    def __init__(self) -> None:
        self.first = self.last = self.before = 0
        self.ts = 0
        self.bids: dict[int, int] = {}
        self.asks: dict[int, int] = {}

    def add(self, update: BookUpdate) -> None:
        """Take an update in; a whole book leaves a gap, as nothing tells what has changed."""
        if update.snapshot:
            self.bids, self.asks, self.first = {}, {}, 0
            self.last = self.before = update.seq
            return
        self.first = self.first or update.seq
        self.last, self.ts = update.seq, update.ts
        self.bids.update(update.bids)
        self.asks.update(update.asks)

    def take(self) -> tuple[int, int, int, list[tuple[int, int]], list[tuple[int, int]]] | None:
        """First and last update, the last of the diff before, and the levels; None when nothing changed."""
        if not self.first:
            return None
        # Binance sorts neither side by rule; best first is what it mostly does.
        bids = sorted(self.bids.items(), reverse=True)
        asks = sorted(self.asks.items())
        found = self.first, self.last, self.before, bids, asks
        self.before, self.first, self.bids, self.asks = self.last, 0, {}, {}
        return found


class BinanceStreams(BinanceMarketData):
    """Adds market streams to a server."""

    messages_a_second = 5
    """Most that a client may say on a connection."""

    def begin_streams(self) -> None:
        """Listen to the exchange; call it once."""
        self._streams: dict[str, list[Socket]] = {}
        """Sockets by stream name."""
        self._changes = {i: _Changes() for i in self.exchange.instruments}
        for instrument, book in self.exchange.books.items():
            self._changes[instrument].before = self._changes[instrument].last = book.seq
        self._best: dict[InstrumentId, tuple[Any, Any]] = {}
        self._bars: dict[str, tuple[int, str]] = {}
        """Opening time of the last bar told, by kline stream, and what was told."""
        self._flushes = 0
        self.exchange.public.append(self._hear)
        self.exchange.after(_FLUSH_S, self._flush)

    @property
    def subscriptions(self) -> dict[str, int]:
        """Number of sockets by stream."""
        return {name: len(sockets) for name, sockets in self._streams.items() if sockets}

    # --- connections -------------------------------------------------------------------------------------------------

    def accept(self, socket: Socket) -> Callable[[Any], None] | None:
        """`/ws`, `/ws/<stream>`, `/stream?streams=…`, also below `/public` and `/market` (USD-M)."""
        match = _PATH.match(socket.path)
        if match is None:
            return None
        socket.state["combined"] = match["kind"] == "stream"
        socket.state["part"] = match["part"] or ""
        names = (match["names"] or "").split("/") if match["names"] else []
        for part in (match["query"] or "").split("&"):
            name, _, value = part.partition("=")
            if name == "streams":
                names += value.split("/")
        for name in filter(None, names):
            self._join(socket, name)
        self.exchange.after(_LIFE_S, socket.close)
        return lambda said: self._command(socket, said)

    def left(self, socket: Socket) -> None:
        """Forget a connection that ended."""
        for sockets in self._streams.values():
            if socket in sockets:
                sockets.remove(socket)

    def _command(self, socket: Socket, said: Any) -> None:
        try:
            asked = msgspec.json.decode(said)
            number, method, params = asked.get("id"), asked["method"], asked.get("params", [])
        except (msgspec.DecodeError, KeyError, AttributeError):
            socket.send({"error": {"code": 2, "msg": "Invalid request: request must be a JSON object."}})
            return
        self.counts[f"WS {method}"] += 1
        if self._too_many(socket):
            return
        if method == "LIST_SUBSCRIPTIONS":
            mine = [name for name, sockets in self._streams.items() if socket in sockets]
            socket.send({"result": mine, "id": number})
            return
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            socket.send({"error": {"code": 2, "msg": "Invalid request: unknown method."}, "id": number})
            return
        unknown = [name for name in params if not self._known(name)]
        if unknown:
            socket.send({"error": {"code": 2, "msg": f"Invalid request: unknown stream {unknown[0]}."}, "id": number})
            return
        for name in params:
            self._join(socket, name) if method == "SUBSCRIBE" else self._leave(socket, name)
        socket.send({"result": None, "id": number})

    def _too_many(self, socket: Socket) -> bool:
        """Whether a client says more than it may in a second; it is cut off then."""
        now = self.exchange.time()
        said = [ts for ts in socket.state.get("said", []) if now - ts < 1_000_000_000] + [now]
        socket.state["said"] = said
        if len(said) <= self.messages_a_second:
            return False
        self.limits.violations["messages"] += 1
        socket.close(1008, "Too many requests")
        return True

    def _known(self, name: str) -> bool:
        if name.startswith("!"):
            return name.partition("@")[0] in ("!ticker", "!miniTicker", "!bookTicker", "!markPrice")
        symbol, _, channel = name.partition("@")
        kind = channel.partition("@")[0].partition("_")[0]
        known = kind in ("trade", "aggTrade", "bookTicker", "kline", "ticker", "miniTicker", "markPrice", "forceOrder")
        return symbol.upper() in self._by_symbol and (known or _DEPTH.match(channel) is not None)

    def _join(self, socket: Socket, name: str) -> None:
        sockets = self._streams.setdefault(name, [])
        if socket not in sockets:
            sockets.append(socket)

    def _leave(self, socket: Socket, name: str) -> None:
        if socket in self._streams.get(name, []):
            self._streams[name].remove(socket)

    def publish(self, name: str, kind: str, message: Any) -> None:
        """Tell a message to all who subscribed to a stream."""
        sockets = self._streams.get(name)
        if not sockets:
            return
        plain = msgspec.json.encode(message)
        combined = b'{"stream":"' + name.encode() + b'","data":' + plain + b"}"
        for socket in list(sockets):
            socket.send(combined if socket.state["combined"] else plain, kind)

    # --- what happens ------------------------------------------------------------------------------------------------

    def _hear(self, event: MarketDatum) -> None:
        details = self.exchange.instruments[event.instrument]
        low = self.symbol(event.instrument).lower()
        if isinstance(event, BookUpdate):
            self._changes[event.instrument].add(event)
            self._tell_best(details, low)
        elif isinstance(event, MarketTrade):
            if self._streams.get(f"{low}@trade"):
                self.publish(f"{low}@trade", "trade", self.trade_message(details, event))
            if self._streams.get(f"{low}@aggTrade"):
                self.publish(f"{low}@aggTrade", "aggTrade", self.aggregate_message(details, event))

    def _tell_best(self, details: Instrument, low: str) -> None:
        name = f"{low}@bookTicker"
        if not self._streams.get(name) and not self._streams.get("!bookTicker"):
            return
        book = self.exchange.books[details.id]
        best = (book.top_bids(1), book.top_asks(1))
        if self._best.get(details.id) == best:
            return
        self._best[details.id] = best
        message = self.best_message(details)
        if message is not None:
            self.publish(name, "bookTicker", message)
            self.publish("!bookTicker", "bookTicker", message)

    # --- by the clock ------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """Every 100 ms: diffs and klines; every second: tickers."""
        self._flushes += 1
        for instrument, changes in self._changes.items():
            self._flush_book(self.exchange.instruments[instrument], changes)
        for name, sockets in list(self._streams.items()):
            if sockets and "@" in name and not name.startswith("!"):
                low, _, channel = name.partition("@")
                self._tell_by_clock(name, self.details(low.upper()), channel)
        if self._flushes % _SLOW == 0:
            self._tell_all()
        self.exchange.after(_FLUSH_S, self._flush)

    def _flush_book(self, details: Instrument, changes: _Changes) -> None:
        taken = changes.take()
        if taken is None:
            return
        first, last, before, bids, asks = taken
        low = self.symbol(details.id).lower()
        names = [n for n in self._streams if n.startswith(f"{low}@depth") and self._streams[n]]
        if not names:
            return
        whole: dict[str, Any] = {"e": "depthUpdate", "E": self.exchange.ms()}
        if self.futures:
            whole["T"] = self.exchange.ms(changes.ts)
        whole |= {"s": self.symbol(details.id), "U": self.update_id(first), "u": self.update_id(last)}
        if self.futures:
            whole["pu"] = self.update_id(before)
        whole |= {"b": self.levels(details, bids), "a": self.levels(details, asks)}
        for name in names:
            match = _DEPTH.match(name.partition("@")[2])
            if match is None or not match["levels"]:
                self.publish(name, "depthUpdate", whole)
            else:
                self.publish(name, "partialDepth", self._partial(details, int(match["levels"]), whole))

    def _partial(self, details: Instrument, levels: int, whole: dict[str, Any]) -> dict[str, Any]:
        book = self.exchange.books[details.id]
        bids, asks = self.levels(details, book.top_bids(levels)), self.levels(details, book.top_asks(levels))
        if self.futures:
            return whole | {"b": bids, "a": asks}
        return {"lastUpdateId": whole["u"], "bids": bids, "asks": asks}

    def _tell_by_clock(self, name: str, details: Instrument, channel: str) -> None:
        kind, _, interval = channel.partition("_")
        if kind == "kline" and interval in INTERVALS:
            self._tell_kline(name, details, interval)
        elif self._flushes % _SLOW == 0 and channel == "ticker" and (day := self.day_message(details)) is not None:
            self.publish(name, "24hrTicker", day)
        elif (
            self._flushes % _SLOW == 0 and channel == "miniTicker" and (mini := self.mini_message(details)) is not None
        ):
            self.publish(name, "24hrMiniTicker", mini)

    def _tell_kline(self, name: str, details: Instrument, interval: str) -> None:
        bar = self.exchange.tapes[details.id].bar(interval, self.exchange.time())
        candle = bar.builder.growing
        if candle is None:
            return
        told, content = self._bars.get(name, (candle.ts, ""))
        if bar.closed is not None and told <= bar.closed[0].ts and candle.ts > told:
            closed, *rest = bar.closed
            self.publish(name, "kline", self.kline_message(details, closed, *rest))
            content = ""
        now = f"{candle.close} {bar.last} {candle.ts}"
        if now != content:
            self.publish(name, "kline", self.kline_message(details, candle, bar.first, bar.last, bar.bought))
        self._bars[name] = candle.ts, now

    def _tell_all(self) -> None:
        """The streams of all symbols."""
        every = list(self.exchange.instruments.values())
        if self._streams.get("!ticker@arr"):
            self.publish("!ticker@arr", "24hrTicker", [m for d in every if (m := self.day_message(d)) is not None])
        if self._streams.get("!miniTicker@arr"):
            found = [m for d in every if (m := self.mini_message(d)) is not None]
            self.publish("!miniTicker@arr", "24hrMiniTicker", found)

    def listen_key_gone(self, call: Call) -> Any:
        """The way private streams began once."""
        from tests.wire.simulator import Reply

        return Reply(b"", 410)

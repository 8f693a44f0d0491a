"""The markets' connections of Binance: books, trades, candles, marks and days over combined streams."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import QuarterdeckError, ValidationError
from engine.logs import get_logger
from engine.model.market import BookMoved, FeedStatus
from engine.venues.binance.market_parse import parse_candle, parse_combined, parse_day, parse_mark, parse_trade
from engine.venues.native.books.binance import BinanceBooks
from engine.venues.native.books.keeping import Taken
from engine.venues.native.books.loading import prepare
from engine.venues.native.stream import Listener, StreamPool, StreamTable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from engine.model.instrument import Instrument
    from engine.model.venue import StreamHealth
    from engine.venues.binance.adapter import BinanceAdapter
    from engine.venues.native.books.keeping import Kept
    from engine.venues.native.stream import StreamConnection

__all__ = ["BinanceFeed"]

log = get_logger(__name__)

AGAIN_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses before a snapshot is asked for again; the last one repeats."""
LIVES_S = 23 * 3600.0
"""Binance ends every connection after 24 hours."""
DEPTH = "@depth@100ms"


class BinanceFeed:
    """A `MarketFeed` of spot or USD-M.

    Args:
        venue: Gets the events.
        addresses: Of combined streams, by the name of their part.
        channels: Suffixes of each instrument's streams, by part, such as {"public": ("@trade",)}.
        snapshot: Fetches the whole book of a symbol, as the venue answers it.
    """

    def __init__(
        self,
        venue: BinanceAdapter,
        addresses: Mapping[str, str],
        channels: Mapping[str, Sequence[str]],
        snapshot: Callable[[str], Awaitable[bytes]],
    ) -> None:
        self._venue = venue
        self._channels = channels
        self._snapshot = snapshot
        self._books = BinanceBooks(self)
        self._pools = {part: self._pool(part, address) for part, address in addresses.items()}
        self._silent = False
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self._prepared: asyncio.Task[bool] | None = None

    def _pool(self, part: str, address: str) -> StreamPool:
        async def where() -> str:
            return address

        table = StreamTable(
            name=part,
            address=where,
            subscribe=lambda number, channels: [_request("SUBSCRIBE", number, channels)],
            unsubscribe=lambda number, channels: [_request("UNSUBSCRIBE", number, channels)],
            batch=100,
            messages_per_second=4.0,
            channels_per_connection=200,
            connections=5,
            of_markets=True,
            renew_s=LIVES_S,
        )
        listener = Listener(self._on_frame, self._on_up, self._on_down)
        return StreamPool(
            table, listener, clock=self._venue.clock, limit=self._venue.streams, ca_file=self._venue.options.ca_file
        )

    # --- what the shell asks for -------------------------------------------------------------------------------------

    @property
    def up(self) -> bool:
        """False from the loss of the last connection on until one is back."""
        return not self._silent

    async def watch(self, instruments: Sequence[Instrument]) -> None:
        """Deliver these too. Raises ExchangeConnectionError, ValidationError when there are too many."""
        if self._prepared is None:
            self._prepared = asyncio.get_running_loop().create_task(prepare(), name="books prepare")
        symbols = [self._venue.catalogue.symbol(instrument.id) for instrument in instruments]
        for symbol, instrument in zip(symbols, instruments, strict=True):
            self._books.add(symbol, instrument)
        for part, pool in self._pools.items():
            await pool.start()
            await pool.subscribe(self._names(part, symbols))
        for symbol in symbols:
            self._fetch(symbol)

    async def unwatch(self, instruments: Sequence[Instrument]) -> None:
        """Deliver nothing more of these."""
        symbols = [self._venue.catalogue.symbol(instrument.id) for instrument in instruments]
        for symbol in symbols:
            self._books.remove(symbol)
            task = self._fetching.pop(symbol, None)
            if task is not None:
                task.cancel()
        for part, pool in self._pools.items():
            pool.remove(self._names(part, symbols))

    async def close(self) -> None:
        """Disconnect everything."""
        tasks: list[asyncio.Task[Any]] = [*self._fetching.values()]
        self._fetching.clear()
        if self._prepared is not None:
            tasks.append(self._prepared)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for pool in self._pools.values():
            await pool.close()

    def health(self) -> Sequence[StreamHealth]:
        """How each connection is."""
        return [health for pool in self._pools.values() for health in pool.health()]

    def _names(self, part: str, symbols: Sequence[str]) -> list[str]:
        return [f"{symbol.lower()}{suffix}" for symbol in symbols for suffix in self._channels[part]]

    # --- connections -------------------------------------------------------------------------------------------------

    def _on_up(self, connection: StreamConnection) -> None:
        self._silent = False
        self._venue.public_moved()
        for symbol in _symbols(connection):
            self._fetch(symbol)

    def _on_down(self, connection: StreamConnection, reason: str) -> None:
        if connection.retired:
            return
        self._books.lose(reason, _symbols(connection))
        self._silent = not any(other.up for pool in self._pools.values() for other in pool.connections)
        self._venue.public_moved()

    def _on_frame(self, connection: StreamConnection, data: bytes, received_ns: int) -> None:
        if self._books.feed(data) is not Taken.OTHER:
            return
        message = parse_combined(data)
        if message.stream:
            self._event(message.stream, message.data)
        elif message.id is not None:
            self._answer(connection, message.id, message.error, message.msg)

    @staticmethod
    def _answer(connection: StreamConnection, number: int, error: msgspec.Raw, words: str) -> None:
        if not error and not words:
            connection.acknowledge(number=number)
            return
        said = words or bytes(error).decode(errors="replace")
        connection.reject(ValidationError(f"Binance refused a subscription: {said[:200]}."), number=number)

    def _event(self, stream: str, data: msgspec.Raw) -> None:
        symbol, _, kind = stream.partition("@")
        instrument = self._venue.catalogue.by_symbol(symbol.upper())
        if instrument is None:
            return
        event: Any = None
        if kind == "trade":
            event = parse_trade(data, instrument)
        elif kind.startswith("kline"):
            event = parse_candle(data, instrument)
        elif kind.startswith("markPrice"):
            event = parse_mark(data, instrument)
        elif kind == "ticker":
            event = parse_day(data, instrument)
        if event is not None:
            self._venue.show(event)

    # --- books -------------------------------------------------------------------------------------------------------

    def moved(self, kept: Kept, snapshot: bool) -> None:
        """A book has changed."""
        if snapshot:
            self._venue.show(FeedStatus(kept.instrument.id, self._venue.clock.now(), live=True))
        self._venue.show(BookMoved(kept.instrument.id, kept.book.ts, kept.book, snapshot=snapshot))

    def lost(self, kept: Kept, reason: str) -> None:
        """A book cannot be trusted until its next snapshot."""
        now = self._venue.clock.now()
        self._venue.show(FeedStatus(kept.instrument.id, now, live=False, reason=f"{self._venue.id}: {reason}."))
        self._fetch(kept.symbol)

    def _fetch(self, symbol: str) -> None:
        kept = self._books.kept.get(symbol)
        if kept is None or kept.live or symbol in self._fetching:
            return
        task = asyncio.get_running_loop().create_task(self._begin(symbol), name=f"book {symbol}")
        self._fetching[symbol] = task
        task.add_done_callback(lambda _: self._fetched(symbol, task))

    def _fetched(self, symbol: str, task: asyncio.Task[None]) -> None:
        if self._fetching.get(symbol) is task:
            del self._fetching[symbol]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a book could not be fetched", symbol=symbol, exc_info=error)

    async def _begin(self, symbol: str) -> None:
        """Ask for snapshots until the book has begun, or its connection is gone: then its return asks again."""
        attempt = 0
        while (kept := self._books.kept.get(symbol)) is not None and not kept.live:
            if not self._connected(symbol):
                return
            try:
                body = await self._snapshot(symbol)
            except QuarterdeckError as error:
                log.info("no snapshot of a book yet", symbol=symbol, problem=error.message)
            else:
                if self._books.snapshot(symbol, body, self._venue.venue_now()) is Taken.BEGUN:
                    return
            await self._venue.clock.sleep(AGAIN_S[min(attempt, len(AGAIN_S) - 1)])
            attempt += 1

    def _connected(self, symbol: str) -> bool:
        connection = self._pools["public"].connection_of(f"{symbol.lower()}{DEPTH}")
        return connection is not None and connection.up


def _symbols(connection: StreamConnection) -> list[str]:
    """Symbols whose books a connection carries."""
    return [name.removesuffix(DEPTH).upper() for name in connection.channels if name.endswith(DEPTH)]


def _request(method: str, number: int, channels: Sequence[str]) -> bytes:
    return msgspec.json.encode({"method": method, "params": list(channels), "id": number})

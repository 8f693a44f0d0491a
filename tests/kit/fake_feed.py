"""A stand-in for an exchange's public side: says what a test lets it say, and can be away."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.errors import ExchangeConnectionError
from engine.model.ids import Currency, InstrumentId, TradeId, VenueId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.market import BookMoved, BookUpdate, FeedStatus, MarketTrade, OrderBook, Ticker
from engine.model.order import OrderSide
from engine.model.venue import StreamHealth, VenueHealth, VenueStatus
from engine.venues.paper.venue import CAPABILITIES
from engine.venues.spot_only import SpotOnly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.candle import Candle
    from engine.model.venue import EventSink, MarketSink

__all__ = ["FakeFeed", "Kept", "spot"]

NOW = 1_700_000_000_000_000_000


def spot(venue: str, symbol: str) -> Instrument:
    """A spot instrument with a tick of 0.1 and a lot of 0.001."""
    base, quote = symbol.split("/")
    rules = InstrumentRules(
        valid_from=0,
        price_tick=Decimal("0.1"),
        lot=Decimal("0.001"),
        maker_fee=Decimal("0.001"),
        taker_fee=Decimal("0.001"),
    )
    return Instrument(
        id=InstrumentId(f"{venue}:{symbol}"),
        venue=VenueId(venue),
        symbol=symbol,
        kind=InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(rules,),
        price_scale=1,
        quantity_scale=3,
    )


class Kept(OrderBook):
    """A book as an adapter keeps it."""

    def __init__(self, instrument: InstrumentId) -> None:
        super().__init__(instrument)
        self._last: BookUpdate | None = None

    def apply(self, update: BookUpdate) -> bool:
        """Apply, and remember what changed."""
        self._last = update
        return super().apply(update)

    def last_change(self) -> BookUpdate:
        """The levels that the last update changed."""
        assert self._last is not None
        return self._last


class FakeFeed(SpotOnly):
    """A venue (`engine.model.venue.Venue`) without accounts.

    Args:
        venue: Its name.
        symbols: What it has.
    """

    def __init__(self, venue: str = "BINANCE", symbols: Sequence[str] = ("BTC/USDT", "ETH/USDT", "ETH/BTC")) -> None:
        self.id = VenueId(venue)
        self.capabilities = CAPABILITIES
        self.status = VenueStatus.ONLINE
        self.away = False
        self.listed = [spot(venue, symbol) for symbol in symbols]
        self.watched: list[InstrumentId] = []
        self.asked: list[str] = []
        self.closed = False
        self.answer_book: BookUpdate | None = None
        self.bars: list[Candle] = []
        self._sink: MarketSink | None = None
        self._books: dict[InstrumentId, Kept] = {}
        self._trades = 0

    # --- the contract ------------------------------------------------------------------------------------------------

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if self.away:
            raise ExchangeConnectionError(f"{self.id} cannot be reached: nobody answers.")

    async def start(self, events: EventSink, market: MarketSink) -> None:
        self._ask("start")
        self._sink = market

    async def close(self) -> None:
        self.closed = True

    async def instruments(self) -> Sequence[Instrument]:
        self._ask("instruments")
        return self.listed

    async def watch(self, instruments: Sequence[InstrumentId]) -> None:
        self._ask("watch")
        self.watched += [key for key in instruments if key not in self.watched]

    async def unwatch(self, instruments: Sequence[InstrumentId]) -> None:
        self.watched = [key for key in self.watched if key not in instruments]

    async def book(self, instrument: InstrumentId, depth: int) -> BookUpdate:
        self._ask("book")
        assert self.answer_book is not None
        return self.answer_book

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        self._ask("candles")
        return self.bars[-limit:]

    async def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Sequence[Ticker]:
        self._ask("tickers")
        return ()

    async def trades(self, instrument: InstrumentId, limit: int = 100) -> Sequence[MarketTrade]:
        self._ask("trades")
        return ()

    async def server_time(self) -> int:
        self._ask("server_time")
        return NOW

    async def _no_accounts(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    permissions: Any = _no_accounts
    balances: Any = _no_accounts
    place: Any = _no_accounts
    cancel: Any = _no_accounts
    amend: Any = _no_accounts
    order: Any = _no_accounts
    open_orders: Any = _no_accounts
    fills_since: Any = _no_accounts

    def health(self) -> VenueHealth:
        up = not self.away
        return VenueHealth(streams=(StreamHealth(name="public 1", up=up, since=NOW, messages=7),), latency_ms=12.5)

    # --- what a test lets it say -------------------------------------------------------------------------------------

    def key(self, symbol: str = "BTC/USDT") -> InstrumentId:
        """Id of a symbol."""
        return InstrumentId(f"{self.id}:{symbol}")

    def tell(self, event: object) -> None:
        """Let it say something."""
        assert self._sink is not None
        self._sink(event)  # type: ignore[arg-type]

    def book_is(
        self, bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]], symbol: str = "BTC/USDT", ts: int = NOW
    ) -> None:
        """A kept book begins anew; scaled prices and quantities."""
        key = self.key(symbol)
        book = self._books.setdefault(key, Kept(key))
        seq = book.seq + 1
        book.apply(BookUpdate(key, ts, seq, snapshot=True, bids=tuple(bids), asks=tuple(asks)))
        self.tell(BookMoved(key, ts, book, snapshot=True))

    def moves(
        self,
        bids: Sequence[tuple[int, int]] = (),
        asks: Sequence[tuple[int, int]] = (),
        symbol: str = "BTC/USDT",
        ts: int = NOW,
    ) -> None:
        """A kept book changes."""
        key = self.key(symbol)
        book = self._books[key]
        book.apply(BookUpdate(key, ts, book.seq + 1, snapshot=False, bids=tuple(bids), asks=tuple(asks)))
        self.tell(BookMoved(key, ts, book))

    def trades_at(
        self, price: int, quantity: int, side: OrderSide = OrderSide.SELL, symbol: str = "BTC/USDT", ts: int = NOW
    ) -> None:
        """Somebody trades."""
        self._trades += 1
        self.tell(MarketTrade(self.key(symbol), ts, TradeId(str(self._trades)), price, quantity, side))

    def falls_silent(self, symbol: str = "BTC/USDT") -> None:
        """The feed of an instrument is interrupted."""
        self.tell(FeedStatus(self.key(symbol), NOW, live=False, reason="the connection was lost"))

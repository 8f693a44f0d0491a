"""What an event strategy sees: its markets, its own orders, its money, and the moment.

The host keeps these objects up to date and hands them to every hook; a strategy reads them and asks for orders through
the `Context`. Prices and quantities are floats in quote currency and base units; times are UTC nanoseconds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from engine.model.ids import Currency, InstrumentId, VenueId
from engine.model.order import OrderSide, OrderStatus
from engine.strategy.intents import Alert, Cancel, CancelAll, Intent, Legs, Place, Quote, Stop, Take, Want

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.model.instrument import Instrument
    from engine.model.market import BookView
    from engine.model.regime import MarketRegime

__all__ = ["Context", "Host", "MarketView", "OrderUpdate", "OwnFill", "OwnOrder", "Print"]


class Print(msgspec.Struct, frozen=True, gc=False):
    """A public trade."""

    ts: int
    price: float
    quantity: float
    side: OrderSide
    """Who took: BUY when a buyer lifted the ask."""


class OwnOrder(msgspec.Struct, gc=False):
    """An order of the bot that has not ended."""

    key: str
    instrument: InstrumentId
    side: OrderSide
    price: float
    quantity: float
    filled: float = 0.0
    since: int = 0
    """When it was asked for."""
    acked: bool = False
    """Whether the venue has confirmed it."""
    canceling: bool = False
    quoted: bool = True
    """Whether it belongs to the set of `Quote`; False for one of `Place` or `Take`."""

    @property
    def left(self) -> float:
        """Quantity not filled yet."""
        return self.quantity - self.filled


class OrderUpdate(msgspec.Struct, frozen=True, gc=False):
    """Something happened to an order of the bot."""

    key: str
    instrument: InstrumentId
    side: OrderSide
    status: OrderStatus
    """REJECTED also when the risk gate or the host refused it before it was sent."""
    price: float
    """Limit price; 0 of a market order."""
    quantity: float
    filled: float
    ts: int
    reason: str = ""

    @property
    def ended(self) -> bool:
        """Whether nothing more can happen to it."""
        return self.status in _ENDED


_ENDED = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED})


class OwnFill(msgspec.Struct, frozen=True, gc=False):
    """An execution of an order of the bot."""

    key: str
    instrument: InstrumentId
    side: OrderSide
    price: float
    quantity: float
    fee: float
    """Cost positive, rebate negative."""
    fee_currency: Currency
    maker: bool
    ts: int


class Host(Protocol):
    """What a context asks of whoever runs the strategy."""

    def free(self, venue: VenueId, currency: Currency) -> float:
        """What new orders may use of a currency at a venue, what own orders have reserved left out."""

    def total(self, venue: VenueId, currency: Currency) -> float:
        """All of a currency at a venue."""


class MarketView:
    """One instrument at one venue, as it is now.

    Attributes:
        id: The instrument.
        instrument: Its description and rules.
        venue, symbol, base, quote: Where and what it is.
        tick, lot: Steps of price and quantity.
        min_quantity, min_notional: Smallest order; 0 means no such rule.
        maker_fee, taker_fee: Fractions of the notional at the present fee tier; a rebate is negative.
        latency_ns: Time of an order to this venue and back, as measured of late; 0 where it is not known.
        live: Whether its market is heard and fresh; quotes of a market that is not are taken away by the host.
        ts: When the book was last heard; 0 before the first.
        bid, ask: Best prices; 0 while a side is empty.
        bid_size, ask_size: Quantities at the best prices.
        last, last_ts: The last public trade; 0 before the first.
        position: Signed base units (contracts) that the bot holds of it.
        entry_price: Mean entry price of the position; 0 when flat.
        funding_rate: Of the running period of a perpetual; 0 where there is none.
        regime: The market's regimes; None while they are not known.
        book: The whole book in scaled integers, for depth; None where only the best prices are known.
    """

    __slots__ = (
        "_price_unit", "_size_unit", "ask", "ask_size", "base", "bid", "bid_size", "book", "entry_price",
        "funding_rate", "id", "instrument", "last", "last_ts", "latency_ns", "live", "lot", "maker_fee",
        "min_notional", "min_quantity", "multiplier", "position", "quote", "regime", "symbol", "taker_fee", "tick",
        "ts", "venue",
    )  # fmt: skip

    def __init__(self, instrument: Instrument) -> None:
        self.id = instrument.id
        self.instrument = instrument
        self.venue = instrument.venue
        self.symbol = instrument.symbol
        self.base = instrument.base
        self.quote = instrument.quote
        self.multiplier = float(instrument.multiplier)
        self.latency_ns = 0
        self.live = False
        self.ts = 0
        self.bid = self.ask = self.bid_size = self.ask_size = 0.0
        self.last = 0.0
        self.last_ts = 0
        self.position = 0.0
        self.entry_price = 0.0
        self.funding_rate = 0.0
        self.regime: MarketRegime | None = None
        self.book: BookView | None = None
        self._price_unit = 10.0**-instrument.price_scale
        self._size_unit = 10.0**-instrument.quantity_scale
        rules = instrument.current_rules
        self.tick = float(rules.price_tick)
        self.lot = float(rules.lot)
        self.min_quantity = float(rules.min_quantity)
        self.min_notional = float(rules.min_notional)
        self.maker_fee = float(rules.maker_fee)
        self.taker_fee = float(rules.taker_fee)

    @property
    def ready(self) -> bool:
        """Whether both sides are there and do not cross."""
        return 0.0 < self.bid < self.ask

    @property
    def mid(self) -> float:
        """Middle of the best prices; 0 while a side is empty."""
        return (self.bid + self.ask) / 2 if self.bid and self.ask else 0.0

    @property
    def micro(self) -> float:
        """Middle weighted by the opposite sizes: nearer to the ask where more is bid; 0 while a side is empty.

        Source: S. Stoikov, "The micro-price: a high-frequency estimator of future prices" (2018), its first
        approximation, the weighted mid.
        """
        total = self.bid_size + self.ask_size
        if not (self.bid and self.ask and total):
            return self.mid
        return (self.bid * self.ask_size + self.ask * self.bid_size) / total

    @property
    def spread(self) -> float:
        """Distance of the best prices; 0 while a side is empty."""
        return self.ask - self.bid if self.bid and self.ask else 0.0

    def bids(self, depth: int) -> list[tuple[float, float]]:
        """The best bids as (price, quantity), best first."""
        if self.book is None:
            return [(self.bid, self.bid_size)] if self.bid else []
        return [(price * self._price_unit, size * self._size_unit) for price, size in self.book.top_bids(depth)]

    def asks(self, depth: int) -> list[tuple[float, float]]:
        """The best asks as (price, quantity), best first."""
        if self.book is None:
            return [(self.ask, self.ask_size)] if self.ask else []
        return [(price * self._price_unit, size * self._size_unit) for price, size in self.book.top_asks(depth)]

    def cost(self, side: OrderSide, quantity: float, depth: int = 50) -> tuple[float, float, float]:
        """What taking a quantity would do: how much of it is there, its mean price, and the last price touched.

        Args:
            side: BUY walks the asks.
            quantity: Base units (contracts).
            depth: Levels that are looked at.
        """
        left, paid, worst = quantity, 0.0, 0.0
        for price, size in self.asks(depth) if side is OrderSide.BUY else self.bids(depth):
            part = min(size, left)
            paid += part * price
            left -= part
            worst = price
            if left <= 0:
                break
        got = quantity - max(left, 0.0)
        return got, paid / got if got else 0.0, worst

    def imbalance(self, depth: int = 1) -> float:
        """(bid size - ask size) / (bid size + ask size) over some levels, -1 to 1; 0 while the book is empty."""
        bids = sum(size for _, size in self.bids(depth))
        asks = sum(size for _, size in self.asks(depth))
        return (bids - asks) / (bids + asks) if bids + asks else 0.0

    def round_price(self, price: float, *, up: bool) -> float:
        """The price on the tick grid."""
        steps = price / self.tick
        return (math.ceil(steps - 1e-9) if up else math.floor(steps + 1e-9)) * self.tick

    def floor_quantity(self, quantity: float) -> float:
        """The quantity in whole lots, rounded down."""
        return math.floor(quantity / self.lot + 1e-9) * self.lot

    def tradable(self, quantity: float, price: float) -> bool:
        """Whether an order of this size is large enough for the venue's rules, once it is rounded to lots."""
        rounded = self.floor_quantity(quantity)
        least = max(self.min_quantity, self.lot)
        return rounded >= least * (1 - 1e-9) and rounded * price * self.multiplier >= self.min_notional


class Context:
    """What a hook may look at and ask for; the host makes one for a bot and keeps it up to date.

    Args:
        markets: The bot's instruments, in the order of its configuration.
        host: Answers for the money.
        memory: The strategy's own memory, changed in place.

    Attributes:
        now: The moment, UTC ns; on historical bars of the warm-up, the bar's close.
        capital: What the bot may use, in its account's base currency.
        may_enter: False while the bot is paused or halted: only what reduces a position is sent then.
        warm: False while history is shown before the start; what is asked for then is dropped.
        orders: The bot's own orders that have not ended, by instrument and key.
    """

    __slots__ = (
        "_host", "_intents", "capital", "markets", "may_enter", "memory", "notes", "now", "orders", "warm",
    )  # fmt: skip

    def __init__(self, markets: Sequence[MarketView], host: Host, memory: Any, capital: float = 0.0) -> None:
        self.markets: Mapping[InstrumentId, MarketView] = {market.id: market for market in markets}
        self.memory: Any = memory
        self.now = 0
        self.capital = capital
        self.may_enter = True
        self.warm = True
        self.orders: dict[InstrumentId, dict[str, OwnOrder]] = {market.id: {} for market in markets}
        self.notes: dict[str, float | str] = {}
        self._host = host
        self._intents: list[Intent] = []

    # --- looking -----------------------------------------------------------------------------------------------------

    def free(self, venue: VenueId, currency: Currency) -> float:
        """What new orders may use of a currency at a venue; what working orders have reserved is not in it."""
        return self._host.free(venue, currency)

    def total(self, venue: VenueId, currency: Currency) -> float:
        """All of a currency at a venue."""
        return self._host.total(venue, currency)

    def order(self, market: MarketView, key: str) -> OwnOrder | None:
        """The bot's order of that key; None when there is none or it has ended."""
        return self.orders[market.id].get(key)

    # --- asking ------------------------------------------------------------------------------------------------------

    def quote(
        self, market: MarketView, wants: Sequence[Want], tolerance: float = 0.0, size_tolerance: float = 0.0
    ) -> None:
        """Have exactly these quotes working in a market, see `Quote`; none takes all quotes away."""
        self._intents.append(Quote(market.id, tuple(wants), tolerance, size_tolerance))

    def place(self, market: MarketView, want: Want) -> None:
        """Have one resting order working besides the quotes, see `Place`."""
        self._intents.append(Place(market.id, want))

    def take(
        self,
        market: MarketView,
        key: str,
        side: OrderSide,
        quantity: float,
        price: float | None = None,
        *,
        reduce_only: bool = False,
        reason: str = "",
    ) -> None:
        """Take at once, up to a limit price; without one by a market order."""
        self._intents.append(Take(market.id, key, side, quantity, price, reduce_only, reason))

    def legs(self, takes: Sequence[Take]) -> None:
        """Send several orders at the same moment: all of them, or none where one is refused."""
        self._intents.append(Legs(tuple(takes)))

    def cancel(self, market: MarketView, key: str, reason: str = "") -> None:
        """End one working order."""
        self._intents.append(Cancel(market.id, key, reason))

    def cancel_all(self, market: MarketView | None = None, reason: str = "") -> None:
        """End all working orders, of one market or of all."""
        self._intents.append(CancelAll(market.id if market else None, reason))

    def alert(self, text: str, *, critical: bool = False) -> None:
        """Tell the person."""
        self._intents.append(Alert(text, critical))

    def stop(self, reason: str) -> None:
        """Cancel everything and pause the bot until a person resumes it."""
        self._intents.append(Stop(reason))

    def note(self, name: str, value: float | str) -> None:
        """Show a figure with the bot, such as the spread it quotes; the newest of a name counts."""
        self.notes[name] = value

    # --- for the host ------------------------------------------------------------------------------------------------

    @property
    def asked(self) -> bool:
        """Whether something was asked for since the last `drain`."""
        return bool(self._intents)

    def drain(self) -> list[Intent]:
        """What was asked for since the last call, in order."""
        intents, self._intents = self._intents, []
        return intents

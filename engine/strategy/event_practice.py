"""Drives an event strategy over made-up quotes, with a small exchange that fills what the market reaches."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from engine.model.candle import Candle, timeframe_ns
from engine.model.ids import Currency, InstrumentId, VenueId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.order import OrderSide, OrderStatus
from engine.strategy.intents import Alert, Cancel, CancelAll, Intent, Legs, Place, Quote, Stop, Take, Want
from engine.strategy.views import Context, MarketView, OrderUpdate, OwnFill, OwnOrder, Print

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from engine.strategy.quoting import EventStrategy

__all__ = ["START_NS", "EventDriver", "Tick", "make_instrument", "walk_ticks"]

START_NS = 1_700_000_000_000_000_000


class Tick(msgspec.Struct, frozen=True):
    """A moment of one market: its best prices, or a trade where `trade` says the side."""

    ts: int
    market: int
    bid: float
    ask: float
    bid_size: float = 1.0
    ask_size: float = 1.0
    trade: OrderSide | None = None
    quantity: float = 0.0


def make_instrument(
    venue: str = "SIM", symbol: str = "BTC/USDT", tick: str = "0.01", lot: str = "0.0001"
) -> Instrument:
    """A spot instrument with usual rules and fees."""
    base, _, quote = symbol.partition("/")
    rules = InstrumentRules(
        valid_from=0,
        price_tick=Decimal(tick),
        lot=Decimal(lot),
        min_notional=Decimal(5),
        maker_fee=Decimal("0.0002"),
        taker_fee=Decimal("0.001"),
    )
    return Instrument(
        id=instrument_id(venue, symbol),
        venue=VenueId(venue),
        symbol=symbol,
        kind=InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(rules,),
    )


def walk_ticks(
    seed: int,
    count: int,
    prices: Collection[float] = (100.0,),
    *,
    step_s: float = 1.0,
    spread: float = 0.0004,
    volatility: float = 0.0004,
) -> list[Tick]:
    """A random walk of the best prices of each market in turn, now and then with a trade at one of them."""
    rng = np.random.default_rng(seed)
    mids, ticks = list(prices), []
    for index in range(count):
        market = int(rng.integers(len(mids)))
        mids[market] *= math.exp(volatility * float(rng.standard_normal()))
        half = mids[market] * spread / 2
        bid, ask = round(mids[market] - half, 2), round(mids[market] + half, 2)
        ask = max(ask, round(bid + 0.01, 2))
        sizes = rng.uniform(0.05, 3.0, 2).round(4).tolist()
        trade = [None, OrderSide.BUY, OrderSide.SELL][int(rng.integers(3))] if index % 3 == 0 else None
        quantity = float(rng.uniform(0.01, 1.0)) if trade else 0.0
        ts = START_NS + int(index * step_s * 1e9)
        ticks.append(Tick(ts, market, bid, ask, sizes[0], sizes[1], trade, quantity))
    return ticks


class EventDriver:
    """One strategy at work.

    Args:
        make: Makes the strategy; asked again at each restart.
        instruments: Its markets.
        money: Free quote currency at each venue; base currency of the same value is there too.

    Attributes:
        log: Everything that was asked for, with its time, as text.
        fills: All executions.
        alerts: What the person was told.
        stopped: Why the strategy stopped itself; empty while it did not.
    """

    def __init__(
        self, make: Callable[[], EventStrategy], instruments: Collection[Instrument], money: float = 1e6
    ) -> None:
        self.log: list[tuple[int, Intent]] = []
        self.fills: list[OwnFill] = []
        self.updates: list[OrderUpdate] = []
        self.alerts: list[str] = []
        self.stopped = ""
        self.refuse: Callable[[Take | Want], str] = lambda _: ""
        """Gives the reason to refuse an order; empty to let it pass."""
        self._make = make
        self._balances: dict[tuple[VenueId, Currency], float] = {}
        for instrument in instruments:
            self._balances[instrument.venue, instrument.quote] = money
            self._balances[instrument.venue, instrument.base] = money / 100
        self.markets = [MarketView(instrument) for instrument in instruments]
        self.strategy = make()
        self.context = Context(self.markets, self, self.strategy.Memory(), 10_000.0)
        self._timer = 0
        self._candles: dict[InstrumentId, Candle] = {}
        self._begun = False

    # --- the host's answers ------------------------------------------------------------------------------------------

    def free(self, venue: VenueId, currency: Currency) -> float:
        """Money at a venue; nothing is reserved here."""
        return self._balances.get((venue, currency), 0.0)

    def total(self, venue: VenueId, currency: Currency) -> float:
        """Money at a venue."""
        return self._balances.get((venue, currency), 0.0)

    # --- feeding -----------------------------------------------------------------------------------------------------

    def run(self, ticks: Collection[Tick], *, restart_at: Collection[int] = ()) -> EventDriver:
        """Let ticks pass; before those in `restart_at` a new instance takes up the saved memory."""
        for index, tick in enumerate(ticks):
            if index in restart_at:
                self.restart()
            self.tick(tick)
        return self

    def restart(self) -> None:
        """A new instance of the strategy goes on with the memory as it was saved."""
        saved = msgspec.msgpack.encode(self.context.memory)
        self.strategy = self._make()
        self.context.memory = msgspec.msgpack.decode(saved, type=self.strategy.Memory)

    def tick(self, tick: Tick) -> None:
        """Let one tick pass: fills first, then the strategy hears of the market."""
        context, market = self.context, self.markets[tick.market]
        context.now = tick.ts
        context.warm = True
        market.bid, market.ask = tick.bid, tick.ask
        market.bid_size, market.ask_size = tick.bid_size, tick.ask_size
        market.ts, market.live = tick.ts, True
        if not self._begun:
            self._begun = True
            self._call(lambda: self.strategy.on_start(context))
        self._reach(market, tick)
        if market.ready:
            self._call(lambda: self.strategy.on_book(market, context))
        if tick.trade is not None:
            price = tick.ask if tick.trade is OrderSide.BUY else tick.bid
            market.last, market.last_ts = price, tick.ts
            self._call(
                lambda: self.strategy.on_trade(market, Print(tick.ts, price, tick.quantity, tick.trade), context)  # type: ignore[arg-type]
            )
        self._bars(market, tick)
        self._timers()

    def _bars(self, market: MarketView, tick: Tick) -> None:
        length = timeframe_ns(self.strategy.timeframe)
        start, mid = tick.ts - tick.ts % length, market.mid
        bar = self._candles.get(market.id)
        if bar is not None and bar.ts != start:
            closed = bar
            self._call(lambda: self.strategy.on_bar(market, closed, self.context))
            bar = None
        if bar is None:
            bar = Candle(market.id, self.strategy.timeframe, start, mid, mid, mid, mid, 0.0)
        changes = {"high": max(bar.high, mid), "low": min(bar.low, mid), "close": mid, "volume": bar.volume + 1.0}
        self._candles[market.id] = msgspec.structs.replace(bar, **changes)

    def _timers(self) -> None:
        every = int(self.strategy.timer_s * 1e9)
        if every and self.context.now - self._timer >= every:
            self._timer = self.context.now
            self._call(lambda: self.strategy.on_timer(self.context))

    def _call(self, hook: Callable[[], None]) -> None:
        hook()
        while self.context.asked:
            for intent in self.context.drain():
                self.log.append((self.context.now, intent))
                self._carry_out(intent)

    # --- the small exchange ------------------------------------------------------------------------------------------

    def _carry_out(self, intent: Intent) -> None:
        match intent:
            case Quote():
                self._quote(intent)
            case Place():
                self._rest(intent.instrument, intent.want, quoted=False)
            case Take():
                self._take(intent)
            case Legs():
                self._legs(intent)
            case Cancel() | CancelAll():
                self._cancel(intent)
            case Alert():
                self.alerts.append(intent.text)
            case Stop():
                self.stopped = intent.reason
                self._cancel(CancelAll())

    def _legs(self, intent: Legs) -> None:
        reasons = [self.refuse(leg) for leg in intent.legs]
        for leg, reason in zip(intent.legs, reasons, strict=True):
            if any(reasons):
                self._tell(leg, OrderStatus.REJECTED, 0.0, reason or "another leg was refused")
            else:
                self._take(leg)

    def _cancel(self, intent: Cancel | CancelAll) -> None:
        key = intent.key if isinstance(intent, Cancel) else None
        for instrument in [intent.instrument] if intent.instrument else list(self.context.orders):
            for order in list(self.context.orders[instrument].values()):
                if key in (None, order.key):
                    self._end(order, OrderStatus.CANCELED)

    def _quote(self, intent: Quote) -> None:
        orders = self.context.orders[intent.instrument]
        wanted = {want.key for want in intent.wants}
        for order in [order for order in orders.values() if order.quoted and order.key not in wanted]:
            self._end(order, OrderStatus.CANCELED)
        for want in intent.wants:
            self._rest(intent.instrument, want, intent.tolerance, intent.size_tolerance)

    def _rest(
        self, instrument: InstrumentId, want: Want, tolerance: float = 0.0, size: float = 0.0, *, quoted: bool = True
    ) -> None:
        market, orders = self.context.markets[instrument], self.context.orders[instrument]
        buy = want.side is OrderSide.BUY
        price, quantity = market.round_price(want.price, up=not buy), market.floor_quantity(want.quantity)
        old = orders.get(want.key)
        if old is not None:
            if (
                old.side is want.side
                and abs(old.price - price) <= tolerance * price + market.tick / 2
                and abs(old.left - quantity) <= size * quantity + market.lot / 2
            ):
                return
            self._end(old, OrderStatus.CANCELED)
        reason = self.refuse(want)
        crosses = price >= market.ask if buy else price <= market.bid
        if want.post_only and crosses:
            reason = reason or "it would take"
        if not market.tradable(quantity, price):
            reason = reason or "too small"
        order = OwnOrder(want.key, instrument, want.side, price, quantity, since=self.context.now, quoted=quoted)
        if reason:
            self._update(order, OrderStatus.REJECTED, reason)
            return
        order.acked = True
        orders[want.key] = order
        self._update(order, OrderStatus.ACCEPTED)

    def _reach(self, market: MarketView, tick: Tick) -> None:
        for order in list(self.context.orders[market.id].values()):
            buy = order.side is OrderSide.BUY
            through = market.ask <= order.price if buy else market.bid >= order.price
            hit = tick.trade is order.side.opposite and (order.price >= tick.bid if buy else order.price <= tick.ask)
            if through or hit:
                self._fill(order, order.left if through else min(order.left, tick.quantity), order.price, maker=True)

    def _take(self, take: Take) -> None:
        reason = self.refuse(take)
        market, buy = self.context.markets[take.instrument], take.side is OrderSide.BUY
        price, size = (market.ask, market.ask_size) if buy else (market.bid, market.bid_size)
        far = take.price is not None and (price > take.price if buy else price < take.price)
        quantity = market.floor_quantity(min(take.quantity, size))
        if reason or not market.ready:
            self._tell(take, OrderStatus.REJECTED, 0.0, reason or "no market")
            return
        order = OwnOrder(take.key, take.instrument, take.side, take.price or 0.0, take.quantity, quoted=False)
        if quantity > 0 and not far:
            self.context.orders[take.instrument][take.key] = order
            self._fill(order, quantity, price, maker=False)
        if order.left > market.lot / 2:
            self.context.orders[take.instrument].pop(take.key, None)
            self._tell(take, OrderStatus.CANCELED, order.filled, "nothing more at that price")

    def _fill(self, order: OwnOrder, quantity: float, price: float, *, maker: bool) -> None:
        market = self.context.markets[order.instrument]
        order.filled += quantity
        before = market.position
        market.position += order.side.sign * quantity
        if abs(market.position) > abs(before):
            market.entry_price = (market.entry_price * abs(before) + price * quantity) / abs(market.position)
        fee = quantity * price * (market.maker_fee if maker else market.taker_fee)
        self._balances[market.venue, market.base] += order.side.sign * quantity
        self._balances[market.venue, market.quote] -= order.side.sign * quantity * price + fee
        fill = OwnFill(order.key, market.id, order.side, price, quantity, fee, market.quote, maker, self.context.now)
        self.fills.append(fill)
        ended = order.left < market.lot / 2
        if ended:
            self.context.orders[market.id].pop(order.key, None)
        self._call(lambda: self.strategy.on_fill(fill, self.context))
        self._update(order, OrderStatus.FILLED if ended else OrderStatus.PARTIALLY_FILLED)

    def _end(self, order: OwnOrder, status: OrderStatus) -> None:
        self.context.orders[order.instrument].pop(order.key, None)
        self._update(order, status)

    def _update(self, order: OwnOrder, status: OrderStatus, reason: str = "") -> None:
        self._hear(
            OrderUpdate(
                order.key,
                order.instrument,
                order.side,
                status,
                order.price,
                order.quantity,
                order.filled,
                self.context.now,
                reason,
            )
        )

    def _tell(self, take: Take, status: OrderStatus, filled: float, reason: str) -> None:
        self._hear(
            OrderUpdate(
                take.key,
                take.instrument,
                take.side,
                status,
                take.price or 0.0,
                take.quantity,
                filled,
                self.context.now,
                reason,
            )
        )

    def _hear(self, update: OrderUpdate) -> None:
        self.updates.append(update)
        self.strategy.on_order(update, self.context)

    def summary(self) -> list[Any]:
        """All that the strategy did, to be compared."""
        return [*self.log, *self.fills, self.context.memory, self.stopped]

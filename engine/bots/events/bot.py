"""A bot whose strategy decides on events: books, trades, bars, timers and the life of its own orders.

Plain and synchronous; the same object trades on paper, live and in a backtest. Whoever feeds it keeps the `MarketView`s
up to date and calls it; what the strategy asks for leaves through the desk like every other order.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.bots.events.desk import Place, WorkingOrders
from engine.bots.events.keys import read_key
from engine.bots.events.missed import open_before
from engine.errors import StrategyError
from engine.model.candle import timeframe_ns
from engine.model.order import Liquidity, OrderStatus
from engine.strategy.faults import THEIR_FAULTS, cause_text, line_in, source_file
from engine.strategy.intents import Alert, Cancel, CancelAll, Legs, Quote, Stop, Take
from engine.strategy.intents import Place as PlaceIntent
from engine.strategy.params import params_hash
from engine.strategy.quoting import EventStrategy
from engine.strategy.runner import MOST_SAVED_BYTES
from engine.strategy.views import Context, MarketView, OrderUpdate, OwnFill, Print

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.candle import Candle
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, Currency, InstrumentId, Owner, VenueId
    from engine.model.instrument import Instrument
    from engine.model.order import Order
    from engine.strategy.intents import Intent

__all__ = ["EventBot", "EventMemory"]

_MOST_ROUNDS = 20
"""A strategy that answers every answer to its own orders with another order would never come to rest."""
_ENDS: dict[type, OrderStatus] = {
    ev.OrderCanceled: OrderStatus.CANCELED,
    ev.OrderExpired: OrderStatus.EXPIRED,
    ev.OrderRejected: OrderStatus.REJECTED,
}


class EventMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of an event bot over a restart."""

    strategy: str
    version: str
    schema: int
    memory: bytes
    bars: dict[str, int] = {}
    """Open of the last bar that it was told, by instrument."""
    told: int = -1
    """Number of the last fact about its orders that it was told; -1 where that was not kept."""


class EventBot:
    """One strategy on one or several instruments.

    Args:
        owner: The bot.
        strategy: Decides.
        markets: Its instruments, and in which account each is traded.
        desk: Takes orders.
        ledger: Its state is what is held and open.
        capital: What it may use, in its account's base currency.
        alert: Hears what the strategy wants a person to know; the second argument tells whether it is critical.
        stop: Hears why the strategy cannot go on; whoever runs the bot pauses it.
        timeframe: Of the bars; None for the strategy's own.

    Attributes:
        context: What the strategy sees.
        views: Its markets by instrument.
        told: Number of the last fact about its orders that it was told; -1 where none counts.
    """

    def __init__(
        self,
        owner: Owner,
        strategy: EventStrategy,
        markets: Sequence[tuple[Instrument, AccountId]],
        desk: Desk,
        ledger: Ledger,
        capital: float = 0.0,
        alert: Callable[[str, bool], None] = lambda text, critical: None,
        stop: Callable[[str], None] = lambda reason: None,
        timeframe: str | None = None,
    ) -> None:
        self.owner = owner
        self.strategy = strategy
        self.timeframe = timeframe or strategy.timeframe
        self.bar_ns = timeframe_ns(self.timeframe)
        self.views: dict[InstrumentId, MarketView] = {}
        self.accounts: dict[VenueId, AccountId] = {}
        self.last_bars: dict[InstrumentId, int] = {}
        self.params_hash = params_hash(strategy)
        places = []
        for instrument, account in markets:
            view = self.views[instrument.id] = MarketView(instrument)
            self.accounts[instrument.venue] = account
            rules = instrument.current_rules
            places.append(Place(instrument, account, view, rules.price_tick, rules.lot))
        self._places = {place.instrument.id: place for place in places}
        self._ledger = ledger
        self.context = Context(list(self.views.values()), self, strategy.Memory(), capital)
        self.context.warm = False
        self.work = WorkingOrders(
            owner,
            places,
            desk,
            ledger,
            self.context,
            self._tell,
            f"{strategy.name}@{strategy.version}",
            self.params_hash,
        )
        self._alert, self._stop = alert, stop
        self._file = source_file(type(strategy))
        self._failure: StrategyError | None = None
        self._draining = False
        self._later: list[Intent] | None = None
        self._told: list[OrderUpdate] = []
        self.told = -1
        cls = type(strategy)
        self.hears_books = cls.on_book is not EventStrategy.on_book
        self.hears_trades = cls.on_trade is not EventStrategy.on_trade
        self.hears_bars = cls.on_bar is not EventStrategy.on_bar
        self.book_ns = int(strategy.min_book_interval_s * 1e9)
        self.timer_ns = int(strategy.timer_s * 1e9)

    # --- what the strategy asks (as `Host`) --------------------------------------------------------------------------

    def free(self, venue: VenueId, currency: Currency) -> float:
        """What new orders may use of a currency at a venue; 0 where the bot has no account."""
        account = self.accounts.get(venue)
        return 0.0 if account is None else float(self._ledger.state.balance(account, currency).free)

    def total(self, venue: VenueId, currency: Currency) -> float:
        """All of a currency at a venue; 0 where the bot has no account."""
        account = self.accounts.get(venue)
        return 0.0 if account is None else float(self._ledger.state.balance(account, currency).total)

    # --- being fed ---------------------------------------------------------------------------------------------------

    def start(self, now: int, missed: Sequence[ev.Record] = ()) -> None:
        """Begin, or go on after a restart: positions and open orders are taken as they are booked.

        Args:
            now: UTC nanoseconds.
            missed: Facts about its orders that it was not told, oldest first. It hears them before anything else;
                what it asks for in answer is carried out once it has heard them all.
        """
        for instrument in self.views:
            self._look_at_position(instrument)
        for order, filled in open_before(missed, self.orders(), self._ledger.state):
            own = self.work.adopt(order)
            if own is not None:
                own.filled -= filled
        self.context.warm = True
        if missed:
            later = self._later = []
            try:
                for record in missed:
                    self.on_record(record)
            finally:
                self._later = None
            self.context._intents[:0] = _still_wanted(later)
        self._call("on_start", now, lambda: self.strategy.on_start(self.context))

    @property
    def at_rest(self) -> bool:
        """Whether everything that it was told has reached its strategy."""
        return not self._draining

    def on_book(self, view: MarketView, now: int) -> None:
        """The view's book has changed."""
        context = self.context
        context.now = now
        if not 0.0 < view.bid < view.ask:
            return
        try:
            self.strategy.on_book(view, context)
        except THEIR_FAULTS as error:  # a strategy's own code may raise anything, and must harm nobody else
            raise self._failed("on_book", error) from error
        if context._intents:
            self._drain()
        if self.work.owed:
            self.ask_again(view, now)

    def on_trade(self, view: MarketView, trade: Print, now: int) -> None:
        """Somebody traded in the view's market."""
        self._call("on_trade", now, lambda: self.strategy.on_trade(view, trade, self.context))

    def on_bar(self, view: MarketView, bar: Candle, now: int) -> None:
        """A bar has closed; one already told is left out."""
        if bar.ts > self.last_bars.get(view.id, -1):
            self.last_bars[view.id] = bar.ts
            self._call("on_bar", now, lambda: self.strategy.on_bar(view, bar, self.context))

    def warm_up(self, view: MarketView, bars: Sequence[Candle]) -> None:
        """Show history; what the strategy asks for meanwhile is dropped."""
        self.context.warm = False
        for bar in bars:
            self.on_bar(view, bar, bar.ts + self.bar_ns)

    def on_timer(self, now: int) -> None:
        """The strategy's time has come."""
        self._call("on_timer", now, lambda: self.strategy.on_timer(self.context))

    def allow_entries(self, allowed: bool, reason: str, now: int) -> None:
        """Let the bot open positions, or not: then what could is cancelled, and quotes that reduce stay."""
        self.context.now = now
        self.context.may_enter = allowed
        if not allowed:
            self.work.withdraw(reason, entries_only=True)

    def ask_again(self, view: MarketView, now: int) -> None:
        """Ask anew for what was refused or taken away in a market, if its strategy has not changed its mind."""
        self.context.now = now
        self.work.ask_again(view.id)
        self._drain()

    def on_record(self, record: ev.Record) -> None:
        """Hear a fact about one of this bot's orders.

        Raises:
            StrategyError: The strategy failed.
        """
        event = record.event
        # What was kept back for it is told after what follows from it.
        self.told = max(self.told, record.seq)
        self.context.now = max(self.context.now, record.ts)
        if isinstance(event, ev.OrderIntended):
            self._adopt(event)
        elif isinstance(event, ev.OrderFilled):
            self._on_fill(event.fill)
        elif isinstance(event, ev.OrderAccepted):
            own = self.work.own(event.client_id)
            if own is not None and not own.acked:
                own.acked = True
                self.work.update(own, OrderStatus.ACCEPTED)
        elif isinstance(event, ev.OrderCancelRejected):
            own = self.work.own(event.client_id)
            order = self._ledger.state.order(event.client_id)
            if own is not None and order is not None and order.is_open:
                own.canceling = False
        elif type(event) in _ENDS:
            self._on_end(event)
        elif isinstance(event, ev.PositionLiquidated):
            self._on_liquidated(event)
        self._drain()

    def _adopt(self, event: ev.OrderIntended) -> None:
        order = self._ledger.state.order(event.client_id)
        if order is not None:
            own = self.work.adopt(order)
            if own is not None:
                # Of several facts told at once the state already knows the last, and each is told in its turn.
                own.filled, own.acked, own.canceling = 0.0, False, False

    def _on_fill(self, fill: Fill) -> None:
        self._look_at_position(fill.instrument)
        own, order = self.work.own(fill.client_id), self._ledger.state.order(fill.client_id)
        if own is None:
            # Its end was told first, or it was no order of the strategy: the position alone has changed.
            found = read_key(order.decision.reason) if order is not None else None
            key = "" if found is None else found[1]
        else:
            own.filled += float(fill.quantity)
            key = own.key
            self.work.filled(fill.client_id)
        told = OwnFill(
            key,
            fill.instrument,
            fill.side,
            float(fill.price),
            float(fill.quantity),
            float(fill.fee),
            fill.fee_currency,
            fill.liquidity is Liquidity.MAKER,
            fill.ts,
        )
        ended = own is not None and own.left <= self.views[fill.instrument].lot / 2
        if ended:
            self.work.ended(fill.client_id)
        self._hook("on_fill", lambda: self.strategy.on_fill(told, self.context))
        if own is not None:
            self.work.update(own, OrderStatus.FILLED if ended else OrderStatus.PARTIALLY_FILLED)

    def _on_liquidated(self, event: ev.PositionLiquidated) -> None:
        """What its strategy remembers of its position is wrong now, and no order of its own tells why."""
        self._look_at_position(event.instrument)
        self.work.cancel_all("its position was liquidated")
        self._stop(f"its position in {event.instrument} was liquidated ({event.reason}); look at it before you resume")

    def _on_end(self, event: Any) -> None:
        own = self.work.own(event.client_id)
        following = self.work.ended(event.client_id)
        if own is None:
            return
        self.work.update(own, _ENDS[type(event)], event.reason)
        if following is not None:
            self.work.follow(own.instrument, following, quoted=own.quoted)

    def on_position(self, instrument: InstrumentId) -> None:
        """The position in an instrument has changed without the strategy being told."""
        self._look_at_position(instrument)

    def _look_at_position(self, instrument: InstrumentId) -> None:
        place = self._places.get(instrument)
        if place is None:
            return
        position = self._ledger.state.owned.get((self.owner, place.account, instrument))
        place.view.position = 0.0 if position is None else float(position.quantity)
        mean = None if position is None else position.average_price()
        place.view.entry_price = float(mean or 0)

    def orders(self) -> list[Order]:
        """This bot's open orders, oldest first."""
        return [order for order in self._ledger.state.orders.values() if order.owner == self.owner]

    # --- carrying out ------------------------------------------------------------------------------------------------

    def _call(self, name: str, now: int, hook: Callable[[], None]) -> None:
        self.context.now = now
        self._hook(name, hook)
        self._drain()

    def _hook(self, name: str, hook: Callable[[], None]) -> None:
        if self._failure is not None:
            raise self._failure
        try:
            hook()
        except THEIR_FAULTS as error:  # a strategy's own code may raise anything, and must harm nobody else
            raise self._failed(name, error) from error

    def _tell(self, update: OrderUpdate) -> None:
        """An order's news, told when what led to it is done."""
        self._told.append(update)

    def _drain(self) -> None:
        """Carry out what was asked for, and what is asked for in answer to that, until nothing is."""
        if self._draining:
            return
        context = self.context
        self._draining = True
        try:
            for _ in range(_MOST_ROUNDS):
                while self._told:
                    update = self._told.pop(0)
                    self._hook("on_order", lambda update=update: self.strategy.on_order(update, context))  # type: ignore[misc]
                intents = context.drain()
                if not intents and not self._told:
                    return
                if self._later is not None:
                    self._later += intents
                elif context.warm:
                    for intent in intents:
                        self._carry_out(intent)
            raise StrategyError("it answers each of its own orders at once with another, without end")
        except StrategyError as error:
            raise self._failed("what it asked for", error) from error
        finally:
            self._draining = False

    def _carry_out(self, intent: Intent) -> None:
        work = self.work
        match intent:
            case Quote():
                work.quote(intent)
            case Take():
                work.take(intent)
            case PlaceIntent():
                work.rest(intent.instrument, intent.want)
            case Cancel():
                work.cancel(intent.instrument, intent.key, intent.reason)
            case CancelAll():
                work.cancel_all(intent.reason or "the strategy cancels all", intent.instrument)
            case Legs():
                work.legs(intent.legs)
            case Alert():
                self._alert(intent.text, intent.critical)
            case Stop():
                work.cancel_all(intent.reason)
                self._stop(intent.reason)

    def _failed(self, hook: str, error: BaseException) -> StrategyError:
        if error is self._failure:
            return self._failure
        line = line_in(error, self._file)
        place = (f"{hook}()" if hook.isidentifier() else hook) + (f", line {line} of {self._file}" if line else "")
        now = self.context.now
        when = f" at {datetime.fromtimestamp(now // 10**9, UTC):%Y-%m-%d %H:%M:%S} UTC" if now else ""
        cause = error.message if isinstance(error, StrategyError) else cause_text(error)
        self._failure = StrategyError(
            f"The strategy {self.strategy.name} failed in {place}{when}: {cause.rstrip('.')}. It decides nothing more; "
            "correct it and start the bot again.",
            details={"strategy": self.strategy.name, "method": hook, "ts": now, "line": line, "cause": cause},
        )
        return self._failure

    # --- memory ------------------------------------------------------------------------------------------------------

    def save(self) -> bytes:
        """What the strategy remembers.

        Raises:
            StrategyError: It cannot be saved, or is too much.
        """
        try:
            memory = msgspec.msgpack.encode(self.context.memory)
        except THEIR_FAULTS as error:
            raise self._failed("Memory", error) from error
        if len(memory) > MOST_SAVED_BYTES:
            raise StrategyError(
                f"The strategy {self.strategy.name} remembers {len(memory) / (1 << 20):.1f} MB, and may remember "
                f"{MOST_SAVED_BYTES >> 20} MB; let it forget what is old."
            )
        kept = EventMemory(
            strategy=self.strategy.name,
            version=self.strategy.version,
            schema=self.strategy.Memory.schema,
            memory=memory,
            bars={str(key): ts for key, ts in self.last_bars.items()},
            told=self.told,
        )
        return msgspec.msgpack.encode(kept)

    def restore(self, body: bytes) -> bool:
        """Take up what `save` gave; False when it was another strategy's or of another schema, and nothing changed."""
        try:
            kept = msgspec.msgpack.decode(body, type=EventMemory)
            if kept.strategy != self.strategy.name or kept.schema != self.strategy.Memory.schema:
                return False
            self.context.memory = msgspec.msgpack.decode(kept.memory, type=self.strategy.Memory)
        except msgspec.MsgspecError:
            return False
        self.last_bars = {key: kept.bars[key] for key in self.views if key in kept.bars}
        self.told = kept.told if kept.told >= 0 else self.told
        return True


def _still_wanted(intents: list[Intent]) -> list[Intent]:
    """What was asked for in answer to several facts: of the sets of quotes of a market the last counts."""
    last = {intent.instrument: place for place, intent in enumerate(intents) if isinstance(intent, Quote)}
    return [
        intent
        for place, intent in enumerate(intents)
        if not isinstance(intent, Quote) or last[intent.instrument] == place
    ]

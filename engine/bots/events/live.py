"""An event bot on a running engine: hears the hub, and is started, paused, stopped and restarted as every bot is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.bots.backlog import Backlog
from engine.bots.bot import Bot
from engine.bots.events.bot import EventBot
from engine.bots.events.keys import Role, read_key
from engine.bots.events.missed import Missed
from engine.bots.protection import BotMemory, Protection
from engine.errors import ConflictError, OrderRejectionError, StrategyError
from engine.logs import get_logger
from engine.model.decimals import ZERO
from engine.model.market import BookMoved, BookUpdate, FeedStatus, MarketTrade, MarkPrice
from engine.model.order import Decision, OrderRequest, OrderSide, OrderType
from engine.risk.scopes import Scope
from engine.strategy.views import MarketView, Print

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from engine.bots.allowance import Allowance
    from engine.bots.bot import Sizer
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.market.hub import MarketHub
    from engine.model.candle import Bars, Candle
    from engine.model.ids import AccountId, InstrumentId, Owner
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.model.order import Order
    from engine.model.signal import Signal
    from engine.state import EngineState
    from engine.strategy.quoting import EventStrategy

__all__ = ["EventRunner", "LiveEventBot"]

log = get_logger(__name__)

STALE_NS = 10_000_000_000
"""A market that was not heard for so long is quoted in no longer."""
_CLOSING = "[t:close] "


class EventRunner:
    """What the manager asks of a bot's strategy."""

    def __init__(self, strategy: EventStrategy, timeframe: str) -> None:
        self.strategy: Any = strategy
        self.timeframe = timeframe
        self.last_ts = -1
        self.latency_ns = 0


class LiveEventBot(Bot):
    """A bot of the manager whose strategy decides on events.

    Args:
        owner: The bot.
        strategy: Decides.
        markets: Its instruments and in which account each is traded; the first one stands for it in lists.
        desk: Takes orders.
        ledger: What it reads and books.
        hub: Its markets.
        sizer: Knows the regimes.
        allowance: What it may use.
        capital: In its account's base currency.
        timeframe: Of its bars.
        guarded: Runs a call whose failure ends this bot alone.
        alert: Tells the person; the second argument says whether it is critical.
        pause: Pauses the bot for a reason.
    """

    def __init__(
        self,
        owner: Owner,
        strategy: EventStrategy,
        markets: Sequence[tuple[Instrument, AccountId]],
        desk: Desk,
        ledger: Ledger,
        hub: MarketHub,
        sizer: Sizer,
        allowance: Allowance,
        capital: Decimal,
        timeframe: str,
        guarded: Callable[[Callable[[], None]], object],
        alert: Callable[[str, bool], None],
        pause: Callable[[str], None],
    ) -> None:
        self.owner = owner
        self.instrument, self.account = markets[0]
        self.core = EventBot(owner, strategy, markets, desk, ledger, float(capital), alert, pause, timeframe=timeframe)
        self.runner = EventRunner(strategy, timeframe)  # type: ignore[assignment]
        self.last_signal = ""
        self.last_signal_ts = self.last_bar_ts = self.busy_ns = 0
        self.allowance = allowance
        self._markets = list(markets)
        self._desk = desk
        self._ledger = ledger
        self._hub = hub
        self._quotes = hub
        self._sizer = sizer
        self._guarded = guarded
        self._facts = (f"{strategy.name}@{strategy.version}", self.core.params_hash)
        self._position = Protection(
            owner,
            self.account,
            self.instrument,
            desk,
            ledger,
            hub,
            float(strategy.params.stop_loss_pct),
            self._decision,
        )
        self.keep: Callable[[], bool] = lambda: True
        """Books what it remembers; False where the bot has failed over it."""
        self.backlog = Backlog()
        """Whether bots stand still, and what they hear afterwards."""
        self.missed = Missed(owner, ledger)
        """What happens to its orders until it is up."""
        self.core.told = ledger.seq
        self._known: set[str] = set()
        self._to_keep = False
        self._since = 0
        self._replayed: set[int] = set()
        self._begun = False
        self._allowed = True
        self._unlisten: list[Callable[[], None]] = []
        self._heard: dict[InstrumentId, int] = {}
        self._waiting: set[InstrumentId] = set()
        self._timer = 0

    # --- as a bot ----------------------------------------------------------------------------------------------------

    @property
    def entries_allowed(self) -> bool:
        """False while paused: what could open a position is taken away, what reduces one goes on."""
        return self._allowed

    @entries_allowed.setter
    def entries_allowed(self, allowed: bool) -> None:
        self._allowed = allowed
        self._look_at_entries("the bot is paused")

    @property
    def alive(self) -> bool:
        """Whether its strategy can be asked."""
        return True

    @property
    def quantity(self) -> Decimal:
        """Signed quantity of the first market in which it holds something worth an order."""
        for _, position in self._positions():
            if position:
                return position
        return ZERO

    def _positions(self) -> list[tuple[tuple[Instrument, AccountId], Decimal]]:
        found = []
        for instrument, account in self._markets:
            position = self._ledger.state.owned.get((self.owner, account, instrument.id))
            held = ZERO if position is None else position.quantity
            least = max(instrument.current_rules.lot, instrument.current_rules.min_quantity)
            found.append(((instrument, account), held if abs(held) >= least else ZERO))
        return found

    def orders(self) -> list[Order]:
        """Its open orders, oldest first."""
        return self.core.orders()

    def on_bars(self, bars: Bars) -> None:
        """Its bars come from the hub, market by market."""
        self.last_bar_ts = int(bars.ts[-1])

    def miss(self, bars: Bars) -> None:
        """As `on_bars`."""
        self.last_bar_ts = int(bars.ts[-1])

    def settle(self) -> None:
        """Nothing waits for a bar."""

    def act(self, signal: Signal, *, may_enter: bool = True) -> None:
        """It has no signals."""

    def take_levels(self, other: Bot) -> None:
        """Go on in the place of another instance, with all that it remembers at this moment."""
        if isinstance(other, LiveEventBot):
            try:
                self.restore(other.save())
            except StrategyError as error:
                # Then it is told what has happened since the other one's memory was booked.
                log.warning("a bot goes on with what was last booked", bot=self.owner, problem=error.message)
        self.last_signal, self.last_signal_ts = other.last_signal, other.last_signal_ts

    def enter_anew(self, request: OrderRequest) -> Order:
        """What was rejected is asked for by its strategy, if at all."""
        raise ConflictError(f"The strategy of the bot {self.owner} decides itself what to do about a rejected order.")

    def reconsider(self, reason: str) -> str:
        """Its strategy hears of every execution by itself."""
        return "kept: its strategy decides on its own executions"

    def protect(self) -> None:
        """Begin, once it is up: what was working goes on, and what others placed for it meanwhile is taken away."""
        if self._begun:
            return
        self._begun = True
        self.missed.close()
        # Booked before its first order, so that what comes after is always told to what it remembers.
        if not self.keep():
            return
        now = self._ledger.clock.now()
        self._look_at_markets(now)
        self._since = self.core.told
        missed = self.missed.since(self._since)
        self._replayed = {record.seq for record in missed}
        self._to_keep = bool(missed)
        self.core.start(now, missed)
        self._keep_if_due()
        for order in self.orders():
            if self.core.work.own(order.client_id) is None and not order.cancel_requested:
                self._desk.cancel(order.client_id, "its bot is up again")
        self._look_at_entries("trading is halted")

    def cancel_all(self, reason: str) -> None:
        """Cancel every open order."""
        self.core.work.cancel_all(reason)
        for order in self.orders():
            if not order.cancel_requested:
                self._desk.cancel(order.client_id, reason)

    def cancel_entries(self, reason: str) -> None:
        """Cancel what could open or enlarge a position."""
        self.core.work.withdraw(reason, entries_only=True)

    def close(self, reason: str) -> None:
        """Cancel everything and close all positions at the market."""
        self.memory.closing = reason
        self.core.context.may_enter = False
        self.cancel_all(reason)
        self._go_on_closing()

    def _go_on_closing(self) -> None:
        if not self.memory.closing or self.orders():
            return
        for (instrument, account), held in self._positions():
            if held:
                request = OrderRequest(
                    account=account,
                    instrument=instrument.id,
                    owner=self.owner,
                    side=OrderSide.SELL if held > 0 else OrderSide.BUY,
                    type=OrderType.MARKET,
                    quantity=instrument.floor_quantity(abs(held)),
                    decision=self._decision(_CLOSING + self.memory.closing),
                )
                try:
                    self._desk.submit(request)
                except OrderRejectionError as error:
                    raise StrategyError(
                        f"The position in {instrument.id} could not be closed: {error.message}"
                    ) from error
        if not self.quantity:
            self.memory.closing = ""
            self._look_at_entries("")

    def on_record(self, record: ev.Record) -> None:
        """Hear a fact about one of its orders; one told already, or to be told when it is up, is left out."""
        if not self._begun or record.seq <= self._since or record.seq in self._replayed:
            return
        event = record.event
        if isinstance(event, ev.OrderFilled):
            fill = event.fill
            self.last_signal = f"{fill.side} {fill.quantity.normalize():f} at {fill.price.normalize():f}"
            self.last_signal_ts = record.ts
        self._to_keep = self._to_keep or self._weighs(event)
        self.core.on_record(record)
        self._keep_if_due()
        if self.memory.closing:
            self._go_on_closing()

    def _weighs(self, event: ev.Event) -> bool:
        """Whether what it remembers is booked with a fact: an execution, and an order that it never had before."""
        if not isinstance(event, ev.OrderIntended):
            return isinstance(event, ev.OrderFilled)
        found = read_key(event.decision.reason)
        if found is None or (found[0] is not Role.TAKE and found[1] in self._known):
            return False
        self._known.add(found[1])
        return True

    def _keep_if_due(self) -> None:
        if self._to_keep and self.core.at_rest:
            self._to_keep = False
            self.keep()

    def _run(self, call: Callable[[], None]) -> None:
        """Run a hook; what it did is booked with what is remembered of it."""
        self._guarded(call)
        self._keep_if_due()

    def _decision(self, reason: str) -> Decision:
        return Decision(reason=reason, strategy=self._facts[0], params_hash=self._facts[1] or None)

    # --- memory ------------------------------------------------------------------------------------------------------

    def save(self) -> bytes:
        """What must be remembered. Raises StrategyError where the strategy's memory cannot be saved."""
        self.memory.runner = self.core.save()
        return msgspec.msgpack.encode(self.memory)

    def restore(self, body: bytes, *, memory_only: bool = False) -> None:
        """Take up what `save` gave; what another strategy left is forgotten."""
        try:
            memory = msgspec.msgpack.decode(body, type=BotMemory)
        except msgspec.MsgspecError as error:
            raise StrategyError(
                f"The memory of the bot {self.owner} cannot be read: {error}. Start it anew."
            ) from error
        self._position.memory = memory
        if memory.runner and not self.core.restore(memory.runner):
            # What another strategy's orders did means nothing to this one.
            self.core.told = self._ledger.seq
            log.warning("a bot starts without its strategy's memory", bot=self.owner)

    # --- the market --------------------------------------------------------------------------------------------------

    def attach_feeds(self) -> None:
        """Hear the hub from now on."""
        for instrument, _ in self._markets:
            market = self._hub.market(instrument.id)
            listener = self._listener(self.core.views[instrument.id])
            market.listeners.append(listener)
            self._unlisten.append(lambda market=market, listener=listener: market.listeners.remove(listener))  # type: ignore[misc]
            series = self._hub.series(instrument.id, self.core.timeframe)
            on_bar = self._bar_listener(self.core.views[instrument.id])
            series.listeners.append(on_bar)
            self._unlisten.append(lambda series=series, on_bar=on_bar: series.listeners.remove(on_bar))  # type: ignore[misc]

    def end(self) -> None:
        """Hear nothing more."""
        self.missed.close()
        for unlisten in self._unlisten:
            unlisten()
        self._unlisten.clear()

    def _listener(self, view: MarketView) -> Callable[[MarketEvent, int], None]:
        price, size = 10.0**-view.instrument.price_scale, 10.0**-view.instrument.quantity_scale

        def hear(event: MarketEvent, now: int) -> None:
            if self.backlog.held:
                return
            if isinstance(event, BookMoved | BookUpdate):
                if self._look_at_book(view, now) and self._hears(view, now):
                    self._run(lambda: self.core.on_book(view, now))
            elif isinstance(event, MarketTrade):
                view.last, view.last_ts = event.price * price, now
                if self.core.hears_trades and self._begun:
                    trade = Print(now, view.last, event.quantity * size, event.aggressor)
                    self._run(lambda: self.core.on_trade(view, trade, now))
            elif isinstance(event, MarkPrice):
                view.funding_rate = float(event.funding_rate or 0)
            elif isinstance(event, FeedStatus) and not event.live:
                self._lose(view)

        return hear

    def _hears(self, view: MarketView, now: int) -> bool:
        core = self.core
        if not (self._begun and core.hears_books):
            return False
        if now - self._heard.get(view.id, 0) < core.book_ns:
            # The last of a burst is told in its time, though no other may follow.
            self._waiting.add(view.id)
            return False
        self._heard[view.id] = now
        self._waiting.discard(view.id)
        return True

    def _bar_listener(self, view: MarketView) -> Callable[[Candle], None]:
        def hear(candle: Candle) -> None:
            if self.core.hears_bars and self._begun and not self.backlog.keeps(lambda: hear(candle)):
                view.regime = self._sizer.regime(view.id)
                self._run(lambda: self.core.on_bar(view, candle, self._ledger.clock.now()))

        return hear

    def _look_at_book(self, view: MarketView, now: int) -> bool:
        """Take over the best prices; False while the book is not to be trusted, in which nothing is quoted then."""
        market = self._hub.markets.get(view.id)
        if market is None or market.broken or not market.live:
            self._lose(view)
            return False
        book, instrument = market.book, view.instrument
        bids, asks = book.top_bids(1), book.top_asks(1)
        price, size = 10.0**-instrument.price_scale, 10.0**-instrument.quantity_scale
        view.bid, view.bid_size = (bids[0][0] * price, bids[0][1] * size) if bids else (0.0, 0.0)
        view.ask, view.ask_size = (asks[0][0] * price, asks[0][1] * size) if asks else (0.0, 0.0)
        view.book, view.ts, view.live = book, now, True
        return True

    def _lose(self, view: MarketView) -> None:
        """A market is not to be trusted: no prices of it, and no orders in it."""
        if not view.live:
            return
        view.live, view.book = False, None
        self._waiting.discard(view.id)
        view.bid = view.ask = view.bid_size = view.ask_size = 0.0
        if self._begun:
            self._run(lambda: self.core.work.withdraw("the market is not heard any more", view.id))

    def _look_at_markets(self, now: int) -> None:
        for view in self.core.views.values():
            market = self._hub.markets.get(view.id)
            if market is not None and market.heard and now - market.heard <= STALE_NS:
                self._look_at_book(view, now)

    # --- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Once a beat: timers, halts, and markets that are not heard any more. Raises StrategyError."""
        if not self._begun:
            return
        for view in self.core.views.values():
            view.latency_ns = self._hub.latency_ns(view.venue)
            # A venue may change a position without any order of the bot.
            self.core.on_position(view.id)
            market = self._hub.markets.get(view.id)
            stale = market is None or market.broken or now - market.heard > STALE_NS
            if stale:
                self._lose(view)
            elif self.core.work.owed and view.live and not self.core.hears_books:
                self.core.ask_again(view, now)
        self._look_at_entries("trading is halted")
        for view in [self.core.views[key] for key in self._waiting]:
            if view.live and self._hears(view, now):
                self.core.on_book(view, now)
        core = self.core
        if core.timer_ns and now - self._timer >= core.timer_ns:
            self._timer = now
            core.on_timer(now)
        self._keep_if_due()

    def _look_at_entries(self, reason: str) -> None:
        halted = _halted(self._ledger.state, self.owner, self._markets)
        allowed = self._allowed and not self.memory.closing and not halted
        if allowed is not self.core.context.may_enter:
            self.core.allow_entries(allowed, reason, self._ledger.clock.now())


def _halted(state: EngineState, owner: Owner, markets: Sequence[tuple[Instrument, AccountId]]) -> bool:
    """Whether a halt or a breaker lets a bot open nothing in one of its markets."""
    if not state.halts and not state.breakers:
        return False
    for instrument, account in markets:
        around = Scope.keys_of(state, owner, account, instrument.id)
        if any(key in state.halts for key in around):
            return True
        inside = (account, *around)
        if any(scope in inside and not breaker.reduces for (_, scope), breaker in state.breakers.items()):
            return True
    return False

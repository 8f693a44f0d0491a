"""One backtest on the event path: the same strategy, bot, gate, desk, matching and ledger as live, on simulated time.

Nothing waits: the venue is called in place, the journal is in memory. A shortcut leaves out bars at which nothing can
happen (flat, no order, and the strategy has said that it would not act); switched off, every bar takes every step, and
the result is the same.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.backtest.outcome import BacktestResult, check_gaps, outcome
from engine.backtest.report import fill_settings
from engine.backtest.trades import TradeBook
from engine.backtest.walk import Pace, Walk
from engine.bots.bot import Bot
from engine.clock import SimulatedClock
from engine.errors import DataError, OrderRejectionError
from engine.execution.desk import Desk
from engine.execution.effects import CancelEffect, PlaceEffect
from engine.execution.ids import ClientIds
from engine.ledger import Ledger
from engine.model.account import Account, TradingMode
from engine.model.candle import timeframe_ns
from engine.model.ids import AccountId, Currency, Owner, VenueId
from engine.model.order import Decision, OrderRequest, OrderSide, OrderType
from engine.model.risk import Quote
from engine.risk.calm import Calm, CalmFinder
from engine.risk.department import RiskDepartment
from engine.state import EngineState
from engine.strategy.contract import Holding
from engine.strategy.runner import StrategyRunner
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import PaperSettings
from storage.journal import MemoryJournal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.spec import BacktestSpec
    from engine.execution.effects import Effect
    from engine.model.candle import Bars
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.regime import MarketRegime
    from engine.model.signal import Signal
    from engine.strategy.contract import Strategy
    from engine.strategy.runner import Batch
    from engine.venues.paper.orders import Report

__all__ = ["BacktestResult", "Progress", "run_backtest"]

Progress = Callable[[float], None]
"""Called now and then with the share done, 0 to 1."""

ACCOUNT = AccountId("backtest")
OWNER = Owner("backtest")
INSTANCE = "backtest"
END_OF_DATA = "end of data"
NOT_SIZED = "not_sized"
PROGRESS_EVERY = 20_000
_ANYWHERE = (-math.inf, math.inf)
RECORD_EVERY_S = 3600.0
"""Equity is journalled this often; breakers judge every bar all the same."""
_BOT_FACTS: frozenset[type] = frozenset(
    {
        ev.OrderAccepted,
        ev.OrderAmended,
        ev.OrderCancelRejected,
        ev.OrderCanceled,
        ev.OrderExpired,
        ev.OrderFilled,
        ev.OrderRejected,
        ev.OrderTriggered,
    }
)
_HEARD = _BOT_FACTS | {ev.OrderRefused, ev.BreakerTripped}


class _LastPrice:
    """`Quotes` of the one instrument: the close of the newest bar."""

    def __init__(self, instrument: Instrument) -> None:
        self._instrument = instrument
        self.price = 0.0
        self.ts = 0
        self._made = -1.0
        self._quote: Quote | None = None

    def quote(self, instrument: InstrumentId) -> Quote | None:
        """The last close as bid, ask and last; None before the first bar."""
        if instrument != self._instrument.id or not self.ts:
            return None
        if self._quote is None or self._made != self.price or self._quote.ts != self.ts:
            exact = Decimal(repr(self.price))
            self._quote = Quote(exact, exact, exact, self.ts)
            self._made = self.price
        return self._quote


class _Direct:
    """An outbox that calls the exchange at once and hands its reports to the desk."""

    def __init__(self, exchange: PaperExchange, clock: SimulatedClock) -> None:
        self._exchange = exchange
        self._clock = clock
        self.desk: Desk
        self.orders = 0

    def put(self, effect: Effect) -> None:
        """Carry an effect out now."""
        for account, event in self._send(effect, self._clock.now()):
            self.desk.on_event(account, event)

    def _send(self, effect: Effect, now: int) -> Sequence[Report]:
        exchange = self._exchange
        if isinstance(effect, PlaceEffect):
            self.orders += 1
            self.desk.submitted(effect.command.client_id)
            return exchange.place(effect.command, now)
        if isinstance(effect, CancelEffect):
            return exchange.cancel(effect.account, effect.client_id, now)
        return exchange.amend(
            effect.account,
            effect.client_id,
            now,
            quantity=effect.quantity,
            price=effect.price,
            stop_price=effect.stop_price,
        )


class _Run:
    """The wiring of one run."""

    def __init__(
        self,
        spec: BacktestSpec,
        strategy: Strategy,
        instrument: Instrument,
        bars: Bars,
        history: Bars | None,
        pace: Pace | None,
    ) -> None:
        self.pace = pace or (Pace.SKIP if spec.shortcuts else Pace.EVERY_BAR)
        self.spec = spec
        self.instrument = instrument
        self.bars = bars
        self.length = timeframe_ns(spec.timeframe)
        self.clock = SimulatedClock(int(bars.ts[0]))
        self.state = EngineState()
        self.ledger = Ledger(self.state, MemoryJournal(), self.clock, epoch=1)
        self.exchange = PaperExchange(
            VenueId(instrument.venue),
            [instrument],
            PaperSettings(allow_short=spec.allow_short, bars=fill_settings(spec)),
            kind=FillKind.BAR,
        )
        currency = Currency(instrument.quote)
        self.exchange.open_account(ACCOUNT, {currency: spec.capital})
        self.quotes = _LastPrice(instrument)
        self.outbox = _Direct(self.exchange, self.clock)
        limits = spec.limits.model_copy(update={"allow_short": spec.allow_short})
        self.risk = RiskDepartment(self.ledger, self.quotes, limits, ACCOUNT, record_every_s=RECORD_EVERY_S)
        self.desk = Desk(self.ledger, self.risk.gate, self.quotes, ClientIds(INSTANCE, 1), self.outbox)
        self.outbox.desk = self.desk
        self.risk.attach(self.desk)
        self.finder = CalmFinder(self.state, self.risk)
        self.calm: Calm | None = None
        self.runner = StrategyRunner(strategy, instrument.id, timeframe=spec.timeframe)
        if history is not None and len(history):
            self.runner.warm_up(history)
        self.trades = TradeBook(instrument)
        self.refusals: dict[str, int] = {}
        self.halts: list[tuple[int, str]] = []
        self.ending = False
        self.changes: list[tuple[int, float, float]] = []
        self.index = self.warmup = 0
        self.holding = Holding()
        self._open_accounts(currency)
        self.bot = Bot(
            OWNER,
            ACCOUNT,
            instrument,
            self.runner,
            self.desk,
            self.ledger,
            self.quotes,
            self,
            self.runner.params_hash,
        )
        self.ledger.subscribe(self._on_record)

    def _open_accounts(self, currency: Currency) -> None:
        venue = self.instrument.venue
        opened = Account(id=ACCOUNT, venue=venue, mode=TradingMode.BACKTEST, base_currency=currency)
        self.ledger.record(ev.InstrumentDefined(instrument=self.instrument))
        self.ledger.record(ev.AccountOpened(account=opened))
        self.ledger.record(ev.Deposited(account=ACCOUNT, currency=currency, amount=self.spec.capital))

    def _on_record(self, record: ev.Record) -> None:
        event = record.event
        kind = type(event)
        if kind not in _HEARD:
            return
        if isinstance(event, ev.OrderFilled):
            order = self.state.order(event.fill.client_id)
            if order is None:
                self.trades.add(event.fill, "")
            else:
                wanted = order.decision.mark if order.stop_price is None else order.stop_price
                self.trades.add(event.fill, order.decision.reason, wanted)
            self._note_change()
        elif isinstance(event, ev.OrderRefused):
            for code in dict.fromkeys(event.codes):
                self._refused(code)
        elif isinstance(event, ev.OrderRejected):
            self._refused(event.code)
        elif isinstance(event, ev.BreakerTripped):
            self.halts.append((self.clock.now(), event.reason))
        if kind in _BOT_FACTS and not self.ending:
            self.bot.on_record(record)
            # A rest too small for an order counts as held while one works on it, and as nothing when that has ended.
            self.holding = self.bot.holding()

    def _refused(self, code: str) -> None:
        self.refusals[code] = self.refusals.get(code, 0) + 1

    def size(self, signal: Signal, instrument: Instrument, owner: Owner, price: Decimal) -> tuple[Decimal, str]:
        """The bot's `Sizer`: the department's, with the entries counted of which nothing can be had."""
        quantity, reason = self.risk.sizer.size(signal, instrument, owner, price)
        if not quantity:
            self._refused(NOT_SIZED)
        return quantity, reason

    def stop_distance(self, instrument: InstrumentId, side: OrderSide, base: float) -> float:
        """As the bot's `Sizer`: the department's."""
        return self.risk.sizer.stop_distance(instrument, side, base)

    def regime(self, instrument: InstrumentId) -> MarketRegime | None:
        """As the bot's `Sizer`: nobody tells regimes in a backtest."""
        return self.risk.sizer.regime(instrument)

    def _note_change(self) -> None:
        """Remember cash and units from this bar on; equity between two changes is a straight function of the close."""
        cash = float(self.state.balance(ACCOUNT, self.instrument.quote).total)
        units = float(self.state.balance(ACCOUNT, self.instrument.base).total)
        self.changes.append((self.index, cash, units))

    # --- the loop ----------------------------------------------------------------------------------------------------

    def run(self, progress: Progress | None) -> BacktestResult:
        """Walk the bars."""
        bars, batch = self.bars, self.runner.prepare(self.bars)
        self.warmup = min(batch.first, len(bars))
        check_gaps(self.spec, bars)
        walk = Walk(bars, batch, self.length) if self.pace is Pace.SKIP else None
        count, i, report_at = len(bars), 0, PROGRESS_EVERY
        while i < count:
            if walk is not None:
                i = self._skip(walk, i, batch)
            if i < count:
                self.index = i
                self._bar(batch.rows[i])
                signal = batch.signal(i, self.holding)
                if signal is not None:
                    self.bot.act(signal)
            i += 1
            if progress is not None and i >= report_at:
                report_at = i + PROGRESS_EVERY
                progress(i / count)
        forced = self._close_at_end()
        return self._result(forced)

    def _skip(self, walk: Walk, i: int, batch: Batch) -> int:
        """The next bar, from `i` on, at which more than the strategy's own look must be taken; the count for none."""
        last, seen = len(self.bars) - 1, i - 1
        while i < last and self._is_calm() and self.calm is not None:
            exchange, held = self.exchange, bool(self.holding.quantity)
            asks = walk.ask_at(i, held=held)
            keeps = self.runner.strategy.keeps_between(self.runner.memory) if held else _ANYWHERE
            happens = walk.event_at(i, min(asks + 1, last), self.calm, keeps, exchange.reach(self.instrument.id))
            if happens <= asks:
                if happens - 1 > seen:
                    # What the bar before it would have left behind is what the next one begins with.
                    self._glance(happens - 1)
                return happens
            signal = batch.signal(asks, self.holding)
            if signal is not None:
                self.index = asks
                self._glance(asks)
                self.bot.act(signal)
            i = asks + 1
        return i

    def _is_calm(self) -> bool:
        """Whether, until the next fact, risk books nothing within the known range, and the bot has nothing to do."""
        return self.calm is not None and self.calm.seq == self.state.seq and not self.bot.protection.unsettled

    def _glance(self, i: int) -> None:
        """Pass a bar that reaches nothing."""
        close, closed = float(self.bars.close[i]), int(self.bars.ts[i]) + self.length
        self.exchange.mark(self.instrument.id, close)
        self.clock.set(closed)
        self.quotes.price, self.quotes.ts = close, closed
        if self.calm is not None:
            self.finder.glance(self.calm, closed - 1, close)

    def _bar(self, row: Any) -> None:
        opened, close = row.ts, row.close
        closed = opened + self.length
        self.clock.set(opened)
        if self.state.orders:
            self.exchange.on_bar(
                self.instrument.id, opened, closed, row.open, row.high, row.low, close, row.volume, self.desk.on_event
            )
        else:
            self.exchange.mark(self.instrument.id, close)
        self.clock.set(closed)
        self.quotes.price, self.quotes.ts = close, closed
        # A bar that closes at midnight is the end of its day, not the beginning of the next.
        now, calm = closed - 1, self.calm
        if calm is not None and calm.seq == self.state.seq and now < calm.until and calm.low < close < calm.high:
            self.finder.glance(calm, now, close)
        else:
            self.risk.tick(now)
            self.calm = None if self.pace is Pace.EVERY_STEP else self.finder.after(now)
        self.bot.settle()

    def _close_at_end(self) -> bool:
        """End what still works, and close what is still held at exactly the last close."""
        self.ending = True
        self.risk.gate.closing.clear()
        for order in self.desk.open_orders():
            # Cancelling one order of an OCO group ends the others.
            if order.is_open:
                self.desk.cancel(order.client_id, END_OF_DATA)
        held = self.bot.quantity
        if not held:
            return False
        side = OrderSide.SELL if held > 0 else OrderSide.BUY
        last = float(self.bars.close[-1])
        # A marketable limit at the last close fills there and not beyond: no spread, no slippage, and marked.
        self.desk.submit(
            OrderRequest(
                account=ACCOUNT,
                instrument=self.instrument.id,
                owner=OWNER,
                side=side,
                type=OrderType.LIMIT,
                quantity=abs(held),
                price=self.instrument.round_price(Decimal(repr(last)), up=side is OrderSide.BUY),
                reduce_only=True,
                decision=Decision(reason=END_OF_DATA),
            )
        )
        end = int(self.bars.ts[-1]) + self.length
        # The fabricated bar's volume is large enough that no cap on participation leaves a rest.
        volume = float(abs(held)) * 1e6
        self.exchange.on_bar(self.instrument.id, end, end, last, last, last, last, volume, self.desk.on_event)
        if self.bot.quantity:
            raise DataError("The position that was open at the end of the data could not be closed.")
        return True

    # --- the result --------------------------------------------------------------------------------------------------

    def _result(self, forced: bool) -> BacktestResult:
        return outcome(
            self.spec,
            self.bars,
            self.trades.closed,
            self.changes,
            orders=self.outbox.orders,
            refusals=self.refusals,
            forced_close=forced,
            halts=self.halts,
            warmup=self.warmup,
        )


@contextmanager
def _few_collections() -> Iterator[None]:
    """Collect rubbish rarely: a run makes next to none that needs it, and much that would be looked through."""
    before = gc.get_threshold()
    gc.set_threshold(200_000, 50, 1000)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def run_backtest(
    spec: BacktestSpec,
    strategy: Strategy,
    instrument: Instrument,
    bars: Bars,
    progress: Progress | None = None,
    *,
    history: Bars | None = None,
    pace: Pace | None = None,
    hear: Callable[[ev.Record], None] | None = None,
) -> BacktestResult:
    """Run one specification.

    Args:
        spec: What to run.
        strategy: The strategy, built with the specification's parameters.
        instrument: What is traded, with the fees of the specification in its rules.
        bars: Closed bars of the specification's timeframe, oldest first.
        progress: Hears the share done.
        history: Bars before the first one, from which the strategy warms up; nothing is traded on them.
        pace: What is done at bars at which nothing can happen; None as the specification says.
        hear: Hears every fact that the run books.

    Raises:
        DataError: There are no bars, one is impossible, or some are missing and the specification wants none to be.
        StrategyError: The strategy failed.
    """
    if not len(bars):
        raise DataError("There are no bars in that range; look at `quarterdeck data list` for what is stored.")
    try:
        run = _Run(spec, strategy, instrument, bars, history, pace)
        if hear is not None:
            run.ledger.subscribe(hear)
        with _few_collections():
            return run.run(progress)
    except OrderRejectionError as error:
        raise DataError(f"The run could not go on: {error.message}") from error

"""One run over several markets: the same strategy, bot, gate, desk, matching and ledger as live, on simulated time.

The tapes of all markets are walked on one time axis. What happens at a venue reaches its exchange at that moment; what
the engine hears and what it sends are under way for as long as the specification says. Between the same moments the
same things happen in the same order, so that two equal runs give equal journals.
"""

from __future__ import annotations

import gc
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from engine import events as ev
from engine.backtest.markets.funding import Funding
from engine.backtest.markets.players import players_of
from engine.backtest.markets.tapes import first_prices, merge
from engine.backtest.markets.tiers import FeeTiers
from engine.backtest.markets.valuing import Valuer
from engine.backtest.markets.wires import Delay, Wires
from engine.backtest.metrics import MetricSettings, compute_metrics
from engine.backtest.report import fill_settings
from engine.backtest.run import INSTANCE, OWNER, BacktestResult, Progress
from engine.backtest.trades import TradeBook
from engine.bots.events.bot import EventBot
from engine.bots.events.keys import shown_reason
from engine.clock import SimulatedClock
from engine.errors import DataError, OrderRejectionError
from engine.execution.desk import Desk
from engine.execution.ids import ClientIds
from engine.ledger import Ledger
from engine.model.account import Account, TradingMode
from engine.model.ids import AccountId, Currency, VenueId
from engine.model.risk import Quote
from engine.risk.department import RiskDepartment
from engine.state import EngineState
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.settings import PaperSettings
from storage.journal import MemoryJournal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.backtest.markets.spec import MarketsSpec
    from engine.backtest.markets.tapes import Tape
    from engine.backtest.trades import ClosedTrade
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.strategy.quoting import EventStrategy
    from engine.strategy.views import MarketView

__all__ = ["END_OF_DATA", "MarketsRun", "run_markets"]

END_OF_DATA = "end of data"
SECOND_NS = 1_000_000_000
RISK_EVERY_NS = 60 * SECOND_NS
"""Breakers and limits are judged, and the equity is noted, this often."""
MOST_POINTS = 200_000
"""Of the equity curve; long runs note it more rarely."""
RECORD_EVERY_S = 3600.0
PROGRESS_EVERY = 50_000
_NEVER = 1 << 62
_HEARD = (
    ev.OrderIntended,
    ev.OrderAccepted,
    ev.OrderRejected,
    ev.OrderCanceled,
    ev.OrderExpired,
    ev.OrderFilled,
    ev.OrderCancelRejected,
)


class _Quotes:
    """`Quotes` of the views."""

    def __init__(self, views: dict[InstrumentId, MarketView]) -> None:
        self._views = views
        self._made: dict[InstrumentId, tuple[tuple[float, float, float, int], Quote]] = {}

    def quote(self, instrument: InstrumentId) -> Quote | None:
        """The market as the engine has heard it; None before the first event."""
        view = self._views.get(instrument)
        if view is None or not view.ts:
            return None
        key = (view.bid, view.ask, view.last, view.ts)
        made = self._made.get(instrument)
        if made is None or made[0] != key:
            digits = view.instrument.price_scale
            bid, ask, last = (Decimal(repr(round(x, digits))) if x else None for x in key[:3])
            made = self._made[instrument] = (key, Quote(bid, ask, last, max(view.ts, view.last_ts)))
        return made[1]


class MarketsRun:
    """The wiring of one run.

    Args:
        spec: What is run.
        strategy: Decides on events.
        tapes: One for each market of the specification, in its order.

    Attributes:
        bot: The strategy at work.
        ledger, state: What is booked.
    """

    def __init__(self, spec: MarketsSpec, strategy: EventStrategy, tapes: Sequence[Tape]) -> None:
        self.spec = spec
        self.tapes = list(tapes)
        self.begin = min(int(tape.ts[0]) for tape in tapes)
        self.end = max(int(tape.ts[-1]) for tape in tapes)
        self.clock = SimulatedClock(self.begin)
        self.state = EngineState()
        self.ledger = Ledger(self.state, MemoryJournal(), self.clock, epoch=1)
        self.currency = Currency(tapes[0].instrument.quote)
        self.accounts: dict[VenueId, AccountId] = {}
        self.exchanges: dict[VenueId, PaperExchange] = {}
        self._open_venues()
        venue_of = {account: venue for venue, account in self.accounts.items()}
        self.wires = Wires(self.exchanges, venue_of, self.clock, self._delays())
        views: dict[InstrumentId, MarketView] = {}
        self.quotes = _Quotes(views)
        limits = spec.limits.model_copy(update={"allow_short": spec.allow_short})
        first = self.accounts[tapes[0].instrument.venue]
        self.risk = RiskDepartment(self.ledger, self.quotes, limits, first, record_every_s=RECORD_EVERY_S)
        self.desk = Desk(self.ledger, self.risk.gate, self.quotes, ClientIds(INSTANCE, 1), self.wires)
        self.wires.desk = self.desk
        self.risk.attach(self.desk)
        self.books = {tape.id: TradeBook(tape.instrument) for tape in tapes}
        self.tiers = FeeTiers(spec.fee_tiers, self.exchanges, self.ledger, self._on_fees) if spec.fee_tiers else None
        self.refusals: dict[str, int] = {}
        self.halts: list[tuple[int, str]] = []
        self.alerts: list[tuple[int, str]] = []
        self.stopped = ""
        self.curve: list[tuple[int, float]] = []
        self.marks: list[float] = []
        self.fills = 0
        self._ending = False
        self.bot = EventBot(
            OWNER,
            strategy,
            [(tape.instrument, self.accounts[tape.instrument.venue]) for tape in tapes],
            self.desk,
            self.ledger,
            float(spec.capital),
            self._on_alert,
            self._on_stop,
            timeframe=spec.timeframe,
        )
        views.update(self.bot.views)
        for view in views.values():
            view.latency_ns = spec.latency_ns(spec.request_ms, view.venue) + spec.latency_ns(spec.report_ms, view.venue)
        self.valuer = Valuer(self.state, views, list(self.accounts.values()), self.currency)
        self.ledger.subscribe(self._on_record)

    # --- wiring ------------------------------------------------------------------------------------------------------

    def _open_venues(self) -> None:
        by_venue: dict[VenueId, list[Tape]] = {}
        for tape in self.tapes:
            by_venue.setdefault(tape.instrument.venue, []).append(tape)
        share = self.spec.capital / len(by_venue)
        settings = PaperSettings(allow_short=self.spec.allow_short, bars=fill_settings(self.spec))
        for venue, tapes in by_venue.items():
            account = AccountId("backtest" if len(by_venue) == 1 else f"backtest-{venue.lower()}")
            exchange = PaperExchange(venue, (), settings)
            base = Currency(tapes[0].instrument.settle)
            money = {base: share}
            for text, amount in self.spec.balances.items():
                where, _, currency = text.partition(":")
                if where.upper() == venue and amount:
                    money[Currency(currency.upper())] = money.get(Currency(currency.upper()), Decimal(0)) + amount
            for tape in tapes:
                exchange.list_instrument(tape.instrument, tape.kind)
                self.ledger.record(ev.InstrumentDefined(instrument=tape.instrument))
            exchange.open_account(account, money)
            opened = Account(id=account, venue=venue, mode=TradingMode.BACKTEST, base_currency=base)
            self.ledger.record(ev.AccountOpened(account=opened))
            for currency, amount in money.items():
                self.ledger.record(ev.Deposited(account=account, currency=currency, amount=amount))
            self.accounts[venue], self.exchanges[venue] = account, exchange

    def _delays(self) -> dict[VenueId, Delay]:
        found = {}
        for venue in self.accounts:
            request = self.spec.latency_ns(self.spec.request_ms, venue)
            report = self.spec.latency_ns(self.spec.report_ms, venue)
            if request or report:
                found[venue] = Delay(request, report)
        return found

    def _on_record(self, record: ev.Record) -> None:
        event = record.event
        if isinstance(event, ev.OrderFilled):
            fill = event.fill
            order = self.state.order(fill.client_id)
            mark = None if order is None or order.price is not None else order.decision.mark
            reason = "" if order is None else shown_reason(order.decision.reason)
            self.books[fill.instrument].add(fill, reason, mark)
            self.fills += 1
            if self.tiers is not None:
                self.tiers.on_fill(fill)
        elif isinstance(event, ev.OrderRefused):
            for code in dict.fromkeys(event.codes):
                self.refusals[code] = self.refusals.get(code, 0) + 1
        elif isinstance(event, ev.OrderRejected):
            self.refusals[event.code] = self.refusals.get(event.code, 0) + 1
        elif isinstance(event, ev.BreakerTripped):
            self.halts.append((self.clock.now(), event.reason))
        if isinstance(event, _HEARD) and not self._ending:
            self.bot.on_record(record)
        elif isinstance(event, ev.OrderFilled):
            self.bot.on_position(event.fill.instrument)

    def _on_fees(self, instrument: Instrument) -> None:
        view, rules = self.bot.views[instrument.id], instrument.current_rules
        view.maker_fee, view.taker_fee = float(rules.maker_fee), float(rules.taker_fee)

    def _on_alert(self, text: str, critical: bool) -> None:
        self.alerts.append((self.clock.now(), ("critical: " if critical else "") + text))

    def _on_stop(self, reason: str) -> None:
        self.stopped = self.stopped or reason
        self.bot.allow_entries(False, reason, self.clock.now())

    # --- the loop ----------------------------------------------------------------------------------------------------

    def run(self, progress: Progress | None = None) -> BacktestResult:
        """Walk all tapes to their end."""
        self.funding = Funding(self)
        columns, plays = players_of(self)
        for column, play in zip(*self.funding.players(), strict=True):
            columns.append(column)
            plays.append(play)
        times, sources, rows = merge(columns)
        self._every = max(RISK_EVERY_NS, (self.end - self.begin) // MOST_POINTS)
        self._next_risk = self.begin + self._every
        self._next_timer = self.begin + self.bot.timer_ns if self.bot.timer_ns else _NEVER
        self.curve.append((self.begin, self._worth_at_first()))
        self.bot.start(self.begin)
        # What the tapes hold stays to the end: looking for garbage in it again and again finds none.
        gc.freeze()
        try:
            self._walk(times, sources, rows, plays, progress)
        finally:
            gc.unfreeze()
        self._between(self.end)
        forced = self._close_at_end()
        return self._result(forced)

    def _walk(
        self,
        times: list[int],
        sources: list[int],
        rows: list[int],
        plays: Sequence[Callable[[int], None]],
        progress: Progress | None,
    ) -> None:
        wires, clock, gate = self.wires, self.clock, self.begin
        count, report_at = len(times), PROGRESS_EVERY
        for done, (ts, source, row) in enumerate(zip(times, sources, rows, strict=True)):
            if ts >= gate or ts >= wires.next_due:
                gate = self._between(ts)
            clock._now = ts
            plays[source](row)
            if done >= report_at:
                report_at = done + PROGRESS_EVERY
                if progress is not None:
                    progress(done / count)

    def _worth_at_first(self) -> float:
        """What is there at the beginning, at each market's first prices; the strategy does not see them."""
        if not self.spec.balances:
            return float(self.spec.capital)
        views = self.bot.views
        for tape in self.tapes:
            views[tape.id].bid, views[tape.id].ask = first_prices(tape)
        worth = self.valuer.equity()
        for view in views.values():
            view.bid = view.ask = 0.0
        return worth

    def _between(self, until: int) -> int:
        """Let pass what lies between two events: what is under way, timers, risk; gives when the next is due."""
        changed, seq = True, 0
        while True:
            due = min(self.wires.next_due, self._next_timer, self._next_risk)
            if due > until:
                return min(self._next_timer, self._next_risk)
            self.clock.set(due)
            if due == self.wires.next_due:
                self.wires.advance(due)
            elif due == self._next_timer:
                self._next_timer += self.bot.timer_ns
                self.bot.on_timer(due)
            else:
                self._next_risk += self._every
                state = self.state
                # While no market moves and nothing is booked, breakers and limits say what they said before.
                if changed or state.seq != seq or state.breakers or state.halts or state.locks:
                    self._look(due)
                    changed, seq = False, state.seq

    def _look(self, now: int) -> None:
        if self.funding:
            self.funding.mark_all()
        self.risk.tick(now)
        self._note(now)
        halted = bool(self.state.halts) or any(not breaker.reduces for breaker in self.state.breakers.values())
        if self.bot.context.may_enter is halted and not self.stopped:
            self.bot.allow_entries(not halted, "trading is halted", now)

    def _note(self, now: int) -> None:
        self.curve.append((now, self.valuer.equity()))
        first = next(iter(self.bot.views.values()))
        self.marks.append(first.mid or first.last)

    def report(self, venue: VenueId, reports: Sequence[object]) -> None:
        """Bring what an exchange told by itself to the desk."""
        self.wires.report(venue, reports, self.clock._now)  # type: ignore[arg-type]

    def _close_at_end(self) -> bool:
        """Cancel what works; what is held is valued at the last prices, and its trades are closed on paper there."""
        self._ending = True
        for order in self.desk.open_orders():
            if order.is_open and not order.cancel_requested:
                self.desk.cancel(order.client_id, END_OF_DATA)
        self.wires.drain()
        return any(view.position for view in self.bot.views.values())

    # --- the result --------------------------------------------------------------------------------------------------

    def _result(self, forced: bool) -> BacktestResult:
        if self.curve[-1][0] < self.end:
            self._note(self.end)
        else:
            self.curve[-1] = (self.end, self.valuer.equity())
        ts = np.array([at for at, _ in self.curve], dtype=np.int64)
        equity = np.array([value for _, value in self.curve])
        marks = np.array([self.marks[0] if self.marks else 0.0, *self.marks])
        known = marks[marks > 0]
        start = float(known[0]) if len(known) else 1.0
        benchmark = float(equity[0]) * np.where(marks > 0, marks, start) / start
        trades = sorted(
            (trade for book in self.books.values() for trade in book.closed), key=lambda trade: trade.exit_time
        )
        settings = MetricSettings(
            risk_free_rate=self.spec.risk_free_rate,
            required_sharpe=self.spec.required_sharpe,
            max_drawdown_limit=self.spec.max_drawdown_limit,
        )
        return BacktestResult(
            trades=trades,
            ts=ts,
            equity=equity,
            benchmark=benchmark,
            metrics=compute_metrics(ts, equity, benchmark, trades, self._exposure(trades), settings),
            bars=sum(len(tape) for tape in self.tapes),
            orders=self.wires.orders,
            refusals=self.refusals,
            forced_close=forced,
            halts=self.halts,
            warmup=0,
        )

    def _exposure(self, trades: Sequence[ClosedTrade]) -> float:
        """Share of the time at which something was held, trades of different markets counted once."""
        spans = sorted((trade.entry_time, trade.exit_time) for trade in trades)
        spans += [(book.open_since, self.end) for book in self.books.values() if book.open_since]
        held, reached = 0, self.begin
        for start, stop in sorted(spans):
            held += max(0, stop - max(start, reached))
            reached = max(reached, stop)
        return held / max(self.end - self.begin, 1)


def run_markets(
    spec: MarketsSpec, strategy: EventStrategy, tapes: Sequence[Tape], progress: Progress | None = None
) -> BacktestResult:
    """Run one specification over its markets.

    Args:
        spec: What to run.
        strategy: The strategy, built with the specification's parameters.
        tapes: The data of each market, in the order of the specification.
        progress: Hears the share done.

    Raises:
        DataError: A market has no data.
        StrategyError: The strategy failed.
    """
    empty = [str(tape.id) for tape in tapes if not len(tape)]
    if empty or not tapes:
        raise DataError(f"There are no data of {', '.join(empty) or 'any market'} in that range; choose another one.")
    try:
        return MarketsRun(spec, strategy, tapes).run(progress)
    except OrderRejectionError as error:
        raise DataError(f"The run could not go on: {error.message}") from error

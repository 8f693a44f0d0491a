"""Keeps risk measured while the engine runs: the past of markets, metrics, regimes, adaptation, the daily stress test.

What is heavy is computed in a thread over values that were copied on the loop; facts are booked on the loop. Nothing
here trades. What fails is reported, and leaves static parameters and the last figures, with their age, behind.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import JournalError, QuarterdeckError, RegimeError, ValidationError
from engine.logs import get_logger
from engine.model.candle import Bars, timeframe_ns, timeframe_text
from engine.model.decimals import ZERO
from engine.model.faults import Severity
from engine.model.ids import venue_of
from engine.model.regime import PORTFOLIO
from engine.model.valuation import VIEW
from engine.risk.holdings import Holdings, holdings
from engine.risk.portfolio import measure
from engine.risk.regimes import RegimeWatch, read
from engine.risk.returns import DAY
from engine.risk.stress import Losses, stress
from engine.risk.uses import worst_level

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.engine import Engine
    from engine.model.ids import Currency, InstrumentId
    from engine.model.risk_metrics import RiskMetrics, StressResult
    from engine.risk.regimes import Reading
    from engine.risk.returns import DailyReturns

__all__ = ["RiskWatch"]

log = get_logger(__name__)

NS_PER_DAY = 86_400_000_000_000
BEGIN_S = 5.0
"""Seconds after the start at which the past of markets is asked for: what trades comes first."""
LOOK_S = 5.0
"""How often it is looked whether a market's past is behind."""
REST_S = 0.25
"""Rest between two questions to a venue, which has orders to answer as well."""
RETRY_S = 300.0
"""Rest before a question that failed is asked again."""
ANSWER_S = 30.0
"""Seconds of real time that a venue has for the past of a market."""
LATE_NS = 120_000_000_000
"""A day's or a bar's candle is asked for so long after it has closed."""
MARKETS = 60
"""Most markets whose past is kept."""


class RiskWatch:
    """What measures risk beside the trading.

    Args:
        engine: Whose risk it is; its departments exist, and nothing is started.
        returns: Filled here.
    """

    def __init__(self, engine: Engine, returns: DailyReturns) -> None:
        self._engine = engine
        self.returns = returns
        self.regimes = engine.risk.adaptation.regimes = RegimeWatch(engine.state, engine.settings.adaptive)
        self.metrics: RiskMetrics | None = None
        """The newest metrics; None before the first."""
        self.problem = ""
        """Why the last measurement failed; empty while all is well."""
        self._recorded = 0
        self._failed: dict[tuple[InstrumentId, str], int] = {}
        self._asked: dict[InstrumentId, int] = {}
        self._read: dict[InstrumentId, int] = {}
        self._correlated = -1
        engine.risk.adaptation.markets = self.held_markets
        engine.ledger.subscribe(self._hear)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to measure; the group owns the tasks."""
        tasks.create_task(self._measure_on(), name="risk metrics")
        tasks.create_task(self._learn_on(), name="risk history")

    # --- which markets -----------------------------------------------------------------------------------------------

    def held_markets(self) -> tuple[InstrumentId, ...]:
        """The markets in which something is held or ordered."""
        state = self._engine.state
        found = [key for (_, key), position in state.positions.items() if position.lots]
        found += [order.instrument for order in state.orders.values()]
        return tuple(dict.fromkeys(found))

    def markets(self) -> tuple[InstrumentId, ...]:
        """The markets whose past is kept: what is held or ordered, then what is watched, for bots or for a person."""
        engine = self._engine
        coins = [one.instrument for one in self._holdings().held]
        wanted = dict.fromkeys((*coins, *self.held_markets(), *engine.hub.markets))
        return tuple(key for key in wanted if venue_of(key) in engine.venues)[:MARKETS]

    # --- metrics -----------------------------------------------------------------------------------------------------

    async def _measure_on(self) -> None:
        settings = self._engine.settings.metrics
        while True:
            await self._engine.clock.sleep(settings.interval_s)
            if self._may_work():
                await self._step("measure risk", self.measure_once())
                await self._step("run the daily stress test", self._stress_daily())

    async def measure_once(self) -> RiskMetrics:
        """Measure now, and book it when the time has come.

        Raises:
            JournalError: It could not be booked.
        """
        engine, settings = self._engine, self._engine.settings.metrics
        held, level = self._holdings(), self._level()
        days = dict(engine.state.equity_days)
        with engine.risk.times.step("metrics"):
            metrics = await asyncio.to_thread(measure, held, self.returns, days, settings, level)
        self.metrics, self.problem = metrics, ""
        now = engine.clock.now()
        if now - self._recorded >= settings.record_s * 1e9 and self._may_work():
            self._recorded = now
            seen = self._deposits()
            moved = self._moved(seen, metrics.currency)
            engine.ledger.record(ev.RiskMeasured(metrics=metrics, deposits=tuple(sorted(seen.items())), moved=moved))
        self._adapt(now)
        return metrics

    def _holdings(self) -> Holdings:
        engine = self._engine
        return holdings(engine.risk.picture, engine.base_currency, engine.clock.now())

    def _level(self) -> str:
        risk = self._engine.risk
        accounts = [account for account in self._engine.accounts if account in self._engine.state.accounts]
        return worst_level([use for account in accounts for use in risk.uses(account)])

    def _deposits(self) -> dict[Currency, Decimal]:
        sums: dict[Currency, Decimal] = {}
        for (account, currency), entry in self._engine.state.sums.items():
            if account not in self._engine.risk.picture.absent:
                sums[currency] = sums.get(currency, ZERO) + entry.deposits + entry.adjustments
        return sums

    def _moved(self, seen: dict[Currency, Decimal], base: Currency) -> Decimal | None:
        """Value of what came in since risk was measured last; None where a rate is missing."""
        value = ZERO
        for currency, total in seen.items():
            change = total - self._engine.state.deposits_seen.get(currency, ZERO)
            if change:
                rate = self._engine.rates.rate(currency, base)
                if rate is None:
                    return None
                value = VIEW.add(value, VIEW.multiply(change, rate))
        return value.quantize(Decimal("0.00000001"))

    # --- stress tests ------------------------------------------------------------------------------------------------

    async def stress_now(self) -> tuple[Holdings, tuple[StressResult, ...]]:
        """Apply all scenarios to what is held now; nothing is booked."""
        engine, settings = self._engine, self._engine.settings
        held = self._holdings()
        losses = self._losses()
        limits = engine.risk.limits()
        results = await asyncio.to_thread(stress, held, self.returns, limits, losses, settings.stress, settings.metrics)
        return held, results

    async def stress_and_book(self, cause: str) -> ev.StressTested:
        """Apply all scenarios and book the result.

        Raises:
            JournalError: It could not be booked.
        """
        held, results = await self.stress_now()
        fact = ev.StressTested(
            results=results, currency=held.currency, equity=held.equity, cause=cause, ts=self._engine.clock.now()
        )
        self._engine.ledger.record(fact)
        return fact

    async def _stress_daily(self) -> None:
        today = self._engine.clock.now() // NS_PER_DAY
        known = self._engine.state.stress_tests
        if not self._engine.settings.stress.daily or today in known or self.metrics is None:
            return
        if self.metrics.missing and not self._given_up(self.metrics.missing):
            # The past of what is held is still being asked for.
            return
        await self.stress_and_book("daily")

    def _given_up(self, names: Iterable[str]) -> bool:
        """Whether the past of all of these was asked for and is not to be had."""
        return all(name not in self._engine.state.instruments or name in self._asked for name in names)

    def _losses(self) -> Losses:
        """The worst loss of any account so far, as its breakers see it."""
        found: dict[str, list[float]] = {}
        for standing in self._engine.risk.standings():
            if standing.value is not None:
                found.setdefault(standing.name, []).append(float(standing.value))
        day, fall = found.get("daily_loss"), found.get("drawdown")
        return Losses(day=max(day) if day else None, drawdown=max(fall) if fall else None)

    # --- the past of markets, and regimes ----------------------------------------------------------------------------

    async def _learn_on(self) -> None:
        await self._engine.clock.sleep(BEGIN_S)
        while True:
            if self._may_work():
                await self._step("learn the past of markets", self.learn())
            await self._engine.clock.sleep(LOOK_S)

    async def learn(self) -> None:
        """Ask for what is missing of the past of every market, and read the regimes of those with a new bar."""
        wanted = self.markets()
        self.regimes.keep(wanted)
        for instrument in wanted:
            await self._learn_minutes(instrument)
            await self._learn_days(instrument)
            await self._learn_regime(instrument)
        held = list(self._holdings().by_instrument())
        mean = await asyncio.to_thread(self.returns.mean_correlation, held)
        if self._correlation_is_due():
            self._book(self.regimes.take_correlation(mean, self._engine.clock.now()))

    def _correlation_is_due(self) -> bool:
        """Correlations are read once a bar of the regimes, so that as many readings confirm them."""
        now = self._engine.clock.now() // timeframe_ns(self._engine.settings.adaptive.timeframe)
        if self._correlated == now and self.regimes.mean_correlation is not None:
            return False
        self._correlated = now
        return True

    async def _learn_minutes(self, instrument: InstrumentId) -> None:
        """Ask for the past that the volatility breaker would otherwise have to hear first."""
        engine = self._engine
        length = engine.settings.protections.ns("volatility_period_s")
        missing = engine.risk.manager.wants_past(instrument)
        # No venue has bars of parts of a minute.
        if not missing or length % timeframe_ns("1m"):
            return
        timeframe = timeframe_text(length)
        bars = await self._ask(instrument, timeframe, missing)
        if bars is None:
            return
        engine.risk.manager.take_past(instrument, [bar for bar in bars if bar.closed], engine.clock.now())
        if engine.risk.manager.wants_past(instrument):
            # There is a gap in it: it is asked again as rarely as one that failed.
            self._failed[instrument, timeframe] = engine.clock.now()

    async def _learn_days(self, instrument: InstrumentId) -> None:
        now = self._engine.clock.now()
        newest, yesterday = self.returns.last_day(instrument), (now - LATE_NS) // NS_PER_DAY - 1
        if newest is not None and newest >= yesterday:
            return
        # The newest one that is known is asked for again: the venue may have corrected it.
        most = self.returns.days + 1
        candles = await self._ask(instrument, DAY, most if newest is None else min(yesterday - newest + 1, most))
        if candles is not None:
            self._asked[instrument] = now
            self.returns.take(instrument, candles)
            await asyncio.to_thread(self.returns.warm)
            if self.returns.last_day(instrument) == newest:
                # It has none yet: it is asked again as rarely as one that failed.
                self._failed[instrument, DAY] = now

    async def _learn_regime(self, instrument: InstrumentId) -> None:
        settings, now = self._engine.settings.adaptive, self._engine.clock.now()
        length = timeframe_ns(settings.timeframe)
        last = self._read.get(instrument)
        if last is not None and now - LATE_NS < last + length:
            return
        candles = await self._ask(instrument, settings.timeframe, settings.history_bars + settings.volatility_bars + 1)
        if candles is None:
            return
        closed = [candle for candle in candles if candle.closed]
        self._read[instrument] = closed[-1].ts + length if closed else now
        try:
            bars = Bars.from_candles(settings.timeframe, closed)
            reading: Reading = await asyncio.to_thread(read, instrument, bars, settings)
        except RegimeError as error:
            self._cannot_tell(instrument, error)
            return
        self._book(self.regimes.take(reading))

    def _cannot_tell(self, scope: str, error: RegimeError) -> None:
        if self.regimes.problems.get(scope) != error.message:
            log.warning("a regime cannot be told; static parameters hold", scope=scope, problem=error.message)
        self.regimes.fail(scope, error)

    async def _ask(self, instrument: InstrumentId, timeframe: str, limit: int) -> list | None:  # type: ignore[type-arg]
        engine, key = self._engine, (instrument, timeframe)
        failed = self._failed.get(key)
        unit = engine.venues[venue_of(instrument)]
        if (failed is not None and engine.clock.now() - failed < RETRY_S * 1e9) or unit.connection.lost:
            return None
        await engine.clock.sleep(REST_S)
        try:
            async with asyncio.timeout(ANSWER_S):
                candles = await unit.guard.candles(instrument, timeframe, limit=limit)
        except (QuarterdeckError, TimeoutError, OSError) as error:
            self._failed[key] = engine.clock.now()
            self._asked[instrument] = engine.clock.now()
            words = error.message if isinstance(error, QuarterdeckError) else str(error) or type(error).__name__
            log.info("the past of a market cannot be had", instrument=instrument, timeframe=timeframe, problem=words)
            if timeframe == engine.settings.adaptive.timeframe:
                self._cannot_tell(instrument, RegimeError(f"The regime of {instrument} cannot be told: {words}"))
            if not isinstance(error, ValidationError):
                engine.errors.report(error, component="risk", operation="learn history", position=instrument)
            return None
        self._failed.pop(key, None)
        return list(candles)

    def _hear(self, record: ev.Record) -> None:
        # A replay has nothing else to know them by.
        if isinstance(record.event, ev.RiskMeasured):
            self.metrics = record.event.metrics

    # --- booking -----------------------------------------------------------------------------------------------------

    def _may_work(self) -> bool:
        engine = self._engine
        return engine.ready and engine.ledger.failed is None and not engine.standstill.frozen and not engine.stopping

    def _book(self, facts: Iterable[ev.RegimeChanged]) -> None:
        for fact in facts:
            if self._may_work():
                self._engine.ledger.record(fact)
                scope = "The portfolio" if fact.scope == PORTFOLIO else fact.scope
                log.info("regime", scope=scope, kind=fact.kind, before=fact.before, after=fact.after, cause=fact.cause)

    def _adapt(self, now: int) -> None:
        engine = self._engine
        for fact in engine.risk.adaptation.changes(engine.state, self.markets(), now):
            if self._may_work():
                engine.ledger.record(fact)

    async def _step(self, what: str, work: object) -> None:
        try:
            await work  # type: ignore[misc]
        except JournalError as error:
            log.error("risk is not measured: nothing can be booked", problem=error.message)
        except Exception as error:  # what measures may never end what trades
            words = error.message if isinstance(error, QuarterdeckError) else str(error) or type(error).__name__
            if self.problem != words:
                log.exception("risk cannot be measured", what=what)
                self._engine.errors.report(error, component="risk", operation=what)
                self._engine.errors.alert(Severity.MEDIUM, "risk", f"The engine could not {what}: {words}")
            self.problem = words

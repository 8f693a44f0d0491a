"""The running engine: recovers, wires the departments, trades until it is told to stop, and ends in order."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.departments import (
    attach,
    leave_out_absent,
    make_bots,
    make_capital,
    make_derivatives,
    make_quality,
    make_risk,
    unreached,
)
from engine.errors import (
    ConflictError,
    JournalError,
    NotFoundError,
    QuarterdeckError,
)
from engine.execution.desk import Desk
from engine.execution.dispatcher import Dispatcher
from engine.execution.emulation import EmulatingVenue, emulated
from engine.execution.guard import VenueGuard
from engine.execution.ids import ClientIds
from engine.health import LagMonitor
from engine.ledger import Ledger
from engine.logs import get_logger
from engine.market.hub import MarketHub
from engine.model.decimals import ZERO
from engine.model.entries import TradingState
from engine.model.ids import AccountId, Currency, InstrumentId, venue_of
from engine.model.valuation import Rates, Valuation, account_equity, together
from engine.parents import make_algos, make_impact, make_planner
from engine.pulse import Pulse
from engine.remedies import Remedies
from engine.resilience.caution import Caution
from engine.resilience.handler import ErrorHandler
from engine.resilience.scenario import Scenarios
from engine.risk.returns import DailyReturns
from engine.risk.scopes import find_scope
from engine.risk_watch import RiskWatch
from engine.standstill import Standstill
from engine.venue_unit import VenueUnit, bring_in_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from decimal import Decimal

    from engine.bots.manager import Library
    from engine.clock import Clock
    from engine.config import Settings
    from engine.execution.reconcile import Book
    from engine.inheritance import Inherited
    from engine.market.recorder import Recorder
    from engine.model.account import Account
    from engine.model.candle import Candle
    from engine.model.market import MarketEvent
    from engine.model.venue import Venue
    from engine.risk.scopes import Emergency
    from engine.venue_unit import VenuePlan
    from storage.journal.engine_journal import EngineJournal

__all__ = ["Engine"]

log = get_logger(__name__)


class Engine:
    """One engine for one home folder, with its venues and accounts.

    `start` returns when trading may begin; `run` owns all tasks; `stop` ends in order. The journal is open and its
    epoch taken before the engine is made.
    """

    recorder: Recorder | None = None
    """Hears every market event after the hub has."""

    def __init__(
        self,
        *,
        settings: Settings,
        journal: EngineJournal,
        venues: Sequence[VenuePlan],
        library: Library,
        clock: Clock,
        release: str,
        hub: MarketHub | None = None,
        emergency: Emergency | None = None,
        inherited: Inherited | None = None,
        watch_list: Iterable[InstrumentId] = (),
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.release = release
        self.journal = journal
        self.started = clock.now()
        self.pid = os.getpid()
        self.state = journal.recovered.state
        self.ledger = Ledger(self.state, journal, clock, journal.epoch, self._on_fault)
        self.hub = hub or MarketHub()
        self.errors = ErrorHandler(clock, settings.error_handling)
        self.caution = Caution(settings.error_handling.conservative_size)
        self.scenarios = Scenarios(clock, self.ledger.record, self.errors)
        venues = [msgspec.structs.replace(plan, venue=emulated(plan.venue, clock)) for plan in venues]
        guards = {plan.venue.id: VenueGuard(plan.venue, clock, self.errors, self.scenarios) for plan in venues}
        untracked = settings.recovery.untracked_orders
        self.dispatcher = Dispatcher(self.ledger, guards, clock, errors=self.errors, untracked=untracked)
        first = venues[0].accounts[0].id
        returns = DailyReturns(settings.metrics.history_days)
        self.risk = make_risk(self, first, returns)
        ids = ClientIds(journal.meta.instance, journal.epoch, journal.nonce)
        self.desk = Desk(self.ledger, self.risk.gate, self.hub, ids, self.dispatcher)
        self.impact = make_impact(self)
        self.dispatcher.attach(self.desk)
        self.risk.attach(self.desk)
        self.algos, self.quality = make_algos(self), make_quality(self)
        self.planner = make_planner(self)
        self._emulations = {plan.venue.id: plan.venue for plan in venues if isinstance(plan.venue, EmulatingVenue)}
        self.inherited = inherited
        """What the process before this one left; None after a usual start."""
        self.watch_list = dict.fromkeys(watch_list)
        """Instruments that a person has chosen to watch."""
        self.derivatives = make_derivatives(self)
        self.venues = {plan.venue.id: VenueUnit(self, plan, guards[plan.venue.id]) for plan in venues}
        """All venues; the first one is meant where none is named."""
        self.hub.latency = lambda venue: self.venues[venue].latency_ms if venue in self.venues else None
        self.accounts = {account: unit for unit in self.venues.values() for account in unit.accounts}
        """The venue of every account that is traded here."""
        self.bots = make_bots(self, library)
        leave_out_absent(self)
        attach(self, self._emulations.values())
        self.risk.recovery_check.absent = partial(unreached, self)
        self.lag = LagMonitor(clock)
        self.rates = Rates(self.state.instruments, self.mark)
        self.capital = make_capital(self)
        self.failure = ""
        """Why the engine halted itself; empty while all is well."""
        self._tasks: asyncio.Task[None] | None = None
        self._recovered = False
        self.emergency = emergency
        """What is stopped from the first moment on, with no bot brought back; None for a usual start."""
        self._came_over = asyncio.Event()
        self.standstill = Standstill(self)
        self.ready = False
        """Whether it is up: trading, and able to be handed over."""
        self.stopping = False
        self._stopped = asyncio.Event()
        self._refused: deque[int] = deque(maxlen=10_000)
        if inherited is not None:
            self.risk.take(inherited.carried.risk)
            self.dispatcher.take(inherited.carried.dispatch)
        journal.on_failure(self._on_journal_failure)
        self.ledger.subscribe(self._on_record)
        self.remedies = Remedies(self)
        self.risk_watch = RiskWatch(self, returns)

    # --- venues and accounts -----------------------------------------------------------------------------------------

    @property
    def default(self) -> VenueUnit:
        """The venue that is meant where none is named."""
        return next(iter(self.venues.values()))

    @property
    def venue(self) -> Venue:
        """The default venue itself."""
        return self.default.venue

    @property
    def guard(self) -> VenueGuard:
        """The default venue, guarded."""
        return self.default.guard

    @property
    def account(self) -> AccountId:
        """The account that is meant where none is named."""
        return next(iter(self.accounts))

    def unit(self, instrument: InstrumentId) -> VenueUnit:
        """The venue of an instrument.

        Raises:
            NotFoundError: It is none of this engine's.
        """
        found = self.venues.get(venue_of(instrument))
        if found is None:
            raise NotFoundError(_no_venue(instrument, tuple(self.venues)))
        return found

    def account_for(self, instrument: InstrumentId, named: str = "") -> AccountId:
        """The account in which an instrument is traded: the named one, else the first one of its venue.

        Raises:
            NotFoundError: There is no such account, or none at that venue.
        """
        unit = self.unit(instrument)
        if named and named not in unit.accounts:
            known = ", ".join(unit.accounts) or "none"
            raise NotFoundError(f"{unit.id} has no account {named}; it has {known}.")
        account = AccountId(named) if named else unit.account
        if account is None:
            raise NotFoundError(f"{unit.id} only gives prices; no account is traded there.")
        return account

    def knows(self, account: AccountId) -> bool:
        """Whether what is booked of an account is known to be what its venue says."""
        unit = self.accounts.get(account)
        return unit is not None and unit.recovered and account in self.state.accounts

    async def watch(self, instrument: InstrumentId) -> None:
        """Keep an instrument's market too.

        Raises:
            NotFoundError: There is no such venue or instrument.
            ExchangeError: The venue cannot be reached.
        """
        await self.unit(instrument).watch([instrument])

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Recover and begin to trade. After an error, `stop` releases what was taken.

        Raises:
            QuarterdeckError: The venue cannot be reached, or state and venue cannot be brought in line.
        """
        self.journal.start()
        self.ledger.record(ev.EpochOpened(epoch=self.journal.epoch, instance=self.journal.meta.instance))
        self.ledger.record(ev.EngineStarted(instance=self.journal.meta.instance, release=self.release, pid=self.pid))
        if self.emergency:
            # Before the venue is met, so that nothing is entered whatever the recovery finds.
            scope = find_scope(self.emergency.scope, self.state, self.venues, self.accounts)
            self.risk.block(self.emergency.reason, scope)
        joined = self.inherited.join(self.on_venue, self.on_market) if self.inherited is not None else frozenset()
        units = tuple(self.venues.values())
        for unit in (unit for unit in units if unit.plan.required):
            await unit.open(joined=unit.id in joined)
        await asyncio.gather(*(unit.open(joined=unit.id in joined) for unit in units if not unit.plan.required))
        self._tasks = asyncio.get_running_loop().create_task(self._run(), name="engine")
        await bring_in_line(self, units)
        self._recovered = True
        self.dispatcher.inquiry.on_learnt = self._learnt
        if not self.emergency:
            await self.bots.recover(handed_over=self.inherited is not None)
        self.ready = True
        self._came_over.set()
        log.info("engine started", epoch=self.journal.epoch, seq=self.ledger.seq)

    def _learnt(self, account: AccountId, booked: Sequence[Book], asked: int) -> None:
        unit = self.accounts.get(account)
        if unit is not None:
            unit.upkeep[account].monitor.hear(booked, asked)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.dispatcher.run(), name="dispatcher")
            tasks.create_task(self.lag.run(), name="lag monitor")
            tasks.create_task(Pulse(self).run(), name="tick")
            tasks.create_task(self.bots.supervisor.tend(self.clock, self._bots_may_move), name="bots")
            tasks.create_task(self.bots.supervisor.retry(self.clock, self._bots_may_move), name="restarts of bots")
            tasks.create_task(self.bots.universes.run(self.clock, self._bots_may_move), name="universes")
            for unit in self.venues.values():
                unit.start(tasks)
            for emulation in self._emulations.values():
                tasks.create_task(emulation.run(), name=f"held orders of {emulation.id}")
            self.remedies.start(tasks)
            self.risk_watch.start(tasks)
            if self.inherited is not None:
                tasks.create_task(self._verify_later(), name="verify")

    async def _verify_later(self) -> None:
        """After a hand-over the books are those of the predecessor, who kept them in line: trading need not wait."""
        await self._came_over.wait()
        for unit in self.venues.values():
            await unit.verify_later()

    def _bots_may_move(self) -> bool:
        return self.ready and self.ledger.failed is None and not self.standstill.frozen

    @property
    def recovered(self) -> bool:
        """Whether what is booked is known to be what the venue says."""
        return self._recovered

    @property
    def stopped(self) -> bool:
        """True once the engine has ended."""
        return self._stopped.is_set()

    async def wait_stopped(self) -> None:
        """Return when the engine has stopped; raise what made it stop by itself."""
        if self._tasks is not None:
            stopped = asyncio.get_running_loop().create_task(self._stopped.wait(), name="stopped")
            try:
                await asyncio.wait({self._tasks, stopped}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stopped.cancel()
            if self._tasks.done() and not self._tasks.cancelled() and not self._stopped.is_set():
                self._tasks.result()
            return
        await self._stopped.wait()

    async def stop(self) -> None:
        """End in order: book the end, wait until all is durable, leave orders and positions as they are."""
        if self.stopping:
            await self._stopped.wait()
            return
        self.stopping = True
        try:
            if self._tasks is not None:
                self._tasks.cancel()
                await asyncio.wait({self._tasks}, timeout=5)
            await self.bots.let_go()
            await asyncio.gather(*(unit.close() for unit in self.venues.values()))
            if self.ledger.failed is None and not self.standstill.sealed:
                self.ledger.record(ev.EngineStopped(reason="asked to stop"))
        except JournalError as error:
            log.error("the end could not be booked", problem=error.message)
        finally:
            await self.journal.close()
            self._stopped.set()

    def _on_journal_failure(self, error: QuarterdeckError) -> None:
        self.ledger.failed = error.message
        self.failure = error.message
        log.critical("the journal failed; the engine halts", problem=error.message)
        self.errors.report(error, component="journal", operation="write")

    def _on_fault(self, record: ev.Record, error: Exception) -> None:
        """A part of the engine could not take a fact: what it knows may be wrong from now on."""
        if isinstance(error, JournalError):
            log.error("a consequence of a fact was not booked: the journal failed", seq=record.seq)
            return
        log.error("a part of the engine failed", fact=ev.event_name(record.event), seq=record.seq, exc_info=error)
        self.errors.report(error, component="engine", operation=f"hear {ev.event_name(record.event)}")
        self.halt(f"A part of the engine failed at fact {record.seq} ({type(error).__name__}).")

    def halt(self, reason: str) -> None:
        """Stop new orders because the engine is at fault; cancels and reductions go on."""
        self.failure = self.failure or f"{reason} The log has the details."
        try:
            self.risk.hold("engine", reason, TradingState.HALTED)
        except ConflictError:
            return
        except QuarterdeckError as error:
            log.critical("trading could not be halted", problem=error.message)

    # --- sinks -------------------------------------------------------------------------------------------------------

    def on_venue(self, account: AccountId, event: ev.VenueEvent) -> None:
        """Book what a venue reports."""
        if self.ledger.failed is not None or self.standstill.keep_report(account, event):
            return
        try:
            self.desk.on_event(account, event)
        except JournalError as error:
            log.error("a report of the venue was not booked: the journal failed", problem=error.message)
        except Exception as error:  # the venue's stream must go on, and the person must know
            log.exception("a report of the venue cannot be booked", report=ev.event_name(event))
            self.errors.report(error, component="venue", operation=f"book {ev.event_name(event)}")
            unit = self.accounts.get(account)
            source = unit.id if unit is not None else account
            self.halt(f"A report of {source} cannot be booked ({_words(error)}).")

    def on_market(self, event: MarketEvent) -> None:
        """Take in what a market says."""
        if self.standstill.keep_market(event):
            return
        try:
            now = self.clock.now()
            self.hub.on_market(event, now)
            if self._recovered:
                self.risk.heard(event.instrument, now)
            if self.recorder is not None:
                self.recorder.on_market(event, now)
            if self._emulations:
                emulation = self._emulations.get(venue_of(event.instrument))
                if emulation is not None:
                    emulation.on_market(event.instrument)
        except Exception as error:  # the feed must go on; a market that cannot be kept grows old and is not entered on
            log.exception("a market event cannot be used", instrument=event.instrument)
            self.errors.report(error, component="feeds", operation="market event", position=event.instrument)

    def _heard(self, instrument: InstrumentId, timeframe: str) -> Sequence[Candle]:
        return () if self.inherited is None else self.inherited.heard(instrument, timeframe, self.clock.now())

    async def _history(self, instrument: InstrumentId, timeframe: str, limit: int) -> Sequence[Candle]:
        return await self.unit(instrument).guard.candles(instrument, timeframe, limit=limit)

    def _on_record(self, record: ev.Record) -> None:
        if isinstance(record.event, ev.OrderRefused):
            self._refused.append(record.ts)

    def recall(self, record: ev.Record) -> None:
        """Count a fact of the hour before that was not heard as it happened; for a replay that begins in between."""
        self._on_record(record)

    def refusals_last_hour(self) -> int:
        """Orders that the gate refused within the last hour."""
        since = self.clock.now() - 3_600_000_000_000
        return sum(ts >= since for ts in self._refused)

    # --- figures -----------------------------------------------------------------------------------------------------

    def mark(self, instrument: InstrumentId) -> Decimal | None:
        """Present mark price; None while nothing is known."""
        quote = self.hub.quote(instrument)
        return quote.mark if quote is not None else None

    def next_funding(self, instrument: InstrumentId) -> int | None:
        """When funding of a perpetual is paid next, UTC nanoseconds; None while nothing is known."""
        market = self.hub.markets.get(instrument)
        return market.mark.next_funding if market is not None and market.mark is not None else None

    async def _use(self, instruments: Iterable[InstrumentId]) -> None:
        """Know and watch instruments in which positions were found."""
        for instrument in instruments:
            await self.venues[venue_of(instrument)].watch([instrument])

    def equity(self, account: AccountId | None = None) -> Decimal | None:
        """What an account is worth in its base currency; None while a price is missing or it is not known.

        Args:
            account: None for the one that is meant where none is named.
        """
        account = self.account if account is None else account
        if account not in self.state.accounts or account in self.risk.picture.doubtful:
            return None
        value = account_equity(self.state, account, self.rates, self.mark)
        return value.value if value.known else None

    @property
    def base_currency(self) -> Currency:
        """Currency in which all accounts together are valued."""
        chosen = self.settings.capital.base_currency
        return Currency(chosen) if chosen else self.default.accounts[self.account].base_currency

    def open_accounts(self) -> list[Account]:
        """The accounts of this engine that have been opened, in the order of their venues."""
        return [self.state.accounts[account] for account in self.accounts if account in self.state.accounts]

    def total(self) -> Valuation:
        """What all accounts of this engine are worth together; an account that is not known is missing."""
        return together(list(_parts(self)), self.rates, self.base_currency)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _parts(engine: Engine) -> Iterator[tuple[Valuation, Currency]]:
    """What each account is worth, with its currency."""
    for account, unit in engine.accounts.items():
        currency = unit.accounts[account].base_currency
        if account in engine.risk.picture.doubtful or account not in engine.state.accounts:
            yield Valuation(value=ZERO, missing=(f"the account {account}",)), currency
        else:
            yield account_equity(engine.state, account, engine.rates, engine.mark), currency


def _no_venue(instrument: InstrumentId, venues: Sequence[str]) -> str:
    """Why an instrument is at no venue of an engine: whoever left the venue out is shown how it is written."""
    venue = venue_of(instrument)
    if "/" in venue:
        return f"{instrument} names no venue; write the venue before it, such as {venues[0]}:{instrument}."
    return f"The venue {venue or '?'} is not in this engine; it has {', '.join(venues)}."

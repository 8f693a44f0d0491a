"""The running engine: recovers, wires the departments, trades until it is told to stop, and ends in order."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING

from engine import events as ev
from engine.bots.manager import BotManager, Library
from engine.bots.revival import RETRY_S
from engine.capital.allocation import unallocated
from engine.consistency.upkeep import upkeep
from engine.errors import ConflictError, HandoverError, JournalError, QuarterdeckError, VenueCircuitOpenError
from engine.execution.desk import Desk
from engine.execution.dispatcher import Dispatcher
from engine.execution.guard import VenueGuard
from engine.execution.ids import ClientIds
from engine.execution.inquiry import Tally
from engine.health import LagMonitor
from engine.ledger import Ledger
from engine.logs import get_logger
from engine.market.hub import MarketHub
from engine.market.mender import Mender
from engine.model.account import Account, TradingMode
from engine.model.entries import TradingState
from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.valuation import Rates, account_equity
from engine.remedies import Remedies
from engine.resilience.caution import Caution
from engine.resilience.handler import ErrorHandler
from engine.resilience.scenario import Scenarios
from engine.risk.department import RiskDepartment
from engine.standstill import Standstill

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.config import Settings
    from engine.execution.connection import Step
    from engine.inheritance import Inherited
    from engine.model.candle import Candle
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.model.venue import Venue
    from storage.journal.engine_journal import EngineJournal

__all__ = ["Engine"]

log = get_logger(__name__)

ROLL_S = 0.25
"""How often bars are closed by time and risk looks at the account."""


LOOK_BACK_AFTER_S = 2.0
"""Seconds after a hand-over: not beside what orders wait for, and until then the predecessor's bars tell."""


class Engine:
    """One engine for one home folder, one account and one venue.

    `start` returns when trading may begin; `run` owns all tasks; `stop` ends in order. The journal is open and its
    epoch taken before the engine is made.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        journal: EngineJournal,
        venue: Venue,
        account: AccountId,
        library: Library,
        clock: Clock,
        release: str,
        hub: MarketHub | None = None,
        emergency: str = "",
        inherited: Inherited | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.release = release
        self.account = account
        self.venue = venue
        self.journal = journal
        self.started = clock.now()
        self.pid = os.getpid()
        self.state = journal.recovered.state
        self.ledger = Ledger(self.state, journal, clock, journal.epoch, self._on_fault)
        self.hub = hub or MarketHub()
        self.errors = ErrorHandler(clock, settings.error_handling)
        self.caution = Caution(settings.error_handling.conservative_size)
        self.scenarios = Scenarios(clock, self.ledger.record, self.errors)
        self.guard = VenueGuard(venue, clock, self.errors, self.scenarios)
        untracked = settings.recovery.untracked_orders
        self.dispatcher = Dispatcher(
            self.ledger, {venue.id: self.guard}, clock, errors=self.errors, untracked=untracked
        )
        self.risk = RiskDepartment(self.ledger, self.hub, settings.risk, account, caution=self.caution)
        ids = ClientIds(journal.meta.instance, journal.epoch, journal.nonce)
        self.desk = Desk(self.ledger, self.risk.gate, self.hub, ids, self.dispatcher)
        self.dispatcher.attach(self.desk)
        self.risk.attach(self.desk)
        self.bots = self._make_bots(library)
        self.mender = Mender(self.hub, self.guard, clock, self.errors)
        figures, start = settings.error_handling.state_consistency, journal.recovered
        self.accounts, self.recovery, self.monitor = upkeep(
            self.ledger, self.dispatcher, self.risk, self.guard, account, start, figures, self.errors
        )
        self.report: ev.RecoveryVerified | None = None
        """What the verification of this start came to; None while it is not done."""
        self.lag = LagMonitor(clock)
        self.rates = Rates(self.state.instruments, self.mark)
        self.failure = ""
        """Why the engine halted itself; empty while all is well."""
        self._tasks: asyncio.Task[None] | None = None
        self._known = self.account in self.state.cursors
        """Whether the journal knew the account before this start, so that the venue can only confirm the books."""
        self._recovered = False
        """Whether what is booked is known to be what the venue says; nobody judges or trades on it before."""
        self._emergency = emergency
        """Why everything is stopped from the first moment on, with no bot brought back; empty for a usual start."""
        self._inherited = inherited
        self._came_over = asyncio.Event()
        self._tally = Tally()
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

    def _make_bots(self, library: Library) -> BotManager:
        return BotManager(
            self.account,
            self.ledger,
            self.desk,
            self.hub,
            self.risk.sizer,
            library,
            self._history,
            self.clock,
            self.free_capital,
            self.settings.strategies.max_concurrent_strategies,
            self.errors,
            self._heard,
        )

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Recover and begin to trade. After an error, `stop` releases what was taken.

        Raises:
            QuarterdeckError: The venue cannot be reached, or state and venue cannot be brought in line.
        """
        self.journal.start()
        self.ledger.record(ev.EpochOpened(epoch=self.journal.epoch, instance=self.journal.meta.instance))
        self.ledger.record(ev.EngineStarted(instance=self.journal.meta.instance, release=self.release, pid=self.pid))
        if self._emergency:
            # Before the venue is met, so that nothing is entered whatever the recovery finds.
            self.risk.block(self._emergency)
        if self._inherited is None or not self._inherited.join(self.on_venue, self.on_market):
            await self.venue.start(self.on_venue, self.on_market)
        await self._meet_venue()
        self._tasks = asyncio.get_running_loop().create_task(self._run(), name="engine")
        # In an emergency one order without an answer may not keep all others from being cancelled.
        self._tally = await self.dispatcher.recover(self.venue, self.account, patient=not self._emergency)
        if self._inherited is None:
            await self._verify()
        self._recovered = self._known = True
        self.dispatcher.inquiry.on_learnt = self.monitor.hear
        if not self._emergency:
            await self.bots.recover()
        self.ready = True
        self._came_over.set()
        log.info("engine started", epoch=self.journal.epoch, seq=self.ledger.seq)

    async def _listed(self) -> Sequence[Instrument]:
        """All instruments of the venue."""
        try:
            return await self.guard.instruments()
        except VenueCircuitOpenError:
            # A breaker that came open from the process before this one must not end the start: asking tells.
            return await self.venue.instruments()

    async def _meet_venue(self) -> None:
        """Learn instruments and account, and watch every market."""
        if self._inherited is None:
            await self._learn_instruments()
        else:
            # The predecessor knew them all, and the venue may want no questions just now.
            for known in self.state.instruments.values():
                if known.venue == self.venue.id:
                    self.hub.add(known)
            self._inherited.seed(self.hub)
        if self.account not in self.state.cursors:
            await self._open_account()
        await self.venue.watch(list(self.hub.markets))

    async def _learn_instruments(self) -> None:
        for instrument in await self._listed():
            if self.state.instruments.get(instrument.id) != instrument:
                self.ledger.record(ev.InstrumentDefined(instrument=instrument))
            self.hub.add(instrument)

    async def _open_account(self) -> None:
        """Take over what is in the account before its first start."""
        base = Currency(self.settings.paper.base_currency)
        opened = Account(id=self.account, venue=self.venue.id, mode=TradingMode.PAPER, base_currency=base)
        await self.accounts.open(self.guard, opened)

    async def _settle_balances(self) -> None:
        """After all executions are booked, the venue's word on what is in the account is final."""
        await self.recovery.settle_balances(self.guard, self.account, known=self._known)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.dispatcher.run(), name="dispatcher")
            tasks.create_task(self.lag.run(), name="lag monitor")
            tasks.create_task(self._tick(), name="tick")
            tasks.create_task(self.mender.run(), name="mend")
            tasks.create_task(
                self.mender.look_back(LOOK_BACK_AFTER_S if self._inherited is not None else 0.0), name="look back"
            )
            tasks.create_task(self._retry_bots(), name="bots")
            tasks.create_task(self.monitor.run(lambda: self._recovered and not self.standstill.frozen), name="monitor")
            self.remedies.start(tasks)
            if self._inherited is not None:
                tasks.create_task(self._verify_later(), name="verify")

    async def _verify(self) -> None:
        """Compare balances, and check the state against itself."""
        await self._settle_balances()
        self.report = await self.recovery.verify(self.account, self._tally)

    async def _verify_later(self) -> None:
        """After a hand-over the books are those of the predecessor, who kept them in line: trading need not wait."""
        await self._came_over.wait()
        try:
            await self._verify()
            await self._learn_instruments()
        except QuarterdeckError as error:
            log.warning("the books were not compared after the hand-over", problem=error.message)
            self.errors.report(error, component="engine", operation="verify")

    async def _tick(self) -> None:
        """Close bars by time and look after risk."""
        while True:
            now = self.clock.now()
            try:
                if not self.standstill.frozen:
                    self.hub.roll(now)
                    if self._recovered:
                        self.risk.tick(now)
            except JournalError as error:
                log.error("the tick waits: the journal failed", problem=error.message)
            except Exception as error:  # a breaker that cannot be judged must stop trading, not the engine
                log.exception("the tick failed")
                self.errors.report(error, component="engine", operation="tick")
                self._halt(f"A check of the engine failed ({type(error).__name__}).")
            await self.clock.sleep(ROLL_S)

    async def _retry_bots(self) -> None:
        """Bring those bots back whose history could not be had at the start."""
        while True:
            await self.clock.sleep(RETRY_S)
            if self.ready and self.ledger.failed is None and not self.standstill.frozen:
                try:
                    await self.bots.retry()
                except (JournalError, HandoverError) as error:
                    log.error("bots wait: nothing can be booked", problem=error.message)

    @property
    def recovered(self) -> bool:
        """Whether what is booked is known to be what the venue says."""
        return self._recovered

    async def connect(self) -> None:
        """Connect to the venue again and watch every market; harmless where the connection stands.

        Raises:
            QuarterdeckError: The venue cannot be reached.
        """
        if self.standstill.frozen:
            raise HandoverError("The engine is being handed over; whoever trades then connects.")
        await self.venue.start(self.on_venue, self.on_market)
        await self.venue.watch(list(self.hub.markets))

    def sync_steps(self) -> tuple[Step, ...]:
        """What brings the books in line with the venue after a lost connection, in order."""
        return (
            ("positions", lambda: self.dispatcher.inquiry.catch_up(self.guard, self.account)),
            ("orders", lambda: self.dispatcher.resync(self.guard, self.account)),
            ("balances", self._settle_balances),
        )

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
            await self._close_venue()
            if self.ledger.failed is None and not self.standstill.sealed:
                self.ledger.record(ev.EngineStopped(reason="asked to stop"))
        except JournalError as error:
            log.error("the end could not be booked", problem=error.message)
        finally:
            await self.journal.close()
            self._stopped.set()

    async def _close_venue(self) -> None:
        try:
            await self.venue.close()
        except QuarterdeckError as error:
            log.error("the venue was not closed in order", problem=error.message)

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
        self._halt(f"A part of the engine failed at fact {record.seq} ({type(error).__name__}).")

    def _halt(self, reason: str) -> None:
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
            self._halt(f"A report of {self.venue.id} cannot be booked ({_words(error)}).")

    def on_market(self, event: MarketEvent) -> None:
        """Take in what a market says."""
        if self.standstill.keep_market(event):
            return
        try:
            self.hub.on_market(event, self.clock.now())
        except Exception as error:  # the feed must go on; a market that cannot be kept grows old and is not entered on
            log.exception("a market event cannot be used", instrument=event.instrument)
            self.errors.report(error, component="feeds", operation="market event", position=event.instrument)

    def _heard(self, instrument: InstrumentId, timeframe: str) -> Sequence[Candle]:
        return () if self._inherited is None else self._inherited.heard(instrument, timeframe, self.clock.now())

    async def _history(self, instrument: InstrumentId, timeframe: str, limit: int) -> Sequence[Candle]:
        return await self.guard.candles(instrument, timeframe, limit=limit)

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

    def equity(self) -> Decimal | None:
        """What the account is worth in its base currency; None while a price is missing."""
        if self.account not in self.state.accounts:
            return None
        value = account_equity(self.state, self.account, self.rates, self.mark)
        return value.value if value.known else None

    def free_capital(self) -> Decimal | None:
        """What no bot has been given, in base currency; None while equity is not known."""
        equity = self.equity()
        if equity is None:
            return None
        return unallocated(equity, self.state.bots.values())


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__

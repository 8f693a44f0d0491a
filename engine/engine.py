"""The running engine: recovers, wires the departments, trades until it is told to stop, and ends in order."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.bots.manager import BotManager, Library
from engine.capital.allocation import unallocated
from engine.errors import QuarterdeckError
from engine.execution.desk import Desk
from engine.execution.dispatcher import Dispatcher
from engine.execution.ids import ClientIds
from engine.health import LagMonitor
from engine.ledger import Ledger
from engine.logs import get_logger
from engine.market.hub import MarketHub
from engine.model.account import Account, TradingMode
from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.valuation import Rates, account_equity
from engine.risk.department import RiskDepartment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.clock import Clock
    from engine.config import Settings
    from engine.model.candle import Candle
    from engine.model.market import MarketEvent
    from engine.model.venue import Venue
    from storage.journal import Journal

__all__ = ["Engine"]

log = get_logger(__name__)

ROLL_S = 0.25
"""How often bars are closed by time and risk looks at the account."""


class Engine:
    """One engine for one home folder, one account and one venue.

    `start` returns when trading may begin; `run` owns all tasks; `stop` ends in order. The journal is open and its
    epoch taken before the engine is made.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        journal: Journal,
        venue: Venue,
        account: AccountId,
        library: Library,
        clock: Clock,
        release: str,
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.release = release
        self.account = account
        self.venue = venue
        self.journal = journal
        self.started = clock.now()
        self.state = journal.recovered.state
        self.ledger = Ledger(self.state, journal, clock, journal.epoch)
        self.hub = MarketHub()
        self.dispatcher = Dispatcher(self.ledger, {venue.id: venue}, clock)
        self.risk = RiskDepartment(self.ledger, self.hub, settings.risk, account)
        self.desk = Desk(
            self.ledger, self.risk.gate, self.hub, ClientIds(journal.meta.instance, journal.epoch), self.dispatcher
        )
        self.dispatcher.attach(self.desk)
        self.risk.attach(self.desk)
        self.bots = BotManager(
            account,
            self.ledger,
            self.desk,
            self.hub,
            self.risk.sizer,
            library,
            self._history,
            clock,
            self.free_capital,
        )
        self.lag = LagMonitor(clock)
        self.rates = Rates(self.state.instruments, self.mark)
        self.failure = ""
        """Why the engine halted itself; empty while all is well."""
        self._tasks: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._stopped = asyncio.Event()
        self._refused: deque[int] = deque(maxlen=10_000)
        journal.on_failure(self._on_journal_failure)
        self.ledger.subscribe(self._on_record)

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Recover and begin to trade.

        Raises:
            QuarterdeckError: The venue cannot be reached, or state and venue cannot be brought in line.
        """
        self.journal.start()
        self.ledger.record(ev.EpochOpened(epoch=self.journal.epoch, instance=self.journal.meta.instance))
        self.ledger.record(ev.EngineStarted(instance=self.journal.meta.instance, release=self.release, pid=os.getpid()))
        await self.venue.start(self._on_venue, self._on_market)
        await self._meet_venue()
        self._tasks = asyncio.get_running_loop().create_task(self._run(), name="engine")
        await self.dispatcher.recover(self.venue, self.account)
        await self._settle_balances()
        await self.bots.recover()
        log.info("engine started", epoch=self.journal.epoch, seq=self.ledger.seq)

    async def _meet_venue(self) -> None:
        """Learn instruments and account, and watch every market."""
        for instrument in await self.venue.instruments():
            if self.state.instruments.get(instrument.id) != instrument:
                self.ledger.record(ev.InstrumentDefined(instrument=instrument))
            self.hub.add(instrument)
        if self.account not in self.state.accounts:
            base = Currency(self.settings.paper.base_currency)
            opened = Account(id=self.account, venue=self.venue.id, mode=TradingMode.PAPER, base_currency=base)
            self.ledger.record(ev.AccountOpened(account=opened))
            for balance in await self.venue.balances(self.account):
                self.ledger.record(
                    ev.Deposited(
                        account=self.account,
                        currency=balance.currency,
                        amount=balance.total,
                        reference="opening balance",
                    )
                )
        await self.venue.watch(list(self.hub.markets))

    async def _settle_balances(self) -> None:
        """After all executions are booked, the venue's word on what is in the account is final."""
        known = {balance.currency: balance.total for balance in await self.venue.balances(self.account)}
        for currency in {*known, *self.state.balances.get(self.account, {})}:
            difference = known.get(currency, Decimal(0)) - self.state.balance(self.account, currency).total
            if difference:
                log.warning("a balance differs from the venue", currency=currency, difference=str(difference))
                self.ledger.record(
                    ev.BalanceAdjusted(
                        account=self.account,
                        currency=currency,
                        amount=difference,
                        reason="the venue reports another balance after the restart",
                    )
                )

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.dispatcher.run(), name="dispatcher")
            tasks.create_task(self.lag.run(), name="lag monitor")
            tasks.create_task(self._tick(), name="tick")

    async def _tick(self) -> None:
        """Close bars by time, look after risk, and fetch books that have a gap."""
        while True:
            now = self.clock.now()
            self.hub.roll(now)
            self.risk.tick(now)
            for instrument in tuple(self.hub.needs_snapshot):
                await self._resnapshot(instrument)
            await self.clock.sleep(ROLL_S)

    async def _resnapshot(self, instrument: InstrumentId) -> None:
        try:
            self.hub.on_market(await self.venue.book(instrument, 1000), self.clock.now())
        except QuarterdeckError as error:
            log.warning("a book cannot be fetched", instrument=instrument, problem=error.message)

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
        if self._stopped.is_set():
            return
        if self._tasks is not None:
            self._tasks.cancel()
            await asyncio.wait({self._tasks}, timeout=5)
        await self.venue.close()
        if self.ledger.failed is None:
            self.ledger.record(ev.EngineStopped(reason="asked to stop"))
        await self.journal.close()
        self._stopped.set()

    def _on_journal_failure(self, error: QuarterdeckError) -> None:
        self.ledger.failed = error.message
        self.failure = error.message
        log.critical("the journal failed; the engine halts", problem=error.message)

    # --- sinks -------------------------------------------------------------------------------------------------------

    def _on_venue(self, account: AccountId, event: ev.VenueEvent) -> None:
        if self.ledger.failed is None:
            self.desk.on_event(account, event)

    def _on_market(self, event: MarketEvent) -> None:
        self.hub.on_market(event, self.clock.now())

    async def _history(self, instrument: InstrumentId, timeframe: str, limit: int) -> Sequence[Candle]:
        return await self.venue.candles(instrument, timeframe, limit=limit)

    def _on_record(self, record: ev.Record) -> None:
        if isinstance(record.event, ev.OrderRefused):
            self._refused.append(record.ts)

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

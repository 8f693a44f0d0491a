"""One venue of the engine: the way to it, its markets, its accounts, and what keeps the books in line with it.

A venue that cannot be reached when the engine starts is away like one that was lost later: nothing is opened there, its
accounts are not known, and it is brought in line in the same order once it is there. The other venues trade meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.consistency.upkeep import Upkeep, upkeep
from engine.errors import ExchangeError, HandoverError, JournalError, QuarterdeckError, StateConsistencyError
from engine.execution.connection import ConnectionState, VenueConnection
from engine.execution.countdown import Countdown
from engine.execution.permissions import watch_permissions
from engine.logs import get_logger
from engine.market.mender import Mender
from engine.model.account import Account, TradingMode
from engine.model.credentials import KEYS_LOCKED
from engine.model.entries import TradingState
from engine.model.faults import Severity
from engine.model.ids import InstrumentId
from engine.model.market import FeedStatus
from engine.model.order import OrderStatus
from engine.model.venue import Venue
from engine.risk.scopes import Scope
from engine.venue_markets import VenueMarkets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.consistency.monitor import Monitor
    from engine.engine import Engine
    from engine.execution.guard import VenueGuard
    from engine.execution.inquiry import Tally
    from engine.inheritance import Inherited
    from engine.model.ids import AccountId, ClientOrderId, VenueId
    from engine.model.instrument import Instrument

__all__ = ["VenuePlan", "VenueUnit", "adapter_of", "bring_in_line"]

log = get_logger(__name__)

LOOK_BACK_AFTER_S = 2.0
"""Seconds after a hand-over: not beside what orders wait for, and until then the predecessor's bars tell."""
OPEN_S = 20.0
"""Seconds of real time that a venue may take at the start of the engine; then it counts as away, or as not compared
yet where it answers."""
SETTLE_S = 20.0
"""Seconds of real time that a start waits for a venue's orders and executions; then they are compared beside it."""
VERIFY_S = 20.0
"""Seconds of real time that a start waits until a venue's accounts are compared."""
_OURS = (JournalError, HandoverError, StateConsistencyError)
"""Failures of the engine itself, which no venue is away for."""
_THEIRS = (QuarterdeckError, TimeoutError, OSError)
"""What a venue may answer with or fail by; the others are traded without it."""
_DIFFERS = (
    "{venue} has something else in {account} than is booked, perhaps by an execution that is not listed yet, or too "
    "much is being executed there to tell; nothing is opened there until it was compared again."
)
_LONG = (
    "{venue} is not compared yet: it has much to tell of the past, or the fate of an order is not known. That goes on "
    "meanwhile, and nothing is opened there before."
)
_UNANSWERED = (OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN)


class VenuePlan(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine does with a venue."""

    venue: Venue
    accounts: tuple[Account, ...]
    """The first one is meant where none is named."""
    watched: tuple[InstrumentId, ...] | None = None
    """What is watched from the start; None for everything that the venue has."""
    required: bool = False
    """Whether the engine cannot start without it."""
    dead_man_s: float = 0.0
    """Seconds of the venue's dead-man's switch; 0 leaves it alone, but for what an engine before has fed."""
    dead_man_spares: bool = True
    """Whether the switch is off while protective orders rest that it would cancel."""


class VenueUnit(VenueMarkets):
    """A venue and everything about it.

    Args:
        engine: Whose venue it is; its ledger, dispatcher and risk exist, and nothing is started.
        plan: What is done with it.
        guard: The venue, guarded.
    """

    def __init__(self, engine: Engine, plan: VenuePlan, guard: VenueGuard) -> None:
        self.plan = plan
        self.guard = guard
        self.id: VenueId = guard.id
        self.venue = plan.venue
        self.accounts: dict[AccountId, Account] = {account.id: account for account in plan.accounts}
        self.mender = Mender(engine.hub, guard, engine.clock, engine.errors)
        self.catalogue: dict[InstrumentId, Instrument] = {}
        """Everything that the venue has; only what is in use is journalled."""
        self.recovered = False
        """Whether what is booked is known to be what the venue says; nobody judges or trades on it before."""
        self.reports: dict[AccountId, ev.RecoveryVerified] = {}
        """What the verification of this start came to, by account."""
        self.upkeep: dict[AccountId, Upkeep] = {
            account: upkeep(
                engine.ledger,
                engine.dispatcher,
                engine.risk,
                guard,
                account,
                engine.journal.recovered,
                engine.settings.error_handling.state_consistency,
                engine.errors,
                engine.derivatives,
            )
            for account in self.accounts
        }
        self.connection = VenueConnection(
            guard,
            engine.clock,
            engine.errors,
            engine.scenarios,
            engine.caution,
            connect=self.connect,
            steps=(
                ("positions", self._catch_up),
                ("orders", self._settle_orders),
                ("balances", self._settle_balances),
            ),
            hold=self._safe_mode,
            pending=self._unanswered,
            on_change=self._on_connection,
            progress=self._progress,
        )
        _introduce(self, engine)
        able = plan.venue.capabilities.countdown and (plan.dead_man_s or engine.inherited is not None)
        self.countdowns = [
            Countdown(
                guard,
                account,
                plan.dead_man_s,
                engine.state.orders.values,
                engine.clock,
                engine.errors,
                spare=plan.dead_man_spares,
            )
            for account in (self.accounts if able else ())
        ]
        """The dead-man's switches that are fed."""
        self._engine = engine
        self._known = {account for account in self.accounts if account in engine.state.cursors}
        """Accounts that the journal knew before this start, so that the venue can only confirm the books."""
        self._tallies: dict[AccountId, Tally] = {}
        self._told = ""
        """What was told about locked keys, so that it is told once."""
        self._joined = False
        """Whether an open session of a process that takes over is used."""

    @property
    def account(self) -> AccountId | None:
        """The account that is meant where none is named; None for a venue of which only prices are used."""
        return next(iter(self.accounts), None)

    @property
    def latency_ms(self) -> float | None:
        """Time of a question to the venue and back; None where it is not measured."""
        told = getattr(self.venue, "health", None)
        return told().latency_ms if told is not None else None

    @property
    def monitor(self) -> Monitor:
        """What checks the account that is meant where none is named."""
        return next(iter(self.upkeep.values())).monitor

    @property
    def report(self) -> ev.RecoveryVerified | None:
        """What the verification of that account came to; None while it is not done."""
        return next(iter(self.reports.values()), None)

    # --- the start ---------------------------------------------------------------------------------------------------

    async def open(self, *, joined: bool = False) -> None:
        """Connect, learn instruments and accounts, and watch the markets.

        An account with a long history is opened beside everything else; nothing is traded there before.

        Args:
            joined: The venue's session is open already and heard.

        Raises:
            QuarterdeckError: The venue cannot be reached, and the engine cannot start without it.
        """
        self._joined = joined
        inherited = self._engine.inherited
        if inherited is not None and self.id in inherited.away:
            # It was tried a moment ago, and the others wait: it is tried again beside them.
            self._keep_known(inherited)
            self._away(inherited.away[self.id])
            return
        connected = False
        try:
            if self.plan.required:
                await self._open()
                await self._open_accounts()
                return
            async with asyncio.timeout(OPEN_S):
                await self._open()
                connected = True
                await self._open_accounts()
        except (QuarterdeckError, TimeoutError, OSError) as error:
            if isinstance(error, JournalError | HandoverError):
                raise
            if connected and isinstance(error, TimeoutError):
                self._doubt(_LONG.format(venue=self.id))
                return
            self._away(error)

    async def _open(self) -> None:
        engine = self._engine
        if not self._joined:
            await self.guard.start(engine.on_venue, engine.on_market)
        known_here = any(known.venue == self.id for known in engine.state.instruments.values())
        if engine.inherited is None or not known_here:
            await self.learn()
        else:
            # The predecessor knew them all, and the venue may want no questions just now.
            self._keep_known(engine.inherited)
        await self.guard.inner.watch(self.watched())

    def _keep_known(self, inherited: Inherited) -> None:
        """Keep the markets that the predecessor kept, with its bars."""
        engine = self._engine
        for known in engine.state.instruments.values():
            if known.venue == self.id and (self.plan.watched is None or known.id in self._in_use()):
                engine.hub.add(known)
        inherited.seed(engine.hub, self.id)

    async def settle(self, *, patient: bool) -> None:
        """Ask for every open order; what is booked of them is then what the venue says.

        Args:
            patient: Wait until the fate of every order is known.

        Raises:
            QuarterdeckError: The venue cannot be asked, and the engine cannot start without it.
        """
        if self.connection.lost:
            return
        try:
            async with asyncio.timeout(None if self.plan.required else SETTLE_S):
                for account in self.accounts:
                    tally = await self._engine.dispatcher.recover(self.venue, account, patient=patient)
                    self._tallies[account] = tally
        except TimeoutError:
            self._doubt(_LONG.format(venue=self.id))
        except _OURS:
            raise
        except _THEIRS as error:
            self._away(error)

    async def verify(self) -> None:
        """Compare positions and balances, and check the state against itself.

        What differs, and may still be explained, is compared again beside everything else: the others trade meanwhile,
        and nothing is opened here before.

        Raises:
            QuarterdeckError: The venue cannot be asked, and the engine cannot start without it.
        """
        if self.connection.lost:
            return
        limit = asyncio.timeout(None if self.plan.required else VERIFY_S)
        try:
            async with limit:
                for account in self.accounts:
                    if not await self._settle(account, patient=False):
                        self._doubt(_DIFFERS.format(venue=self.id, account=account))
                        return
        except _OURS:
            raise
        except TimeoutError as error:
            if limit.expired():
                self._doubt(_LONG.format(venue=self.id))
            else:
                self._away(error)
        except _THEIRS as error:
            self._away(error)

    async def verify_later(self) -> None:
        """After a hand-over, beside everything else: compare the books and learn what the venue has, if it is there."""
        if self.connection.lost:
            return
        try:
            await self._verify_beside()
            await self.learn()
        except QuarterdeckError as error:
            log.warning("the books were not compared after the hand-over", venue=self.id, problem=error.message)
            self._engine.errors.report(error, component="engine", operation="verify", venue=self.id)

    async def _verify_beside(self) -> None:
        try:
            for account in self.accounts:
                if not await self._settle(account, patient=True):
                    # The monitor goes on comparing; the predecessor knew what is in the account.
                    log.warning("what is in an account was not told after the hand-over", account=account)
        except _OURS:
            raise
        except _THEIRS as error:
            self._away(error)

    def trust(self) -> None:
        """From now on what is booked counts as what the venue says, unless the venue is away."""
        if self.connection.lost:
            return
        self.recovered = True
        self._known = set(self.accounts)
        self._engine.risk.picture.doubtful.difference_update(self.accounts)

    def _away(self, error: Exception) -> None:
        if self.plan.required:
            raise error
        words = error.message if isinstance(error, QuarterdeckError) else str(error) or type(error).__name__
        log.warning("a venue cannot be reached; the engine starts without it", venue=self.id, problem=words)
        self._engine.errors.report(error, component="connection", operation="open", venue=self.id)
        locked = isinstance(error, QuarterdeckError) and error.error_code == KEYS_LOCKED
        self._doubt(words if locked else f"{self.id} cannot be reached: {words}", locked=locked)

    def _doubt(self, why: str, *, locked: bool = False) -> None:
        """What is in the accounts is not known: the connection brings them in line, and nothing is opened before."""
        self.recovered = False
        for account in self.accounts.values():
            if account.id not in self._engine.state.accounts:
                # It exists from now on, with nothing in it that is known: its opening is completed later.
                self._engine.ledger.record(ev.AccountOpened(account=account))
        self._engine.risk.picture.doubtful.update(self.accounts)
        self.connection.lose(why, locked=locked)

    async def _open_accounts(self) -> None:
        for account in self.accounts.values():
            if account.id not in self._engine.state.cursors:
                await self.upkeep[account.id].accounts.open(self.guard, account)

    # --- the connection ----------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Connect to the venue again and watch every market; harmless where the connection stands.

        Raises:
            QuarterdeckError: The venue cannot be reached.
        """
        engine = self._engine
        if engine.standstill.frozen:
            raise HandoverError("The engine is being handed over; whoever trades then connects.")
        await self.venue.start(engine.on_venue, engine.on_market)
        engine.dispatcher.margins.forget(*self.accounts)
        if not self.catalogue and not self.recovered:
            await self.learn()
        await self.venue.watch(self.watched())

    async def _catch_up(self) -> None:
        await self._open_accounts()
        for account in self.accounts:
            await self._engine.dispatcher.inquiry.catch_up(self.guard, account)

    async def _settle_orders(self) -> None:
        for account in self.accounts:
            if self.recovered:
                await self._engine.dispatcher.resync(self.guard, account)
            else:
                self._tallies[account] = await self._engine.dispatcher.recover(self.venue, account)

    async def _settle_balances(self) -> None:
        for account in self.accounts:
            if not await self._settle(account, patient=True):
                raise ExchangeError(
                    f"What is in {account} cannot be told: it goes on changing at {self.id}, or too much is being "
                    "executed there. It is compared again."
                )

    async def _settle(self, account: AccountId, *, patient: bool) -> bool:
        """After all executions are booked, the venue's word on what is in an account is final; False when not told."""
        keep = self.upkeep[account]
        # First what may take its time: the balances are asked for when nothing is late any more.
        if not await self._engine.derivatives.settle(self.guard, account, patient=patient):
            return False
        known = account in self._known
        if not await keep.recovery.settle_balances(self.guard, account, known=known, patient=patient):
            return False
        if account not in self.reports and account in self._tallies:
            self.reports[account] = await keep.recovery.verify(account, self._tallies[account])
        return True

    def _progress(self) -> str:
        passed = sum(keep.accounts.passed for keep in self.upkeep.values())
        return f"So far {passed} executions of before the first start were read." if passed else ""

    def _unanswered(self) -> int:
        orders = self._engine.state.orders.values()
        return sum(order.status in _UNANSWERED and order.account in self.accounts for order in orders)

    def _safe_mode(self, reason: str) -> None:
        # The others can be traded without it.
        scope = Scope(venue=self.id) if len(self._engine.venues) > 1 else Scope()
        self._engine.risk.hold("connection", reason, TradingState.HALTED, scope)

    def _on_connection(self, state: ConnectionState) -> None:
        if state is ConnectionState.ONLINE:
            self._told = ""
            self.trust()
        if state is ConnectionState.LOCKED:
            self._be_locked()
        elif state is not ConnectionState.OFFLINE:
            return
        # What is shown of its markets is old from now on, whatever their feeds manage to say about it.
        now = self._engine.clock.now()
        for instrument in self.watched():
            gone = FeedStatus(instrument, now, live=False, reason=self.connection.reason)
            self._engine.hub.on_market(gone, now)

    def _be_locked(self) -> None:
        """Nobody can ask what is in the accounts: it counts as unknown, and somebody is told."""
        self._engine.risk.picture.doubtful.update(self.accounts)
        accounts = ", ".join(self.accounts)
        words = (
            f"The keys are locked: {self.id} cannot be traded, and what is in {accounts} is unknown. Unlock them on "
            "Settings or with `quarterdeck keys unlock`; everything goes on by itself then."
        )
        if self._told != words:
            self._told = words
            self._engine.errors.alert(Severity.HIGH, "keys", words)

    # --- tasks -------------------------------------------------------------------------------------------------------

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to look after everything; the group owns the tasks."""
        engine = self._engine
        after = LOOK_BACK_AFTER_S if engine.inherited is not None else 0.0
        tasks.create_task(self.mender.run(), name=f"mend {self.id}")
        tasks.create_task(self.mender.look_back(after), name=f"look back at {self.id}")
        tasks.create_task(self.connection.run(), name=f"connection {self.id}")
        for account in self.accounts.values():
            tasks.create_task(
                engine.derivatives.run(self.guard, account.id, self._may_be_checked), name=f"funding {account.id}"
            )
            if account.mode is TradingMode.LIVE:
                tasks.create_task(
                    watch_permissions(self.guard, account.id, engine.clock, engine.errors, self._may_be_checked),
                    name=f"permissions of {account.id}",
                )
        for countdown in self.countdowns:
            tasks.create_task(countdown.run(self._may_be_checked), name=f"dead-man's switch at {self.id}")
        for keep in self.upkeep.values():
            tasks.create_task(keep.monitor.run(self._may_be_checked), name=f"monitor {self.id}")

    def _may_be_checked(self) -> bool:
        return self.recovered and not self._engine.standstill.frozen

    async def close(self) -> None:
        """Release the venue. Never raises QuarterdeckError."""
        if not self._engine.standstill.sealed:
            # Whoever has taken over feeds the switches from now on.
            for countdown in self.countdowns:
                await countdown.release()
        try:
            await self.venue.close()
        except QuarterdeckError as error:
            log.error("a venue was not closed in order", venue=self.id, problem=error.message)


async def bring_in_line(engine: Engine, units: Sequence[VenueUnit]) -> None:
    """At a start: ask every venue for its orders and compare its accounts, beside each other; then the books count.

    In an emergency nothing waits for the slowest venue: each counts as soon as it is in line, and what is to be stopped
    there is stopped from then on. Whatever is wrong with another one is no reason to wait with it.

    Raises:
        QuarterdeckError: A venue that the engine cannot start without cannot be asked, or nothing can be booked.
    """
    emergency, unsettled = engine.emergency is not None, engine.risk.unsettled
    if emergency:
        unsettled.update(account for unit in units for account in unit.accounts)

    async def bring(unit: VenueUnit) -> None:
        # In an emergency one order without an answer may not keep all others from being cancelled.
        await unit.settle(patient=not emergency)
        if engine.inherited is None:
            await unit.verify()
        if emergency:
            unit.trust()
            unsettled.difference_update(unit.accounts)

    try:
        async with asyncio.TaskGroup() as tasks:
            for unit in units:
                tasks.create_task(bring(unit), name=f"bring {unit.id} in line")
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    if not emergency:
        for unit in units:
            unit.trust()


def _introduce(unit: VenueUnit, engine: Engine) -> None:
    """Tell an adapter what it has to know of the engine, as far as it asks for it."""
    adapter = adapter_of(unit.venue)

    def instrument_of(client_id: ClientOrderId) -> InstrumentId | None:
        order = engine.state.order(client_id)
        return None if order is None else order.instrument

    hooks = {
        # It may have lost private events.
        "missed": unit.connection.sync_soon,
        # It finds orders by their instrument; None for an order that the books do not know.
        "where": instrument_of,
        # It is told of a leverage that was changed, or of a position in another margin mode.
        "leverage_moved": engine.dispatcher.margins.leverage_moved,
        "mode_moved": engine.dispatcher.margins.mode_moved,
    }
    for name, hears in hooks.items():
        if hasattr(adapter, name):
            setattr(adapter, name, hears)


def adapter_of(venue: Venue) -> Any:
    """What really reaches a venue, behind all that stands before it."""
    found: Any = venue
    while "inner" in dir(type(found)):
        found = found.inner
    return found

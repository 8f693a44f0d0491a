"""Checks once a minute whether memory, database and venue tell the same, corrects what differs, and keeps a trail.

Each round makes four checks, each for itself: what one of them runs into is a finding of its own and keeps no other
from being made. Every round is a fact of the journal, with all it found and did. Nothing that changes while a question
is under way is judged by its answer, so trading goes on meanwhile without a false alarm.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import msgspec

from engine import events as ev
from engine.consistency.checks import (
    balance_finding,
    database_findings,
    limit_findings,
    order_findings,
    position_finding,
    sample_of,
)
from engine.consistency.recovery import corruption, halt_for, in_pieces
from engine.errors import ExchangeError, QuarterdeckError, StateCorruptionError
from engine.logs import get_logger
from engine.model.entries import TradingState
from engine.model.faults import Severity
from engine.model.verification import BALANCES, CHECKS, LIMITS, ORDERS, POSITIONS, Finding, Grade
from engine.state.soundness import check_balances, check_capital, check_positions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from engine.clock import Clock
    from engine.consistency.checks import Known
    from engine.consistency.recovery import Hold
    from engine.execution.accounts import Accounts
    from engine.execution.derivatives import Derivatives
    from engine.execution.dispatcher import Dispatcher
    from engine.execution.reconcile import Book
    from engine.ledger import Ledger
    from engine.model.ids import AccountId, ClientOrderId
    from engine.model.venue import Venue
    from engine.resilience.handler import ErrorHandler
    from engine.resilience.settings import ConsistencySettings
    from engine.risk.department import RiskDepartment

__all__ = ["Mirror", "Monitor"]

log = get_logger(__name__)

SAMPLE = 200
"""Ended orders that are compared with the database in one round: the newest ones."""
SETTLED_NS = 10_000_000_000
"""Age from which an ended order should be in the database."""
_YOUNG = "The venue shows {amount:+f} {of}; an execution may still explain it, so it is looked at again."
GRAVE = frozenset({Grade.FORCED, Grade.CORRUPT, Grade.FAILED})


class Mirror(Protocol):
    """The tables of history, where there is a database."""

    async def stored(self, wanted: Sequence[ClientOrderId]) -> Mapping[ClientOrderId, Known] | str:
        """What the database has of these orders; a sentence when it cannot be told now. Never blocks the loop."""

    async def remake(self, wanted: Sequence[ClientOrderId]) -> None:
        """Make the rows of these orders anew from the journal."""


@dataclass(slots=True)
class _Round:
    findings: list[Finding] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    in_doubt: bool = False
    """The state contradicts itself: nothing may be booked on the strength of it."""


class Monitor:
    """Looks after one account.

    Args:
        ledger: What is booked.
        dispatcher: Asks about orders.
        accounts: Compares balances.
        risk: Knows limits and their use, and holds trading.
        venue: Where the account is.
        account: Which.
        figures: How often, and what is tolerated.
        errors: Hears what fails and what is grave.
        derivatives: Compares positions in derivatives; None where there are none.
    """

    def __init__(
        self,
        ledger: Ledger,
        dispatcher: Dispatcher,
        accounts: Accounts,
        risk: RiskDepartment,
        venue: Venue,
        account: AccountId,
        figures: ConsistencySettings,
        errors: ErrorHandler,
        derivatives: Derivatives | None = None,
    ) -> None:
        self.mirror: Mirror | None = None
        """The database; None where there is none."""
        self.last: ev.StateChecked | None = None
        """The last round; None before the first."""
        self.checked_at: int | None = None
        """When it ended, UTC nanoseconds."""
        self.figures = figures
        self._ledger = ledger
        self._clock: Clock = ledger.clock
        self._dispatcher = dispatcher
        self._accounts = accounts
        self._risk = risk
        self._venue = venue
        self._account = account
        self._errors = errors
        self._derivatives = derivatives
        self._hold: Hold = risk.hold
        self._known: frozenset[tuple[str, str, str]] = frozenset()
        """What the round before found."""
        self._learnt: deque[Finding] = deque(maxlen=SAMPLE)
        """What was found out by asking since the last round, whoever asked."""
        self._one_at_a_time = asyncio.Lock()

    def hear(self, booked: Sequence[Book], asked: int) -> None:
        """Take in what was learnt by asking the venue, and should have been reported long before."""
        self._learnt.extend(order_findings(booked, asked, self._ledger.state.order, self.figures))

    async def run(self, allowed: Callable[[], bool]) -> None:
        """Check until cancelled, while it is allowed."""
        while True:
            await self._clock.sleep(self.figures.validation_frequency)
            if not allowed() or self._ledger.failed is not None:
                continue
            try:
                await self.check()
            except QuarterdeckError as error:
                log.error("a round of checks was not booked", problem=error.message)
                self._errors.report(error, component="monitor", operation="check")

    async def check(self) -> ev.StateChecked:
        """Make one round of all checks and book it.

        Raises:
            JournalError: Nothing can be booked any more.
        """
        async with self._one_at_a_time:
            began, done = self._clock.monotonic(), _Round()
            for name, work in (
                (POSITIONS, self._positions),
                (ORDERS, self._orders),
                (BALANCES, self._balances),
                (LIMITS, self._limits),
            ):
                await self._guarded(name, work, done)
            now_found = frozenset((f.check, f.subject, str(f.grade)) for f in done.findings)
            findings = tuple(
                msgspec.structs.replace(f, standing=(f.check, f.subject, str(f.grade)) in self._known)
                for f in done.findings
            )
            self._known = now_found
            self.last = ev.StateChecked(
                account=self._account,
                checks=tuple(name for name in CHECKS if name in done.made),
                duration_ms=round((self._clock.monotonic() - began) / 1e6, 3),
                findings=findings,
                notes=tuple(done.notes),
            )
            self._ledger.record(self.last)
            self.checked_at = self._clock.now()
            self._tell(findings)
            return self.last

    async def _guarded(self, name: str, work: Callable[[_Round], Awaitable[None]], done: _Round) -> None:
        """Make one check; a failure of it is a finding, and no silence."""
        try:
            await work(done)
            done.made.append(name)
        except (ExchangeError, TimeoutError) as error:
            text = f"The venue could not be asked: {str(error) or type(error).__name__}"
            done.findings.append(Finding(check=name, subject=self._venue.id, grade=Grade.FAILED, text=text))
        except Exception as error:  # whatever it was, nothing is known of what this check should have told
            if self._ledger.failed is not None:
                raise
            log.exception("a check of the state failed", check=name)
            self._errors.report(error, component="monitor", operation=name)
            text = f"The check failed ({type(error).__name__}); the log has the details."
            done.findings.append(Finding(check=name, subject=name, grade=Grade.FAILED, text=text))

    # --- the four checks ---------------------------------------------------------------------------------------------

    async def _orders(self, done: _Round) -> None:
        """Orders of memory against their rules, against the venue and against the database."""
        state = self._ledger.state
        flaws = await in_pieces(state, state.orders, working=True)
        flaws += await in_pieces(state, state.recent, working=False)
        self._corrupt(flaws, done)
        if done.in_doubt:
            return
        tally = await self._dispatcher.compare(self._venue, self._account)
        done.findings += self._learnt
        self._learnt.clear()
        done.findings += [
            Finding(check=ORDERS, subject=halt.client_id, grade=Grade.FORCED, text=halt.reason) for halt in tally.halts
        ]
        await self._database(done)

    async def _database(self, done: _Round) -> None:
        if self.mirror is None:
            done.notes.append("There is no database to compare with.")
            return
        state, before = self._ledger.state, self._clock.now() - SETTLED_NS
        newest = islice(reversed(state.recent.values()), SAMPLE)
        sample = sample_of(order for order in newest if order.updated < before)
        if not sample:
            return
        try:
            stored = await self.mirror.stored(tuple(sample))
        except QuarterdeckError as error:
            stored = error.message
        if isinstance(stored, str):
            done.notes.append(f"The database was not compared: {stored}")
            return
        # What changed while the database was asked is not judged.
        same = {
            key: known
            for key, known in sample.items()
            if (order := state.recent.get(key)) is not None and order.updated == known.updated
        }
        found = list(database_findings(same, stored, self.figures))
        if found and self.figures.auto_reconcile:
            await self.mirror.remake(tuple({key for key in same if any(f.subject == key for f in found)}))
        done.findings += found

    async def _positions(self, done: _Round) -> None:
        """Positions against the parts of their owners, those in derivatives against the venue.

        Executions that were missed came with the orders.
        """
        self._corrupt(list(check_positions(self._ledger.state)), done)
        if done.in_doubt or self._derivatives is None:
            return
        adopted = await self._derivatives.compare(self._venue, self._account)
        if adopted is None:
            done.notes.append("Positions were not compared: too much was being executed.")
        for instrument, amount in self._derivatives.young(self._account):
            done.notes.append(_YOUNG.format(amount=amount, of=f"contracts of {instrument}"))
        done.findings += [position_finding(one) for one in adopted or ()]
        await self._dispatcher.margins.review(self._venue, self._account)

    async def _balances(self, done: _Round) -> None:
        """Balances of memory against all that flowed, and against the venue."""
        self._corrupt([*check_balances(self._ledger.state), *check_capital(self._ledger.state)], done)
        if done.in_doubt:
            return
        found = await self._accounts.compare(self._venue, self._account)
        if found is None:
            done.notes.append("Balances were not compared: too much was being executed.")
            return
        for currency, amount in self._accounts.young(self._account):
            done.notes.append(_YOUNG.format(amount=amount, of=currency))
        grave = []
        for difference in found:
            finding, take_over = balance_finding(difference, self.figures)
            if take_over:
                self._accounts.take_over(self._account, difference, "the venue reports another balance")
            if finding.grade is Grade.FORCED:
                grave.append(finding.text)
            done.findings.append(finding)
        if grave:
            self._halt(f"{' '.join(grave)} Look at the account at {self._venue.id}, then resume on Risk.")

    async def _limits(self, done: _Round) -> None:
        """Every limit against its use."""
        state = self._ledger.state
        acting = state.trading_state() is not TradingState.ACTIVE or bool(state.breakers)
        for finding, failed in limit_findings(self._risk.uses(self._account), acting=acting, figures=self.figures):
            done.findings.append(finding)
            if failed:
                self._halt(f"{finding.text} No breaker has acted on it.")

    # --- what follows ------------------------------------------------------------------------------------------------

    def _corrupt(self, flaws: list[Finding], done: _Round) -> None:
        if not flaws:
            return
        done.findings += flaws[:SAMPLE]
        if not done.in_doubt:
            done.in_doubt = True
            done.notes.append("The venue was not compared with a state that contradicts itself.")
        reason = corruption(flaws)
        log.critical("the state contradicts itself", flaws=len(flaws), first=flaws[0].text)
        self._errors.report(StateCorruptionError(flaws[0].text), component="monitor", operation=flaws[0].check)
        self._halt(reason)

    def _halt(self, reason: str) -> None:
        log.critical("a check of the state halts trading", problem=reason)
        halt_for(self._ledger.state, self._hold, reason)

    def _tell(self, findings: Sequence[Finding]) -> None:
        for finding in findings:
            level = log.info if finding.grade is Grade.LOGGED else log.warning
            level("a check of the state found a difference", check=finding.check, what=finding.text)
            if finding.standing or finding.grade is Grade.LOGGED:
                continue
            severity = Severity.CRITICAL if finding.grade in GRAVE else Severity.MEDIUM
            self._errors.alert(severity, "monitor", f"{finding.text} {finding.correction}".strip())

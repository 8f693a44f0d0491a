"""Keeps what is booked about derivatives in line with their venue: funding and positions.

Asks and carries out what the pure rules of `funding` and `positions` decide. A venue without derivatives is never
asked. Nothing here sends an order.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

from engine import events as ev
from engine.errors import JournalError, NotFoundError
from engine.execution.funding import funding_fact
from engine.execution.hidden import Lasting
from engine.execution.positions import Adopt, Agree, Wait, compare_positions, position_differences
from engine.logs import get_logger
from engine.model.decimals import ZERO, exact
from engine.model.ids import venue_of
from engine.model.instrument import CASH_KINDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.execution.inquiry import Inquiry
    from engine.ledger import Ledger
    from engine.model.ids import AccountId, Currency, InstrumentId
    from engine.model.valuation import MarkOf
    from engine.model.venue import Venue, VenuePosition
    from engine.resilience.handler import ErrorHandler

__all__ = ["Derivatives", "has_derivatives"]

log = get_logger(__name__)

TRIES = 5
"""How often positions are asked for anew because something was executed meanwhile."""
AFTER_S = 3.0
"""Seconds after a funding time at which it is asked for, and between further questions while nothing has come."""
LOOK_S = 1.0
QUESTIONS = 10
"""Questions after one funding time; later ones are those of the regular comparison."""

Kind = tuple["InstrumentId", "Decimal"]
"""What makes a difference the same one."""
ANOTHER_ORDER = "an execution was heard of after later ones, so that the venue has another entry price"


class Split(NamedTuple):
    """Profit that is realised at the venue and not in the books, or the other way round."""

    amount: Decimal
    """In the settle currency; negative where the books have realised more."""
    facts: tuple[ev.PositionAdopted, ...]
    """Close every such position at the venue's entry price and open it there again, which realises that amount."""


def has_derivatives(venue: Venue) -> bool:
    """Whether there is anything to ask a venue about."""
    return bool(venue.capabilities.kinds - CASH_KINDS)


class Derivatives:
    """All accounts of one engine.

    Args:
        ledger: What is booked.
        inquiry: Books executions.
        mark_of: Present marks.
        next_funding: Gives the time of the next payment of a perpetual, UTC nanoseconds; None while it is not known.
        errors: Hears what fails.
        use: Makes instruments known and watched in which positions are found. Raises NotFoundError.
        halt: Halts trading for a reason, before what no execution explains is booked.
    """

    def __init__(
        self,
        ledger: Ledger,
        inquiry: Inquiry,
        mark_of: MarkOf,
        next_funding: Callable[[InstrumentId], int | None],
        errors: ErrorHandler,
        use: Callable[[Iterable[InstrumentId]], Awaitable[None]],
        halt: Callable[[str], None],
    ) -> None:
        self.latest: dict[tuple[AccountId, InstrumentId], VenuePosition] = {}
        """Positions as the venue told them last."""
        self._ledger = ledger
        self._clock: Clock = ledger.clock
        self._inquiry = inquiry
        self._mark_of = mark_of
        self._next_funding = next_funding
        self._errors = errors
        self._use = use
        self._halt = halt
        self._lasting: dict[AccountId, Lasting[Kind]] = {}
        self._one_at_a_time = asyncio.Lock()
        self._awaited: dict[tuple[AccountId, InstrumentId], tuple[int, int]] = {}
        """Funding times that were seen coming, with how often was asked since."""

    # --- funding -----------------------------------------------------------------------------------------------------

    async def catch_up(self, venue: Venue, account: AccountId) -> int:
        """Book all funding since the last time that is not booked yet.

        Returns:
            How many payments were booked.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: A payment cannot be booked.
        """
        if not has_derivatives(venue):
            return 0
        booked, state = 0, self._ledger.state
        async with self._one_at_a_time:
            while True:
                cursor = state.funding_cursors.get(account, "")
                payments, after = await venue.funding_since(account, cursor)
                for payment in sorted(payments, key=lambda one: (one.ts, one.id)):
                    if f"{account}|{payment.id}" in state.payments or not await self._known(payment.instrument):
                        continue
                    held = state.owned_at(account, payment.instrument, payment.ts)
                    self._ledger.record(funding_fact(payment, held))
                    booked += 1
                if after == cursor:
                    return booked
                self._ledger.record(ev.FundingCaughtUp(account=account, cursor=after))

    async def _known(self, instrument: InstrumentId) -> bool:
        """Make an instrument known; what the venue no longer trades and no fact ever named is held by nobody here."""
        if instrument not in self._ledger.state.instruments:
            try:
                await self._use([instrument])
            except NotFoundError:
                log.warning("funding of what is not traded any more is not booked", instrument=instrument)
        return instrument in self._ledger.state.instruments

    async def run(self, venue: Venue, account: AccountId, allowed: Callable[[], bool]) -> None:
        """Ask for funding soon after each time at which it is due, until cancelled."""
        if not has_derivatives(venue):
            return
        while True:
            await self._clock.sleep(LOOK_S)
            if not allowed() or self._ledger.failed is not None or not self._due(account, self._clock.now()):
                continue
            try:
                if await self.catch_up(venue, account):
                    self._awaited = {key: seen for key, seen in self._awaited.items() if key[0] != account}
            except JournalError as error:
                log.error("funding was not booked: the journal failed", problem=error.message)
            except Exception as error:  # one answer that cannot be read must not end the engine; it is asked again
                log.warning("funding could not be asked for", problem=str(error))
                self._errors.report(error, component="derivatives", operation="funding")

    def _due(self, account: AccountId, now: int) -> bool:
        """Whether a funding time of something that is held has passed and nothing has come of it yet."""
        due = False
        for (holder, key), position in self._ledger.state.positions.items():
            coming = self._next_funding(key) if holder == account and position.lots else None
            if coming is None:
                continue
            at, asked = self._awaited.setdefault((holder, key), (coming, 0))
            if now < at + int(AFTER_S * 1e9) * (asked + 1):
                continue
            due = due or asked < QUESTIONS
            again = asked < QUESTIONS or coming <= at
            self._awaited[holder, key] = (at, asked + 1) if again else (coming, 0)
        return due

    # --- positions ---------------------------------------------------------------------------------------------------

    async def pass_over(self, venue: Venue, account: AccountId, cursor: str) -> str:
        """Read funding after a cursor without booking it; returns the cursor behind the last payment.

        Raises:
            ExchangeError: The venue did not answer.
        """
        while has_derivatives(venue):
            _, after = await venue.funding_since(account, cursor)
            if after == cursor:
                break
            cursor = after
        return cursor

    async def held(self, venue: Venue, account: AccountId) -> Sequence[VenuePosition]:
        """The venue's positions, every instrument of which is known afterwards.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: An instrument cannot be booked.
        """
        return await self._positions(venue, account) if has_derivatives(venue) else ()

    def open(self, venue: Venue, account: AccountId, held: Sequence[VenuePosition], cursor: str) -> None:
        """Take over what is in an account before its first start.

        Args:
            venue: Where the account is.
            account: Whose.
            held: Its positions.
            cursor: Funding up to here is part of the opening balance; "" where none was paid.

        Raises:
            JournalError: Something cannot be booked.
        """
        if cursor:
            self._ledger.record(ev.FundingCaughtUp(account=account, cursor=cursor))
        if has_derivatives(venue):
            self._judge(venue, account, held, opening=True)

    async def compare(self, venue: Venue, account: AccountId) -> Sequence[Adopt] | None:
        """Ask for the positions, with every execution booked before and after, and take over what differs.

        Returns:
            What was taken over; None when too much was being executed to tell.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: Something cannot be booked.
        """
        if not has_derivatives(venue):
            return ()
        for _ in range(TRIES):
            await self._inquiry.catch_up(venue, account)
            booked = self._booked(venue, account)
            said = await self._positions(venue, account)
            await self._inquiry.catch_up(venue, account)
            if booked == self._booked(venue, account):
                return self._judge(venue, account, said)
        log.warning("positions were not compared: too much is being executed", account=account)
        self._lasting_of(venue, account).look(None)
        return None

    async def settle(self, venue: Venue, account: AccountId, *, patient: bool = True) -> bool:
        """Compare while nothing is traded yet.

        Args:
            venue: Where the account is.
            account: Whose positions.
            patient: Wait with what differs for as long as the venue may be late; else it is only looked at twice.

        Returns:
            Whether it is known what differs.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: Something cannot be booked.
        """
        lasting = self._lasting_of(venue, account)
        return await lasting.settle(lambda: self.compare(venue, account), patient=patient)

    def young(self, account: AccountId) -> tuple[Kind, ...]:
        """What differed at the last look and has not lasted yet: an execution may still explain it."""
        lasting = self._lasting.get(account)
        return () if lasting is None else lasting.young

    def _lasting_of(self, venue: Venue, account: AccountId) -> Lasting[Kind]:
        return self._lasting.setdefault(account, Lasting(venue, self._clock))

    async def split_of_profit(self, venue: Venue, account: AccountId, currency: Currency) -> Split:
        """How much more profit the venue has realised than the books, and holds at its other entry prices.

        A venue realises profit against its own average entry price. Where an execution was heard of after later ones,
        that of the books is another, and so is what was realised since; position and balance together are worth the
        same.

        Returns:
            What would bring the entry prices in line; nothing where the positions themselves differ.

        Raises:
            ExchangeError: The venue did not answer.
        """
        if not has_derivatives(venue):
            return Split(ZERO, ())
        state, said = self._ledger.state, await self._positions(venue, account)
        if {position.instrument: position.quantity for position in said} != self._booked(venue, account):
            return Split(ZERO, ())
        moved, facts, now = ZERO, [], self._clock.now()
        for position in said:
            key, quantity, entry = position.instrument, position.quantity, position.entry_price
            if state.instruments[key].settle != currency:
                continue
            multiplier = state.instruments[key].multiplier
            with exact():
                more = quantity * entry * multiplier - state.positions[account, key].cost(multiplier)
                moved += more
            for step in (-quantity, quantity) if more else ():
                facts.append(
                    ev.PositionAdopted(
                        account=account, instrument=key, quantity=step, price=entry, ts=now, reason=ANOTHER_ORDER
                    )
                )
        return Split(moved, tuple(facts))

    async def _positions(self, venue: Venue, account: AccountId) -> list[VenuePosition]:
        """The venue's positions, every instrument of which is known afterwards."""
        said = [position for position in await venue.positions(account) if position.quantity]
        await self._use(p.instrument for p in said if p.instrument not in self._ledger.state.instruments)
        return said

    def _judge(
        self, venue: Venue, account: AccountId, said: Sequence[VenuePosition], *, opening: bool = False
    ) -> list[Adopt]:
        state = self._ledger.state
        self.latest = {key: position for key, position in self.latest.items() if key[0] != account}
        self.latest |= {(account, position.instrument): position for position in said}
        booked = self._booked(venue, account)
        marks = {key: mark for key in booked if (mark := self._mark_of(key)) is not None}
        settings = {key: setting for (holder, key), setting in state.margins.items() if holder == account}
        lasting, adopted = self._lasting_of(venue, account), list[Adopt]()
        lasting.look(list(position_differences(booked, said).items()))
        for decision in compare_positions(
            account,
            booked,
            settings,
            said,
            sure=lasting.sure,
            marks=marks,
            now=self._clock.now(),
            opening=opening,
        ):
            match decision:
                case Adopt(event=event):
                    log.critical("a position was taken over", instrument=event.instrument, quantity=str(event.quantity))
                    if decision.halt:
                        # First, and here: whatever becomes of the comparison, nobody trades on what is not explained.
                        self._halt(decision.halt)
                    self._ledger.record(event)
                    lasting.forget((event.instrument, event.quantity))
                    adopted.append(decision)
                case Agree(event=setting):
                    self._ledger.record(setting)
                case Wait():
                    # One without a price stays as it is; the regular comparison goes on with it.
                    pass
        return adopted

    def _booked(self, venue: Venue, account: AccountId) -> dict[InstrumentId, Decimal]:
        state = self._ledger.state
        return {
            key: position.quantity
            for (holder, key), position in state.positions.items()
            if holder == account
            and position.lots
            and venue_of(key) == venue.id
            and state.instruments[key].kind not in CASH_KINDS
        }

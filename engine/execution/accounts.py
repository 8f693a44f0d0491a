"""What is in an account: its opening balance, and what the venue says against what is booked."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.execution.executions import named
from engine.execution.hidden import Lasting
from engine.logs import get_logger
from engine.model.decimals import ZERO
from engine.model.entries import Opening
from engine.model.fill import Fill
from engine.model.ids import Currency
from engine.model.instrument import CASH_KINDS
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.execution.derivatives import Derivatives
    from engine.execution.inquiry import Inquiry
    from engine.ledger import Ledger
    from engine.model.account import Account
    from engine.model.ids import AccountId
    from engine.model.venue import Venue

__all__ = ["OPENING", "Accounts", "Difference", "differences"]

log = get_logger(__name__)

OPENING = "opening balance"
"""Reference of the deposit by which what was in an account before its first start is taken over."""
ROUNDING, ROUNDING_SHARE = Decimal("0.01"), Decimal("1e-6")
"""Largest difference that may come of rounding, in units of the currency and as a fraction of the balance."""
TRIES = 5
"""How often balances are asked for anew because something was executed meanwhile."""

Kind = tuple[Currency, Decimal]
"""What makes a difference the same one while trading goes on."""


class Difference(msgspec.Struct, frozen=True):
    """A balance that differs between books and venue."""

    currency: Currency
    booked: Decimal
    said: Decimal

    @property
    def amount(self) -> Decimal:
        """What is missing in the books; negative where they have too much."""
        return self.said - self.booked

    @property
    def fraction(self) -> Decimal:
        """Size of the difference as a fraction of the larger one; 1 where one side knows nothing of it."""
        return VIEW.divide(abs(self.amount), max(abs(self.booked), abs(self.said)))


class Past(msgspec.Struct):
    """What was read of an account's past while it is opened."""

    began: int
    """UTC nanoseconds by the venue's clock."""
    cursor: str = ""
    funding: str = ""
    near: list[Fill] = []
    """Executions dated later than the reading began."""


def differences(booked: Mapping[Currency, Decimal], said: Mapping[Currency, Decimal]) -> tuple[Difference, ...]:
    """What differs, by currency in alphabetical order; a currency that one side does not name counts as zero there."""
    pairs = ((currency, booked.get(currency, ZERO), said.get(currency, ZERO)) for currency in {*booked, *said})
    return tuple(Difference(*pair) for pair in sorted(pairs) if pair[1] != pair[2])


class Accounts:
    """Opens accounts and compares them with their venue.

    Args:
        ledger: What is booked.
        inquiry: Books executions.
        derivatives: Books funding, and opens positions; None where there are none.
    """

    def __init__(self, ledger: Ledger, inquiry: Inquiry, derivatives: Derivatives | None = None) -> None:
        self._ledger = ledger
        self._inquiry = inquiry
        self._derivatives = derivatives
        self.explain: Callable[[AccountId, Currency, Decimal], bool] | None = None
        """Books a difference that was announced, such as a deposit on its way; tells whether it was."""
        self.passed = 0
        """Executions of before the first start that were passed over so far."""
        self._lasting: dict[AccountId, Lasting[Kind]] = {}
        self._past: dict[AccountId, Past] = {}
        """What was read of them, so that an opening that was cut short goes on there."""

    async def open(self, venue: Venue, account: Account) -> None:
        """Take what is in the account for its opening balance; executions and funding before it are part of that.

        It takes as long as the account's history is long. One that was cut short goes on where it was. When the balance
        was taken is journalled with it, by the venue's clock: nothing that was executed before is booked by anybody
        later, however late it is listed. An execution within the milliseconds in which the venue made its answer, and
        listed late besides, cannot be told from one after it; the comparison of balances shows it.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: Something cannot be booked.
        """
        past = self._past.get(account.id)
        if past is None:
            past = self._past[account.id] = Past(await venue.server_time())
        # Of all that is asked for, only this can be long.
        await self._pass_executions(venue, account.id, past)
        while True:
            # Asked for first: whatever is dated before is in the balances, the positions and the sum of the funding.
            ts, moved = await venue.server_time(), self._flows(account.id)
            balances = await venue.balances(account.id)
            held = () if self._derivatives is None else await self._derivatives.held(venue, account.id)
            came = await self._pass_executions(venue, account.id, past)
            came = await self._pass_funding(venue, account.id, past) or came
            if not came and moved == self._flows(account.id):
                break
        state, record = self._ledger.state, self._ledger.record
        if account.id not in state.accounts:
            record(ev.AccountOpened(account=account))
        for balance in balances:
            missing = balance.total - state.balance(account.id, balance.currency).total
            if missing:
                record(ev.Deposited(account=account.id, currency=balance.currency, amount=missing, reference=OPENING))
        if self._derivatives is not None:
            self._derivatives.open(venue, account.id, held, past.funding)
        keys = tuple(sorted(fill.key for fill in named(past.near) if fill.ts >= ts))
        record(ev.FillsCaughtUp(account=account.id, cursor=past.cursor, opening=Opening(ts, keys)))
        del self._past[account.id]

    async def _pass_executions(self, venue: Venue, account: AccountId, past: Past) -> bool:
        """Read executions up to the newest; returns whether there were any."""
        began = past.cursor
        while True:
            page, after = await venue.fills_since(account, past.cursor)
            if after == past.cursor:
                return after != began
            past.cursor = after
            past.near += [fill for fill in page if fill.ts >= past.began]
            self.passed += len(page)

    async def _pass_funding(self, venue: Venue, account: AccountId, past: Past) -> bool:
        """Read funding up to the newest; returns whether there was any."""
        if self._derivatives is None:
            return False
        began, past.funding = past.funding, await self._derivatives.pass_over(venue, account, past.funding)
        return past.funding != began

    async def compare(self, venue: Venue, account: AccountId) -> tuple[Difference, ...] | None:
        """Ask for the balances, with every execution booked before and after.

        Returns:
            What has differed for as long as an execution may be hidden; None when too much was being executed to tell.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: An execution cannot be booked.
        """
        found, lasting = await self._look(venue, account), self._lasting_of(venue, account)
        lasting.look(None if found is None else [(one.currency, one.amount) for one in found])
        if found is None:
            return None
        lasted = [one for one in found if (one.currency, one.amount) in lasting.sure]
        return tuple([one for one in lasted if not await self._is_split_otherwise(venue, account, one)])

    async def settle(self, venue: Venue, account: AccountId, *, patient: bool = True) -> tuple[Difference, ...] | None:
        """Compare while nothing is traded yet.

        Args:
            venue: Where the account is.
            account: Whose balances.
            patient: Wait with what differs for as long as the venue may be late; else it is only looked at twice.

        Returns:
            What differs; None where that cannot be told yet.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: An execution cannot be booked.
        """
        found: tuple[Difference, ...] | None = None

        async def look() -> None:
            nonlocal found
            found = await self.compare(venue, account)

        settled = await self._lasting_of(venue, account).settle(look, patient=patient)
        return found if settled else None

    def young(self, account: AccountId) -> tuple[Kind, ...]:
        """What differed at the last look and has not lasted yet: an execution may still explain it."""
        lasting = self._lasting.get(account)
        return () if lasting is None else lasting.young

    def _lasting_of(self, venue: Venue, account: AccountId) -> Lasting[Kind]:
        return self._lasting.setdefault(account, Lasting(venue, self._ledger.clock))

    async def _is_split_otherwise(self, venue: Venue, account: AccountId, difference: Difference) -> bool:
        """Whether it is only that executions were booked in another order than they happened; then that is booked."""
        if self._derivatives is None:
            return False
        moved = self._flows(account)
        split = await self._derivatives.split_of_profit(venue, account, difference.currency)
        if not split.facts or abs(split.amount - difference.amount) > ROUNDING:
            return False
        # What moved meanwhile is judged by the next comparison.
        if moved == self._flows(account):
            for fact in split.facts:
                self._ledger.record(fact)
        return True

    async def _look(self, venue: Venue, account: AccountId) -> tuple[Difference, ...] | None:
        for _ in range(TRIES):
            await self._catch_up(venue, account)
            moved = self._flows(account)
            said = {balance.currency: balance.total for balance in await venue.balances(account)}
            await self._catch_up(venue, account)
            if moved == self._flows(account):
                # Nothing moved around the answer, so it speaks of exactly what is booked.
                balances = self._ledger.state.balances.get(account, {})
                booked = {currency: balance.total for currency, balance in balances.items()}
                return tuple(one for one in differences(booked, said) if not self._is_known(account, one))
        log.warning("balances were not compared: too much is being executed", account=account)
        return None

    async def _catch_up(self, venue: Venue, account: AccountId) -> None:
        await self._inquiry.catch_up(venue, account)
        if self._derivatives is not None:
            await self._derivatives.catch_up(venue, account)

    def _is_known(self, account: AccountId, difference: Difference) -> bool:
        """Whether a difference is no riddle: it was announced, or is rounding; then it is booked."""
        if self.explain is not None and self.explain(account, difference.currency, difference.amount):
            return True
        return self._is_rounding(account, difference)

    def _is_rounding(self, account: AccountId, difference: Difference) -> bool:
        """Whether it is the last digits of profit that a venue has rounded; then its word is taken over.

        A venue pays the profit of each execution of a derivative in whole smallest units, an exact average has more.
        """
        if abs(difference.amount) > ROUNDING or difference.fraction > ROUNDING_SHARE:
            return False
        state = self._ledger.state
        settled = any(
            holder == account
            and state.instruments[key].settle == difference.currency
            and state.instruments[key].kind not in CASH_KINDS
            for holder, key in state.positions
        )
        if settled:
            self.take_over(account, difference, "the venue rounds profit")
        return settled

    def take_over(self, account: AccountId, difference: Difference, reason: str) -> None:
        """Correct a balance to what the venue says."""
        currency, amount = difference.currency, difference.amount
        log.warning("a balance differs from the venue", currency=currency, difference=str(amount))
        self._ledger.record(ev.BalanceAdjusted(account=account, currency=currency, amount=amount, reason=reason))
        if account in self._lasting:
            self._lasting[account].forget((currency, amount))

    def _flows(self, account: AccountId) -> dict[Currency, tuple[int, Decimal]]:
        """Something that differs whenever anything was executed or moved in the account."""
        sums = self._ledger.state.sums
        balances = self._ledger.state.balances.get(account, {})
        return {
            currency: (sums[account, currency].fills if (account, currency) in sums else 0, balance.total)
            for currency, balance in balances.items()
        }

"""What is in an account: its opening balance, and what the venue says against what is booked."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.logs import get_logger
from engine.model.decimals import ZERO
from engine.model.ids import Currency
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.execution.inquiry import Inquiry
    from engine.ledger import Ledger
    from engine.model.account import Account
    from engine.model.ids import AccountId
    from engine.model.venue import Venue

__all__ = ["OPENING", "Accounts", "Difference", "differences"]

log = get_logger(__name__)

OPENING = "opening balance"
"""Reference of the deposit by which what was in an account before its first start is taken over."""
TRIES = 5
"""How often balances are asked for anew because something was executed meanwhile."""


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


def differences(booked: Mapping[Currency, Decimal], said: Mapping[Currency, Decimal]) -> tuple[Difference, ...]:
    """What differs, by currency in alphabetical order; a currency that one side does not name counts as zero there."""
    pairs = ((currency, booked.get(currency, ZERO), said.get(currency, ZERO)) for currency in {*booked, *said})
    return tuple(Difference(*pair) for pair in sorted(pairs) if pair[1] != pair[2])


class Accounts:
    """Opens accounts and compares them with their venue.

    Args:
        ledger: What is booked.
        inquiry: Books executions.
    """

    def __init__(self, ledger: Ledger, inquiry: Inquiry) -> None:
        self._ledger = ledger
        self._inquiry = inquiry

    async def open(self, venue: Venue, account: Account) -> None:
        """Take what is in the account for its opening balance; executions before it are part of that.

        A start that was cut short is completed, not repeated.

        Raises:
            ExchangeError: The venue did not answer.
        """
        cursor = await _last_execution(venue, account.id, "")
        while True:
            balances = await venue.balances(account.id)
            later = await _last_execution(venue, account.id, cursor)
            if later == cursor:
                break
            cursor = later
        state, record = self._ledger.state, self._ledger.record
        if account.id not in state.accounts:
            record(ev.AccountOpened(account=account))
        for balance in balances:
            missing = balance.total - state.balance(account.id, balance.currency).total
            if missing:
                record(ev.Deposited(account=account.id, currency=balance.currency, amount=missing, reference=OPENING))
        record(ev.FillsCaughtUp(account=account.id, cursor=cursor))

    async def compare(self, venue: Venue, account: AccountId) -> tuple[Difference, ...] | None:
        """Ask for the balances, with every execution booked before and after.

        Returns:
            What differs; None when too much was being executed to tell.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: An execution cannot be booked.
        """
        for _ in range(TRIES):
            await self._inquiry.catch_up(venue, account)
            moved = self._flows(account)
            said = {balance.currency: balance.total for balance in await venue.balances(account)}
            await self._inquiry.catch_up(venue, account)
            if moved == self._flows(account):
                # Nothing moved around the answer, so it speaks of exactly what is booked.
                balances = self._ledger.state.balances.get(account, {})
                return differences({currency: balance.total for currency, balance in balances.items()}, said)
        log.warning("balances were not compared: too much is being executed", account=account)
        return None

    def take_over(self, account: AccountId, difference: Difference, reason: str) -> None:
        """Correct a balance to what the venue says."""
        currency, amount = difference.currency, difference.amount
        log.warning("a balance differs from the venue", currency=currency, difference=str(amount))
        self._ledger.record(ev.BalanceAdjusted(account=account, currency=currency, amount=amount, reason=reason))

    def _flows(self, account: AccountId) -> dict[Currency, tuple[int, Decimal]]:
        """Something that differs whenever anything was executed or moved in the account."""
        sums = self._ledger.state.sums
        balances = self._ledger.state.balances.get(account, {})
        return {
            currency: (sums[account, currency].fills if (account, currency) in sums else 0, balance.total)
            for currency, balance in balances.items()
        }


async def _last_execution(venue: Venue, account: AccountId, cursor: str) -> str:
    while True:
        _, after = await venue.fills_since(account, cursor)
        if after == cursor:
            return cursor
        cursor = after

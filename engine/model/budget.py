"""Budgets: what an owner may spend, and how much of it is at work, computed from the facts."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ONE, ZERO
from engine.model.ids import MANUAL, AccountId, Currency, InstrumentId, Owner, venue_of
from engine.model.instrument import InstrumentKind
from engine.model.valuation import VIEW, Rates
from engine.state.capital import settled_of

if TYPE_CHECKING:
    from engine.model.commitments import Commitments
    from engine.model.risk import Quotes
    from engine.state import EngineState

__all__ = ["BotBudgets", "Budget"]


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """One owner's capital in its own currency. Open profit is not spendable and therefore not part of it."""

    owner: Owner
    currency: Currency
    capital: Decimal
    """What was given to the owner."""
    realised: Decimal
    """Profit of closed pieces after fees and funding that is not part of the capital yet; negative is a loss."""
    invested: Decimal
    """Cost of the open lots."""
    reserved: Decimal
    """Held by open orders."""
    missing: tuple[str, ...] = ()
    """Currencies without a known rate; the figures are then only a part."""

    @property
    def worth(self) -> Decimal:
        """Capital with the result so far."""
        return self.capital + self.realised

    @property
    def free(self) -> Decimal:
        """What new entries may cost; negative when losses have eaten into what is at work."""
        return self.worth - self.invested - self.reserved


class BotBudgets:
    """Budgets of all bots; owners that are no bots have none."""

    def __init__(self, state: EngineState, commitments: Commitments, quotes: Quotes) -> None:
        self._state = state
        self._commitments = commitments
        self._quotes = quotes
        self._rates = Rates(state.instruments, self._mark)

    def _mark(self, instrument: InstrumentId) -> Decimal | None:
        quote = self._quotes.quote(instrument)
        return quote.mark if quote is not None else None

    def by_hand(self, account: AccountId) -> tuple[Decimal, tuple[str, ...]]:
        """What the operator's own positions cost and own orders hold in an account, in its base currency.

        Returns:
            The sum, and the currencies without a known rate, which are not part of it.
        """
        self._commitments.fresh()
        home, total, missing = self._state.accounts[account].base_currency, ZERO, dict[str, None]()
        with decimal.localcontext(VIEW):
            for (who, where, key), line in self._commitments.owned.items():
                if who != MANUAL or where != account:
                    continue
                instrument = self._state.instruments[key]
                for currency, value in ((instrument.settle, abs(line.cost)), *line.reserved.items()):
                    if not value or (instrument.kind is InstrumentKind.SPOT and currency == instrument.base):
                        # Coins that a sale holds are part of the position already, or were deposited.
                        continue
                    rate = ONE if currency == home else self._rates.rate(currency, home, instrument.venue)
                    if rate is None:
                        missing[currency] = None
                    else:
                        total += value * rate
        return total, tuple(missing)

    def budget(self, owner: Owner) -> Budget | None:
        """A bot's budget as of the last fact; None for an owner that is no bot."""
        bot = self._state.bots.get(owner)
        if bot is None:
            return None
        self._commitments.fresh()
        missing: dict[str, None] = {}
        home = bot.currency

        # What is earned and spent is worth what the markets say where the bot trades.
        lines = [instrument for (who, _, instrument) in self._commitments.owned if who == owner]
        venue = venue_of(lines[0]) if lines else None

        def worth(value: Decimal, currency: Currency) -> Decimal:
            if not value:
                return ZERO
            rate = ONE if currency == home else self._rates.rate(currency, home, venue)
            if rate is None:
                missing[currency] = None
                return ZERO
            return value * rate

        with decimal.localcontext(VIEW):
            realised, invested, reserved = -settled_of(self._state, owner), ZERO, ZERO
            for (who, currency), sums in self._state.owner_sums.items():
                if who == owner:
                    realised += worth(sums.realised - sums.fees - sums.funding, currency)
            for (who, _, instrument), line in self._commitments.owned.items():
                if who == owner:
                    invested += worth(abs(line.cost), self._state.instruments[instrument].settle)
                    for currency, held in line.reserved.items():
                        reserved += worth(held, currency)
        return Budget(
            owner=owner,
            currency=home,
            capital=bot.capital,
            realised=realised,
            invested=invested,
            reserved=reserved,
            missing=tuple(missing),
        )

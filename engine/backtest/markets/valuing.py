"""What the accounts of a run are worth together, at the middle of the markets that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.instrument import CASH_KINDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.ids import AccountId, Currency, InstrumentId
    from engine.state import EngineState
    from engine.strategy.views import MarketView

__all__ = ["EQUAL_CURRENCIES", "Valuer"]

EQUAL_CURRENCIES = frozenset({"USD", "USDT", "USDC", "FDUSD"})
"""Counted as one where no market of the run says otherwise."""
_HOPS = 3


class Valuer:
    """Values all balances and open contracts in one currency.

    Args:
        state: Whose accounts.
        views: The markets, with their present prices.
        accounts: What is valued.
        currency: In which currency.
    """

    def __init__(
        self,
        state: EngineState,
        views: Mapping[InstrumentId, MarketView],
        accounts: list[AccountId],
        currency: Currency,
    ) -> None:
        self._state = state
        self._views = views
        self._accounts = accounts
        self._currency = currency
        self._pairs = [view for view in views.values() if view.instrument.kind in CASH_KINDS]
        self._contracts = [view for view in views.values() if view.instrument.kind not in CASH_KINDS]

    def equity(self) -> float:
        """All accounts together; what no market of the run can value counts nothing."""
        total, rates = 0.0, {self._currency: 1.0}
        for account in self._accounts:
            for currency, balance in self._state.balances.get(account, {}).items():
                amount = float(balance.total)
                if amount:
                    total += amount * self.rate(currency, rates)
        for view in self._contracts:
            if view.position and view.mid:
                gain = view.position * (view.mid - view.entry_price) * view.multiplier
                total += gain * self.rate(view.instrument.settle, rates)
        return total

    def rate(self, currency: Currency, known: dict[Currency, float]) -> float:
        """Value of one unit of a currency; 0 where no market leads to it."""
        found = known.get(currency)
        if found is None:
            for _ in range(_HOPS):
                self._spread_out(known)
                if currency in known:
                    break
            if currency not in known and currency in EQUAL_CURRENCIES and self._currency in EQUAL_CURRENCIES:
                known[currency] = 1.0
            found = known.setdefault(currency, 0.0)
        return found

    def _spread_out(self, known: dict[Currency, float]) -> None:
        for view in self._pairs:
            price = view.mid or view.last
            if not price:
                continue
            if view.quote in known and view.base not in known:
                known[view.base] = price * known[view.quote]
            elif view.base in known and view.quote not in known and view.quote not in EQUAL_CURRENCIES:
                known[view.quote] = known[view.base] / price
            elif view.quote in EQUAL_CURRENCIES and self._currency in EQUAL_CURRENCIES and view.base not in known:
                known[view.base] = price

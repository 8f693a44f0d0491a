"""A cheap look that tells that no limit on values can be exceeded, because all of them together would not exceed one.

No limited sum is larger than the sum of all lines, and what depends on a currency no larger than that with all
balances and all that is offered. Where these are within the narrowest limit every single one is kept; where they are
not, nothing is said and every sum has to be looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.decimals import ONE, ZERO

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from engine.model.ids import AccountId
    from engine.model.limits import RiskLimits
    from engine.model.valuation import Valuation
    from engine.risk.lines import HeldLine
    from engine.risk.picture import Picture

__all__ = ["Ample"]


class Ample:
    """Looks at one account, which must be the only one, with one owner to a line."""

    def __init__(self) -> None:
        self._of: tuple[RiskLimits | None, Decimal] = (None, ONE)
        self._narrowest = self._currency = ZERO
        self._count = 0

    def used(
        self,
        picture: Picture,
        account: AccountId,
        held: Sequence[HeldLine],
        equity: Valuation,
        limits: RiskLimits,
        factor: Decimal,
    ) -> float | None:
        """The largest part of a limit that can be used, 1 or less; None where that is not sure, or not so.

        Run it in the `VIEW` context.

        Args:
            picture: Values of the moment.
            account: The one account.
            held: Everything it can come to hold, none of it without a price.
            equity: What it is worth.
            limits: Those in force.
            factor: What the largest position is multiplied with while trading with care.
        """
        state, commitments = picture.state, picture.commitments
        if len(state.accounts) != 1 or picture.absent or picture.doubtful or not equity.known or equity.value <= ZERO:
            return None
        if self._of[0] is not limits or self._of[1] != factor:
            self._learn(limits, factor)
        owned = commitments.owned.values()
        if (
            len(owned) != len(commitments.lines)
            or len(owned) > self._count
            or any(one.quantity < ZERO for one in owned)
        ):
            return None
        total = offered = ZERO
        for one in held:
            total += one.value
            offered += one.sides.sells
        base, venue = state.accounts[account].base_currency, state.accounts[account].venue
        for currency, balance in state.balances[account].items():
            if currency != base and balance.total:
                rate = picture.rates.rate(currency, base, venue)
                if rate is None:
                    return None
                offered += abs(balance.total) * rate
        most, widest = self._narrowest * equity.value, self._currency * equity.value
        if total > most or total + offered > widest:
            return None
        return max(float(total) / float(most), float(total + offered) / float(widest))

    def _learn(self, limits: RiskLimits, factor: Decimal) -> None:
        self._of = (limits, factor)
        self._narrowest = min(
            limits.max_position_size_pct * factor,
            limits.max_portfolio_exposure,
            limits.max_account_exposure,
            limits.max_venue_exposure,
            limits.max_class_exposure,
            limits.max_correlated_exposure,
            limits.max_concentration,
            limits.max_strategy_exposure,
        )
        self._currency = limits.max_currency_exposure
        self._count = min(limits.max_total_positions, limits.max_positions_per_strategy)

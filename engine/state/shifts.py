"""What a deposit or withdrawal does to that which later equity is compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.ids import AccountId
    from engine.state.core import EngineState

__all__ = ["forget_equity", "shift_guards"]


def shift_guards(state: EngineState, account: AccountId, amount: Decimal) -> None:
    """Money moved from or to outside: it is neither a profit nor a loss of any period."""
    for (owner, _), period in state.periods.items():
        if owner == account:
            period.equity += amount
    for peak in state.peaks.get(account, ()):
        peak.equity += amount


def forget_equity(state: EngineState, account: AccountId) -> None:
    """What an account was worth cannot be compared any more."""
    for key in [key for key in state.periods if key[0] == account]:
        del state.periods[key]
    state.peaks.pop(account, None)

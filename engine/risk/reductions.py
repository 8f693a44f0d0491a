"""Where entries pass smaller: breakers on trial, the loss of a week, and the time after a recovery."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.model.decimals import ONE
from engine.risk.scopes import Scope

if TYPE_CHECKING:
    from engine.model.ids import AccountId, InstrumentId, Owner
    from engine.state import EngineState

__all__ = ["StateReductions"]

WEEKLY = "weekly_loss"
HALF = Decimal("0.5")


class StateReductions:
    """Reads reductions from the state, so that they hold after a restart as before. Implements `Reductions`."""

    def __init__(self, state: EngineState) -> None:
        self._state = state

    def factor(self, instrument: InstrumentId, account: AccountId, owner: Owner, careful: Decimal) -> Decimal:
        """What entries there are multiplied with; 1 where nothing reduces them."""
        state = self._state
        if not state.breakers and not state.locks:
            return ONE
        inside = (account, *Scope.keys_of(state, owner, account, instrument))
        factor = ONE
        for (name, scope), breaker in state.breakers.items():
            if breaker.reduces and scope in inside:
                # The loss of a week halves sizes whatever care means elsewhere.
                factor = min(factor, careful, HALF if name == WEEKLY else ONE)
        for lock in state.locks.values():
            if lock.reduces and lock.scope in inside:
                factor = min(factor, careful)
        return factor

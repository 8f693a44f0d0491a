"""The coordinator: settles who yields when a bot would enter against another one.

The risk gate refuses the newer entry whatever the policy is. With `refuse` that is all. With `priority` a bot of lower
priority closes its position for one of higher priority, with `net` for one that wants at least as much the other way;
the one that was refused enters with its next signal, so that the two never trade against each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import ConflictError
from engine.logs import get_logger
from engine.model.owner_limits import terms_of_owner
from engine.model.risk import RefusalCode
from engine.risk.bot_rules import opponents

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.bots.manager import BotManager
    from engine.ledger import Ledger
    from engine.model.bot_settings import ConflictPolicy
    from engine.model.commitments import Commitments
    from engine.model.ids import Owner

__all__ = ["Coordinator"]

log = get_logger(__name__)


class Coordinator:
    """Hears of refused entries and lets the one who has to yield close. Plain and synchronous.

    Args:
        ledger: Tells of refusals.
        manager: Closes positions.
        commitments: Gives what is held and open.
        policy: Who yields.
    """

    def __init__(
        self,
        ledger: Ledger,
        manager: BotManager,
        commitments: Callable[[], Commitments],
        policy: ConflictPolicy = "refuse",
    ) -> None:
        self._ledger = ledger
        self._manager = manager
        self._commitments = commitments
        self.policy: ConflictPolicy = policy
        """Who yields."""
        ledger.subscribe(self._hear)

    def _hear(self, record: ev.Record) -> None:
        event = record.event
        if self.policy == "refuse" or not isinstance(event, ev.OrderRefused):
            return
        # Refused for anything else as well, it could not enter however much the other one yielded.
        if set(event.codes) != {RefusalCode.OPPOSED}:
            return
        state = self._ledger.state
        found = opponents(state, self._commitments(), event.owner, event.account, event.instrument, event.side)
        for owner, instrument, line in tuple(found):
            other = state.bots[owner]
            if self.policy == "net":
                here, there = state.instruments[event.instrument], state.instruments[instrument]
                yields = event.quantity * here.multiplier >= abs(line.quantity) * there.multiplier
            else:
                yields = self._priority(owner) < self._priority(event.owner)
            if not yields:
                continue
            try:
                self._manager.close_position(other, f"it yields to {state.bots[event.owner].name} ({self.policy})")
            except ConflictError as error:
                log.info("a bot that should yield cannot", bot=owner, problem=error.message)

    def _priority(self, owner: Owner) -> int:
        return terms_of_owner(self._ledger.state, owner).priority

"""The roster with its universes: a universe counts as one bot, and goes only after its members."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.bots.roster import ACTIVE, Roster
from engine.errors import ConflictError

if TYPE_CHECKING:
    from engine.bots.universes import Universes
    from engine.model.entries import BotEntry

__all__ = ["Household"]


class Household(Roster):
    """Which bots there are, members of universes among them."""

    universes: Universes
    """Bots that trade every market of a rule."""
    max_running: int
    """Bots that may run at once."""

    def check_room(self, wanted: BotEntry | None = None) -> None:
        """Raise ConflictError when as many bots run as may; a universe counts as one, with all its members."""
        if wanted is not None and self.universes.is_member(wanted):
            return
        bots = (bot for bot in self._ledger.state.bots.values() if not self.universes.is_member(bot))
        if sum(bot.state in ACTIVE for bot in bots) >= self.max_running:
            raise ConflictError(
                f"{self.max_running} bots are running, the most allowed; stop one first, or raise "
                "strategies.max_concurrent_strategies."
            )

    def delete(self, entry: BotEntry) -> None:
        """Remove a stopped bot; its history stays. Raises as `Roster.delete`, and for a universe with members."""
        if self.universes.is_parent(entry) and entry.state not in ACTIVE:
            self.universes.check_delete(entry)
        super().delete(entry)

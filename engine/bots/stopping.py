"""How bots are stopped: at once, when their orders are gone, or when their position is closed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.bots.roster import holds
from engine.errors import ConflictError
from engine.model.entries import BotEntry, BotState

if TYPE_CHECKING:
    from engine.bots.bot import Bot
    from engine.bots.manager import BotManager
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.ids import Owner

__all__ = ["CANCEL", "CLOSE", "LEAVE", "StopPolicy", "Stopping"]

LEAVE, CANCEL, CLOSE = "leave", "cancel_orders", "close"
StopPolicy = str
"""What a stop does: `leave` everything, `cancel_orders` (protective ones too), or `close` positions."""


class Stopping:
    """The stops of a manager's bots that are under way. Plain and synchronous.

    Args:
        manager: Whose bots they are.
        ledger: Its state is what is held and open.
        desk: Cancels orders.
    """

    def __init__(self, manager: BotManager, ledger: Ledger, desk: Desk) -> None:
        self._manager = manager
        self._ledger = ledger
        self._desk = desk
        self.policies: dict[Owner, StopPolicy] = {}
        """How each bot is being stopped."""

    def hears(self, owner: Owner) -> bool:
        """Whether a bot still acts on what happens to its orders."""
        return self.policies.get(owner, CLOSE) == CLOSE

    def stop(self, entry: BotEntry, policy: StopPolicy, reason: str) -> None:
        """Stop a bot; with `close` it stays STOPPING until its position is closed.

        Raises:
            ConflictError: It is not running.
        """
        manager = self._manager
        bot = manager.running.get(entry.id)
        if bot is None:
            if entry.state is BotState.ERROR or entry.id in manager.revival.waiting:
                self._stop_failed(entry, policy, reason)
                return
            raise ConflictError(f"The bot {entry.name} is {entry.state}; there is nothing to stop.")
        bot.entries_allowed = False
        self.policies[entry.id] = policy
        manager.move(entry, BotState.STOPPING, reason)
        if policy == CLOSE:
            self._close(entry, bot, "the bot is stopped")
        elif policy == CANCEL:
            bot.cancel_all("the bot is stopped")
        self.finish(entry.id)

    def _stop_failed(self, entry: BotEntry, policy: StopPolicy, reason: str) -> None:
        manager = self._manager
        if policy == CLOSE and holds(self._ledger.state, entry.id):
            manager.look_after(entry)
            if entry.id not in manager.caretakers.owners:
                raise ConflictError(
                    f"The bot {entry.name} is not up, and what it trades is not known here; close its position on "
                    "Portfolio."
                )
            manager.revival.waiting.discard(entry.id)
            manager.supervisor.forget(entry.id)
            self.policies[entry.id] = CLOSE
            manager.move(entry, BotState.STOPPING, reason)
            manager.caretakers.close(entry, manager.config(entry).strategy, "the bot is stopped")
            self.finish(entry.id)
            return
        manager.revival.waiting.discard(entry.id)
        manager.caretakers.release(entry.id)
        manager.supervisor.forget(entry.id)
        if policy == CANCEL:
            self._desk.cancel_matching(lambda order: order.owner == entry.id, "the bot is stopped")
        manager.move(entry, BotState.STOPPED, reason)

    def close(self, entry: BotEntry, reason: str) -> None:
        """Let a running bot close its position and go on.

        Raises:
            ConflictError: It is not running.
        """
        bot = self._manager.running.get(entry.id)
        if bot is None:
            raise ConflictError(f"The bot {entry.name} is {entry.state} and closes nothing by itself.")
        self._close(entry, bot, reason)

    def _close(self, entry: BotEntry, bot: Bot, reason: str) -> None:
        # Saved at once: a restart in between goes on closing.
        if self._manager.guarded(entry.id, lambda: bot.close(reason)) and bot.memory.closing:
            self._manager.keep(entry, bot)

    def _finish_without(self, owner: Owner) -> None:
        """One that is not up is stopped once nothing is left of it."""
        entry = self._ledger.state.bots.get(owner)
        if entry is not None and holds(self._ledger.state, owner):
            return
        self.policies.pop(owner, None)
        self._manager.caretakers.release(owner)
        if entry is not None:
            self._manager.move(entry, BotState.STOPPED, entry.reason)

    def finish(self, owner: Owner) -> None:
        """Book a bot as stopped if nothing is left to wait for."""
        manager = self._manager
        policy, bot = self.policies.get(owner), manager.running.get(owner)
        if policy is None:
            return
        if bot is None:
            self._finish_without(owner)
            return
        if policy == CLOSE and bot.quantity:
            if not bot.memory.closing:
                # An entry that was being cancelled has filled after all.
                manager.guarded(owner, lambda: bot.close("the bot is stopped"))
            return
        if policy != LEAVE and bot.orders():
            return
        entry = self._ledger.state.bots[owner]
        manager.keep(entry, bot)
        if owner not in manager.running:
            return
        manager.detach(owner)
        manager.move(entry, BotState.STOPPED, entry.reason)

"""What a manager does for its bots that decide on events: their feeds, their timers, their alerts, their own stops."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.bots.events.kinds import on_books, saved_memory
from engine.bots.events.live import LiveEventBot
from engine.errors import ConfigurationError, NotFoundError
from engine.logs import get_logger
from engine.model.entries import BotState
from engine.model.faults import Severity

if TYPE_CHECKING:
    from engine.bots.bot import Bot
    from engine.bots.builder import BotBuilder, Library
    from engine.bots.events.missed import FactsAfter
    from engine.bots.manager import BotManager
    from engine.bots.protection import BotMemory
    from engine.ledger import Ledger
    from engine.model.entries import BotEntry
    from engine.model.ids import Owner

__all__ = ["EventBots"]

log = get_logger(__name__)


class EventBots:
    """See the module.

    Args:
        manager: Whose bots they are.
        builder: Makes them, and is told how they reach the manager.
        ledger: Its state is what they hold.
        library: Tells which strategies decide on events.
    """

    def __init__(self, manager: BotManager, builder: BotBuilder, ledger: Ledger, library: Library) -> None:
        self._manager, self._builder = manager, builder
        self._ledger, self._library = ledger, library
        builder.guarded, builder.alert, builder.halt = manager.guarded, self._tell, self._halt

    def attach(self, bot: Bot) -> None:
        """Let a bot hear its markets, if it decides on them."""
        if isinstance(bot, LiveEventBot):
            bot.keep = lambda: self._keep(bot)
            bot.backlog = self._manager.backlog
            bot.attach_feeds()

    def look_for_facts(self, facts: FactsAfter) -> None:
        """Name where facts are found that bots have not been told."""
        self._builder.facts = facts

    def _keep(self, bot: LiveEventBot) -> bool:
        manager, entry = self._manager, self._manager.entry(bot.owner)
        if entry is not None and manager.running.get(bot.owner) is bot:
            manager.keep(entry, bot)
        return manager.running.get(bot.owner) is bot

    def tick(self, now: int) -> None:
        """Give them their timers, and take their quotes away where trading is halted or a market is silent."""
        manager = self._manager
        if manager.backlog.held or manager.asleep:
            return
        for owner, bot in tuple(manager.running.items()):
            if isinstance(bot, LiveEventBot) and manager.running.get(owner) is bot:
                manager.guarded(owner, lambda: bot.tick(now))  # noqa: B023

    def is_one(self, entry: BotEntry) -> bool:
        """Whether a bot decides on events; False where its configuration cannot be read."""
        try:
            return on_books(self._library, self._manager.config(entry), entry.memory)
        except ConfigurationError:
            return False

    def leave(self, entry: BotEntry, memory: BotMemory | None = None) -> None:
        """Leave the positions of a bot that is not up as they are, and tell the person, once.

        Args:
            entry: The bot.
            memory: What it remembers; None for what was saved of it.
        """
        if entry.id in self._manager.caretakers.owners:
            return
        if memory is None:
            memory = saved_memory(entry.memory)
        try:
            places = self._builder.places(self._manager.config(entry))
        except (ConfigurationError, NotFoundError) as error:
            log.warning("what a bot trades is not known here", bot=entry.id, problem=error.message)
        else:
            self._manager.caretakers.leave(entry, places, memory)
        held = [
            f"{position.quantity.normalize():f} {instrument}"
            for (owner, _, instrument), position in self._ledger.state.owned.items()
            if owner == entry.id and position.lots
        ]
        if held:
            text = (
                f"it is not up, and nobody looks after its positions: {', '.join(held)}. No stop is placed; orders "
                "that reduce them stay, all others are cancelled. Start it again, stop it with `close`, or close them "
                "on Portfolio."
            )
            self._tell(entry.id, text, True)

    def _tell(self, owner: Owner, text: str, critical: bool) -> None:
        entry = self._manager.entry(owner)
        name = owner if entry is None else entry.name
        severity = Severity.CRITICAL if critical else Severity.HIGH
        self._manager.errors.alert(severity, "bots", f"The bot {name}: {text}")

    def _halt(self, owner: Owner, reason: str) -> None:
        entry = self._manager.entry(owner)
        if entry is not None and entry.state is BotState.RUNNING:
            self._manager.pause(entry, reason)
            self._tell(owner, f"it has paused itself: {reason}", True)

"""Brings bots back after a restart: each in the state in which it was, however often the restart is cut short."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ConfigurationError, ExchangeError, JournalError, NotFoundError, QuarterdeckError
from engine.logs import get_logger
from engine.model.entries import BotState

if TYPE_CHECKING:
    from engine.bots.bot import Bot
    from engine.bots.manager import BotManager
    from engine.ledger import Ledger
    from engine.model.entries import BotEntry
    from engine.model.ids import Owner

__all__ = ["RETRY_S", "Revival"]

log = get_logger(__name__)

RETRY_S = 5.0
"""Pause before a bot whose history could not be had is tried again."""
_BACK = "the engine restarted"
_HELD = "the engine restarted; exits and protection go on, it enters nothing until it is resumed"


class Revival:
    """What the manager does once per start of the engine.

    Nothing is booked that forgets what a bot was: PAUSED and STOPPING stay booked while it warms up, and RECOVERING
    means that it shall run.

    Args:
        manager: Whose bots they are.
        ledger: What is booked about them.
    """

    def __init__(self, manager: BotManager, ledger: Ledger) -> None:
        self._manager = manager
        self._ledger = ledger
        self._handed_over = False
        self._autostarting: set[Owner] = set()
        self.waiting: set[Owner] = set()
        """Bots that shall come back and are not back yet; taken out, one does not come back."""

    async def recover(self, active: frozenset[BotState], *, handed_over: bool = False) -> None:
        """Try every bot once that was active, or that starts with the engine. Never raises for a bot.

        Raises:
            JournalError: Nothing can be booked any more.
        """
        self._handed_over = handed_over
        bots = list(self._ledger.state.bots.values())
        for entry in bots:
            if entry.id in self._manager.running or self._is_universe(entry):
                continue
            if entry.state in active:
                # All of them before the first is awaited: an operator may stop any of them meanwhile.
                self.waiting.add(entry.id)
                if entry.state in (BotState.RUNNING, BotState.STARTING):
                    self._manager.move(entry, BotState.RECOVERING, _BACK)
        for entry in bots:
            if entry.id in self.waiting:
                await self._revive(entry)
        for entry in self._in_state(BotState.ERROR):
            self._manager.look_after(entry)
        for entry in bots:
            if entry.state is BotState.STOPPED and entry.id in self._ledger.state.bots and self._autostarts(entry):
                await self._autostart(entry)

    def _is_universe(self, entry: BotEntry) -> bool:
        """Whether a bot is a universe: it has nothing to take up but its members, and goes on looking after them."""
        found = self._manager.universes.is_parent(entry)
        if found and entry.state in (BotState.STARTING, BotState.RECOVERING):
            self._manager.move(entry, BotState.RUNNING, _BACK)
        return found

    def _in_state(self, state: BotState) -> list[BotEntry]:
        return [entry for entry in self._ledger.state.bots.values() if entry.state is state]

    async def retry(self) -> None:
        """Try those again that could not be brought back yet. Raises as `recover`."""
        for owner in tuple(self.waiting):
            entry = self._ledger.state.bots.get(owner)
            if entry is None:
                self.waiting.discard(owner)
            else:
                await self._revive(entry)

    async def _autostart(self, entry: BotEntry) -> None:
        try:
            self._manager.check_room()
            self._manager.admit(entry)
        except JournalError:
            raise
        except QuarterdeckError as error:
            log.warning("a bot could not be started with the engine", bot=entry.id, problem=error.message)
            return
        if self._manager.universes.is_parent(entry):
            self._manager.universes.start(entry)
            return
        self.waiting.add(entry.id)
        self._autostarting.add(entry.id)
        self._manager.move(entry, BotState.RECOVERING, "it starts with the engine")
        await self._revive(entry)

    async def _revive(self, entry: BotEntry) -> None:
        try:
            bot = await self._manager.build(entry)
        except JournalError:
            raise
        except ExchangeError as error:
            log.warning("a bot waits for its history", bot=entry.id, problem=error.message)
            self._manager.errors.report(error, component="bots", operation="revive", bot=entry.id)
            self._manager.look_after(entry)
            return
        except QuarterdeckError as error:
            log.warning("a bot could not be restarted", bot=entry.id, problem=error.message)
            self._manager.errors.report(error, component="bots", operation="revive", bot=entry.id)
            if entry.id in self.waiting:
                self.waiting.discard(entry.id)
                entries = entry.state is BotState.RECOVERING and self._enters(entry)
                self._manager.move(entry, BotState.ERROR, error.message)
                self._manager.look_after(entry)
                self._manager.supervisor.failed(entry, entries=entries, now=self._manager.now)
            return
        if entry.id not in self.waiting or self._manager.backlog.held:
            # It was stopped while it warmed up, or nothing may be booked just now; then `retry` comes to it.
            bot.end()
            return
        self.waiting.discard(entry.id)
        self._go_on(entry, bot)

    def _go_on(self, entry: BotEntry, bot: Bot) -> None:
        manager = self._manager
        # Before it hears its first bar: only one that shall run may enter.
        enters = entry.state is BotState.RECOVERING and self._enters(entry)
        bot.entries_allowed = enters
        manager.attach(entry, bot)
        if entry.state is BotState.STOPPING:
            self._finish(entry, bot)
            return
        if entry.state is BotState.PAUSED:
            manager.guarded(entry.id, lambda: bot.cancel_entries("the bot is paused"))
        elif enters:
            manager.move(entry, BotState.RUNNING)
        else:
            manager.guarded(entry.id, lambda: bot.cancel_entries("the bot does not resume by itself"))
            manager.move(entry, BotState.PAUSED, _HELD)
        if entry.id in manager.running:
            # What the position needs now may differ from what rests at the venue after a restart.
            manager.guarded(entry.id, bot.protect)

    def _finish(self, entry: BotEntry, bot: Bot) -> None:
        closing = bot.memory.closing
        if closing and not self._manager.guarded(entry.id, bot.protect):
            return
        try:
            policy = "close" if closing else "cancel_orders"
            self._manager.stop(entry, policy, "it was being stopped at the restart")
        except JournalError:
            raise
        except QuarterdeckError as error:
            log.warning("a bot could not be stopped after the restart", bot=entry.id, problem=error.message)

    def _enters(self, entry: BotEntry) -> bool:
        """Whether a bot that ran may enter again without a person."""
        if self._handed_over or entry.id in self._autostarting:
            return True
        try:
            return self._manager.resumes(self._manager.config(entry))
        except QuarterdeckError:
            return False

    def _autostarts(self, entry: BotEntry) -> bool:
        """Whether a stopped bot starts with the engine; with real money only where it may enter by itself at all."""
        try:
            config = self._manager.config(entry)
            return config.autostart and (config.auto_resume is True or not self._manager.is_live(config))
        except (ConfigurationError, NotFoundError) as error:
            log.warning("a bot's configuration cannot be used", bot=entry.id, problem=error.message)
            return False

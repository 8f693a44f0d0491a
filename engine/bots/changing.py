"""Changes a bot's configuration as a whole, also while it runs: then another instance goes on in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import ConfigurationError, ConflictError
from engine.model.entries import BotState

if TYPE_CHECKING:
    from engine.bots.config import BotConfig
    from engine.bots.manager import BotManager
    from engine.ledger import Ledger
    from engine.model.entries import BotEntry

__all__ = ["FIXED", "change"]

FIXED = ("strategy", "strategy_file", "instrument", "markets", "account", "timeframe")
"""What a running bot keeps: its position, its bars and its memory belong to them."""


async def change(manager: BotManager, ledger: Ledger, entry: BotEntry, config: BotConfig) -> None:
    """Put a configuration into force, or leave everything as it is.

    A running bot goes on with its position, its levels and what its strategy remembers, as far as the new parameters
    understand it; the old instance trades until the new one has taken in its history.

    Args:
        manager: Whose bot it is.
        ledger: Where the change is booked.
        entry: The bot.
        config: The new configuration, whole.

    Raises:
        ConflictError: The bot is on its way up or down, or what is to change needs a stopped bot.
        ConfigurationError, StrategyError, NotFoundError, CapitalManagementError: The new one is not acceptable.
        ExchangeError: The history for the new instance cannot be had.
    """
    bot = manager.running.get(entry.id)
    if bot is None or entry.state not in (BotState.RUNNING, BotState.PAUSED):
        manager.configure(entry, config)
        return
    if config.name != entry.name:
        raise ConfigurationError("A bot keeps its name; create a new one under the other name.")
    before = manager.config(entry)
    fixed = [name for name in FIXED if getattr(before, name) != getattr(config, name)]
    if fixed:
        raise ConflictError(
            f"The bot {entry.name} is {entry.state}; stop it before changing its {', '.join(fixed).replace('_', ' ')}."
        )
    manager.check(config, entry)
    manager.keep(entry, bot)
    fresh = await manager.build(entry, config)
    if manager.running.get(entry.id) is not bot or manager.backlog.held:
        fresh.end()
        raise ConflictError(f"The bot {entry.name} was stopped or failed meanwhile; nothing was changed. Try again.")
    ledger.record(ev.BotConfigured(bot=entry.id, config=config.encode(), capital=config.capital))
    manager.replace(entry, fresh)

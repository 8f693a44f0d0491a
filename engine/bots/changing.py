"""Changes a bot's configuration as a whole, also while it runs: then another instance goes on in its place.

The same way leads to other parameters, another strategy, another file and another version of the same file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ConfigurationError, ConflictError
from engine.logs import get_logger
from engine.model.entries import BotState

if TYPE_CHECKING:
    from engine.bots.bot import Bot
    from engine.bots.config import BotConfig
    from engine.bots.manager import BotManager
    from engine.model.entries import BotEntry

__all__ = ["FIXED", "change"]

log = get_logger(__name__)

FIXED = ("instrument", "markets", "account")
"""What a running bot keeps: its position is there."""
BUILDS = 3
"""How often an instance is built anew because a bar has closed meanwhile."""


async def change(manager: BotManager, entry: BotEntry, config: BotConfig) -> None:
    """Put a configuration into force, or leave everything as it is.

    A running bot goes on with its position, its levels, its orders, its capital and its limits. What its strategy
    remembers goes along as far as the new one understands it: whole for other parameters and for a new version with
    the same memory, nothing for another strategy. The old instance trades until the new one has taken in its history,
    and no bar is heard by neither.

    Args:
        manager: Whose bot it is.
        entry: The bot.
        config: The new configuration, whole.

    Raises:
        ConflictError: The bot is on its way up or down, what is to change needs a stopped bot, or a strategy on books
            would follow one on bars, or the other way round, while there is a position or an order.
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
    manager.check_kind(entry, config)
    fresh = await _fresh(manager, entry, bot, config)
    try:
        # The old instance has traded while the new one was built.
        manager.check_kind(entry, config)
    except ConflictError:
        fresh.end()
        raise
    # From here on without a pause: a kill between any two of these leaves either configuration whole, the position's
    # levels being part of what is booked of both.
    manager.book(entry, config)
    manager.replace(entry, fresh)
    manager.keep(entry, fresh)
    log.info("a running bot was changed", bot=entry.id, strategy=config.strategy, source=config.source)


async def _fresh(manager: BotManager, entry: BotEntry, bot: Bot, config: BotConfig) -> Bot:
    """An instance for the new configuration that knows all that the old one knows.

    A bar that closes while it is built is the old one's to decide, which may change what is remembered: then once more.
    """
    builds = 0
    while True:
        manager.keep(entry, bot)
        seen, builds = bot.last_bar_ts, builds + 1
        fresh = await manager.build(entry, config)
        if manager.running.get(entry.id) is not bot or manager.backlog.held:
            fresh.end()
            raise ConflictError(
                f"The bot {entry.name} was stopped or failed meanwhile; nothing was changed. Try again."
            )
        if bot.last_bar_ts == seen or builds == BUILDS:
            return fresh
        fresh.end()

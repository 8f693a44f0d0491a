"""What of a change of a bot lets it trade more real money, or trade it without being asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.live.admission import require_armed
from engine.errors import ConfigurationError
from engine.model.entries import BotState
from engine.model.owner_limits import owner_limits

if TYPE_CHECKING:
    from engine.bots.config import BotConfig
    from engine.control.context import Context
    from engine.model.entries import BotEntry

__all__ = ["admit_configuration", "widened"]

_SWITCHES = ("mode", "autostart", "auto_resume")
_ON = ("live", True)
_WAYS = ("strategy", "strategy_file", "source", "instrument", "account", "timeframe", "params", "execution")
"""What a bot does with its capital; of one that nobody has to start they count like the capital itself."""


def widened(before: BotConfig | None, after: BotConfig, *, at_work: bool) -> list[str]:
    """Names of what would let a bot with real money do more than before, or do it by itself.

    What a bot is that a person has to start is asked at its start.

    Args:
        before: What it is now; None for a new bot, or where nobody can tell.
        after: What it shall be.
        at_work: Whether it trades, or comes back by itself.
    """
    alone = after.autostart and after.auto_resume is True
    if before is None:
        return ["autostart"] if at_work or alone else []
    found = [
        name for name in _SWITCHES if getattr(after, name) in _ON and getattr(after, name) != getattr(before, name)
    ]
    if at_work or alone:
        found += ["capital"] if after.capital > before.capital else []
        found += [name for name in _WAYS if getattr(after, name) != getattr(before, name)]
        own, then = owner_limits(before.risk).named(), owner_limits(after.risk).named()
        found += [f"risk.{name}" for name, value in own.items() if name not in then or then[name] > value]
    return found


def admit_configuration(context: Context, entry: BotEntry | None, after: BotConfig, typed: str) -> None:
    """Before a bot is made or changed: on paper, and for what is no wider than before, it asks nothing.

    Args:
        context: Whose call it is.
        entry: The bot; None for a new one.
        after: Its new configuration.
        typed: `VENUE/account`, typed for this one request where no console is armed.

    Raises:
        AuthorizationError: As `require_armed`.
        NotFoundError: There is no such account.
    """
    bots = context.need_engine().bots
    account = bots.account_in(after)
    if not bots.is_live(after):
        return
    before = None
    if entry is not None:
        try:
            before = bots.config(entry)
        except ConfigurationError:
            # One of another release cannot be read: whatever it is, nobody can tell that it was as wide.
            before = None
    at_work = entry is not None and entry.state is not BotState.STOPPED
    if widened(before, after, at_work=at_work):
        require_armed(context, account, typed)

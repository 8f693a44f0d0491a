"""Facts about bots: that there are any, how they are set up, and how it stands with them."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.ids import Currency, Owner

__all__ = [
    "BotConfigured",
    "BotCreated",
    "BotDeleted",
    "BotMemorySaved",
    "BotRestartPlanned",
    "BotStateChanged",
    "RestartEntry",
]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of the facts; the tag is the class name."""


class BotCreated(_Fact, frozen=True, kw_only=True):
    """A bot exists; the configuration is the validated JSON of `BotConfig`."""

    bot: Owner
    name: str
    config: bytes
    capital: Decimal
    currency: Currency


class BotConfigured(_Fact, frozen=True, kw_only=True):
    """A bot's configuration was replaced as a whole."""

    bot: Owner
    config: bytes
    capital: Decimal


class BotStateChanged(_Fact, frozen=True, kw_only=True):
    """A bot moved in its life cycle."""

    bot: Owner
    state: str
    reason: str = ""


class BotMemorySaved(_Fact, frozen=True, kw_only=True):
    """A strategy's declared memory at a bar, so that a restart continues with the same signals."""

    bot: Owner
    strategy: str
    schema: int
    memory: bytes
    bar_ts: int


class BotDeleted(_Fact, frozen=True, kw_only=True):
    """A stopped bot was removed from the list; its history stays."""

    bot: Owner


class BotRestartPlanned(_Fact, frozen=True, kw_only=True):
    """How it stands with bringing a failed bot back, whole; without tries and without a time it is forgotten."""

    bot: Owner
    tries: tuple[int, ...] = ()
    """UTC nanoseconds of the tries of the last hour, oldest first."""
    due: int = 0
    """UTC nanoseconds of the next try; 0 when none is planned."""
    entries: bool = False
    """Whether it may enter again once it is back."""
    gave_up: bool = False
    """Whether it was tried too often: from now on only a person starts it."""


class RestartEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What the state keeps of the last plan of a bot."""

    tries: tuple[int, ...] = ()
    due: int = 0
    entries: bool = False
    gave_up: bool = False

"""The key of an order of an event strategy, as it is journalled with the order's reason.

An intent is durable before it is sent, so after a restart every open order tells by itself what it was to the strategy.
"""

from __future__ import annotations

import enum
import re

__all__ = ["MOST_KEY", "Role", "key_text", "read_key", "shown_reason", "valid_key"]

MOST_KEY = 24
_KEY = re.compile(rf"[a-z0-9_-]{{1,{MOST_KEY}}}")
_TEXT = re.compile(rf"\[([qpt]):([a-z0-9_-]{{1,{MOST_KEY}}})\] ?(.*)", re.DOTALL)


class Role(enum.StrEnum):
    """How an order came to be."""

    QUOTE = "q"
    PLACED = "p"
    TAKE = "t"


def valid_key(key: object) -> bool:
    """Whether a key can be used."""
    return isinstance(key, str) and _KEY.fullmatch(key) is not None


def key_text(role: Role, key: str, reason: str) -> str:
    """The reason of an order with its key in front."""
    return f"[{role.value}:{key}] {reason}" if reason else f"[{role.value}:{key}]"


def shown_reason(text: str) -> str:
    """An order's reason for a person: what its strategy said, else its key; any other reason as it is."""
    found = _TEXT.match(text)
    return text if found is None else found[3] or found[2]


def read_key(text: str) -> tuple[Role, str] | None:
    """Role and key out of an order's reason; None for one that no event strategy asked for."""
    found = _TEXT.match(text)
    return (Role(found[1]), found[2]) if found else None

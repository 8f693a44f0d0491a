"""Strategies to begin with: each a whole, working file, from which `new_strategy` makes one of another name."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from engine.errors import ConfigurationError, ValidationError

__all__ = ["TEMPLATES", "new_strategy"]

TEMPLATES = {
    "trend": "Two moving averages cross; a trailing stop follows.",
    "reversion": "The price is unusually far from its mean, and leaves when it is back.",
    "breakout": "A close above the highest high of the last bars; a trailing stop follows.",
    "quoting": "Two quotes around the middle of the book, moved away from what is held.",
    "blank": "The least that trades: one indicator, one entry, one exit.",
}
"""Name of a template -> what it does."""
_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_PLACEHOLDER = re.compile(r"\b(Mine|mine)(?=\b|[A-Z])")


def new_strategy(name: str, template: str) -> str:
    """The source of a strategy of that name, made from a template.

    Raises:
        ConfigurationError: There is no such template.
        ValidationError: The name cannot be used.
    """
    if template not in TEMPLATES:
        raise ConfigurationError(f"There is no template {template!r}; there are {', '.join(TEMPLATES)}.")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ValidationError(
            f"The name {name!r} cannot be used; take lower-case letters, digits and _, at most 48, such as my_trend."
        )
    source = (Path(__file__).parent / f"{template}.py").read_text(encoding="utf-8")
    title = "".join(part.capitalize() for part in name.split("_"))
    return _PLACEHOLDER.sub(lambda found: title if found[1] == "Mine" else name, source)

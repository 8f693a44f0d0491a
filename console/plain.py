"""What commands print: every word passes here, so that none of it is a command to the terminal."""

from __future__ import annotations

import json
from typing import Any

import click

from engine.model.text import clean_lines, escape_json

__all__ = ["say", "say_json"]


def say(text: object = "", *, err: bool = False) -> None:
    """Print text, each line cleaned.

    Args:
        text: One or more lines.
        err: Print to the standard error instead.
    """
    click.echo(clean_lines(str(text)), err=err)


def say_json(data: Any, indent: int | None = 2) -> None:
    """Print one JSON object or array; what a terminal would obey is escaped in it, not lost."""
    click.echo(escape_json(json.dumps(data, indent=indent, ensure_ascii=False)))

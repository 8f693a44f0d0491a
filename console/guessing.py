"""A group of commands that knows what was meant by one that it does not have."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.core import Context

__all__ = ["GuessingGroup"]


class GuessingGroup(click.Group):
    """Names the nearest command where there is none of that name."""

    def resolve_command(self, ctx: Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command. Raises UsageError, with the nearest names there are."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 2, 0.6)
            if not near:
                raise
            meant = " or ".join(repr(name) for name in near)
            raise click.UsageError(f"{error.message} Did you mean {meant}?", ctx) from None

"""One line on a terminal that says how far a command is."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_line"]


@contextmanager
def progress_line(what: str) -> Iterator[Callable[[int, int], None]]:
    """Tell a person on a terminal how far it is; a file or a pipe gets nothing of it.

    Args:
        what: What is being done, in a word or two.
    """
    watched = sys.stderr.isatty()
    told = -1

    def tell(done: int, of: int) -> None:
        nonlocal told
        share = done * 100 // max(of, 1)
        if watched and share != told:
            told = share
            click.echo(f"\r\x1b[2K{what}: {share} % ({done:,} of {of:,})", nl=False, err=True)

    try:
        yield tell
    finally:
        if watched and told >= 0:
            click.echo("\r\x1b[2K", nl=False, err=True)

"""Asks a person to agree, by name, that an account may trade real money: for `--live` and for `live consent`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from console.home import prepare_home
from console.keys_commands import perform_named
from console.plain import say

if TYPE_CHECKING:
    from pathlib import Path

    from engine.control.views_live import LiveAccountRow, LiveView

__all__ = ["agree", "words_typed"]


def agree(home: Path) -> None:
    """Have every live account of the settings agreed to that is not yet; what was agreed to before is not asked again.

    Raises:
        ClickException: There is no live account, nobody can be asked, or something else was typed.
    """
    prepare_home(home)
    view: LiveView = perform_named(home, "live.status")
    if not view.accounts:
        raise click.ClickException(
            "No venue of the settings is live; set mode = 'live' for one under [venues.NAME], or start without --live."
        )
    for row in view.accounts:
        if row.refused:
            say(row.refused, err=True)
        if row.consented:
            continue
        perform_named(home, "live.consent", {"account": row.account, "typed": _typed(row, "started")})


def words_typed(home: Path, account: str) -> str:
    """What a person types to agree to one account; empty for an account that is not live, which the engine refuses.

    Raises:
        ClickException: Nobody can be asked.
    """
    view: LiveView = perform_named(prepare_home(home), "live.status")
    row = next((row for row in view.accounts if account.rpartition("/")[2] == row.account), None)
    if row is None:
        return ""
    if row.refused:
        say(row.refused, err=True)
    return _typed(row, "changed")


def _typed(row: LiveAccountRow, undone: str) -> str:
    if not sys.stdin.isatty():
        raise click.ClickException(
            f"{row.words} has to be agreed to by a person at a terminal; nothing was {undone}. Run `quarterdeck "
            f"live consent {row.account}`."
        )
    what = "use its key to look, as it takes no orders yet" if row.refused else "trade its money"
    say(f"{row.words} is an account at {row.target}. Quarterdeck will {what}.", err=True)
    typed: str = click.prompt(f"Type {row.words} to agree", default="", show_default=False, err=True)
    return typed

"""The `quarterdeck` command: options every call shares, and sub-commands that are loaded only when they run.

Nothing heavier than click is imported here, so that help and shell completion answer at once.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.commands import ALIASES, COMMANDS, DEFAULT
from console.guessing import GuessingGroup
from console.home import HOME_VARIABLE, resolve_home
from console.plain import say
from engine.control.exit_codes import exit_code_of
from engine.errors import QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Invocation", "LazyGroup", "main", "root"]


VENUE_VARIABLE = "QUARTERDECK_VENUE"
"""The setting `venue` in the environment."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What the command line said before any sub-command; handed to commands with `click.pass_obj`."""

    home: Path
    """Absolute path of the folder that holds everything Quarterdeck writes; it may not exist yet."""
    scene: str | None = None
    """Name of a prepared, repeatable market to show; None is the session kept in `home`."""


def load(target: str) -> Any:
    """Import what a `module:attribute` string names."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


class LazyGroup(GuessingGroup):
    """A click group whose sub-commands are the lines of `console.commands.COMMANDS`."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command line; a refusal is printed as click prints it, but clean."""
        try:
            outcome: Any = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            if not standalone_mode:
                raise
            page = io.StringIO()
            error.show(page)
            say(page.getvalue().rstrip("\n"), err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            if not standalone_mode:
                raise
            say("Aborted!", err=True)
            sys.exit(1)
        if standalone_mode:
            sys.exit(outcome if isinstance(outcome, int) else 0)
        return outcome

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the table's own order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name, or None when the table has no such line."""
        name = ALIASES.get(cmd_name, cmd_name)
        entry = COMMANDS.get(name)
        if entry is None:
            return None
        command: click.Command | None = load(entry.target) if entry.target else None
        if not entry.noun:
            return command
        from console.operation_commands import NounGroup

        return NounGroup(name, entry.noun, entry.help, command if isinstance(command, click.Group) else None)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the sub-commands from the table, importing none of them."""
        if COMMANDS:
            with formatter.section("Commands"):
                formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])


def print_version(ctx: click.Context, _param: click.Parameter, wanted: bool) -> None:
    """Print the installed version and leave."""
    if not wanted or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    say(f"quarterdeck {version('quarterdeck')}")
    ctx.exit()


@click.group(cls=LazyGroup, name="quarterdeck", invoke_without_command=True)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    envvar=HOME_VARIABLE,
    show_envvar=True,
    help="The folder that holds everything Quarterdeck writes.",
)
@click.option("--scene", metavar="NAME", help="Show a prepared, repeatable market instead of your own session.")
@click.option("--venue", metavar="NAME", help="Trade at this venue; an exchange without settings is traded on paper.")
@click.option("--live", is_flag=True, help="Agree, by name, that accounts set to live trade real money.")
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Print the version."
)
@click.pass_context
def root(ctx: click.Context, home: Path | None, scene: str | None, venue: str | None, live: bool) -> None:
    """A terminal trading console you can leave, and an engine that does not notice.

    Without a command, Quarterdeck opens the console.
    """
    ctx.obj = Invocation(home=resolve_home(home), scene=scene)
    if venue:
        # Every process that follows from this call, and every one that follows those, is to trade there.
        os.environ[VENUE_VARIABLE] = venue
    if live:
        load("console.live_prompt:agree")(ctx.obj.home)
    if ctx.invoked_subcommand is None:
        start: Callable[[Invocation], int] = load(DEFAULT)
        ctx.exit(start(ctx.obj))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit status; see `engine.control.exit_codes`.

    Args:
        arguments: What follows the command's name; None takes it from the process.
    """
    try:
        root.main(args=None if arguments is None else list(arguments), prog_name="quarterdeck")
    except QuarterdeckError as error:
        say(f"{error.title}: {error.message}", err=True)
        sys.exit(exit_code_of(error.kind, error.error_code))

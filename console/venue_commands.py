"""The commands `venue …`: the paper venue as a process of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.home import command_line, prepare_home
from console.plain import say, say_json

if TYPE_CHECKING:
    from pathlib import Path

    from console.cli import Invocation

__all__ = ["venue"]

NOT_RUNNING = 3


@click.group()
def venue() -> None:
    """Look after the paper venue."""


@venue.group(invoke_without_command=True)
@click.option("--foreground", is_flag=True, help="Run it here, until Ctrl-C.")
@click.pass_context
def sim(context: click.Context, foreground: bool) -> None:
    """Run the paper venue as a process of its own, so that orders go on working while no engine runs.

    An engine uses it when `paper.process` is true, and starts it by itself then. Without a word more, say whether it
    runs.
    """
    if context.invoked_subcommand is not None:
        return
    invocation: Invocation = context.obj
    home = invocation.home
    if foreground:
        context.exit(_serve(prepare_home(home)))
    context.exit(_say_status(home, as_json=False))


@sim.command()
@click.pass_obj
def start(invocation: Invocation) -> None:
    """Start it in the background, unless it runs."""
    from engine.control.venue_process import ensure_running, find_venue

    home = prepare_home(invocation.home)
    before = find_venue(home)
    pid = ensure_running(home)
    say(f"The paper venue runs already (process {pid})." if before else f"The paper venue runs (process {pid}).")


@sim.command()
@click.option("--wait", type=click.FloatRange(min=0), default=20.0, show_default=True, help="Seconds to wait.")
@click.pass_obj
def stop(invocation: Invocation, wait: float) -> None:
    """End it; working orders stay, and go on working when it, or an engine, opens them again."""
    from engine.control.venue_process import send_stop, wait_until_gone

    owner = send_stop(invocation.home)
    if owner is None:
        say(f"No paper venue runs as a process of its own in {invocation.home}.")
        return
    if not wait_until_gone(invocation.home, wait):
        raise click.ClickException(f"The paper venue (process {owner.pid}) has not ended within {wait:g} s.")
    say(f"The paper venue has ended (process {owner.pid}); its working orders stay.")


@sim.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Say whether it runs; the exit status is 0 if it does, else 3."""
    invocation: Invocation = context.obj
    context.exit(_say_status(invocation.home, as_json=as_json))


def _say_status(home: Path, *, as_json: bool) -> int:
    from engine.control.venue_process import find_venue

    owner = find_venue(home)
    if as_json:
        say_json({"running": owner is not None, "home": str(home), "pid": owner.pid if owner else None}, indent=None)
    elif owner is None:
        say(f"No paper venue runs as a process of its own in {home}.")
        say(f"Start it with `{command_line(home, 'venue sim start')}`, or set paper.process to true.")
    else:
        say(f"The paper venue of {home} runs as process {owner.pid}.")
    return NOT_RUNNING if owner is None else 0


def _serve(home: Path) -> int:
    import asyncio

    from engine.control.venue_process import run

    return asyncio.run(run(home, lambda: say("The paper venue runs; Ctrl-C ends it.")))

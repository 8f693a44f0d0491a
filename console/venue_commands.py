"""The commands `venue …`: the paper venue as a process of its own, and the check of a venue."""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING, Any

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
    """Check a venue, or look after the paper venue."""


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


@venue.command()
@click.argument("name")
@click.option("--trade", is_flag=True, help="Place orders too, each the least that the venue takes.")
@click.option("--typed", default="", help="VENUE/account, to agree to orders without being asked.")
@click.option("--account", default="", help="Account of the venue; its first one if none.")
@click.option("--symbol", default="", help="Instrument, such as BTC/USDT; the first that is watched if none.")
@click.option(
    "--passphrase-fd", type=click.IntRange(min=0), help="Read the key file's passphrase from this descriptor."
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_context
def check(
    context: click.Context,
    name: str,
    trade: bool,
    typed: str,
    account: str,
    symbol: str,
    passphrase_fd: int | None,
    as_json: bool,
) -> None:
    """Check whether venue NAME does what the engine relies on, and write a report that can be shown to anybody.

    NAME is a venue of the settings, or an adapter such as binance. A venue on paper is looked at without a key. The
    report is kept in the home folder; it names no key, no account and no balance. The exit status is 0 if the venue
    passed, else 1.
    """
    invocation: Invocation = context.obj
    context.exit(
        _check(
            prepare_home(invocation.home),
            {"name": name, "trade": trade, "typed": typed, "account": account, "symbol": symbol},
            passphrase_fd,
            as_json=as_json,
        )
    )


def _check(home: Path, asked: dict[str, Any], passphrase_fd: int | None, *, as_json: bool) -> int:
    import asyncio
    import signal

    from msgspec.structs import replace

    from engine.control.venue_check.at_home import Wanted, check_at_home, plan_at_home
    from engine.control.venue_check.report import end_of, line_of, plain_of

    wanted = Wanted(**asked)
    plan = plan_at_home(home, wanted)
    if wanted.trade and not wanted.typed:
        wanted = replace(wanted, typed=_agreed(plan.words, plan.target))
    if plan.account is not None:
        wanted = replace(wanted, passphrase=_passphrase(home, passphrase_fd))

    async def run() -> Any:
        task = asyncio.current_task()
        assert task is not None
        # A service manager's wish to end leaves no order behind either.
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await check_at_home(home, wanted, tell=lambda result: say(line_of(result), err=as_json))

    report, file = asyncio.run(run())
    if as_json:
        say_json(plain_of(report), indent=None)
    else:
        say(f"\n{end_of(report)}")
    say(f"The report is in {file}.", err=True)
    return 0 if report.passed else 1


def _agreed(words: str, target: str) -> str:
    if not sys.stdin.isatty():
        raise click.ClickException(f"Orders have to be agreed to: say --typed {words}, or run it at a terminal.")
    say(
        f"The check will place orders of the least size for {words} at {target}, and cancel or sell all again.",
        err=True,
    )
    return str(click.prompt(f"Type {words} to agree", default="", show_default=False, err=True))


def _passphrase(home: Path, descriptor: int | None) -> str:
    """The passphrase of the encrypted file of keys; empty where there is none, or where it is open already."""
    if descriptor is not None:
        from engine.control.vault import from_descriptor

        return from_descriptor(descriptor)
    from console.keys_commands import perform_named

    before = perform_named(home, "keys.list")
    if not before.has_passphrase or before.state != "locked" or not sys.stdin.isatty():
        return ""
    return getpass.getpass("Passphrase of the key file: ")


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

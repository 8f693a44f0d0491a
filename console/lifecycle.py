"""The commands `status` and `stop`: what is known of a home folder's engine from outside, and how it is ended."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from console.plain import say, say_json

if TYPE_CHECKING:
    from console.cli import Invocation
    from engine.control.lock import LockHolder

__all__ = ["status", "stop"]

NOT_RUNNING = 3


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def status(context: click.Context, as_json: bool) -> None:
    """Say whether an engine runs in this home folder; the exit status is 0 if it does, else 3."""
    invocation: Invocation = context.obj
    holder = _holder(invocation)
    if as_json:
        say_json(_facts(invocation, holder), indent=None)
    elif holder is None:
        say(f"No engine is running in {invocation.home}.")
    elif not holder.pid:
        say(f"An engine in {invocation.home} is just starting or ending.")
    else:
        say(
            f"An engine is running in {invocation.home}: process {holder.pid}, release {holder.release}, "
            f"since {_since(holder):%Y-%m-%d %H:%M:%S} UTC."
        )
    context.exit(NOT_RUNNING if holder is None else 0)


@click.command()
@click.option("--now", is_flag=True, help="End it at once; the next start recovers from the journal.")
@click.option("--wait", type=click.FloatRange(min=0), default=40.0, show_default=True, help="Seconds to wait.")
@click.pass_context
def stop(context: click.Context, now: bool, wait: float) -> None:
    """Stop the engine of this home folder and wait until it has ended."""
    from engine.control.lock import send_stop, wait_until_free

    invocation: Invocation = context.obj
    if _holder(invocation) is None:
        say(f"No engine is running in {invocation.home}.")
        return
    from engine.errors import EngineNotRunningError

    try:
        holder = send_stop(invocation.home, now=now)
    except EngineNotRunningError as error:
        raise click.ClickException(error.message) from error
    if wait_until_free(invocation.home, wait):
        say(f"The engine has stopped (process {holder.pid}).")
        return
    raise click.ClickException(
        f"The engine (process {holder.pid}) has not stopped within {wait:g} s. "
        "Wait longer, or end it at once with `stop --now`."
    )


def _holder(invocation: Invocation) -> LockHolder | None:
    from engine.control.lock import find_holder
    from engine.errors import QuarterdeckError

    try:
        return find_holder(invocation.home)
    except QuarterdeckError as error:
        raise click.ClickException(error.message) from error


def _since(holder: LockHolder) -> datetime:
    return datetime.fromtimestamp(holder.started / 1e9, UTC)


def _facts(invocation: Invocation, holder: LockHolder | None) -> dict[str, object]:
    found: dict[str, object] = {"running": holder is not None, "home": str(invocation.home)}
    if holder is not None and holder.pid:
        found |= {"pid": holder.pid, "release": holder.release, "since": _since(holder).isoformat()}
    return found

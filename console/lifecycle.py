"""The commands `status` and `stop`: how a home folder's engine is seen from outside, and how it is ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from console.plain import say, say_json
from engine.control.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from console.cli import Invocation
    from console.engine_status import Look
    from engine.control.lock import LockHolder

__all__ = ["end", "status", "stop"]

LINE_S = 0.1
"""Seconds that an engine has for the one line of a status bar."""
CLOSING_S = 40.0
"""Seconds that an engine has to cancel and close before it stops; it gives itself 20."""
FORCE_S = 3.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--line", "one_line", is_flag=True, help="Print one short line at once, for a status bar.")
@click.pass_context
def status(context: click.Context, as_json: bool, one_line: bool) -> None:
    """Say how the engine of this home folder is; the exit status is 0 if one runs, else 3."""
    from console.engine_status import facts, line, sentences

    invocation: Invocation = context.obj
    if one_line:
        say(_line(invocation.home, line))
        return
    found = _look(invocation.home)
    if as_json:
        say_json(facts(found), indent=None)
    else:
        for sentence in sentences(found):
            say(sentence)
    context.exit(ExitCode.NO_ENGINE if found.holder is None else 0)


@click.command()
@click.option(
    "--positions",
    type=click.Choice(["leave", "cancel_orders", "close"]),
    default="leave",
    show_default=True,
    help="Leave orders and positions as they are, cancel all orders, or close all positions as well.",
)
@click.option("--now", is_flag=True, help="End it at once; the next start recovers from the journal.")
@click.option("--wait", type=click.FloatRange(min=0), default=40.0, show_default=True, help="Seconds to wait.")
@click.pass_obj
def stop(invocation: Invocation, positions: str, now: bool, wait: float) -> None:
    """Stop the engine of this home folder and wait until it has ended."""
    end(invocation.home, positions, now=now, wait=wait)


def end(home: Path, positions: str = "leave", *, now: bool = False, wait: float = 40.0) -> None:
    """Stop the engine of a home folder, wait until it has ended, and say so.

    Raises:
        ClickException: It did not stop; the message says what to do.
    """
    from engine.control.lock import find_holder, wait_until_free

    if now and positions != "leave":
        raise click.UsageError("--now ends the engine at once; nothing can be cancelled or closed then.")
    holder = find_holder(home)
    if holder is None:
        say(f"No engine is running in {home}.{_stand_down(home)}")
        return
    if now:
        _force(home, holder)
    elif not _asked(home, positions):
        holder = _signal(home)
    if wait_until_free(home, wait):
        say(f"The engine has stopped (process {holder.pid}).")
        return
    raise click.ClickException(
        f"The engine (process {holder.pid}) has not stopped within {wait:g} s. "
        "Wait longer, or end it at once with `stop --now`."
    )


def _stand_down(home: Path) -> str:
    """Keep a watchdog from starting an engine again that has just crashed; returns what there is to say about it."""
    from console.watch import watchdog_pid
    from engine.control.notify import stand_down

    if not watchdog_pid(home):
        return ""
    stand_down(home, 0)
    return " Its watchdog does not start it again."


def _asked(home: Path, positions: str) -> bool:
    """Ask the engine itself; False when it does not answer and nothing but an end was wanted.

    Raises:
        ClickException: It refuses, or it does not answer and was to cancel or close something first.
    """
    import asyncio

    from engine.control.client import open_link
    from engine.errors import EngineNotRunningError, QuarterdeckError

    async def ask() -> Any:
        async with open_link(home) as link:
            async with asyncio.timeout(CLOSING_S):
                return await link.call("engine.stop", {"positions": positions})

    try:
        asyncio.run(ask())
    except EngineNotRunningError as error:
        if error.error_code == "outcome_unknown":
            # It ended before it could answer, which is what was wanted.
            return True
        if positions == "leave":
            return False
        raise click.ClickException(
            f"The engine was not stopped, since it cannot be asked to cancel or close anything: {error.message}"
        ) from error
    except TimeoutError:
        if positions == "leave":
            return False
        raise click.ClickException(
            f"The engine has not answered within {CLOSING_S:g} s; what it has cancelled or closed, `status` and "
            "Portfolio show. It was not stopped."
        ) from None
    except QuarterdeckError as error:
        raise click.ClickException(error.message) from error
    return True


def _signal(home: Path) -> LockHolder:
    from engine.control.lock import send_stop
    from engine.errors import EngineNotRunningError

    try:
        return send_stop(home)
    except EngineNotRunningError as error:
        raise click.ClickException(error.message) from error


def _force(home: Path, holder: LockHolder) -> None:
    """End an engine that may not even take signals any more."""
    import os
    import signal

    from engine.control.lock import send_stop, wait_until_free
    from engine.control.notify import stand_down
    from engine.errors import EngineNotRunningError

    stand_down(home, holder.pid)
    try:
        send_stop(home, now=True)
    except EngineNotRunningError as error:
        raise click.ClickException(error.message) from error
    if not wait_until_free(home, FORCE_S):
        # The journal is durable at every moment; there is nothing left that it could do better by waiting.
        os.kill(holder.pid, signal.SIGKILL)


def _look(home: Path) -> Look:
    from console.engine_status import look
    from engine.errors import QuarterdeckError

    try:
        return look(home)
    except QuarterdeckError as error:
        raise click.ClickException(error.message) from error


def _line(home: Path, line: Any) -> str:
    from console.engine_status import look

    try:
        return str(line(look(home, LINE_S)))
    except Exception as error:
        # A status bar shows what it is given: no trace, no failure, whatever is wrong.
        return f"engine: {type(error).__name__}"

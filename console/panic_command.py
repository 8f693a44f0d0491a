"""The command `panic`: cancel every order and close every position, with the engine or without it.

First the engine is asked; it has two seconds. One that does not answer is killed, when the person agrees or has said
so beforehand, and its work is done from here.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from console.home import command_line
from console.operation_call import fresh_request_id
from console.plain import say, say_json
from engine.control.exit_codes import ExitCode
from engine.errors import (
    AuthenticationError,
    EngineNotRunningError,
    NotFoundError,
    QuarterdeckError,
    ValidationError,
    VersionSkewError,
)

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path

    from console.cli import Invocation
    from engine.control.client import SocketLink

__all__ = ["panic"]

ANSWER_S = 2.0
LOOK_S = 0.25


@click.command()
@click.option(
    "--scope",
    default="all",
    show_default=True,
    help="What: all, venue:OKX, account:main, strategy:grid, bot:trend-1, symbol:OKX:BTC/USDT or symbol:BTC/USDT.",
)
@click.option("--direct", is_flag=True, help="When the engine does not answer, kill it and do its work, unasked.")
@click.option(
    "--without-journal",
    is_flag=True,
    help="When the journal cannot be used, cancel every order and sell every coin of the account at the venue.",
)
@click.option("--reason", default="panic", show_default=True, help="Why, for the record.")
@click.option("--wait", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Seconds to wait for it.")
@click.option("--yes", "agreed", is_flag=True, help="Do not ask; for scripts.")
@click.option("--json", "as_json", is_flag=True, help="Print what became of everything as one JSON object.")
@click.pass_context
def panic(
    context: click.Context,
    scope: str,
    direct: bool,
    without_journal: bool,
    reason: str,
    wait: float,
    agreed: bool,
    as_json: bool,
) -> None:
    """Cancel all orders and close all positions at once, or those of a part of trading; it stays halted.

    The exit status is 0 when nothing of yours is open any more, 1 when something is left, and 3 when there is no engine
    and --direct was not said. What is done is said while it is done.
    """
    invocation: Invocation = context.obj
    home = invocation.home
    if not home.is_dir():
        raise EngineNotRunningError(f"There is no home folder {home}; nothing was done.")
    if not agreed:
        what = "all orders and close all positions" if scope == "all" else f"orders and close positions of {scope}"
        _agree(f"Cancel {what} of {home}?")
    found = _ask_engine(home, scope, reason, wait)
    if found is None:
        if not direct:
            _agree_to_kill(home, agreed=agreed)
        found = _directly(home, scope, reason, wait, without_journal=without_journal)
    _tell(home, scope, found, as_json=as_json)
    context.exit(int(ExitCode.REFUSED if found["left"] else ExitCode.DONE))


def _agree(question: str) -> None:
    if not sys.stdin.isatty():
        raise click.ClickException("There is no terminal to ask on; nothing was done. Say --yes when it shall be done.")
    click.confirm(question, abort=True, err=True)


def _agree_to_kill(home: Path, *, agreed: bool) -> None:
    """Killing is asked for on its own: whoever agreed to a stop did not agree to that.

    Raises:
        EngineNotRunningError: Nobody is there to be asked.
    """
    if agreed or not sys.stdin.isatty():
        raise EngineNotRunningError(
            f"The engine of {home} did not do it. `{command_line(home, 'panic --direct')}` kills it, if there is "
            "one, and cancels and closes without it."
        )
    click.confirm("Kill it, if it runs, and cancel and close without it?", abort=True, err=True)


# --- with the engine -------------------------------------------------------------------------------------------------


def _ask_engine(home: Path, scope: str, reason: str, wait: float) -> dict[str, Any] | None:
    """Let the engine do it; None when it does not answer in time."""
    try:
        return asyncio.run(_by_engine(home, scope, reason, wait))
    except (AuthenticationError, NotFoundError, ValidationError, VersionSkewError):
        # A part that the engine does not know is not stopped by killing it.
        raise
    except EngineNotRunningError as error:
        _say(f"The engine was not reached: {error.message}")
    except TimeoutError:
        _say(f"The engine was not reached: It did not answer within {ANSWER_S:g} s.")
    except QuarterdeckError as error:
        # One whose journal has failed, say, answers well and sends nothing any more.
        _say(f"The engine cannot do it: {error.message}")
    return None


async def _by_engine(home: Path, scope: str, reason: str, wait: float) -> dict[str, Any]:
    from engine.control.client import SocketLink

    link = SocketLink(home, client="command line")
    try:
        async with asyncio.timeout(ANSWER_S):
            await link.open()
            wanted = {"reason": reason} | ({} if scope == "all" else {"scope": scope})
            await link.call("risk.emergency_stop", wanted, request_id=fresh_request_id())
        what = "trading" if scope == "all" else scope
        _say(f"The engine answered: {what} is halted, orders are being cancelled, positions closed.")
        return await _until_done(link, scope, wait)
    finally:
        await link.close()


async def _until_done(link: SocketLink, scope: str, wait: float) -> dict[str, Any]:
    left, done = await _in_time(_under_way(link, scope))
    for _ in range(int(wait / LOOK_S)):
        if done:
            break
        await asyncio.sleep(LOOK_S)
        left, done = await _in_time(_under_way(link, scope))
    return {"by": "engine", "killed": [], "left": left}


async def _in_time(question: Coroutine[Any, Any, tuple[list[str], bool]]) -> tuple[list[str], bool]:
    """The answer of an engine that may hang by now. Raises TimeoutError."""
    async with asyncio.timeout(ANSWER_S):
        return await question


async def _under_way(link: SocketLink, scope: str) -> tuple[list[str], bool]:
    """What is left, and whether nothing more is done about it; across a difference of versions only how many orders."""
    if link.skew:
        status = await link.call("engine.status")
        count = status.values.get("open_orders") or 0
        return [f"{count} open orders"] if count else [f"positions were not looked at: {link.skew}"], not count
    name = await _named(link, scope)
    stops = [stop for stop in (await link.call("risk.overview")).stops if stop.scope.casefold() == name.casefold()]
    if not stops:
        return [f"how far the stop of {scope} is: the engine does not say"], False
    left = [
        f"position of {row.owner_name}: {row.quantity:f} of {row.instrument}: {row.reason}"
        for stop in stops
        for row in stop.unclosable
    ]
    done = all(stop.done for stop in stops)
    if not done:
        counts = (
            f"{sum(s.orders for s in stops)} orders to cancel, {sum(s.positions for s in stops)} positions to close"
        )
        left = [counts, *left, *(problem for stop in stops for problem in stop.problems)]
    return left, done


async def _named(link: SocketLink, scope: str) -> str:
    """A scope as the engine shows it: a bot may be written by its id and is shown by its name."""
    kind, _, name = scope.strip().partition(":")
    if kind != "bot":
        return scope.strip() or "all"
    return next((f"bot:{row.name}" for row in await link.call("bots.list") if row.id == name), f"bot:{name}")


# --- without it ------------------------------------------------------------------------------------------------------


def _directly(home: Path, scope: str, reason: str, wait: float, *, without_journal: bool) -> dict[str, Any]:
    from engine.control.panic import PanicReport, stop_directly

    report = PanicReport()
    try:
        asyncio.run(
            stop_directly(
                home, reason, wait_s=wait, say=_say, report=report, scope=scope, without_journal=without_journal
            )
        )
    except QuarterdeckError as error:
        _say(f"{error.title}: {error.message}")
        _say(_hint(error, without_journal=without_journal))
        report.left.append("not known: it ended by an error")
    return {
        "by": "panic",
        "killed": list(report.killed),
        "epoch": report.epoch,
        "cancelled": report.cancelled,
        "closed": report.closed,
        "left": report.left,
        "foreign": report.foreign,
    }


def _hint(error: QuarterdeckError, *, without_journal: bool) -> str:
    from engine.control.panic import JOURNAL_KINDS

    if error.kind in JOURNAL_KINDS and not without_journal:
        return (
            "Nothing was sent to the venue after that. `panic --direct --without-journal` cancels every order and "
            "sells every coin of the account without the journal; `quarterdeck doctor` looks at the journal."
        )
    return "Look at the venue itself for what is open, then ask again: asking again is harmless."


# --- telling ---------------------------------------------------------------------------------------------------------


def _say(sentence: str) -> None:
    say(sentence, err=True)


def _tell(home: Path, scope: str, found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        say_json(found)
        return
    for name, words in (("cancelled", "Orders cancelled"), ("closed", "Executions of closing orders")):
        rows = found.get(name, [])
        if rows:
            say(f"{words}: {len(rows)}")
            for row in rows:
                say(f"  {row}")
    for row in found.get("foreign", []):
        say(f"Not ours, left alone: {row}")
    if found["left"]:
        say("Still open:")
        for row in found["left"]:
            say(f"  {row}")
    else:
        say("Nothing of yours is open there any more." if scope != "all" else "Nothing of yours is open any more.")
    if found["by"] == "engine" or found["epoch"]:
        part = "" if scope == "all" else f" --scope {scope}"
        what = "Trading" if scope == "all" else scope
        say(f"{what} stays halted until `{command_line(home, f'risk resume{part}')}`.")
    else:
        say("Nothing of this is in the journal: no halt is booked. The next engine that starts finds it at the venue.")

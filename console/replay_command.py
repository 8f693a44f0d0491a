"""The command `replay`: the console on the past, or what was known at a moment as text."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from console.plain import say, say_json
from console.when import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.cli import Invocation
    from engine.control.views_replay import SessionRow

__all__ = ["replay"]

NS = 1_000_000_000
SHOWN = ("engine.status", "portfolio.overview", "portfolio.positions", "portfolio.balances", "bots.list")
"""What `--json` tells of a moment, besides the place and the open orders."""


@click.command()
@click.option("--at", metavar="TIME", help=f"A moment in UTC, such as {EXAMPLES}.")
@click.option("--session", type=click.IntRange(min=1), help="The beginning of a session, by its number in --list.")
@click.option("--fact", type=click.IntRange(min=1), help="A fact of the journal, by its number.")
@click.option("--list", "listing", is_flag=True, help="List the sessions that the journal tells of.")
@click.option("--json", "as_json", is_flag=True, help="Print what was known at that moment as one JSON object.")
@click.pass_context
def replay(
    context: click.Context, at: str | None, session: int | None, fact: int | None, listing: bool, as_json: bool
) -> None:
    """Look at any moment of the past on the console's screens, read-only; without a place, at the last one.

    Nothing is sent anywhere, and an engine of the same home folder goes on undisturbed. What was not recorded is shown
    as not recorded.
    """
    invocation: Invocation = context.obj
    if sum(value is not None for value in (at, session, fact)) > 1:
        raise click.UsageError("Say one place: --at, --session or --fact.")
    where = _place(at, session, fact)
    if listing:
        _list(asyncio.run(_sessions(invocation)), as_json=as_json)
    elif as_json:
        say_json(asyncio.run(_known(invocation, where)))
    else:
        from console.replay_console import replay_console

        context.exit(replay_console(invocation.home, where))


def _place(at: str | None, session: int | None, fact: int | None) -> dict[str, int]:
    if at is not None:
        from console.when import moment
        from engine.control.replay.host import present

        return {"at": moment(at, present())}
    if session is not None:
        return {"session": session}
    return {"seq": fact} if fact is not None else {}


async def _sessions(invocation: Invocation) -> list[SessionRow]:
    from engine.control.replay.host import build_replay

    host = build_replay(invocation.home)
    try:
        await host.player.look()
        return await host.player.sessions()
    finally:
        await host.stop()


async def _known(invocation: Invocation, where: Mapping[str, int]) -> dict[str, Any]:
    import msgspec

    from engine.control.replay.host import build_replay

    host = build_replay(invocation.home)
    try:
        await host.start(**where)
        found = {"replay": host.player.view()}
        for operation in SHOWN:
            found[operation] = await host.service.call(operation)
        found["orders.list"] = await host.service.call("orders.list", {"open": True, "limit": 1000})
    finally:
        await host.stop()
    known: dict[str, Any] = msgspec.to_builtins(found)
    return known


def _list(rows: list[SessionRow], *, as_json: bool) -> None:
    from console.offline_call import table

    if as_json:
        import msgspec

        say_json(msgspec.to_builtins(rows))
        return
    if not rows:
        say("The journal tells of no session yet.")
        return
    table(
        (" session", "begin (UTC)", "end (UTC)", " facts", "release", "end"),
        (
            (
                str(row.number),
                _time(row.begin),
                _time(row.end),
                f"{row.last - row.first + 1:,}",
                row.release,
                "stopped" if row.orderly else "not in order, handed over, or still running",
            )
            for row in rows
        ),
    )


def _time(ns: int) -> str:
    return f"{datetime.fromtimestamp(ns // NS, UTC):%Y-%m-%d %H:%M:%S}"

"""The command `watch`: a topic of the running engine as JSON lines, for as long as somebody reads them."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from console.offline_call import Pair, pairs
from console.plain import say_json

if TYPE_CHECKING:
    from pathlib import Path

    from console.cli import Invocation
    from engine.control.link import Delta

__all__ = ["watch"]

LOOK_S = 0.1
"""How often it is looked whether the engine refused the topic."""


@click.command()
@click.argument("topic")
@click.option("--filter", "filters", type=Pair(), multiple=True, help="A filter of the topic; repeatable.")
@click.option(
    "--since", type=click.IntRange(min=0), metavar="CURSOR", help="Topics of facts: everything after this number."
)
@click.option("--count", type=click.IntRange(min=1), help="End after so many messages.")
@click.pass_obj
def watch(
    invocation: Invocation, topic: str, filters: tuple[tuple[str, str], ...], since: int | None, count: int | None
) -> None:
    """Print the messages of TOPIC, a JSON object a line: topic, seq, snapshot, data.

    A topic of state says the whole anew whenever it differs. A topic of facts begins with what was told lately or, with
    --since, with everything after that number. It goes on in order and without a gap, also when the engine was away in
    between; `seq` is the number to go on from. `quarterdeck api describe` lists the topics with their filters.
    """
    wanted = {name: int(value) if value.isdecimal() else value for name, value in pairs(filters).items()}
    try:
        asyncio.run(_watch(invocation.home, topic, wanted, since, count))
    except (KeyboardInterrupt, BrokenPipeError):
        # Whoever read has had enough; what stands in the pipe's buffer has no reader any more.
        sys.stderr.close()


async def _watch(home: Path, topic: str, filters: dict[str, Any], since: int | None, count: int | None) -> None:
    from console.operation_call import reach

    heard: asyncio.Queue[Delta] = asyncio.Queue()
    async with reach(home) as link:
        watching = link.subscribe(topic, heard.put_nowait, since=since, **filters)
        told = 0
        while count is None or told < count:
            try:
                delta = await asyncio.wait_for(heard.get(), LOOK_S)
            except TimeoutError:
                if watching.refusal is not None:
                    raise watching.refusal from None
                continue
            _print(delta)
            told += 1
        watching.close()


def _print(delta: Delta) -> None:
    from console.reply_text import plain

    line = {"topic": delta.topic, "seq": delta.seq, "snapshot": delta.snapshot, "data": plain(delta.data)}
    say_json(line, indent=None)
    sys.stdout.flush()

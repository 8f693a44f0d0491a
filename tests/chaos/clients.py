"""The clients of a session as a process of their own: they go on over the socket while engines come and go.

A link that breaks is found again; what was not answered is asked again under the same request id, of whatever engine is
there then. Now and then a client's own connection is cut.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from engine.clock import SystemClock
from engine.control import client
from engine.control.client import SocketLink
from engine.errors import QuarterdeckError
from tests.chaos.life import PAUSE_S, TRADERS, enter, measure
from tests.chaos.records import Counts, Notes
from tests.chaos.trader import Trader

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.life import Told
    from tests.chaos.plan import Plan

__all__ = ["trade_outside"]

CUT_AFTER_S = (0.3, 2.0)


def trade_outside(home: Path, plan: Plan, parent: Told) -> None:
    """Trade until killed; nothing is said to the parent."""
    enter(home)
    # Engines live for a second here: whoever waits as long as a person may would never meet one.
    client.PAUSES_S = (0.03,)
    client.WAIT_S = 0.5
    asyncio.run(_trade(home, plan))


async def _trade(home: Path, plan: Plan) -> None:
    counts, notes, clock = Counts(home / "counts"), Notes(home / "asked"), SystemClock()
    links = [await _link(home, number) for number in range(TRADERS)]
    async with asyncio.TaskGroup() as tasks:
        for number, link in enumerate(links):
            chance = random.Random(f"{plan.seed}|outside|{number}")
            trader = Trader(f"{plan.seed}.0.{number}", link, chance, notes, counts, PAUSE_S, outlives=True)
            tasks.create_task(trader.trade(), name=f"trader {number}")
            tasks.create_task(_cut(link, chance), name=f"cut {number}")
        tasks.create_task(measure(lambda: links[0].state == "attached", clock, counts), name="stopwatch")


async def _link(home: Path, number: int) -> SocketLink:
    link = SocketLink(home, client=f"trader {number}")
    while True:
        try:
            await link.open()
        except QuarterdeckError:
            await asyncio.sleep(0.03)
        else:
            return link


async def _cut(link: SocketLink, chance: random.Random) -> None:
    while True:
        await asyncio.sleep(chance.uniform(*CUT_AFTER_S))
        if link._connection is not None:
            link._connection.transport.abort()

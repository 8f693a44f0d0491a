"""The engines of a session in which one is handed over to the next while it trades."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from engine import crash_points
from engine.control.handover.machine import Patience
from engine.control.handover.successor import take_over
from engine.control.host import EngineHost, build_engine
from engine.control.lock import EngineLock
from engine.errors import QuarterdeckError
from tests.chaos.life import LIMITS, PAUSE_S, TRADERS, _meet, enter
from tests.chaos.records import Counts, Notes
from tests.chaos.trader import Trader, unanswered

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from pathlib import Path

    from tests.chaos.plan import Plan

__all__ = ["PATIENCE", "live"]

PATIENCE = Patience(confirming=0.6, taking=0.6, standing=1.5)
"""Short enough for a session of a few seconds."""


def live(home: Path, plan: Plan, number: int, order: str, parent: Connection) -> None:
    """Start an engine (number 0) or take over from the one that runs, and trade until killed or taken over.

    Says `ready` when it trades, `left` when another one has taken over, anything else why it does not trade.
    """
    enter(home)
    if order:
        crash_points.arm(crash_points.killer(order))
    try:
        asyncio.run(_live(home, plan, number, parent))
    except QuarterdeckError as error:
        parent.send(error.message)


async def _live(home: Path, plan: Plan, number: int, parent: Connection) -> None:
    chance = random.Random(f"{plan.seed}|handover|{number}")
    counts, notes = Counts(home / "counts"), Notes(home / "asked")
    host = build_engine(home)
    host.patience = PATIENCE
    weather = _meet(host, plan, chance, counts, Notes(home / "sent"))
    if number == 0:
        host.hold(EngineLock.acquire(home, release=host.release))
        await host.start()
        await host.link().call("risk.set_limits", {"limits": LIMITS})
    else:
        await take_over(host, PATIENCE)
    weather[0].trading = True
    before = unanswered(home / "asked") if number else []
    parent.send("ready")
    counts.add("lives")
    await _trade(host, plan, number, notes, counts, before)
    # Another process has taken over.
    parent.send("left")
    await host.stop()


async def _trade(
    host: EngineHost,
    plan: Plan,
    number: int,
    notes: Notes,
    counts: Counts,
    before: list[tuple[str, str, dict[str, object]]],
) -> None:
    link = host.link()
    traders = [
        Trader(f"{plan.seed}.{number}.{n}", link, random.Random(f"{plan.seed}|{number}|{n}"), notes, counts, PAUSE_S)
        for n in range(TRADERS)
    ]

    async def work(trader: Trader, first: bool) -> None:
        for request, operation, params in before if first else []:
            await trader.ask(operation, params, request)
        await trader.trade()

    tasks = [asyncio.create_task(work(trader, n == 0), name=f"trader {n}") for n, trader in enumerate(traders)]
    over = asyncio.create_task(host.wait_stopped(), name="over")
    await asyncio.wait({over, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in (over, *tasks):
        task.cancel()
    await asyncio.gather(over, *tasks, return_exceptions=True)

"""What happens to a bot's orders is told to its strategy once, whatever happens to the engine meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.bots import changing
from engine.control.memory_copies import facts_after
from engine.model.entries import BotState
from strategies.static.grid import Grid
from tests.bots.events.pen import Pen, both

if TYPE_CHECKING:
    from engine.bots.bot import Bot
    from engine.bots.config import BotConfig
    from engine.model.entries import BotEntry

LADDER = {"lower": 90.0, "upper": 110.0, "levels": 4, "fund": False, "spacing": "arithmetic", "stop_below": 0.0}


async def _ladder(pen: Pen) -> BotEntry:
    """A grid that waits to buy at 95 and 90."""
    pen.library.known["grid"] = Grid
    entry = pen.create("g", "grid", params=LADDER)
    await pen.manager.start(entry)
    pen.book(100, 100.1, 1e4)
    assert pen.shows(entry) == [("buy", 90.0), ("buy", 95.0), ("buy", 100.0)]
    return entry


@pytest.mark.parametrize("down", [False, True], ids=["before the end", "while the engine is down"])
async def test_a_fill_around_a_crash_is_told_once(down: bool) -> None:
    pen = Pen()
    entry = await _ladder(pen)
    pen.crash() if down else None
    pen.book(94.9, 94.95, 1e4)
    None if down else pen.crash()
    held = pen.owned(entry)
    assert held > 0
    await pen.manager.recover()
    assert entry.state is BotState.RUNNING
    memory = pen.live(entry).core.context.memory
    assert sum(interval.held for interval in memory.intervals) == pytest.approx(float(held))
    assert [interval.selling for interval in memory.intervals] == [False, True, True, False]
    pen.book(95.5, 95.6, 1e4)
    assert pen.shows(entry) == [("buy", 90.0), ("sell", 100.0), ("sell", 105.0)]
    # Another crash at once: nothing is told a second time.
    pen.crash()
    await pen.manager.recover()
    memory = pen.live(entry).core.context.memory
    assert sum(interval.held for interval in memory.intervals) == pytest.approx(float(held))


async def test_the_memory_is_booked_with_each_fill_and_not_with_each_quote() -> None:
    pen = Pen()
    entry = await pen.quoting(both)
    pen.book(100, 101)

    def saved() -> int:
        return sum(isinstance(record.event, ev.BotMemorySaved) for record in pen.journal.records)

    before = saved()
    for price in (101, 102, 103):
        pen.book(price, price + 1)
    assert saved() == before
    pen.book(101, 102)
    assert pen.owned(entry) == 1
    assert saved() > before
    last = [record.event for record in pen.journal.records if isinstance(record.event, ev.BotMemorySaved)][-1]
    assert last.memory == entry.memory


async def test_what_happens_while_a_changed_instance_is_built_is_not_lost() -> None:
    pen = Pen()
    entry = await _ladder(pen)
    build = pen.manager.build

    async def slow(entry: BotEntry, config: BotConfig | None = None) -> Bot:
        bot = await build(entry, config)
        pen.book(94.8, 94.9, 1e4)
        return bot

    pen.manager.build = slow  # type: ignore[method-assign]
    config = pen.manager.config(entry)
    more = config.model_copy(update={"params": {**config.params, "exit_slippage": 0.02}})
    await changing.change(pen.manager, entry, more)
    memory = pen.live(entry).core.context.memory
    assert pen.owned(entry) > 0
    assert sum(interval.held for interval in memory.intervals) == pytest.approx(float(pen.owned(entry)))
    pen.book(96, 96.1, 1e4)
    assert pen.shows(entry) == [("buy", 90.0), ("sell", 100.0), ("sell", 105.0)]


async def test_without_a_journal_there_are_no_facts() -> None:
    assert list(await facts_after(None)("bot", 0)) == []  # type: ignore[arg-type]

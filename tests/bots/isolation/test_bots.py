"""Bots whose strategies have processes of their own: they trade, remember, are cut off, and nobody else notices."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine.bots import resources
from engine.bots.isolation.runner import IsolatedRunner
from engine.bots.resources import Measure
from engine.model.entries import BotState
from engine.model.order import OrderType
from engine.strategy.contract import Wish
from tests.bots.house import MINUTE
from tests.bots.isolation.files import until, written
from tests.bots.yard import Beats, Told, Yard

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.model.entries import BotEntry
    from engine.model.signal import Signal

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="limits are the Linux kernel's")

ENTERS = "return Wish.enter(1, 1.0, 'first', stop=95.0) if memory.asked == 1 else None"
LEAKS = "self.held = getattr(self, 'held', [])\nwhile True:\n    self.held.append(b'x' * (16 << 20))"
SPINS = "while True:\n    pass"


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    house = Yard()
    yield house
    await house.manager.let_go()


async def apart(yard: Yard, folder: Path, name: str, decide: str, **more: object) -> BotEntry:
    """A running bot whose strategy has its own process."""
    more = {"memory_mb": 128, "bar_seconds": 30.0, **more}
    file = str(written(folder, decide, name))
    entry = yard.create(name, name, strategy_file=file, isolation="process", **more)
    await yard.manager.start(entry)
    return entry


async def test_its_wishes_are_carried_out_and_what_it_remembers_is_booked_and_taken_up(
    yard: Yard, tmp_path: Path
) -> None:
    entry = await apart(yard, tmp_path, "a", ENTERS)
    before = entry.memory
    yard.minute(100)
    assert not yard.orders(entry), "the answer comes later"
    await until(lambda: bool(yard.orders(entry)) and entry.memory != before)
    yard.deliver()
    yard.minute(100)
    yard.deliver()
    assert yard.owned(entry) == 1
    assert [order.stop_price for order in yard.orders(entry, OrderType.STOP_LOSS)] == [D(95)]
    runner = yard.manager.running[entry.id].runner
    assert isinstance(runner, IsolatedRunner)
    await until(lambda: runner.last_ts == yard.clock.now() - MINUTE)
    pid = runner.pid
    old = yard.manager
    manager = yard.restarted()
    await old.let_go()
    await manager.recover()
    assert entry.state is BotState.RUNNING
    fresh = manager.running[entry.id].runner
    assert isinstance(fresh, IsolatedRunner)
    assert fresh.pid != pid
    yard.minute(100)
    await until(lambda: fresh.last_ts == yard.clock.now() - MINUTE)
    assert yard.owned(entry) == 1, "it remembers that it has been asked before and does not enter again"


async def test_a_leak_and_a_spin_are_cut_off_while_loop_and_other_bots_go_on(yard: Yard, tmp_path: Path) -> None:
    leaks = await apart(yard, tmp_path, "leaks", LEAKS)
    spins = await apart(yard, tmp_path, "spins", SPINS, bar_seconds=1.0)
    other = await yard.started("other")
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    yard.minute(100)
    assert yard.orders(other), "at once, with the others still at it"
    assert [leaks.state, spins.state] == [BotState.RUNNING, BotState.RUNNING]
    turns = await until(lambda: BotState.RUNNING not in (leaks.state, spins.state))
    assert turns > 100, "the loop turned all the while"
    assert leaks.state is spins.state is BotState.ERROR
    assert "more memory than it may have" in leaks.reason
    assert "longer than 1 s" in spins.reason
    assert other.state is BotState.RUNNING
    supervisor = yard.manager.supervisor
    assert supervisor.next_try(leaks.id)
    assert supervisor.next_try(spins.id)
    yard.deliver()
    yard.minute(100)
    assert yard.owned(other) == 1


async def test_a_position_whose_strategy_was_killed_is_looked_after_until_it_is_back(
    yard: Yard, tmp_path: Path
) -> None:
    entry = await apart(yard, tmp_path, "a", ENTERS)
    yard.minute(100)
    await until(lambda: bool(yard.orders(entry)))
    yard.deliver()
    yard.minute(100)
    yard.deliver()
    assert yard.owned(entry) == 1
    runner = yard.manager.running[entry.id].runner
    assert isinstance(runner, IsolatedRunner)
    os.kill(runner.pid, signal.SIGKILL)
    await until(lambda: entry.state is BotState.ERROR)
    assert "was killed" in entry.reason
    assert yard.manager.caretakers.owners == {entry.id}
    assert [order.stop_price for order in yard.orders(entry)] == [D(95)]
    due = yard.manager.supervisor.next_try(entry.id)
    yard.clock.set(due)
    yard.heard = due
    await yard.manager.supervisor.restart_due(due)
    assert entry.state is BotState.RUNNING
    assert yard.manager.caretakers.owners == frozenset()


async def test_its_memory_and_processor_are_measured_and_shown(yard: Yard, tmp_path: Path) -> None:
    entry = await apart(yard, tmp_path, "a", "open('kept', 'wb').write(b'x' * (1 << 20)); return None", storage_mb=2)
    yard.minute(100)
    runner = yard.manager.running[entry.id].runner
    await until(lambda: runner.last_ts == yard.clock.now() - MINUTE)
    await yard.manager.watch.count_files()
    yard.manager.watch.look(yard.clock.now())
    usage = yard.manager.watch.usage(entry.id)
    assert usage is not None
    assert usage.memory_mb is not None
    assert 5 < usage.memory_mb < 500
    assert 1.0 <= usage.storage_mb < 1.1
    assert (usage.memory_limit_mb, usage.storage_limit_mb) == (128, 2)


class Held:
    """A running bot whose strategy's answers wait until the test passes them on."""

    def __init__(self, yard: Yard, entry: BotEntry) -> None:
        runner = yard.manager.running[entry.id].runner
        assert isinstance(runner, IsolatedRunner)
        self.answers: list[list[Signal]] = []
        self._tell, runner.on_answer = runner.on_answer, self.answers.append

    async def come(self, count: int) -> None:
        """Wait for the first answers."""
        await until(lambda: len(self.answers) >= count)

    def tell(self, number: int) -> None:
        """Let the bot hear one of them."""
        self._tell(self.answers[number])


ALWAYS = "return Wish.enter(1, 1.0, 'again', stop=95.0)"


async def test_two_answers_from_before_the_first_entry_enter_once(yard: Yard, tmp_path: Path) -> None:
    entry = await apart(yard, tmp_path, "a", ALWAYS)
    held = Held(yard, entry)
    yard.minute(100)
    yard.minute(100)
    await held.come(2)
    held.tell(0)
    yard.deliver()
    yard.minute(100)
    yard.deliver()
    assert yard.owned(entry) == 1
    held.tell(1)
    assert not yard.orders(entry, OrderType.MARKET), "it was decided while nothing was held"
    assert yard.owned(entry) == 1
    await held.come(3)
    held.tell(2)
    yard.deliver()
    yard.minute(100)
    yard.deliver()
    assert yard.owned(entry) == 2, "decided with the first entry in sight"


async def test_an_answer_after_a_round_trip_enters_nothing_although_it_is_flat_again(
    yard: Yard, tmp_path: Path
) -> None:
    entry = await apart(yard, tmp_path, "a", ALWAYS)
    held = Held(yard, entry)
    yard.minute(100)
    yard.minute(100)
    await held.come(2)
    held.tell(0)
    yard.deliver()
    yard.minute(100, 100, 90, 90)
    yard.deliver()
    assert yard.owned(entry) == 0, "stopped out within the bar"
    held.tell(1)
    assert not yard.orders(entry, OrderType.MARKET)


@pytest.mark.parametrize(("late", "enters"), [(0, True), (MINUTE, True), (MINUTE + 1, False)])
async def test_an_entry_counts_for_one_bar(yard: Yard, tmp_path: Path, late: int, enters: bool) -> None:
    entry = await apart(yard, tmp_path, "a", ALWAYS)
    held = Held(yard, entry)
    yard.minute(100)
    await held.come(1)
    yard.clock.set(yard.clock.now() + late)
    yard.heard = yard.clock.now()
    held.tell(0)
    assert bool(yard.orders(entry, OrderType.MARKET)) is enters


@pytest.mark.parametrize("wish", ["Wish.exit('over')", "Wish.enter(-1, 1.0, 'the other way')"])
async def test_what_ends_a_position_counts_however_late_it_comes(yard: Yard, tmp_path: Path, wish: str) -> None:
    entry = await apart(
        yard, tmp_path, "a", f"return Wish.enter(1, 1.0, 'first', stop=95.0) if memory.asked == 1 else {wish}"
    )
    held = Held(yard, entry)
    yard.minute(100)
    await held.come(1)
    held.tell(0)
    for _ in range(2):
        yard.deliver()
        yard.minute(100)
    yard.deliver()
    assert yard.owned(entry) == 1
    await held.come(3)
    yard.clock.set(yard.clock.now() + 5 * MINUTE)
    yard.heard = yard.clock.now()
    held.tell(2)
    yard.deliver()
    yard.minute(100)
    yard.deliver()
    assert yard.owned(entry) == 0


async def test_files_are_counted_away_from_the_loop_and_belong_to_the_process_that_wrote_them(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await apart(yard, tmp_path, "a", "return None", storage_mb=2)
    threads: list[int] = []

    def counted(folder: str) -> int:
        threads.append(threading.get_ident())
        return 3 << 20

    watch = yard.manager.watch
    monkeypatch.setattr(Measure, "stored", staticmethod(counted))
    watch.look(yard.clock.now())
    assert threads == [], "a look by itself reads no folder"
    await watch.count_files()
    assert len(threads) == 1
    assert threads[0] != threading.get_ident()
    watch.look(yard.clock.now())
    usage = watch.usage(entry.id)
    assert usage is not None
    assert 3.0 <= usage.storage_mb < 3.1
    counting = asyncio.ensure_future(watch.count_files())
    await asyncio.sleep(0)
    yard.manager.detach(entry.id)
    await counting
    watch.look(yard.clock.now())
    assert watch.usage(entry.id) is None


async def test_files_are_counted_with_every_heartbeat(yard: Yard, tmp_path: Path) -> None:
    entry = await apart(yard, tmp_path, "a", "open('kept', 'wb').write(b'x' * (1 << 20)); return None", storage_mb=2)
    yard.minute(100)
    runner = yard.manager.running[entry.id].runner
    await until(lambda: runner.last_ts == yard.clock.now() - MINUTE)
    clock: Any = Beats(yard, 1)
    with pytest.raises(asyncio.CancelledError):
        await yard.manager.supervisor.tend(clock, lambda: True)
    usage = yard.manager.watch.usage(entry.id)
    assert usage is not None
    assert usage.storage_mb >= 1.0


async def test_a_slow_disk_is_not_waited_for_nor_asked_twice(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await apart(yard, tmp_path, "a", "return None", storage_mb=2)
    go_on, asked = threading.Event(), []

    def counted(folder: str) -> int:
        asked.append(folder)
        go_on.wait(30)
        return 1 << 20

    watch = yard.manager.watch
    monkeypatch.setattr(Measure, "stored", staticmethod(counted))
    monkeypatch.setattr(resources, "_COUNTING_S", 0.0)
    await watch.count_files()
    await watch.count_files()
    await until(lambda: bool(asked))
    watch.look(yard.clock.now())
    go_on.set()
    monkeypatch.setattr(resources, "_COUNTING_S", 30.0)
    await watch.count_files()
    assert len(asked) == 1
    watch.look(yard.clock.now())
    usage = watch.usage(entry.id)
    assert usage is not None
    assert usage.storage_mb >= 1.0

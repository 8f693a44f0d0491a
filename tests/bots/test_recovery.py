"""A restart forgets no bot, no level and no position."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine import events as ev
from engine.errors import CapitalManagementError, ConflictError, ExchangeConnectionError
from engine.model.account import TradingMode
from engine.model.entries import BotState
from engine.strategy.contract import Wish
from tests.bots.house import MINUTE, PAPER
from tests.bots.yard import Told, Yard, candle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.candle import Candle
    from engine.model.entries import BotEntry
    from engine.model.ids import InstrumentId, Owner


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.fixture
def slow() -> Yard:
    """Where the venue's answers come when they are delivered."""
    return Yard(slow=True)


# --- restarting ------------------------------------------------------------------------------------------------------


async def test_after_a_restart_bots_run_pause_or_stay_stopped_as_before(yard: Yard) -> None:
    running, paused, stopped = await yard.holding("a"), await yard.started("b", "quiet"), yard.create("c")
    yard.manager.pause(paused)
    before = len(yard.orders(running))
    await yard.restarted().recover()
    assert [yard.state.bots[e.id].state for e in (running, paused, stopped)] == [
        BotState.RUNNING,
        BotState.PAUSED,
        BotState.STOPPED,
    ]
    assert not yard.manager.running[paused.id].entries_allowed
    assert len(yard.orders(running)) == before
    assert yard.manager.running[running.id].memory.stop == D(95)
    Told.wishes.append(Wish.protect("trail", stop=98.0))
    yard.minute(100)
    assert yard.orders(running)[0].stop_price == D(98)


async def test_a_restarted_bot_puts_a_stop_back_that_was_lost_meanwhile(yard: Yard) -> None:
    entry = await yard.holding()
    manager = yard.restarted()
    for order in yard.orders(entry):
        yard.desk.cancel(order.client_id, "by the venue, while nobody looked")
    await manager.recover()
    assert [order.stop_price for order in yard.orders(entry)] == [D(95)]


async def test_a_bot_that_died_before_its_memory_was_kept_keeps_the_level_of_its_stop(yard: Yard) -> None:
    entry = await yard.holding(stop=91.0)
    before = [order.client_id for order in yard.orders(entry)]
    entry.memory = b""
    await yard.restarted().recover()
    assert [(order.client_id, order.stop_price) for order in yard.orders(entry)] == [(before[0], D(91))]


async def test_a_restart_in_the_middle_of_closing_goes_on_closing(slow: Yard) -> None:
    entry = await slow.holding()
    slow.manager.stop(entry, "close")
    slow.effects.clear()
    await slow.restarted().recover()
    for order in slow.orders(entry):
        slow.desk.cancel(order.client_id, "asked for again by the dispatcher")
    for _ in range(3):
        slow.deliver()
        slow.minute(100)
    assert (slow.owned(entry), entry.state) == (D(0), BotState.STOPPED)


async def test_a_restart_in_the_middle_of_a_stop_ends_it(slow: Yard) -> None:
    entry = await slow.holding()
    slow.manager.stop(entry, "cancel_orders")
    slow.effects.clear()
    await slow.restarted().recover()
    for order in slow.orders(entry):
        slow.desk.cancel(order.client_id, "asked for again by the dispatcher")
    slow.deliver()
    assert (slow.owned(entry), entry.state) == (D(1), BotState.STOPPED)


def _moves(yard: Yard, entry: BotEntry, since: int) -> list[str]:
    facts = [record.event for record in yard.journal.records[since:]]
    return [fact.state for fact in facts if isinstance(fact, ev.BotStateChanged) and fact.bot == entry.id]


async def _cut_short(yard: Yard) -> None:
    """A restart that is killed while the first bot asks for its history."""
    usual, asked = yard.history, asyncio.Event()

    async def never(instrument: InstrumentId, timeframe: str, limit: int) -> Sequence[Candle]:
        asked.set()
        await asyncio.Event().wait()
        return []

    yard.history = never
    recovering = asyncio.ensure_future(yard.restarted().recover())
    await asked.wait()
    recovering.cancel()
    await asyncio.gather(recovering, return_exceptions=True)
    yard.history = usual


async def test_a_restart_that_is_cut_short_forgets_neither_who_ran_nor_who_was_paused(yard: Yard) -> None:
    running, paused = await yard.started("a", "quiet"), await yard.started("b", "quiet")
    yard.manager.pause(paused)
    before = len(yard.journal.records)
    for _ in range(2):
        await _cut_short(yard)
    await yard.restarted().recover()
    assert (running.state, paused.state) == (BotState.RUNNING, BotState.PAUSED)
    assert not yard.manager.running[paused.id].entries_allowed
    assert yard.manager.running[running.id].entries_allowed
    assert _moves(yard, paused, before) == [], "it was paused all the time"


async def test_a_stop_goes_on_after_a_restart_that_was_cut_short(slow: Yard) -> None:
    entry = await slow.holding()
    slow.manager.stop(entry, "close")
    slow.effects.clear()
    await _cut_short(slow)
    assert entry.state is BotState.STOPPING
    await slow.restarted().recover()
    for order in slow.orders(entry):
        slow.desk.cancel(order.client_id, "asked for again by the dispatcher")
    for _ in range(3):
        slow.deliver()
        slow.minute(100)
    assert (slow.owned(entry), entry.state) == (D(0), BotState.STOPPED)


async def test_a_bot_whose_history_cannot_be_had_at_the_restart_comes_back_later(yard: Yard) -> None:
    running, paused = await yard.started("a", "quiet"), await yard.started("b", "quiet")
    yard.manager.pause(paused)
    usual = yard.history

    async def away(instrument: InstrumentId, timeframe: str, limit: int) -> Sequence[Candle]:
        raise ExchangeConnectionError("away for a moment")

    yard.history = away
    manager = yard.restarted()
    await manager.recover()
    await manager.retry()
    assert (running.state, paused.state) == (BotState.RECOVERING, BotState.PAUSED)
    with pytest.raises(ConflictError, match="being brought back"):
        manager.resume(paused)
    yard.history = usual
    await manager.retry()
    assert (running.state, paused.state) == (BotState.RUNNING, BotState.PAUSED)
    assert not manager.running[paused.id].entries_allowed


async def test_a_bot_that_is_stopped_before_it_is_back_stays_stopped(yard: Yard) -> None:
    entry = await yard.started("a", "quiet")

    async def away(instrument: InstrumentId, timeframe: str, limit: int) -> Sequence[Candle]:
        raise ExchangeConnectionError("away for a moment")

    usual, yard.history = yard.history, away
    manager = yard.restarted()
    await manager.recover()
    manager.stop(entry)
    yard.history = usual
    await manager.retry()
    assert (entry.state, entry.id in manager.running) == (BotState.STOPPED, False)


async def test_bots_with_autostart_start_with_the_engine(yard: Yard) -> None:
    entry = yard.create(autostart=True)
    await yard.restarted().recover()
    assert entry.state is BotState.RUNNING


async def test_with_real_money_a_bot_starts_with_the_engine_only_where_it_may_enter_by_itself(yard: Yard) -> None:
    entry = yard.create(autostart=True, mode="live")
    told = yard.create("b", "quiet", autostart=True, auto_resume=True, mode="live")
    account = yard.state.accounts[PAPER]
    yard.state.accounts[PAPER] = msgspec.structs.replace(account, mode=TradingMode.LIVE)
    await yard.restarted().recover()
    assert (entry.state, told.state) == (BotState.STOPPED, BotState.RUNNING)


async def test_a_bot_without_the_capital_it_needs_does_not_start_with_the_engine(yard: Yard) -> None:
    poor, rich = yard.create(autostart=True), yard.create("b", "quiet", autostart=True, auto_resume=False)

    def admit(entry: BotEntry) -> None:
        if entry is poor:
            raise CapitalManagementError("It has too little.")

    manager = yard.restarted()
    manager.admit = admit
    await manager.recover()
    assert (poor.state, rich.state) == (BotState.STOPPED, BotState.RUNNING)


async def test_one_bot_that_cannot_come_back_keeps_nobody_else_from_it(yard: Yard) -> None:
    first, second = await yard.started("a"), await yard.started("b", "quiet")
    broken = yard.create("c")
    yard.ledger.record(ev.BotConfigured(bot=broken.id, config=b"{}", capital=D(1)))
    yard.library.known["told"] = RuntimeError("their module")
    await yard.restarted().recover()
    assert (first.state, second.state) == (BotState.ERROR, BotState.RUNNING)
    assert "their module" in first.reason
    assert broken.state is BotState.STOPPED


async def test_after_a_short_absence_indicators_go_on_where_they_were(yard: Yard) -> None:
    entry = await yard.started("a", "quiet")
    yard.minute(101)
    seen = yard.manager.running[entry.id].runner.seen
    manager = yard.restarted()
    yard.minute(102)
    await manager.recover()
    runner = manager.running[entry.id].runner
    assert runner.seen == seen + 1
    assert runner.memory.asked == 1  # type: ignore[attr-defined]


async def test_after_a_long_absence_indicators_begin_anew_and_the_memory_stays(yard: Yard) -> None:
    entry = await yard.started("a", "quiet")
    yard.minute(101)
    asked = yard.manager.running[entry.id].runner.memory.asked  # type: ignore[attr-defined]
    manager = yard.restarted()
    now = yard.clock.now() + 5_000 * MINUTE
    yard.clock.set(now)
    yard.past[:] = [candle(now - n * MINUTE) for n in range(10, 0, -1)]
    await manager.recover()
    runner = manager.running[entry.id].runner
    assert runner.seen <= 10
    assert runner.last_ts == yard.past[-1].ts
    assert runner.memory.asked == asked  # type: ignore[attr-defined]


async def test_other_parameters_keep_the_levels_of_the_position(yard: Yard) -> None:
    entry = await yard.holding()
    yard.manager.stop(entry, "cancel_orders")
    config = yard.manager.config(entry).model_copy(update={"params": {"stop_loss_pct": 0.05}})
    yard.manager.configure(entry, config)
    await yard.manager.start(entry)
    assert [order.stop_price for order in yard.orders(entry)] == [D(95)]
    yard.manager.stop(entry, "cancel_orders")
    other = config.model_copy(update={"strategy": "quiet"})
    yard.manager.configure(entry, other)
    await yard.manager.start(entry)
    assert [order.stop_price for order in yard.orders(entry)] == [D(95)]


def _spoil(yard: Yard, entry: BotEntry, memory: bytes = b"?") -> None:
    yard.ledger.record(ev.BotMemorySaved(bot=entry.id, strategy="told", schema=1, memory=memory, bar_ts=0))


@pytest.mark.parametrize("spoilt", [b"?", msgspec.msgpack.encode({"runner": b"\xc1", "stop": "95"})])
async def test_a_memory_that_cannot_be_read_gives_way_to_its_last_good_copy(yard: Yard, spoilt: bytes) -> None:
    entry = await yard.holding()
    good = entry.memory
    asked = yard.manager.running[entry.id].runner.memory.asked  # type: ignore[attr-defined]
    _spoil(yard, entry, spoilt)

    async def copies(owner: Owner) -> Sequence[bytes]:
        assert owner == entry.id
        return [spoilt, b"", good]

    manager = yard.restarted()
    manager.look_for_copies(copies)
    await manager.recover()
    assert entry.state is BotState.RUNNING
    assert manager.running[entry.id].memory.stop == D(95)
    assert manager.running[entry.id].runner.memory.asked == asked  # type: ignore[attr-defined]


async def test_without_any_good_copy_a_bot_starts_without_a_memory_and_with_its_stop(yard: Yard) -> None:
    entry = await yard.holding()
    yard.manager.stop(entry, "leave")
    _spoil(yard, entry)
    await yard.manager.start(entry)
    assert entry.state is BotState.RUNNING
    assert [order.stop_price for order in yard.orders(entry)] == [D(95)], "a stop that rests tells its level"

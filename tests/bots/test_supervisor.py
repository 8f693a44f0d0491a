"""Failed bots are brought back, not too soon and not too often, and what they hold is looked after meanwhile."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.bots.bot import BotMemory
from engine.bots.supervisor import HOUR_NS
from engine.errors import ExchangeConnectionError
from engine.model.account import Account, TradingMode
from engine.model.entries import BotState
from engine.model.faults import Severity
from engine.model.order import OrderType
from engine.strategy.contract import Wish
from tests.bots.house import MINUTE, PAPER, USDT, VENUE
from tests.bots.yard import Beats, Told, Yard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.candle import Candle
    from engine.model.entries import BotEntry
    from engine.model.ids import InstrumentId

SECOND = 1_000_000_000


@pytest.fixture
def yard() -> Yard:
    return Yard()


def _fail(yard: Yard) -> int:
    """Let the next bar be the end of the bot that is told; returns when."""
    Told.wishes.append(ZeroDivisionError("oh"))
    yard.minute(100)
    return yard.clock.now()


async def _at(yard: Yard, ts: int) -> None:
    """Look after bots at a time; the market was heard just before."""
    yard.clock.set(ts)
    yard.heard = ts
    yard.manager.supervisor.tick(ts)
    await yard.manager.supervisor.restart_due(ts)


def _state(entry: BotEntry) -> BotState:
    return entry.state


def _live(yard: Yard) -> None:
    account = Account(id=PAPER, venue=VENUE, mode=TradingMode.LIVE, base_currency=USDT)
    yard.state.accounts[PAPER] = account


# --- restarting ------------------------------------------------------------------------------------------------------


async def test_a_failed_bot_is_restarted_after_the_delay_and_not_before(yard: Yard) -> None:
    entry = await yard.holding()
    failed = _fail(yard)
    assert _state(entry) is BotState.ERROR
    await _at(yard, failed + 60 * SECOND - 1)
    assert _state(entry) is BotState.ERROR
    await _at(yard, failed + 60 * SECOND)
    assert _state(entry) is BotState.RUNNING
    assert yard.manager.running[entry.id].entries_allowed
    assert [order.stop_price for order in yard.orders(entry)] == [D(95)]


async def test_every_further_try_waits_twice_as_long_until_it_is_given_up(yard: Yard) -> None:
    entry = await yard.started()
    waited = []
    for _ in range(5):
        failed = _fail(yard)
        due = yard.manager.supervisor.next_try(entry.id)
        waited.append((due - failed) // SECOND)
        await _at(yard, due)
        assert _state(entry) is BotState.RUNNING
    assert waited == [60, 120, 240, 480, 960]
    failed = _fail(yard)
    assert yard.manager.supervisor.next_try(entry.id) == 0
    assert yard.manager.supervisor.gave_up(entry.id)
    last = yard.manager.errors.notices[-1]
    assert last.severity is Severity.CRITICAL
    assert "is not restarted any more" in last.text
    await _at(yard, failed + 10 * HOUR_NS)
    assert _state(entry) is BotState.ERROR
    await yard.manager.start(entry)
    assert _state(entry) is BotState.RUNNING
    assert yard.state.restarts == {}, "a person's start begins anew"


async def test_tries_of_more_than_an_hour_ago_count_no_more(yard: Yard) -> None:
    entry = await yard.started()
    for _ in range(5):
        _fail(yard)
        await _at(yard, yard.manager.supervisor.next_try(entry.id))
    first = yard.state.restarts[entry.id].tries[0]
    yard.clock.set(first + HOUR_NS - MINUTE)
    failed = _fail(yard)
    assert failed == first + HOUR_NS
    assert not yard.manager.supervisor.gave_up(entry.id)


async def test_a_restart_that_fails_is_a_failure_too(yard: Yard) -> None:
    entry = await yard.started()
    _fail(yard)

    async def away(instrument: InstrumentId, timeframe: str, limit: int) -> Sequence[Candle]:
        raise ExchangeConnectionError("away for a moment")

    yard.history = away
    due = yard.manager.supervisor.next_try(entry.id)
    await _at(yard, due)
    assert _state(entry) is BotState.ERROR
    assert yard.manager.supervisor.next_try(entry.id) == due + 120 * SECOND
    assert yard.manager.supervisor.tries(entry.id, due) == 1


async def test_the_plan_survives_a_restart_of_the_engine(yard: Yard) -> None:
    entry = await yard.started()
    _fail(yard)
    due = yard.manager.supervisor.next_try(entry.id)
    await yard.restarted().recover()
    assert _state(entry) is BotState.ERROR
    await _at(yard, due)
    assert _state(entry) is BotState.RUNNING


async def test_a_paused_bot_comes_back_paused_and_a_stopped_one_does_not(yard: Yard) -> None:
    paused = await yard.started("a")
    yard.manager.pause(paused)
    _fail(yard)
    await _at(yard, yard.manager.supervisor.next_try(paused.id))
    assert paused.state is BotState.PAUSED
    assert not yard.manager.running[paused.id].entries_allowed
    _fail(yard)
    yard.manager.stop(paused)
    assert yard.state.restarts == {}
    await _at(yard, yard.clock.now() + HOUR_NS)
    assert _state(paused) is BotState.STOPPED


async def test_a_deleted_bot_takes_its_plan_along(yard: Yard) -> None:
    entry = await yard.started()
    _fail(yard)
    yard.manager.delete(entry)
    assert yard.state.restarts == {}


async def test_a_live_bot_enters_nothing_after_its_restart_unless_it_is_told_to(yard: Yard) -> None:
    entry = yard.create(mode="live")
    other = yard.create("b", "quiet", mode="live", auto_resume=True)
    _live(yard)
    for bot in (entry, other):
        await yard.manager.start(bot)
    _fail(yard)
    await _at(yard, yard.manager.supervisor.next_try(entry.id))
    assert _state(entry) is BotState.PAUSED
    assert "until it is resumed" in entry.reason
    yard.manager.resume(entry)
    await yard.restarted().recover()
    assert (entry.state, other.state) == (BotState.PAUSED, BotState.RUNNING)
    yard.manager.resume(entry)
    await yard.restarted().recover(handed_over=True)
    assert _state(entry) is BotState.RUNNING, "a hand-over interrupts nothing"


# --- what is held meanwhile ------------------------------------------------------------------------------------------


async def _crashed(yard: Yard) -> BotEntry:
    """A live bot that holds 1 with a stop at 95, whose engine was killed and is up again."""
    entry = yard.create(mode="live")
    await yard.manager.start(entry)
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    yard.minute(100)
    yard.minute(100)
    _live(yard)
    await yard.restarted().recover()
    return entry


async def test_after_a_crash_exits_go_on_where_entries_do_not(yard: Yard) -> None:
    entry = await _crashed(yard)
    assert _state(entry) is BotState.PAUSED
    Told.wishes.append(Wish.protect("trail", stop=97.0))
    yard.minute(100)
    assert [order.stop_price for order in yard.orders(entry)] == [D(97)]
    Told.wishes.append(Wish.exit("over"))
    yard.minute(100)
    yard.minute(100)
    assert yard.owned(entry) == 0
    Told.wishes.append(Wish.enter(1, 1.0, "again", stop=95.0))
    yard.minute(100)
    assert yard.orders(entry) == []


async def test_a_stop_that_is_lost_while_a_bot_is_down_is_placed_again(yard: Yard) -> None:
    entry = await yard.holding()
    _fail(yard)
    (stop,) = yard.orders(entry)
    yard.desk.cancel(stop.client_id, "by the venue")
    assert [order.stop_price for order in yard.orders(entry)] == [D(95)]
    assert _state(entry) is BotState.ERROR


async def test_an_entry_that_fills_after_the_bot_has_failed_is_protected() -> None:
    slow = Yard(slow=True)
    entry = await slow.started()
    Told.wishes.extend([Wish.enter(1, 1.0, "go", stop=91.0), ZeroDivisionError("oh")])
    slow.minute(100)
    slow.deliver()
    slow.effects.clear()
    slow.minute(100)
    slow.effects[:] = [effect for effect in slow.effects if type(effect).__name__ != "CancelEffect"]
    for _ in range(2):
        slow.deliver()
        slow.minute(100)
    assert slow.owned(entry) == 1
    assert [(order.type, order.stop_price) for order in slow.orders(entry)] == [(OrderType.STOP_LOSS, D(91))]


async def test_after_a_crash_a_bot_that_cannot_come_back_is_protected_all_the_same(yard: Yard) -> None:
    entry = await yard.holding()
    yard.library.known["told"] = RuntimeError("their module")
    manager = yard.restarted()
    for order in yard.orders(entry):
        yard.desk.cancel(order.client_id, "by the venue, while nobody looked")
    await manager.recover()
    assert _state(entry) is BotState.ERROR
    assert [order.stop_price for order in yard.orders(entry)] == [D(95)]
    assert manager.caretakers.owners == {entry.id}
    manager.stop(entry, "leave")
    assert manager.caretakers.owners == frozenset()


async def test_a_protection_that_was_refused_is_tried_again_once_a_minute(yard: Yard) -> None:
    entry = await yard.holding()
    _fail(yard)
    now = yard.clock.now()
    yard.manager.caretakers.tick(now)
    allowed = yard.desk.submit
    yard.desk.submit = lambda *_: (_ for _ in ()).throw(RuntimeError("no"))  # type: ignore[method-assign]
    yard.desk.cancel(yard.orders(entry)[0].client_id, "by the venue")
    assert yard.orders(entry) == []
    yard.desk.submit = allowed  # type: ignore[method-assign]
    yard.manager.caretakers.tick(now + MINUTE - 1)
    assert yard.orders(entry) == []
    yard.manager.caretakers.tick(now + MINUTE)
    assert [order.stop_price for order in yard.orders(entry)] == [D(95)]


# --- hearts and memory -----------------------------------------------------------------------------------------------


async def test_hearts_beat_every_five_seconds_also_between_bars(yard: Yard) -> None:
    entry = await yard.started()
    begun = yard.clock.now()
    beats = []
    for second in range(0, 21):
        await _at(yard, begun + second * SECOND)
        beats.append((yard.manager.heartbeats[entry.id] - begun) // SECOND)
    assert beats[:6] == [0, 0, 0, 0, 0, 5]
    assert beats[-1] == 20


async def test_a_changed_memory_is_saved_every_ten_seconds_and_an_unchanged_one_is_not(yard: Yard) -> None:
    entry = await yard.started()
    yard.minute(100)
    begun = yard.clock.now()
    await _at(yard, begun)

    def saved() -> int:
        return sum(isinstance(record.event, ev.BotMemorySaved) for record in yard.journal.records)

    before = saved()
    await _at(yard, begun + 10 * SECOND)
    assert saved() == before
    yard.manager.running[entry.id].runner.memory.asked = 77  # type: ignore[attr-defined]
    await _at(yard, begun + 20 * SECOND - 1)
    assert saved() == before
    await _at(yard, begun + 20 * SECOND)
    assert saved() == before + 1


async def test_a_failed_bot_can_be_stopped_with_its_position_closed(yard: Yard) -> None:
    entry = await yard.holding()
    _fail(yard)
    assert _state(entry) is BotState.ERROR
    yard.manager.stop(entry, "close", "by hand")
    assert _state(entry) is BotState.STOPPING
    yard.deliver()
    yard.minute(100)
    yard.deliver()
    assert yard.owned(entry) == 0
    assert (_state(entry), entry.reason) == (BotState.STOPPED, "by hand")
    assert yard.orders(entry) == []
    assert yard.manager.caretakers.owners == frozenset()
    assert yard.state.restarts == {}
    assert yard.manager.stopping.policies == {}


async def test_the_closing_of_a_failed_bot_goes_on_after_a_restart(yard: Yard) -> None:
    entry = await yard.holding()
    _fail(yard)
    yard.manager.stop(entry, "close", "by hand")
    assert msgspec.msgpack.decode(entry.memory, type=BotMemory).closing
    manager = yard.restarted()
    await manager.recover()
    for _ in range(2):
        yard.deliver()
        yard.minute(100)
    yard.deliver()
    assert _state(entry) is BotState.STOPPED
    assert yard.orders(entry) == []
    assert yard.owned(entry) == 0


# --- faults of the program -------------------------------------------------------------------------------------------


def _broken(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("a fault of the program")


def _faults(yard: Yard) -> set[tuple[str, int]]:
    return {(group.operation, group.count) for group in yard.manager.errors.groups()}


async def test_a_fault_in_one_care_keeps_no_other_from_its_turn_and_ends_nothing(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = await yard.holding()
    manager = yard.manager
    manager.running[entry.id].runner.memory.asked = 77  # type: ignore[attr-defined]
    monkeypatch.setattr(manager.watch, "look", _broken)
    ticks: list[int] = []
    monkeypatch.setattr(manager.caretakers, "tick", ticks.append)
    clock: Any = Beats(yard, 11)
    with pytest.raises(asyncio.CancelledError):
        await manager.supervisor.tend(clock, lambda: True)
    assert len(ticks) == 11
    assert _faults(yard) == {("measure", 3)}
    assert entry.memory == manager.running[entry.id].save(), "it was saved all the same"
    assert _state(entry) is BotState.RUNNING


@pytest.mark.parametrize("broken", ["save_changed", "caretakers"])
async def test_any_care_may_fail(yard: Yard, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    await yard.started()
    target = yard.manager if broken == "save_changed" else yard.manager.caretakers
    monkeypatch.setattr(target, "save_changed" if broken == "save_changed" else "tick", _broken)
    clock: Any = Beats(yard, 3)
    with pytest.raises(asyncio.CancelledError):
        await yard.manager.supervisor.tend(clock, lambda: True)
    assert _faults(yard) == {("save", 1) if broken == "save_changed" else ("protect", 3)}


async def test_a_fault_while_one_bot_is_restarted_leaves_the_others_their_turn_and_itself_a_next_try(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await yard.started("a"), await yard.started("b")
    _fail(yard)
    _fail(yard)
    assert {first.state, second.state} == {BotState.ERROR}
    manager, attach = yard.manager, yard.manager.attach
    monkeypatch.setattr(manager, "attach", lambda e, bot: _broken() if e is first else attach(e, bot))
    monkeypatch.setattr(manager, "retry", _broken)
    clock: Any = Beats(yard, 61)
    with pytest.raises(asyncio.CancelledError):
        await manager.supervisor.retry(clock, lambda: True)
    assert (_state(first), _state(second)) == (BotState.ERROR, BotState.RUNNING)
    assert "ZeroDivisionError" in first.reason
    assert manager.supervisor.next_try(first.id) > yard.clock.now()
    assert ("restart", 1) in _faults(yard)
    assert any(operation == "bring back" for operation, _ in _faults(yard))
    monkeypatch.undo()
    await _at(yard, manager.supervisor.next_try(first.id))
    assert _state(first) is BotState.RUNNING

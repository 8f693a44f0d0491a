"""Bots live their lives by themselves: one that fails harms nobody, and a restart forgets nothing."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine.bots.config import BotConfig
from engine.errors import (
    CapitalManagementError,
    ConfigurationError,
    ConflictError,
    ExchangeConnectionError,
    InsufficientCapitalError,
    JournalError,
    NotFoundError,
    StrategyError,
    StrategyLoadError,
)
from engine.model.entries import BotState
from engine.model.order import OrderType
from engine.strategy.contract import Wish
from tests.bots.house import MARKET, MINUTE
from tests.bots.yard import Told, Yard, candle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.candle import Candle
    from engine.model.ids import InstrumentId


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.fixture
def slow() -> Yard:
    """Where the venue's answers come when they are delivered."""
    return Yard(slow=True)


# --- creating --------------------------------------------------------------------------------------------------------


def test_a_new_bot_is_stopped_and_found_by_name_and_id(yard: Yard) -> None:
    entry = yard.create("trend one")
    assert (entry.state, entry.capital) == (BotState.STOPPED, D(1000))
    assert yard.manager.find("trend one") is yard.manager.find(entry.id) is entry
    with pytest.raises(NotFoundError, match="the bots are: trend one"):
        yard.manager.find("trend two")


@pytest.mark.parametrize("name", ["A", "a", "manual", "EXTERNAL"])
def test_names_are_unique_and_none_is_an_owner_that_is_no_bot(yard: Yard, name: str) -> None:
    yard.create("a")
    with pytest.raises(ConfigurationError, match="choose another name"):
        yard.create(name)


def test_a_configuration_that_cannot_work_is_refused_at_once(yard: Yard) -> None:
    with pytest.raises(NotFoundError):
        yard.create(strategy="nonsense")
    with pytest.raises(ConfigurationError):
        yard.create(params={"stop_loss_pct": 5})
    with pytest.raises(InsufficientCapitalError):
        yard.create(capital=D(1_000_000))
    config = BotConfig(name="b", strategy="quiet", instrument="SIM:NO/NO", timeframe="1m")
    with pytest.raises(ConfigurationError, match=r"known are SIM:BTC/USDT"):
        yard.manager.create(config)
    yard.free = None
    with pytest.raises(CapitalManagementError):
        yard.create()
    assert yard.state.bots == {}


@pytest.mark.parametrize(
    "wrong", [{"name": "a/b"}, {"name": ""}, {"timeframe": "1 hour"}, {"capital": "0"}, {"colour": "red"}]
)
def test_a_configuration_says_what_is_wrong_with_it(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        BotConfig.model_validate({"name": "a", "strategy": "quiet", "instrument": MARKET, **wrong})


def test_a_stored_configuration_of_another_release_is_an_error_in_words() -> None:
    config = BotConfig(name="a", strategy="quiet", instrument=MARKET)
    assert BotConfig.decode(config.encode()) == config
    with pytest.raises(ConfigurationError, match="cannot be read"):
        BotConfig.decode(b'{"name": 1}')


# --- running ---------------------------------------------------------------------------------------------------------


async def test_a_started_bot_warms_up_decides_on_new_bars_only_and_trades(yard: Yard) -> None:
    entry = await yard.holding()
    assert entry.state is BotState.RUNNING
    assert yard.manager.running[entry.id].last_bar_ts == yard.past[-1].ts
    asked = yard.manager.running[entry.id].runner.memory.asked  # type: ignore[attr-defined]
    assert asked == 2, "history warms up and is not decided on"
    assert yard.manager.heartbeats[entry.id] == yard.clock.now()


async def test_a_bot_cannot_be_started_twice(yard: Yard) -> None:
    entry = await yard.started()
    with pytest.raises(ConflictError, match="already running"):
        await yard.manager.start(entry)


async def test_no_more_run_at_once_than_the_settings_allow_even_when_started_together(yard: Yard) -> None:
    entries = [yard.create(name, "quiet") for name in "abcde"]
    results = await asyncio.gather(*(yard.manager.start(e) for e in entries), return_exceptions=True)
    refused = [result for result in results if result is not None]
    assert len(refused) == 2
    assert all(isinstance(r, ConflictError) and "max_concurrent_strategies" in r.message for r in refused)


@pytest.mark.parametrize(
    "error", [StrategyLoadError("line 3 is wrong"), ZeroDivisionError("their module"), NotFoundError("gone")]
)
async def test_a_bot_that_cannot_start_says_why(yard: Yard, error: Exception) -> None:
    entry = yard.create()
    yard.library.known["told"] = error
    with pytest.raises((StrategyError, NotFoundError)):
        await yard.manager.start(entry)
    assert entry.state is BotState.ERROR
    assert str(error) in entry.reason
    yard.library.known["told"] = Told
    await yard.manager.start(entry)
    assert yard.state.bots[entry.id].state is BotState.RUNNING


async def test_a_history_that_cannot_be_had_keeps_the_bot_from_starting(yard: Yard) -> None:
    async def down(*_: object) -> Sequence[Candle]:
        raise ExchangeConnectionError("The venue cannot be reached.")

    yard.history = down
    entry = yard.create()
    with pytest.raises(ExchangeConnectionError):
        await yard.manager.start(entry)
    assert (entry.state, entry.reason) == (BotState.ERROR, "The venue cannot be reached.")


async def test_capital_lost_meanwhile_does_not_keep_a_bot_from_looking_after_its_position(yard: Yard) -> None:
    entry = await yard.holding()
    yard.free = D(-5000)
    await yard.restarted().recover()
    assert entry.state is BotState.RUNNING
    yard.free = None
    await yard.restarted().recover()
    assert entry.state is BotState.RUNNING


async def test_a_bar_that_closes_while_the_history_is_under_way_is_not_lost(yard: Yard) -> None:
    entry = yard.create()
    yard.hub.series(MARKET, "1m").seed(yard.past)

    async def late(instrument: InstrumentId, timeframe: str, limit: int) -> Sequence[Candle]:
        found = list(yard.past)
        yard.minute(105)
        return found

    yard.history = late
    await yard.manager.start(entry)
    assert yard.manager.running[entry.id].last_bar_ts == yard.past[-1].ts
    assert yard.manager.running[entry.id].runner.seen == len(yard.past)


async def test_bars_of_long_ago_are_taken_in_and_not_acted_upon(yard: Yard) -> None:
    entry = await yard.started()
    opened = yard.clock.now()
    yard.clock.set(opened + 90 * MINUTE)
    yard.heard = yard.clock.now()
    Told.wishes.append(Wish.enter(1, 1.0, "go"))
    yard.hub.on_market(candle(opened), yard.clock.now())
    assert yard.orders(entry) == []
    assert yard.manager.running[entry.id].last_bar_ts == opened
    yard.hub.on_market(candle(opened + 89 * MINUTE), yard.clock.now())
    assert len(yard.orders(entry)) == 1


# --- failing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), StrategyError("no idea"), KeyError("close")])
async def test_a_failing_strategy_ends_its_own_bot_and_keeps_its_stop_at_the_venue(
    yard: Yard, error: Exception
) -> None:
    entry = await yard.holding("a")
    other = await yard.started("b", "quiet")
    Told.wishes.append(error)
    yard.minute(100)
    assert entry.state is BotState.ERROR
    assert "failed" in entry.reason
    assert [order.stop_price for order in yard.orders(entry)] == [D(95)]
    assert other.state is BotState.RUNNING
    yard.minute(100)
    assert yard.manager.running[other.id].last_bar_ts == yard.past[-1].ts
    yard.minute(100, 100, 90, 91)
    assert yard.owned(entry) == 0, "the stop works without its bot"


async def test_a_failing_strategy_takes_its_entries_back(slow: Yard) -> None:
    entry = await slow.started()
    Told.wishes.extend([Wish.enter(1, 1.0, "go"), ZeroDivisionError("oh")])
    slow.minute(100)
    slow.minute(100)
    assert entry.state is BotState.ERROR
    assert [order.cancel_requested for order in slow.orders(entry)] == [True]


async def test_a_memory_that_cannot_be_saved_ends_its_own_bot_alone(yard: Yard) -> None:
    entry, other = await yard.started("a"), await yard.started("b", "quiet")
    runner = yard.manager.running[entry.id].runner
    runner.strategy.decide = lambda *_: None  # type: ignore[method-assign]
    runner.memory.asked = object()  # type: ignore[attr-defined]
    yard.minute(100)
    assert entry.state is BotState.ERROR
    assert other.state is BotState.RUNNING


async def test_a_failed_journal_is_no_fault_of_a_bot(yard: Yard) -> None:
    entry = await yard.started()
    yard.ledger.failed = "The disk is full."
    Told.wishes.append(Wish.enter(1, 1.0, "go"))
    yard.minute(100)
    assert entry.state is BotState.RUNNING
    assert entry.id in yard.manager.running
    with pytest.raises(JournalError):
        yard.manager.pause(entry)


async def test_a_failed_bot_can_be_stopped_and_started_again(yard: Yard) -> None:
    entry = await yard.holding()
    Told.wishes.append(ZeroDivisionError("oh"))
    yard.minute(100)
    yard.manager.stop(entry, "leave")
    assert len(yard.orders(entry)) == 1
    await yard.manager.start(entry)
    Told.wishes.append(ZeroDivisionError("oh"))
    yard.minute(100)
    yard.manager.stop(entry, "cancel_orders")
    assert (entry.state, yard.orders(entry)) == (BotState.STOPPED, [])


# --- pausing and stopping --------------------------------------------------------------------------------------------


async def test_a_paused_bot_takes_its_entries_back_opens_nothing_and_keeps_its_protection(slow: Yard) -> None:
    entry = await slow.started()
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    slow.minute(100)
    slow.manager.pause(entry)
    slow.deliver()
    assert slow.orders(entry) == []
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    slow.minute(100)
    assert slow.orders(entry) == []
    slow.manager.resume(entry)
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    slow.minute(100)
    slow.deliver()
    slow.minute(100)
    slow.deliver()
    slow.manager.pause(entry)
    assert [order.type for order in slow.orders(entry)] == [OrderType.STOP_LOSS]
    Told.wishes.append(Wish.protect("trail", stop=97.0))
    slow.minute(100)
    slow.deliver()
    assert slow.orders(entry)[0].stop_price == D(97)
    Told.wishes.append(Wish.exit("over"))
    slow.minute(100)
    slow.deliver()
    slow.minute(100)
    slow.deliver()
    assert slow.owned(entry) == 0, "exits go on"


async def test_only_what_runs_can_be_paused_resumed_and_stopped(yard: Yard) -> None:
    entry = yard.create()
    for move in (yard.manager.pause, yard.manager.resume, yard.manager.stop):
        with pytest.raises(ConflictError, match="stopped"):
            move(entry)
    with pytest.raises(ConflictError, match="closes nothing"):
        yard.manager.close_position(entry, "why")
    await yard.manager.start(entry)
    with pytest.raises(ConflictError, match="running"):
        yard.manager.resume(entry)


async def test_a_stop_that_leaves_leaves_everything(yard: Yard) -> None:
    entry = await yard.holding()
    yard.manager.stop(entry, "leave", "enough")
    assert (entry.state, entry.reason) == (BotState.STOPPED, "enough")
    assert (yard.owned(entry), len(yard.orders(entry))) == (D(1), 1)
    Told.wishes.append(Wish.exit("over"))
    yard.minute(100)
    assert yard.owned(entry) == 1, "nobody asks it any more"


async def test_a_stop_that_cancels_waits_for_the_cancels(slow: Yard) -> None:
    entry = await slow.holding()
    slow.manager.stop(entry)
    assert slow.state.bots[entry.id].state is BotState.STOPPING
    slow.deliver()
    assert slow.state.bots[entry.id].state is BotState.STOPPED
    assert (slow.owned(entry), slow.orders(entry)) == (D(1), [])
    await slow.manager.start(entry)
    slow.deliver()
    assert [order.stop_price for order in slow.orders(entry)] == [D(95)], "its level was remembered"


async def test_a_stop_that_closes_waits_for_the_position_to_be_gone(slow: Yard) -> None:
    entry = await slow.holding()
    slow.manager.stop(entry, "close")
    slow.deliver()
    assert slow.state.bots[entry.id].state is BotState.STOPPING
    slow.minute(100)
    slow.deliver()
    assert slow.state.bots[entry.id].state is BotState.STOPPED
    assert (slow.owned(entry), slow.orders(entry)) == (D(0), [])
    assert entry.id not in slow.manager.running


async def test_an_entry_that_fills_while_the_bot_is_being_stopped_is_closed_too(slow: Yard) -> None:
    entry = await slow.started()
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    slow.minute(100)
    slow.deliver()
    slow.manager.stop(entry, "close")
    slow.effects.clear()  # the cancel is under way while the entry fills
    slow.minute(100)
    for _ in range(3):
        slow.deliver()
        slow.minute(100)
    assert slow.owned(entry) == 0
    assert entry.state is BotState.STOPPED


async def test_closing_by_hand_leaves_the_bot_running(slow: Yard) -> None:
    entry = await slow.holding()
    slow.manager.close_position(entry, "by hand")
    slow.deliver()
    slow.minute(100)
    slow.deliver()
    assert (slow.owned(entry), entry.state) == (D(0), BotState.RUNNING)


# --- deleting and configuring ----------------------------------------------------------------------------------------


async def test_only_a_stopped_bot_without_a_position_can_be_deleted(yard: Yard) -> None:
    entry = await yard.holding()
    with pytest.raises(ConflictError, match="stop it before"):
        yard.manager.delete(entry)
    yard.manager.stop(entry, "leave")
    with pytest.raises(ConflictError, match="still has a position"):
        yard.manager.delete(entry)
    await yard.manager.start(entry)
    yard.manager.stop(entry, "close")
    yard.minute(100)
    yard.manager.delete(entry)
    assert yard.state.bots == {}
    assert yard.create("a").id != entry.id


async def test_a_configuration_is_replaced_as_a_whole_while_stopped(yard: Yard) -> None:
    entry = await yard.started()
    config = BotConfig(name="a", strategy="quiet", instrument=MARKET, timeframe="5m", capital=D(50_000))
    with pytest.raises(ConflictError):
        yard.manager.configure(entry, config)
    yard.manager.stop(entry)
    with pytest.raises(ConfigurationError, match="keeps its name"):
        yard.manager.configure(entry, config.model_copy(update={"name": "b"}))
    with pytest.raises(InsufficientCapitalError):
        yard.manager.configure(entry, config.model_copy(update={"capital": D(200_000)}))
    yard.manager.configure(entry, config)
    assert yard.manager.config(entry) == config
    assert entry.capital == 50_000


async def test_a_bot_that_holds_something_keeps_its_instrument(yard: Yard) -> None:
    entry = await yard.holding()
    yard.manager.stop(entry, "leave")
    config = yard.manager.config(entry).model_copy(update={"instrument": "SIM:ETH/USDT"})
    with pytest.raises(ConflictError, match="nobody would look after"):
        yard.manager.configure(entry, config)

"""Bots on a universe: members come and go, money is neither doubled nor lost, positions stay protected."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import ConflictError, ExchangeConnectionError
from engine.model.entries import BotState
from engine.model.ids import Owner
from engine.model.universe import MarketFacts, UniverseRule
from engine.strategy.contract import Wish
from tests.bots.yard import Told, Yard

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.bots.manager import BotManager
    from engine.model.entries import BotEntry

SYMBOL = "BTC/USDT"
RULE = {"quote": "USDT", "top": 2, "leave_factor": 1, "leave_after": 1, "refresh_s": 60}


class Markets:
    """What the venue says, as a test wants it."""

    def __init__(self, yard: Yard) -> None:
        self.symbol = yard.instrument.symbol
        self.volume: D | None = D(100)
        self.fails = False
        self.attach(yard.manager)

    def attach(self, manager: BotManager) -> None:
        manager.universes.facts = self._facts

    async def _facts(self, venue: str, rule: UniverseRule) -> Sequence[MarketFacts]:
        if self.fails:
            raise ExchangeConnectionError("nobody answers")
        if self.volume is None:
            return []
        return [MarketFacts(symbol=self.symbol, quote=rule.quote, volume=self.volume, price=D(100))]


@pytest.fixture
def yard() -> Yard:
    return Yard()


@pytest.fixture
def markets(yard: Yard) -> Markets:
    return Markets(yard)


def make(yard: Yard, **more: Any) -> BotEntry:
    quote = yard.instrument.quote
    rule = {**RULE, "quote": quote}
    return yard.create("uni", universe=UniverseRule.model_validate(rule), **more)


def total(yard: Yard) -> D:
    return sum((entry.capital for entry in yard.state.bots.values()), D(0))


async def refresh(yard: Yard, entry: BotEntry) -> None:
    await yard.manager.universes.refresh(entry, yard.clock.now())


async def test_a_member_is_created_and_started_with_a_share_of_the_capital(yard: Yard, markets: Markets) -> None:
    entry = make(yard)
    await yard.manager.start(entry)
    await refresh(yard, entry)
    (member,) = yard.manager.universes.members(entry)
    assert (member.state, member.capital, entry.capital) == (BotState.RUNNING, D(500), D(500))
    assert member.name == f"uni {markets.symbol.replace('/', '-')}"
    assert total(yard) == D(1000)
    assert entry.reason == f"1 member: {markets.symbol}"
    await refresh(yard, entry)
    assert len(yard.manager.universes.members(entry)) == 1


async def test_a_market_that_leaves_is_wound_down_and_its_capital_returns(yard: Yard, markets: Markets) -> None:
    entry = make(yard)
    await yard.manager.start(entry)
    await refresh(yard, entry)
    (member,) = yard.manager.universes.members(entry)
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    yard.minute(100)
    yard.minute(100)
    assert yard.owned(member) == 1

    markets.volume = None
    await refresh(yard, entry)
    assert member.state is BotState.PAUSED
    assert "left the universe" in member.reason
    assert yard.owned(member) == 1, "what it holds stays"
    assert yard.orders(member), "and stays protected"

    Told.wishes.append(Wish.exit("enough"))
    yard.minute(100)
    yard.minute(100)
    assert yard.owned(member) == 0
    await refresh(yard, entry)
    assert member.id not in yard.state.bots
    assert (entry.capital, total(yard)) == (D(1000), D(1000))


async def test_a_market_that_comes_back_goes_on(yard: Yard, markets: Markets) -> None:
    entry = make(yard)
    await yard.manager.start(entry)
    await refresh(yard, entry)
    (member,) = yard.manager.universes.members(entry)
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    yard.minute(100)
    yard.minute(100)
    markets.volume = None
    await refresh(yard, entry)
    markets.volume = D(100)
    await refresh(yard, entry)
    assert yard.manager.universes.members(entry) == [member]
    assert member.state is BotState.RUNNING


async def test_pausing_resuming_and_stopping_reaches_every_member(yard: Yard, markets: Markets) -> None:
    entry = make(yard)
    await yard.manager.start(entry)
    await refresh(yard, entry)
    (member,) = yard.manager.universes.members(entry)
    yard.manager.pause(entry, "a person")
    assert (entry.state, member.state) == (BotState.PAUSED, BotState.PAUSED)
    yard.manager.resume(entry)
    assert (entry.state, member.state) == (BotState.RUNNING, BotState.RUNNING)
    yard.manager.stop(entry, "cancel_orders", "a person")
    assert entry.state is BotState.STOPPED
    assert yard.manager.universes.members(entry) == []
    assert entry.capital == D(1000)
    yard.manager.delete(entry)
    assert entry.id not in yard.state.bots


@pytest.mark.parametrize("why", ["", "a person"])
async def test_resuming_leaves_those_paused_that_it_did_not_pause(yard: Yard, markets: Markets, why: str) -> None:
    entry = make(yard)
    await yard.manager.start(entry)
    await refresh(yard, entry)
    (member,) = yard.manager.universes.members(entry)
    yard.manager.pause(member, "the loss of the day is reached")
    yard.manager.pause(entry, why)
    yard.manager.resume(entry)
    assert (entry.state, member.state) == (BotState.RUNNING, BotState.PAUSED)
    assert member.reason == "the loss of the day is reached"
    yard.manager.resume(member)
    yard.manager.pause(entry, why)
    assert (entry.state, member.state) == (BotState.PAUSED, BotState.PAUSED)
    yard.manager.resume(entry)
    assert (entry.state, member.state) == (BotState.RUNNING, BotState.RUNNING)


async def test_a_universe_with_a_position_is_not_deleted(yard: Yard, markets: Markets) -> None:
    entry = make(yard)
    await yard.manager.start(entry)
    await refresh(yard, entry)
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    yard.minute(100)
    yard.minute(100)
    yard.manager.stop(entry, "leave", "a person")
    with pytest.raises(ConflictError, match="still has"):
        yard.manager.delete(entry)


async def test_a_venue_that_does_not_answer_changes_nothing(yard: Yard, markets: Markets) -> None:
    entry = make(yard)
    await yard.manager.start(entry)
    await refresh(yard, entry)
    markets.fails = True
    await yard.manager.universes._tend(entry, yard.clock.now() + 10**12)
    assert len(yard.manager.universes.members(entry)) == 1
    assert "nobody answers" in yard.manager.universes.problems[entry.id]


async def test_after_a_restart_members_and_universe_go_on(yard: Yard, markets: Markets) -> None:
    entry = make(yard)
    await yard.manager.start(entry)
    await refresh(yard, entry)
    (member,) = yard.manager.universes.members(entry)
    manager = yard.restarted()
    markets.attach(manager)
    await manager.recover()
    assert (entry.state, member.state) == (BotState.RUNNING, BotState.RUNNING)
    assert member.id in manager.running
    assert entry.id not in manager.running
    await refresh(yard, entry)
    assert manager.universes.members(entry) == [member]


async def test_members_do_not_take_the_places_of_other_bots_and_share_a_limit(yard: Yard, markets: Markets) -> None:
    yard.manager = yard.restarted(most=1)
    markets.attach(yard.manager)
    entry = make(yard, risk={"max_total_positions": 1})
    await yard.manager.start(entry)
    await refresh(yard, entry)
    (member,) = yard.manager.universes.members(entry)
    assert member.state is BotState.RUNNING
    assert yard.manager.universes.has_room(member.id)
    bot = yard.manager.running[Owner(member.id)]
    bot.has_room = lambda: False
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    yard.minute(100)
    yard.minute(100)
    assert yard.owned(member) == 0

"""Bots hear of one another what was told to the whole engine."""

from __future__ import annotations

from engine.bots.peers import Peers
from engine.strategy.contract import Wish
from tests.bots.yard import Told, Yard


async def test_a_strategy_finds_the_last_signal_of_every_other_bot_and_not_its_own() -> None:
    yard = Yard()
    one = await yard.started("one")
    two = await yard.started("two", "quiet")
    Told.wishes.append(Wish.enter(1, 0.7, "go", stop=95.0))
    yard.minute(100)
    yard.deliver()
    yard.minute(101)
    (heard,) = yard.manager.running[two.id].runner.strategy.peers
    assert (heard.bot, heard.action, heard.direction, heard.confidence) == ("one", "enter", "buy", 0.7)
    assert heard.instrument == yard.instrument.id
    assert yard.manager.running[one.id].runner.strategy.peers == ()
    peers = yard.manager.peers
    assert isinstance(peers, Peers)
    yard.manager.stop(one, "close")
    yard.deliver()
    yard.minute(101)
    yard.deliver()
    yard.manager.delete(one)
    assert peers.others(two.id) == ()

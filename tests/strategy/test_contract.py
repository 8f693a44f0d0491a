"""The small parts of the contract that strategies are written with."""

from __future__ import annotations

from engine.model.signal import SignalAction, SignalDirection
from engine.strategy.contract import Holding, StrategyMemory, Wish


class Counting(StrategyMemory):
    count: int = 0
    last: str = ""


def test_wishes_say_what_they_mean() -> None:
    assert Wish.enter(1, 0.7, "up", stop=9.0) == Wish(SignalAction.ENTER, SignalDirection.BUY, 0.7, "up", 9.0)
    assert Wish.enter(-1, 0.7, "down", target=8.0).direction is SignalDirection.SELL
    assert Wish.exit("done") == Wish(SignalAction.EXIT, reason="done")
    assert Wish.protect("trail", stop=9.5) == Wish(SignalAction.PROTECT, reason="trail", stop=9.5)


def test_a_memory_forgets_everything_when_reset() -> None:
    memory = Counting(3, "a")
    memory.reset()
    assert memory == Counting()


def test_a_holding_knows_its_side() -> None:
    assert [Holding(quantity).side for quantity in (2.5, 0.0, -0.1)] == [1, 0, -1]

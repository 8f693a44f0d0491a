"""Signal strategies: what columns and rules make of a bar, and what may not be said."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.errors import StrategyError
from engine.model.signal import SignalAction
from engine.strategy.contract import Holding, StrategyMemory, StrategyParams, Wish
from engine.strategy.signals import PositionRules, SignalMemory, SignalStrategy

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit


class Plain(SignalStrategy):
    """A strategy that is only asked."""

    name = "plain_signals"
    entry_tags = ("first", "second")
    exit_tags = ("calm", "storm")
    given = PositionRules()

    def warmup(self, timeframe: str) -> int:
        return 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        return {"entry": (bars.close > bars.open).astype(np.float64)}

    def rules(self) -> PositionRules:
        return self.given


class Asked:
    """A strategy with rules, its memory, and the position that follows its wishes at the very close."""

    def __init__(self, cls: type[Plain] = Plain, **rules: Any) -> None:
        made = type("Made", (cls,), {"given": PositionRules(**rules)})
        self.strategy: SignalStrategy = made(StrategyParams())
        self.memory: Any = self.strategy.Memory()
        self.holding = Holding()

    def at(self, close: float, **columns: float) -> Wish | None:
        row = SimpleNamespace(**({"close": close, "high": close, "low": close, "entry": 0.0} | columns))
        wish = self.strategy.decide(row, self.memory, self.holding)
        if wish and wish.action is SignalAction.ENTER:
            side = 1.0 if wish.direction == "buy" else -1.0
            quantity = self.holding.quantity + side * wish.size
            cost = self.holding.entry_price * self.holding.quantity + close * side * wish.size
            self.holding = Holding(quantity, cost / quantity)
        elif wish and wish.action is SignalAction.EXIT:
            self.holding = Holding()
        return wish


def test_an_entry_carries_its_columns() -> None:
    asked = Asked()
    assert asked.at(100.0) is None
    assert asked.at(100.0, entry=math.nan) is None
    wish = asked.at(100.0, entry=-1.0, confidence=0.7, size=0.5, stop_distance=2.0, target_distance=5.0, entry_tag=1.0)
    assert wish == Wish.enter(-1, 0.7, "second", stop=102.0, target=95.0, size=0.5)


def test_rules_stand_in_where_a_column_names_no_distance() -> None:
    wish = Asked(stop_pct=0.1, target_pct=0.2).at(100.0, entry=1.0, stop_distance=math.nan)
    assert wish == Wish.enter(1, 1.0, "first", stop=90.0, target=120.0)
    assert Asked().at(100.0, entry=1.0) == Wish.enter(1, 1.0, "first")


@pytest.mark.parametrize(
    "columns",
    [
        {"entry": 1.0, "stop_distance": 100.0},
        {"entry": -1.0, "target_distance": 100.0},
        {"entry": 1.0, "size": 0.0},
        {"entry": 1.0, "size": math.nan},
    ],
)
def test_levels_below_zero_and_no_size_enter_nothing(columns: dict[str, float]) -> None:
    assert Asked().at(100.0, **columns) is None


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_each_side_has_its_exit_and_each_exit_its_tag(side: float) -> None:
    own, other = ("exit_long", "exit_short") if side > 0 else ("exit_short", "exit_long")
    asked = Asked()
    asked.at(100.0, entry=side)
    assert asked.at(100.0, **{other: 1.0}) is None
    assert asked.at(100.0, **{own: math.nan}) is None
    assert asked.at(100.0, **{own: 1.0, "exit_tag": 1.0}) == Wish.exit("storm")


def test_a_percentage_trails_from_the_profit_on_that_it_names() -> None:
    asked = Asked(trail_pct=0.01, trail_from_pct=0.05)
    assert asked.at(100.0, entry=1.0) == Wish.enter(1, 1.0, "first")
    assert asked.at(104.0) is None
    assert asked.at(104.0, high=105.0) == Wish.protect("trailing stop", stop=105.0 - 0.01 * 105.0)
    assert asked.at(104.5) is None
    assert asked.at(103.9) == Wish.exit("trailing stop")


def test_the_table_of_returns_moves_the_target_and_takes_what_is_there() -> None:
    asked = Asked(roi=((0, 0.10), (2, 0.05), (4, -0.02)))
    asked.at(100.0, entry=1.0)
    assert asked.at(101.0) == Wish.protect("stepped target", target=100.0 + 0.10 * 100.0)
    assert asked.at(101.0) == Wish.protect("stepped target", target=100.0 + 0.05 * 100.0)
    assert asked.at(101.0) is None
    assert asked.at(99.0) == Wish.exit("stepped target")


def test_a_nearer_target_of_the_entry_stays() -> None:
    asked = Asked(roi=((0, 0.10),), target_pct=0.04)
    asked.at(100.0, entry=-1.0)
    assert asked.at(100.0) is None
    assert asked.at(95.0) == Wish.exit("target")


def test_levels_are_added_on_gains_or_on_losses() -> None:
    gaining, losing = Asked(max_levels=2), Asked(max_levels=2)
    for asked in (gaining, losing):
        asked.at(100.0, entry=1.0, confidence=0.8)
    assert gaining.at(98.0, add_distance=3.0) is None
    assert gaining.at(103.0, add_distance=3.0, size=0.5) == Wish.enter(1, 0.8, "level 2", size=0.5)
    assert gaining.at(120.0, add_distance=3.0) is None
    assert losing.at(98.0, add_distance=-3.0) is None
    assert losing.at(97.0, add_distance=-3.0) == Wish.enter(1, 0.8, "level 2")


class Hooked(Plain):
    """All hooks at once."""

    def custom_stop(self, row: Any, memory: Any, holding: Holding) -> float | None:
        return holding.entry_price if row.close > 110 else None

    def custom_exit(self, row: Any, memory: Any, holding: Holding) -> str:
        return "enough" if row.close > 150 else ""

    def adjust_position(self, row: Any, memory: Any, holding: Holding) -> float:
        return 0.25 if row.close == 130 else 0.0


def test_hooks_say_what_columns_cannot() -> None:
    asked = Asked(Hooked, max_levels=2)
    assert asked.strategy.hooks == ("custom_stop", "custom_exit", "adjust_position")
    assert Asked().strategy.hooks == ()
    asked.at(100.0, entry=1.0)
    assert asked.at(105.0) is None
    assert asked.at(120.0) == Wish.protect("trailing stop", stop=100.0)
    assert asked.at(130.0) == Wish.enter(1, 1.0, "level 2", size=0.25)
    assert asked.at(151.0) == Wish.exit("enough")


def test_a_stop_of_the_bot_is_never_loosened() -> None:
    asked = Asked()
    asked.at(100.0, entry=1.0)
    assert asked.at(100.0, trail_distance=3.0) is None, "the bot has placed one at 98"
    assert asked.at(100.0, trail_distance=1.0) == Wish.protect("trailing stop", stop=99.0)


def test_decide_is_not_overridden_and_the_memory_is_of_its_kind() -> None:
    with pytest.raises(StrategyError, match="overrides decide"):
        type("Own", (Plain,), {"decide": lambda self, row, memory, holding: None})
    with pytest.raises(StrategyError, match="subclass of SignalMemory"):
        type("Own", (Plain,), {"Memory": StrategyMemory})


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"max_levels": 0}, "max_levels"),
        ({"max_bars": -1}, "max_bars"),
        ({"stop_pct": 1.0}, "stop_pct"),
        ({"target_pct": 0.0}, "target_pct"),
        ({"trail_pct": 1.0}, "trail_pct"),
        ({"trail_from_pct": -0.1}, "trail_from_pct"),
        ({"roi": ((5, 0.1), (5, 0.2))}, "ascend"),
        ({"roi": ((0, math.nan),)}, "fractions"),
    ],
)
def test_impossible_rules_are_refused(values: dict[str, Any], word: str) -> None:
    with pytest.raises(StrategyError, match=word):
        PositionRules(**values)


def test_fields_of_a_strategy_s_own_survive_a_new_position() -> None:
    class Memory(SignalMemory):
        seen: int = 0

    memory = Memory(seen=3, bars=7, stop=4.0)
    memory.begin(-1)
    assert memory == Memory(seen=3, side=-1)

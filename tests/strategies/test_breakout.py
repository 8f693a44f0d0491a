"""Breakout keeps the contract and its own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest

from engine.errors import ConfigurationError
from engine.model.candle import Bars
from engine.strategy.toolkit import Toolkit
from strategies.static.breakout import Breakout
from tests.kit.candles import START
from tests.kit.strategy_conformance import StrategyConformance

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

HOUR = 3_600_000_000_000
SMALL: dict[str, object] = {
    "lookback": 12, "swing_bars": 1, "range_bars": 4, "volume_period": 5, "atr_period": 3, "cooldown_bars": 3,
    "buffer_atr": 10.0,
}  # fmt: skip
"""With a buffer that nothing reaches, so that only the count confirms."""


class TestConformance(StrategyConformance):
    strategy = "breakout"
    recorded = "binance_BTCUSDT_1h"
    start = 12_000
    count = 800
    made_up = 600
    values: ClassVar[dict[str, object]] = {
        "tolerance": 0.01, "range_width": 0.08, "range_bars": 5, "volume_factor": 0.9, "touches": 1, "max_bars": 60,
    }  # fmt: skip
    exits: ClassVar[dict[str, dict[str, object]]] = {
        "stop": {"touches": 1, "range_width": 0.2, "volume_factor": 0.5, "trail_atr": 20.0},
        "target": {"touches": 1, "range_width": 0.2, "volume_factor": 0.5, "target_height": 0.5},
        "time limit": {"touches": 1, "range_width": 0.2, "volume_factor": 0.5, "max_bars": 2, "target_height": 10.0},
    }


def market(*closes: float, volume: float = 10.0, loud: tuple[int, ...] = ()) -> Bars:
    """Twenty hours whose highs swing at 101 and lows at 99, then these closes; `loud` ones on five times the volume."""
    quiet = [100.0, 101.0, 100.0, 99.0] * 5
    close = np.array([*quiet, *closes])
    opened = np.concatenate(([100.0], close[:-1]))
    size = np.full(len(close), volume)
    for place in loud:
        size[len(quiet) + place] = 5 * volume
    ts = START + np.arange(len(close), dtype=np.int64) * HOUR
    return Bars("1h", ts, opened, np.maximum(opened, close), np.minimum(opened, close), close, size)


def columns(bars: Bars, **values: object) -> dict[str, FloatArray]:
    return Breakout.build({**SMALL, **values}).columns(bars, Toolkit())


def entries(bars: Bars, **values: object) -> list[float]:
    """Of the bars after the quiet ones."""
    return [float(value) for value in columns(bars, **values)["entry"][20:]]


def test_a_close_beyond_the_level_is_entered_once_it_has_stayed_there() -> None:
    bars = market(100, 101.2, 101.4, 101.5, loud=(1,))
    assert entries(bars) == [0, 0, 1, 0]
    found = columns(bars)
    assert found["level"][22] == 101.0
    # The stop begins one ATR behind the level, the target lies the height of the range, 2, beyond it.
    atr = Toolkit().atr(bars, 3)[22]
    assert found["stop_distance"][22] == pytest.approx(101.4 - 101.0 + atr)
    assert found["target_distance"][22] == pytest.approx(103.0 - 101.4)


def test_a_buffer_of_atr_confirms_at_once() -> None:
    assert entries(market(100, 101.2, 101.4, loud=(1,)), buffer_atr=0.1) == [0, 1, 0]


def test_a_close_beyond_support_is_sold_and_only_where_that_is_allowed() -> None:
    bars = market(100, 98.8, 98.6, loud=(1,))
    assert entries(bars) == [0, 0, -1]
    assert entries(bars, allow_short=False) == [0, 0, 0]
    assert columns(bars)["exit_long"][22] == 1.0


def test_a_breakout_without_volume_is_none() -> None:
    assert entries(market(100, 101.2, 101.4)) == [0, 0, 0]


def test_a_return_inside_cancels_it_and_rests_for_a_while() -> None:
    back = market(100, 101.2, 100.5, 101.3, 101.4, 101.5, 101.6, loud=(1, 3, 4, 5))
    assert entries(back) == [0] * 7
    # Without the rest the second attempt counts.
    assert entries(back, cooldown_bars=0) == [0, 0, 0, 0, 1, 0, 0]


def test_a_range_too_wide_or_too_young_is_not_left_but_wandered_in() -> None:
    bars = market(100, 101.2, 101.4, loud=(1,))
    assert entries(bars, range_width=0.01) == [0, 0, 0]
    wild = market(100, 105, 95, 100, 101.2, 101.4, loud=(4,))
    assert entries(wild)[-2:] == [0, 0]


def test_a_level_that_was_touched_once_is_none() -> None:
    assert entries(market(100, 101.2, 101.4, loud=(1,)), touches=6) == [0, 0, 0]


def test_the_stop_follows_the_price_but_not_at_the_entry() -> None:
    found = columns(market(100, 101.2, 101.4, 101.5, loud=(1,)), trail_atr=0.5)
    trail, stop = found["trail_distance"], found["stop_distance"]
    assert trail[22] == stop[22]
    assert trail[23] == pytest.approx(0.5 * Toolkit().atr(market(100, 101.2, 101.4, 101.5, loud=(1,)), 3)[23])


def test_swings_that_need_more_bars_than_the_lookback_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"lookback \(5\) must be above twice swing_bars \(3\)"):
        Breakout.build({"lookback": 5, "swing_bars": 3})

"""Columns of the built-in strategies: over a year of minutes at once, and live a bar at a time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.strategy.contract import Holding
from engine.strategy.loader import StrategyRegistry
from engine.strategy.runner import StrategyRunner
from tests.bench.table import Row
from tests.kit.candles import walk_bars
from tests.kit.strategy_driver import INSTRUMENT

if TYPE_CHECKING:
    from engine.model.candle import Bars
    from engine.strategy.loader import LoadedStrategy

YEAR = 525_600
LIVE = 2000
BAR_S = 1.0


def run() -> list[Row]:
    """Measure on made-up minutes, for the prices make no difference."""
    bars = walk_bars(1, YEAR, "1m")
    rows = []
    for loaded in StrategyRegistry().all():
        took = min(_at_once(loaded, bars) for _ in range(3))
        rows.append(Row(f"{loaded.name}: columns of a year of 1m bars", f"{took:.2f} s", f"≤ {BAR_S} s", took <= BAR_S))
        rows.append(Row(f"{loaded.name}: one bar live, columns and decision", f"{_live(loaded, bars) * 1e6:.0f} µs"))
    return rows


def _at_once(loaded: LoadedStrategy, bars: Bars) -> float:
    runner = StrategyRunner(loaded.build(), INSTRUMENT, timeframe="1m")
    began = time.perf_counter()
    runner.prepare(bars)
    return time.perf_counter() - began


def _live(loaded: LoadedStrategy, bars: Bars) -> float:
    runner = StrategyRunner(loaded.build(), INSTRUMENT, timeframe="1m")
    runner.warm_up(bars.slice(0, 5000))
    began = time.perf_counter()
    for index in range(5000, 5000 + LIVE):
        runner.on_bars(bars.slice(index, index + 1), Holding())
    return (time.perf_counter() - began) / LIVE

"""A small bench to search on: seeded bars with trends and a strategy that trades them often."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from engine.backtest.instruments import instrument_for
from engine.backtest.search.bench import Bench
from engine.backtest.spec import BacktestSpec
from engine.strategy.loader import StrategyRegistry
from storage.candle_sets import CandleSet
from tests.kit.candles import walk_bars
from tests.kit.workloads import GENEROUS

if TYPE_CHECKING:
    from engine.strategy.loader import LoadedStrategy

__all__ = ["FIXED", "KEY", "make_bench", "reversion"]

KEY = CandleSet.of("binance", "BTC/USDT", "1h")
FIXED: dict[str, Any] = {"confirm": False, "volume_factor": 0.0, "atr_min": 0.0, "atr_max": 1.0}


@cache
def reversion() -> LoadedStrategy:
    return StrategyRegistry().get("mean_reversion")


def make_bench(count: int = 1_200, *, begin: int = 0, deep: bool = False, road: str = "kernel", **others: Any) -> Bench:
    """A bench of so many hourly bars, the range of which begins at `begin`."""
    loaded, bars = reversion(), walk_bars(11, count, "1h")
    params = loaded.build(FIXED).params.model_dump()
    spec = BacktestSpec(
        strategy=loaded.name,
        params=params,
        venue="binance",
        symbol="BTC/USDT",
        timeframe="1h",
        limits=GENEROUS,
        **others,
    )
    return Bench(
        spec=spec,
        source=None,
        source_hash=loaded.source_hash,
        instrument=instrument_for(spec, KEY, bars),
        bars=bars,
        begin=begin,
        deep=deep,
        road=road,
    )

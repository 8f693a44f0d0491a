"""Trend following keeps the contract and its own rules."""

from __future__ import annotations

from typing import ClassVar

from tests.kit.strategy_conformance import StrategyConformance


class TestConformance(StrategyConformance):
    strategy = "trend_following"
    timeframe = "1h"
    recorded = "binance_BTCUSDT_1h"
    start = 8000
    count = 2000
    values: ClassVar[dict[str, object]] = {
        "fast_ma": 5, "slow_ma": 20, "rsi_period": 7, "max_bars": 30, "trail_atr": 3.0, "volume_factor": 0.8,
    }  # fmt: skip
    exits: ClassVar[dict[str, dict[str, object]]] = {
        "trailing stop": {},
        "opposite crossover": {"trail_atr": 20.0, "fast_ma": 5},
        "time limit": {"max_bars": 5, "trail_atr": 10.0},
    }

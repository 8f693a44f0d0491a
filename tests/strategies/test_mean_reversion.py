"""Mean reversion keeps the contract and its own rules."""

from __future__ import annotations

from typing import ClassVar

from tests.kit.strategy_conformance import StrategyConformance


class TestConformance(StrategyConformance):
    strategy = "mean_reversion"
    timeframe = "5m"
    recorded = "okx_BTC-USDT-SWAP_5m"
    start = 20_000
    count = 2000
    values: ClassVar[dict[str, object]] = {
        "lookback_period": 30, "entry_threshold": 1.5, "exit_threshold": 0.0, "confirm_ma": 10, "max_bars": 40,
    }  # fmt: skip
    exits: ClassVar[dict[str, dict[str, object]]] = {
        "back at the mean": {},
        "stop": {"stop_atr": 0.5},
        "target": {"target_atr": 0.2},
        "time limit": {"max_bars": 2},
    }

"""Every strategy of bars runs on recorded candles to the same trades each time (STAT-08)."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from engine.backtest.kernel.road import run_kernel
from engine.backtest.run import run_backtest
from engine.model.watched import beside
from engine.strategy.loader import StrategyRegistry
from tests.backtest.helpers import make_instrument, make_spec
from tests.kit.candles import recorded_bars

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.backtest.run import BacktestResult
    from engine.model.candle import Bars

WATCHED = {"ETH/USDT": "ETHUSDT", "XRP/USDT": "XRPUSDT", "BNB/USDT": "BNBUSDT"}
VALUES: dict[str, dict[str, object]] = {
    "adaptive_momentum": {"watch": ", ".join(WATCHED), "regime_history": 100},
    "breakout": {"tolerance": 0.005, "range_width": 0.04, "volume_factor": 1.2},
    "volatility_breakout": {"watch": "ETH/USDT"},
}
"""Parameters that differ from the defaults, so that the stretch holds enough trades."""
GOLDEN = {
    "adaptive_momentum": (11, "e99ff4a3cb1e"),
    "bollinger_reversion": (38, "33abcd7f4ae5"),
    "breakout": (18, "74e519dc58c2"),
    "macd_cross": (36, "875d8cc02bc8"),
    "mean_reversion": (14, "121a0f697b06"),
    "supertrend": (23, "e5c61ab39591"),
    "trend_following": (4, "6bc798946a76"),
    "turtle": (35, "f5ce850c49ac"),
    "volatility_breakout": (52, "220d92d98b62"),
}
"""Strategy -> how many trades, and the digest of them all."""


def market(shared_data: Path, name: str) -> Bars:
    """Recorded bars with the other markets beside them."""
    hours = name.endswith("1h")
    bars = recorded_bars(shared_data, name, 6000, 2500)
    if not hours:
        return bars
    others = {symbol: recorded_bars(shared_data, f"binance_{text}_1h", 5999, 2501) for symbol, text in WATCHED.items()}
    return beside(bars, others)


def digest(result: BacktestResult) -> str:
    """Of every trade: side, quantity, prices, times, fees and reason."""
    lines = [
        f"{t.side} {t.quantity} {t.entry_price} {t.exit_price} {t.entry_time} {t.exit_time} {t.fees} {t.reason}"
        for t in result.trades
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_the_trades_are_the_same_as_ever_on_every_road(shared_data: Path, name: str) -> None:
    loaded = StrategyRegistry().get(name)
    timeframe = loaded.cls.timeframe if loaded.cls.timeframe in {"1h", "4h"} else "1h"
    bars, values = market(shared_data, f"binance_BTCUSDT_{timeframe}"), VALUES.get(name, {})
    roads: dict[str, Callable[[], BacktestResult]] = {
        "events": lambda: run_backtest(make_spec(timeframe), loaded.build(values), make_instrument(), bars),
        "every bar": lambda: run_backtest(
            make_spec(timeframe, shortcuts=False), loaded.build(values), make_instrument(), bars
        ),
        "kernel": lambda: run_kernel(make_spec(timeframe), loaded.build(values), make_instrument(), bars),
    }
    results = {road: run() for road, run in roads.items()}
    assert {road: (len(result.trades), digest(result)) for road, result in results.items()} == dict.fromkeys(
        roads, GOLDEN[name]
    )


def test_every_strategy_of_bars_has_such_a_run() -> None:
    assert sorted(GOLDEN) == sorted(found.name for found in StrategyRegistry().all() if not found.on_events)

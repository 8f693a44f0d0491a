"""Monte Carlo: 1,000 paths of a year of 1h bars, each way of drawing them, and the very first run with its compilation.

Measured from the run at hand to the sums of the paths; drawing, the strategy's columns, matching, risk and figures are
in. The first run is a process of its own with an empty cache of compiled code, measured from its start.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.backtest.analysis.montecarlo import MonteCarloSettings, run_monte_carlo
from engine.backtest.analysis.rerun import traded
from engine.backtest.instruments import instrument_for
from engine.backtest.run import run_backtest
from engine.backtest.spec import BacktestSpec
from storage.candle_sets import CandleSet
from strategies.static.trend_following import TrendFollowing
from tests.bench.table import Row
from tests.kit.candles import walk_bars

if TYPE_CHECKING:
    from engine.backtest.outcome import BacktestResult
    from engine.model.candle import Bars
    from engine.model.instrument import Instrument
    from engine.strategy.contract import Strategy

BARS = 8_760
PATHS = 1_000
BAR_S, FIRST_BAR_S = 3.0, 8.0
ROUNDS = 3
METHODS = ("prices", "parametric", "noise", "returns", "trades")
_FIRST = "--first"


@dataclass(frozen=True, kw_only=True)
class _Loaded:
    """Stands for a strategy that was loaded."""

    @staticmethod
    def build(params: dict[str, Any]) -> Strategy:
        return TrendFollowing.build(params)


@dataclass(frozen=True, kw_only=True)
class _Prepared:
    """What an analysis reads of a run."""

    spec: BacktestSpec
    instrument: Instrument
    bars: Bars
    history: Bars
    loaded: type[_Loaded] = _Loaded


def _case() -> tuple[Any, BacktestResult]:
    whole = walk_bars(42, BARS + 255, "1h")
    key = CandleSet.of("binance", "BTC/USDT", "1h")
    params = TrendFollowing.build({"volume_factor": 0.5, "position_size_pct": 0.1}).params.model_dump()
    spec = BacktestSpec(strategy="trend_following", venue="binance", symbol="BTC/USDT", timeframe="1h", params=params)
    bars, history = whole.slice(255, len(whole)), whole.slice(0, 255)
    case = _Prepared(spec=spec, instrument=instrument_for(spec, key, bars), bars=bars, history=history)
    result = run_backtest(spec, TrendFollowing.build(params), case.instrument, bars, history=history)
    return case, result


def _run(case: Any, result: BacktestResult, method: str) -> tuple[float, float]:
    """Seconds of the wall clock and of the processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    trader, compiled, words = traded(case)
    assert compiled, words
    settings = MonteCarloSettings.model_validate(
        {"method": method, "iterations": PATHS, "scenarios": ("normal",), "seed": 42}
    )
    found = run_monte_carlo(
        settings, result, case.bars, risk_free_rate=0.02, drawdown_limit=0.15, traded=trader, least_price=1.0
    )
    assert found["scenarios"]["normal"]["metrics"]["total_return"]["known"] == PATHS
    return time.perf_counter() - wall, time.process_time() - cpu


def run() -> list[Row]:
    """Measure."""
    case, result = _case()
    _run(case, result, "prices")
    rows = []
    for method in METHODS:
        measured = [_run(case, result, method) for _ in range(ROUNDS)]
        wall, cpu = (statistics.median(part) for part in zip(*measured, strict=True))
        rows.append(
            Row(
                f"Monte Carlo, {PATHS:,} paths of {BARS:,} 1h bars, {method}",
                f"{wall:.2f} s ({cpu:.2f} s of processors)",
                f"≤ {BAR_S:g} s",
                wall <= BAR_S,
            )
        )
    return [*rows, _first()]


def _first() -> Row:
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.montecarlo", _FIRST],
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
            check=True,
            capture_output=True,
            text=True,
        )
        wall = time.perf_counter() - began
    return Row(
        f"Monte Carlo, {PATHS:,} paths, the very first run with its compilation",
        f"{wall:.1f} s ({done.stdout.strip()} s of processors)",
        f"≤ {FIRST_BAR_S:g} s",
        wall <= FIRST_BAR_S,
    )


if __name__ == "__main__":
    _run(*_case(), "prices")
    sys.stdout.write(f"{time.process_time():.1f}\n")

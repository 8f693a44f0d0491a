"""How fast a backtest walks bars on the event path: a recorded year of minutes, with every shortcut and without any."""

from __future__ import annotations

import statistics
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.backtest.instruments import instrument_for
from engine.backtest.run import run_backtest
from engine.backtest.spec import BacktestSpec
from engine.model.candle import Bars
from engine.strategy.loader import StrategyRegistry
from storage.candle_sets import CandleSet
from tests.bench.table import Row
from tests.kit.candles import walk_bars

if TYPE_CHECKING:
    from typing import Any

    from engine.backtest.run import BacktestResult

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "candles" / "bitfinex_BTCUSD_1m_2016-2018.parquet"
KEY = CandleSet.of("bitfinex", "BTC/USD", "1m")
YEAR = 525_600
FROM, TO = 1_483_228_800 * 10**9, 1_514_764_800 * 10**9
"""2017, UTC."""
BAR = 20_000
ROUNDS = 3
BUSY: dict[str, Any] = {
    "fast_ma": 300, "slow_ma": 900, "trail_atr": 20.0, "max_bars": 0, "volume_factor": 0.0, "rsi_long": 30.0
}  # fmt: skip
"""Parameters with which the strategy holds something much of the time and keeps moving its stop."""


def _bars() -> tuple[Bars, str]:
    """The year and what it is; a made-up one where the recorded candles are not at hand."""
    if not SHARED.is_file():
        return walk_bars(3, YEAR, "1m"), "made-up"
    import pyarrow.parquet as pq

    table = pq.read_table(SHARED)
    ts = table["timestamp"].to_numpy() * 1_000_000
    first, last = np.searchsorted(ts, [FROM, TO])
    columns = [table[name].to_numpy()[first:last] for name in ("open", "high", "low", "close", "volume")]
    return Bars("1m", ts[first:last], *columns), "recorded"


def _spec(*, shortcuts: bool = True, params: dict[str, Any] | None = None) -> BacktestSpec:
    return BacktestSpec(
        strategy="trend_following",
        venue="bitfinex",
        symbol="BTC/USD",
        timeframe="1m",
        capital=Decimal(10_000),
        shortcuts=shortcuts,
        params=params or {},
    )


def _once(spec: BacktestSpec, bars: Bars) -> tuple[float, BacktestResult]:
    """Seconds of a whole run without loading, and its result."""
    strategy = StrategyRegistry().get(spec.strategy).build(spec.params)
    instrument = instrument_for(spec, KEY, bars)
    began = time.perf_counter()
    result = run_backtest(spec, strategy, instrument, bars)
    return time.perf_counter() - began, result


def _same(one: BacktestResult, other: BacktestResult) -> bool:
    return one.trades == other.trades and bool(np.array_equal(one.equity, other.equity))


def run() -> list[Row]:
    """Trend following over a year of minutes, from columns to metrics, as the median of some runs."""
    bars, kind = _bars()
    what = f"event-path backtest, {len(bars):,} {kind} 1m bars"
    runs = [_once(_spec(), bars) for _ in range(ROUNDS)]
    rate = len(bars) / statistics.median(seconds for seconds, _ in runs)
    seconds, whole = _once(_spec(shortcuts=False), bars)
    same = _same(runs[0][1], whole) and all(_same(runs[0][1], result) for _, result in runs)
    busy_s, busy = _once(_spec(params=BUSY), bars)
    held = busy.metrics["exposure"] or 0.0
    return [
        Row(f"{what}, {len(whole.trades):,} trades", f"{rate:,.0f} bars/s", f"≥ {BAR:,}", rate >= BAR),
        Row("  every shortcut switched off", f"{len(bars) / seconds:,.0f} bars/s"),
        Row("  the same trades and equity", "yes" if same else "no", "yes", same),
        Row(f"  holding {held:.0%} of the time", f"{len(bars) / busy_s:,.0f} bars/s"),
    ]

"""The compiled kernel: bars per second of W1 and W2, five years, and a sweep of a hundred parameter pairs (W3).

Loading the bars and compiling are left out, indicators are in; a figure is the median of three. Memory is the peak of
the process beyond what it held before.
"""

from __future__ import annotations

import importlib.util
import resource
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.kernel import Field
from engine.model.candle import Bars
from tests.backtest.helpers import make_instrument
from tests.bench.table import Row
from tests.kit.workloads import Band, Crossing, workload_spec

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.strategy.contract import Strategy

GENERATOR = Path(__file__).resolve().parents[3] / "shared" / "bench" / "gen_data.py"
YEAR = 525_600
ROUNDS = 3
BAR = 30_000_000
"""Five times the fastest peer that was measured on two cores."""
SWEEP_BAR_S = 0.7
SETS: list[dict[str, object]] = [
    {"fast": fast, "slow": slow} for fast in range(5, 51, 5) for slow in range(60, 241, 20)
]


def run() -> list[Row]:
    """Measure."""
    if not GENERATOR.is_file():
        return [Row("compiled kernel", f"no generator at {GENERATOR}", f"≥ {BAR:,} bars/s")]
    year = _bars(YEAR)
    rows: list[Row] = []
    for name, cls in (("W1", Crossing), ("W2", Band)):
        seconds = _median(lambda cls=cls: _field(cls, year).evaluate([{}], workers=1))  # type: ignore[misc]
        rate = YEAR / seconds
        rows.append(Row(f"kernel {name}, a year of 1m bars", f"{rate:,.0f} bars/s", f"≥ {BAR:,}", rate >= BAR))
    rows += _sweep(year)
    rows.append(_five_years(_median(lambda: _field(Crossing, year).evaluate([{}], workers=1))))
    return rows


def _sweep(year: Bars) -> list[Row]:
    before = _peak()
    taken = {}
    for workers in (1, 2):
        began = time.perf_counter()
        found = _field(Crossing, year).evaluate(SETS, workers=workers)
        taken[workers] = time.perf_counter() - began
        assert all(summary.metrics["trades"] for summary in found)
    memory = _peak() - before
    best = min(taken.values())
    measured = f"{best:.2f} s ({taken[1]:.2f} s with one thread)"
    return [
        Row("kernel W3, 100 sets", measured, f"≤ {SWEEP_BAR_S} s", best <= SWEEP_BAR_S),
        Row("kernel W3, memory", f"{memory / 1e6:,.0f} MB", "≤ 1 GB", memory <= 1e9),
    ]


def _five_years(year_s: float) -> Row:
    bars = _bars(5 * YEAR)
    candles = sum(column.nbytes for column in (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume))
    before = _peak()
    seconds = _median(lambda: _field(Crossing, bars).evaluate([{}], workers=1))
    memory, times = _peak() - before + candles, seconds / year_s
    return Row(
        "kernel W1, five years of 1m bars",
        f"{times:.1f} times a year's time, {memory / candles:.1f} times the candles' memory",
        "about 5 times, ≤ 3 times",
        times <= 6.5 and memory <= 3 * candles,
    )


def _field(cls: type[Strategy], bars: Bars) -> Field:
    """Made anew each time, so that no indicator is known from the round before."""
    return Field(workload_spec(cls, "1m"), cls, make_instrument(tick="0.01", lot="0.00001"), bars)


def _median(work: Callable[[], Any]) -> float:
    work()
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def _bars(count: int) -> Bars:
    module_spec = importlib.util.spec_from_file_location("gen_data", GENERATOR)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    frame = module.bars(count)
    ts = frame["timestamp"].to_numpy() * 1_000_000
    columns = (np.ascontiguousarray(frame[name].to_numpy()) for name in ("open", "high", "low", "close", "volume"))
    return Bars("1m", ts, *columns)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

"""Hold the compiled kernel to the event path on every recorded candle file, and say where they differ."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.backtest.instruments import instrument_for
from engine.backtest.spec import BacktestSpec
from engine.strategy.params import parse_params
from storage.candle_sets import CandleSet
from strategies.static.mean_reversion import MeanReversion
from strategies.static.trend_following import TrendFollowing
from tests.kit.candles import recorded_bars
from tests.kit.parity import differences
from tests.kit.workloads import GENEROUS, Band, Crossing

if TYPE_CHECKING:
    from engine.model.candle import Bars
    from engine.strategy.signals import SignalStrategy

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
CASES: tuple[tuple[type[SignalStrategy], dict[str, object], dict[str, Any]], ...] = (
    (TrendFollowing, {}, {}),
    (MeanReversion, {"confirm": False}, {"allow_short": True}),
    (Crossing, {}, {"limits": GENEROUS, "fills": "backtesting_py"}),
    (Band, {}, {"limits": GENEROUS, "fills": "freqtrade"}),
)
"""Strategies with their parameters, and what differs from the usual specification."""


def compare(name: str, bars: Bars) -> bool:
    """One file with every case; prints a line for each."""
    venue = name.partition("_")[0]
    equal = True
    for cls, params, others in CASES:
        spec = BacktestSpec(strategy=cls.name, venue=venue, symbol="BASE/QUOTE", timeframe=bars.timeframe, **others)
        instrument = instrument_for(spec, CandleSet.of(venue, "BASE/QUOTE", bars.timeframe), bars)
        began = time.perf_counter()
        found, event = differences(spec, cls(parse_params(cls, params)), instrument, bars)
        took = time.perf_counter() - began
        equal = equal and not found
        says = "equal" if not found else "DIFFERENT"
        print(f"{name:45} {cls.name:16} {len(bars):9,} bars {len(event.trades):7,} trades {took:7.1f} s  {says}")
        for line in found:
            print(f"    {line}")
        sys.stdout.flush()
    return equal


def main() -> int:
    """0 when both roads agree everywhere."""
    parser = argparse.ArgumentParser(prog="python -m tests.parity", description=__doc__)
    parser.add_argument("names", nargs="*", help="Candle files without their ending; all when none is named.")
    parser.add_argument("--bars", type=int, default=0, help="Only so many bars of each file.")
    asked = parser.parse_args()
    names = asked.names or sorted(path.stem for path in (DATA / "candles").glob("*.parquet"))
    if not names:
        print(f"There are no candle files at {DATA / 'candles'}.")
        return 2
    equal = [compare(name, recorded_bars(DATA, name, 0, asked.bars or None)) for name in names]
    print(f"{sum(equal)} of {len(equal)} files are equal on both roads.")
    return 0 if all(equal) else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Our event path on one workload as a child: `python -m tests.bench.ours W1 [--bars N] [--no-skip] [--every-step]`.

Prints one JSON object: bars, seconds of wall and processor time of one whole run (columns, matching, ledger, risk and
figures; bars are made and a small run is done before), trades, orders, final equity and the run's hash.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.backtest.instruments import instrument_for
from engine.backtest.run import run_backtest
from engine.backtest.spec import data_hash, run_hash
from engine.backtest.walk import Pace
from engine.model.candle import Bars
from storage.candle_sets import CandleSet
from tests.kit import workloads
from tests.kit.workloads import Band, Crossing, workload_spec

if TYPE_CHECKING:
    from engine.strategy.contract import Strategy

__all__ = ["GENERATOR", "YEAR", "generated_bars", "measured"]

GENERATOR = Path(__file__).resolve().parents[3] / "shared" / "bench" / "gen_data.py"
YEAR = 525_600
WARM = 3_000
STRATEGIES: dict[str, type[Strategy]] = {"W1": Crossing, "W2": Band}


def generated_bars(count: int) -> Bars:
    """Seeded one-minute bars of the shared generator."""
    spec = importlib.util.spec_from_file_location("gen_data", GENERATOR)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(GENERATOR)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    frame = module.bars(count)
    ts = frame["timestamp"].to_numpy() * 1_000_000
    return Bars("1m", ts, *(frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")))


def measured(workload: str, count: int, pace: Pace) -> dict[str, Any]:
    """One run."""
    strategy, bars = STRATEGIES[workload], generated_bars(count)
    spec = workload_spec(strategy, "1m", lot=Decimal("0.0001"), price_tick=Decimal("0.01"))
    instrument = instrument_for(spec, CandleSet.of("SIM", "BTC/USDT", "1m"), bars)
    run_backtest(spec, strategy.build({}), instrument, bars.slice(0, WARM), pace=pace)
    built = strategy.build({})
    wall, cpu = time.perf_counter(), time.process_time()
    result = run_backtest(spec, built, instrument, bars, pace=pace)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    source = Path(workloads.__file__).read_text(encoding="utf-8")
    return {
        "workload": workload,
        "pace": pace.value,
        "bars": len(bars),
        "wall_s": wall,
        "cpu_s": cpu,
        "bars_per_cpu_s": len(bars) / cpu,
        "trades": len(result.trades),
        "orders": result.orders,
        "final_equity": float(result.equity[-1]),
        "hash": run_hash(spec, source, data_hash(bars), ""),
    }


def main() -> None:
    """The child."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("workload", choices=sorted(STRATEGIES))
    parser.add_argument("--bars", type=int, default=YEAR)
    parser.add_argument("--no-skip", action="store_true")
    parser.add_argument("--every-step", action="store_true")
    asked = parser.parse_args()
    pace = Pace.EVERY_STEP if asked.every_step else Pace.EVERY_BAR if asked.no_skip else Pace.SKIP
    json.dump(measured(asked.workload, asked.bars, pace), sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()

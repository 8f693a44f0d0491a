"""Sweeps and walk-forward analysis: W3 (a hundred sets on a year of minutes), the defaults' walk, the console's lag.

Each is measured after a first run, which compiles. Memory is this process's peak, candles included.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import subprocess
import sys
import threading
import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.backtest.instruments import instrument_for
from engine.backtest.search.bench import Bench, with_road
from engine.backtest.search.places import cores, place_for
from engine.backtest.search.spec import SweepSpec, WalkForwardSpec
from engine.backtest.search.sweep import run_sweep
from engine.backtest.search.walk_forward import run_walk_forward
from engine.backtest.spec import BacktestSpec
from engine.model.candle import Bars
from engine.strategy.loader import LoadedStrategy, StrategyRegistry
from storage.candle_sets import CandleSet
from storage.candles import CandleStore
from tests.bench.table import Row, workplace
from tests.kit.candles import recorded_bars, walk_bars
from tests.kit.workloads import Crossing, workload_spec

if TYPE_CHECKING:
    from collections.abc import Callable

SHARED = Path(__file__).resolve().parents[3] / "shared"
COMMAND = str(Path(sys.executable).with_name("quarterdeck"))
W3_BARS = 525_600
W3_GRID = {"fast": "5:50:5", "slow": "60:150:10"}
W3_BYTES = 1 << 30
WALK_S = 15.0
LAG_S = float(os.environ.get("QUARTERDECK_TEST_SWEEP_LAG_SECONDS", "120"))
LAG_MS = 20.0


def _silent(*_: Any) -> None:
    return None


def _timed(work: Callable[[], dict[str, Any]]) -> tuple[float, float, dict[str, Any]]:
    """Seconds of the wall and of the processor, and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def w3_rows() -> list[Row]:
    """A hundred pairs of W1 on generated minutes."""
    generator = SHARED / "bench" / "gen_data.py"
    found = importlib.util.spec_from_file_location("gen_data", generator)
    if not generator.is_file() or found is None or found.loader is None:
        return [Row("W3 sweep", f"no generator at {generator}")]
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    frame = module.bars(W3_BARS)
    columns = [frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    bars = Bars("1m", frame["timestamp"].to_numpy() * 1_000_000, *columns)
    loaded = LoadedStrategy(
        name=Crossing.name, version=Crossing.version, kind=Crossing.kind, cls=Crossing, origin="file",
        path=str(Path(__file__)), source_hash="w1", summary="",
    )  # fmt: skip
    spec = workload_spec(Crossing, "1m", params=Crossing.build({}).params.model_dump(), lot=Decimal("0.0001"))
    instrument = instrument_for(spec, CandleSet.of("SIM", "BTC/USDT", "1m"), bars)
    bench = with_road(
        Bench(spec=spec, source=None, source_hash="w1", instrument=instrument, bars=bars, begin=0), loaded, "auto"
    )
    wanted = SweepSpec(run=spec, grid=W3_GRID)

    def work() -> dict[str, Any]:
        with place_for(None, None, "", bench.road) as place:
            return run_sweep(wanted, bench, loaded, place, "w3", _silent, _silent)

    first = _timed(work)[0]
    wall, cpu, result = _timed(work)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    what = f"W3, {result['tried']} pairs of W1 on {len(bars):,} generated 1m bars ({bench.road}, {result['place']})"
    return [
        Row(what, f"{wall:.2f} s ({cpu:.2f} s of processor); the first time {first:.1f} s"),
        Row("  bars per second over all sets", f"{result['tried'] * len(bars) / wall / 1e6:,.0f} M"),
        Row("  peak memory, candles included", f"{peak / 1e9:.2f} GB", "≤ 1 GB", peak <= W3_BYTES),
    ]


def walk_rows() -> list[Row]:
    """Two years of recorded hours, the specification's defaults, 50 sets a window."""
    if not (SHARED / "data").is_dir():
        return [Row("walk-forward", f"no recorded candles at {SHARED / 'data'}")]
    loaded = StrategyRegistry().get("trend_following")
    bars = recorded_bars(SHARED / "data", "binance_BTCUSDT_1h", 0, 2 * 8_760)
    params = loaded.build({}).params.model_dump()
    spec = BacktestSpec(strategy=loaded.name, params=params, venue="binance", symbol="BTC/USDT", timeframe="1h")
    instrument = instrument_for(spec, CandleSet.of("binance", "BTC/USDT", "1h"), bars)
    bench = Bench(
        spec=spec, source=None, source_hash=loaded.source_hash, instrument=instrument, bars=bars, begin=0, deep=True
    )
    bench = with_road(bench, loaded, "auto")
    ranges = {"fast_ma": "5:60", "slow_ma": "40:250", "rsi_long": "50:70", "trail_atr": "1:4"}
    rows: list[Row] = []
    for sampler in ("sobol", "tpe"):
        wanted = WalkForwardSpec(run=spec, ranges=ranges, trials=50, sampler=sampler)

        def work(wanted: WalkForwardSpec = wanted) -> dict[str, Any]:
            with place_for(None, None, "", bench.road) as place:
                return run_walk_forward(wanted, bench, loaded, place, "walk", _silent, _silent)

        if not rows:
            work()
        wall, cpu, result = _timed(work)
        what = f"walk-forward, 2 years of 1h, {result['tried']} windows, 50 sets each by {sampler} ({bench.road})"
        bar = (f"≤ {WALK_S:g} s on 2 cores", wall <= WALK_S) if sampler == "sobol" else ("", None)
        rows.append(Row(what, f"{wall:.1f} s ({cpu:.1f} s of processor) on {cores()} cores", *bar))
    return rows


def lag_rows(home: Path) -> list[Row]:
    """The loop's lag of a console in use while sweeps on the event path keep every core busy."""
    from tests.bench.console import lag_rows as measured

    place = home / "sweeping"
    CandleStore(place / "candles").merge(CandleSet.of("binance", "BTC/USDT", "1h"), walk_bars(7, 8_760, "1h"))
    command = [
        COMMAND, "--home", str(place), "backtest", "sweep", "--strategy", "trend_following", "--venue", "binance",
        "--symbol", "BTC/USDT", "--timeframe", "1h", "--road", "event", "--grid", "fast_ma=5:50:1",
        "--grid", "slow_ma=60:200:2",
    ]  # fmt: skip
    over = threading.Event()

    def sweep() -> None:
        while not over.is_set():
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while child.poll() is None and not over.wait(0.2):
                pass
            child.terminate()
            child.wait()

    worker = threading.Thread(target=sweep)
    worker.start()
    try:
        rows = measured(home, LAG_S)
    finally:
        over.set()
        worker.join()
    p99 = next(float(row.measured.removesuffix(" ms")) for row in rows if row.what == "loop lag p99")
    worst = next(row.measured for row in rows if row.what == "loop lag max")
    what = f"console in use for {LAG_S:g} s while sweeps run on all {cores()} cores: loop lag p99 (max {worst})"
    return [Row(what, f"{p99:.1f} ms", f"≤ {LAG_MS:g} ms", p99 <= LAG_MS)]


def run() -> list[Row]:
    """All rows."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with workplace("search") as home:
        return [*w3_rows(), *walk_rows(), *lag_rows(home)]

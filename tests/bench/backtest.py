"""The event-path backtest: W1 and W2 on a year of one-minute bars, with skipping and visiting every bar; a cold start.

Each run is a process of its own (`tests.bench.ours`) and is measured once: preparing columns, matching, ledger, risk
(profile research) and figures are all in, making the bars is not. Trades and equity are held to a plain loop's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.bench.ours import GENERATOR, YEAR, generated_bars
from tests.bench.table import Row, workplace
from tests.kit.workloads import plain_band, plain_crossing

ROOT = Path(__file__).resolve().parents[2]
CANDLES = GENERATOR.parents[1] / "data" / "candles" / "binance_BTCUSDT_1h.parquet"
SKIPPING, VISITING = {"W1": 148_000, "W2": 148_000}, 30_000
"""Bars per second of processor time: the fastest peer with a class per bar, and what a visit to every bar may take."""
COLD_S = 1.5
COLD_ROUNDS = 3
MARKET = ("--venue", "binance", "--symbol", "BTC/USDT", "--timeframe", "1h")


def run() -> list[Row]:
    """Measure."""
    if not GENERATOR.is_file():
        return [Row("event-path backtest", f"no generator at {GENERATOR}", f"≥ {SKIPPING['W1']:,} bars/s")]
    return [*_workloads(), *_cold_start()]


def _workloads() -> list[Row]:
    rows = []
    bars = generated_bars(YEAR)
    for workload, plain in (("W1", plain_crossing(bars, "0.0001")), ("W2", plain_band(bars, "0.0001", 0.01))):
        skip, visit = _child(workload), _child(workload, "--no-skip")
        trades, equity = plain
        for found, what, bar in (
            (skip, f"event path, {workload}, {YEAR:,} bars, skipping", SKIPPING[workload]),
            (visit, "  visiting every bar (--no-skip)", VISITING),
        ):
            rate = found["bars_per_cpu_s"]
            said = f"{rate:,.0f} bars per CPU second ({found['trades']:,} trades, {found['orders']:,} orders)"
            rows.append(Row(what, said, f"≥ {bar:,}", rate >= bar))
        alike = all(skip[name] == visit[name] for name in ("trades", "orders", "final_equity", "hash"))
        agree = skip["trades"] == len(trades) and abs(skip["final_equity"] - equity) < 1e-6 * max(equity, 1.0)
        rows.append(
            Row("  both the same; trades and equity as a plain loop's", f"{alike}, {agree}", "", alike and agree)
        )
    return rows


def _child(workload: str, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.ours", workload, *options]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def _cold_start() -> list[Row]:
    if not CANDLES.is_file():
        return []
    with workplace("cold") as home:
        told = {**os.environ, "QUARTERDECK_HOME": str(home)}
        program = [sys.executable, "-c", "import sys; from console.cli import main; sys.exit(main())"]
        subprocess.run([*program, "data", "import", str(CANDLES), *MARKET], env=told, check=True, capture_output=True)
        command = [*program, "backtest", "run", "--strategy", "trend_following", *MARKET]
        command += ["--from", "2024-01-01", "--to", "2024-12-31"]
        firsts = sorted(_first_line(command, told) for _ in range(COLD_ROUNDS))
    what = "first result of `backtest run`, a year of 1h bars, cold process"
    return [Row(what, f"{firsts[len(firsts) // 2]:.2f} s", f"≤ {COLD_S} s", firsts[len(firsts) // 2] <= COLD_S)]


def _first_line(command: list[str], told: dict[str, str]) -> float:
    """Seconds until the first line of the result is there."""
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, env=told, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as child:
        assert child.stdout is not None
        child.stdout.readline()
        took = time.perf_counter() - began
        child.stdout.read()
    return took

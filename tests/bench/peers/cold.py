"""From nothing to a first result: `quarterdeck backtest run` on a year of hours in a cold process; others' imports."""

from __future__ import annotations

import csv
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.bench.peers import data
from tests.bench.peers.catalog import PEERS
from tests.bench.peers.install import is_installed
from tests.bench.peers.places import interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["BAR_S", "Cold", "hours", "measure", "table"]

BAR_S = 1.5
HOUR = 60
IMPORTS = {
    "vectorbt": "import vectorbt",
    "raptorbt": "import raptorbt",
    "backtesting": "import backtesting",
    "backtrader": "import backtrader",
    "jesse": "from jesse.research import backtest",
    "freqtrade": "from freqtrade.optimize.backtesting import Backtesting",
    "nautilus": "from nautilus_trader.backtest.engine import BacktestEngine",
}
"""What a program must import before it can run anything."""


class Cold(NamedTuple):
    """One command in processes of its own."""

    what: str
    walls: list[float]
    cpus: list[float]
    trouble: str = ""


def hours(columns: Mapping[str, Any]) -> list[tuple[float, ...]]:
    """Minutes as hours: (time, open, high, low, close, volume)."""
    rows: list[tuple[float, ...]] = []
    for first in range(0, len(columns["ts"]) - HOUR + 1, HOUR):
        part = slice(first, first + HOUR)
        rows.append(
            (
                int(columns["ts"][first]),
                float(columns["open"][first]),
                float(columns["high"][part].max()),
                float(columns["low"][part].min()),
                float(columns["close"][first + HOUR - 1]),
                round(float(columns["volume"][part].sum()), 3),
            )
        )
    return rows


def _timed(what: str, command: Sequence[str], environment: Mapping[str, str], folder: str) -> tuple[float, float, str]:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, env=dict(environment), cwd=folder, check=False, timeout=600
    )
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    last = (done.stderr.strip().splitlines() or ["no word"])[-1]
    return wall, cpu, f"{what}: exit code {done.returncode}: {last}" if done.returncode else ""


def measure(rounds: int) -> list[Cold]:
    """Every command once a round, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: text for name, text in os.environ.items() if not name.startswith("QUARTERDECK_")}
        program = str(Path(sys.executable).with_name("quarterdeck"))
        source = Path(folder) / "hours.csv"
        with source.open("w", newline="", encoding="utf-8") as file:
            lines = csv.writer(file)
            lines.writerow(("timestamp", "open", "high", "low", "close", "volume"))
            lines.writerows(hours(data.read(data.ensure("1y"))))
        where = ["--venue", "binance", "--symbol", "BTC/USDT", "--timeframe", "1h"]
        _, _, trouble = _timed(
            "data import", [program, "--home", folder, "data", "import", str(source), *where], environment, folder
        )
        if trouble:
            return [Cold("quarterdeck backtest run", [], [], trouble)]
        ours = [program, "--home", folder, "backtest", "run", "--strategy", "trend_following", *where]
        # jesse makes folders where it is imported.
        commands: dict[str, list[str]] = {"quarterdeck backtest run, a year of 1h bars, trend_following": ours}
        for peer in PEERS:
            if peer.name in IMPORTS and is_installed(peer):
                statement = IMPORTS[peer.name]
                commands[f"{peer.name}: {statement}"] = [str(interpreter(peer.name)), "-c", statement]
        taken: dict[str, list[tuple[float, float, str]]] = {what: [] for what in commands}
        for _ in range(rounds):
            for what, command in commands.items():
                taken[what].append(_timed(what, command, environment, folder))
    return [
        Cold(what, [w for w, _, _ in runs], [c for _, c, _ in runs], next((t for _, _, t in runs if t), ""))
        for what, runs in taken.items()
    ]


def table(rows: Sequence[Cold]) -> str:
    """As Markdown: medians, and whether ours meets its bar."""
    lines = ["| cold process | seconds | CPU seconds | bar |", "|---|---|---|---|"]
    for number, row in enumerate(rows):
        if row.trouble:
            lines.append(f"| {row.what} | {row.trouble} | | |")
            continue
        wall = statistics.median(row.walls)
        bar = f"≤ {BAR_S} s: {'yes' if wall <= BAR_S else 'no'}" if not number else ""
        lines.append(f"| {row.what} | {wall:.2f} | {statistics.median(row.cpus):.2f} | {bar} |")
    return "\n".join(lines)

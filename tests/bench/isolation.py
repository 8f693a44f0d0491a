"""A strategy in a process of its own: how long a decision takes, and what the loop notices while two others run wild.

One strategy answers at once, one never returns, one takes memory until it gets no more. The lag of the loop is measured
before and while the two are cut off.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import StrategyError
from engine.strategy.contract import Holding
from tests.bench.table import Lag, Row, percentile
from tests.bots.isolation.files import Cell, bars, written

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["run"]

DECISIONS = 500
SPIN = "while True:\n    pass"
LEAK = "self.held = getattr(self, 'held', [])\nwhile True:\n    self.held.append(b'x' * (16 << 20))"


@asynccontextmanager
async def beating(lag: Lag) -> AsyncIterator[None]:
    """Measure meanwhile."""
    beat = asyncio.ensure_future(lag.beat())
    try:
        yield
    finally:
        beat.cancel()


async def _measured(folder: Path) -> list[Row]:
    good = await Cell(written(folder, "return None", "good")).begun()
    times = []
    for number in range(4, DECISIONS + 4):
        began = time.perf_counter()
        good.runner.on_bars(bars(number), Holding())
        await good.answers.get()
        times.append((time.perf_counter() - began) * 1e3)
    wild = [
        await Cell(written(folder, SPIN, "spin"), bar_seconds=2.0).begun(),
        await Cell(written(folder, LEAK, "leak"), memory_mb=256, bar_seconds=20.0).begun(),
    ]
    calm, lag = Lag(), Lag()
    async with beating(calm):
        await asyncio.sleep(2.0)
    began = time.perf_counter()
    async with beating(lag):
        for cell in wild:
            cell.runner.on_bars(bars(4), Holding())
        why = [(await cell.failure).message for cell in wild]
        cut = time.perf_counter() - began
    assert all(isinstance(cell.failure.result(), StrategyError) for cell in wild), why
    good.runner.end()
    for cell in (good, *wild):
        await cell.runner.ended()
    return [
        Row("a bar there and back to a strategy's own process: p50", f"{percentile(times, 50):.2f} ms"),
        Row("a bar there and back: p99", f"{percentile(times, 99):.2f} ms"),
        Row("both cut off, the spinning one allowed 2 s", f"{cut:.2f} s", "2.5 s", cut <= 2.5),
        Row("lag of the loop before", calm.words()),
        Row("lag of the loop while one spins and one leaks", lag.words()),
    ]


def run() -> list[Row]:
    """The rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measured(Path(folder)))

"""Bars for tests: recorded ones out of the shared data, and seeded made-up ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.model.candle import Bars, timeframe_ns

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["join_bars", "recorded_bars", "walk_bars"]

START = 1_700_006_400 * 1_000_000_000
"""2023-11-15 00:00 UTC in nanoseconds: the beginning of a day."""


def recorded_bars(shared_data: Path, name: str, start: int = 0, count: int | None = None) -> Bars:
    """Bars `start` to `start + count` of a candle file such as `binance_BTCUSDT_1h`."""
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "candles" / f"{name}.parquet")
    stop = None if count is None else start + count
    timeframe = next(part for part in name.split("_")[2:] if part[0].isdigit())
    columns = [table[field].to_numpy()[start:stop] for field in ("open", "high", "low", "close", "volume")]
    return Bars(timeframe, table["timestamp"].to_numpy()[start:stop] * 1_000_000, *columns)


def walk_bars(seed: int, count: int, timeframe: str = "5m", *, start: int = START, gaps: float = 0.0) -> Bars:
    """A seeded random walk whose volatility comes in waves, so that indicators have something to find.

    Args:
        seed: Seed of the generator.
        count: Number of bars before any are taken out.
        timeframe: Their timeframe.
        start: UTC nanoseconds of the first bar's open.
        gaps: Share of the bars that is missing.
    """
    rng = np.random.default_rng(seed)
    ts = start + np.arange(count, dtype=np.int64) * timeframe_ns(timeframe)
    wave = 0.002 * (1.2 + np.sin(np.arange(count) / 37.0) + np.sin(np.arange(count) / 211.0))
    drift = 0.0006 * np.sin(np.arange(count) / 90.0)
    close = 100.0 * np.exp(np.cumsum(rng.normal(drift, np.maximum(wave, 0.0005))))
    opened = np.concatenate((np.array([100.0]), close[:-1]))
    reach = np.abs(rng.normal(0.0, 0.0015, (2, count)))
    high = np.maximum(opened, close) * (1 + reach[0])
    low = np.minimum(opened, close) * (1 - reach[1])
    volume = rng.lognormal(3.0, 0.6, count)
    kept = rng.random(count) >= gaps
    return Bars(timeframe, ts[kept], opened[kept], high[kept], low[kept], close[kept], volume[kept])


def join_bars(first: Bars, second: Bars) -> Bars:
    """The bars of both, one after the other."""
    fields = ("open", "high", "low", "close", "volume")
    columns = [np.concatenate((getattr(first, field), getattr(second, field))) for field in fields]
    return Bars(first.timeframe, np.concatenate((first.ts, second.ts)), *columns)

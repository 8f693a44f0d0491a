"""Bars for tests: recorded ones out of the shared data, and seeded made-up ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.model.candle import Bars
from engine.strategy.practice import START, walk_bars

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["START", "join_bars", "recorded_bars", "walk_bars"]


def recorded_bars(shared_data: Path, name: str, start: int = 0, count: int | None = None) -> Bars:
    """Bars `start` to `start + count` of a candle file such as `binance_BTCUSDT_1h`."""
    import pyarrow.parquet as pq

    table = pq.read_table(shared_data / "candles" / f"{name}.parquet")
    stop = None if count is None else start + count
    timeframe = next(part for part in name.split("_")[2:] if part[0].isdigit())
    columns = [table[field].to_numpy()[start:stop] for field in ("open", "high", "low", "close", "volume")]
    return Bars(timeframe, table["timestamp"].to_numpy()[start:stop] * 1_000_000, *columns)


def join_bars(first: Bars, second: Bars) -> Bars:
    """The bars of both, one after the other."""
    fields = ("open", "high", "low", "close", "volume")
    columns = [np.concatenate((getattr(first, field), getattr(second, field))) for field in fields]
    return Bars(first.timeframe, np.concatenate((first.ts, second.ts)), *columns)

"""Windows of a walk-forward analysis: training, validation and test one after the other, moved along the data."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.backtest_settings import WalkForwardSettings
    from engine.model.candle import FloatArray, IntArray

__all__ = ["NS_PER_DAY", "Stretch", "WalkWindow", "stitched", "windows_of"]

NS_PER_DAY = 86_400_000_000_000


class Stretch(NamedTuple):
    """A part of the data: indices of its bars, the last exclusive."""

    first: int
    last: int


class WalkWindow(msgspec.Struct, frozen=True, kw_only=True):
    """One window."""

    number: int
    """From 1."""
    training: Stretch
    validation: Stretch
    test: Stretch


def windows_of(ts: IntArray, begin: int, length: int, settings: WalkForwardSettings) -> list[WalkWindow]:
    """All whole windows, from the first midnight (UTC) on.

    Args:
        ts: UTC nanoseconds of each bar's open, ascending.
        begin: Index of the first bar of the range.
        length: Length of a bar in nanoseconds.
        settings: Lengths of the periods and the step, in days.

    Raises:
        DataError: The data are too short for one window; the message says how long it is.
    """
    first, end = int(ts[begin]), int(ts[-1]) + length
    periods = (settings.training_period, settings.validation_period, settings.test_period)
    whole = sum(periods) * NS_PER_DAY
    found: list[WalkWindow] = []
    # Days are counted whole, so that none is split between two windows.
    at = -(-first // NS_PER_DAY) * NS_PER_DAY
    while at + whole <= end:
        edges = [at]
        for days in periods:
            edges.append(edges[-1] + days * NS_PER_DAY)
        places = np.searchsorted(ts, edges, side="left").tolist()
        parts = [Stretch(low, high) for low, high in pairwise(places)]
        # A stretch without bars, in a gap of the data, makes no window.
        if all(part.last > part.first for part in parts):
            found.append(WalkWindow(number=len(found) + 1, training=parts[0], validation=parts[1], test=parts[2]))
        at += settings.step_size * NS_PER_DAY
    if not found:
        raise DataError(
            f"A window has {sum(periods):,} days ({' + '.join(map(str, periods))} of training, validation and test); "
            f"the data hold {(end - first) / NS_PER_DAY:,.0f}. Choose shorter periods or a longer range."
        )
    return found


def stitched(parts: Sequence[tuple[IntArray, FloatArray]]) -> tuple[IntArray, FloatArray]:
    """Daily returns of overlapping curves, each UTC day once: as the curve that begins last has it.

    Args:
        parts: Curves in the order in which they begin: UTC nanoseconds, after one for the start those of each bar's
            close, and the value of the account then.

    Returns:
        Number of each day since 1970, ascending, and the return on it.
    """
    days: dict[int, float] = {}
    for ts, equity in parts:
        # A close exactly at midnight belongs to the day that ends with it.
        day = (ts[1:] - 1) // NS_PER_DAY
        last = np.flatnonzero(np.append(day[1:] != day[:-1], True))
        values = equity[1:][last].astype(np.float64)
        before = np.concatenate((equity[:1], values[:-1]))
        gains = np.divide(values, before, out=np.ones_like(values), where=before > 0) - 1.0
        days.update(zip(day[last].tolist(), gains.tolist(), strict=True))
    order = sorted(days)
    return np.array(order, dtype=np.int64), np.array([days[day] for day in order])

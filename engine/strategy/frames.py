"""Bars of a higher timeframe, made causally out of bars of a lower one, in chunks of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.errors import StrategyError
from engine.model.candle import Bars, timeframe_ns

if TYPE_CHECKING:
    from engine.model.candle import FloatArray, IntArray

__all__ = ["aggregate", "frame_ratio"]

_NS_PER_S = 1_000_000_000
_MONDAY_NS = 4 * timeframe_ns("1d")
"""The first Monday after the epoch: weeks begin on Mondays, all shorter frames at the epoch."""


def frame_ratio(base: str, higher: str) -> int:
    """How many bars of `base` make one of `higher`.

    Raises:
        StrategyError: Not a whole number.
    """
    ratio, rest = divmod(timeframe_ns(higher), timeframe_ns(base))
    if rest:
        raise StrategyError(
            f"Bars of {higher} cannot be made out of bars of {base}; choose a higher timeframe that is a multiple."
        )
    return ratio


def aggregate(bars: Bars, timeframe: str, carry: FloatArray | None) -> tuple[Bars, IntArray, FloatArray | None]:
    """Put base bars together to complete bars of a higher timeframe.

    A higher bar is complete when the base bar that ends with it has closed, or, where that one is missing, when a
    later one has. A frame without a single base bar has no bar. The first frame is left out when its beginning was
    not seen.

    Args:
        bars: Base bars that follow those of the last call; may be empty.
        timeframe: A whole multiple of the bars' own.
        carry: What the last call returned; None at the first.

    Returns:
        The bars that became complete, how many of them are known at each base row, and the new carry: whether the
        growing bar lacks its beginning (0 or 1), then its start in seconds, open, high, low, close and volume if one
        is growing.
    """
    length = timeframe_ns(timeframe)
    if not len(bars):
        nothing = [bars.open, bars.high, bars.low, bars.close, bars.volume]
        return _bars(timeframe, bars.ts, nothing), bars.ts, carry
    starts = bars.ts - (bars.ts - (_MONDAY_NS if timeframe.endswith("w") else 0)) % length
    ends = bars.ts + timeframe_ns(bars.timeframe) >= starts + length
    cut = int(starts[0] != bars.ts[0]) if carry is None else int(carry[0])
    series = [bars.open, bars.high, bars.low, bars.close, bars.volume]
    growing = carry is not None and len(carry) > 1
    if carry is not None and growing:
        # The bar that was left growing goes in front, as one base bar that stands for all it holds so far.
        starts = np.concatenate((np.array([int(carry[1]) * _NS_PER_S]), starts))
        ends = np.concatenate((np.array([False]), ends))
        series = [np.concatenate((carry[k : k + 1], column)) for k, column in enumerate(series, start=2)]
    group = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(starts[1:] != starts[:-1])))
    first = np.searchsorted(group, np.arange(group[-1] + 1))
    last = np.append(first[1:], len(group)) - 1
    volume = np.zeros(len(first))
    # Adds in the order of the rows; reduceat would add in pairs and so depend on the chunks.
    np.add.at(volume, group, series[4])
    columns = [
        series[0][first],
        np.maximum.reduceat(series[1], first),
        np.minimum.reduceat(series[2], first),
        series[3][last],
        volume,
    ]
    complete = len(first) if ends[-1] else len(first) - 1
    done = slice(cut, complete)
    known = np.maximum(group + ends - cut, 0)[int(growing) :]
    left = [float(cut and not complete)]
    if complete < len(first):
        left += [float(starts[-1] // _NS_PER_S), *(float(column[-1]) for column in columns)]
    return _bars(timeframe, starts[first][done], [column[done] for column in columns]), known, np.array(left)


def _bars(timeframe: str, ts: IntArray, columns: list[FloatArray]) -> Bars:
    opened, high, low, close, volume = columns
    return Bars(timeframe, ts, opened, high, low, close, volume)

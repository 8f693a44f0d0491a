"""Which bars are possible at all: what a strategy must never be shown is found here."""

from __future__ import annotations

import numpy as np

from engine.model.candle import Bars, timeframe_ns

__all__ = ["first_fault", "sound_bars"]


def first_fault(bars: Bars, last_ts: int = -1) -> tuple[int, str] | None:
    """Row of the first impossible bar and what is wrong with it; None where all are sound.

    Args:
        bars: The bars, which should follow each other without overlap.
        last_ts: Open of the bar before them, UTC ns; -1 when there is none.
    """
    length = timeframe_ns(bars.timeframe)
    earlier = np.concatenate((np.array([last_ts if last_ts >= 0 else -length]), bars.ts[:-1]))[: len(bars)]
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(bars.open + bars.high + bars.low + bars.close + bars.volume)
        inside = (bars.low <= np.minimum(bars.open, bars.close)) & (bars.high >= np.maximum(bars.open, bars.close))
    checks = (
        (finite, "has a value that is no finite number"),
        (inside & (bars.low > 0), "has prices that contradict each other or are not positive"),
        (bars.volume >= 0, "has a negative volume"),
        (bars.ts - earlier >= length, "overlaps the bar before it or is out of order"),
    )
    faults = [(int(np.argmin(good)), text) for good, text in checks if not good.all()]
    return min(faults) if faults else None


def sound_bars(bars: Bars, last_ts: int = -1) -> Bars:
    """The bars without the impossible ones; each is judged by the last sound one before it."""
    if first_fault(bars, last_ts) is None:
        return bars
    kept = []
    for index in range(len(bars)):
        if first_fault(bars.slice(index, index + 1), last_ts) is None:
            kept.append(index)
            last_ts = int(bars.ts[index])
    return bars.rows(kept)

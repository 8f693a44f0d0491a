"""The intraday volume profile: how much is traded at which time of day, from past candles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from engine.errors import ValidationError
from engine.model.candle import timeframe_ns

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.model.candle import Candle, FloatArray

__all__ = ["PROFILE_DAYS", "VolumeProfile", "volume_profile"]

DAY_NS = 86_400_000_000_000
PROFILE_DAYS = 20
"""Days of candles that a profile is made of."""


class VolumeProfile:
    """Expected volume by the time of the UTC day; within a bucket volume flows evenly.

    Args:
        volumes: Base units expected in each bucket of the day, the first one at midnight UTC.
    """

    def __init__(self, volumes: FloatArray) -> None:
        self.volumes = volumes
        self._bucket = DAY_NS // len(volumes)
        self._sums = np.concatenate(([0.0], np.cumsum(volumes)))

    @property
    def daily(self) -> float:
        """Base units expected in a whole day."""
        return float(self._sums[-1])

    def expected(self, start_ns: int, end_ns: int) -> float:
        """Base units expected between two UTC nanosecond times."""
        return self._until(end_ns) - self._until(start_ns)

    def _until(self, ts: int) -> float:
        days, rest = divmod(ts, DAY_NS)
        bucket, part = divmod(rest, self._bucket)
        within = self._sums[bucket] + self.volumes[bucket] * part / self._bucket
        # Whole days are counted from one fixed day on: sums since 1970 would lose the digits that differences need.
        return float((days - _EPOCH) * self._sums[-1] + within)


_EPOCH = 20_000
"""Days after 1970-01-01 from which whole days are counted, 2024-10-04."""


def volume_profile(candles: Iterable[Candle], days: int = PROFILE_DAYS) -> VolumeProfile:
    """The mean volume of each bucket of the day over the last days.

    Args:
        candles: Closed candles of one timeframe that divides the day, oldest first.
        days: How many days before the last candle count.

    Returns:
        A profile with a bucket a candle of the day; buckets that were never seen get the mean of those that were.

    Raises:
        ValidationError: There are no candles, or their timeframe does not divide a day.
    """
    known = list(candles)
    if not known:
        raise ValidationError("There are no candles to make a volume profile of; download some, or use TWAP.")
    step = timeframe_ns(known[0].timeframe)
    if step > DAY_NS or DAY_NS % step:
        raise ValidationError(f"Candles of {known[0].timeframe} do not divide a day; use 5m, 15m, 30m or 1h.")
    since = known[-1].ts + step - days * DAY_NS
    sums, counts = np.zeros(DAY_NS // step), np.zeros(DAY_NS // step)
    for candle in known:
        if candle.ts >= since:
            bucket = candle.ts % DAY_NS // step
            sums[bucket] += candle.volume
            counts[bucket] += 1
    seen = counts > 0
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=seen)
    means[~seen] = means[seen].mean()
    return VolumeProfile(means)

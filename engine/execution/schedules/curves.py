"""Schedules by volume (VWAP), and what every curve has to become to be one."""

from __future__ import annotations

import itertools
from decimal import ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from engine.errors import ValidationError
from engine.model.decimals import ONE, ZERO
from engine.model.schedule import Slice, check_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.execution.schedules.volume import VolumeProfile

__all__ = ["MOST_SLICES", "from_shares", "vwap"]

MOST_SLICES = 1_000
_SHARE = Decimal("1e-12")
"""Shares are rounded to this; the last one is exactly 1."""


def vwap(profile: VolumeProfile, start_ns: int, duration_ns: int, slices: int = 10) -> tuple[Slice, ...]:
    """Slices at equal distances that are as large as the volume expected in their intervals.

    Args:
        profile: Expected volume by the time of day.
        start_ns: UTC nanoseconds at which the window begins.
        duration_ns: Length of the window in nanoseconds.
        slices: How many, 1 to 1,000. A slice in which no volume is expected is left out.

    Raises:
        ValidationError: The window is too short for its slices, or no volume at all is expected in it.
    """
    _check(duration_ns, slices)
    edges = [start_ns + duration_ns * k // slices for k in range(slices + 1)]
    volumes = [profile.expected(a, b) for a, b in itertools.pairwise(edges)]
    total = sum(volumes)
    if total <= 0:
        raise ValidationError("No volume is expected in this window; use TWAP, or another window.")
    done, offsets, shares = 0.0, [], []
    for edge, volume in zip(edges, volumes, strict=False):
        if volume > 0:
            done += volume
            offsets.append(edge - start_ns)
            shares.append(done / total)
    return from_shares(offsets, shares)


def from_shares(offsets: Sequence[int], shares: Sequence[float]) -> tuple[Slice, ...]:
    """A schedule of offsets and cumulative shares; the last share becomes 1, slices that would add nothing go.

    Raises:
        ValidationError: Offsets do not ascend.
    """
    steps: list[Slice] = []
    for number, (offset, share) in enumerate(zip(offsets, shares, strict=True), 1):
        rounded = ONE if number == len(shares) else Decimal(share).quantize(_SHARE, ROUND_HALF_EVEN)
        before = steps[-1].share if steps else ZERO
        if before < rounded <= ONE:
            steps.append(Slice(offset, rounded))
    return check_schedule(steps)


def _check(duration_ns: int, slices: int) -> None:
    if not 1 <= slices <= MOST_SLICES:
        raise ValidationError(f"A schedule has 1 to {MOST_SLICES:,} slices, not {slices}.")
    if duration_ns < slices:
        raise ValidationError("The window of a schedule must be longer than nothing.")

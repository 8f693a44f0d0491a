"""Schedules by time and by volume (TWAP, VWAP), and what a participation rate makes due."""

from __future__ import annotations

import itertools
import random
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import TYPE_CHECKING

from engine.errors import ValidationError
from engine.model.decimals import ONE, ZERO, exact
from engine.model.schedule import Slice, check_schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.execution.schedules.volume import VolumeProfile

__all__ = ["MOST_SLICES", "from_shares", "pov_due", "room_under_cap", "twap", "vwap"]

MOST_SLICES = 1_000
_SHARE = Decimal("1e-12")
"""Shares are rounded to this; the last one is exactly 1."""


def twap(
    duration_ns: int, slices: int = 10, *, jitter: Decimal = ZERO, seed: str | int = 0, start_ns: int = 0
) -> tuple[Slice, ...]:
    """Equal slices at equal distances: the time-weighted average price.

    Slice k is due when the k-th of `slices` equal intervals begins, so that the last one leaves an interval to finish.

    Args:
        duration_ns: Length of the window in nanoseconds.
        slices: How many, 1 to 1,000.
        jitter: Most by which a slice's size and time stray from the even ones, as a part of a slice and of an
            interval, 0 up to 0.5; it hides the pattern from others.
        seed: Makes the jitter; the same seed gives the same schedule, so that a restart does not change it.
        start_ns: Offset of the window.

    Raises:
        ValidationError: The window is too short for its slices, or a value is out of its range.
    """
    _check(duration_ns, slices)
    if not ZERO <= jitter <= Decimal("0.5"):
        raise ValidationError(f"The jitter must be 0 to 0.5 of a slice, not {jitter}.")
    chance = random.Random(str(seed))
    strays = [(chance.uniform(-1, 1), chance.uniform(0, 1)) for _ in range(slices)]
    interval = duration_ns / slices
    shares = [(k + 1 + float(jitter) / 2 * strays[k][0]) / slices for k in range(slices)]
    # A slice is never early: what is due at the window's begin may not be sent before it.
    offsets = [start_ns + int((k + float(jitter) * strays[k][1]) * interval) for k in range(slices)]
    return from_shares(offsets, shares)


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


def pov_due(market_volume: Decimal, rate: Decimal, quantity: Decimal) -> Decimal:
    """Quantity that should have been traded at a participation rate (POV).

    Args:
        market_volume: Base units that others have traded since the start.
        rate: Own share of the whole volume, own executions included; over 0 and under 1.
        quantity: Of the whole order, which is never exceeded.

    Raises:
        ValidationError: The rate is out of its range.
    """
    return min(quantity, _own_share(market_volume, rate))


def room_under_cap(market_volume: Decimal, cap: Decimal, executed: Decimal) -> Decimal:
    """Quantity that may still be traded without being more than `cap` of the whole volume since the start.

    Args:
        market_volume: Base units that others have traded since the start.
        cap: Largest own share of the whole volume, own executions included; over 0 and under 1.
        executed: Base units of the order that are traded or may still be by what is working.

    Raises:
        ValidationError: The cap is out of its range.
    """
    return max(ZERO, _own_share(market_volume, cap) - executed)


def _own_share(others: Decimal, rate: Decimal) -> Decimal:
    if not ZERO < rate < ONE:
        raise ValidationError(f"A participation must be over 0 and under 1 of the volume, not {rate}.")
    # Own volume is part of the whole: own / (own + others) = rate. Rounded down, so that a cap stays a cap.
    with exact():
        part = rate * others
    return (part / (ONE - rate)).quantize(_SHARE, ROUND_DOWN)


def _check(duration_ns: int, slices: int) -> None:
    if not 1 <= slices <= MOST_SLICES:
        raise ValidationError(f"A schedule has 1 to {MOST_SLICES:,} slices, not {slices}.")
    if duration_ns < slices:
        raise ValidationError("The window of a schedule must be longer than nothing.")

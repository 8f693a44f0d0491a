"""Scales and labels of charts: ranges that stay still while a price trembles, and ticks at round figures and times."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

__all__ = ["Scale", "settle", "ticks", "time_label", "time_marks"]

_SECOND_NS = 1_000_000_000
_STEPS_S = (1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000)


@dataclass(frozen=True, slots=True)
class Scale:
    """A range of values spread over ``parts`` equal parts, part 0 holding the highest."""

    low: float
    high: float
    parts: int

    def part(self, value: float) -> int:
        """Return the part that holds a value, clamped to the ends."""
        share = (self.high - value) / (self.high - self.low)
        return max(0, min(self.parts - 1, int(share * self.parts)))

    def covers(self, low: float, high: float) -> bool:
        """Tell whether both values lie inside."""
        return self.low <= low and high <= self.high


def settle(previous: Scale | None, low: float, high: float, parts: int, margin: float = 0.08) -> Scale:
    """Return the scale to draw with: the previous one as long as it still serves, else a new one with a margin.

    Every new scale moves the whole picture. So the old one is kept while the data lies inside it and fills at least
    half of it.

    Args:
        previous: The scale drawn with until now.
        low: Lowest value to show.
        high: Highest value to show.
        parts: Vertical resolution.
        margin: Free share above and below in a new scale.
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        low, high = 0.0, 1.0
    span = high - low
    if previous is not None and previous.parts == parts and previous.covers(low, high):
        kept = previous.high - previous.low
        if span >= kept / 2 or kept <= abs(high) * 2e-6:
            return previous
    if span <= 0:
        # One flat value still needs a range to lie in.
        span = abs(high) * 1e-4 or 1.0
        low, high = low - span / 2, high + span / 2
    return Scale(low - span * margin, high + span * margin, parts)


def ticks(scale: Scale, count: int) -> tuple[list[float], int]:
    """Return round values inside a scale, at most ``count`` or so, and the decimals they need."""
    raw = (scale.high - scale.low) / max(1, count)
    power = math.floor(math.log10(raw)) if raw > 0 else 0
    step = next(base * 10.0**power for base in (1, 2, 5, 10) if base * 10.0**power >= raw * 0.999)
    first = math.ceil(scale.low / step)
    last = math.floor(scale.high / step)
    return [number * step for number in range(first, last + 1)], max(0, -math.floor(math.log10(step) + 1e-9))


def time_label(time_ns: int, step_s: int, zone: tzinfo = UTC) -> str:
    """Return the label of an instant (nanoseconds UTC) as fine as a step of so many seconds asks."""
    moment = datetime.fromtimestamp(time_ns // _SECOND_NS, zone)
    if step_s < 60:
        return moment.strftime("%H:%M:%S")
    if step_s < 86400:
        return moment.strftime("%H:%M") if (moment.hour, moment.minute) != (0, 0) else moment.strftime("%d %b")
    return moment.strftime("%d %b") if step_s < 2592000 else moment.strftime("%b %y")


def time_marks(times_ns: Sequence[int], columns: int, zone: tzinfo = UTC) -> list[tuple[int, str]]:
    """Return which of a run of instants get a label, and which, so that labels stand ``columns`` instants apart.

    Labels stand at round times (full minutes, hours, days), so that they move with the picture and not against it.

    Args:
        times_ns: Rising instants, one for each place, nanoseconds UTC.
        columns: Least distance between labels in places.
        zone: Time zone of the labels.
    """
    if len(times_ns) < 2:
        return [(index, time_label(time, 60, zone)) for index, time in enumerate(times_ns)]
    pace = max(1, (times_ns[-1] - times_ns[0]) // (len(times_ns) - 1))
    least = pace * columns // _SECOND_NS
    step = next((step for step in _STEPS_S if step >= least), _STEPS_S[-1])
    shift = int((datetime.fromtimestamp(times_ns[-1] // _SECOND_NS, zone).utcoffset() or _ZERO).total_seconds())
    marks: list[tuple[int, str]] = []
    before: int | None = None
    for index, time in enumerate(times_ns):
        slot = (time // _SECOND_NS + shift) // step
        if before is not None and slot != before and (not marks or index - marks[-1][0] >= columns):
            marks.append((index, time_label((slot * step - shift) * _SECOND_NS, step, zone)))
        before = slot
    return marks


_ZERO = datetime.fromtimestamp(0, UTC) - datetime.fromtimestamp(0, UTC)

"""What errors have in common: how often, rising or falling, which parts fail together, why perhaps, and what follows.

Pure functions over what was counted; they read no clock and do no input or output, and run beside the event loop.
"""

from __future__ import annotations

import enum
from bisect import bisect_left
from itertools import combinations
from typing import TYPE_CHECKING, Any

import msgspec

from engine.model.faults import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.resilience.settings import AnalyticsSettings

__all__ = [
    "DAY_NS",
    "SUGGESTIONS",
    "Correlation",
    "Direction",
    "Frequency",
    "Occurrence",
    "Pattern",
    "correlations",
    "find_patterns",
    "forecast",
    "frequencies",
    "suggestions",
    "summarise",
    "trend",
]

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
LEAST = 5
"""Errors below which nothing is called a pattern."""
TOGETHER = 3
"""Times that two parts must have failed together."""
TOP = 10


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """Identical errors within a few minutes."""

    component: str
    kind: str
    severity: Severity
    count: int
    first: int
    """UTC nanoseconds."""
    last: int
    order: str = ""
    """Client order id that they were about."""
    bot: str = ""


class Direction(enum.StrEnum):
    """Where a count goes."""

    RISING = "rising"
    STEADY = "steady"
    FALLING = "falling"


class Frequency(msgspec.Struct, frozen=True, kw_only=True):
    """How often one kind of error happened to one part."""

    component: str
    kind: str
    counts: tuple[int, ...]
    """Errors in each of equal spans of time, the oldest first."""
    first: int
    last: int

    @property
    def total(self) -> int:
        """Errors in all."""
        return sum(self.counts)


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """Two parts that fail together."""

    leader: str
    """The part that fails first more often."""
    follower: str
    together: int
    """Times that both failed within the window."""
    share: float
    """That, as a fraction of the failures of whichever failed less often."""
    first: int
    last: int


class Pattern(msgspec.Struct, frozen=True, kw_only=True):
    """Something recognised."""

    name: str
    """The same pattern has the same name every time."""
    component: str
    words: str
    occurrences: int
    first: int
    last: int
    rising: bool = False


SUGGESTIONS: dict[str, str] = {
    "exchange_connection": "The way to the venue is broken: check network, name resolution and its status page.",
    "exchange_rate_limit": "More is asked than the venue allows: run fewer bots, or lengthen their intervals.",
    "exchange_insufficient_funds": "Orders are larger than the account: compare balances and the bots' capital.",
    "unknown_outcome": "The venue answers late: orders are asked for by id; watch latency, lower the order rate.",
    "venue_circuit_open": "The venue kept failing and is left alone for a while; look at the errors before this one.",
    "storage_unavailable": "The report database is busy or away: check its server and the disk space.",
    "storage": "The report database refuses work: check disk space, then run `quarterdeck doctor`.",
    "journal": "The journal cannot be written: check that the disk is not full and the folder may be written.",
    "state_corruption": "Stored state is damaged: check the disk, and restore from a backup if it repeats.",
    "data_source": "A source of data is away: check its address and limits.",
    "data_validation": "Data breaks its rules: look at the source before trusting what was made of it.",
    "strategy": "A strategy fails by itself: look at its log lines and its last change.",
    "strategy_load": "A strategy's file cannot be used: correct it, then load it anew.",
    "order_rejected": "The venue or the gate keeps refusing orders: compare them with the instrument's rules.",
    "risk_refused": "Orders run into limits: lower sizes, or change the limits on Risk.",
    "configuration": "A setting is wrong: the message names it.",
    "TimeoutError": "Answers take too long: check network and load.",
}
"""Kind of an error -> what is most often behind it, and what to look at."""


def frequencies(found: Iterable[Occurrence], start: int, end: int, spans: int = 24) -> list[Frequency]:
    """Count each kind of error of each part in equal spans of time, the most frequent first.

    Args:
        found: Errors; those outside of [start, end) are left out.
        start: UTC nanoseconds.
        end: UTC nanoseconds, beyond `start`.
        spans: Number of spans.
    """
    counts: dict[tuple[str, str], list[int]] = {}
    seen: dict[tuple[str, str], tuple[int, int]] = {}
    for one in found:
        if not start <= one.first < end:
            continue
        key = (one.component, one.kind)
        counts.setdefault(key, [0] * spans)[(one.first - start) * spans // (end - start)] += one.count
        first, last = seen.get(key, (one.first, one.last))
        seen[key] = (min(first, one.first), max(last, one.last))
    rows = [
        Frequency(component=component, kind=kind, counts=tuple(row), first=seen[component, kind][0],
                  last=seen[component, kind][1])
        for (component, kind), row in counts.items()
    ]  # fmt: skip
    return sorted(rows, key=lambda row: (-row.total, row.component, row.kind))


def trend(counts: Sequence[int]) -> Direction:
    """Where counts go: rising when the last third holds twice as many as the first, falling the other way round."""
    third = max(1, len(counts) // 3)
    first, last = sum(counts[:third]), sum(counts[-third:])
    if sum(counts) < LEAST or len(counts) < 2:
        return Direction.STEADY
    if last >= 2 * first and last - first >= LEAST // 2:
        return Direction.RISING
    if first >= 2 * last and first - last >= LEAST // 2:
        return Direction.FALLING
    return Direction.STEADY


def forecast(counts: Sequence[int]) -> float:
    """Errors to be expected in the next span, by the straight line with the least squares; never below 0."""
    n = len(counts)
    if n < 2:
        return float(sum(counts))
    mean_x, mean_y = (n - 1) / 2, sum(counts) / n
    spread = sum((x - mean_x) ** 2 for x in range(n))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(counts)) / spread
    return max(0.0, mean_y + slope * (n - mean_x))


def correlations(found: Iterable[Occurrence], window_ns: int) -> list[Correlation]:
    """Parts that fail within a window of each other at least TOGETHER times and in half of their failures.

    Args:
        found: Errors.
        window_ns: Nanoseconds between the end of one and the beginning of the other.
    """
    by_part: dict[str, list[Occurrence]] = {}
    for one in found:
        by_part.setdefault(one.component, []).append(one)
    for rows in by_part.values():
        rows.sort(key=lambda one: one.first)
    pairs = (_together(a, b, by_part[a], by_part[b], window_ns) for a, b in combinations(sorted(by_part), 2))
    return sorted((pair for pair in pairs if pair is not None), key=lambda pair: (-pair.share, pair.leader))


def _together(a: str, b: str, first: list[Occurrence], second: list[Occurrence], window: int) -> Correlation | None:
    fewer, more, swapped = (first, second, False) if len(first) <= len(second) else (second, first, True)
    starts = [one.first for one in more]
    longest = max(one.last - one.first for one in more)
    together, earlier = 0, 0
    touched: list[Occurrence] = []
    for one in fewer:
        left = bisect_left(starts, one.first - window - longest)
        near = next((m for m in more[left:] if m.last >= one.first - window), None)
        if near is None or near.first > one.last + window:
            continue
        together += 1
        earlier += one.first < near.first
        touched += [one, near]
    share = together / len(fewer)
    if together < TOGETHER or share < 0.5:
        return None
    # `earlier` counts for the part that failed less often.
    leads = earlier * 2 > together
    leader, follower = (a, b) if leads is not swapped else (b, a)
    return Correlation(
        leader=leader,
        follower=follower,
        together=together,
        share=share,
        first=min(one.first for one in touched),
        last=max(one.last for one in touched),
    )


def suggestions(rows: Iterable[Frequency], pairs: Iterable[Correlation] = ()) -> list[str]:
    """What may be behind the errors, the likeliest first; a part that others follow is looked at before them."""
    found = [
        f"{pair.follower} fails with {pair.leader} ({pair.together} times): look at {pair.leader} first."
        for pair in pairs
    ]
    for row in rows:
        words = SUGGESTIONS.get(row.kind)
        if words is not None:
            found.append(f"{row.component}: {words}")
    return list(dict.fromkeys(found))[:TOP]


def find_patterns(found: Sequence[Occurrence], now: int, settings: AnalyticsSettings) -> list[Pattern]:
    """Everything recognised in the errors of the last day.

    Args:
        found: Errors, of at least the last day.
        now: UTC nanoseconds.
        settings: What is looked for.
    """
    recent = [one for one in found if one.last > now - DAY_NS]
    patterns: list[Pattern] = []
    for row in frequencies(recent, now - DAY_NS, now + 1):
        if row.total < LEAST:
            continue
        rising = trend(row.counts) is Direction.RISING
        if settings.pattern_detection:
            patterns.append(_repeating(row))
        if rising and settings.predictive_alerts:
            patterns.append(_rising(row))
    if settings.correlation_analysis:
        patterns += [
            Pattern(
                name=f"together: {pair.leader} + {pair.follower}",
                component=pair.leader,
                words=f"{pair.follower} failed with {pair.leader} in {pair.share:.0%} of its failures.",
                occurrences=pair.together,
                first=pair.first,
                last=pair.last,
            )
            for pair in correlations(recent, int(settings.correlation_window * 1e9))
        ]
    return patterns


def _repeating(row: Frequency) -> Pattern:
    return Pattern(
        name=f"repeating: {row.component} {row.kind}",
        component=row.component,
        words=f"{row.total} times within a day, {trend(row.counts)}.",
        occurrences=row.total,
        first=row.first,
        last=row.last,
    )


def _rising(row: Frequency) -> Pattern:
    expected = forecast(row.counts)
    hint = SUGGESTIONS.get(row.kind, "")
    return Pattern(
        name=f"rising: {row.component} {row.kind}",
        component=row.component,
        words=f"Rising: about {expected:.0f} more are to be expected within the hour. {hint}".strip(),
        occurrences=row.total,
        first=row.first,
        last=row.last,
        rising=True,
    )


def summarise(found: Sequence[Occurrence], start: int, end: int, window_ns: int, spans: int) -> dict[str, Any]:
    """The report on a span of time, in plain values.

    Args:
        found: Errors; those outside of [start, end) are left out.
        start: UTC nanoseconds.
        end: UTC nanoseconds.
        window_ns: Within which two errors count as together.
        spans: Into how many parts the time is cut to see where counts go.
    """
    inside = [one for one in found if start <= one.first < end]
    rows, pairs = frequencies(inside, start, end, spans), correlations(inside, window_ns)
    severities = {str(one): sum(o.count for o in inside if o.severity is one) for one in Severity}
    return {
        "errors": sum(one.count for one in inside),
        "by_severity": {name: count for name, count in severities.items() if count},
        "most_frequent": [
            {
                "component": row.component,
                "kind": row.kind,
                "count": row.total,
                "trend": str(trend(row.counts)),
                "counts": list(row.counts),
            }
            for row in rows[:TOP]
        ],
        "together": [
            {"leader": pair.leader, "follower": pair.follower, "times": pair.together, "share": round(pair.share, 3)}
            for pair in pairs[:TOP]
        ],
        "suggestions": suggestions(rows, pairs),
        "expected": [
            f"{row.component} {row.kind}: about {forecast(row.counts):.0f} in the next part of this length"
            for row in rows[:TOP]
            if trend(row.counts) is Direction.RISING
        ],
        "orders_touched": len({one.order for one in inside if one.order}),
        "bots_touched": sorted({one.bot for one in inside if one.bot}),
    }

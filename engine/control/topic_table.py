"""The names of all topics with their filters: enough to ask for one, without the engine that fills it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import NotFoundError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FACT_FILTERS", "FACT_TOPICS", "MOST", "SEVERITIES", "STATE_FILTERS", "fits", "wanted_filters"]

MOST = 5_000
"""Largest number that a filter may ask for."""

STATE_FILTERS: dict[str, dict[str, Any]] = {
    "algos.state": {},
    "bots.state": {},
    "engine.status": {},
    "errors.notices": {},
    "jobs.state": {},
    "market.book": {"instrument": None, "depth": 25},
    "market.candles": {"instrument": None, "timeframe": "1m"},
    "market.tickers": {},
    "market.trades": {"instrument": None, "limit": 50},
    "orders.open": {},
    "portfolio.balances": {},
    "portfolio.overview": {},
    "portfolio.positions": {},
    "replay.state": {},
    "risk.metrics": {},
    "risk.regimes": {},
    "risk.state": {},
    "venues.state": {},
}
"""Topic of state -> filter -> default; a default of None means that it must be given."""

FACT_TOPICS = {
    "facts.activity": "What happened, in words; the number is the cursor of facts.since.",
    "orders.fills": "Executions of ours.",
}
"""Topics of facts, in order and complete, with what they tell."""

FACT_FILTERS: dict[str, dict[str, Any]] = {
    "facts.activity": {"owner": "", "instrument": "", "severity": ""},
    "orders.fills": {"owner": "", "instrument": ""},
}
"""Topic of facts -> filter -> default; an empty text lets everything through."""

SEVERITIES = ("info", "good", "warning", "critical")
"""What a fact means to a person, the least first."""


def fits(filters: Mapping[str, Any], fact: Any) -> bool:
    """Whether a fact is told to somebody who watches with these filters.

    Args:
        filters: Of a topic of facts: `owner` (name or id), `instrument`, `severity` (at least).
        fact: An `Activity` or a `FillRow`.
    """
    owner, instrument, severity = (filters.get(name) for name in ("owner", "instrument", "severity"))
    if owner and owner not in (fact.owner, getattr(fact, "owner_name", "")):
        return False
    if instrument and instrument != fact.instrument:
        return False
    return not severity or SEVERITIES.index(fact.severity) >= SEVERITIES.index(severity)


def wanted_filters(
    topic: str, given: Mapping[str, Any], table: Mapping[str, Mapping[str, Any]] = STATE_FILTERS
) -> dict[str, Any]:
    """The filters that are meant: those given, and the defaults of the others.

    Args:
        topic: Which topic.
        given: Filter -> value; None means the default.
        table: Topic of state -> filter -> default.

    Raises:
        NotFoundError: There is no such topic.
        ValidationError: A filter is unknown, missing or of the wrong kind.
    """
    known: Mapping[str, Any] | None = FACT_FILTERS[topic] if topic in FACT_TOPICS else table.get(topic)
    if known is None:
        there = ", ".join(sorted([*table, *FACT_TOPICS]))
        raise NotFoundError(f"There is no topic {topic!r}; there are {there}.")
    unknown = set(given) - set(known)
    if unknown:
        has = f"; it has {', '.join(sorted(known))}" if known else ""
        raise ValidationError(f"The topic {topic} has no filter {', '.join(sorted(unknown))}{has}.")
    wanted = {**known, **{key: value for key, value in given.items() if value is not None}}
    missing = [key for key, value in wanted.items() if value is None]
    if missing:
        raise ValidationError(f"The topic {topic} needs {', '.join(missing)}.")
    for key, value in wanted.items():
        _check(topic, key, value, wants_number=isinstance(known[key], int))
    return wanted


def _check(topic: str, key: str, value: Any, *, wants_number: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int if wants_number else str):
        raise ValidationError(f"The filter {key} of {topic} is a {'number' if wants_number else 'text'}.")
    if key == "severity" and value and value not in SEVERITIES:
        raise ValidationError(f"The filter severity of {topic} is one of {', '.join(SEVERITIES)}, not {value!r}.")
    if isinstance(value, int) and not 1 <= value <= MOST:
        raise ValidationError(f"The filter {key} of {topic} is between 1 and {MOST}, not {value}.")

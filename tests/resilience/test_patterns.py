"""What errors have in common, over made-up days."""

from __future__ import annotations

from engine.model.faults import Severity
from engine.resilience.patterns import (
    DAY_NS,
    HOUR_NS,
    Direction,
    Occurrence,
    correlations,
    find_patterns,
    forecast,
    frequencies,
    suggestions,
    summarise,
    trend,
)
from engine.resilience.settings import AnalyticsSettings

NOW = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
ALL = AnalyticsSettings()


def error(component: str, ago_s: float, kind: str = "exchange_connection", count: int = 1, **more: str) -> Occurrence:
    at = NOW - int(ago_s * SECOND)
    return Occurrence(
        component=component, kind=kind, severity=Severity.MEDIUM, count=count, first=at, last=at + SECOND, **more
    )


def test_errors_are_counted_in_the_span_in_which_they_began() -> None:
    found = [error("feeds", 3600 * 1.5, count=3), error("feeds", 60), error("jobs", 60), error("jobs", 90_000)]
    feeds, jobs = frequencies(found, NOW - 2 * HOUR_NS, NOW, 2)
    assert (feeds.component, feeds.counts, feeds.total) == ("feeds", (3, 1), 4)
    assert jobs.counts == (0, 1), "what is older than the span is left out"


def test_the_ends_of_a_span_belong_to_one_side_each() -> None:
    at = [Occurrence(component="x", kind="k", severity=Severity.LOW, count=1, first=t, last=t) for t in (0, 99, 100)]
    (row,) = frequencies(at, 0, 100, 4)
    assert row.counts == (1, 0, 0, 1)


def test_a_trend_is_told_from_noise() -> None:
    assert trend([0, 1, 2, 4, 8, 9]) is Direction.RISING
    assert trend([9, 8, 4, 2, 1, 0]) is Direction.FALLING
    assert trend([3, 2, 3, 3, 2, 3]) is Direction.STEADY
    assert trend([0, 0, 1, 1]) is Direction.STEADY, "too few to speak of"
    assert trend([50]) is Direction.STEADY


def test_the_next_count_is_on_the_line_through_those_before() -> None:
    assert forecast([1, 2, 3, 4]) == 5
    assert forecast([4, 3, 2, 1, 0, 0]) == 0
    assert forecast([7]) == 7


def test_parts_that_fail_together_are_found_with_the_one_that_leads() -> None:
    found = [error("venue", ago) for ago in (500, 400, 300, 200)]
    found += [error("bots", ago - 20) for ago in (500, 400, 300)]
    found += [error("jobs", ago) for ago in (3000, 6000, 9000)]
    (pair,) = correlations(found, 30 * SECOND)
    assert (pair.leader, pair.follower, pair.together, pair.share) == ("venue", "bots", 3, 1.0)


def test_the_leader_is_found_whichever_fails_more_often() -> None:
    rare = [error("alpha", ago) for ago in (500, 400, 300)]
    often = [error("zulu", ago - 20) for ago in (500, 400, 300, 200, 100)]
    (pair,) = correlations([*rare, *often], 30 * SECOND)
    assert pair.leader == "alpha"
    (pair,) = correlations([error("zulu", a) for a in (500, 400, 300)] + [error("alpha", a - 20) for a in
                           (500, 400, 300, 200, 100)], 30 * SECOND)  # fmt: skip
    assert pair.leader == "zulu"


def test_outside_of_the_window_or_too_seldom_nothing_is_together() -> None:
    found = [error("venue", ago) for ago in (500, 400, 300)] + [error("bots", ago - 40) for ago in (500, 400, 300)]
    assert correlations(found, 30 * SECOND) == []
    assert correlations([error("venue", 1), error("bots", 1)], 30 * SECOND) == []


def test_a_suggestion_names_the_part_that_leads_before_the_table() -> None:
    found = [error("venue", ago) for ago in (500, 400, 300)] + [error("bots", ago - 5) for ago in (500, 400, 300)]
    said = suggestions(frequencies(found, NOW - HOUR_NS, NOW), correlations(found, 30 * SECOND))
    assert said[0] == "bots fails with venue (3 times): look at venue first."
    assert any("name resolution" in line for line in said[1:])


def test_patterns_of_a_day_repeat_rise_and_come_together() -> None:
    rising = [error("feeds", ago, count=n) for ago, n in ((20 * 3600, 1), (2 * 3600, 3), (600, 9))]
    found = {pattern.name: pattern for pattern in find_patterns(rising, NOW, ALL)}
    assert set(found) == {"repeating: feeds exchange_connection", "rising: feeds exchange_connection"}
    assert found["rising: feeds exchange_connection"].rising
    assert "more are to be expected within the hour" in found["rising: feeds exchange_connection"].words
    assert found["repeating: feeds exchange_connection"].occurrences == 13


def test_what_is_switched_off_or_older_than_a_day_is_not_looked_for() -> None:
    rising = [error("feeds", ago, count=n) for ago, n in ((20 * 3600, 1), (2 * 3600, 3), (600, 9))]
    off = AnalyticsSettings(pattern_detection=False, predictive_alerts=False, correlation_analysis=False)
    assert find_patterns(rising, NOW, off) == []
    assert find_patterns([error("feeds", 90_000, count=50)], NOW, ALL) == []


def test_a_report_says_what_happened_why_perhaps_and_to_whom() -> None:
    found = [error("venue", ago, count=2, order=f"Q{ago}", bot="bot-1") for ago in (500, 400, 300)]
    found += [error("bots", ago - 5, "strategy") for ago in (500, 400, 300)]
    content = summarise(found, NOW - DAY_NS, NOW, 30 * SECOND, 24)
    assert content["errors"] == 9
    assert content["by_severity"] == {"medium": 9}
    assert content["most_frequent"][0]["component"] == "venue"
    assert content["together"] == [{"leader": "venue", "follower": "bots", "times": 3, "share": 1.0}]
    assert (content["orders_touched"], content["bots_touched"]) == (3, ["bot-1"])
    assert summarise([], 0, 1, 1, 1)["errors"] == 0

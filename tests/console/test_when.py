"""Moments as a person writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from console.when import moment
from engine.errors import ValidationError

NS = 1_000_000_000
NOW = int(datetime(2026, 3, 10, 12, 0, tzinfo=UTC).timestamp()) * NS
BERLIN = ZoneInfo("Europe/Berlin")


def ns(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * NS  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-03-01", ns(2026, 3, 1)),
        ("2026-03-01 14:30", ns(2026, 3, 1, 14, 30)),
        (" 2026-03-01T14:30:05 ", ns(2026, 3, 1, 14, 30, 5)),
        ("2026-03-01T14:30:05.25Z", ns(2026, 3, 1, 14, 30, 5) + 250_000_000),
        ("2026-03-01 14:30+02:00", ns(2026, 3, 1, 12, 30)),
        ("11:59", ns(2026, 3, 10, 11, 59)),
        ("12:00:01", ns(2026, 3, 9, 12, 0, 1)),
        ("90s ago", NOW - 90 * NS),
        ("2h", NOW - 7200 * NS),
        ("-1.5h", NOW - 5400 * NS),
        ("3 days ago", NOW - 3 * 86_400 * NS),
    ],
)
def test_moments_are_read(text: str, wanted: int) -> None:
    assert moment(text, NOW) == wanted


def test_moments_without_an_offset_are_in_the_persons_zone() -> None:
    assert moment("2026-03-01 14:30", NOW, BERLIN) == ns(2026, 3, 1, 13, 30)
    assert moment("13:00", NOW, BERLIN) == ns(2026, 3, 10, 12, 0)
    assert moment("13:01", NOW, BERLIN) == ns(2026, 3, 9, 12, 1)
    # In the summer's time of that zone.
    assert moment("2026-07-01 14:30", NOW, BERLIN) == ns(2026, 7, 1, 12, 30)


@pytest.mark.parametrize("text", ["", "yesterday", "25:00", "2026-13-01", "12", "h ago"])
def test_what_is_no_moment_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValidationError, match="Write it like one of these"):
        moment(text, NOW)

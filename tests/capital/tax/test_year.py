"""Where a year begins and ends, and what a report refuses."""

from __future__ import annotations

import pytest

from engine.capital.tax.report import zone_of
from engine.errors import ValidationError
from tests.capital.tax.diary import Diary, moment, rows_of


@pytest.mark.parametrize(
    ("zone", "first"),
    [
        ("UTC", "2026-01-01T00:00"),
        ("Europe/Berlin", "2025-12-31T23:00"),
        ("America/New_York", "2026-01-01T05:00"),
        # Summer time at the turn of the year, and the first place where it is the new year.
        ("Australia/Sydney", "2025-12-31T13:00"),
        ("Pacific/Kiritimati", "2025-12-31T10:00"),
        ("Asia/Kathmandu", "2025-12-31T18:15"),
    ],
)
def test_a_year_begins_at_midnight_of_its_time_zone(zone: str, first: str) -> None:
    diary = Diary().at("2025-06-01").trade("buy", "2", "100")
    begin = moment(first)
    diary.at("2026-01-02").trade("sell", "1", "200", trade="before", ts=begin - 1)
    diary.trade("sell", "1", "300", trade="after", ts=begin)
    assert [row["reference"] for row in rows_of(diary.report(year=2025, timezone=zone))] == ["before"]
    found = rows_of(diary.report(year=2026, timezone=zone))
    assert [(row["reference"], row["disposed"][:19]) for row in found] == [("after", "2026-01-01T00:00:00")]


def test_times_are_said_with_the_offset_of_their_day() -> None:
    diary = Diary().at("2026-03-29T00:59:59").trade("buy", "1", "100").at("2026-03-29T01:00:00").trade("sell", "1", "1")
    (row,) = rows_of(diary.report(timezone="Europe/Berlin"))
    assert (row["acquired"], row["disposed"]) == ("2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00")


def test_what_is_heard_after_the_year_belongs_to_when_it_happened() -> None:
    diary = Diary().at("2025-06-01").trade("buy", "1", "100")
    diary.at("2026-02-01").trade("sell", "1", "300", ts=moment("2025-12-31"))
    assert len(diary.report(year=2025).rows) == 1
    assert diary.report(year=2026).rows == ()


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../etc/passwd", "/etc/localtime", "Europe"])
def test_a_time_zone_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="There is no time zone"):
        zone_of(name)


def test_what_cannot_be_reported_is_refused() -> None:
    diary = Diary().at("2026-01-01").trade("buy", "1", "100")
    with pytest.raises(ValidationError, match="There is no method 'best'; there is fifo, lifo"):
        diary.report("best")  # type: ignore[arg-type]
    for year in (0, 1970, 10_000):
        with pytest.raises(ValidationError, match="The year must be from 1971 to 2200"):
            diary.report(year=year)
    with pytest.raises(ValidationError, match="Nothing in the journal is in USTD: name one of BNB, BTC, ETH, USDT"):
        diary.report(currency="USTD")

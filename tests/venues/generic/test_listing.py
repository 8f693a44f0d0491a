"""Lists are gathered whole from exchanges that cut them in whatever way, or are given as cut."""

from __future__ import annotations

from typing import Any

import pytest

from engine.venues.generic.listing import PAGES, whole


class Exchange:
    """Lists rows by their times, as exchanges do.

    Args:
        times: Of the rows, in milliseconds.
        longest: Of a page.
        newest_first: Whether a page is cut at its old end rather than at its new one.
        bounded: Whether an upper bound is heeded.
        inclusive: Whether bounds belong to what they bound.
    """

    def __init__(
        self, times: list[int], longest: int, *, newest_first: bool, bounded: bool = True, inclusive: bool = True
    ) -> None:
        self.rows: list[dict[str, Any]] = [{"id": str(n), "timestamp": at} for n, at in enumerate(sorted(times))]
        self.longest = longest
        self.newest_first = newest_first
        self.bounded = bounded
        self.slack = 0 if inclusive else 1
        self.asked = 0

    async def __call__(self, since: int | None, until: int | None) -> list[dict[str, Any]]:
        self.asked += 1
        rows = [row for row in self.rows if since is None or row["timestamp"] >= since + self.slack]
        if self.bounded and until is not None:
            rows = [row for row in rows if row["timestamp"] <= until - self.slack]
        return rows[-self.longest :] if self.newest_first else rows[: self.longest]


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("inclusive", [True, False])
@pytest.mark.parametrize("count", [0, 1, 19, 20, 21, 105])
async def test_every_row_is_found_whichever_end_pages_are_cut_at(
    newest_first: bool, told: bool, inclusive: bool, count: int
) -> None:
    times = [1_000 + 7 * n // 3 for n in range(count)]
    exchange = Exchange(times, 20, newest_first=newest_first, inclusive=inclusive)
    listing = await whole(exchange, 900, 20 if told else None)
    assert [row["timestamp"] for row in listing.ordered] == times
    assert listing.cut == ""


@pytest.mark.parametrize("newest_first", [True, False])
async def test_rows_of_one_millisecond_on_the_border_of_two_pages_are_all_found(newest_first: bool) -> None:
    times = [1_000 + n for n in range(17)] + [1_017] * 6 + [1_018 + n for n in range(30)]
    listing = await whole(Exchange(times, 20, newest_first=newest_first), 900, 20)
    assert len(listing.rows) == len(times)
    assert listing.cut == ""


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("told", [20, None])
async def test_more_rows_of_one_millisecond_than_a_page_holds_are_not_taken_for_all(
    newest_first: bool, told: int | None
) -> None:
    listing = await whole(Exchange([1_000] * 25, 20, newest_first=newest_first), 900, told)
    assert listing.cut == "one millisecond holds more than a page"


async def test_an_exchange_that_heeds_no_upper_bound_is_not_believed() -> None:
    exchange = Exchange([1_000 + n for n in range(30)], 20, newest_first=True, bounded=False)
    listing = await whole(exchange, 900, 20)
    assert len(listing.rows) == 20
    assert listing.cut == "it cannot be asked for up to a time"


async def test_a_short_page_of_a_known_length_is_one_request() -> None:
    exchange = Exchange([1_000, 1_001], 20, newest_first=True, bounded=False)
    listing = await whole(exchange, 900, 20)
    assert (len(listing.rows), listing.cut, exchange.asked) == (2, "", 1)


async def test_a_list_without_end_is_given_up_as_cut() -> None:
    exchange = Exchange([1_000 + 2 * n for n in range(20 * (PAGES + 5))], 20, newest_first=False)
    listing = await whole(exchange, 900, 20)
    assert listing.cut == f"it has more than {PAGES} pages"


async def test_rows_without_a_time_cannot_be_paged() -> None:
    async def fetch(since: int | None, until: int | None) -> list[dict[str, Any]]:
        return [{"id": "1", "timestamp": None}]

    assert (await whole(fetch, 900, None)).cut == "its rows have no time"

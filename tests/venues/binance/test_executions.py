"""Executions by their numbers: each is given once, also one that is shown after others that followed it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from engine.errors import DataValidationError
from engine.model.ids import AccountId, VenueId
from engine.venues.binance import executions
from engine.venues.binance.executions import Executions

MAIN, SYMBOL = AccountId("main"), "BTCUSDT"


@dataclass
class Trade:
    symbol: str
    id: int
    orderId: int
    time: int


class Shown:
    """What the venue shows, and who asks for it."""

    def __init__(self) -> None:
        self.rows: list[Trade] = []
        self.asked: list[int] = []
        self.reader = Executions(VenueId("BINANCE"), 1)

    def show(self, *numbers: int, ms: int = 0) -> None:
        self.rows += [Trade(SYMBOL, number, number, ms or 1_000_000 + number) for number in numbers]
        self.rows.sort(key=lambda row: row.id)

    async def page(self, symbol: str, first: int) -> list[Trade]:
        self.asked.append(first)
        return [row for row in self.rows if row.symbol == symbol and row.id >= first][: executions.PAGE]

    async def since(self, cursor: str) -> tuple[list[int], str]:
        listed = await self.reader.listed(MAIN, cursor, [SYMBOL], self.page)
        return [row.id for row in listed.fresh], self.reader.after(MAIN, listed, self.reader.read(cursor))


@pytest.fixture
def shown() -> Shown:
    return Shown()


async def test_one_that_is_shown_after_a_later_one_is_given_all_the_same(shown: Shown) -> None:
    shown.show(1, 3)
    found, cursor = await shown.since("")
    assert found == [1, 3]
    shown.show(2)
    found, cursor = await shown.since(cursor)
    assert found == [2]
    assert await shown.since(cursor) == ([], cursor)
    shown.show(4)
    found, cursor = await shown.since(cursor)
    assert found == [4]


async def test_whoever_held_the_earlier_cursor_is_given_it_too(shown: Shown) -> None:
    shown.show(1, 3)
    _, cursor = await shown.since("")
    shown.show(2)
    assert [(await shown.since(cursor))[0] for _ in range(2)] == [[2], [2]]


async def test_after_a_restart_those_of_the_last_minutes_are_given_again_and_no_older_ones(shown: Shown) -> None:
    shown.show(1, ms=1_000_000)
    shown.show(2, ms=1_200_000)
    _, cursor = await shown.since("")
    shown.reader = Executions(VenueId("BINANCE"), 1_000)
    found, cursor = await shown.since(cursor)
    assert found == [2]
    assert (await shown.since(cursor))[0] == []


async def test_more_than_a_page_is_read_on_whatever_was_given_before(
    shown: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executions, "PAGE", 3)
    shown.show(*range(1, 11))
    given, cursor = [], ""
    while True:
        found, after = await shown.since(cursor)
        given += found
        if after == cursor:
            break
        cursor = after
    assert given == list(range(1, 11))
    shown.show(11)
    assert (await shown.since(cursor))[0] == [11]


async def test_a_cursor_of_an_older_release_is_read_on_from(shown: Shown) -> None:
    shown.show(1, 2, 3)
    assert (await shown.since('{"next":{"BTCUSDT":3}}'))[0] == [3]
    with pytest.raises(DataValidationError, match="cannot be read"):
        await shown.since("nonsense")

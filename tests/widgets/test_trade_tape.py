"""The tape shows the newest trades that fit, however many arrive between two drawings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.widgets.showing import ASCII, PLAIN, UNICODE, Showing, seen, text
from widgets.trade_tape import KEPT, Trade, TradeTape, tape_rows


def trade(number: int, buy: bool = True, own: bool = False) -> Trade:
    return Trade(f"14:00:{number % 60:02}", f"{100 + number}.00", "0.5000", buy, own)


def test_the_side_is_told_by_a_sign() -> None:
    lines = text(tape_rows([trade(1), trade(2, buy=False), trade(3, own=True)], 30, 5, PLAIN, UNICODE))
    assert [line[0] for line in lines] == [" ", "▲", "▼", "◆"]
    assert [line[0] for line in text(tape_rows([trade(1), trade(2, buy=False)], 30, 5, PLAIN, ASCII))[1:]] == ["^", "v"]


def test_the_time_leaves_when_it_is_narrow() -> None:
    assert "Time" in text(tape_rows([trade(1)], 30, 5, PLAIN, UNICODE))[0]
    assert "Time" not in text(tape_rows([trade(1)], 24, 5, PLAIN, UNICODE))[0]


@given(st.integers(1, 80), st.integers(1, 30))
def test_every_line_fills_its_cells(width: int, height: int) -> None:
    rows = tape_rows([trade(number) for number in range(40)], width, height, PLAIN, UNICODE)
    assert all(row.cell_length == width for row in rows)
    assert len(rows) == height


async def test_the_newest_trade_is_on_top_and_old_ones_are_forgotten() -> None:
    tape = TradeTape()
    async with Showing(tape).run_test(size=(40, 8)) as pilot:
        assert any("No trades yet." in line for line in seen(tape))
        tape.push(trade(number) for number in range(KEPT + 50))
        tape.drain()
        await pilot.pause()
        assert [line.split()[1] for line in seen(tape)[1:3]] == ["349.00", "348.00"]
        assert len(tape._trades) == KEPT


async def test_pushing_nothing_draws_nothing() -> None:
    tape = TradeTape()
    async with Showing(tape).run_test(size=(40, 8)) as pilot:
        tape.push([trade(1)])
        tape.drain()
        await pilot.pause()
        tape.push([])
        assert not tape.drain()
        tape.clear()
        assert tape.drain()

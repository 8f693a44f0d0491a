"""The table a person works in: cursor, sort and filter survive every update, and keys do what the help says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.widgets.showing import Showing, seen
from widgets.live_table import Cell, Column, LiveTable

if TYPE_CHECKING:
    from textual.app import App
    from textual.geometry import Region

COLUMNS = [
    Column("bot", "Bot", 10),
    Column("state", "State", 8, priority=1),
    Column("pnl", "P&L", 9, align="right"),
]
PNL = {"trend-1": 5.0, "mean-2": 9.0, "trend-3": -2.0, "grid-4": 1.0}


def row(name: str, pnl: float, state: str = "running") -> list[Cell]:
    return [Cell(name), Cell(state, "gain"), Cell(f"{pnl:.2f}", value=pnl)]


def table(sort: tuple[str, bool] | None = ("pnl", True), **options: object) -> LiveTable:
    made = LiveTable(COLUMNS, title="Bots", empty="No bots. n = new", sort=sort, id="bots", **options)  # type: ignore[arg-type]
    made.set_rows((name, row(name, pnl)) for name, pnl in PNL.items())
    return made


class Recording(Showing):
    """Keeps the keys reported by the table."""

    def __init__(self, shown: LiveTable) -> None:
        super().__init__(shown)
        self.highlighted: list[str | None] = []
        self.selected: list[str] = []

    def on_live_table_row_highlighted(self, message: LiveTable.RowHighlighted) -> None:
        self.highlighted.append(message.key)
        assert message.control is message.table

    def on_live_table_row_selected(self, message: LiveTable.RowSelected) -> None:
        self.selected.append(message.key)
        assert message.control is message.table


async def test_rows_are_shown_below_the_header_in_order() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        assert [line[:10].strip() for line in seen(shown)[:5]] == ["Bot", "mean-2", "trend-1", "grid-4", "trend-3"]
        assert "▼P&L" in seen(shown)[0]


async def test_an_empty_table_names_the_key_that_fills_it() -> None:
    shown = LiveTable(COLUMNS, empty="No bots. n = new")
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        assert any("No bots. n = new" in line for line in seen(shown))


async def test_the_cursor_stays_on_its_row_when_the_order_changes() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.press("j")
        assert shown.cursor_key == "trend-1"
        shown.upsert("trend-1", row("trend-1", 50.0))
        shown.drain(10.0)
        assert shown.visible_keys[0] == "trend-1"
        assert shown.cursor_key == "trend-1"


async def test_the_neighbour_takes_the_cursor_when_its_row_goes() -> None:
    shown = table()
    app = Recording(shown)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("j")
        shown.discard("trend-1")
        shown.drain()
        await pilot.pause()
        assert shown.cursor_key == "grid-4"
        shown.set_rows([])
        shown.drain()
        await pilot.pause()
        assert shown.cursor_key is None
    assert app.highlighted == ["mean-2", "trend-1", "grid-4", None]


async def test_vim_keys_move_the_cursor() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        for keys, expected in (
            ("G", "trend-3"),
            ("g", "mean-2"),
            ("j j", "grid-4"),
            ("k", "trend-1"),
            ("ctrl+d", "trend-3"),
            ("ctrl+u", "mean-2"),
        ):
            await pilot.press(*keys.split())
            assert shown.cursor_key == expected, keys


async def test_many_rows_scroll_and_the_border_tells_where() -> None:
    shown = LiveTable(COLUMNS, title="Orders")
    shown.set_rows((str(number), row(f"order-{number}", number)) for number in range(100))
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.press("G")
        await pilot.pause()
        assert seen(shown)[-1].startswith("order-99")
        assert shown.border_subtitle == "100/100"
        await pilot.press("g")
        assert seen(shown)[1].startswith("order-0")


async def test_moving_values_are_sorted_again_once_a_second_at_most() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        shown.drain(10.0)
        shown.upsert("trend-3", row("trend-3", 100.0))
        shown.drain(10.0)
        orders = [shown.visible_keys]
        for tenth in range(1, 11):
            shown.upsert("trend-3", row("trend-3", 100.0 + tenth))
            shown.drain(10.0 + tenth / 10)
            orders.append(shown.visible_keys)
    assert orders[0][0] == "trend-3"
    shown.upsert("trend-1", row("trend-1", 500.0))
    assert shown.visible_keys[0] == "trend-3"


async def test_an_order_in_doubt_is_settled_without_further_changes() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        shown.upsert("trend-3", row("trend-3", 100.0))
        shown.drain(10.0)
        shown.upsert("grid-4", row("grid-4", 200.0))
        assert shown.drain(10.5)
        assert shown.visible_keys[0] == "trend-3"
        assert shown.drain(11.1)
        assert shown.visible_keys[0] == "grid-4"


async def test_a_changed_cell_refreshes_its_cells_only(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        shown.drain()
        regions: list[Region] = []
        monkeypatch.setattr(shown, "refresh", lambda *given, **_: regions.extend(given))
        shown.upsert("grid-4", row("grid-4", 1.01))
        shown.drain()
    assert len(regions) == 1
    assert regions[0].y == 3
    assert regions[0].x >= 18
    assert not shown.drain()


async def test_s_sorts_by_the_next_column_and_shift_s_turns_it_round() -> None:
    shown = table(sort=None)
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.press("o")
        assert shown.sorting == ("bot", False)
        assert shown.visible_keys == ["grid-4", "mean-2", "trend-1", "trend-3"]
        await pilot.press("o", "o")
        assert shown.sorting == ("pnl", True)
        await pilot.press("O")
        assert shown.visible_keys == ["trend-3", "grid-4", "trend-1", "mean-2"]


async def test_slash_filters_while_typing_and_escape_shows_all() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.press("slash", "t", "r", "d")
        assert shown.visible_keys == ["trend-1", "trend-3"]
        assert shown.border_title == "Bots /trd▏"
        await pilot.press("backspace", "enter")
        assert shown.border_title == "Bots /tr"
        await pilot.press("j")
        assert shown.cursor_key == "trend-3"
        await pilot.press("escape")
        assert len(shown.visible_keys) == 4
        assert shown.border_title == "Bots"


async def test_letters_typed_into_the_filter_are_not_keys() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.press("slash", "s", "y")
        assert shown.sorting == ("pnl", True)
        assert shown.filter_text == "sy"
        assert any("Esc shows all 4" in line for line in seen(shown))


async def test_exclamation_filters_out() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.press("exclamation_mark", "t", "r", "e", "n", "d", "enter")
        assert shown.visible_keys == ["mean-2", "grid-4"]
        assert shown.border_title == "Bots !trend"


async def test_backspace_on_an_empty_filter_ends_it() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.press("slash", "x", "backspace", "backspace", "j")
        assert shown.filter_text == ""
        assert shown.cursor_key == "trend-1"


async def test_n_goes_to_the_next_match_of_the_last_filter() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.press("slash", "t", "r", "enter", "escape", "g", "n")
        assert shown.cursor_key == "trend-1"
        await pilot.press("n")
        assert shown.cursor_key == "trend-3"
        await pilot.press("N")
        assert shown.cursor_key == "trend-1"


async def test_a_filter_survives_updates() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        shown.filter_text = "trend"
        shown.drain()
        shown.upsert("trend-9", row("trend-9", 7.0))
        shown.upsert("mean-8", row("mean-8", 8.0))
        shown.drain()
        await pilot.pause()
        assert shown.visible_keys == ["trend-9", "trend-1", "trend-3"]
        assert shown.row_count == 6


async def test_enter_and_double_click_report_the_row() -> None:
    shown = table()
    app = Recording(shown)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("j", "enter")
        await pilot.double_click(shown, offset=(5, 4))
        await pilot.pause()
    assert app.selected == ["trend-1", "grid-4"]


async def test_y_copies_the_row_and_shift_y_the_shown_rows_as_csv() -> None:
    shown = table()
    shown.upsert("x,y", [Cell("x,y\x1b[31m"), Cell("off"), Cell("-9.00", value=-9.0)])
    app = Showing(shown)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("y", "Y")
        await pilot.pause()
    assert app.copied[0] == "mean-2\trunning\t9.00"
    assert app.copied[1].splitlines()[0] == "Bot,State,P&L"
    assert app.copied[1].splitlines()[-1] == '"x,y",off,-9.00'


async def test_l_scrolls_columns_out_and_h_back_in() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        await pilot.press("l")
        assert "State" not in seen(shown)[0]
        await pilot.press("h")
        assert "State" in seen(shown)[0]


async def test_a_narrow_table_drops_columns_and_a_wide_one_has_them_again() -> None:
    shown = table()
    async with Showing(shown).run_test(size=(26, 10)) as pilot:
        await pilot.pause()
        assert "State" not in seen(shown)[0]
        await pilot.resize_terminal(60, 10)
        await pilot.pause(0.05)
        assert "State" in seen(shown)[0]


async def test_a_table_only_to_be_read_has_no_cursor_and_scrolls() -> None:
    shown = LiveTable(COLUMNS, cursor=False)
    shown.set_rows((str(number), row(f"order-{number}", number)) for number in range(30))
    app = Recording(shown)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("j", "j", "enter")
        await pilot.pause()
        assert seen(shown)[1].startswith("order-2")
        assert shown.cursor_key is None
    assert app.highlighted == []
    assert app.selected == []


async def test_names_from_outside_are_neither_markup_nor_misaligned() -> None:
    shown = LiveTable(COLUMNS)
    names = ["[bold]x[/bold]", "[/nope]", "漢字漢字漢字漢字", "\u202eevil", "x" * 60, "a\x1b[2Jb"]
    shown.set_rows((name, row(name, 1.0)) for name in names)
    shown.title = "[/x]"
    async with Showing(shown).run_test(size=(40, 12)) as pilot:
        await pilot.pause()
        lines = [shown.render_line(y) for y in range(shown.content_size.height)]
        assert {line.cell_length for line in lines} == {shown.content_size.width}
        assert "[bold]x[/…" in lines[1].text
        assert "\x1b" not in "".join(line.text for line in lines)


async def test_the_cursor_is_seen_without_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        shown.focus()
        await pilot.pause(0.05)
        style = next(iter(shown.render_line(1))).style
    assert style is not None
    assert style.reverse


def _bindings(app: App[None], shown: LiveTable) -> list[str | None]:
    return [binding.id for bindings in shown._bindings.key_to_bindings.values() for binding in bindings]


async def test_every_binding_has_an_id_for_the_keymap() -> None:
    shown = table()
    app = Showing(shown)
    async with app.run_test():
        ids = _bindings(app, shown)
    assert ids
    assert all(ids)


async def test_losing_the_focus_ends_typing_and_shows_a_resting_cursor() -> None:
    shown = table()
    app = Showing(shown)
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.press("slash", "t")
        app.set_focus(None)
        await pilot.pause()
        assert shown.border_title == "Bots /t"


@pytest.mark.parametrize("key", ["nothing", None])
async def test_the_cursor_can_be_put_on_a_row_but_not_on_one_that_is_not_there(key: str | None) -> None:
    shown = table()
    async with Showing(shown).run_test(size=(40, 10)) as pilot:
        shown.cursor_key = "trend-3"
        shown.cursor_key = key
        await pilot.pause()
        assert shown.cursor_key == "trend-3"

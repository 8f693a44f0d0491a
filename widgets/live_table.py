"""A table for values that move: rows keyed by id, cheap to update, drawn only where it changed.

    table = LiveTable(
        [Column("bot", "Bot", 12), Column("pnl", "P&L", 12, align="right"), Column("note", "Note", 10, flex=True)],
        title="Bots", empty="No bots. n = new", sort=("pnl", True),
    )
    table.upsert("trend-1", [Cell("trend-1"), signed("12.40", 12.4, table.glyphs), Cell("")])
    table.drain(now)          # from the screen's paint timer

Cursor and sort belong to row ids and column keys, not to positions: they survive every update. Values may change at
any rate; the order of rows is worked out again at most once a second, at once when rows come or go. Cell texts are
cleaned and never parsed as markup.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.content import Content
from textual.message import Message

from widgets.line_widget import LineBuilder
from widgets.navigation import VimNavigation
from widgets.table_cells import Cell, Column, Placed, header_strip, place_columns, row_strip
from widgets.table_rows import Filter, TableRows
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual import events
    from textual.binding import BindingType
    from textual.strip import Strip

__all__ = ["Cell", "Column", "LiveTable"]

RESORT_SECONDS = 1.0
"""How long the order of rows stays still while values move."""


class LiveTable(VimNavigation):
    """A live, sortable, filterable table.

    Args:
        columns: The columns in order; the first never scrolls away.
        title: Shown in the border, with the filter and the position.
        empty: Shown when there are no rows; name the key that makes one.
        sort: Key of the column sorted by at first and whether descending; None keeps the order given.
        cursor: Whether a row is marked as chosen; a table only to be read needs none.
    """

    HELP = "Move with j/k, sort with o and O, filter with / (fuzzy) or ! (all but), copy a row with y, all with Y."
    FRAMED = True
    DEFAULT_CSS: ClassVar[str] = """
    LiveTable { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Open", show=False, id="table.open"),
        Binding("o", "sort_next", "Sort", show=False, id="table.sort"),
        Binding("O", "sort_reverse", "Reverse", show=False, id="table.sort_reverse"),
        Binding("slash", "filter('')", "Filter", show=False, id="table.filter"),
        Binding("exclamation_mark", "filter('!')", "Filter out", show=False, id="table.filter_out"),
        Binding("n", "find(1)", "Next match", show=False, id="table.next_match"),
        Binding("N", "find(-1)", "Previous match", show=False, id="table.previous_match"),
        Binding("escape", "clear_filter", "Clear filter", show=False, id="table.clear_filter"),
        Binding("y", "copy_row", "Copy row", show=False, id="table.copy_row"),
        Binding("Y", "copy_table", "Copy table", show=False, id="table.copy_table"),
    ]

    class RowHighlighted(Message):
        """The cursor came to rest on another row (``key`` is None when no row is left)."""

        def __init__(self, table: LiveTable, key: str | None) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> LiveTable:
            """The table."""
            return self.table

    class RowSelected(Message):
        """Enter was pressed on a row."""

        def __init__(self, table: LiveTable, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

        @property
        def control(self) -> LiveTable:
            """The table."""
            return self.table

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        title: str = "",
        empty: str = "Nothing here.",
        sort: tuple[str, bool] | None = None,
        cursor: bool = True,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.columns = tuple(columns)
        self.title = title
        self.empty = empty
        self.lit = False
        """Show the cursor as active though another widget, such as a search field, has the focus."""
        self._rows = TableRows(columns, sort)
        self._show_cursor = cursor
        self._cursor_key: str | None = None
        self._told_key: str | None = None
        self._cursor_place = 0
        self._top = 0
        self._skip = 0
        self._editing = False
        self._find_pattern = ""
        self._arranged_at = float("-inf")
        self._strips: dict[str, Strip] = {}
        self._strips_for: tuple[object, ...] = ()
        self._labels = ("", "")
        self._label("")

    # -------------------------------------------------------------------------------------------------------- the data

    def reshape(self, key: str, title: str, width: int) -> None:
        """Give a column another title and width; without width it is not there. A key that is none does nothing."""
        columns = tuple(
            replace(column, title=title, width=width) if column.key == key else column for column in self.columns
        )
        if columns != self.columns:
            self.columns = columns
            self._rows.reshape(columns)
            self._strips.clear()
            self.mark()

    def set_rows(self, rows: Iterable[tuple[str, Sequence[Cell]]]) -> None:
        """Make these rows, by key, all the table has. Rows that are equal cost nothing."""
        for key in self._rows.replace(rows):
            self._strips.pop(key, None)
            self.mark()
        if self._rows.structure_changed:
            self.mark()

    def upsert(self, key: str, cells: Sequence[Cell]) -> None:
        """Add a row or replace its cells."""
        if self._rows.upsert(key, cells):
            self._strips.pop(key, None)
            self.mark()

    def discard(self, key: str) -> None:
        """Remove a row; one that is not there is no error."""
        if self._rows.remove(key):
            self._strips.pop(key, None)
            self.mark()

    @property
    def row_count(self) -> int:
        """Rows there are, shown or filtered out."""
        return self._rows.total

    @property
    def visible_keys(self) -> list[str]:
        """Keys of the rows that pass the filter, in the order shown at the last drawing."""
        return list(self._rows.keys)

    @property
    def cursor_key(self) -> str | None:
        """The chosen row, or None when there is none."""
        return self._cursor_key if self._show_cursor else None

    @cursor_key.setter
    def cursor_key(self, key: str | None) -> None:
        self._arrange(float("inf"))
        place = self._rows.place_of(key)
        if place is not None:
            self._cursor_place, self._cursor_key = place, key
            self.mark()

    @property
    def sorting(self) -> tuple[str, bool] | None:
        """Key of the sorted column and whether descending; assign to change it (None: order of arrival)."""
        return self._rows.sort

    @sorting.setter
    def sorting(self, sort: tuple[str, bool] | None) -> None:
        self._rows.sort = sort
        self._rows.structure_changed = True
        self.mark()

    @property
    def filter_text(self) -> str:
        """The filter as typed, with a leading ``!`` for an inverse one; assign to change it."""
        rule = self._rows.filter
        return ("!" if rule.inverse else "") + rule.pattern

    @filter_text.setter
    def filter_text(self, text: str) -> None:
        self._rows.filter = Filter(text.removeprefix("!"), text.startswith("!"))
        self._find_pattern = self._rows.filter.pattern or self._find_pattern
        self._rows.structure_changed = True
        self.mark()

    # --------------------------------------------------------------------------------------------------------- drawing

    def drain(self, now: float = 0.0) -> bool:
        """Draw what changed; ``now`` in seconds on a steady scale paces the sorting."""
        if self._rows.order_doubtful and now - self._arranged_at >= RESORT_SECONDS:
            self._marked = True
        if not self._marked:
            return False
        self._arrange(now)
        drew = super().drain(now)
        self._tell()
        return drew

    def _arrange(self, now: float) -> None:
        rows = self._rows
        if rows.structure_changed or (rows.order_doubtful and now - self._arranged_at >= RESORT_SECONDS):
            self._arranged_at = now if now != float("inf") else self._arranged_at
            rows.arrange()
        place = rows.place_of(self._cursor_key)
        if place is None:
            # The row is gone: its neighbour takes the cursor, so that the eye does not have to search.
            place = max(0, min(self._cursor_place, len(rows) - 1))
            self._cursor_key = rows.keys[place] if len(rows) else None
        self._cursor_place = place

    def _tell(self) -> None:
        if self._show_cursor and self._told_key != self._cursor_key and self.is_attached:
            self._told_key = self._cursor_key
            self.post_message(self.RowHighlighted(self, self._cursor_key))

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return header and visible rows."""
        if self._rows.structure_changed:
            self._arrange(0.0)
        placed = place_columns(self.columns, width, self._skip)
        lines = [header_strip(placed, width, self.palette, self.glyphs, self._rows.sort)]
        room = max(1, height - 1)
        count = len(self._rows)
        if self._show_cursor:
            self._top = min(max(self._top, self._cursor_place - room + 1), self._cursor_place)
        self._top = max(0, min(self._top, count - room))
        self._label(f"{self._cursor_place + 1}/{count}" if self._show_cursor and count > room else "")
        if not count:
            return [*lines, *self._empty_lines(width)]
        shape = (width, self._skip, self.palette, self.glyphs)
        if self._strips_for != shape:
            self._strips.clear()
            self._strips_for = shape
        for key in self._rows.keys[self._top : self._top + room]:
            lines.append(self._row(key, placed, width))
        return lines

    def _row(self, key: str, placed: Sequence[Placed], width: int) -> Strip:
        if self._show_cursor and key == self._cursor_key:
            over = self.palette["cursor" if self.has_focus or self.lit else "cursor-blurred"]
            return row_strip(self._rows.cells(key), placed, width, self.palette, self.glyphs, over)
        strip = self._strips.get(key)
        if strip is None:
            strip = self._strips[key] = row_strip(self._rows.cells(key), placed, width, self.palette, self.glyphs)
        return strip

    def _empty_lines(self, width: int) -> list[Strip]:
        hidden = self._rows.total
        text = f"No row matches. Esc shows all {hidden}." if hidden else clean(self.empty)
        blank = LineBuilder(self.palette).strip(width)
        return [blank, LineBuilder(self.palette).add(fit(text, width, "center"), "muted").strip(width)]

    def _label(self, position: str) -> None:
        """Show title, filter chip and position in the border; touches nothing that is right already."""
        title = clean(self.title)
        if self._editing or self._rows.filter.pattern:
            sign = "!" if self._rows.filter.inverse else "/"
            caret = "▏" if self._editing else ""
            title = f"{title} {sign}{clean(self._rows.filter.pattern)}{caret}".strip()
        if self._labels != (title, position):
            self._labels = (title, position)
            if self.is_mounted:
                # Lines are asked for while the screen is being drawn: a border changed then would not be drawn again.
                self.call_next(self._show_labels)
            else:
                self._show_labels()

    def _show_labels(self) -> None:
        title, position = self._labels
        self.border_title = Content(title) if title else None
        self.border_subtitle = Content(position) if position else None

    # -------------------------------------------------------------------------------------------------------- movement

    def move_by(self, rows: int) -> None:
        """Move the cursor, or scroll when the table has none."""
        count = len(self._rows)
        if not count:
            return
        if self._show_cursor:
            self._cursor_place = max(0, min(count - 1, self._cursor_place + rows))
            self._cursor_key = self._rows.keys[self._cursor_place]
        else:
            self._top = max(0, self._top + rows)
        self.mark()

    def move_to_end(self, direction: int) -> None:
        """Move to the first or last row."""
        self.move_by(direction * len(self._rows))

    def move_sideways(self, columns: int) -> None:
        """Scroll columns after the first out to the left or back in."""
        there = sum(bool(column.width) for column in self.columns)
        self._skip = max(0, min(there - 2, self._skip + columns))
        self.mark()

    def on_click(self, event: events.Click) -> None:
        """Choose the row under the mouse; a second click opens it."""
        place = self._top + event.get_content_offset_capture(self).y - 1
        if self._show_cursor and 0 <= place < len(self._rows) and event.get_content_offset(self):
            self._cursor_place, self._cursor_key = place, self._rows.keys[place]
            self.mark()
            self.drain()
            if event.chain == 2:
                self.action_choose()

    # --------------------------------------------------------------------------------------------------------- actions

    def action_choose(self) -> None:
        """Report the chosen row as selected."""
        if self._cursor_key is not None and self._show_cursor:
            self.post_message(self.RowSelected(self, self._cursor_key))

    def action_sort_next(self) -> None:
        """Sort by the next column."""
        there = [column for column in self.columns if column.width]
        keys = [column.key for column in there]
        current = keys.index(self._rows.sort[0]) if self._rows.sort and self._rows.sort[0] in keys else -1
        column = there[(current + 1) % len(keys)]
        # Figures are looked at from the largest, names from A.
        self.sorting = (column.key, column.align == "right")
        self.drain()

    def action_sort_reverse(self) -> None:
        """Turn the order round."""
        key, descending = self._rows.sort or (self.columns[0].key, True)
        self.sorting = (key, not descending)
        self.drain()

    def action_filter(self, prefix: str) -> None:
        """Start typing a filter."""
        self._editing = True
        self.filter_text = prefix
        self.drain()

    def action_clear_filter(self) -> None:
        """Show all rows again."""
        self._editing = False
        self.filter_text = ""
        self.drain()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave Esc and n to others unless there is a filter to clear or a match to find."""
        if action == "clear_filter":
            return bool(self._editing or self._rows.filter.pattern)
        if action == "find":
            return bool(self._find_pattern)
        return True

    def action_find(self, step: int) -> None:
        """Go to the next or previous row that matches the last filter."""
        key = self._rows.find(self._find_pattern, self._cursor_key, step) if self._find_pattern else None
        if key is not None:
            self.cursor_key = key
            self.drain()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Tell the footer that letters are text while a filter is typed."""
        return self._editing and character is not None and character.isprintable()

    def on_key(self, event: events.Key) -> None:
        """Take letters for the filter while it is typed."""
        if not self._editing:
            return
        text = self.filter_text
        if event.key == "enter":
            self._editing = False
            self.mark()
        elif event.key == "backspace":
            if text in ("", "!"):
                self._editing = False
            self.filter_text = text[:-1]
        elif event.is_printable and event.character:
            self.filter_text = text + clean(event.character)
        else:
            return
        event.stop()
        event.prevent_default()
        self.drain()

    def on_focus(self) -> None:
        """Show the cursor as active."""
        self.mark()
        self.drain()

    def on_blur(self) -> None:
        """Show the cursor as resting; a filter being typed is kept."""
        self._editing = False
        self.mark()
        self.drain()

    def row_text(self, key: str) -> str:
        """Return a row as tab-separated text; raises KeyError when there is none."""
        return "\t".join(clean(cell.text) for cell in self._shown(key))

    def table_text(self) -> str:
        """Return the rows that pass the filter as CSV with a header line."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([column.title for column in self.columns if column.width])
        for key in self._rows.keys:
            writer.writerow([clean(cell.text).strip() for cell in self._shown(key)])
        return out.getvalue()

    def _shown(self, key: str) -> list[Cell]:
        return [cell for column, cell in zip(self.columns, self._rows.cells(key), strict=False) if column.width]

    def action_copy_row(self) -> None:
        """Copy the chosen row to the terminal's clipboard."""
        if self._cursor_key is not None:
            self.app.copy_to_clipboard(self.row_text(self._cursor_key))
            self.notify("Row copied.", markup=False)

    def action_copy_table(self) -> None:
        """Copy the shown rows as CSV to the terminal's clipboard."""
        self.app.copy_to_clipboard(self.table_text())
        self.notify(f"{len(self._rows)} rows copied as CSV.", markup=False)

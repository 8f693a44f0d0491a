"""Cells and columns of a live table: what a row says, and how much of it fits a line. Pure functions only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from widgets.line_widget import LineBuilder
from widgets.text import Align, clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from rich.style import Style
    from textual.strip import Strip

    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = ["Cell", "Column", "Placed", "header_strip", "place_columns", "row_strip", "signed"]

GUTTER = 1
"""Blank cells between two columns."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One value of a row.

    ``value`` is what sorting compares; None compares the text. Numbers sort before texts. ``align`` overrides the
    column's.
    """

    text: str
    ink: str = "text"
    align: Align | None = None
    value: float | Decimal | str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    When the table is too narrow, the columns with the highest ``priority`` number leave first, those with 0 never.
    One column may be ``flex`` and takes what is left, at least ``width`` cells. A column without width is not there: it
    can neither be seen, sorted by nor searched. ``search`` says whether the filter looks at it; None means left-aligned
    columns only, because figures move.
    """

    key: str
    title: str
    width: int
    priority: int = 0
    align: Align = "left"
    flex: bool = False
    search: bool | None = None

    @property
    def searchable(self) -> bool:
        """Whether the filter looks at this column."""
        return bool(self.width) and (self.align == "left" if self.search is None else self.search)


@dataclass(frozen=True, slots=True)
class Placed:
    """A column that is shown: its place in the row's cells, its first terminal cell and its width."""

    column: Column
    index: int
    x: int
    width: int


def signed(text: str, amount: float | Decimal, glyphs: Glyphs) -> Cell:
    """Return a right-aligned cell for a profit or change: ink, sign and arrow say the direction.

    Args:
        text: The formatted amount, with or without its own sign.
        amount: The amount itself, for direction and sorting.
        glyphs: The sign set in force.
    """
    text = text.lstrip("+-−")
    if not text.strip("0., %"):
        # A loss too small for the decimals is no loss: minus zero would puzzle.
        return Cell(text, "neutral", "right", amount)
    if amount > 0:
        return Cell(f"{glyphs.up} +{text}", "gain", "right", amount)
    if amount < 0:
        return Cell(f"{glyphs.down} -{text}", "loss", "right", amount)
    return Cell(text, "neutral", "right", amount)


def place_columns(columns: Sequence[Column], width: int, skip: int = 0) -> tuple[Placed, ...]:
    """Decide which columns a line of ``width`` cells shows and where.

    Args:
        columns: All columns in order.
        width: Cells of the line.
        skip: How many columns after the first are scrolled out to the left.
    """
    there = [(index, column) for index, column in enumerate(columns) if column.width]
    chosen = [one for place, one in enumerate(there) if place == 0 or place > skip]

    def needed() -> int:
        return sum(column.width for _, column in chosen) + GUTTER * (len(chosen) - 1)

    while needed() > width and len(chosen) > 1:
        worst = max(range(1, len(chosen)), key=lambda place: (chosen[place][1].priority, place))
        if chosen[worst][1].priority == 0:
            break
        del chosen[worst]
    spare = max(0, width - needed())
    placed, x = [], 0
    for index, column in chosen:
        if x >= width:
            break
        share = column.width + (spare if column.flex else 0)
        share = min(share, width - x)
        placed.append(Placed(column, index, x, share))
        x += share + GUTTER
    return tuple(placed)


def row_strip(
    cells: Sequence[Cell],
    placed: Sequence[Placed],
    width: int,
    palette: Palette,
    glyphs: Glyphs,
    over: Style | None = None,
) -> Strip:
    """Return one table row as a line of exactly ``width`` cells."""
    line = LineBuilder(palette, over)
    for number, place in enumerate(placed):
        if number:
            line.add(" " * GUTTER)
        cell = cells[place.index] if place.index < len(cells) else Cell("")
        align = cell.align or place.column.align
        line.add(fit(clean(cell.text), place.width, align, glyphs.ellipsis), cell.ink)
    return line.strip(width)


def header_strip(
    placed: Sequence[Placed], width: int, palette: Palette, glyphs: Glyphs, sort: tuple[str, bool] | None = None
) -> Strip:
    """Return the line of column titles; the sorted column carries an arrow.

    Args:
        placed: The columns shown.
        width: Cells of the line.
        palette: The inks in force.
        glyphs: The sign set in force.
        sort: Key of the sorted column and whether it descends.
    """
    line = LineBuilder(palette)
    for number, place in enumerate(placed):
        if number:
            line.add(" " * GUTTER)
        title, ink = place.column.title, "title"
        if sort is not None and sort[0] == place.column.key:
            arrow = glyphs.down if sort[1] else glyphs.up
            room = place.width - width_of(arrow)
            title = title[:room] + arrow if place.column.align != "right" else arrow + title[:room]
            ink = "accent"
        elif width_of(title) > place.width:
            title = title[: place.width]
        line.add(fit(title, place.width, place.column.align, glyphs.ellipsis), ink)
    return line.strip(width)

"""The rows behind a live table: keyed, sorted and filtered, with the order kept still while values move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from widgets.text import clean, fuzzy_match

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from widgets.table_cells import Cell, Column

__all__ = ["Filter", "TableRows"]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which rows are shown: those that match, or with ``inverse`` those that do not."""

    pattern: str = ""
    inverse: bool = False

    def accepts(self, text: str) -> bool:
        """Tell whether a row with this text is shown."""
        return not self.pattern.strip() or fuzzy_match(self.pattern, text) is not self.inverse


def _sort_value(cell: Cell) -> tuple[int, float | Decimal, str]:
    value = cell.value if cell.value is not None else clean(cell.text).casefold()
    if isinstance(value, str):
        return (1, 0, value)
    # A value that is no number would make the order depend on where it stood before.
    return (2, 0, "") if value != value else (0, value, "")


class TableRows:
    """Rows by key, in the order they are shown.

    Values may change at any rate; the order is worked out only by :meth:`arrange`.

    Args:
        columns: The table's columns, which name what can be sorted.
        sort: Key of the column to sort by and whether descending; None keeps the order of arrival.
    """

    def __init__(self, columns: Sequence[Column], sort: tuple[str, bool] | None = None) -> None:
        self._columns = tuple(columns)
        self._cells: dict[str, tuple[Cell, ...]] = {}
        self._order: list[str] = []
        self._place: dict[str, int] = {}
        self.sort = sort
        self.filter = Filter()
        self.structure_changed = False
        """A row came or went, or sort or filter changed: the order must be worked out before drawing."""
        self.order_doubtful = False
        """A value moved in the sorted column or in a searched one: the order may have changed."""

    def reshape(self, columns: Sequence[Column]) -> None:
        """Take other columns, in the same order, for the same cells; a column that is not there sorts nothing."""
        self._columns = tuple(columns)
        if self.sort is not None and not any(one.width and one.key == self.sort[0] for one in columns):
            self.sort = None
        self.structure_changed = True

    def __len__(self) -> int:
        return len(self._order)

    @property
    def total(self) -> int:
        """Rows there are, shown or not."""
        return len(self._cells)

    @property
    def keys(self) -> Sequence[str]:
        """Keys of the rows shown, in order."""
        return self._order

    def cells(self, key: str) -> tuple[Cell, ...]:
        """Return the cells of a row; raises KeyError when there is none."""
        return self._cells[key]

    def __contains__(self, key: object) -> bool:
        return key in self._cells

    def place_of(self, key: str | None) -> int | None:
        """Return where a row is shown, or None when it is not."""
        return None if key is None else self._place.get(key)

    def upsert(self, key: str, cells: Sequence[Cell]) -> bool:
        """Add or replace one row; returns whether anything is different."""
        new = tuple(cells)
        old = self._cells.get(key)
        if old == new:
            return False
        self._cells[key] = new
        if old is None:
            self.structure_changed = True
        elif self._order_uses(old, new):
            self.order_doubtful = True
        return True

    def remove(self, key: str) -> bool:
        """Remove one row; returns whether it was there."""
        if self._cells.pop(key, None) is None:
            return False
        self.structure_changed = True
        return True

    def replace(self, rows: Iterable[tuple[str, Sequence[Cell]]]) -> set[str]:
        """Make ``rows`` all there is; returns the keys whose cells differ."""
        fresh = dict(rows)
        for key in [key for key in self._cells if key not in fresh]:
            self.remove(key)
        changed = {key for key, cells in fresh.items() if self.upsert(key, cells)}
        if list(self._cells) != list(fresh):
            self._cells = {key: self._cells[key] for key in fresh}
            self.structure_changed = True
        return changed

    def _order_uses(self, old: tuple[Cell, ...], new: tuple[Cell, ...]) -> bool:
        if self.sort is None and not self.filter.pattern:
            return False
        for index, column in enumerate(self._columns):
            relevant = (self.sort is not None and column.key == self.sort[0]) or (
                bool(self.filter.pattern) and column.searchable
            )
            if relevant and old[index : index + 1] != new[index : index + 1]:
                return True
        return False

    def search_text(self, key: str) -> str:
        """Return what the filter sees of a row."""
        cells = self._cells[key]
        return " ".join(
            clean(cell.text) for column, cell in zip(self._columns, cells, strict=False) if column.searchable
        )

    def arrange(self) -> bool:
        """Work out which rows are shown in which order; returns whether that changed."""
        self.structure_changed = self.order_doubtful = False
        keys = (
            [key for key in self._cells if self.filter.accepts(self.search_text(key))]
            if self.filter.pattern
            else [*self._cells]
        )
        if self.sort is not None:
            name, descending = self.sort
            index = next((i for i, column in enumerate(self._columns) if column.key == name), None)
            if index is not None:
                keys.sort(key=lambda key: _sort_value(self._cells[key][index]), reverse=descending)
        if keys == self._order:
            return False
        self._order = keys
        self._place = {key: place for place, key in enumerate(keys)}
        return True

    def find(self, pattern: str, start: str | None, step: int) -> str | None:
        """Return the next shown row that matches, going round from ``start``; None when none does."""
        count = len(self._order)
        here = self.place_of(start)
        first = (-1 if step > 0 else count) if here is None else here
        for distance in range(1, count + 1):
            key = self._order[(first + step * distance) % count]
            if fuzzy_match(pattern, self.search_text(key)):
                return key
        return None

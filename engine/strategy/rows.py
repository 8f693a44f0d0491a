"""Bars and their columns as rows: what `decide` gets to see."""

from __future__ import annotations

import keyword
from collections import namedtuple
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import StrategyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.candle import Bars, FloatArray

__all__ = ["BAR_FIELDS", "Rows", "check_columns"]

BAR_FIELDS = ("ts", "open", "high", "low", "close", "volume")
_BLOCK = 128
"""Rows made at once for a host that asks for one after the other; one that jumps gets each by itself."""


@lru_cache(maxsize=256)
def _row_type(names: tuple[str, ...]) -> Any:
    return namedtuple("Row", names)


class Rows:
    """Rows by number, made on demand a block at a time; reading them in order is cheapest.

    Args:
        bars: The bars.
        columns: Columns of the same length, by name.
    """

    def __init__(self, bars: Bars, columns: Mapping[str, FloatArray]) -> None:
        self._make = _row_type((*BAR_FIELDS, *columns))._make
        self._series = [bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume, *columns.values()]
        self._length = len(bars)
        self._block = self._last = -1
        self._made: list[Any] = []

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        """The named tuple of row `index`, 0 being the oldest."""
        if not 0 <= index < self._length:
            raise IndexError(f"There is no row {index}; there are {self._length}.")
        block, at = divmod(index, _BLOCK)
        follows, self._last = index == self._last + 1, index
        if block != self._block:
            if not follows:
                return self._make([series.item(index) for series in self._series])
            part = slice(block * _BLOCK, (block + 1) * _BLOCK)
            self._made = list(map(self._make, zip(*(series[part].tolist() for series in self._series), strict=True)))
            self._block = block
        return self._made[at]


def check_columns(columns: object, length: int) -> dict[str, FloatArray]:
    """Columns as float64 arrays of one length, or the reason why they are not.

    Raises:
        StrategyError: They are no mapping, or a name cannot be a field, or a column is not one number a bar.
    """
    if not isinstance(columns, dict):
        raise StrategyError(f"columns() must return a dict of arrays by name, not {type(columns).__name__}.")
    checked: dict[str, FloatArray] = {}
    for name, column in columns.items():
        field = isinstance(name, str) and name.isidentifier() and not keyword.iskeyword(name)
        if not field or name.startswith("_") or name in BAR_FIELDS:
            raise StrategyError(
                f"The column name {name!r} cannot be used; choose a plain name other than {BAR_FIELDS}."
            )
        array = np.asarray(column, dtype=np.float64)
        if array.shape != (length,):
            raise StrategyError(
                f"The column {name} has shape {array.shape}; it must have one value a bar, ({length},)."
            )
        checked[name] = array
    return checked

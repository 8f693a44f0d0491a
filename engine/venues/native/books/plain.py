"""The exact book in plain Python, and changed levels as plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine.errors import DataValidationError
from engine.model.market import BookUpdate, OrderBook
from engine.venues.numbers import scaled

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.model.ids import InstrumentId

__all__ = ["Levels", "PlainBook", "PlainLevels", "scaled_levels"]

Levels = tuple[tuple[int, int], ...]


class PlainLevels(NamedTuple):
    """Changed levels as (scaled price, scaled quantity); quantity 0 removes one."""

    bids: Levels
    asks: Levels


def scaled_levels(raw: Iterable[Sequence[str]], price_places: int, quantity_places: int) -> Levels:
    """Levels of (price, quantity, …) texts.

    Raises:
        DataValidationError: A text is no number, has too many decimal places, or is out of range.
    """
    found = []
    for level in raw:
        if len(level) < 2:
            raise DataValidationError("The exchange sent a level without price and quantity.")
        price, quantity = scaled(level[0], price_places), scaled(level[1], quantity_places)
        if price <= 0 or quantity < 0:
            raise DataValidationError(f"The exchange sent a level of {level[1][:20]} at {level[0][:20]}.")
        found.append((price, quantity))
    return tuple(found)


class PlainBook(OrderBook):
    """An `OrderBook` that remembers its last update."""

    __slots__ = ("_last",)

    def __init__(self, instrument: InstrumentId) -> None:
        super().__init__(instrument)
        self._last = BookUpdate(instrument, 0, -1, snapshot=True, bids=(), asks=())

    def apply(self, update: BookUpdate) -> bool:
        """Apply an update; False when its sequence does not follow."""
        if not super().apply(update):
            return False
        self._last = update
        return True

    def begin(self, ts: int, levels: PlainLevels) -> None:
        """Begin anew with a whole book."""
        self.apply(BookUpdate(self.instrument, ts, self.seq + 1, snapshot=True, bids=levels.bids, asks=levels.asks))

    def change(self, ts: int, levels: PlainLevels) -> None:
        """Take changed levels in."""
        self.apply(BookUpdate(self.instrument, ts, self.seq + 1, snapshot=False, bids=levels.bids, asks=levels.asks))

    def last_change(self) -> BookUpdate:
        """The levels that the last update changed."""
        return self._last

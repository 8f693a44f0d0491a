"""Taking changed levels into the sorted sides of a book."""

from __future__ import annotations

from typing import Any

from engine.venues.native.books.kernels.cells import (
    ASKS,
    BEST_ASK,
    BEST_BID,
    BIDS,
    CELLS,
    MESSAGE,
    SEQ,
    TIME,
    WHOLE,
)
from engine.venues.native.books.kernels.compiled import compiled
from engine.venues.native.books.kernels.scan import CROSSED, OK, ROOM
from engine.venues.native.books.kernels.view import row_of

__all__ = ["take"]

NEAR = 32
"""Levels from the best that are looked at first."""


@compiled
def _place(keys: Any, count: int, key: int) -> int:
    """How many of the first `count` ascending keys are below `key`; most are found near the end."""
    low, size = 0, count
    if count > NEAR and keys[count - NEAR] < key:
        low, size = count - NEAR, NEAR
    # Halving without a branch that depends on the keys: such branches cannot be foreseen and cost more than the rest.
    while size > 0:
        half = (size + 1) >> 1
        low += half if keys[low + half - 1] < key else 0
        size -= half
    return low


@compiled
def _insert(keys: Any, quantities: Any, count: int, place: int, key: int, quantity: int) -> int:
    """Put a level before those at `place`, moving what lies between there and the nearest empty one."""
    up, down = place, place - 1
    while up < count and quantities[up] != 0 and down >= 0 and quantities[down] != 0:
        up += 1
        down -= 1
    if down >= 0 and quantities[down] == 0:
        for k in range(down, place - 1):
            keys[k] = keys[k + 1]
            quantities[k] = quantities[k + 1]
        keys[place - 1] = key
        quantities[place - 1] = quantity
        return count
    while up < count and quantities[up] != 0:
        up += 1
    for k in range(up, place, -1):
        keys[k] = keys[k - 1]
        quantities[k] = quantities[k - 1]
    keys[place] = key
    quantities[place] = quantity
    return count + 1 if up == count else count


@compiled
def _merge_side(levels: Any, row: int, count: int, scratch: Any, changes: int, sign: int) -> int:
    """Take changed levels into two rows that ascend to the best price; gives how many there are now.

    A level that is removed stays as an empty one: prices come back, and new ones move only what lies before the nearest
    empty one.
    """
    keys, quantities = row_of(levels, row), row_of(levels, row + 1)
    prices, sizes = row_of(scratch, row), row_of(scratch, row + 1)
    for n in range(changes):
        key = prices[n] * sign
        quantity = sizes[n]
        place = _place(keys, count, key)
        if place < count and keys[place] == key:
            quantities[place] = quantity
        elif quantity:
            count = _insert(keys, quantities, count, place, key, quantity)
    while count > 0 and quantities[count - 1] == 0:
        count -= 1
    return count


@compiled
def _compact(levels: Any, row: int, count: int) -> int:
    """Drop the empty levels of one side; gives how many are left."""
    keys, quantities = row_of(levels, row), row_of(levels, row + 1)
    left = 0
    for k in range(count):
        if quantities[k] != 0:
            keys[left] = keys[k]
            quantities[left] = quantities[k]
            left += 1
    return left


@compiled
def take(levels: Any, scratch: Any, bids: int, asks: int, time: int) -> int:
    """Take changed levels into a book, all of them or none.

    Args:
        levels: Keys and quantities of bids, then of asks: keys ascend to the best price, those of asks are negated; a
            quantity of 0 is an empty level, never the best one. Then a row of the book's `cells`.
        scratch: The changed levels: prices and quantities of bids, then of asks. Then a row of cells, which begins with
            the number of the message that has left them there.
        bids: How many.
        asks: How many.
        time: UTC nanoseconds at the venue.

    Returns:
        OK, ROOM (nothing was taken in), or CROSSED.
    """
    room = levels.shape[1]
    cells = row_of(levels, CELLS)
    have_bids, have_asks = cells[BIDS], cells[ASKS]
    if have_bids + bids > room:
        have_bids = cells[BIDS] = _compact(levels, 0, have_bids)
    if have_asks + asks > room:
        have_asks = cells[ASKS] = _compact(levels, 2, have_asks)
    if have_bids + bids > room or have_asks + asks > room:
        return ROOM
    have_bids = _merge_side(levels, 0, have_bids, scratch, bids, 1)
    have_asks = _merge_side(levels, 2, have_asks, scratch, asks, -1)
    cells[BIDS], cells[ASKS] = have_bids, have_asks
    bid = row_of(levels, 0)[have_bids - 1] if have_bids else 0
    ask = -row_of(levels, 2)[have_asks - 1] if have_asks else 0
    cells[BEST_BID], cells[BEST_ASK] = bid, ask
    cells[TIME] = time
    cells[SEQ] += 1
    cells[WHOLE] = 0
    changed = row_of(scratch, CELLS)
    changed[BIDS], changed[ASKS] = bids, asks
    cells[MESSAGE] = changed[MESSAGE]
    return CROSSED if 0 < ask <= bid else OK

"""What stands where in the last row of a book's array, beside its levels."""

from __future__ import annotations

__all__ = [
    "ASKS",
    "BEST_ASK",
    "BEST_BID",
    "BIDS",
    "CELLS",
    "COUNT",
    "LAST",
    "MESSAGE",
    "PRICE_PLACES",
    "QUANTITY_PLACES",
    "SEQ",
    "TIME",
    "WHOLE",
]

CELLS = 4
"""The row, of books and of scratch."""
BIDS, ASKS = 0, 1
"""How many levels there are on each side, empty ones included; in scratch, how many changed."""
PRICE_PLACES, QUANTITY_PLACES = 2, 3
"""Decimal places."""
BEST_BID, BEST_ASK = 4, 5
"""Scaled prices; 0 for none."""
TIME = 6
"""UTC nanoseconds at the venue of the last update."""
SEQ = 7
"""Counts updates."""
MESSAGE = 8
"""In scratch, counts messages; in a book, the message whose levels were taken in last."""
WHOLE = 9
"""1 when the last update was the whole book."""
LAST = 10
"""The venue's own number of the last update that a kernel has taken in."""
COUNT = 11
"""How many cells there are."""

"""Binance's depth updates and snapshots."""

# ruff: noqa: C901 - a pass over bytes is one chain of branches; calls between would only spread it out

from __future__ import annotations

from typing import Any

from engine.venues.native.books.kernels.cells import CELLS, LAST, MESSAGE, PRICE_PLACES, QUANTITY_PLACES
from engine.venues.native.books.kernels.compiled import brief, compiled
from engine.venues.native.books.kernels.scan import (
    COMMA,
    END,
    LATEST_MS,
    OK,
    ROOM,
    UNUSUAL,
    key_end,
    match,
    read_levels,
    read_whole,
    skip_value,
    text_end,
)
from engine.venues.native.books.kernels.sides import take
from engine.venues.native.books.kernels.view import view

__all__ = ["binance_diff", "binance_move", "binance_snapshot"]

_MS = 1_000_000


@compiled
def _diff(
    data: Any, length: int, at: int, price_places: int, quantity_places: int, scratch: Any
) -> tuple[int, int, int, int, int, int, int]:
    """As `binance_diff`."""
    bad = (UNUSUAL, 0, 0, 0, 0, 0, 0)
    i = match(data, 0, b'{"stream":"')
    wrapped = i >= 0
    if wrapped:
        i = text_end(data, i)
        if i < 0:
            return bad
        i = match(data, i, b'","data":{')
    else:
        i = match(data, 0, b"{")
    if i < 0:
        return bad
    seen = 0
    first, final, previous, time, bids, asks = 0, 0, -1, 0, 0, 0
    while True:
        end = key_end(data, i)
        if end < 0:
            return bad
        key = data[i + 1] if end == i + 2 else 0
        if end == i + 3 and data[i + 1] == 112 and data[i + 2] == 117:
            key = 1
        i = end + 2
        bit = 0
        if key == 98:  # b
            bit = 1
            bids, i = read_levels(data, i, price_places, quantity_places, scratch, 0)
        elif key == 97:  # a
            bit = 2
            asks, i = read_levels(data, i, price_places, quantity_places, scratch, 2)
        elif key == 85:  # U
            bit = 4
            first, i = read_whole(data, i)
        elif key == 117:  # u
            bit = 8
            final, i = read_whole(data, i)
        elif key == 1:  # pu
            bit = 16
            previous, i = read_whole(data, i)
        elif key == 69:  # E
            bit = 32
            time, i = read_whole(data, i)
        elif key == 115:  # s
            bit = 64
            if i + 1 != at:
                return bad
            i = skip_value(data, i)
        elif key == 101:  # e
            bit = 128
            i = match(data, i, b'"depthUpdate"')
        else:
            i = skip_value(data, i)
        if i == -2:
            return (ROOM, 0, 0, 0, 0, 0, 0)
        if i < 0 or seen & bit:
            return bad
        seen |= bit
        c = data[i]
        i += 1
        if c == END:
            break
        if c != COMMA:
            return bad
    if wrapped:
        if data[i] != END:
            return bad
        i += 1
    # Everything but pu must be there.
    if i != length or seen | 16 != 255:
        return bad
    return (OK, first, final, previous, time, bids, asks)


@compiled
def binance_diff(
    data: bytes, at: int, price_places: int, quantity_places: int, scratch: Any
) -> tuple[int, int, int, int, int, int, int]:
    """A `depthUpdate`, bare or in the envelope of combined streams.

    Args:
        data: The message.
        at: Where its symbol begins.
        price_places: Decimal places of prices.
        quantity_places: Decimal places of quantities.
        scratch: Gets prices and quantities of bids, then of asks.

    Returns:
        Status, U, u, pu (-1 without), event time in ms, number of bids, number of asks.
    """
    return _diff(view(data), len(data), at, price_places, quantity_places, scratch)


@compiled
def binance_snapshot(
    data: bytes, price_places: int, quantity_places: int, scratch: Any
) -> tuple[int, int, int, int, int]:
    """A REST depth snapshot: status, lastUpdateId, event time in ms (0 without), number of bids, number of asks."""
    bad = (UNUSUAL, 0, 0, 0, 0)
    text = view(data)
    i = match(text, 0, b'{"lastUpdateId":')
    if i < 0:
        return bad
    last, i = read_whole(text, i)
    time = 0
    if i >= 0 and match(text, i, b',"E":') >= 0:
        time, i = read_whole(text, match(text, i, b',"E":'))
        if i >= 0 and match(text, i, b',"T":') >= 0:
            i = read_whole(text, match(text, i, b',"T":'))[1]
    if i >= 0:
        i = match(text, i, b',"bids":')
    if i < 0:
        return bad
    bids, i = read_levels(text, i, price_places, quantity_places, scratch, 0)
    if i >= 0:
        i = match(text, i, b',"asks":')
    asks = 0
    if i >= 0:
        asks, i = read_levels(text, i, price_places, quantity_places, scratch, 2)
    if i == -2:
        return (ROOM, 0, 0, 0, 0)
    if i < 0 or text[i] != END or i + 1 != len(data):
        return bad
    return (OK, last, time, bids, asks)


@brief
def binance_move(data: bytes, at: int, last: int, bridged: bool, levels: Any, scratch: Any) -> int:
    """A `depthUpdate` that follows, read and taken in at once.

    Args:
        data: The message.
        at: Where its symbol begins.
        last: Update id at which the book stands.
        bridged: Whether a message has followed the snapshot.
        levels: As in `take`.
        scratch: As in `take`; holds the changed levels afterwards.

    Returns:
        u; -1 when nothing was taken in, -2 when the book is crossed now.
    """
    scratch[CELLS, MESSAGE] += 1
    places = levels[CELLS, PRICE_PLACES], levels[CELLS, QUANTITY_PLACES]
    status, first, final, previous, time, bids, asks = _diff(view(data), len(data), at, places[0], places[1], scratch)
    # The rules of `binance_step`: a diff without `pu` has -1 there, and no id is negative.
    follows = first <= last + 1 or (previous >= 0 and (previous == last or (previous <= last and not bridged)))
    if status != OK or final <= last or not follows or time >= LATEST_MS:
        return -1
    status = take(levels, scratch, bids, asks, time * _MS)
    if status == ROOM:
        return -1
    levels[CELLS, LAST] = final
    return final if status == OK else -2

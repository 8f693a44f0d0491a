"""OKX's book messages and their checksum."""

# ruff: noqa: C901 - a pass over bytes is one chain of branches; calls between would only spread it out

from __future__ import annotations

from typing import Any

from engine.venues.native.books.kernels.cells import (
    ASKS,
    BIDS,
    CELLS,
    LAST,
    MESSAGE,
    PRICE_PLACES,
    QUANTITY_PLACES,
)
from engine.venues.native.books.kernels.compiled import brief, compiled
from engine.venues.native.books.kernels.scan import (
    BEGIN,
    COLON,
    COMMA,
    DOT,
    END,
    LATEST_MS,
    OK,
    QUOTE,
    ROOM,
    UNUSUAL,
    ZERO,
    key_end,
    match,
    read_levels,
    read_signed,
    read_whole,
    skip_value,
)
from engine.venues.native.books.kernels.sides import take
from engine.venues.native.books.kernels.view import view

__all__ = ["okx_books", "okx_crc", "okx_move"]

_MS = 1_000_000


@compiled
def _okx_arg(data: Any, i: int, at: int) -> int:
    """Index after the `arg` object of a book channel whose instId begins at `at`; -1 for anything else."""
    if data[i] != BEGIN:
        return -1
    i += 1
    seen = 0
    while True:
        end = key_end(data, i)
        if end < 0:
            return -1
        key, i = i, end + 2
        if match(data, key, b'"channel":') == i:
            if seen & 1 or match(data, i, b'"books') < 0:
                return -1
            seen |= 1
        elif match(data, key, b'"instId":') == i:
            if seen & 2 or i + 1 != at:
                return -1
            seen |= 2
        i = skip_value(data, i)
        if i < 0:
            return -1
        c = data[i]
        i += 1
        if c == END:
            return i if seen == 3 else -1
        if c != COMMA:
            return -1


@compiled
def _okx_item(
    data: Any, length: int, i: int, price_places: int, quantity_places: int, scratch: Any
) -> tuple[int, int, int, int, int, int, int, int, int]:
    """As `okx_books`, from the end of the `arg` object on."""
    bad = (UNUSUAL, 0, 0, 0, 0, 0, 0, 0, 0)
    snapshot = 0
    end = match(data, i, b',"action":"update","data":[{')
    if end < 0:
        snapshot = 1
        end = match(data, i, b',"action":"snapshot","data":[{')
    if end < 0:
        return bad
    i = end
    seen, sequence, previous, checksum, time, bids, asks = 0, 0, 0, 0, 0, 0, 0
    while True:
        end = key_end(data, i)
        if end < 0:
            return bad
        key, i = i, end + 2
        bit = 0
        if match(data, key, b'"asks":') == i:
            bit = 8
            asks, i = read_levels(data, i, price_places, quantity_places, scratch, 2)
        elif match(data, key, b'"bids":') == i:
            bit = 16
            bids, i = read_levels(data, i, price_places, quantity_places, scratch, 0)
        elif match(data, key, b'"ts":') == i:
            bit = 32
            if data[i] != QUOTE:
                return bad
            time, i = read_whole(data, i + 1)
            if i < 0 or data[i] != QUOTE:
                return bad
            i += 1
        elif match(data, key, b'"seqId":') == i:
            bit = 1
            sequence, i = read_signed(data, i)
        elif match(data, key, b'"prevSeqId":') == i:
            bit = 2
            previous, i = read_signed(data, i)
        elif match(data, key, b'"checksum":') == i:
            bit = 4
            checksum, i = read_signed(data, i)
        else:
            i = skip_value(data, i)
        if i == -2:
            return (ROOM, 0, 0, 0, 0, 0, 0, 0, 0)
        if i < 0 or seen & bit:
            return bad
        seen |= bit
        c = data[i]
        i += 1
        if c == END:
            break
        if c != COMMA:
            return bad
    i = match(data, i, b"]}")
    if i != length or seen & 56 != 56:
        return bad
    return (OK, snapshot, seen & 7, sequence, previous, checksum, time, bids, asks)


@compiled
def okx_books(
    data: bytes, at: int, price_places: int, quantity_places: int, scratch: Any
) -> tuple[int, int, int, int, int, int, int, int, int]:
    """A message of a `books…` channel with one item.

    Args:
        data: The message.
        at: Where its instId begins.
        price_places: Decimal places of prices.
        quantity_places: Decimal places of quantities.
        scratch: Gets prices and quantities of bids, then of asks.

    Returns:
        Status, 1 for a snapshot, what is there (1 seqId, 2 prevSeqId, 4 checksum), seqId, prevSeqId, checksum, time in
        ms, number of bids, number of asks.
    """
    text = view(data)
    i = match(text, 0, b'{"arg":')
    if i >= 0:
        i = _okx_arg(text, i, at)
    if i < 0:
        return (UNUSUAL, 0, 0, 0, 0, 0, 0, 0, 0)
    return _okx_item(text, len(data), i, price_places, quantity_places, scratch)


@brief
def okx_move(data: bytes, start: int, last: int, levels: Any, scratch: Any) -> int:
    """An update that follows by its numbers and has no checksum, read and taken in at once.

    Args:
        data: The message.
        start: The index after its `arg` object, which belongs to the books of this instrument.
        last: seqId at which the book stands.
        levels: As in `take`.
        scratch: As in `take`; holds the changed levels afterwards.

    Returns:
        seqId; -1 when nothing was taken in, -2 when the book is crossed now.
    """
    scratch[CELLS, MESSAGE] += 1
    places = levels[CELLS, PRICE_PLACES], levels[CELLS, QUANTITY_PLACES]
    found = _okx_item(view(data), len(data), start, places[0], places[1], scratch)
    status, snapshot, has, sequence, previous, checksum, time, bids, asks = found
    if status != OK or snapshot != 0 or has & 3 != 3 or checksum != 0 or previous != last or sequence < 0:
        return -1
    if time >= LATEST_MS:
        return -1
    status = take(levels, scratch, bids, asks, time * _MS)
    if status == ROOM:
        return -1
    levels[CELLS, LAST] = sequence
    return sequence if status == OK else -2


@compiled
def _put_decimal(out: Any, i: int, value: int, places: int) -> int:
    """Write a scaled integer as the shortest decimal text; gives the index after it."""
    while places > 0 and value % 10 == 0:
        value //= 10
        places -= 1
    width = 1
    power = 10
    while power <= value:
        power *= 10
        width += 1
    width = max(width, places + 1)
    end = i + width + (1 if places else 0)
    k = end - 1
    for n in range(width):
        if places and n == places:
            out[k] = DOT
            k -= 1
        out[k] = ZERO + value % 10
        value //= 10
        k -= 1
    return end


@compiled
def okx_crc(levels: Any, table: Any, text: Any) -> int:
    """OKX's checksum of the best 25 levels a side, signed.

    Args:
        levels: As in `take`.
        table: The 256 words of CRC-32.
        text: Room for the text, 4096 bytes.
    """
    i = 0
    next_bid, next_ask = levels[CELLS, BIDS] - 1, levels[CELLS, ASKS] - 1
    for _ in range(25):
        for side in range(2):
            row = side * 2
            at = next_ask if side else next_bid
            while at >= 0 and levels[row + 1, at] == 0:
                at -= 1
            if side:
                next_ask = at - 1
            else:
                next_bid = at - 1
            if at < 0:
                continue
            key = levels[row, at]
            i = _put_decimal(text, i, -key if side else key, levels[CELLS, PRICE_PLACES])
            text[i] = COLON
            i = _put_decimal(text, i + 1, levels[row + 1, at], levels[CELLS, QUANTITY_PLACES])
            text[i] = COLON
            i += 1
    crc = 0xFFFFFFFF
    for n in range(i - 1):
        crc = table[(crc ^ text[n]) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return crc - 0x100000000 if crc >= 0x80000000 else crc

"""Coinbase's level2 messages."""

# ruff: noqa: C901 - a pass over bytes is one chain of branches; calls between would only spread it out

from __future__ import annotations

from typing import Any

from engine.venues.native.books.kernels.cells import CELLS, MESSAGE, PRICE_PLACES, QUANTITY_PLACES
from engine.venues.native.books.kernels.compiled import brief, compiled
from engine.venues.native.books.kernels.scan import (
    BEGIN,
    CLOSE,
    COLON,
    COMMA,
    DOT,
    END,
    MINUS,
    NINE,
    OK,
    QUOTE,
    ROOM,
    UNUSUAL,
    ZERO,
    key_end,
    match,
    read_decimal,
    read_whole,
    skip_value,
    text_end,
)
from engine.venues.native.books.kernels.sides import take
from engine.venues.native.books.kernels.view import row_of, view

__all__ = ["coinbase_level2", "coinbase_move"]


@compiled
def _two(data: Any, i: int) -> int:
    """Two digits; -1 for anything else."""
    tens: int = data[i]
    ones: int = data[i + 1] if tens else 0
    if tens < ZERO or tens > NINE or ones < ZERO or ones > NINE:
        return -1
    return (tens - ZERO) * 10 + (ones - ZERO)


@compiled
def _iso(data: Any, i: int) -> tuple[int, int]:
    """A UTC time in quotes as nanoseconds since 1970, and the index after it; -1 as index for anything else."""
    if data[i] != QUOTE or text_end(data, i + 1) < i + 21:
        return 0, -1
    i += 1
    century, year, month, day = _two(data, i), _two(data, i + 2), _two(data, i + 5), _two(data, i + 8)
    hour, minute, second = _two(data, i + 11), _two(data, i + 14), _two(data, i + 17)
    if min(century, year, month, day, hour, minute, second) < 0 or century != 20:
        return 0, -1
    # The last days of a month are left to those who know calendars.
    if month < 1 or month > 12 or day < 1 or hour > 23 or minute > 59 or second > 59:
        return 0, -1
    if day > 28 and (month == 2 or day > 30):
        if month != 1 and month != 3 and month != 5 and month != 7 and month != 8 and month != 10 and month != 12:
            return 0, -1
        if day > 31:
            return 0, -1
    if data[i + 4] != MINUS or data[i + 7] != MINUS or data[i + 10] != 84:
        return 0, -1
    if data[i + 13] != COLON or data[i + 16] != COLON:
        return 0, -1
    i += 19
    fraction, digits = 0, 0
    if data[i] == DOT:
        i += 1
        while ZERO <= data[i] <= NINE and digits < 9:
            fraction = fraction * 10 + (data[i] - ZERO)
            digits += 1
            i += 1
        if digits == 0:
            return 0, -1
    if data[i] != 90 or data[i + 1] != QUOTE:
        return 0, -1
    while digits < 9:
        fraction *= 10
        digits += 1
    years = century * 100 + year - (1 if month <= 2 else 0)
    era_year = years % 400
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = (years // 400) * 146097 + era_year * 365 + era_year // 4 - era_year // 100 + day_of_year - 719468
    return ((days * 24 + hour) * 60 + minute) * 60 * 1_000_000_000 + second * 1_000_000_000 + fraction, i + 2


@compiled
def _usual_level(data: Any, i: int, price_places: int, quantity_places: int) -> tuple[int, int, int, int]:
    """As `_coinbase_level`, for the order of keys in which they have always come."""
    bad = (0, 0, 0, -1)
    side = 0
    i = match(data, i, b'{"side":"')
    if i < 0:
        return bad
    at = match(data, i, b'bid","event_time":"')
    if at < 0:
        side = 1
        at = match(data, i, b'offer","event_time":"')
    i = text_end(data, at) if at >= 0 else -1
    if i >= 0:
        i = match(data, i, b'","price_level":')
    if i < 0:
        return bad
    price, i = read_decimal(data, i, price_places)
    if i >= 0:
        i = match(data, i, b',"new_quantity":')
    if i < 0 or price == 0:
        return bad
    quantity, i = read_decimal(data, i, quantity_places)
    if i < 0 or data[i] != END:
        return bad
    return side, price, quantity, i + 1


@compiled
def _coinbase_level(data: Any, i: int, price_places: int, quantity_places: int) -> tuple[int, int, int, int]:
    """One object of `updates`: side (0 bid, 1 offer), price, quantity, and the index after it; -1 for anything else."""
    bad = (0, 0, 0, -1)
    if data[i] != BEGIN:
        return bad
    i += 1
    seen, side, price, quantity = 0, 0, 0, 0
    while True:
        end = key_end(data, i)
        if end < 0:
            return bad
        key, i = i, end + 2
        bit = 0
        if match(data, key, b'"price_level":') == i:
            bit = 1
            price, i = read_decimal(data, i, price_places)
        elif match(data, key, b'"new_quantity":') == i:
            bit = 2
            quantity, i = read_decimal(data, i, quantity_places)
        elif match(data, key, b'"side":') == i:
            bit = 4
            side = 0 if match(data, i, b'"bid"') >= 0 else 1
            i = match(data, i, b'"offer"') if side else i + 5
        else:
            i = skip_value(data, i)
        if i < 0 or seen & bit:
            return bad
        seen |= bit
        c = data[i]
        i += 1
        if c == END:
            break
        if c != COMMA:
            return bad
    if seen != 7 or price == 0:
        return bad
    return side, price, quantity, i


@compiled
def _coinbase_head(data: Any) -> tuple[int, int, int]:
    """Time in nanoseconds, sequence_num, and the index after `"events":[{`; -1 as index for anything else."""
    bad = (0, 0, -1)
    i = match(data, 0, b'{"channel":"l2_data"')
    if i < 0:
        return bad
    seen, time, number = 0, 0, 0
    while True:
        if data[i] != COMMA:
            return bad
        key = i + 1
        end = key_end(data, key)
        if end < 0:
            return bad
        i = end + 2
        bit = 0
        if match(data, key, b'"timestamp":') == i:
            bit = 1
            time, i = _iso(data, i)
        elif match(data, key, b'"sequence_num":') == i:
            bit = 2
            number, i = read_whole(data, i)
        elif match(data, key, b'"events":') == i:
            i = match(data, i, b"[{")
            return time, number, i if seen == 3 else -1
        else:
            if match(data, key, b'"channel":') == i:
                return bad
            i = skip_value(data, i)
        if i < 0 or seen & bit:
            return bad
        seen |= bit


@compiled
def _level2(
    data: Any, length: int, at: int, price_places: int, quantity_places: int, scratch: Any
) -> tuple[int, int, int, int, int, int]:
    """As `coinbase_level2`."""
    bad = (UNUSUAL, 0, 0, 0, 0, 0)
    time, number, i = _coinbase_head(data)
    if i < 0:
        return bad
    snapshot = 0
    end = match(data, i, b'"type":"update","product_id":"')
    if end < 0:
        snapshot = 1
        end = match(data, i, b'"type":"snapshot","product_id":"')
    if end != at or at < 0:
        return bad
    i = text_end(data, at)
    if i >= 0:
        i = match(data, i, b'","updates":[')
    if i < 0:
        return bad
    most = scratch.shape[1]
    bid_prices, bid_sizes = row_of(scratch, 0), row_of(scratch, 1)
    ask_prices, ask_sizes = row_of(scratch, 2), row_of(scratch, 3)
    bids, asks = 0, 0
    if data[i] == CLOSE:
        i += 1
    else:
        while True:
            if bids == most or asks == most:
                return (ROOM, 0, 0, 0, 0, 0)
            start = i
            side, price, quantity, i = _usual_level(data, start, price_places, quantity_places)
            if i < 0:
                side, price, quantity, i = _coinbase_level(data, start, price_places, quantity_places)
            if i < 0:
                return bad
            if side == 0:
                bid_prices[bids] = price
                bid_sizes[bids] = quantity
                bids += 1
            else:
                ask_prices[asks] = price
                ask_sizes[asks] = quantity
                asks += 1
            c = data[i]
            i += 1
            if c == CLOSE:
                break
            if c != COMMA:
                return bad
    if match(data, i, b"}]}") != length:
        return bad
    return (OK, snapshot, number, time, bids, asks)


@compiled
def coinbase_level2(
    data: bytes, at: int, price_places: int, quantity_places: int, scratch: Any
) -> tuple[int, int, int, int, int, int]:
    """A message of `l2_data` with one event.

    Args:
        data: The message.
        at: Where its product_id begins.
        price_places: Decimal places of prices.
        quantity_places: Decimal places of quantities.
        scratch: Gets prices and quantities of bids, then of asks.

    Returns:
        Status, 1 for a snapshot, sequence_num, time in nanoseconds, number of bids, number of asks.
    """
    return _level2(view(data), len(data), at, price_places, quantity_places, scratch)


@brief
def coinbase_move(data: bytes, at: int, number: int, levels: Any, scratch: Any) -> int:
    """An update read and taken in at once.

    Args:
        data: The message.
        at: Where its product_id begins.
        number: The sequence_num it must have.
        levels: As in `take`.
        scratch: As in `take`; holds the changed levels afterwards.

    Returns:
        OK; UNUSUAL when nothing was taken in, CROSSED when the book is crossed now.
    """
    scratch[CELLS, MESSAGE] += 1
    places = levels[CELLS, PRICE_PLACES], levels[CELLS, QUANTITY_PLACES]
    found = _level2(view(data), len(data), at, places[0], places[1], scratch)
    status, snapshot, counted, time, bids, asks = found
    if status != OK or snapshot != 0 or counted != number:
        return UNUSUAL
    status = take(levels, scratch, bids, asks, time)
    return UNUSUAL if status == ROOM else status

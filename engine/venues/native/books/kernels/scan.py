"""Reading the pieces of compact JSON: words, texts, numbers and levels, each from an index to the index after it.

`data` is always the `view` of a message.
"""

# ruff: noqa: C901 - a pass over bytes is one chain of branches; calls between would only spread it out

from __future__ import annotations

from typing import Any

from engine.venues.native.books.kernels.compiled import compiled
from engine.venues.native.books.kernels.view import row_of

__all__ = [
    "BACKSLASH",
    "BEGIN",
    "CLOSE",
    "COLON",
    "COMMA",
    "CROSSED",
    "DIGITS",
    "DOT",
    "END",
    "LATEST_MS",
    "MINUS",
    "NINE",
    "OK",
    "OPEN",
    "QUOTE",
    "ROOM",
    "UNUSUAL",
    "ZERO",
    "key_end",
    "match",
    "read_decimal",
    "read_levels",
    "read_signed",
    "read_whole",
    "skip_value",
    "text_end",
]

OK = 0
UNUSUAL = 1
ROOM = 2
"""The arrays are too short; nothing was changed."""
CROSSED = 3
"""Taken in, and the best bid is not below the best ask now."""
LATEST_MS = 2**62 // 1_000_000
"""Times from here on, in the year 2116, do not fit."""
DIGITS = 18
"""More may not fit 64 bits."""
QUOTE, COMMA, MINUS, DOT, ZERO, NINE, COLON = 34, 44, 45, 46, 48, 57, 58
OPEN, CLOSE, BACKSLASH, BEGIN, END = 91, 93, 92, 123, 125


@compiled
def match(data: Any, i: int, word: bytes) -> int:
    """Index after these very bytes; -1 when they are not there."""
    for c in word:
        if data[i] != c:
            return -1
        i += 1
    return i


@compiled
def text_end(data: Any, i: int) -> int:
    """Index of the quote that ends the text which begins at i; -1 for anything but plain characters."""
    while True:
        c = data[i]
        if c == QUOTE:
            return i
        if c < 32 or c > 126 or c == BACKSLASH:
            return -1
        i += 1


@compiled
def read_whole(data: Any, i: int) -> tuple[int, int]:
    """A non-negative integer and the index after it; -1 as index for anything else."""
    value, start = 0, i
    c = data[i]
    while ZERO <= c <= NINE:
        value = value * 10 + (c - ZERO)
        i += 1
        c = data[i]
    length = i - start
    if length == 0 or length > DIGITS or (length > 1 and data[start] == ZERO):
        return 0, -1
    return value, i


@compiled
def read_signed(data: Any, i: int) -> tuple[int, int]:
    """As `_whole`, with an optional minus."""
    if data[i] == MINUS:
        value, end = read_whole(data, i + 1)
        return -value, end
    return read_whole(data, i)


@compiled
def read_decimal(data: Any, i: int, places: int) -> tuple[int, int]:
    """A decimal in quotes as a scaled integer, and the index after the closing quote; -1 as index for anything else."""
    if data[i] != QUOTE:
        return 0, -1
    i += 1
    value, start = 0, i
    c = data[i]
    while ZERO <= c <= NINE:
        value = value * 10 + (c - ZERO)
        i += 1
        c = data[i]
    digits = i - start
    if digits == 0:
        return 0, -1
    kept = 0
    if c == DOT:
        i += 1
        start = i
        c = data[i]
        while ZERO <= c <= NINE:
            if kept < places:
                value = value * 10 + (c - ZERO)
                kept += 1
            elif c != ZERO:
                return 0, -1
            i += 1
            c = data[i]
        if i == start:
            return 0, -1
    if c != QUOTE or digits + places > DIGITS:
        return 0, -1
    while kept < places:
        value *= 10
        kept += 1
    return value, i + 1


@compiled
def skip_value(data: Any, i: int) -> int:
    """Index after a value nobody asks for: a text, an integer, a word; -1 for anything else."""
    c = data[i]
    if c == QUOTE:
        end = text_end(data, i + 1)
        return end + 1 if end >= 0 else -1
    if c == MINUS or ZERO <= c <= NINE:
        return read_signed(data, i)[1]
    end = match(data, i, b"true")
    if end < 0:
        end = match(data, i, b"false")
    if end < 0:
        end = match(data, i, b"null")
    return end


@compiled
def read_levels(data: Any, i: int, price_places: int, quantity_places: int, scratch: Any, row: int) -> tuple[int, int]:
    """A list of [price, quantity, …] into two rows of scratch: how many, and the index after it.

    As index -1 for anything unusual, -2 when scratch is too short.
    """
    if data[i] != OPEN:
        return 0, -1
    i += 1
    if data[i] == CLOSE:
        return 0, i + 1
    most = scratch.shape[1]
    prices, quantities = row_of(scratch, row), row_of(scratch, row + 1)
    count = 0
    while True:
        if count == most:
            return 0, -2
        if data[i] != OPEN:
            return 0, -1
        price, i = read_decimal(data, i + 1, price_places)
        if i < 0 or price == 0 or data[i] != COMMA:
            return 0, -1
        quantity, i = read_decimal(data, i + 1, quantity_places)
        if i < 0:
            return 0, -1
        while data[i] == COMMA:
            if data[i + 1] != QUOTE:
                return 0, -1
            i = text_end(data, i + 2) + 1
            if i == 0:
                return 0, -1
        if data[i] != CLOSE:
            return 0, -1
        prices[count] = price
        quantities[count] = quantity
        count += 1
        i += 1
        c = data[i]
        i += 1
        if c == CLOSE:
            return count, i
        if c != COMMA:
            return 0, -1


@compiled
def key_end(data: Any, i: int) -> int:
    """Index of the quote that ends a key whose quote is at i, where a colon follows; -1 for anything else."""
    if data[i] != QUOTE:
        return -1
    end = text_end(data, i + 1)
    return end if end >= 0 and data[end + 1] == COLON else -1

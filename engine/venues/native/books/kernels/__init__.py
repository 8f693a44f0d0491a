"""Compiled passes over the raw bytes of book messages. Never import this on the event loop: see `loading.py`.

A pass accepts only what it understands to the last byte: compact JSON, plain ASCII texts, decimals that fit the
instrument's places and 18 digits. Anything else is not taken in, and the plain decoder decides.

Indexing is not checked in compiled code. It is safe because CPython ends every `bytes` object with a zero byte that is
not part of it: no pass moves on from a byte that it has not recognised, and zero is recognised nowhere.

What it costs: about 100 MB of memory a process for numba and LLVM, whatever the number of books.
"""

from __future__ import annotations

from engine.venues.native.books.kernels.binance import binance_diff, binance_move, binance_snapshot
from engine.venues.native.books.kernels.coinbase import coinbase_level2, coinbase_move
from engine.venues.native.books.kernels.compiled import direct
from engine.venues.native.books.kernels.okx import okx_books, okx_crc, okx_move
from engine.venues.native.books.kernels.scan import CROSSED, OK, ROOM, UNUSUAL
from engine.venues.native.books.kernels.sides import take

__all__ = [
    "CROSSED",
    "OK",
    "ROOM",
    "UNUSUAL",
    "binance_diff",
    "binance_move",
    "binance_snapshot",
    "coinbase_level2",
    "coinbase_move",
    "direct",
    "okx_books",
    "okx_crc",
    "okx_move",
    "take",
]

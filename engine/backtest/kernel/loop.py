"""Compiled: one pass over the bars, bar by bar: fills, breakers, the decision. Importing it imports numba.

The compiled code is kept on disk and found again by all of the kernel's sources, so that a change in any of them
compiles anew.
"""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

from numba import njit

from engine.backtest.kernel import layout as x
from engine.backtest.kernel.calm import pass_calm
from engine.backtest.kernel.decide import decide
from engine.backtest.kernel.fills import bounds, cash, reducing, walk, worse
from engine.backtest.kernel.parts import borrowed, part, pointer
from engine.backtest.kernel.risk import DAY_NS, look, obey, track

# ruff: noqa: E741 - o, h, l, c, v are the bar


@part
def _busy(k: Any) -> bool:
    # Of the breakers only that of a day closes by a clock that begins at a bar; the others look the same at any later.
    return bool(k[x.HELD_SIDE] or k[x.ENTRY_LEFT] or reducing(k) or k[x.DAILY])


@part
def _begin(ts: Any, k: Any, s: Any, p: Any, q: Any) -> None:
    for j in range(x.K_SIZE):
        k[j] = 0
    for j in range(x.S_SIZE):
        s[j] = 0.0
    k[x.DAY] = k[x.WEEK] = k[x.MONTH] = k[x.REC_DAY] = k[x.LOOKED] = -1
    k[x.DAY_FIRST] = (ts[0] + q[x.LENGTH] - 1) // DAY_NS
    s[x.TOP] = s[x.LOW] = s[x.EQUITY] = p[x.CAPITAL]
    s[x.BEST] = s[x.STOP] = -math.inf
    s[x.FIXED] = s[x.TARGET] = math.inf
    s[x.MEMORY_CONFIDENCE] = 1.0
    k[x.MEMORY_ASKED] = 1


@part
def _record_end(ticks: int, ts: int, k: Any, q: Any, fills: Any) -> None:
    if k[x.FILLS] >= q[x.FILLS_ROOM]:
        k[x.STATUS] = x.FULL
        return
    line = k[x.FILLS] * x.F_SIZE
    fills[line + x.F_BAR], fills[line + x.F_TS], fills[line + x.F_TICKS] = k[x.INDEX], ts, ticks
    fills[line + x.F_LOTS], fills[line + x.F_SIDE] = abs(k[x.POS]), -1 if k[x.POS] > 0 else 1
    fills[line + x.F_KIND], fills[line + x.F_ROW] = x.BY_END, k[x.INDEX]


@part
def _end(ts: Any, c: Any, k: Any, s: Any, p: Any, q: Any, fills: Any, daily: Any) -> None:
    """Close what is held at exactly the last close, and count the last value."""
    last = len(c) - 1
    if k[x.HELD_SIDE]:
        buy = k[x.POS] < 0
        # A limit order at the last close, which the close meets: on the grid, against the trader, and no worse.
        ticks = worse(c[last], 0.0, buy, p, q)
        if q[x.RECORD]:
            _record_end(ticks, ts[last] + q[x.LENGTH], k, q, fills)
        k[x.FILLS] += 1
        k[x.ORDERS] += 1
        value = ticks * k[x.POS]
        fee = abs(value) * p[x.UNIT] * p[x.TAKER]
        k[x.NET] += value
        s[x.FEES] += fee
        result = s[x.TRADE_NET] + value * p[x.UNIT] - s[x.TRADE_FEES] - fee
        k[x.TRADES] += 1
        k[x.WINS] += 1 if result > 0 else 0
        k[x.LOSSES] += 1 if result < 0 else 0
        s[x.GAINS] += max(result, 0.0)
        s[x.LOST] += max(-result, 0.0)
        k[x.POS] = 0
        k[x.BUSY] = 1
        s[x.EQUITY] = cash(k, s, p)
    track(s)
    s[x.FALL] = max(s[x.FALL], 1.0 - s[x.LOW] / s[x.TOP])
    if k[x.LOOKED] >= 0:
        daily[k[x.LOOKED] // DAY_NS - k[x.DAY_FIRST]] = s[x.EQUITY]


@part
def _pass(bars: Any, cols: Any, roi_bars: Any, roi_share: Any, k: Any, s: Any, p: Any, q: Any, out: Any) -> None:
    """The bars one after another; those at which a flat account has nothing to do are left out."""
    ts, o, h, l, c, v = bars
    fills, book, halts, daily = out
    made = (fills, book)
    entry, count, length, first = cols[0], len(c), q[x.LENGTH], q[x.FIRST]
    i, busy = 0, False
    while i < count and k[x.STATUS] == x.OK:
        if not busy:
            i = max(i, first)
            while i < count and entry[i] == 0.0:
                i += 1
            if i >= count:
                break
        k[x.INDEX] = i
        if l[i] <= s[x.BELOW] or h[i] >= s[x.ABOVE]:
            walk(ts[i], o[i], h[i], l[i], c[i], v[i], k, s, p, q, made)
        s[x.MARK] = c[i]
        look(ts[i] + length, c[i], k, s, p, q, halts, daily)
        obey(i, k, s, p, q)
        if i >= first:
            decide(i, h[i], l[i], c[i], cols, roi_bars, roi_share, k, s, p, q)
        bounds(k, s, p, q)
        k[x.HELD_BARS] += 1 if k[x.POS] else 0
        busy = _busy(k)
        i += 1
        if k[x.HELD_SIDE] and i >= first:
            leave = cols[1] if k[x.HELD_SIDE] > 0 else cols[2]
            i = pass_calm(i, ts, h, l, c, leave, cols[6], cols[7], roi_bars, k, s, p, q)
    if k[x.STATUS] == x.OK:
        _end(ts, c, k, s, p, q, fills, daily)


@part
def _whole(bars: Any, cols: Any, roi_bars: Any, roi_share: Any, k: Any, s: Any, p: Any, q: Any, out: Any) -> None:
    kk, ss, pp, qq = pointer(k), pointer(s), pointer(p), pointer(q)
    roi_bars, roi_share = borrowed(roi_bars), borrowed(roi_share)
    ts, o, h, l, c, v = bars
    bars = borrowed(ts), borrowed(o), borrowed(h), borrowed(l), borrowed(c), borrowed(v)
    c0, c1, c2, c3, c4, c5, c6, c7, c8 = cols
    cols = (
        borrowed(c0), borrowed(c1), borrowed(c2), borrowed(c3), borrowed(c4), borrowed(c5), borrowed(c6), borrowed(c7),
        borrowed(c8),
    )  # fmt: skip
    fills, book, halts, daily = out
    made = pointer(fills), pointer(book), pointer(halts), pointer(daily)
    _begin(bars[0], kk, ss, pp, qq)
    _pass(bars, cols, roi_bars, roi_share, kk, ss, pp, qq, made)


def _stamp() -> int:
    """A number that changes with any source of the kernel."""
    digest = hashlib.blake2b(digest_size=7)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest(), "big")


def _compiled(stamp: int) -> Any:
    # The stamp is a free variable, and so part of what numba finds it by on disk.
    @njit(cache=True, nogil=True, error_model="numpy")
    def one(bars: Any, cols: Any, roi_bars: Any, roi_share: Any, k: Any, s: Any, p: Any, q: Any, out: Any) -> int:
        _whole(bars, cols, roi_bars, roi_share, k, s, p, q, out)
        return stamp

    return one


simulate = _compiled(_stamp())
"""Run one set of columns over the bars; `k`, `s` and the arrays of `out` are filled."""


def load() -> None:
    """Compile, where nothing is kept on disk yet, by a pass over two bars."""
    import numpy as np

    column = np.ones(2)
    bars = (np.arange(2, dtype=np.int64), column, column, column, column, column)
    numbers = np.zeros(x.K_SIZE, dtype=np.int64), np.zeros(x.S_SIZE), np.ones(x.P_SIZE), np.ones(x.Q_SIZE, np.int64)
    out = (np.zeros((1, x.F_SIZE), np.int64), np.zeros((x.LOTS_KEPT, 2), np.int64), np.zeros((x.HALTS_KEPT, x.H_SIZE)))
    simulate(bars, (np.zeros(2),) * 9, np.zeros(0, np.int64), np.zeros(0), *numbers, (*out, np.zeros(3)))

"""Compiled: the bars at which a held position meets nothing, judges nothing and decides nothing, in one tight loop.

All that those bars change is how long the position is held, its best price, and the value of the account; everything
is kept in local numbers until a bar asks for more.
"""

from __future__ import annotations

import math
from typing import Any

from engine.backtest.kernel import layout as x
from engine.backtest.kernel.fills import cash, units_of
from engine.backtest.kernel.parts import part

# ruff: noqa: E741 - h, l, c are the bar


@part
def _next_step(bars: int, roi_bars: Any, q: Any) -> int:
    """Bars held at which time or a step of the returns counts next."""
    found = 1 << 60
    for j in range(len(roi_bars)):
        if roi_bars[j] > bars:
            found = min(found, roi_bars[j])
    if q[x.MAX_BARS] > 0:
        found = min(found, q[x.MAX_BARS])
    return found


@part
def _floor(side: int, s: Any, p: Any) -> float:
    """A trailing stop counts only beyond this."""
    if s[x.STOP] == -math.inf:
        entry = s[x.MEMORY_ENTRY]
        return float(side * entry - p[x.DEFAULT_STOP] * entry)
    return float(s[x.STOP])


@part
def _trails(best: float, distance: float, floor: float, pct: float, trail_from: float) -> bool:
    """Whether the stop moves."""
    by_distance = distance > 0 and best - distance > floor
    return bool(by_distance or (pct > 0 and best >= trail_from and best - pct * abs(best) > floor))


@part
def _adds(gained: float, distance: float) -> bool:
    """Whether a level more is due."""
    return bool(gained >= distance >= 0 or gained <= distance < 0)


@part
def pass_calm(
    i: int, ts: Any, h: Any, l: Any, c: Any, leave: Any, trails: Any, adds: Any, roi_bars: Any, k: Any, s: Any, p: Any,
    q: Any,
) -> int:  # fmt: skip
    """Pass the bars from `i` on at which nothing happens, and give the first that needs a look."""
    side = k[x.HELD_SIDE]
    if side == 0 or k[x.MEMORY_NEW] or k[x.MEMORY_SIDE] != side or k[x.CLOSING] or k[x.STOPPED]:
        return i
    count, length = len(c), q[x.LENGTH]
    below, above, soonest = s[x.BELOW], s[x.ABOVE], k[x.SOONEST]
    low, high, money = s[x.EQUITY_LOW], s[x.EQUITY_HIGH], cash(k, s, p)
    units, sign = units_of(abs(k[x.POS]), p, q), 1 if k[x.POS] > 0 else -1
    equity, top, bottom, fall = s[x.EQUITY], s[x.TOP], s[x.LOW], s[x.FALL]
    stop, target, best, level = s[x.STOP], s[x.TARGET], s[x.BEST], s[x.LEVEL]
    entry, floor = s[x.MEMORY_ENTRY], _floor(side, s, p)
    trail_pct, trail_from = p[x.TRAIL_PCT], side * entry + p[x.TRAIL_FROM] * entry
    leaves, trailing, adding = len(leave) > 0, len(trails) > 0, len(adds) > 0 and k[x.MEMORY_LEVELS] < q[x.MAX_LEVELS]
    follows = trailing or trail_pct > 0
    start, most = i, i + _next_step(k[x.MEMORY_BARS], roi_bars, q) - k[x.MEMORY_BARS] - 1
    end = min(count, most)
    while i < end:
        close = c[i]
        if l[i] <= below or h[i] >= above or (leaves and leave[i] > 0):
            break
        worth = money + units * close * sign
        if ts[i] + length - 1 >= soonest or not low < worth < high:
            break
        at, reach = side * close, side * (h[i] if side > 0 else l[i])
        reach = max(best, reach)
        wants = at <= stop or at >= target
        wants |= follows and _trails(reach, trails[i] if trailing else math.nan, floor, trail_pct, trail_from)
        if wants or (adding and _adds(at - level, adds[i])):
            break
        best = reach
        if equity > top:
            fall = max(fall, 1.0 - bottom / top)
            top = bottom = equity
        elif equity < bottom:
            bottom = equity
        equity = worth
        i += 1
    if i > start:
        k[x.MEMORY_BARS] += i - start
        k[x.HELD_BARS] += i - start
        k[x.LOOKED] = ts[i - 1] + length - 1
        k[x.INDEX] = i - 1
        s[x.BEST], s[x.EQUITY], s[x.TOP], s[x.LOW], s[x.FALL], s[x.MARK] = best, equity, top, bottom, fall, c[i - 1]
    return i


__all__ = ["pass_calm"]

"""Compiled: the decision of signal strategies, number for number as `engine.strategy.signals`, and the bot's answer."""

from __future__ import annotations

import math
from typing import Any

from engine.backtest.kernel import layout as x
from engine.backtest.kernel.fills import cancel_reducing, cash, grid, held, protect, tell, units_of
from engine.backtest.kernel.parts import part
from engine.backtest.kernel.risk import size

ENTRY, EXIT_LONG, EXIT_SHORT, CONFIDENCE, STOP_AT, TARGET_AT, TRAIL_AT, ADD_AT, SIZE = 0, 1, 2, 3, 4, 5, 6, 7, 8
"""Places of the columns, as in `setup.COLUMNS`; one that is empty does not exist."""


@part
def _at(column: Any, row: int, otherwise: float) -> float:
    return float(column[row]) if len(column) else otherwise


@part
def _enter(
    i: int, close: float, side: int, stop_at: float, target_at: float, trail: float, factor: float, confidence: float,
    k: Any, s: Any, p: Any, q: Any,
) -> None:  # fmt: skip
    at, stop, target = side * close, -math.inf, math.inf
    if stop_at > 0:
        stop = at - stop_at
    elif q[x.HAS_STOP_PCT]:
        stop = at - p[x.STOP_PCT] * close
    if trail > 0:
        stop = max(stop, at - trail)
    if p[x.TRAIL_PCT] > 0 and p[x.TRAIL_FROM] == 0:
        stop = max(stop, at - p[x.TRAIL_PCT] * close)
    if target_at > 0:
        target = at + target_at
    elif q[x.HAS_TARGET_PCT]:
        target = at + p[x.TARGET_PCT] * close
    impossible = -math.inf < stop <= 0 if side > 0 else math.inf > target >= 0
    if impossible or not factor > 0:
        return
    _begin(side, k, s)
    s[x.STOP], s[x.FIXED], s[x.TARGET] = stop, target, target
    s[x.MEMORY_CONFIDENCE] = confidence
    if _passes(i, at, stop, target, factor, s[x.MEMORY_CONFIDENCE], k, p):
        _order(i, close, side, 1, stop, target, factor, k, s, p, q)


@part
def _begin(side: int, k: Any, s: Any) -> None:
    k[x.MEMORY_SIDE], k[x.MEMORY_BARS], k[x.MEMORY_LEVELS], k[x.MEMORY_ASKED], k[x.TRAILED] = side, 0, 0, 1, 0
    s[x.MEMORY_QUANTITY] = s[x.MEMORY_ENTRY] = s[x.LEVEL] = 0.0
    s[x.MEMORY_CONFIDENCE] = 1.0
    s[x.BEST] = s[x.STOP] = -math.inf
    s[x.FIXED] = s[x.TARGET] = math.inf


@part
def _passes(i: int, at: float, stop: float, target: float, factor: float, confidence: float, k: Any, p: Any) -> bool:
    """What the runner checks of a wish to enter: what is impossible ends the run, what is unsure is dropped."""
    if not 0.0 <= confidence <= 1.0:
        k[x.STATUS], k[x.STATUS_ROW] = x.BAD_CONFIDENCE, i
        return False
    if not 0.0 < factor <= 1.0:
        k[x.STATUS], k[x.STATUS_ROW] = x.BAD_SIZE, i
        return False
    if confidence < p[x.MIN_CONFIDENCE]:
        return False
    return _sound(i, at, stop, target, k)


@part
def _sound(i: int, at: float, stop: float, target: float, k: Any) -> bool:
    if stop > -math.inf and not stop < at:
        k[x.STATUS], k[x.STATUS_ROW] = x.BAD_STOP, i
        return False
    if target < math.inf and not target > at:
        k[x.STATUS], k[x.STATUS_ROW] = x.BAD_TARGET, i
        return False
    return True


@part
def _want(i: int, stop: float, target: float, k: Any, p: Any, q: Any) -> None:
    """Put the levels on the grid; infinite ones keep what is there."""
    if -math.inf < stop < math.inf:
        k[x.WANT_STOP] = grid(abs(stop), p, q)
        if k[x.WANT_STOP] < 1:
            k[x.STATUS], k[x.STATUS_ROW] = x.BAD_STOP, i
    if -math.inf < target < math.inf:
        k[x.WANT_TARGET] = grid(abs(target), p, q)
        if k[x.WANT_TARGET] < 1:
            k[x.STATUS], k[x.STATUS_ROW] = x.BAD_TARGET, i


@part
def _order(
    i: int, close: float, side: int, level: int, stop: float, target: float, factor: float, k: Any, s: Any, p: Any,
    q: Any,
) -> None:  # fmt: skip
    """The bot's answer to a wish to enter."""
    lots_held = held(k, s, p, q)
    if lots_held:
        # The levels hold whether or not anything can be added.
        _want(i, stop, target, k, p, q)
        protect(k, s, p, q)
    if k[x.CLOSING] or k[x.ENTRY_LEFT]:
        return
    lots = size(side, close, factor, s[x.MEMORY_CONFIDENCE], k, s, p, q)
    if lots == 0:
        k[x.NOT_SIZED] += 1
        return
    if not _gate(side, k):
        return
    before_stop, before_target = k[x.WANT_STOP], k[x.WANT_TARGET]
    if lots_held == 0:
        k[x.WANT_STOP] = grid(close * (1 - side * p[x.DEFAULT_STOP]), p, q)
        k[x.WANT_TARGET] = 0
        _want(i, stop, target, k, p, q)
    k[x.ORDERS] += 1
    if not _accepted(side, lots, k, s, p, q):
        k[x.REFUSED_MONEY] += 1
        k[x.WANT_STOP], k[x.WANT_TARGET] = before_stop, before_target
        protect(k, s, p, q)
        return
    k[x.ENTRY_LEFT], k[x.ENTRY_SIDE], k[x.ENTRY_ROW], k[x.ENTRY_LEVEL] = lots, side, i, level
    k[x.ENTRY_FIRST] = 0 if k[x.STOP_ON] or k[x.TARGET_ON] else 1


@part
def _gate(side: int, k: Any) -> bool:
    opened = k[x.DAILY] == 1 or k[x.MONTHLY] or k[x.DRAWDOWN] or k[x.HARD]
    if k[x.HALT] == 0 and not opened:
        return True
    if k[x.HALT] == 1:
        k[x.REFUSED_REDUCING] += 1
    if k[x.HALT] == 2 or opened:
        k[x.REFUSED_HALTED] += 1
    return False


@part
def _accepted(side: int, lots: int, k: Any, s: Any, p: Any, q: Any) -> bool:
    """Whether the venue takes an entry: what a short holds cannot be used twice."""
    value = units_of(lots, p, q) * s[x.MARK]
    free = cash(k, s, p) - s[x.SHORT_HELD]
    return bool(value * (1 + p[x.WORST_FEE] if side > 0 else 1.0) <= free * (1 + 1e-15))


@part
def close_all(i: int, code: int, k: Any, s: Any, p: Any, q: Any) -> None:
    """The bot's answer to a wish to leave."""
    if k[x.ENTRY_LEFT]:
        k[x.ENTRY_LEFT] = 0
        tell(k, s, p, q)
    if held(k, s, p, q) == 0 or k[x.STOPPED]:
        return
    if not k[x.CLOSING]:
        k[x.CLOSING], k[x.CLOSE_ROW], k[x.CLOSE_CODE] = 1, i, code
    cancel_reducing(k)
    if k[x.CLOSE_ON]:
        return
    if held(k, s, p, q):
        k[x.CLOSE_ON], k[x.CLOSE_KIND] = 1, x.BY_CLOSE
        k[x.ORDERS] += 1
    else:
        # What a stop has left is too small for another order.
        protect(k, s, p, q)
        tell(k, s, p, q)


@part
def _follow(high: float, low: float, k: Any, s: Any) -> None:
    side, entry = k[x.HELD_SIDE], s[x.HELD_ENTRY]
    if k[x.MEMORY_SIDE] != side:
        _begin(side, k, s)
        k[x.MEMORY_NEW] = 1
    if k[x.MEMORY_NEW]:
        quantity = s[x.HELD_QUANTITY]
        if quantity > s[x.MEMORY_QUANTITY]:
            added = (entry * quantity - s[x.MEMORY_ENTRY] * s[x.MEMORY_QUANTITY]) / (quantity - s[x.MEMORY_QUANTITY])
            s[x.LEVEL], k[x.MEMORY_LEVELS] = side * added, k[x.MEMORY_ASKED]
        s[x.MEMORY_QUANTITY], s[x.MEMORY_ENTRY] = quantity, entry
        k[x.MEMORY_NEW] = 0
    k[x.MEMORY_BARS] += 1
    s[x.BEST] = max(s[x.BEST], side * entry, side * (high if side > 0 else low))


@part
def _stop(side: int, trail: float, s: Any, p: Any) -> float:
    """The stop from this bar on, times the side."""
    entry, best, stop, moved = s[x.MEMORY_ENTRY], s[x.BEST], s[x.STOP], -math.inf
    if trail > 0:
        moved = best - trail
    if p[x.TRAIL_PCT] > 0 and best >= side * entry + p[x.TRAIL_FROM] * entry:
        moved = max(moved, best - p[x.TRAIL_PCT] * abs(best))
    if moved == -math.inf:
        return float(stop)
    floor = side * entry - p[x.DEFAULT_STOP] * entry if stop == -math.inf else stop
    return float(moved) if moved > floor and (side < 0 or moved > 0) else float(stop)


@part
def _target(side: int, roi_bars: Any, roi_share: Any, k: Any, s: Any) -> float:
    target = s[x.FIXED]
    if len(roi_bars):
        share = math.inf
        for j in range(len(roi_bars)):
            if k[x.MEMORY_BARS] < roi_bars[j]:
                break
            share = roi_share[j]
        stepped = side * s[x.MEMORY_ENTRY] + share * s[x.MEMORY_ENTRY]
        if side > 0 or stepped < 0:
            target = min(target, stepped)
    return float(target)


@part
def _why(at: float, stop: float, target: float, leave: float, k: Any, s: Any, q: Any) -> int:
    if at <= stop:
        return x.WHY_TRAIL if k[x.TRAILED] or stop > s[x.STOP] else x.WHY_STOP
    if at >= target:
        return x.WHY_TARGET if target == s[x.FIXED] else x.WHY_STEP
    if leave > 0:
        return x.WHY_SIGNAL
    return x.WHY_TIME if 0 < q[x.MAX_BARS] <= k[x.MEMORY_BARS] else 0


@part
def _level_size(at: float, distance: float, factor: float, k: Any, s: Any, q: Any) -> float:
    if k[x.MEMORY_LEVELS] >= q[x.MAX_LEVELS]:
        return 0.0
    gained = at - s[x.LEVEL]
    if gained >= distance >= 0 or gained <= distance < 0:
        return factor if factor > 0 else 0.0
    return 0.0


@part
def _carry_on(
    i: int, high: float, low: float, close: float, leave: float, trail: float, distance: float, size_factor: float,
    roi_bars: Any, roi_share: Any, k: Any, s: Any, p: Any, q: Any,
) -> None:  # fmt: skip
    """Leave, add a level, or move the levels."""
    side = k[x.HELD_SIDE]
    _follow(high, low, k, s)
    at = side * close
    stop, target = _stop(side, trail, s, p), _target(side, roi_bars, roi_share, k, s)
    why = _why(at, stop, target, leave, k, s, q)
    if why:
        close_all(i, why, k, s, p, q)
        return
    moved, stepped = stop > s[x.STOP], target != s[x.TARGET]
    if moved:
        k[x.TRAILED] = 1
    s[x.STOP], s[x.TARGET] = stop, target
    new_stop, new_target = stop if moved else -math.inf, target if stepped else math.inf
    factor = _level_size(at, distance, size_factor, k, s, q)
    if factor > 0.0:
        k[x.MEMORY_ASKED] = k[x.MEMORY_LEVELS] + 1
        if _passes(i, at, new_stop, new_target, factor, s[x.MEMORY_CONFIDENCE], k, p):
            _order(i, close, side, k[x.MEMORY_ASKED], new_stop, new_target, factor, k, s, p, q)
    elif (moved or stepped) and _sound(i, at, new_stop, new_target, k):
        _want(i, new_stop, new_target, k, p, q)
        protect(k, s, p, q)


@part
def decide(
    i: int, high: float, low: float, close: float, cols: Any, roi_bars: Any, roi_share: Any, k: Any, s: Any, p: Any,
    q: Any,
) -> None:  # fmt: skip
    """What the strategy wants at the close of a bar, and what the bot does about it."""
    trail, factor = _at(cols[TRAIL_AT], i, math.nan), _at(cols[SIZE], i, 1.0)
    if k[x.HELD_SIDE]:
        leave = _at(cols[EXIT_LONG], i, 0.0) if k[x.HELD_SIDE] > 0 else _at(cols[EXIT_SHORT], i, 0.0)
        distance = _at(cols[ADD_AT], i, math.nan)
        _carry_on(i, high, low, close, leave, trail, distance, factor, roi_bars, roi_share, k, s, p, q)
        return
    entry = cols[ENTRY][i]
    if entry > 0 or entry < 0:
        stop_at, target_at = _at(cols[STOP_AT], i, math.nan), _at(cols[TARGET_AT], i, math.nan)
        confidence = _at(cols[CONFIDENCE], i, 1.0)
        _enter(i, close, 1 if entry > 0 else -1, stop_at, target_at, trail, factor, confidence, k, s, p, q)

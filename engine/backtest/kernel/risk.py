"""Compiled: the breakers on equity, and what they let be entered; as `engine.risk.breakers` and `engine.risk.equities`.

Nobody resets a breaker in a run. The loss of a day pauses for 24 hours and then lets smaller entries pass on trial, the
loss of a week halves entries until the next, the loss of a month and the drawdown end them, and the hard drawdown
closes everything.
"""

from __future__ import annotations

import math
from typing import Any

from engine.backtest.kernel import layout as x
from engine.backtest.kernel.fills import cancel_reducing, cash, held, tell, units_of
from engine.backtest.kernel.parts import part

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
_PEAK_STEP = 1.001
"""A new peak is noted at once when it lies so much above the last one."""
_NEAR = 1e-9
"""Room around the bounds within which the cheap look gives way to the exact one."""


@part
def equity_of(close: float, k: Any, s: Any, p: Any, q: Any) -> float:
    """Worth of the account at a price."""
    total = cash(k, s, p)
    if k[x.POS]:
        total += units_of(abs(k[x.POS]), p, q) * close * (1 if k[x.POS] > 0 else -1)
    return float(total)


@part
def month_of(day: int) -> int:
    """Number of the calendar month of a day since 1970.

    Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013).
    """
    z = day + 719_468
    era = z // 146_097
    doe = z - era * 146_097
    yoe = (doe - doe // 1460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    year = yoe + era * 400 + (1 if month <= 2 else 0)
    return int(year * 12 + month - 1)


@part
def _loss(equity: float, reference: float) -> float:
    return max((reference - equity) / reference, 0.0) if reference > 0 else 0.0


@part
def _periods(day: int, equity: float, k: Any, s: Any) -> None:
    """A period begins with what the last look saw."""
    first = k[x.DAY] < 0
    before = equity if first else s[x.EQUITY]
    week, month = (day + 3) // 7, month_of(day)
    if first or day > k[x.DAY]:
        k[x.DAY], s[x.DAY_START] = day, before
    if first or week > k[x.WEEK]:
        k[x.WEEK], s[x.WEEK_START] = week, before
    if first or month > k[x.MONTH]:
        k[x.MONTH], s[x.MONTH_START] = month, before


@part
def _halt(breaker: int, now: int, equity: float, reference: float, k: Any, halts: Any) -> None:
    if k[x.HALTS] < x.HALTS_KEPT:
        row = k[x.HALTS] * x.H_SIZE
        halts[row + x.H_TS], halts[row + x.H_BREAKER] = float(now), float(breaker)
        halts[row + x.H_EQUITY], halts[row + x.H_REFERENCE] = equity, reference
    k[x.HALTS] += 1


@part
def _daily(equity: float, closed: int, k: Any, s: Any, p: Any, q: Any, halts: Any) -> bool:
    now, state = closed - 1, k[x.DAILY]
    lost = _loss(equity, s[x.DAY_START]) >= p[x.LOSS_DAY]
    if state != 1 and lost:
        k[x.DAILY], k[x.DAILY_SINCE] = 1, closed
        k[x.HALT] = max(k[x.HALT], 1)
        _halt(0, closed, equity, s[x.DAY_START], k, halts)
        return True
    if state == 2 and now >= k[x.DAILY_UNTIL]:
        k[x.DAILY] = 0
    elif state == 1 and now - k[x.DAILY_SINCE] >= q[x.PAUSE_NS] and not lost:
        k[x.DAILY], k[x.DAILY_UNTIL] = 2, now + q[x.TRIAL_NS]
        if not (k[x.MONTHLY] or k[x.DRAWDOWN] or k[x.HARD]) and not k[x.STOPPED]:
            k[x.HALT] = 0
    return False


@part
def _lasting(
    slot: int, number: int, equity: float, reference: float, most: float, closed: int, k: Any, halts: Any
) -> bool:
    """A breaker that stays open."""
    if k[slot] or _loss(equity, reference) < most:
        return False
    k[slot] = 1
    k[x.HALT] = max(k[x.HALT], 2 if slot == x.HARD else 1)
    _halt(number, closed, equity, reference, k, halts)
    return True


@part
def _note(day: int, now: int, equity: float, tripped: bool, k: Any, s: Any) -> None:
    """Keep what is journalled of equity: of its highest values only these count."""
    first = k[x.REC_DAY] < 0
    if first:
        k[x.REC_DAY], s[x.REC_PEAK], s[x.REC_EQUITY] = day, equity, equity
        return
    later = day > k[x.REC_DAY]
    due = tripped or later or equity > s[x.REC_PEAK] * _PEAK_STEP
    if not due and equity != s[x.REC_EQUITY]:
        due = now // HOUR_NS > k[x.LOOKED] // HOUR_NS or k[x.POS] == 0
    if due:
        if later and s[x.DAY_START] != s[x.REC_EQUITY]:
            s[x.REC_PEAK] = max(s[x.REC_PEAK], s[x.DAY_START])
        k[x.REC_DAY] = max(k[x.REC_DAY], day)
        s[x.REC_EQUITY] = equity
        s[x.REC_PEAK] = max(s[x.REC_PEAK], equity)


@part
def _next_look(day: int, now: int, k: Any, s: Any, p: Any) -> None:
    """Bounds within which the next bars need no exact look."""
    low = s[x.DAY_START] * (1 - p[x.LOSS_DAY])
    low = max(low, s[x.WEEK_START] * (1 - p[x.LOSS_WEEK]))
    low = max(low, s[x.MONTH_START] * (1 - p[x.LOSS_MONTH]))
    peak = s[x.REC_PEAK]
    # Equity itself may be the peak of the moment, so the drawdown from the noted one is what counts.
    low = max(low, peak * (1 - min(p[x.LOSS_PEAK], p[x.LOSS_HARD])))
    s[x.EQUITY_LOW] = low + abs(low) * _NEAR
    s[x.EQUITY_HIGH] = peak * _PEAK_STEP * (1 - _NEAR)
    pending = k[x.DAILY] or k[x.WEEKLY] or k[x.MONTHLY] or k[x.DRAWDOWN] or k[x.HARD]
    k[x.SOONEST] = 0 if pending else min((now // HOUR_NS + 1) * HOUR_NS, (day + 1) * DAY_NS)


@part
def track(s: Any) -> None:
    """Count the value of the last look into the drawdown; that of the last bar is counted after its end."""
    equity = s[x.EQUITY]
    if equity > s[x.TOP]:
        s[x.FALL] = max(s[x.FALL], 1.0 - s[x.LOW] / s[x.TOP])
        s[x.TOP] = s[x.LOW] = equity
    elif equity < s[x.LOW]:
        s[x.LOW] = equity


@part
def look(closed: int, close: float, k: Any, s: Any, p: Any, q: Any, halts: Any, daily: Any) -> None:
    """Judge all breakers at the close of a bar; a bar that closes at midnight is the end of its day."""
    equity, now = equity_of(close, k, s, p, q), closed - 1
    track(s)
    if now < k[x.SOONEST] and s[x.EQUITY_LOW] < equity < s[x.EQUITY_HIGH] and k[x.POS]:
        s[x.EQUITY] = equity
        k[x.LOOKED] = now
        return
    day = now // DAY_NS
    if k[x.LOOKED] >= 0:
        daily[k[x.LOOKED] // DAY_NS - k[x.DAY_FIRST]] = s[x.EQUITY]
    _periods(day, equity, k, s)
    _judge(closed, equity, k, s, p, q, halts)
    s[x.EQUITY] = equity
    k[x.LOOKED] = now
    k[x.CARE] = 1 if k[x.DAILY] == 2 or k[x.WEEKLY] else 0
    _next_look(day, now, k, s, p)


@part
def _judge(closed: int, equity: float, k: Any, s: Any, p: Any, q: Any, halts: Any) -> None:
    peak = equity if k[x.REC_DAY] < 0 else max(s[x.REC_PEAK], equity)
    tripped = _daily(equity, closed, k, s, p, q, halts)
    if k[x.WEEKLY] == 0:
        if _loss(equity, s[x.WEEK_START]) >= p[x.LOSS_WEEK]:
            k[x.WEEKLY], k[x.WEEK_OPENED] = 1, k[x.WEEK]
            _halt(1, closed, equity, s[x.WEEK_START], k, halts)
            tripped = True
    elif k[x.WEEK] > k[x.WEEK_OPENED] and not tripped:
        k[x.WEEKLY] = 0
    tripped |= _lasting(x.MONTHLY, 2, equity, s[x.MONTH_START], p[x.LOSS_MONTH], closed, k, halts)
    tripped |= _lasting(x.DRAWDOWN, 3, equity, peak, p[x.LOSS_PEAK], closed, k, halts)
    tripped |= _lasting(x.HARD, 4, equity, peak, p[x.LOSS_HARD], closed, k, halts)
    _note((closed - 1) // DAY_NS, closed - 1, equity, tripped, k, s)


@part
def obey(row: int, k: Any, s: Any, p: Any, q: Any) -> None:
    """The hard drawdown calls the emergency stop: everything is cancelled and closed, and nothing entered again."""
    if not k[x.HARD] or k[x.STOPPED]:
        return
    k[x.STOPPED], k[x.HALT] = 1, 2
    k[x.ENTRY_LEFT] = k[x.CLOSE_ON] = 0
    cancel_reducing(k)
    if k[x.POS] > 0 or (k[x.POS] < 0 and q[x.SHORTS]):
        tell(k, s, p, q)
        if held(k, s, p, q) == 0:
            return
        k[x.CLOSE_ON], k[x.CLOSE_KIND], k[x.CLOSE_ROW], k[x.CLOSE_CODE] = 1, x.BY_EMERGENCY, row, 0
        k[x.ORDERS] += 1


@part
def room(equity: float, close: float, k: Any, p: Any, q: Any) -> float:
    """Quote currency that the tightest of all limits of values leaves for one entry."""
    care = 0.5 if k[x.CARE] else 1.0
    share = min(p[x.POSITION_PCT] * care, p[x.EXPOSURE_PCT])
    return float(share * equity - units_of(abs(k[x.POS]), p, q) * close)


@part
def size(side: int, close: float, factor: float, confidence: float, k: Any, s: Any, p: Any, q: Any) -> int:
    """Lots of one entry; 0 where nothing can be had. As `engine.risk.sizing`."""
    equity = equity_of(close, k, s, p, q)
    value = equity * p[x.SIZE_PCT]
    if q[x.BY_CONFIDENCE]:
        value *= min(max(confidence, 0.0), 1.0)
    value = value * factor * (0.5 if k[x.CARE] else 1.0)
    fee = 1 + max(p[x.WORST_FEE], 0.0)
    worst = close * fee * (1.02 if side > 0 else 1.0)
    most = min(value / close, room(equity, close, k, p, q) / max(worst, close))
    if side > 0 or q[x.SHORTS]:
        most = min(most, cash(k, s, p) / (close * 1.02 * fee))
    else:
        # What is not held cannot be sold.
        most = min(most, units_of(max(k[x.POS], 0), p, q))
    lots = math.floor(max(most, 0.0) / p[x.LOT] * (1 + 4e-15) + 1e-12)
    if lots < 1 or units_of(lots, p, q) * close < p[x.MIN_NOTIONAL]:
        return 0
    return lots

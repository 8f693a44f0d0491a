"""Compiled: what a bar fills, and what every execution does to money, position and protective orders.

The same rules, in the same order and with the same rounding, as `engine.venues.paper.bar_matching` and
`engine.venues.paper.listing` for the four orders that a signal strategy can have: an entry at the market, a stop, a
target, and a market order that closes.
"""

from __future__ import annotations

import math
from typing import Any

from engine.backtest.kernel import layout as x
from engine.backtest.kernel.parts import part

# ruff: noqa: E741 - o, h, l, c, v are the bar

_SLACK = 1e-6
"""Float noise up to a millionth of a tick does not move a price to the next tick."""
_MANY = 1 << 62


@part
def grid(price: float, p: Any, q: Any) -> int:
    """The nearest tick of a price, the even one at a tie, of its shortest decimal form."""
    tick, unit = q[x.TICK_INT], p[x.PRICE_UNIT]
    n = math.floor(price * unit / tick)
    while (n + 1) * tick / unit <= price:
        n += 1
    while n > 0 and n * tick / unit > price:
        n -= 1
    # The decimal of the tie, correctly rounded, is equal to the price exactly when the price's own decimal is the tie.
    tie = (2 * n + 1) * tick / (2.0 * unit)
    if price > tie or (price == tie and n % 2 == 1):
        return n + 1
    return n


@part
def price_of(ticks: int, p: Any, q: Any) -> float:
    """A price in quote currency."""
    return float(ticks * q[x.TICK_INT] / p[x.PRICE_UNIT])


@part
def units_of(lots: int, p: Any, q: Any) -> float:
    """A quantity in base units."""
    return float(lots * q[x.LOT_INT] / p[x.QUANTITY_UNIT])


@part
def cash(k: Any, s: Any, p: Any) -> float:
    """Quote currency of the account."""
    return float(p[x.CAPITAL] + p[x.UNIT] * k[x.NET] - s[x.FEES])


@part
def worse(base: float, fraction: float, buy: bool, p: Any, q: Any) -> int:
    """Ticks of a price that much worse than a base price, rounded against the trader."""
    ticks = base * (1 + fraction if buy else 1 - fraction) * p[x.PRICE_UNIT] / q[x.TICK_INT]
    if buy:
        return math.ceil(ticks - _SLACK)
    return max(math.floor(ticks + _SLACK), 1)


@part
def slippage(lots: int, v: float, s: Any, p: Any, q: Any) -> float:
    """Slippage, as a fraction of the price, of what a bar leaves for an order of so many lots."""
    model = q[x.SLIP_MODEL]
    if model == x.SLIP_NONE:
        return 0.0
    if model == x.SLIP_IS_FIXED:
        return float(p[x.SLIP_FIXED] / 10_000)
    quantity = min(float(lots * q[x.LOT_INT]), s[x.BUDGET])
    ratio = quantity / p[x.QUANTITY_UNIT] / v if v > 0 else 1.0
    if model == x.SLIP_ROOT:
        ratio = math.sqrt(ratio)
    return float(p[x.SLIP_IMPACT] / 10_000 * ratio)


@part
def reducing(k: Any) -> bool:
    """Whether an order works that can only shrink the position."""
    return bool(k[x.STOP_ON] or k[x.TARGET_ON] or k[x.CLOSE_ON])


@part
def held(k: Any, s: Any, p: Any, q: Any) -> int:
    """Lots that can be closed by an order; what is worth too little for one counts as nothing."""
    lots = k[x.POS]
    if lots == 0 or reducing(k) or p[x.MIN_NOTIONAL] <= 0:
        return int(lots)
    if units_of(abs(lots), p, q) * s[x.MARK] < p[x.MIN_NOTIONAL]:
        return 0
    return int(lots)


@part
def tell(k: Any, s: Any, p: Any, q: Any) -> None:
    """Note what the strategy is told: a rest too small for an order is nothing once none works on it."""
    lots = held(k, s, p, q)
    k[x.HELD_SIDE] = (lots > 0) - (lots < 0)


@part
def bounds(k: Any, s: Any, p: Any, q: Any) -> None:
    """A bar whose low is above BELOW and whose high is below ABOVE reaches no order."""
    s[x.BELOW], s[x.ABOVE] = -math.inf, math.inf
    if k[x.ENTRY_LEFT] or k[x.CLOSE_ON] or k[x.STOP_MARKET] or k[x.TARGET_MARKET]:
        s[x.BELOW] = math.inf
        return
    long = k[x.POS] > 0
    if k[x.STOP_ON]:
        level = price_of(k[x.STOP_PRICE], p, q)
        if long:
            s[x.BELOW] = level
        else:
            s[x.ABOVE] = level
    if k[x.TARGET_ON]:
        level = price_of(k[x.TARGET_PRICE], p, q)
        if long:
            s[x.ABOVE] = min(s[x.ABOVE], level)
        else:
            s[x.BELOW] = max(s[x.BELOW], level)


@part
def cancel_reducing(k: Any) -> None:
    """End stop and target."""
    k[x.STOP_ON] = k[x.STOP_HIT] = k[x.STOP_MARKET] = 0
    k[x.TARGET_ON] = k[x.TARGET_HIT] = k[x.TARGET_MARKET] = 0


@part
def protect(k: Any, s: Any, p: Any, q: Any) -> None:
    """Bring stop and target in line with the position and the wanted levels."""
    if held(k, s, p, q) == 0:
        # An emergency's own order is not the bot's to cancel; with nothing held it has ended anyway.
        cancel_reducing(k)
        k[x.CLOSE_ON] = k[x.CLOSING] = 0
        if k[x.ENTRY_LEFT] == 0:
            k[x.WANT_STOP] = k[x.WANT_TARGET] = 0
        return
    if k[x.STOPPED] or k[x.CLOSING]:
        return
    if k[x.WANT_STOP] == 0:
        away = 1 - (1 if k[x.POS] > 0 else -1) * p[x.DEFAULT_STOP]
        k[x.WANT_STOP] = grid(s[x.HELD_ENTRY] * away, p, q)
    if not k[x.STOP_ON]:
        k[x.STOP_ON], k[x.STOP_HIT], k[x.STOP_MARKET], k[x.SEEN_STOP] = 1, 0, 0, 1
        k[x.STOP_PRICE] = k[x.WANT_STOP]
        k[x.ORDERS] += 1
    elif not k[x.STOP_HIT]:
        k[x.STOP_PRICE] = k[x.WANT_STOP]
    if k[x.WANT_TARGET] and not k[x.TARGET_ON]:
        k[x.TARGET_ON], k[x.TARGET_HIT], k[x.TARGET_MARKET], k[x.SEEN_TARGET] = 1, 0, 0, 1
        k[x.TARGET_PRICE] = k[x.WANT_TARGET]
        k[x.ORDERS] += 1
    elif k[x.TARGET_ON] and not k[x.TARGET_HIT]:
        k[x.TARGET_PRICE] = k[x.WANT_TARGET]


@part
def _lots_add(ticks: int, lots: int, k: Any, book: Any) -> None:
    if k[x.LOT_TAIL] == x.LOTS_KEPT:
        kept = k[x.LOT_TAIL] - k[x.LOT_HEAD]
        for j in range(kept):
            old = 2 * (k[x.LOT_HEAD] + j)
            book[2 * j], book[2 * j + 1] = book[old], book[old + 1]
        k[x.LOT_HEAD], k[x.LOT_TAIL] = 0, kept
        if kept == x.LOTS_KEPT:
            k[x.STATUS] = x.MANY_LOTS
            return
    book[2 * k[x.LOT_TAIL]], book[2 * k[x.LOT_TAIL] + 1] = ticks, lots
    k[x.LOT_TAIL] += 1
    k[x.COST] += ticks * lots


@part
def _lots_take(lots: int, k: Any, book: Any) -> None:
    """Take off what was held longest."""
    while lots > 0:
        row = 2 * k[x.LOT_HEAD]
        taken = min(lots, book[row + 1])
        book[row + 1] -= taken
        k[x.COST] -= taken * book[row]
        lots -= taken
        if book[row + 1] == 0:
            k[x.LOT_HEAD] += 1


@part
def _money(side: int, ticks: int, lots: int, k: Any, s: Any, p: Any) -> None:
    value = ticks * lots
    k[x.NET] -= side * value
    fee = value * p[x.UNIT] * p[x.TAKER]
    # The low part keeps what the sum cannot hold (T. J. Dekker, 1971), so that no run is long enough to drift.
    total = s[x.FEES] + fee
    part = total - s[x.FEES]
    s[x.FEES_LOW] += (s[x.FEES] - (total - part)) + (fee - part)
    s[x.FEES] = total + s[x.FEES_LOW]
    s[x.FEES_LOW] -= s[x.FEES] - total
    s[x.TRADE_NET] -= side * value * p[x.UNIT]
    s[x.TRADE_FEES] += fee


@part
def _short_money(side: int, ticks: int, lots: int, before: int, k: Any, s: Any, p: Any) -> None:
    """The venue holds a short's proceeds and as much again."""
    if side < 0 and k[x.POS] < 0:
        s[x.SHORT_HELD] += 2 * ticks * lots * p[x.UNIT]
    elif side > 0 and before < 0:
        s[x.SHORT_HELD] = s[x.SHORT_HELD] * (k[x.POS] / before) if k[x.POS] < 0 else 0.0


@part
def payable(side: int, reduces: bool, ticks: int, lots: int, k: Any, s: Any, p: Any, q: Any) -> int:
    """How many of these lots the account can pay for."""
    price, amount = price_of(ticks, p, q), units_of(lots, p, q)
    if side > 0:
        unit, funds = price * (1 + p[x.WORST_FEE]), cash(k, s, p) - s[x.SHORT_HELD]
        if reduces:
            funds += s[x.SHORT_HELD] * min(lots / -k[x.POS], 1.0) if k[x.POS] < 0 else 0.0
    elif q[x.SHORTS] and not reduces:
        unit, funds = price, cash(k, s, p) - s[x.SHORT_HELD]
    else:
        return lots
    if unit * amount <= funds * (1 + 1e-15):
        return lots
    most = max(funds, 0.0) / unit / p[x.LOT]
    return math.floor(most * (1 + 4e-15))


@part
def fill(kind: int, side: int, ticks: int, wanted: int, v_now: int, k: Any, s: Any, p: Any, q: Any, out: Any) -> None:
    """Book an execution of an order as far as the bar and money allow, and do what follows from it."""
    fills, book = out
    entry = kind == x.BY_ENTRY
    left = k[x.ENTRY_LEFT] if entry else abs(k[x.POS])
    room = int(s[x.BUDGET]) // q[x.LOT_INT]
    lots = min(left, room)
    if lots <= 0:
        return
    paid = payable(side, not entry, ticks, lots, k, s, p, q)
    if paid < lots and not entry:
        k[x.STATUS] = x.NO_FUNDS
        return
    if paid > 0:
        _book(kind, side, ticks, paid, wanted, v_now, k, s, p, q, fills, book)
    if entry:
        # What the balance does not cover is canceled by the venue.
        k[x.ENTRY_LEFT] = 0 if paid < lots else left - paid
        if paid > 0:
            # Stop and target grow with the position, and what is changed inside a bar has had its turn at the open.
            k[x.SEEN_STOP] = k[x.SEEN_TARGET] = 1
    if k[x.POS] == 0:
        # Nothing is left to reduce: the venue ends what could.
        cancel_reducing(k)
        k[x.CLOSE_ON] = 0
    s[x.BUDGET] -= paid * q[x.LOT_INT]
    protect(k, s, p, q)
    tell(k, s, p, q)


@part
def _book(
    kind: int, side: int, ticks: int, lots: int, wanted: int, now: int, k: Any, s: Any, p: Any, q: Any, fills: Any,
    book: Any,
) -> None:  # fmt: skip
    if q[x.RECORD]:
        _record(kind, side, ticks, lots, wanted, now, k, q, fills)
    k[x.FILLS] += 1
    # An entry against a rest that was too small to be closed ends that first.
    against = min(lots, abs(k[x.POS])) if side * k[x.POS] < 0 else 0
    if against:
        _part(False, side, ticks, against, k, s, p, book)
    if lots > against:
        _part(True, side, ticks, lots - against, k, s, p, book)
    k[x.MEMORY_NEW] = 1
    if k[x.POS]:
        s[x.HELD_QUANTITY] = units_of(abs(k[x.POS]), p, q)
        s[x.HELD_ENTRY] = float(k[x.COST]) * q[x.TICK_NUM] / (abs(k[x.POS]) * p[x.PRICE_DEN])


@part
def _part(grows: bool, side: int, ticks: int, lots: int, k: Any, s: Any, p: Any, book: Any) -> None:
    before = k[x.POS]
    _money(side, ticks, lots, k, s, p)
    k[x.POS] += side * lots
    _short_money(side, ticks, lots, before, k, s, p)
    if grows:
        _lots_add(ticks, lots, k, book)
    else:
        _lots_take(lots, k, book)
    if k[x.POS] == 0:
        _end_trade(k, s)


@part
def _record(
    kind: int, side: int, ticks: int, lots: int, wanted: int, now: int, k: Any, q: Any, fills: Any
) -> None:  # fmt: skip
    if k[x.FILLS] >= q[x.FILLS_ROOM]:
        k[x.STATUS] = x.FULL
        return
    line = k[x.FILLS] * x.F_SIZE
    fills[line + x.F_BAR], fills[line + x.F_TS], fills[line + x.F_SIDE] = k[x.INDEX], now, side
    fills[line + x.F_TICKS], fills[line + x.F_LOTS] = ticks, lots
    fills[line + x.F_KIND], fills[line + x.F_WANTED] = kind, wanted
    entry = kind == x.BY_ENTRY
    fills[line + x.F_ROW] = k[x.ENTRY_ROW] if entry else k[x.CLOSE_ROW]
    fills[line + x.F_CODE] = k[x.ENTRY_LEVEL] if entry else k[x.CLOSE_CODE]


@part
def _end_trade(k: Any, s: Any) -> None:
    result = s[x.TRADE_NET] - s[x.TRADE_FEES]
    k[x.TRADES] += 1
    if result > 0:
        k[x.WINS] += 1
        s[x.GAINS] += result
    elif result < 0:
        k[x.LOSSES] += 1
        s[x.LOST] -= result
    s[x.TRADE_NET] = s[x.TRADE_FEES] = 0.0


# --- the bar ----------------------------------------------------------------------------------------------------------


@part
def _take_entry(o: float, v: float, now: int, k: Any, s: Any, p: Any, q: Any, out: Any) -> None:
    k[x.SEEN_ENTRY] = 1
    side = k[x.ENTRY_SIDE]
    fraction = p[x.HALF_SPREAD] / 10_000 + slippage(k[x.ENTRY_LEFT], v, s, p, q)
    fill(x.BY_ENTRY, side, worse(o, fraction, side > 0, p, q), 0, now, k, s, p, q, out)


@part
def _take_exit(kind: int, wanted: int, o: float, v: float, now: int, k: Any, s: Any, p: Any, q: Any, out: Any) -> None:
    side = -1 if k[x.POS] > 0 else 1
    fraction = p[x.HALF_SPREAD] / 10_000 + slippage(abs(k[x.POS]), v, s, p, q)
    fill(kind, side, worse(o, fraction, side > 0, p, q), wanted, now, k, s, p, q, out)


@part
def _trigger(stop: bool, base: float, v: float, now: int, k: Any, s: Any, p: Any, q: Any, out: Any) -> None:
    side = -1 if k[x.POS] > 0 else 1
    hit, market, price = (
        (x.STOP_HIT, x.STOP_MARKET, x.STOP_PRICE) if stop else (x.TARGET_HIT, x.TARGET_MARKET, x.TARGET_PRICE)
    )
    k[hit] = k[market] = 1
    # An entry that still fills must not build up again what is being closed.
    k[x.ENTRY_LEFT] = 0
    ticks = worse(base, slippage(abs(k[x.POS]), v, s, p, q), side > 0, p, q)
    fill(x.BY_STOP if stop else x.BY_TARGET, side, ticks, k[price], now, k, s, p, q, out)


@part
def _gap_price(stop: bool, level: float, o: float, h: float, l: float, q: Any) -> float:
    mode = q[x.STOP_GAP] if stop else q[x.TARGET_GAP]
    if mode == x.GAP_TRIGGER or (mode == x.GAP_IN_RANGE and l <= level <= h):
        return level
    return o


@part
def _open_protective(
    stop: bool, first: bool, o: float, h: float, l: float, v: float, now: int, k: Any, s: Any, p: Any, q: Any, out: Any
) -> None:
    if stop:
        on, market, price, seen = x.STOP_ON, x.STOP_MARKET, x.STOP_PRICE, x.SEEN_STOP
    else:
        on, market, price, seen = x.TARGET_ON, x.TARGET_MARKET, x.TARGET_PRICE, x.SEEN_TARGET
    if not k[on] or k[seen] or (first and not stop and not k[market]):
        return
    k[seen] = 1
    if k[market]:
        _take_exit(x.BY_STOP if stop else x.BY_TARGET, k[price], o, v, now, k, s, p, q, out)
        return
    level, falls = price_of(k[price], p, q), (k[x.POS] > 0) == stop
    if o <= level if falls else o >= level:
        _trigger(stop, _gap_price(stop, level, o, h, l, q), v, now, k, s, p, q, out)


@part
def _at_open(
    first: bool, o: float, h: float, l: float, v: float, now: int, k: Any, s: Any, p: Any, q: Any, out: Any
) -> None:
    """What the open meets, in order of arrival; `first` leaves out what is neither a stop nor at the market."""
    early = k[x.ENTRY_FIRST]
    if k[x.ENTRY_LEFT] and not k[x.SEEN_ENTRY] and early:
        _take_entry(o, v, now, k, s, p, q, out)
    _open_protective(True, first, o, h, l, v, now, k, s, p, q, out)
    _open_protective(False, first, o, h, l, v, now, k, s, p, q, out)
    if k[x.ENTRY_LEFT] and not k[x.SEEN_ENTRY] and not early:
        _take_entry(o, v, now, k, s, p, q, out)
    if k[x.CLOSE_ON] and not k[x.SEEN_CLOSE]:
        k[x.SEEN_CLOSE] = 1
        _take_exit(k[x.CLOSE_KIND], 0, o, v, now, k, s, p, q, out)


@part
def _meets(at: float, target: float, level: float, falls: bool) -> float:
    """Where the price meets a level between where it stands and a leg's end; NaN where it does not."""
    meets = min(at, level) if falls else max(at, level)
    if meets == at or (target <= meets if falls else meets <= target):
        return meets
    return math.nan


@part
def _leg(target: float, stops: bool, v: float, now: int, k: Any, s: Any, p: Any, q: Any, out: Any) -> None:
    """Walk to the end of a leg and set off what is met, nearest first."""
    while k[x.STATUS] == x.OK:
        at, long = s[x.AT], k[x.POS] > 0
        stop_at = target_at = math.nan
        if k[x.STOP_ON] and not k[x.STOP_MARKET]:
            stop_at = _meets(at, target, price_of(k[x.STOP_PRICE], p, q), long)
        if k[x.TARGET_ON] and not k[x.TARGET_MARKET] and not stops:
            target_at = _meets(at, target, price_of(k[x.TARGET_PRICE], p, q), not long)
        if math.isnan(stop_at) and math.isnan(target_at):
            s[x.AT] = target
            return
        stop = math.isnan(target_at) or (not math.isnan(stop_at) and abs(stop_at - at) <= abs(target_at - at))
        s[x.AT] = stop_at if stop else target_at
        _trigger(stop, s[x.AT], v, now, k, s, p, q, out)


@part
def walk(ts: int, o: float, h: float, l: float, c: float, v: float, k: Any, s: Any, p: Any, q: Any, out: Any) -> None:
    """Let one bar fill what it reaches."""
    path = q[x.PATH]
    step, now = q[x.LENGTH] // (12 if path == x.PESSIMISTIC else 6), ts
    s[x.BUDGET] = float(_MANY) if p[x.SHARE] < 0 else float(round(p[x.SHARE] * v * p[x.QUANTITY_UNIT]))
    s[x.AT] = o
    k[x.SEEN_ENTRY] = k[x.SEEN_STOP] = k[x.SEEN_TARGET] = k[x.SEEN_CLOSE] = 0
    if path == x.PESSIMISTIC:
        _at_open(True, o, h, l, v, now, k, s, p, q, out)
        for target in (l, h, l):
            _leg(target, True, v, now + step, k, s, p, q, out)
            now += 2 * step
        s[x.AT] = o
    _at_open(False, o, h, l, v, now, k, s, p, q, out)
    low_first = path != x.FIXED_OHLC and o - l <= h - o
    first, second = (l, h) if low_first else (h, l)
    for target in (first, second, c):
        _leg(target, False, v, now + step, k, s, p, q, out)
        now += 2 * step

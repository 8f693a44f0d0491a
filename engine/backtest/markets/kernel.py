"""The compiled road of quoting sweeps: the declared rule of `rule_quoter` over quotes, fill by fill as the event path.

One pass over the quotes a set of figures, several at once on all cores. It knows best prices, post-only orders without
latency, partial fills by the size shown, fees, and the position limits of the rule. It knows no risk limit: a sweep
runs with the limits of the profile `research`, and `quote_faults` names whatever else it could not follow, such as a
capital that some order could need more of. Importing this module imports numba.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit, prange

from engine.strategy import quote_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from engine.backtest.markets.tapes import QuoteTape
    from engine.model.candle import FloatArray, IntArray

__all__ = ["COLUMNS", "QuoteResult", "figures_of", "quote_faults", "run_rule", "sweep_rule"]

_EPSILON = 1e-9
_bid_price = njit(nogil=True)(quote_rule.bid_price)
_ask_price = njit(nogil=True)(quote_rule.ask_price)
_level_size = njit(nogil=True)(quote_rule.level_size)
_quotes_side = njit(nogil=True)(quote_rule.quotes_side)

_FIGURES = (
    "spread", "levels", "level_step", "size", "size_growth", "max_position", "skew", "every", "tolerance",
    "replace_all", "short",
)  # fmt: skip
COLUMNS = (
    "equity", "profit", "max_drawdown", "fills", "volume", "fees", "position", "largest_position", "orders",
    "two_sided",
)  # fmt: skip
"""What a pass gives: money in quote currency, positions in base units, `two_sided` as a share of the quotes."""


@dataclass(frozen=True, slots=True)
class QuoteResult:
    """One pass with its fills.

    Attributes:
        figures: By name of `COLUMNS`.
        row: Quote at which each fill happened.
        side: +1 for a buy, -1 for a sell.
        price: Scaled price of each fill.
        quantity: Scaled quantity.
    """

    figures: dict[str, float]
    row: IntArray
    side: IntArray
    price: IntArray
    quantity: IntArray


def figures_of(params: Mapping[str, Any]) -> FloatArray:
    """The figures of the rule in the order in which the compiled pass takes them."""
    return np.array([float(params[name]) for name in _FIGURES])


def quote_faults(tape: QuoteTape, sets: Sequence[Mapping[str, Any]], capital: float) -> list[str]:
    """Why the compiled road cannot follow some sets, a sentence each; then the event path must be taken."""
    highest = float(tape.ask.max())
    rules = tape.instrument.current_rules
    faults = []
    for params in sets:
        sizes = [
            quote_rule.level_size(params["size"], params["size_growth"], level)
            for level in range(int(params["levels"]))
        ]
        # A full position, all levels of a side besides, and for a short the proceeds and as much again.
        most = (params["max_position"] + 2 * sum(sizes)) * highest * (2 if params["short"] else 1) * 1.01
        if most > capital:
            faults.append(
                f"With max_position {params['max_position']:g} and size {params['size']:g} orders may need up to "
                f"{most:,.0f} of the {capital:,.0f} there are; give more capital."
            )
        smallest = min(sizes)
        if smallest < float(rules.lot) or smallest * float(tape.bid.min()) < float(rules.min_notional):
            faults.append(f"A size of {smallest:g} is smaller than the market takes.")
    return list(dict.fromkeys(faults))


def run_rule(tape: QuoteTape, params: Mapping[str, Any], capital: float) -> QuoteResult:
    """One pass with all of its fills."""
    market, units = _market(tape), _units(tape)
    figures = figures_of(params)
    room = 4 * int(params["levels"]) * len(tape) if len(tape) < 50_000 else 4_000_000
    fills = np.zeros((room, 4), dtype=np.int64)
    out = np.zeros(len(COLUMNS))
    count = _one(*market, figures, units, capital, fills, out)
    if count > room:
        fills = np.zeros((count, 4), dtype=np.int64)
        _one(*market, figures, units, capital, fills, out)
    row, side, price, quantity = (np.ascontiguousarray(fills[:count, column]) for column in range(4))
    return QuoteResult(dict(zip(COLUMNS, out.tolist(), strict=True)), row, side, price, quantity)


def sweep_rule(tape: QuoteTape, sets: Sequence[Mapping[str, Any]], capital: float) -> FloatArray:
    """One pass for each set of figures, on all cores.

    Returns:
        Shape (sets, COLUMNS).
    """
    figures = np.stack([figures_of(params) for params in sets])
    return _many(*_market(tape), figures, _units(tape), capital)  # type: ignore[no-any-return]


def _market(tape: QuoteTape) -> tuple[Any, ...]:
    price, size = 10.0**tape.instrument.price_scale, 10.0**tape.instrument.quantity_scale
    scaled = [
        np.rint(column * scale).astype(np.int64)
        for column, scale in ((tape.bid, price), (tape.bid_size, size), (tape.ask, price), (tape.ask_size, size))
    ]
    return (*scaled, tape.bid, tape.ask)


def _units(tape: QuoteTape) -> FloatArray:
    instrument, rules = tape.instrument, tape.instrument.current_rules
    return np.array(
        [
            float(rules.price_tick),
            float(rules.lot),
            instrument.price_to_int(rules.price_tick),
            instrument.quantity_to_int(rules.lot),
            10.0**instrument.price_scale,
            10.0**instrument.quantity_scale,
            float(rules.maker_fee),
        ]
    )


# --- compiled --------------------------------------------------------------------------------------------------------
# An order is a row of `orders`: price (scaled), quantity, left (scaled), number of its arrival; 0 left for none. The
# first `levels` rows are bids, the others asks.


@njit(nogil=True)
def _pass(bids, bid_sizes, asks, ask_sizes, bid_f, ask_f, figures, units, capital, fills, out):  # type: ignore[no-untyped-def]
    levels = int(figures[1])
    every = int(figures[7])
    tick, lot, tick_int, lot_int = units[0], units[1], int(units[2]), int(units[3])
    price_unit, size_unit, fee_rate = units[4], units[5], units[6]
    orders = np.zeros((2 * levels, 4), dtype=np.int64)
    position, cash, fees, volume = 0, capital, 0.0, 0.0
    count, placed, seq, two_sided = 0, 0, 0, 0
    largest, peak, deepest = 0, capital, 0.0
    best_bid, best_ask = 0, 1 << 62
    for row in range(len(bids)):
        bid, ask = bids[row], asks[row]
        if best_bid >= ask or best_ask <= bid:
            for side in (1, -1):
                shown = ask_sizes[row] if side > 0 else bid_sizes[row]
                first = 0 if side > 0 else levels
                while shown > 0:
                    pick = _next_reached(orders, first, levels, side, bid, ask)
                    if pick < 0:
                        break
                    price = orders[pick, 0]
                    part = min(orders[pick, 2], shown)
                    orders[pick, 2] -= part
                    shown -= part
                    position += side * part
                    value = price / price_unit * (part / size_unit)
                    cash -= side * value + value * fee_rate
                    fees += value * fee_rate
                    volume += value
                    largest = max(largest, abs(position))
                    if count < len(fills):
                        fills[count, 0], fills[count, 1] = row, side
                        fills[count, 2], fills[count, 3] = price, part
                    count += 1
            best_bid, best_ask = _bounds(orders, levels)
            equity = cash + position / size_unit * (bid_f[row] + ask_f[row]) / 2.0
            peak = max(peak, equity)
            deepest = max(deepest, (peak - equity) / peak)
        if bid_sizes[row] > 0 and ask_sizes[row] > 0 and row % every == 0:
            before = seq
            held = position / size_unit
            seq = _look(
                orders, levels, bid, ask, bid_f[row], ask_f[row], held, figures, tick, lot, tick_int, lot_int, seq
            )
            placed += seq - before
            best_bid, best_ask = _bounds(orders, levels)
        if best_bid > 0 and best_ask < 1 << 62:
            two_sided += 1
    last = len(bids) - 1
    equity = cash + position / size_unit * (bid_f[last] + ask_f[last]) / 2.0
    out[0], out[1], out[2], out[3], out[4] = equity, equity - capital, deepest, count, volume
    out[5], out[6], out[7], out[8] = fees, position / size_unit, largest / size_unit, placed
    out[9] = two_sided / len(bids)
    return count


@njit(nogil=True)
def _next_reached(orders, first, levels, side, bid, ask):  # type: ignore[no-untyped-def]
    """The working order of a side that comes first among those that the opposite quote has reached; -1 for none."""
    pick = -1
    for index in range(first, first + levels):
        if orders[index, 2] <= 0:
            continue
        price = orders[index, 0]
        if (side > 0 and price < ask) or (side < 0 and price > bid):
            continue
        if pick < 0:
            pick = index
            continue
        better = side * (price - orders[pick, 0])
        if better > 0 or (better == 0 and orders[index, 3] < orders[pick, 3]):
            pick = index
    return pick


@njit(nogil=True)
def _bounds(orders, levels):  # type: ignore[no-untyped-def]
    """Highest working bid and lowest working ask."""
    best_bid, best_ask = 0, 1 << 62
    for index in range(levels):
        if orders[index, 2] > 0:
            best_bid = max(best_bid, orders[index, 0])
    for index in range(levels, 2 * levels):
        if orders[index, 2] > 0:
            best_ask = min(best_ask, orders[index, 0])
    return best_bid, best_ask


@njit(nogil=True)
def _look(orders, levels, bid, ask, bid_f, ask_f, held, figures, tick, lot, tick_int, lot_int, seq):  # type: ignore[no-untyped-def]
    """Bring the orders in line with the rule; gives the number of the last one placed."""
    wanted = _wanted(levels, bid_f, ask_f, held, figures, tick, lot)
    for index in range(2 * levels):
        if figures[9] != 0.0 or wanted[index, 1] == 0:
            orders[index, 2] = 0
    # In the order in which the strategy names them: bid and ask of each level in turn.
    for turn in range(2 * levels):
        index = turn // 2 + (levels if turn % 2 else 0)
        ticks, lots = wanted[index, 0], wanted[index, 1]
        if lots <= 0 or ticks <= 0 or _stays(orders, index, ticks, lots, figures[8], tick_int, lot_int):
            continue
        orders[index, 2] = 0
        price = ticks * tick_int
        own_bid, own_ask = _bounds(orders, levels)
        # Post-only: what would take, be it an own order, is refused.
        if (index < levels and price >= min(ask, own_ask)) or (index >= levels and price <= max(bid, own_bid)):
            continue
        seq += 1
        orders[index, 0] = price
        orders[index, 1] = orders[index, 2] = lots * lot_int
        orders[index, 3] = seq
    return seq


@njit(nogil=True)
def _wanted(levels, bid_f, ask_f, held_units, figures, tick, lot):  # type: ignore[no-untyped-def]
    """Ticks and lots of each quote that the rule wants; 0 lots for none."""
    spread, step, skew, short = figures[0], figures[2], figures[6], figures[10] != 0.0
    held, left = held_units / figures[5], held_units
    wanted = np.zeros((2 * levels, 2), dtype=np.int64)
    for level in range(levels):
        size = _level_size(figures[3], figures[4], level)
        if _quotes_side(held, 1):
            price = _bid_price(bid_f, ask_f, held, level, spread, step, skew)
            if price > 0:
                wanted[level, 0] = math.floor(price / tick + _EPSILON)
                wanted[level, 1] = math.floor(size / lot + _EPSILON)
        if not short:
            size = min(size, left)
            left -= size
        if _quotes_side(held, -1) and size >= lot:
            price = _ask_price(bid_f, ask_f, held, level, spread, step, skew)
            wanted[levels + level, 0] = math.ceil(price / tick - _EPSILON)
            wanted[levels + level, 1] = math.floor(size / lot + _EPSILON)
    return wanted


@njit(nogil=True)
def _stays(orders, index, ticks, lots, tolerance, tick_int, lot_int):  # type: ignore[no-untyped-def]
    """Whether an order works and is what is wanted, within the tolerance."""
    if orders[index, 2] <= 0:
        return False
    near = abs(orders[index, 0] // tick_int - ticks) <= tolerance * ticks + 0.5
    whole = abs(orders[index, 1] - lots * lot_int) * 2 <= lot_int
    rest = abs(orders[index, 2] - lots * lot_int) * 2 <= lot_int
    return near and (whole or rest)


def _stamp() -> int:
    """A number that changes with any source of the compiled pass."""
    digest = hashlib.blake2b(digest_size=7)
    for path in (Path(__file__), Path(quote_rule.__file__)):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest(), "big")


def _compiled(stamp: int) -> tuple[Any, Any]:
    # The stamp is a free variable, and so part of what numba finds the code by on disk.
    @njit(nogil=True, cache=True)
    def one(bids, bid_sizes, asks, ask_sizes, bid_f, ask_f, figures, units, capital, fills, out):  # type: ignore[no-untyped-def]
        count = _pass(bids, bid_sizes, asks, ask_sizes, bid_f, ask_f, figures, units, capital, fills, out)
        return count if stamp else -1

    @njit(parallel=True, nogil=True, cache=True)
    def many(bids, bid_sizes, asks, ask_sizes, bid_f, ask_f, figures, units, capital):  # type: ignore[no-untyped-def]
        out = np.zeros((len(figures), 10 if stamp else 0))
        for index in prange(len(figures)):
            none = np.zeros((0, 4), dtype=np.int64)
            _pass(bids, bid_sizes, asks, ask_sizes, bid_f, ask_f, figures[index], units, capital, none, out[index])
        return out

    return one, many


_one, _many = _compiled(_stamp())

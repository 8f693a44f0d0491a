"""A run against traders who enter at random: as many trades, held as long, at the same costs.

A Monte Carlo permutation test of the entries' timing: D. Aronson, Evidence-Based Technical Analysis (2007), ch. 6. The
holding times are the run's own in random order, the waits between them cut the remaining time at random places, sides
and sizes stay with the trades. p = (1 + random traders that did at least as well) / (1 + all of them), which is never 0
(B. Phipson and G. K. Smyth, Permutation P-values Should Never Be Zero, 2010).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import DataError
from engine.model.order import OrderSide

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.trades import ClosedTrade
    from engine.model.candle import Bars, FloatArray, IntArray

__all__ = ["random_entries", "random_places"]

CHUNK = 256
LEAST = 5
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def random_places(
    rng: np.random.Generator, holds: IntArray, bars: int, paths: int
) -> tuple[IntArray, IntArray, IntArray]:
    """Places for trades that do not overlap, in random order.

    Args:
        rng: Source of chance.
        holds: Bars that each trade lasts, shape (trades,); at most `bars` in all.
        bars: Bars there are.
        paths: How many ways.

    Returns:
        First bar of each, bar of its end, and which trade it is, each of shape (paths, trades).
    """
    count = len(holds)
    order = rng.permuted(np.broadcast_to(np.arange(count), (paths, count)), axis=1)
    lasting = holds[order]
    free = bars - int(holds.sum())
    # Sorted uniform cuts of the free bars: every way of spreading the waits is equally likely.
    cuts = np.sort(rng.integers(0, free + 1, (paths, count)), axis=1)
    begin = cuts + np.concatenate((np.zeros((paths, 1), dtype=np.int64), np.cumsum(lasting, axis=1)[:, :-1]), axis=1)
    return begin, begin + lasting, order


def random_entries(
    trades: Sequence[ClosedTrade], bars: Bars, *, first: int = 0, iterations: int = 1000, seed: int = 42
) -> dict[str, Any]:
    """Compare the trades' mean return with that of random entries.

    Each random trade enters and leaves at an open, has the side, the length and the costs (fees and slippage as a share
    of its value) of one of the run's trades, and is worth the same share of the account.

    Args:
        trades: The run's.
        bars: What it traded.
        first: First bar at which it could trade.
        iterations: Random traders.
        seed: Random start value.

    Returns:
        `p_value`, `actual` and the random traders' `mean`, `deviation` and `quantiles` of the mean return of a trade,
        after costs; `trades`, `iterations`, `seed`.

    Raises:
        DataError: There are fewer than 5 trades, or they fill the whole time, so that nothing is left to chance.
    """
    if len(trades) < LEAST:
        raise DataError(f"The run has {len(trades)} trades; a comparison with random entries needs {LEAST} or more.")
    entered = bars.ts.searchsorted(np.array([t.entry_time for t in trades]), side="right") - 1
    left = bars.ts.searchsorted(np.array([t.exit_time for t in trades]), side="left")
    holds = np.maximum(np.minimum(left, len(bars) - 1) - np.maximum(entered, 0), 1)
    room = len(bars) - 1 - first
    if int(holds.sum()) >= room:
        raise DataError("The run is in the market all the time; there are no other moments at which to enter.")
    sides = np.array([1.0 if t.side is OrderSide.BUY else -1.0 for t in trades])
    values = np.array([float(t.entry_price * t.quantity) for t in trades])
    costs = np.array([float(t.fees + t.slippage) for t in trades]) / values
    actual = float(np.mean([float(t.pnl) for t in trades] / values))
    opens = bars.open[first:]
    rng = np.random.Generator(np.random.SFC64(seed))
    means: list[FloatArray] = []
    for begin in range(0, iterations, CHUNK):
        start, end, which = random_places(rng, holds, room, min(CHUNK, iterations - begin))
        moves = sides[which] * (opens[end] / opens[start] - 1.0) - costs[which]
        means.append(moves.mean(axis=1))
    found = np.concatenate(means)
    return {
        "p_value": (1.0 + float((found >= actual).sum())) / (1.0 + len(found)),
        "actual": actual,
        "mean": float(found.mean()),
        "deviation": float(found.std(ddof=1)),
        "quantiles": [[share, float(np.quantile(found, share))] for share in _QUANTILES],
        "trades": len(trades),
        "iterations": iterations,
        "seed": seed,
    }

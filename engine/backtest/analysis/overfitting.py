"""Probability of backtest overfitting: how often the variant that was best in one half of time is poor in the other.

Combinatorially symmetric cross-validation (CSCV): D. H. Bailey, J. Borwein, M. Lopez de Prado and Q. J. Zhu, The
Probability of Backtest Overfitting, J. Computational Finance 20 (2017), sections 3 and 4.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.errors import ValidationError

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

__all__ = ["Overfit", "overfitting"]

_FLAT = 1e-15


class Overfit(NamedTuple):
    """What the cross-validation found."""

    probability: float
    """Share of the splits in which the best variant of one half is at or below the median of the other."""
    logits: FloatArray
    """ln(w / (1 - w)) of each split, w the best variant's relative rank in the other half; 0 is the median."""
    slope: float | None
    """How the ratio in the other half moves with that in the chosen half; falling is a sign of overfitting."""
    loss_probability: float
    """Share of the splits in which the best variant has a ratio below 0 in the other half."""
    chosen: tuple[int, ...]
    """How often each variant was the best."""
    inside: FloatArray
    """Ratio of the best variant in the half in which it was chosen, a period."""
    outside: FloatArray
    """Its ratio in the other half."""


def overfitting(returns: FloatArray, blocks: int = 16) -> Overfit:
    """Cross-validate the choice of the best of several variants.

    Time is cut into `blocks` equal parts (the oldest rows that do not fill them are left out); each way of taking half
    of them is one split. The measure is the Sharpe ratio without annualisation; a variant that does not move has 0.
    Ranks of equal ratios are shared.

    Args:
        returns: Of the same periods, one column a variant, shape (periods, variants).
        blocks: Even, at least 2.

    Raises:
        ValidationError: There are fewer than two variants, fewer than two periods a block, or an odd number of blocks.
    """
    periods, variants = returns.shape
    if variants < 2:
        raise ValidationError("Overfitting is about a choice; name two variants or more.")
    if blocks < 2 or blocks % 2:
        raise ValidationError(f"Time is cut into an even number of blocks, 2 or more, not {blocks}.")
    width = periods // blocks
    if width < 2:
        raise ValidationError(f"{periods} days are too few for {blocks} blocks; two days a block are the least.")
    parts = returns[periods - width * blocks :].reshape(blocks, width, variants)
    sums, squares = parts.sum(axis=1), (parts * parts).sum(axis=1)
    whole_sum, whole_square = sums.sum(axis=0), squares.sum(axis=0)
    rows = width * blocks // 2
    logits, inside, outside, chosen = [], [], [], []
    for half in combinations(range(blocks), blocks // 2):
        taken = list(half)
        part_sum, part_square = sums[taken].sum(axis=0), squares[taken].sum(axis=0)
        first = _ratios(part_sum, part_square, rows)
        second = _ratios(whole_sum - part_sum, whole_square - part_square, rows)
        best = int(np.argmax(first))
        rank = float((second < second[best]).sum()) + (float((second == second[best]).sum()) + 1.0) / 2.0
        share = rank / (variants + 1.0)
        logits.append(math.log(share / (1.0 - share)))
        inside.append(float(first[best]))
        outside.append(float(second[best]))
        chosen.append(best)
    found, x, y = np.array(logits), np.array(inside), np.array(outside)
    spread = float(np.var(x))
    return Overfit(
        probability=float((found <= 0).mean()),
        logits=found,
        slope=float(np.mean((x - x.mean()) * (y - y.mean()))) / spread if spread > 1e-24 else None,
        loss_probability=float((y < 0).mean()),
        chosen=tuple(np.bincount(chosen, minlength=variants).tolist()),
        inside=x,
        outside=y,
    )


def _ratios(sums: FloatArray, squares: FloatArray, rows: int) -> FloatArray:
    mean = sums / rows
    deviation = np.sqrt(np.maximum(squares / rows - mean * mean, 0.0) * rows / (rows - 1))
    ratios: FloatArray = np.where(deviation > _FLAT, mean / np.where(deviation > _FLAT, deviation, 1.0), 0.0)
    return ratios

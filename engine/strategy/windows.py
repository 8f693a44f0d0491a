"""Rolling windows whose value depends on nothing but the numbers inside the window, bit for bit.

A running sum that adds the newest value and takes off the oldest carries its rounding error along, so its result
depends on where it began. Here a window of n values is always combined by the same tree of additions: sums of 1, 2,
4, 8 … neighbours, then those that make up n. That costs about 2·log2(n) passes of numpy and gives the same float64
whether a history comes at once, in chunks, or bar by bar.

All functions take an array of length m ≥ n - 1 and return the m - n + 1 full windows, oldest first. NaN in a window
makes its result NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

__all__ = ["sliding_max", "sliding_mean_m2", "sliding_min", "sliding_sum"]


def sliding_sum(values: FloatArray, n: int) -> FloatArray:
    """Sum of every window of n values."""
    size = len(values) - n + 1
    total = np.zeros(size)
    blocks, width, start = values, 1, 0
    while True:
        if n & width:
            total = total + blocks[start : start + size]
            start += width
        if 2 * width > n:
            return total
        blocks = blocks[:-width] + blocks[width:]
        width *= 2


def sliding_mean_m2(values: FloatArray, n: int) -> tuple[FloatArray, FloatArray]:
    """Mean, and sum of squared deviations from it, of every window of n values.

    Neighbouring blocks are merged as in Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
    computing sample variances" (1979): no cancellation at large prices, and exactly zero for a window of equal values.
    """
    size = len(values) - n + 1
    mean, m2, count, start = np.zeros(size), np.zeros(size), 0, 0
    block_mean, block_m2, width = values, values - values, 1
    while True:
        if n & width:
            part = slice(start, start + size)
            share = width / (count + width)
            delta = block_mean[part] - mean
            # The first block is taken as it is: its distance from an empty mean is no deviation.
            mean = mean + delta * share if count else block_mean[part]
            m2 = m2 + block_m2[part] + delta * delta * (count * share)
            count += width
            start += width
        if 2 * width > n:
            return mean, m2
        delta = block_mean[width:] - block_mean[:-width]
        block_m2 = block_m2[:-width] + block_m2[width:] + delta * delta * (width / 2)
        block_mean = block_mean[:-width] + delta / 2
        width *= 2


def sliding_max(values: FloatArray, n: int) -> FloatArray:
    """Largest of every window of n values."""
    width = 1
    while 2 * width <= n:
        values = np.maximum(values[:-width], values[width:])
        width *= 2
    # Two blocks that overlap cover the window, and a maximum does not mind seeing a value twice.
    size = len(values) - (n - width)
    return np.maximum(values[:size], values[n - width :])


def sliding_min(values: FloatArray, n: int) -> FloatArray:
    """Smallest of every window of n values."""
    return -sliding_max(-values, n)

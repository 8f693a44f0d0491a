"""Sliding windows agree with a window computed alone, and do not see where the array began."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.strategy.windows import sliding_max, sliding_mean_m2, sliding_min, sliding_sum

prices = st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=90)


@given(prices, st.integers(1, 40))
def test_every_window_agrees_with_numpy(values: list[float], n: int) -> None:
    series = np.array(values)
    if len(series) < n:
        series = np.resize(series, n)
    windows = np.lib.stride_tricks.sliding_window_view(series, n)
    scale = 1.0 + float(np.abs(series).max())
    np.testing.assert_allclose(sliding_sum(series, n), windows.sum(axis=1), rtol=0, atol=1e-12 * scale * n)
    mean, m2 = sliding_mean_m2(series, n)
    np.testing.assert_allclose(mean, windows.mean(axis=1), rtol=0, atol=1e-12 * scale)
    np.testing.assert_allclose(m2, windows.var(axis=1) * n, rtol=1e-9, atol=1e-12 * scale * scale * n)
    np.testing.assert_array_equal(sliding_max(series, n), windows.max(axis=1))
    np.testing.assert_array_equal(sliding_min(series, n), windows.min(axis=1))


@given(st.floats(min_value=1e-8, max_value=1e8), st.integers(1, 300))
def test_equal_values_deviate_by_exactly_nothing(value: float, n: int) -> None:
    mean, m2 = sliding_mean_m2(np.full(n + 5, value), n)
    assert (m2 == 0.0).all()
    assert (mean == value).all()


def test_a_small_spread_at_a_large_price_keeps_its_digits() -> None:
    _, m2 = sliding_mean_m2(np.tile([1e9, 1e9 + 0.5], 32), 64)
    assert m2[0] == pytest.approx(64 * 0.0625, rel=1e-12)


@given(st.integers(1, 64), st.integers(0, 50), st.integers(0, 2**32 - 1))
def test_a_window_has_the_same_bits_wherever_the_array_begins(n: int, cut: int, seed: int) -> None:
    series = np.random.default_rng(seed).normal(100.0, 3.0, n + 50)
    tail = series[cut:]
    np.testing.assert_array_equal(sliding_sum(series, n)[cut:], sliding_sum(tail, n))
    for whole, part in zip(sliding_mean_m2(series, n), sliding_mean_m2(tail, n), strict=True):
        np.testing.assert_array_equal(whole[cut:], part)


@pytest.mark.parametrize("n", [1, 2, 3, 20, 64])
def test_too_few_values_make_no_window(n: int) -> None:
    few = np.ones(n - 1)
    assert len(sliding_sum(few, n)) == len(sliding_max(few, n)) == len(sliding_mean_m2(few, n)[1]) == 0


def test_a_nan_spoils_only_the_windows_that_hold_it() -> None:
    series = np.arange(20.0)
    series[7] = np.nan
    for result in (sliding_sum(series, 5), sliding_max(series, 5), sliding_mean_m2(series, 5)[1]):
        np.testing.assert_array_equal(np.flatnonzero(np.isnan(result)), np.arange(3, 8))

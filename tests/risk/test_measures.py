"""Risk measures against independent libraries, to 1e-9, and where there is nothing to measure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from engine.risk.measures import (
    Moments,
    cornish_fisher,
    drawdowns,
    expected_shortfall,
    is_valid_expansion,
    moments,
    parametric,
    rolling_sums,
    sharpe,
    value_at_risk,
)

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

LEVELS = (0.9, 0.95, 0.975, 0.99)


def series(seed: int, days: int = 500) -> FloatArray:
    """Daily returns with fat tails and a little drift."""
    return np.random.default_rng(seed).standard_t(4, days) * 0.02 + 0.0005


def near(value: float | None, other: float) -> bool:
    return value is not None and math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-9)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("confidence", LEVELS)
def test_historical_figures_are_those_of_empyrical(seed: int, confidence: float) -> None:
    for days in (30, 99, 365, 500):
        returns = series(seed, days)
        cutoff = 1.0 - confidence
        assert near(value_at_risk(returns, confidence), -empyrical.value_at_risk(returns, cutoff))
        assert near(expected_shortfall(returns, confidence), -empyrical.conditional_value_at_risk(returns, cutoff))


@pytest.mark.parametrize("seed", range(6))
def test_drawdown_and_sharpe_are_those_of_empyrical(seed: int) -> None:
    returns = series(seed)
    found = drawdowns(returns)
    assert found is not None
    assert near(found[0], -empyrical.max_drawdown(returns))
    growth = np.concatenate(([1.0], np.cumprod(1.0 + returns)))
    assert near(found[1], 1.0 - growth[-1] / growth.max())
    for rate in (0.0, 0.02, 0.1):
        other = empyrical.sharpe_ratio(pd.Series(returns), risk_free=rate / 365, annualization=365)
        assert near(sharpe(returns, rate), float(other))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("confidence", LEVELS)
def test_moments_and_parametric_figures_are_those_of_scipy(seed: int, confidence: float) -> None:
    returns = series(seed)
    found = moments(returns)
    assert found is not None
    assert near(found.mean, float(np.mean(returns)))
    assert near(found.deviation, float(np.std(returns, ddof=1)))
    assert near(found.skewness, float(stats.skew(returns)))
    assert near(found.kurtosis, float(stats.kurtosis(returns)))
    normal = stats.norm(found.mean, found.deviation)
    var, es = parametric(found, confidence)
    assert near(var, -float(normal.ppf(1 - confidence)))
    tail = integrate.quad(normal.ppf, 0.0, 1 - confidence, epsabs=1e-14, epsrel=1e-12)[0] / (1 - confidence)
    assert math.isclose(es, -tail, rel_tol=1e-7)
    # In closed form, by scipy's own density.
    z = float(stats.norm.ppf(1 - confidence))
    assert near(es, -(found.mean - found.deviation * float(stats.norm.pdf(z)) / (1 - confidence)))


@pytest.mark.parametrize(("skewness", "kurtosis"), [(0.0, 0.0), (-0.5, 1.5), (0.4, 2.0), (-0.8, 3.0), (0.0, 7.5)])
@pytest.mark.parametrize("confidence", LEVELS)
def test_cornish_fisher_is_the_quantile_and_its_tail_mean(skewness: float, kurtosis: float, confidence: float) -> None:
    assert is_valid_expansion(skewness, kurtosis)
    found = cornish_fisher(Moments(0.001, 0.03, skewness, kurtosis), confidence)
    assert found is not None

    def w(z: float) -> float:
        s, k = skewness, kurtosis
        return z + (z**2 - 1) * s / 6 + (z**3 - 3 * z) * k / 24 - (2 * z**3 - 5 * z) * s**2 / 36

    alpha = 1 - confidence
    z = float(stats.norm.ppf(alpha))
    assert near(found[0], -(0.001 + 0.03 * w(z)))
    mean = (
        integrate.quad(lambda x: w(x) * stats.norm.pdf(x), -40.0, z, epsabs=1e-13, epsrel=1e-13, limit=200)[0] / alpha
    )
    assert near(found[1], -(0.001 + 0.03 * mean))


def test_a_normal_shape_makes_cornish_fisher_parametric() -> None:
    normal = Moments(-0.001, 0.02, 0.0, 0.0)
    found, other = cornish_fisher(normal, 0.95), parametric(normal, 0.95)
    assert found is not None
    assert found == pytest.approx(other, abs=1e-12)


@given(skewness=st.integers(-300, 300), kurtosis=st.integers(-200, 1200))
@settings(max_examples=200, deadline=None)
def test_the_expansion_is_valid_just_where_it_keeps_the_order_of_quantiles(skewness: int, kurtosis: int) -> None:
    # Its derivative is a parabola in z: never negative where it opens upwards and its lowest point is not below zero.
    s, k = skewness / 100, kurtosis / 100
    a, b, c = k / 8 - s**2 / 6, s / 3, 1 - k / 8 + 5 * s**2 / 36
    if abs(a) < 1e-9:
        return
    lowest = c - b * b / (4 * a) if a > 0 else -math.inf
    if abs(lowest) > 1e-9:
        assert is_valid_expansion(s, k) == (lowest >= 0)


def test_outside_its_domain_the_expansion_gives_nothing() -> None:
    assert not is_valid_expansion(0.0, 8.01)
    assert is_valid_expansion(0.0, 8.0)
    assert not is_valid_expansion(0.0, -0.01)
    assert cornish_fisher(Moments(0.0, 0.02, 0.0, 9.0), 0.95) is None


def test_longer_horizons_scale_moments_as_independent_days_do() -> None:
    day = Moments(0.001, 0.02, -0.6, 3.0)
    week = day.over(5)
    assert week == pytest.approx((0.005, 0.02 * math.sqrt(5), -0.6 / math.sqrt(5), 0.6))
    rng = np.random.default_rng(1)
    sums = (rng.exponential(1.0, (200_000, 5)) - 1.0).sum(axis=1)
    found, one = moments(sums), Moments(0.0, 1.0, 2.0, 6.0).over(5)
    assert found is not None
    assert found == pytest.approx(one, abs=0.06)


def test_sums_of_five_days_overlap_and_leave_gaps_out() -> None:
    assert rolling_sums(np.arange(7.0), 5).tolist() == [10.0, 15.0, 20.0]
    assert rolling_sums(np.array([1.0, 1.0, np.nan, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]), 5).tolist() == [5.0, 5.0]
    assert not len(rolling_sums(np.ones(4), 5))


def test_gains_are_no_losses() -> None:
    rising = np.linspace(0.01, 0.02, 60)
    assert value_at_risk(rising, 0.95) == expected_shortfall(rising, 0.95) == 0.0
    found = moments(rising)
    assert found is not None
    assert parametric(found, 0.95) == (0.0, 0.0)
    assert drawdowns(rising) == (0.0, 0.0)


def test_what_cannot_be_measured_is_none_and_never_zero() -> None:
    empty, one = np.empty(0), np.array([0.01])
    for too_few in (empty, one):
        assert value_at_risk(too_few, 0.95) is None
        assert expected_shortfall(too_few, 0.95) is None
        assert sharpe(too_few, 0.0) is None
        assert moments(too_few) is None
    assert drawdowns(empty) is None
    assert sharpe(np.full(50, 0.001), 0.0) is None
    flat = moments(np.full(50, 0.001))
    assert flat is not None
    assert (flat.deviation, flat.skewness, flat.kurtosis) == (0.0, 0.0, 0.0)

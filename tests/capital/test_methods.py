"""Shares against known answers, and the bounds they keep."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.capital.methods import METHODS, bounded, equal_risk, shares_of, sharpe_factor
from engine.capital.performance import correlations, daily_returns, performance_of
from engine.model.capital_settings import CapitalManagementSettings
from engine.model.ids import Owner
from tests.capital.days import days

if TYPE_CHECKING:
    from engine.model.capital import DayMark


def test_figures_of_a_pool_against_their_definitions() -> None:
    made = [0.01, -0.02, 0.03, 0.0] * 10
    known = performance_of(days(made))
    returns = np.array(made)
    assert known.days == 40
    assert known.volatility == pytest.approx(returns.std(ddof=1) * math.sqrt(365))
    assert known.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(365))
    assert known.kelly == pytest.approx(returns.mean() / returns.var(ddof=1))
    assert known.total == pytest.approx(np.prod(1 + returns) - 1)
    assert known.drawdown == pytest.approx(0.02)
    assert known.trust == pytest.approx(40 / 60)


def test_days_that_are_missing_make_no_return() -> None:
    marks = [mark for mark in days([0.01, 0.02, 0.03, 0.04]) if mark.day != 2]
    assert daily_returns(marks) == pytest.approx({1: 0.01, 4: 0.04})
    assert performance_of([]).days == 0


@pytest.mark.parametrize(("count", "known"), [(19, False), (20, True)])
def test_figures_begin_with_twenty_days(count: int, known: bool) -> None:
    found = performance_of(days([0.01, -0.01] * 10)[: count + 1])
    assert (found.volatility is not None, found.trust > 0) == (known, known)


def test_equal_risk_of_two_is_inverse_volatility_whatever_their_correlation() -> None:
    for correlation in (-0.5, 0.0, 0.9):
        sigma = np.array([0.2, 0.6])
        cov = np.outer(sigma, sigma) * np.array([[1, correlation], [correlation, 1]])
        assert equal_risk(cov) == pytest.approx([0.75, 0.25], abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**32 - 1))
def test_everybody_contributes_the_same_risk(size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(size, size + 2))
    cov = factors @ factors.T / size + np.eye(size) * 0.05
    weights = equal_risk(cov)
    parts = weights * (cov @ weights)
    assert weights.sum() == pytest.approx(1)
    assert parts == pytest.approx(np.full(size, parts.mean()), rel=1e-8)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(0.001, 100), min_size=1, max_size=12), st.floats(0, 0.05), st.floats(0.06, 1), st.floats(0, 1)
)
def test_bounds_hold_and_the_whole_is_shared_where_it_can_be(
    weights: list[float], low: float, high: float, whole: float
) -> None:
    size = len(weights)
    found = bounded(weights, [low] * size, [high] * size, whole)
    reach = min(whole, size * high)
    assert sum(found) == pytest.approx(reach, abs=1e-9)
    assert all(share <= high + 1e-12 for share in found)
    if size * low <= whole:
        assert all(share >= low - 1e-12 for share in found)


def test_every_method_shares_everything_among_new_strategies_alike() -> None:
    for method, find in METHODS.items():
        assert find({Owner(name): () for name in "abcd"}) == pytest.approx([0.25] * 4), method


def test_correlated_strategies_share_one_place() -> None:
    rng = np.random.default_rng(4)
    first, third = rng.normal(0, 0.02, 60), rng.normal(0, 0.02, 60)
    histories = {
        Owner("a"): days(list(first)), Owner("b"): days(list(first + rng.normal(0, 0.002, 60))),
        Owner("c"): days(list(third)),
    }  # fmt: skip
    assert correlations(histories)[0, 1] > 0.95
    weights = METHODS["risk_parity"](histories)
    assert weights[2] > 1.3 * weights[0]


def test_the_sharpe_ratio_moves_a_share_by_half_at_the_most() -> None:
    assert sharpe_factor(performance_of(days([0.01, -0.001] * 40))) == 1.5
    assert sharpe_factor(performance_of(days([-0.01, 0.001] * 40))) == 0.5
    assert sharpe_factor(performance_of([])) == 1.0


def test_kelly_bounds_a_strategy_that_does_not_earn() -> None:
    histories: dict[Owner, list[DayMark]] = {
        Owner("good"): days([0.01, -0.005] * 40), Owner("bad"): days([-0.01, 0.005] * 40)
    }  # fmt: skip
    found = shares_of(histories, CapitalManagementSettings(kelly=True), 0.9)
    assert found[Owner("bad")] == pytest.approx(0.01)
    assert found[Owner("good")] == pytest.approx(0.25)

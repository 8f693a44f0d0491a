"""The schedule of Almgren and Chriss against their own figures, its limits and a search for a better one."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ValidationError
from engine.execution.schedules.almgren_chriss import RISK_AVERSION, Shortfall, risk_aversion
from engine.model.schedule import Slice

# The example of their paper, §4: 1 million shares at 50 $, 5 days, sigma 0.95 $, eta 2.5e-6, gamma 2.5e-7, eps 0.0625.
_SHARES, _PRICE, _DAY = 1e6, 50.0, 86_400.0
PAPER = Shortfall(
    sigma=0.95 / _PRICE / math.sqrt(_DAY),
    eta=2.5e-6 * _SHARES / _PRICE * _DAY,
    gamma=2.5e-7 * _SHARES / _PRICE,
    epsilon=0.0625 / _PRICE,
)
_VALUE = _SHARES * _PRICE


def test_kappa_and_trajectory_are_those_of_the_paper() -> None:
    # lambda = 1e-6 a dollar gives kappa near 0.61 a day.
    weights = PAPER.weights(5 * _DAY, 5, 1e-6 * _VALUE)
    squared = 1e-6 * 0.95**2 / (2.5e-6 - 2.5e-7 / 2)
    kappa = math.acosh(1 + squared / 2)
    assert kappa == pytest.approx(0.61, abs=0.01)
    left = 1.0
    for day, share in enumerate(weights, 1):
        left -= share
        assert left == pytest.approx(math.sinh(kappa * (5 - day)) / math.sinh(5 * kappa), abs=1e-12)


def test_costs_are_their_formulas() -> None:
    weights = (0.4, 0.3, 0.2, 0.1)
    costs = PAPER.costs(weights, 4 * _DAY)
    shares = [w * _SHARES for w in weights]
    eta = 2.5e-6 - 2.5e-7 / 2
    expected = 0.5 * 2.5e-7 * _SHARES**2 + 0.0625 * _SHARES + eta * sum(n * n for n in shares)
    left = [6e5, 3e5, 1e5, 0]
    assert costs.expected * _VALUE == pytest.approx(expected)
    assert costs.variance * _VALUE**2 == pytest.approx(0.95**2 * sum(x * x for x in left))
    assert costs.utility(0) == costs.expected
    assert costs.utility(3) == costs.expected + 3 * costs.variance


def test_without_fear_it_is_a_twap_and_without_patience_everything_at_once() -> None:
    assert PAPER.weights(_DAY, 4, 0) == (0.25,) * 4
    assert PAPER.weights(_DAY, 4, math.inf) == (1.0, 0.0, 0.0, 0.0)
    assert PAPER.schedule(400, 4, math.inf) == (Slice(0, PAPER.schedule(400, 4, 0)[-1].share),)
    assert PAPER.weights(_DAY, 3, 1e12)[0] == pytest.approx(1)


@given(st.floats(0.01, 1e5), st.integers(2, 60))
def test_no_other_schedule_is_better(aversion: float, slices: int) -> None:
    weights = PAPER.weights(_DAY, slices, aversion)
    assert sum(weights) == pytest.approx(1)
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(weights))
    best = PAPER.costs(weights, _DAY).utility(aversion)
    chance = random.Random(slices)
    for _ in range(5):
        one, other = chance.sample(range(slices), 2)
        moved = list(weights)
        moved[one] += 0.01
        moved[other] -= 0.01
        assert PAPER.costs(moved, _DAY).utility(aversion) >= best - 1e-12


def test_urgency_becomes_risk_aversion() -> None:
    assert risk_aversion(0) == 0
    assert risk_aversion(0.5) == RISK_AVERSION
    assert risk_aversion(0.75) == 3 * RISK_AVERSION
    assert risk_aversion(1) == math.inf
    for wrong in (-0.01, 1.01, math.nan):
        with pytest.raises(ValidationError):
            risk_aversion(wrong)


def test_a_market_without_temporary_impact_is_traded_at_once_not_divided_by_zero() -> None:
    market = Shortfall(sigma=1e-4, eta=0.0, gamma=0.01, epsilon=0.0)
    assert market.weights(_DAY, 10, 100.0)[0] > 0.99
    with pytest.raises(ValidationError):
        Shortfall(sigma=-1, eta=0, gamma=0, epsilon=0)
    with pytest.raises(ValidationError):
        market.weights(0, 10, 1.0)

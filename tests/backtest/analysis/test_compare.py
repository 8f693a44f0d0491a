"""Runs side by side and their weights: closed forms by hand, common days, and reasons that fit the figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from engine.backtest.analysis.compare import common_days, compare
from engine.backtest.analysis.weights import portfolio, shrunk_covariance, weights_of
from engine.errors import DataError
from engine.risk.measures import sharpe
from tests.backtest.analysis.test_chance import contender

DIAGONAL = np.diag([0.04, 0.01, 0.0025])
MEAN = np.array([0.02, 0.01, 0.002])
RELATED = np.array([[0.04, 0.012, 0.0], [0.012, 0.01, -0.002], [0.0, -0.002, 0.0025]])


def test_uncorrelated_runs_have_closed_forms() -> None:
    inverse = 1.0 / np.diag(DIAGONAL)
    assert weights_of("equal", MEAN, DIAGONAL).tolist() == pytest.approx([1 / 3] * 3)
    assert weights_of("minimum_variance", MEAN, DIAGONAL).tolist() == pytest.approx(inverse / inverse.sum(), abs=1e-6)
    tangency = inverse * MEAN
    assert weights_of("maximum_sharpe", MEAN, DIAGONAL).tolist() == pytest.approx(tangency / tangency.sum(), abs=1e-5)
    deviation = 1.0 / np.sqrt(np.diag(DIAGONAL))
    assert weights_of("risk_parity", MEAN, DIAGONAL).tolist() == pytest.approx(deviation / deviation.sum(), abs=1e-6)


def test_correlated_runs_share_the_risk_equally_or_have_the_least_of_it() -> None:
    parity = weights_of("risk_parity", MEAN, RELATED)
    shares = parity * (RELATED @ parity) / (parity @ RELATED @ parity)
    assert shares.tolist() == pytest.approx([1 / 3] * 3, abs=1e-6)
    least = weights_of("minimum_variance", MEAN, RELATED)
    grid = [
        float(w @ RELATED @ w)
        for a in np.linspace(0, 1, 101)
        for b in np.linspace(0, 1 - a, 101)
        for w in (np.array([a, b, 1 - a - b]),)
    ]
    assert float(least @ RELATED @ least) == pytest.approx(min(grid), rel=2e-3)
    assert float(least @ RELATED @ least) <= min(grid) + 1e-9
    best = weights_of("maximum_sharpe", MEAN, RELATED)
    found = optimize.brute(
        lambda w: (
            -(MEAN @ [*w, 1 - sum(w)]) / math.sqrt(np.array([*w, 1 - sum(w)]) @ RELATED @ [*w, 1 - sum(w)])
            if sum(w) <= 1
            else 0.0
        ),
        ((0, 1), (0, 1)),
        Ns=81,
        finish=None,
        full_output=True,
    )
    assert -(MEAN @ best) / math.sqrt(best @ RELATED @ best) <= found[1] + 1e-9


def test_weights_are_shares() -> None:
    for method in ("minimum_variance", "maximum_sharpe", "risk_parity"):
        weights = weights_of(method, np.array([0.01, -0.02, 0.005]), RELATED)
        assert (weights >= 0).all()
        assert weights.sum() == pytest.approx(1.0)
    assert weights_of("maximum_sharpe", np.array([0.01]), np.array([[0.01]])).tolist() == [1.0]


def test_what_cannot_be_weighed_is_refused() -> None:
    with pytest.raises(DataError, match="never moves"):
        weights_of("risk_parity", MEAN, np.diag([0.01, 0.0, 0.01]))
    with pytest.raises(DataError, match="above the risk-free rate"):
        weights_of("maximum_sharpe", -MEAN, DIAGONAL)


def test_a_portfolio_by_hand() -> None:
    returns = np.array([[0.1, 0.0], [-0.1, 0.1], [0.0, 0.1]])
    found = portfolio(returns, np.array([0.5, 0.5]), 0.0)
    joined = np.array([0.05, 0.0, 0.05])
    assert found["total_return"] == pytest.approx(1.05 * 1.05 - 1)
    assert found["sharpe"] == pytest.approx(sharpe(joined, 0.0))
    assert found["max_drawdown"] == pytest.approx(0.0)
    assert sum(found["risk_shares"]) == pytest.approx(1.0)


def test_the_covariance_is_between_the_sample_and_its_mean_variance() -> None:
    returns = np.random.default_rng(1).normal(0.0, [0.01, 0.02, 0.03], (100, 3))
    sample, shrunk = np.cov(returns, rowvar=False, ddof=0), shrunk_covariance(returns)
    mean = np.trace(sample) / 3
    share = (shrunk[0, 0] - sample[0, 0]) / (mean - sample[0, 0])
    assert 0.0 < share < 1.0
    assert shrunk == pytest.approx((1 - share) * sample + share * mean * np.eye(3))


def test_runs_are_put_on_the_days_that_all_have() -> None:
    one, two = contender("one", np.full(10, 0.01)), contender("two", np.full(10, 0.02), first=4)
    first, values = common_days([one, two])
    assert values.shape == (7, 2)
    assert values[0].tolist() == pytest.approx([1000 * 1.01**4, 1000.0])
    found = compare([one, two], capital=500.0, risk_free_rate=0.0)
    assert found["period"]["days"] == 6
    assert [row["total_return"] for row in found["runs"]] == pytest.approx([1.01**6 - 1, 1.02**6 - 1])
    assert [curve[0] for curve in found["curves"]["equity"]] == [500.0, 500.0]
    assert found["attribution"]["by_market"] == pytest.approx(
        {"SIM:one": 500 * (1.01**6 - 1), "SIM:two": 500 * (1.02**6 - 1)}
    )
    assert first * 86_400 * 10**9 == found["period"]["start"]
    with pytest.raises(DataError, match="days in common"):
        common_days([one, contender("three", np.full(10, 0.02), first=8)])


def test_the_recommendation_follows_from_the_figures() -> None:
    rng = np.random.default_rng(2)
    base = rng.normal(0.0, 0.01, 300)
    good, twin = contender("good", base + 0.002), contender("twin", base + 0.0015, trades=5)
    wild = contender("wild", rng.normal(0.01, 0.08, 300))
    found = compare([wild, twin, good], capital=1.0, risk_free_rate=0.0)
    advice = found["recommendation"]
    assert advice["choice"] == "Choose good."
    # The wild one has too deep a fall, whatever its ratio.
    assert advice["order"] == ["good", "twin", "wild"]
    assert "at most 15% drawdown is allowed" in advice["reasons"][2]
    assert any("good and twin move together" in text for text in advice["warnings"])
    assert any("twin has 5 trades" in text for text in advice["warnings"])
    assert found["correlation"][1][2] == pytest.approx(1.0)
    assert set(found["portfolios"]) == {"equal", "minimum_variance", "maximum_sharpe", "risk_parity"}
    poor = compare([contender("a", base - 0.002), contender("b", -base - 0.002)], capital=1.0, risk_free_rate=0.0)
    assert poor["recommendation"]["choice"].startswith("Choose none")
    assert "refusal" in poor["portfolios"]["maximum_sharpe"]


def test_a_run_that_never_moves_has_no_correlation() -> None:
    flat = contender("flat", np.zeros(50))
    found = compare(
        [flat, contender("up", np.tile([0.01, -0.005], 25))], capital=1.0, risk_free_rate=0.02, weights="equal"
    )
    assert found["correlation"][0] == [None, None]
    assert found["runs"][0]["sharpe"] is None
    assert list(found["portfolios"]) == ["equal"]

"""Probabilistic and deflated Sharpe ratio, and the record that is needed, against values of the papers and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from engine.backtest.analysis.sharpe import (
    SharpeFacts,
    deflated_sharpe,
    expected_best,
    minimum_record,
    probabilistic_sharpe,
    ratio_variance,
    sharpe_facts,
)


def test_the_papers_own_example_comes_out() -> None:
    # Bailey and Lopez de Prado (2014), "A numerical example": SR 2.5 a year of 250 days from 1,250 days, 100 trials
    # with a variance of 1/2 a year, skewness -3 and kurtosis 10: SR0 is 0.1132 a day and the deflated ratio 0.9004.
    facts = SharpeFacts(2.5 / math.sqrt(250), 1250, -3.0, 10.0)
    assert expected_best(100, 0.5 / 250) == pytest.approx(0.1132, abs=5e-5)
    assert deflated_sharpe(facts, 100, 0.5 / 250) == pytest.approx(0.9004, abs=5e-5)
    # The paper: after 46 trials it would be 0.9505, and were returns normal, after 88.
    assert deflated_sharpe(facts, 46, 0.5 / 250) == pytest.approx(0.9505, abs=5e-4)
    normal = SharpeFacts(2.5 / math.sqrt(250), 1250, 0.0, 3.0)
    assert deflated_sharpe(normal, 88, 0.5 / 250) == pytest.approx(0.9505, abs=5e-4)


def test_a_record_is_probably_above_the_benchmark() -> None:
    facts = SharpeFacts(0.1, 101, 0.0, 3.0)
    # z = 0.1 x 10 / sqrt(1 + 0.5 x 0.01) = 0.997509
    assert probabilistic_sharpe(facts) == pytest.approx(stats.norm.cdf(1.0 / math.sqrt(1.005)))
    assert probabilistic_sharpe(facts, 0.1) == 0.5
    skewed = SharpeFacts(0.1, 101, -2.0, 12.0)
    assert probabilistic_sharpe(skewed) == pytest.approx(stats.norm.cdf(1.0 / math.sqrt(1.0 + 0.2 + 0.0275)))
    # Moments that contradict each other: no probability.
    assert probabilistic_sharpe(SharpeFacts(1.0, 101, 5.0, 3.0)) is None


def test_the_shortest_record_makes_the_probability_just_what_was_asked() -> None:
    facts = SharpeFacts(0.1, 1000, -1.0, 6.0)
    # 1 + (1 + 0.1 + 1.25 x 0.01) x (1.644854 / 0.1)^2 = 1 + 1.1125 x 270.554 = 301.99
    needed = minimum_record(facts) or 0.0
    assert needed == pytest.approx(301.991, abs=1e-3)
    again = SharpeFacts(0.1, round(needed), -1.0, 6.0)
    assert probabilistic_sharpe(again) == pytest.approx(0.95, abs=1e-4)
    assert minimum_record(facts, 0.1) is None
    assert minimum_record(SharpeFacts(-0.1, 1000, 0.0, 3.0)) is None


def test_one_trial_is_chosen_among_none() -> None:
    facts = SharpeFacts(0.05, 500, 0.1, 4.0)
    assert expected_best(1, 1.0) == 0.0
    assert deflated_sharpe(facts, 1) == probabilistic_sharpe(facts)
    # More trials deflate more, and without a known spread that of chance counts.
    assert (deflated_sharpe(facts, 10) or 0.0) > (deflated_sharpe(facts, 1000) or 1.0)
    assert deflated_sharpe(facts, 10) == deflated_sharpe(facts, 10, 1.0 / 499)


def test_moments_are_those_of_the_excess_returns() -> None:
    returns = np.array([0.01, -0.02, 0.03, 0.005, -0.01, 0.02])
    facts = sharpe_facts(returns, 0.0365)
    excess = returns - 0.0001
    assert facts is not None
    assert facts.ratio == pytest.approx(excess.mean() / excess.std(ddof=1))
    assert facts.skewness == pytest.approx(stats.skew(returns))
    assert facts.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
    assert facts.periods == 6


def test_what_cannot_be_computed_is_none() -> None:
    assert sharpe_facts(np.zeros(0), 0.02) is None
    assert sharpe_facts(np.array([0.01, 0.02, 0.03]), 0.02) is None
    assert sharpe_facts(np.full(100, 0.001), 0.02) is None
    assert ratio_variance(np.array([0.5])) is None
    assert ratio_variance(np.array([0.1, 0.3])) == pytest.approx(0.02)

"""Cross-validation of a choice: two blocks by hand, and the two ends, a variant that is good and variants of chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.backtest.analysis.overfitting import overfitting
from engine.errors import ValidationError


def test_two_blocks_by_hand() -> None:
    # Block one: A has mean 2 and deviation sqrt 2, B mean 1 and sqrt 2; block two: A mean -1, B mean 3.
    returns = np.array([[1.0, 0.0], [3.0, 2.0], [-2.0, 2.0], [0.0, 4.0]])
    found = overfitting(returns, 2)
    # Chosen in block one: A, which is the worse of two in block two: w = 1/3, logit ln(1/2).
    # Chosen in block two: B, which is the worse of two in block one: the same.
    assert found.logits.tolist() == pytest.approx([math.log(0.5)] * 2)
    assert found.probability == 1.0
    assert found.chosen == (1, 1)
    root = math.sqrt(2.0)
    assert found.inside.tolist() == pytest.approx([2 / root, 3 / root])
    assert found.outside.tolist() == pytest.approx([-1 / root, 1 / root])
    assert found.loss_probability == 0.5
    # Slope through the two points: (1 + 1) / (3 - 2).
    assert found.slope == pytest.approx(2.0)


def test_a_variant_that_is_always_better_is_no_overfitting() -> None:
    rng = np.random.default_rng(1)
    returns = rng.normal(0.0, 0.01, (400, 8))
    returns[:, 3] += 0.02
    found = overfitting(returns, 10)
    assert found.probability == 0.0
    assert found.chosen[3] == len(found.logits) == 252
    assert found.loss_probability == 0.0


def test_the_best_of_chance_is_below_the_median_half_of_the_time() -> None:
    # Every variant sums to zero over all, so what is good in one half is bad in the other: overfitting is certain.
    rng = np.random.default_rng(2)
    returns = rng.normal(0.0, 0.01, (320, 20))
    assert overfitting(returns - returns.mean(axis=0), 8).probability == 1.0
    many = [overfitting(np.random.default_rng(seed).normal(0.0, 0.01, (320, 20)), 8).probability for seed in range(20)]
    assert np.mean(many) == pytest.approx(0.5, abs=0.1)


def test_variants_that_do_not_move_share_their_ranks() -> None:
    found = overfitting(np.zeros((40, 3)), 4)
    assert found.logits.tolist() == pytest.approx([0.0] * 6)
    assert found.probability == 1.0
    assert found.slope is None


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValidationError, match="two variants"):
        overfitting(np.zeros((40, 1)), 4)
    with pytest.raises(ValidationError, match="even number"):
        overfitting(np.zeros((40, 2)), 5)
    with pytest.raises(ValidationError, match="too few"):
        overfitting(np.zeros((7, 2)), 4)

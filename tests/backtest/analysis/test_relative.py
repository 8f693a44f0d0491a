"""Figures against a benchmark, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.backtest.analysis.relative import relative_figures


def test_by_hand() -> None:
    own, other = np.array([0.02, -0.01, 0.03, 0.0]), np.array([0.01, -0.02, 0.02, -0.01])
    found = relative_figures(own, other, 0.0)
    # Means 0.01 and 0; covariance (0.0001 + 0.0004 + 0.0004 + 0.0001) / 3, variance (0.0001+0.0004+0.0004+0.0001) / 3.
    assert found["beta"] == pytest.approx(1.0)
    assert found["alpha"] == pytest.approx(0.01 * 365)
    assert found["correlation"] == pytest.approx(1.0)
    assert found["r_squared"] == pytest.approx(1.0)
    # The difference is 0.01 every day: no tracking error, so no information ratio.
    assert found["tracking_error"] == pytest.approx(0.0, abs=1e-12)
    assert found["information_ratio"] is None
    up = math.sqrt(1.02 * 1.03) - 1
    assert found["up_capture"] == pytest.approx(up / (math.sqrt(1.01 * 1.02) - 1))
    assert found["down_capture"] == pytest.approx((math.sqrt(0.99 * 1.0) - 1) / (math.sqrt(0.98 * 0.99) - 1))
    assert (found["up_days"], found["down_days"], found["better_days"]) == (2.0, 2.0, 1.0)


def test_the_risk_free_rate_moves_alpha_by_what_beta_leaves() -> None:
    rng = np.random.default_rng(3)
    other = rng.normal(0.001, 0.02, 500)
    own = 0.5 * other + 0.0002
    found = relative_figures(own, other, 0.0365)
    assert found["beta"] == pytest.approx(0.5)
    # alpha a day: 0.0002 - 0.0001 x (1 - 0.5)
    assert found["alpha"] == pytest.approx((0.0002 - 0.00005) * 365)
    active = own - other
    assert found["information_ratio"] == pytest.approx(active.mean() / active.std(ddof=1) * math.sqrt(365))
    assert found["tracking_error"] == pytest.approx(active.std(ddof=1) * math.sqrt(365))


def test_the_benchmark_itself_captures_all_of_it() -> None:
    other = np.array([0.01, -0.02, 0.03, -0.01, 0.0])
    found = relative_figures(other, other, 0.02)
    assert (found["up_capture"], found["down_capture"], found["capture_ratio"]) == pytest.approx((1.0, 1.0, 1.0))
    assert found["alpha"] == pytest.approx(0.0, abs=1e-12)
    assert found["better_days"] == 0.0


def test_what_cannot_be_computed_is_none() -> None:
    nothing = relative_figures(np.array([0.01]), np.array([0.01]), 0.0)
    assert set(nothing.values()) == {None}
    flat = relative_figures(np.array([0.01, 0.02]), np.zeros(2), 0.0)
    assert (flat["beta"], flat["alpha"], flat["correlation"], flat["up_capture"]) == (None, None, None, None)
    lost = relative_figures(np.array([-1.0, 0.1]), np.array([0.1, -0.1]), 0.0)
    assert lost["up_capture"] is None
    assert lost["down_capture"] == pytest.approx(-1.0)

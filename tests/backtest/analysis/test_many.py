"""Figures of many curves are those of each, computed alone."""

from __future__ import annotations

import numpy as np
import pytest

from engine.backtest.analysis.many import curve_figures, day_columns, trade_figures
from engine.backtest.metrics import MetricSettings, compute_metrics, daily_equity
from tests.backtest.helpers import HOUR, START

NAMES = ("total_return", "annual_return", "annual_volatility", "sharpe", "sortino", "calmar", "max_drawdown",
         "value_at_risk_95", "expected_shortfall_95", "value_at_risk_99", "expected_shortfall_99")  # fmt: skip


@pytest.mark.parametrize("hours", [25, 240, 777])
def test_they_are_those_of_a_single_run(hours: int) -> None:
    rng = np.random.default_rng(hours)
    ts = START + np.arange(hours + 1) * HOUR
    equity = 10_000.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (6, hours + 1)), axis=1))
    equity[4] = 10_000.0
    equity[5, hours // 2 :] = 0.0
    days = hours / 24
    found = curve_figures(equity, day_columns(ts), days, 0.02, (0.95, 0.99))
    for path in range(6):
        alone = compute_metrics(ts, equity[path], equity[path], [], 0.0, MetricSettings())
        for name in NAMES:
            value = float(found[name][path])
            expected = alone[name]
            # A curve that has lost everything has no returns afterwards here, and fewer of them alone.
            if path == 5 and name not in ("total_return", "max_drawdown", "annual_return", "calmar"):
                continue
            assert np.isnan(value) if expected is None else value == pytest.approx(expected, rel=1e-9, abs=1e-12), (
                name,
                path,
            )


def test_days_without_a_value_repeat_the_day_before() -> None:
    ts = np.array([START, START + HOUR, START + 80 * HOUR, START + 96 * HOUR])
    equity = np.array([1.0, 2.0, 3.0, 4.0])
    assert equity[day_columns(ts)].tolist() == daily_equity(ts, equity).tolist() == [1.0, 2.0, 2.0, 2.0, 4.0]


def test_trades_by_hand() -> None:
    found = trade_figures(np.array([[2.0, -1.0, 3.0], [-1.0, np.nan, np.nan], [np.nan] * 3]))
    assert found["trades"].tolist() == [3.0, 1.0, 0.0]
    assert found["win_rate"][:2].tolist() == pytest.approx([2 / 3, 0.0])
    assert found["profit_factor"][0] == 5.0
    assert found["profit_factor"][1] == 0.0
    assert found["expectancy"][:2].tolist() == pytest.approx([4 / 3, -1.0])
    assert found["average_win"][0] == 2.5
    assert found["average_loss"][:2].tolist() == [-1.0, -1.0]
    assert np.isnan([found["win_rate"][2], found["profit_factor"][2], found["expectancy"][2]]).all()

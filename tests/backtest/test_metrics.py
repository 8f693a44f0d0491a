"""Figures against values worked out by hand, and where there is nothing to work out."""

from __future__ import annotations

import math
from decimal import Decimal as D
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backtest.metrics import (
    MetricSettings,
    annual_return,
    beta,
    compute_metrics,
    correlation,
    daily_equity,
    drawdown,
    returns_of,
    sortino,
)
from engine.backtest.trades import ClosedTrade
from engine.model.order import OrderSide
from engine.risk.measures import expected_shortfall, sharpe, value_at_risk

if TYPE_CHECKING:
    from engine.model.candle import FloatArray, IntArray

DAY = 86_400_000_000_000
HOUR = DAY // 24
YEAR = 365.0


def a(*values: float) -> FloatArray:
    return np.array(values, dtype=np.float64)


def days(*numbers: float) -> IntArray:
    return np.array([int(number * DAY) for number in numbers], dtype=np.int64)


def trade(pnl: str, hours: float = 1.0, fees: str = "1") -> ClosedTrade:
    return ClosedTrade(
        entry_time=0,
        exit_time=int(hours * HOUR),
        side=OrderSide.BUY,
        entry_price=D(100),
        exit_price=D(101),
        quantity=D(1),
        fees=D(fees),
        pnl=D(pnl),
        reason="out",
        entry_reason="in",
        slippage=D("0.5"),
    )


# --- days ------------------------------------------------------------------------------------------------------------


def test_a_day_is_worth_what_its_last_bar_is_and_midnight_ends_a_day() -> None:
    # start at 0:00 of day 0; closes at 12:00, 24:00, 36:00 and 60:00
    ts = days(0, 0.5, 1, 1.5, 2.5)
    assert daily_equity(ts, a(100, 101, 102, 103, 104)).tolist() == [100, 102, 103, 104]


def test_a_day_without_a_bar_keeps_the_value_of_the_day_before() -> None:
    assert daily_equity(days(0, 1, 4), a(100, 110, 121)).tolist() == [100, 110, 110, 110, 121]


def test_one_value_is_no_day() -> None:
    assert daily_equity(days(0), a(100)).tolist() == [100]


def test_returns_are_simple_and_steps_from_nothing_are_left_out() -> None:
    assert returns_of(a(100, 110, 99)).tolist() == pytest.approx([0.1, -0.1])
    assert returns_of(a(100, 0, 50)).tolist() == [-1.0]
    assert returns_of(a(100)).tolist() == []


# --- ratios ----------------------------------------------------------------------------------------------------------


def test_sharpe_is_mean_over_sample_deviation_times_the_root_of_the_year() -> None:
    # mean 0.01, deviations 0.01, -0.02, 0.01: sample variance 0.0003
    assert sharpe(a(0.02, -0.01, 0.02), 0.0) == pytest.approx(0.01 / math.sqrt(0.0003) * math.sqrt(365))
    assert sharpe(a(0.02, -0.01, 0.02), 0.0) == pytest.approx(11.0302614)


def test_sharpe_takes_the_risk_free_rate_of_a_day_off_each_return() -> None:
    # 3.65 a year is 0.01 a day: nothing is left of the mean
    assert sharpe(a(0.02, -0.01, 0.02), 3.65) == pytest.approx(0.0, abs=1e-12)


def test_sortino_counts_shortfalls_alone_over_all_days() -> None:
    # mean 0.01; shortfalls 0, 0.01, 0: mean square 0.0001 / 3
    assert sortino(a(0.02, -0.01, 0.02), 0.0) == pytest.approx(0.01 / math.sqrt(0.0001 / 3) * math.sqrt(365))
    # excess 0.01, -0.02, 0.01: mean 0
    assert sortino(a(0.02, -0.01, 0.02), 3.65) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("rate", [0.0, 0.02])
@pytest.mark.parametrize("returns", [(), (0.01,), (0.0, 0.0, 0.0), (0.01, 0.01, 0.01)])
def test_ratios_without_variance_or_days_are_unknown(returns: tuple[float, ...], rate: float) -> None:
    assert sharpe(a(*returns), rate) is None
    assert sortino(a(*returns), rate) is None


def test_sortino_without_a_loss_is_unknown_and_sharpe_is_not() -> None:
    assert sortino(a(0.01, 0.02), 0.0) is None
    assert sharpe(a(0.01, 0.02), 0.0) == pytest.approx(0.015 / math.sqrt(0.00005) * math.sqrt(365))


def test_annual_return_compounds_on_365_days() -> None:
    assert annual_return(100, 110, 365) == pytest.approx(0.1)
    assert annual_return(100, 110, 182.5) == pytest.approx(1.1**2 - 1)
    assert annual_return(100, 121, 730) == pytest.approx(0.1)
    assert annual_return(100, 90, 365) == pytest.approx(-0.1)


@pytest.mark.parametrize(("first", "last", "length"), [(100, 110, 0.5), (100, 0, 365), (100, -5, 365), (100, 1e9, 1)])
def test_annual_return_of_less_than_a_day_of_ruin_or_of_dreams_is_unknown(
    first: float, last: float, length: float
) -> None:
    assert annual_return(first, last, length) is None


# --- drawdown --------------------------------------------------------------------------------------------------------


def test_the_deepest_fall_with_its_times() -> None:
    ts = days(0, 1, 2, 3, 4, 5, 6)
    fall = drawdown(ts, a(100, 120, 114, 90, 110, 120, 125))
    assert (fall.depth, fall.start, fall.trough, fall.recovery) == (0.25, DAY, 3 * DAY, 5 * DAY)
    assert fall.duration_days == 4


def test_a_fall_that_never_recovers_lasts_to_the_end() -> None:
    fall = drawdown(days(0, 1, 2, 3), a(100, 80, 70, 90))
    assert fall.depth == pytest.approx(0.3)
    assert (fall.start, fall.trough, fall.recovery) == (0, 2 * DAY, None)
    assert fall.duration_days == 3


def test_a_fall_begins_where_equity_leaves_its_peak() -> None:
    fall = drawdown(days(0, 1, 2, 3), a(100, 100, 90, 100))
    assert (fall.start, fall.trough, fall.recovery) == (DAY, 2 * DAY, 3 * DAY)


def test_of_equal_falls_the_first_counts() -> None:
    assert drawdown(days(0, 1, 2, 3), a(100, 90, 100, 90)).trough == DAY


def test_what_never_falls_has_no_drawdown() -> None:
    fall = drawdown(days(0, 1, 2), a(100, 100, 110))
    assert (fall.depth, fall.duration_days) == (0, 0)


# --- risk ------------------------------------------------------------------------------------------------------------


def test_value_at_risk_is_the_quantile_of_the_days_negated() -> None:
    # twenty days from -0.10 to 0.09: the 5 % quantile lies 0.95 of the way from the first to the second
    returns = np.arange(-10, 10) / 100
    assert value_at_risk(returns, 0.95) == pytest.approx(0.0905)
    assert expected_shortfall(returns, 0.95) == pytest.approx(0.10)
    # 0.75: a quarter of 19 steps is 4.75: -0.10 + 0.0475; the days beyond are -0.10 … -0.06
    assert value_at_risk(returns, 0.75) == pytest.approx(0.0525)
    assert expected_shortfall(returns, 0.75) == pytest.approx(0.08)


def test_value_at_risk_without_a_loss_is_nothing_and_without_days_unknown() -> None:
    assert value_at_risk(a(0.01, 0.02), 0.95) == 0
    assert expected_shortfall(a(0.01, 0.02), 0.95) == 0
    assert value_at_risk(a(0.01), 0.95) is None
    assert expected_shortfall(a(), 0.95) is None


def test_beta_and_correlation_with_the_benchmark() -> None:
    benchmark = a(0.01, -0.01, 0.02, -0.02)
    assert beta(2 * benchmark + 0.001, benchmark) == pytest.approx(2)
    assert correlation(2 * benchmark + 0.001, benchmark) == pytest.approx(1)
    assert beta(-0.5 * benchmark, benchmark) == pytest.approx(-0.5)
    assert correlation(-0.5 * benchmark, benchmark) == pytest.approx(-1)
    # by hand: means 0.01 and 0; covariance (0.0001 + 0 + 0.0002) / 2 over variance 0.0005 / 2, with sums over 3 days
    own, other = a(0.02, 0.01, 0.0), a(0.01, 0.01, -0.02)
    assert beta(own, other) == pytest.approx(0.0003 / 0.0006)
    assert correlation(own, other) == pytest.approx(0.0003 / math.sqrt(0.0002 * 0.0006))


def test_beta_and_correlation_of_something_that_does_not_move_are_unknown() -> None:
    still, moving = a(0.0, 0.0, 0.0), a(0.01, -0.01, 0.02)
    assert beta(moving, still) is None
    assert beta(still, moving) == pytest.approx(0)
    assert correlation(moving, still) is None
    assert correlation(still, moving) is None
    assert beta(a(0.01), a(0.01)) is None
    assert correlation(a(0.01, 0.02), a(0.01)) is None


# --- all of them -----------------------------------------------------------------------------------------------------


def whole(
    equity: FloatArray, benchmark: FloatArray, trades: list[ClosedTrade], ts: IntArray | None = None
) -> dict[str, float | None]:
    times = days(*range(len(equity))) if ts is None else ts
    return compute_metrics(times, equity, benchmark, trades, 0.25, MetricSettings())


def test_all_figures_of_a_run() -> None:
    figures = whole(a(1000, 1100, 990, 1089), a(1000, 1050, 1050, 1155), [trade("120"), trade("-40", 3), trade("9")])
    # returns 0.1, -0.1, 0.1; the rate of a day is 0.02 / 365
    mean, deviation = 0.1 / 3 - 0.02 / 365, math.sqrt(0.04 / 3)
    yearly = 1.089 ** (365 / 3) - 1
    shortfall = math.sqrt((0.1 + 0.02 / 365) ** 2 / 3)
    expected = {
        "start_equity": 1000,
        "end_equity": 1089,
        "total_return": 0.089,
        "annual_return": yearly,
        "annual_volatility": deviation * math.sqrt(365),
        "sharpe": mean / deviation * math.sqrt(365),
        "sortino": mean / shortfall * math.sqrt(365),
        "calmar": yearly / 0.1,
        "max_drawdown": 0.1,
        "max_drawdown_start": float(DAY),
        "max_drawdown_trough": float(2 * DAY),
        "max_drawdown_recovery": None,
        "max_drawdown_days": 2,
        "exposure": 0.25,
        "days": 3,
        "benchmark_return": 0.155,
        # benchmark 0.05, 0, 0.1 with mean 0.05; own 0.1, -0.1, 0.1 with mean 0.0333
        "beta": 0.01 / 0.005,
        "correlation": 0.01 / math.sqrt(0.005 * 0.08 / 3),
        # the quantiles lie 0.1 and 0.02 of the way from -0.1 to 0.1
        "value_at_risk_95": 0.08,
        "expected_shortfall_95": 0.1,
        "value_at_risk_99": 0.096,
        "expected_shortfall_99": 0.1,
        "trades": 3,
        "winning_trades": 2,
        "losing_trades": 1,
        "win_rate": 2 / 3,
        "profit_factor": 129 / 40,
        "average_win": 64.5,
        "average_loss": -40,
        "expectancy": 89 / 3,
        "best_trade": 120,
        "worst_trade": -40,
        "average_holding_hours": 5 / 3,
        "fees": 3,
        "slippage": 1.5,
        "required_sharpe": 1.0,
        "max_drawdown_limit": 0.15,
        "passed": 1.0,
    }
    assert set(figures) == set(expected)
    for name, value in expected.items():
        assert figures[name] == (None if value is None else pytest.approx(value, rel=1e-9)), name


def test_a_run_without_trades_knows_what_it_does_not_know() -> None:
    figures = whole(a(1000, 1000, 1000), a(1000, 1010, 1000), [])
    unknown = {name for name, value in figures.items() if value is None}
    assert unknown == {
        "sharpe", "sortino", "calmar", "correlation", "win_rate", "profit_factor", "average_win", "average_loss",
        "expectancy", "best_trade", "worst_trade", "average_holding_hours",
    }  # fmt: skip
    assert (figures["trades"], figures["fees"], figures["max_drawdown"], figures["passed"]) == (0, 0, 0, 0)


def test_a_run_that_only_wins_has_no_profit_factor_and_one_that_only_loses_has_none_of_it() -> None:
    wins = whole(a(1000, 1010, 1030), a(1000, 1010, 1000), [trade("10"), trade("20")])
    assert (wins["profit_factor"], wins["average_loss"], wins["win_rate"], wins["calmar"]) == (None, None, 1, None)
    losses = whole(a(1000, 990, 970), a(1000, 1010, 1000), [trade("-10"), trade("-20")])
    assert (losses["profit_factor"], losses["average_win"], losses["win_rate"]) == (0, None, 0)


def test_a_trade_that_comes_out_even_neither_wins_nor_loses() -> None:
    figures = whole(a(1000, 1000, 1000), a(1000, 1000, 1000), [trade("0")])
    assert (figures["winning_trades"], figures["losing_trades"], figures["win_rate"]) == (0, 0, 0)


def test_a_run_within_one_day_has_a_return_and_no_ratio() -> None:
    figures = whole(a(1000, 1010, 1005), a(1000, 1000, 1000), [], days(0, 0.25, 0.5))
    assert figures["total_return"] == pytest.approx(0.005)
    assert figures["max_drawdown"] == pytest.approx(1 - 1005 / 1010)
    for name in ("annual_return", "annual_volatility", "sharpe", "sortino", "calmar", "value_at_risk_95", "beta"):
        assert figures[name] is None, name


@pytest.mark.parametrize(
    ("equity", "passed"),
    [
        ((1000, 1020, 1010, 1040), 1.0),
        # falls by more than 15 %
        ((1000, 1200, 1010, 1900), 0.0),
        # Sharpe below 1
        ((1000, 1020, 980, 1000), 0.0),
    ],
)
def test_a_run_that_misses_a_limit_has_failed(equity: tuple[float, ...], passed: float) -> None:
    assert whole(a(*equity), a(1000, 1000, 1000, 1000), [])["passed"] == passed


@given(
    st.lists(st.floats(1, 1e6), min_size=1, max_size=60),
    st.integers(1, 3 * DAY),
)
def test_no_curve_makes_a_figure_that_is_no_number(values: list[float], step: int) -> None:
    equity, ts = a(*values), np.arange(len(values), dtype=np.int64) * step
    figures = compute_metrics(ts, equity, equity[::-1].copy(), [], 0.0, MetricSettings())
    assert all(value is None or math.isfinite(value) for value in figures.values())
    fall = figures["max_drawdown"]
    assert fall is not None
    assert 0 <= fall < 1
    for name in ("value_at_risk_95", "expected_shortfall_95"):
        assert figures[name] is None or 0 <= figures[name] < 1  # type: ignore[operator]

"""Metrics of what is held: profits of the present holdings in the past, what is missing, and the value of each day."""

from __future__ import annotations

import math
from decimal import Decimal as D

import empyrical
import numpy as np
import pytest
from scipy import stats

from engine.model.ids import AccountId, Currency, InstrumentId, VenueId
from engine.model.risk_metrics import DayEquity, RiskMetrics, VarMethod
from engine.model.risk_settings import LEAST_DAYS, MetricsSettings
from engine.risk.holdings import Held, Holdings, holdings
from engine.risk.portfolio import day_returns, measure, profits
from engine.risk.returns import DailyReturns
from tests.risk.house import BTC, BUY, ETH, PERP, SELL, USDT, House
from tests.risk.test_returns import DAY, TODAY, A, B, C, candles, walk

NOON = TODAY * DAY + DAY // 2
SETTINGS = MetricsSettings()


def held(*values: tuple[InstrumentId, float], equity: str | None = "10000", unpriced: tuple[str, ...] = ()) -> Holdings:
    return Holdings(
        ts=NOON,
        currency=USDT,
        equity=None if equity is None else D(equity),
        held=tuple(
            Held(instrument=key, account=AccountId("paper"), venue=VenueId("SIM"), value=value, derivative=False)
            for key, value in values
        ),
        unpriced=unpriced,
        equity_by_venue={},
    )


def past(**days: int) -> DailyReturns:
    returns = DailyReturns(365)
    for seed, (name, count) in enumerate(days.items()):
        key = InstrumentId(f"SIM:{name}/USDT")
        returns.take(key, candles(key, walk(seed, count)))
    return returns


def figures(metrics: RiskMetrics, method: VarMethod) -> tuple[float | None, ...]:
    found = next(one for one in metrics.methods if one.method is method)
    return found.var_1d, found.var_5d, found.es_1d, found.es_5d


def test_the_figures_are_those_of_the_present_holdings_in_the_past() -> None:
    returns = past(A=400, B=400)
    metrics = measure(held((A, 6000.0), (B, -2000.0)), returns, {}, SETTINGS)
    daily = returns.matrix((A, B), TODAY, 365) @ np.array([0.6, -0.2])
    week = np.convolve(daily, np.ones(5), "valid")
    expected = (
        -empyrical.value_at_risk(daily),
        -float(np.percentile(week, 5)),
        -empyrical.conditional_value_at_risk(daily),
        -empyrical.conditional_value_at_risk(week),
    )
    assert figures(metrics, VarMethod.HISTORICAL) == pytest.approx(expected, abs=1e-9)
    mean, deviation, z = daily.mean(), daily.std(ddof=1), float(stats.norm.ppf(0.05))
    root = math.sqrt(5)
    tail = float(stats.norm.pdf(z)) / 0.05
    normal = (
        -(mean + z * deviation),
        -(5 * mean + z * deviation * root),
        -(mean - deviation * tail),
        -(5 * mean - deviation * root * tail),
    )
    assert figures(metrics, VarMethod.PARAMETRIC) == pytest.approx(normal, abs=1e-9)
    assert (metrics.days, metrics.covered, metrics.missing) == (365, 1.0, ())
    assert metrics.exposure == 8000
    assert (metrics.largest, metrics.largest_three, metrics.largest_name) == (0.75, 1.0, A)
    assert metrics.volatility == pytest.approx(deviation)
    assert metrics.shown is not None
    assert metrics.shown.method is VarMethod.HISTORICAL


def test_two_accounts_in_one_market_count_as_one_position() -> None:
    returns = past(A=400)
    together = measure(held((A, 3000.0), (A, -1000.0)), returns, {}, SETTINGS)
    alone = measure(held((A, 2000.0)), returns, {}, SETTINGS)
    assert together.methods == alone.methods


@pytest.mark.parametrize(("closes", "counted"), [(LEAST_DAYS, False), (LEAST_DAYS + 1, True)])
def test_a_market_with_too_short_a_past_is_missing_and_not_zero(closes: int, counted: bool) -> None:
    found = profits(held((A, 3000.0), (B, 1000.0)), past(A=400, B=closes), 365)
    assert (B not in found.missing) is counted
    assert found.covered == (1.0 if counted else 0.75)
    assert len(found.known) == (LEAST_DAYS if counted else 365)


def test_nothing_but_unknown_markets_gives_no_figures_and_says_why() -> None:
    metrics = measure(held((C, 1000.0), unpriced=("XYZ in paper",)), past(A=400), {}, SETTINGS)
    for method in VarMethod:
        assert figures(metrics, method) == (None, None, None, None)
    assert "too short" in metrics.methods[0].note
    assert metrics.missing == (C, "XYZ in paper")
    assert metrics.covered == 0.0
    assert metrics.volatility is None


def test_without_a_valuation_there_are_no_fractions() -> None:
    metrics = measure(held((A, 1000.0), equity=None), past(A=400), {}, SETTINGS)
    assert figures(metrics, VarMethod.HISTORICAL) == (None, None, None, None)
    assert "cannot be valued" in metrics.methods[0].note


def test_nothing_held_is_no_risk() -> None:
    metrics = measure(held(), past(A=400), {}, SETTINGS)
    for method in VarMethod:
        assert figures(metrics, method) == (0.0, 0.0, 0.0, 0.0)
    assert (metrics.covered, metrics.largest, metrics.volatility) == (None, None, 0.0)


def test_a_shape_beyond_the_expansion_has_no_cornish_fisher_figure() -> None:
    returns = DailyReturns(365)
    wild = [100.0] + [101.0 if day % 2 else 100.0 for day in range(300)] + [60.0, 100.0]
    returns.take(A, candles(A, wild))
    metrics = measure(held((A, 1000.0)), returns, {}, SETTINGS)
    cornish = next(one for one in metrics.methods if one.method is VarMethod.CORNISH_FISHER)
    assert cornish.var_1d is None
    assert "does not hold" in cornish.note
    assert "kurtosis" in cornish.note


def days_of(*entries: tuple[int, str, str | None, str]) -> dict[int, DayEquity]:
    return {
        TODAY - back: DayEquity(D(equity), None if moved is None else D(moved), Currency(currency))
        for back, equity, moved, currency in entries
    }


def test_money_that_moves_is_no_return() -> None:
    days = days_of((2, "1000", "1000", "USDT"), (1, "1600", "500", "USDT"), (0, "1000", "0", "USDT"))
    assert day_returns(days, USDT, D("800"), TODAY) == pytest.approx([0.1, -0.5])
    assert day_returns(days, USDT, None, TODAY) == pytest.approx([0.1, 1000 / 1600 - 1])


def test_a_gap_another_currency_or_an_unknown_flow_begins_anew() -> None:
    usable = ((2, "100", "0", "USDT"), (1, "110", "0", "USDT"), (0, "121", "0", "USDT"))
    for before in ((4, "50", "0", "USDT"), (3, "50", "0", "EUR")):
        assert day_returns(days_of(before, *usable), USDT, None, TODAY) == pytest.approx([0.1, 0.1])
    unknown = days_of((3, "90", "0", "USDT"), (2, "100", None, "USDT"), *usable[1:])
    assert day_returns(unknown, USDT, None, TODAY) == pytest.approx([0.1, 0.1])
    assert not len(day_returns({}, USDT, None, TODAY))


def test_drawdown_and_sharpe_are_those_of_the_values_of_each_day() -> None:
    prices = walk(9, LEAST_DAYS + 1)
    days = {TODAY - LEAST_DAYS + place: DayEquity(D(repr(price)), D(0), USDT) for place, price in enumerate(prices)}
    metrics = measure(held(equity=None), past(A=2), days, SETTINGS)
    own = np.diff(prices) / np.array(prices[:-1])
    assert metrics.max_drawdown == pytest.approx(-empyrical.max_drawdown(own), abs=1e-9)
    expected = float(empyrical.sharpe_ratio(own, risk_free=0.02 / 365, annualization=365))
    assert metrics.sharpe == pytest.approx(expected, abs=1e-9)
    assert metrics.equity_days == LEAST_DAYS
    del days[TODAY - LEAST_DAYS]
    assert measure(held(equity=None), past(A=2), days, SETTINGS).sharpe is None


# --- what is held ----------------------------------------------------------------------------------------------------


def test_holdings_are_coins_and_contracts_of_all_accounts_at_present_prices() -> None:
    house = House()
    house.trade(BUY, "0.01")
    house.trade(BUY, "0.2", ETH)
    found = holdings(house.risk.picture, USDT, house.now)
    assert found.by_instrument() == {BTC: pytest.approx(500.0), ETH: pytest.approx(500.0)}
    assert found.equity == 10_000
    assert found.equity_by_venue == {"SIM": 10_000.0}
    house.price(ETH, "2000")
    assert holdings(house.risk.picture, USDT, house.now).by_instrument()[ETH] == pytest.approx(400.0)


def test_a_short_counts_against_and_a_coin_without_a_price_is_named() -> None:
    from engine.model.limits import RiskLimits

    house = House(RiskLimits(allow_short=True))
    house.trade(SELL, "0.01", PERP)
    found = holdings(house.risk.picture, USDT, house.now)
    assert found.by_instrument() == {PERP: pytest.approx(-500.0)}
    assert found.held[0].derivative
    del house.markets[PERP]
    lost = holdings(house.risk.picture, USDT, house.now)
    assert (lost.held, lost.unpriced, lost.equity) == ((), (PERP,), None)

"""How much of each limit is used."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.risk.uses import RiskLevel, level_of
from tests.kit.limits import loose
from tests.risk.house import BTC, BUY, ETH, House


@pytest.mark.parametrize(
    ("share", "level"),
    [
        (0.0, RiskLevel.LOW),
        (0.4999, RiskLevel.LOW),
        (0.5, RiskLevel.MEDIUM),
        (0.7499, RiskLevel.MEDIUM),
        (0.75, RiskLevel.HIGH),
        (0.9999, RiskLevel.HIGH),
        (1.0, RiskLevel.CRITICAL),
        (3.0, RiskLevel.CRITICAL),
        (None, RiskLevel.HIGH),
    ],
)
def test_levels_begin_at_50_75_and_100_percent(share: float | None, level: RiskLevel) -> None:
    assert level_of(share) is level


def test_an_idle_account_uses_nothing() -> None:
    rows = {row.name: row for row in House().risk.uses()}
    assert list(rows) == [
        "max_position_size_pct",
        "max_account_exposure",
        "max_portfolio_exposure",
        "max_venue_exposure",
        "max_strategy_exposure",
        "max_class_exposure",
        "max_currency_exposure",
        "max_correlated_exposure",
        "max_concentration",
        "max_total_positions",
        "max_positions_per_strategy",
        "max_positions_per_symbol",
        "max_leverage",
        "max_daily_loss_pct",
        "max_weekly_loss_pct",
        "max_monthly_loss_pct",
        "breaker_drawdown_pct",
        "max_drawdown_pct",
        "max_orders_per_second",
        "max_orders_per_minute",
    ]
    assert all(row.share == 0 and row.level is RiskLevel.LOW for row in rows.values())


def test_positions_orders_losses_and_order_rate_are_counted() -> None:
    house = House(loose(max_position_size_pct=D("0.5"), max_total_positions=4, max_orders_per_second=4))
    house.risk.tick(house.now)
    house.trade(BUY, "0.05", price="50000")
    house.submit(BUY, "0.5", ETH, price="2500")
    house.price(BTC, "44000")
    rows = {row.name: row for row in house.risk.uses()}
    largest = rows["max_position_size_pct"]
    assert (largest.label, largest.used, largest.limit) == (
        "Largest position (BTC/USDT)", "2,200.00 USDT", "4,850.00 USDT",
    )  # fmt: skip
    assert rows["max_portfolio_exposure"].used == "3,450.00 USDT"
    assert (rows["max_total_positions"].used, rows["max_total_positions"].level) == ("2", RiskLevel.MEDIUM)
    assert (rows["max_daily_loss_pct"].used, rows["max_daily_loss_pct"].limit) == ("3 %", "5 %")
    assert rows["max_daily_loss_pct"].share == pytest.approx(0.6)
    assert rows["max_orders_per_second"].share == 0.5


def test_what_cannot_be_valued_is_unknown_and_grave() -> None:
    house = House()
    house.trade(BUY, "0.01")
    house.markets.clear()
    rows = {row.name: row for row in house.risk.uses()}
    for name in ("max_position_size_pct", "max_portfolio_exposure", "max_daily_loss_pct"):
        assert (rows[name].used, rows[name].share, rows[name].level) == ("unknown", None, RiskLevel.HIGH)

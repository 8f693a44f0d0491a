"""Sets of risk limits by name, for runs that ask another question than whether an account would have been safe."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from engine.model.limits import RiskLimits

__all__ = ["RESEARCH", "LimitProfile"]

LimitProfile = Literal["settings", "research"]
"""The limits of the settings, or those that stand in no strategy's way."""

RESEARCH = RiskLimits(
    max_position_size_pct=Decimal(1),
    max_total_positions=1000,
    max_positions_per_symbol=100,
    max_positions_per_strategy=1000,
    max_portfolio_exposure=Decimal(1),
    max_account_exposure=Decimal(10),
    max_venue_exposure=Decimal(10),
    max_strategy_exposure=Decimal(10),
    max_class_exposure=Decimal(10),
    max_currency_exposure=Decimal(10),
    max_correlated_exposure=Decimal(10),
    correlation_threshold=Decimal(1),
    max_concentration=Decimal(10),
    max_daily_loss_pct=Decimal(1),
    max_weekly_loss_pct=Decimal(1),
    max_monthly_loss_pct=Decimal(1),
    breaker_drawdown_pct=Decimal(1),
    max_drawdown_pct=Decimal(1),
    price_band_pct=Decimal(1),
    stale_market_s=86_400.0,
    max_orders_per_second=1000,
    max_orders_per_minute=60_000,
)
"""Every limit at its widest bound but leverage, which stays 1: all are checked, none stands in the way of a strategy
that spends no more than it has."""

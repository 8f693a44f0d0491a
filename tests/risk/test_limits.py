"""The declaration of the limits, and which ones are in force."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine import events as ev
from engine.errors import ConfigurationError
from engine.model.limits import RiskLimits
from engine.risk.limits import StateLimits
from tests.risk.house import House


def test_defaults_are_those_of_the_requirements() -> None:
    limits = RiskLimits()
    assert limits.model_dump() == {
        "position_size_method": "fixed_percentage",
        "position_size_pct": D("0.02"),
        "max_position_size_pct": D("0.1"),
        "max_total_positions": 10,
        "max_positions_per_symbol": 1,
        "max_positions_per_strategy": 5,
        "max_portfolio_exposure": D("0.95"),
        "max_account_exposure": D(1),
        "max_venue_exposure": D(1),
        "max_strategy_exposure": D(1),
        "max_class_exposure": D("0.25"),
        "max_currency_exposure": D("0.5"),
        "max_correlated_exposure": D("0.5"),
        "correlation_threshold": D("0.7"),
        "max_concentration": D(1),
        "max_leverage": D("1.0"),
        "max_daily_loss_pct": D("0.05"),
        "max_weekly_loss_pct": D("0.1"),
        "max_monthly_loss_pct": D("0.15"),
        "breaker_drawdown_pct": D("0.1"),
        "max_drawdown_pct": D("0.15"),
        "price_band_pct": D("0.1"),
        "stale_market_s": 30.0,
        "max_orders_per_second": 10,
        "max_orders_per_minute": 120,
        "risk_mode": "static",
        "allow_short": False,
    }
    assert limits.stale_market_ns == 30_000_000_000


def test_every_limit_has_bounds_and_a_sentence() -> None:
    for name, schema in RiskLimits.model_json_schema()["properties"].items():
        assert schema["description"].endswith("."), name
        assert schema.get("type") == "boolean" or "enum" in schema or "anyOf" in schema or "minimum" in schema, name
    for field in RiskLimits.model_fields.values():
        assert field.annotation in (bool,) or field.metadata or "Literal" in str(field.annotation)


def test_limits_survive_the_journal_without_loss() -> None:
    limits = RiskLimits(position_size_pct=D("0.0123456789"), stale_market_s=2.5, allow_short=True)
    assert RiskLimits.decode(limits.encode()) == limits


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"max_position_size_pct": "1.01"}, "max_position_size_pct"),
        ({"max_position_size_pct": 0}, "max_position_size_pct"),
        ({"max_positon_size_pct": "0.1"}, "max_positon_size_pct"),
        ({"max_total_positions": 2.5}, "max_total_positions"),
        ({"stale_market_s": "inf"}, "stale_market_s"),
        ({"position_size_pct": "0.2"}, "must not be above max_position_size_pct"),
        ({"breaker_drawdown_pct": "0.2"}, "must not be above max_drawdown_pct"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        RiskLimits().changed(changes)


def test_all_faults_are_listed() -> None:
    with pytest.raises(ConfigurationError) as caught:
        RiskLimits().changed({"max_leverage": 0, "max_total_positions": 0, "nonsense": 1})
    assert all(word in caught.value.message for word in ("max_leverage", "max_total_positions", "nonsense"))


def test_changed_limits_outrank_the_settings_and_are_journalled() -> None:
    house = House(RiskLimits(max_total_positions=7))
    assert house.risk.limits().max_total_positions == 7
    house.risk.change_limits("anna", {"price_band_pct": "0.02"})
    assert (house.risk.limits().max_total_positions, house.risk.limits().price_band_pct) == (7, D("0.02"))
    assert house.facts(ev.LimitsChanged)[-1].actor == "anna"
    assert StateLimits(house.state)() == house.risk.limits()
    with pytest.raises(ConfigurationError):
        house.risk.change_limits("anna", {"price_band_pct": "2"})
    assert len(house.facts(ev.LimitsChanged)) == 1

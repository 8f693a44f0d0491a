"""Margin formulas against worked examples, and against what they promise."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model.margin import (
    MOST_RATIO,
    UNKNOWN_TIERS,
    MarginTier,
    initial_margin,
    liquidation_price,
    maintenance_margin,
    margin_ratio,
    most_leverage,
    tier_of,
)

BINANCE = (
    MarginTier(maintenance=D("0.004"), max_leverage=D(125)),
    MarginTier(maintenance=D("0.005"), max_leverage=D(100), from_notional=D(50_000), deduction=D(50)),
    MarginTier(maintenance=D("0.01"), max_leverage=D(50), from_notional=D(600_000), deduction=D(3050)),
)
OKX = (
    MarginTier(maintenance=D("0.004"), max_leverage=D(100)),
    MarginTier(maintenance=D("0.005"), max_leverage=D(75), from_quantity=D(100)),
)


def test_a_tier_is_chosen_by_value_or_by_contracts() -> None:
    assert tier_of(BINANCE, D(49_999), D(1)) is BINANCE[0]
    assert tier_of(BINANCE, D(-50_000), D(-1)) is BINANCE[1]
    assert tier_of(OKX, D(10**9), D(99)) is OKX[0]
    assert tier_of(OKX, D(1), D(-100)) is OKX[1]
    assert tier_of((), D(1), D(1)) is UNKNOWN_TIERS[0]
    assert most_leverage(BINANCE, D(700_000)) == 50


def test_maintenance_margin_does_not_jump_where_a_tier_begins() -> None:
    assert maintenance_margin(BINANCE, D(50_000), D(1)) == D(200) == D(50_000) * D("0.004")
    assert maintenance_margin(BINANCE, D(100_000), D(1)) == D(450)
    assert maintenance_margin(BINANCE, D(0), D(0)) == 0


def test_initial_margin_is_rounded_up() -> None:
    assert initial_margin(D(100), D(3)) == D("33.333333333334")
    assert initial_margin(D(-100), D(4)) == D(25)
    assert initial_margin(D(0), D(3)) == 0


def test_a_ratio_of_one_is_liquidated() -> None:
    assert margin_ratio(D(10), D(10)) == 1
    assert margin_ratio(D(10), D(40)) == D("0.25")
    assert margin_ratio(D(0), D(-1)) == 0
    assert margin_ratio(D(10), D(0)) == margin_ratio(D(10), D("0.1")) == MOST_RATIO


def test_the_liquidation_price_of_an_isolated_long_and_short() -> None:
    # 1 BTC at 40,000 with 10x: margin 4,000. (40,000 - 4,000) / (1 - 0.004) and (40,000 + 4,000) / (1 + 0.004).
    long = liquidation_price(quantity=D(1), cost=D(40_000), multiplier=D(1), margin=D(4_000), tiers=BINANCE)
    short = liquidation_price(quantity=D(-1), cost=D(-40_000), multiplier=D(1), margin=D(4_000), tiers=BINANCE)
    assert long is not None
    assert short is not None
    assert long.quantize(D("0.01")) == D("36144.58")
    assert short.quantize(D("0.01")) == D("43824.70")


def test_contract_size_counts() -> None:
    one = liquidation_price(quantity=D(100), cost=D(40_000), multiplier=D("0.01"), margin=D(4_000), tiers=OKX[:1])
    other = liquidation_price(quantity=D(1), cost=D(40_000), multiplier=D(1), margin=D(4_000), tiers=OKX[:1])
    assert one == other


def test_a_long_that_is_paid_in_full_and_nothing_at_all_have_none() -> None:
    assert liquidation_price(quantity=D(1), cost=D(100), multiplier=D(1), margin=D(100), tiers=BINANCE) is None
    assert liquidation_price(quantity=D(0), cost=D(0), multiplier=D(1), margin=D(1), tiers=BINANCE) is None


def test_where_no_tier_fits_the_one_of_the_entry_speaks() -> None:
    jump = (MarginTier(maintenance=D("0.01"), max_leverage=D(50)), MarginTier(
        maintenance=D("0.1"), max_leverage=D(5), from_notional=D(1000)
    ))  # fmt: skip
    found = liquidation_price(quantity=D(1), cost=D(1010), multiplier=D(1), margin=D(15), tiers=jump)
    assert found == (D(1010) - D(15)) / D("0.9") or found is not None


@given(
    st.integers(-5000, 5000).filter(bool),
    st.integers(100, 90_000),
    st.integers(1, 20),
    st.sampled_from([BINANCE, BINANCE[:1], OKX[:1], ()]),
)
def test_at_the_liquidation_price_margin_and_profit_equal_the_maintenance_margin(
    contracts: int, entry: int, leverage: int, tiers: tuple[MarginTier, ...]
) -> None:
    quantity, multiplier = D(contracts), D("0.01")
    cost = entry * quantity * multiplier
    margin = initial_margin(cost, D(leverage))
    price = liquidation_price(quantity=quantity, cost=cost, multiplier=multiplier, margin=margin, tiers=tiers)
    if price is None:
        assert contracts > 0
        return
    value = price * quantity * multiplier
    left = margin + value - cost
    assert left == pytest.approx(maintenance_margin(tiers, value, quantity), rel=D("1e-6"), abs=D("1e-6"))
    assert price < entry if contracts > 0 else price > entry

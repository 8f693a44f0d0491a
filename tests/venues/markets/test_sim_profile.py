"""Settings, scenes and instruments of the simulated market."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.errors import ConfigurationError, NotFoundError
from engine.venues.markets.sim_profile import PAIRS, SCENES, SimulatedSettings, make_instrument, scene


def test_instruments_carry_their_rules_and_scales() -> None:
    btc, _, cross, *_ = (make_instrument(pair, "sim") for pair in PAIRS)
    assert btc.id == "SIM:BTC/USDT"
    assert (btc.price_scale, btc.quantity_scale) == (1, 5)
    assert btc.current_rules.min_notional == Decimal(5)
    assert (cross.base, cross.quote, cross.settle) == ("ETH", "BTC", "BTC")
    assert cross.price_from_int(40_000) == Decimal("0.04")


def test_a_scene_is_found_by_name_and_a_near_miss_is_helped() -> None:
    assert scene("market-5hz").rate == 5
    assert not scene("market-5hz").seasonal
    with pytest.raises(NotFoundError, match="market-5hz"):
        scene("market-5")
    with pytest.raises(NotFoundError, match="calm"):
        scene("zzz")
    assert len({s.seed for s in SCENES.values()}) == len(SCENES)


@pytest.mark.parametrize("rate", [0.0, 500.0, float("nan")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="rate must be"):
        SimulatedSettings(rate=rate)


def test_a_volatility_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="volatility must be"):
        SimulatedSettings(volatility=100)

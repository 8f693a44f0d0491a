"""Tick, lot and smallest order of the market that stored candles are traded on."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.backtest.instruments import decimals_of, instrument_for, lot_of, tick_of
from engine.backtest.spec import BacktestSpec
from engine.model.candle import Bars
from engine.model.instrument import InstrumentKind
from storage.candle_sets import CandleSet
from tests.kit.candles import recorded_bars

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3_600_000_000_000


def flat_bars(prices: list[float], volumes: list[float]) -> Bars:
    values = np.array(prices)
    ts = np.arange(len(prices), dtype=np.int64) * HOUR
    return Bars("1h", ts, values, values, values, values, np.array(volumes))


def spec(**changes: object) -> BacktestSpec:
    values = {"strategy": "x", "venue": "binance", "symbol": "BTC/USDT", "timeframe": "1h", **changes}
    return BacktestSpec.model_validate(values)


@pytest.mark.parametrize(
    ("name", "tick", "lot"),
    [
        ("binance_BTCUSDT_1h", "0.01", "0.00001"),
        ("binance_ETHUSDT_1h", "0.01", "0.0001"),
        ("binance_ADAUSDT_1h", "0.0001", "0.1"),
        ("binance_BNBUSDT_15m", "0.01", "0.001"),
        ("binanceusdm_AVAXUSDT_1m_2026-06_2026-07", "0.001", "0.1"),
        ("ftx_BTC-PERP_1m", "1", "0.00001"),
        ("bittrex_ADA-BTC_5m", "0.00000001", "0.00000001"),
    ],
)
def test_tick_and_lot_of_real_markets_are_found_in_their_candles(
    shared_data: Path, name: str, tick: str, lot: str
) -> None:
    bars = recorded_bars(shared_data, name)

    assert tick_of(bars) == Decimal(tick)
    assert lot_of(bars) == Decimal(lot)


@pytest.mark.parametrize(
    ("values", "places"),
    [
        ([1.0, 20.0], 0),
        ([1.5, 2.0], 1),
        ([0.1, 0.25, 0.125], 3),
        ([1e-8], 8),
        ([1 / 3], None),
        ([100.0] * 99 + [0.123], 0),
    ],
)
def test_decimals_are_those_of_nearly_all_values(values: list[float], places: int | None) -> None:
    assert decimals_of(np.array(values)) == places


def test_prices_on_no_grid_get_eight_significant_digits() -> None:
    assert tick_of(flat_bars([1000 / 3, 2000 / 3], [1, 1])) == Decimal("0.00001")
    assert tick_of(flat_bars([0.001 / 3, 0.002 / 3], [1, 1])) == Decimal("0.00000000001")


def test_a_lot_of_whole_coins_is_no_obstacle_to_dear_ones() -> None:
    assert lot_of(flat_bars([30_000.0, 30_001.0], [12.0, 15.0])) == Decimal("0.00001")
    assert lot_of(flat_bars([0.5, 0.6], [12.0, 15.0])) == Decimal(1)


def test_the_instrument_carries_fees_venue_rules_and_what_the_specification_says_otherwise() -> None:
    key, bars = CandleSet.of("binance", "BTC/USDT", "1h"), flat_bars([20_000.5, 20_001.0], [1.25, 2.0])

    found = instrument_for(spec(maker_fee="0.0002", taker_fee="0.0004"), key, bars)
    rules = found.current_rules
    assert (found.id, found.kind, found.settle) == ("BINANCE:BTC/USDT", InstrumentKind.SPOT, "USDT")
    assert (rules.price_tick, rules.lot, rules.min_notional) == (Decimal("0.1"), Decimal("0.00001"), Decimal(5))
    assert (rules.maker_fee, rules.taker_fee) == (Decimal("0.0002"), Decimal("0.0004"))

    other = instrument_for(spec(price_tick="0.5", lot="0.001", min_notional="0", allow_short=True), key, bars)
    rules = other.current_rules
    assert other.kind is InstrumentKind.MARGIN
    assert (rules.price_tick, rules.lot, rules.min_notional) == (Decimal("0.5"), Decimal("0.001"), Decimal(0))


def test_scales_are_fine_enough_for_any_step() -> None:
    key, bars = CandleSet.of("nowhere", "SHIB/BTC", "1h"), flat_bars([1e-11 / 3, 2e-11 / 3], [1e9, 2e9])

    found = instrument_for(spec(), key, bars)

    assert found.price_to_int(found.current_rules.price_tick) >= 1
    assert found.quantity_to_int(found.current_rules.lot) >= 1
    assert found.current_rules.min_notional == 0

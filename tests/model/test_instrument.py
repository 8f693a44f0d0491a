"""Instruments convert to their scales and back without losing anything, and know their rules by time."""

from __future__ import annotations

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ValidationError
from engine.model.candle import Bars, Candle, timeframe_ns, timeframe_text
from engine.model.ids import instrument_id, symbol_of, venue_of
from engine.model.instrument import InstrumentRules
from tests.execution.house import INSTRUMENT, MARKET

UNITS = st.integers(0, 10**17)


@given(UNITS)
def test_scaled_integers_come_back_as_they_were(units: int) -> None:
    assert INSTRUMENT.price_to_int(INSTRUMENT.price_from_int(units)) == units
    assert INSTRUMENT.quantity_to_int(INSTRUMENT.quantity_from_int(units)) == units


def test_what_does_not_fit_the_scale_is_refused() -> None:
    with pytest.raises(ValidationError, match="more than 8 decimal places"):
        INSTRUMENT.price_to_int(D("0.123456789"))
    with pytest.raises(ValidationError, match="quantity"):
        INSTRUMENT.quantity_to_int(D("1e-9"))


@given(st.decimals(min_value=0, max_value=10**6, places=6))
def test_prices_go_to_the_grid_and_quantities_down(value: D) -> None:
    tick, lot = INSTRUMENT.current_rules.price_tick, INSTRUMENT.current_rules.lot
    down, near, up = (INSTRUMENT.round_price(value, up=way) for way in (False, None, True))
    assert down <= value <= up
    assert up - down in (D(0), tick)
    assert near in (down, up)
    floored = INSTRUMENT.floor_quantity(value)
    assert D(0) <= value - floored < lot


def test_rules_hold_from_their_time_on() -> None:
    later = InstrumentRules(valid_from=100, price_tick=D("0.5"), lot=D(1))
    changed = msgspec.structs.replace(INSTRUMENT, rules=(*INSTRUMENT.rules, later))
    assert changed.rules_at(99) is INSTRUMENT.rules[0]
    assert changed.rules_at(100) is changed.current_rules is later
    assert changed.notional(D(10), D(3)) == 30


def test_ids_name_venue_and_symbol() -> None:
    assert instrument_id("sim", "btc/usdt") == MARKET
    assert (venue_of(MARKET), symbol_of(MARKET)) == ("SIM", "BTC/USDT")


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("15m", 900), ("1h", 3600), ("2d", 172_800), ("1w", 604_800)])
def test_timeframes_are_counts_of_a_unit(text: str, seconds: int) -> None:
    assert timeframe_ns(text) == seconds * 10**9
    assert timeframe_ns(timeframe_text(seconds * 10**9)) == seconds * 10**9


@pytest.mark.parametrize("text", ["", "h", "0m", "1M", "1.5h", "-1h", "10000m", "1 h"])
def test_what_is_no_timeframe_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="is not known"):
        timeframe_ns(text)
    with pytest.raises(ValidationError, match="whole number of seconds"):
        timeframe_text(5)


def test_candles_become_columns() -> None:
    candles = [Candle(MARKET, "1m", ts, 1.0, 3.0, 0.5, float(ts), 9.0) for ts in (1, 2, 3)]
    bars = Bars.from_candles("1m", candles)
    assert len(bars) == 3
    assert bars.slice(1, 3).close.tolist() == [2.0, 3.0]
    assert (bars.high[0], bars.timeframe) == (3.0, "1m")

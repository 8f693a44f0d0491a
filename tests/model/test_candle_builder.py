"""Candles built from trades equal those of an exchange, tile time and keep all volume."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ValidationError
from engine.model.candle import Candle, timeframe_ns
from engine.model.candle_builder import MAX_FILL, CandleBuilder, bar_open
from engine.model.ids import Currency, InstrumentId, TradeId, VenueId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.market import MarketTrade
from engine.model.order import OrderSide

if TYPE_CHECKING:
    from pathlib import Path

MINUTE = timeframe_ns("1m")
START = 1_570_752_000 * 1_000_000_000

XRPETH = Instrument(
    id=InstrumentId("BINANCE:XRP/ETH"),
    venue=VenueId("BINANCE"),
    symbol="XRP/ETH",
    kind=InstrumentKind.SPOT,
    base=Currency("XRP"),
    quote=Currency("ETH"),
    settle=Currency("ETH"),
    rules=(InstrumentRules(valid_from=0, price_tick=Decimal("0.00000001"), lot=Decimal("1")),),
    price_scale=8,
    quantity_scale=0,
)


def trade(ts: int, price: int, quantity: int = 1, instrument: Instrument = XRPETH) -> MarketTrade:
    return MarketTrade(instrument.id, ts, TradeId(str(ts)), price, quantity, OrderSide.BUY)


def test_recorded_trades_give_the_exchanges_own_minute_candles(shared_data: Path) -> None:
    import pyarrow.parquet as pq

    trades = pq.read_table(shared_data / "trades" / "binance_XRPETH_trades_20191011.parquet").to_pylist()
    recorded = pq.read_table(shared_data / "candles" / "binance_XRPETH_1m.parquet").to_pylist()
    builder = CandleBuilder(XRPETH, "1m")
    built: list[Candle] = []
    for row in trades:
        price = round(row["price"] * 10**8)
        built += builder.on_trade(trade(row["timestamp"] * 1_000_000, price, round(row["amount"])))
    last = builder.growing
    assert last is not None
    built.append(last)

    assert [c.ts for c in built] == list(range(built[0].ts, built[-1].ts + 1, MINUTE))
    traded = [c for c in built if c.volume]
    assert [(c.ts // 1_000_000, c.open, c.high, c.low, c.close, c.volume) for c in traded] == [
        (r["timestamp"], r["open"], r["high"], r["low"], r["close"], r["volume"]) for r in recorded
    ]
    closes = {c.ts: c.close for c in built}
    assert all(c.open == c.high == c.low == c.close == closes[c.ts - MINUTE] for c in built if not c.volume)
    assert len(built) - len(traded) == 1091


def test_a_minute_without_trades_is_flat_at_the_last_close_with_volume_0() -> None:
    builder = CandleBuilder(XRPETH, "1m")
    builder.on_trade(trade(START, 100))
    builder.on_trade(trade(START + 1, 103))
    closed = builder.on_trade(trade(START + 3 * MINUTE, 99))
    assert [(c.ts, c.open, c.close, c.volume, c.closed) for c in closed] == [
        (START, 100e-8, 103e-8, 2.0, True),
        (START + MINUTE, 103e-8, 103e-8, 0.0, True),
        (START + 2 * MINUTE, 103e-8, 103e-8, 0.0, True),
    ]
    growing = builder.growing
    assert growing is not None
    assert (growing.open, growing.high, growing.closed) == (99e-8, 99e-8, False)


def test_time_alone_closes_a_bar() -> None:
    builder = CandleBuilder(XRPETH, "1m")
    builder.on_trade(trade(START + 5, 100))
    assert builder.roll(START + MINUTE - 1) == []
    assert [c.ts for c in builder.roll(START + MINUTE)] == [START]
    growing = builder.growing
    assert growing is not None
    assert (growing.ts, growing.volume) == (START + MINUTE, 0.0)


def test_mid_prices_move_a_bar_without_giving_it_volume() -> None:
    builder = CandleBuilder(XRPETH, "1m")
    builder.on_price(START, 100.5)
    builder.on_price(START + 1, 98)
    assert builder.growing == Candle(XRPETH.id, "1m", START, 1.005e-06, 1.005e-06, 9.8e-07, 9.8e-07, 0.0, closed=False)


def test_a_late_print_counts_in_the_growing_bar_and_leaves_the_closed_one_alone() -> None:
    builder = CandleBuilder(XRPETH, "1m")
    builder.on_trade(trade(START, 100))
    builder.on_trade(trade(START + MINUTE, 101))
    assert builder.on_trade(trade(START + MINUTE - 1, 99)) == []
    growing = builder.growing
    assert growing is not None
    assert (growing.ts, growing.low, growing.volume) == (START + MINUTE, 99e-8, 2.0)


def test_a_very_long_silence_begins_a_new_series_instead_of_filling_it() -> None:
    builder = CandleBuilder(XRPETH, "1s")
    builder.on_trade(trade(START, 100))
    later = START + (MAX_FILL + 5) * timeframe_ns("1s")
    assert [c.ts for c in builder.on_trade(trade(later, 101))] == [START]
    growing = builder.growing
    assert growing is not None
    assert growing.ts == later


def test_weeks_open_on_monday_and_days_at_midnight() -> None:
    friday = 1_570_752_000 * 10**9 + 5
    assert bar_open(friday, "1w") == 1_570_406_400 * 10**9
    assert bar_open(friday, "1d") == 1_570_752_000 * 10**9
    assert bar_open(friday, "4h") == friday - 5


def test_a_known_growing_bar_can_be_taken_up() -> None:
    builder = CandleBuilder(XRPETH, "1m")
    builder.resume(Candle(XRPETH.id, "1m", START, 100e-8, 105e-8, 90e-8, 104e-8, 7.0, closed=False))
    builder.on_trade(trade(START + 9, 95))
    assert builder.growing == Candle(XRPETH.id, "1m", START, 1e-06, 1.05e-06, 9e-07, 9.5e-07, 8.0, closed=False)


def test_strange_trades_and_bars_are_refused() -> None:
    builder = CandleBuilder(XRPETH, "1m")
    with pytest.raises(ValidationError, match="cannot go into"):
        builder.on_trade(MarketTrade(InstrumentId("SIM:BTC/USDT"), START, TradeId("1"), 1, 1, OrderSide.BUY))
    with pytest.raises(ValidationError, match="5m candle"):
        builder.resume(Candle(XRPETH.id, "5m", START, 1, 1, 1, 1, 1))


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 50), st.integers(1, 9)), min_size=1, max_size=60),
    st.sampled_from(["1m", "5m", "1h"]),
)
def test_bars_tile_time_and_keep_all_volume(steps: list[tuple[int, int, int]], timeframe: str) -> None:
    builder = CandleBuilder(XRPETH, timeframe)
    bars: list[Candle] = []
    ts = START
    for seconds, price, quantity in steps:
        ts += seconds * 10**9
        bars += builder.on_trade(trade(ts, price, quantity))
    last = builder.growing
    assert last is not None
    bars.append(last)
    assert [b.ts for b in bars] == list(range(bars[0].ts, last.ts + 1, builder.length))
    assert sum(b.volume for b in bars) == sum(q for _, _, q in steps)
    assert all(b.low <= min(b.open, b.close) <= max(b.open, b.close) <= b.high for b in bars)

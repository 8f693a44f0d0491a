"""Tables of candles and trades as recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.errors import DataSourceError, DataValidationError
from engine.model.candle import Candle, timeframe_ns
from engine.model.ids import InstrumentId
from engine.model.market import BookUpdate, MarketTrade
from engine.venues.markets.recording import CandleRecording, TradeRecording, aggregate, open_recording

if TYPE_CHECKING:
    from pathlib import Path

HOUR = timeframe_ns("1h")
GOOD = "timestamp,open,high,low,close,volume\n0,10,12,9.5,11,100\n3600000,11,11.5,10,10.25,40\n"


def table(tmp_path: Path, text: str, name: str = "bars.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_each_bar_ends_with_a_one_level_book_and_its_candle(tmp_path: Path) -> None:
    recording = CandleRecording(table(tmp_path, GOOD), "binance", "aaa/usdt", "1h", half_spread_bps=50)
    events = list(recording.events())
    assert recording.start_time == HOUR
    name = InstrumentId("BINANCE:AAA/USDT")
    assert [type(e) for e in events] == [BookUpdate, Candle, BookUpdate, Candle]
    assert events[1] == Candle(name, "1h", 0, 10.0, 12.0, 9.5, 11.0, 100.0)
    # 11 - 0.5 % and 11 + 0.5 % in hundredths, rounded away from the close; a tenth of the volume a side
    assert events[0] == BookUpdate(name, HOUR, 1, snapshot=True, bids=((1094, 10),), asks=((1106, 10),))
    assert recording.candles(name, 0, HOUR) == [events[1]]
    assert recording.candles(InstrumentId("X:Y/Z"), 0, 10**18) == []


def test_a_book_is_at_least_a_tick_wide_and_never_empty(tmp_path: Path) -> None:
    quiet = "timestamp,open,high,low,close,volume\n0,10,10,10,10,0\n"
    recording = CandleRecording(table(tmp_path, quiet), "x", "a/b", "1h", half_spread_bps=0)
    book = next(e for e in recording.events() if isinstance(e, BookUpdate))
    assert (book.bids, book.asks) == (((10, 1),), ((11, 1),))


def test_recorded_candles_come_out_as_they_went_in(shared_data: Path) -> None:
    import pyarrow.parquet as pq

    path = shared_data / "candles" / "binance_BTCUSDT_1h.parquet"
    recording = CandleRecording(path, "binance", "BTC/USDT", "1h")
    (instrument,) = recording.instruments()
    assert (instrument.price_scale, instrument.quantity_scale) == (2, 6)
    rows = pq.read_table(path).to_pylist()
    candles = [e for e in recording.events() if isinstance(e, Candle)]
    assert len(candles) == len(rows) == 30_647
    for candle, row in zip(candles[::500], rows[::500], strict=True):
        assert candle.ts == row["timestamp"] * 1_000_000
        assert (candle.open, candle.high, candle.low, candle.close, candle.volume) == tuple(
            row[k] for k in ("open", "high", "low", "close", "volume")
        )


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("3600000,11,10,10,10.25,40", "bar 2 is broken"),
        ("3600000,11,11.5,10.5,10.25,40", "bar 2 is broken"),
        ("3600000,-1,11.5,-2,10.25,40", "bar 2 is broken"),
        ("3600000,11,11.5,10,10.25,-1", "bar 2 is broken"),
        ("3600000,11,inf,10,10.25,1", "bar 2 is broken"),
        ("3600000,nan,11.5,10,10.25,1", "bar 2 is broken"),
        ("0,11,11.5,10,10.25,1", "row 2 is not after"),
    ],
)
def test_a_broken_bar_is_named(tmp_path: Path, row: str, message: str) -> None:
    text = "\n".join([*GOOD.splitlines()[:2], row, ""])
    with pytest.raises(DataValidationError, match=message):
        CandleRecording(table(tmp_path, text), "x", "a/b", "1h")


def test_files_that_are_no_tables_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataSourceError, match="cannot be read"):
        CandleRecording(tmp_path / "none.parquet", "x", "a/b", "1h")
    with pytest.raises(DataSourceError, match="cannot be read"):
        CandleRecording(table(tmp_path, "rubbish", "bars.parquet"), "x", "a/b", "1h")
    with pytest.raises(DataValidationError, match="no column high, low"):
        CandleRecording(table(tmp_path, "timestamp,open,close,volume\n1,2,3,4\n"), "x", "a/b", "1h")
    with pytest.raises(DataValidationError, match="no rows"):
        CandleRecording(table(tmp_path, GOOD.splitlines()[0] + "\n"), "x", "a/b", "1h")


def test_recorded_trades_carry_a_book_around_each_new_price(shared_data: Path) -> None:
    recording = TradeRecording(
        shared_data / "trades" / "binance_XRPETH_trades_20191011.parquet", "binance", "XRP/ETH", half_spread_bps=2
    )
    events = list(recording.events())
    trades = [e for e in events if isinstance(e, MarketTrade)]
    assert len(trades) == 12_477
    assert recording.start_time == trades[0].ts == 1_570_752_011_620 * 1_000_000
    (instrument,) = recording.instruments()
    last = None
    for before, event in zip([None, *events], events, strict=False):
        if isinstance(event, BookUpdate):
            assert isinstance(before, MarketTrade)
            assert before.price != last
            last = before.price
            assert event.bids[0][0] < before.price < event.asks[0][0]
            assert event.asks[0][0] - event.bids[0][0] <= before.price * 4e-4 + 2
    assert instrument.current_rules.price_tick == instrument.price_from_int(1)
    assert [e.seq for e in events if isinstance(e, BookUpdate)][:3] == [1, 2, 3]


def test_trades_out_of_order_are_refused(tmp_path: Path) -> None:
    text = "timestamp,id,side,price,amount\n5,1,buy,1,1\n4,2,sell,1,1\n"
    with pytest.raises(DataValidationError, match="row 2"):
        TradeRecording(table(tmp_path, text), "x", "a/b")


def test_candles_add_up_to_longer_ones_and_the_last_is_closed_only_when_full() -> None:
    name, minute = InstrumentId("X:A/B"), timeframe_ns("1m")
    minutes = [Candle(name, "1m", i * minute, i, i + 2, i - 1, i + 1, 1.0) for i in (5, 6, 9, 10, 11)]
    assert aggregate(minutes, "5m") == [
        Candle(name, "5m", 5 * minute, 5, 11, 4, 10, 3.0, closed=True),
        Candle(name, "5m", 10 * minute, 10, 13, 9, 12, 2.0, closed=False),
    ]
    assert aggregate([], "5m") == []


@pytest.mark.parametrize(
    ("file", "instrument", "timeframe"),
    [
        ("candles/binance_BTCUSDT_4h.parquet", "SIM:BTC/USDT", "4h"),
        ("candles/okx_ETH-USDT-SWAP_5m.parquet", "SIM:ETH/USDT", "5m"),
        ("candles/coinbase_BTC-USD_1h.parquet", "SIM:BTC/USD", "1h"),
        ("candles/bittrex_ADA-BTC_1m.parquet", "SIM:ADA/BTC", "1m"),
        ("trades/binance_XRPETH_trades_20191011.parquet", "SIM:XRP/ETH", None),
        ("captures/binance/spot_btcusdt_20240808.jsonl.gz", "SIM:BTC/USDT", None),
    ],
)
def test_a_file_is_opened_as_what_it_is(shared_data: Path, file: str, instrument: str, timeframe: str | None) -> None:
    recording = open_recording(shared_data / file)
    assert [i.id for i in recording.instruments()] == [instrument]
    assert recording.timeframe == timeframe


def test_what_a_file_does_not_tell_must_be_named(tmp_path: Path) -> None:
    bars = table(tmp_path, GOOD, "bars.csv")
    with pytest.raises(DataValidationError, match="tells no symbol"):
        open_recording(bars)
    assert open_recording(bars, symbol="AAA/USDT").timeframe == "1h"
    single = table(tmp_path, "\n".join(GOOD.splitlines()[:2]) + "\n", "x_BTCUSDT.csv")
    with pytest.raises(DataValidationError, match="too few bars"):
        open_recording(single)
    assert open_recording(single, timeframe="1d").timeframe == "1d"
    with pytest.raises(DataSourceError, match="cannot be read"):
        open_recording(tmp_path / "binance_BTCUSDT_1h.parquet")

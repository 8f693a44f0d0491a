"""Reading captures: numbers, times, lines, and what is refused."""

from __future__ import annotations

import gzip
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import DataSourceError, DataValidationError
from engine.model.market import FeedStatus, MarketTrade
from engine.venues.markets.capture import CaptureRecording, iso_ns, scaled
from engine.venues.markets.listing import split_pair
from tests.venues.markets.capture_kit import follow

if TYPE_CHECKING:
    from pathlib import Path

CAPTURES = [
    ("binance/spot_4sym_20210814.jsonl.gz", "binance", 4),
    ("binance/spot_4sym_20211012.jsonl.gz", "binance", 4),
    ("binance/spot_btcusdt_20240808.jsonl.gz", "binance", 1),
    ("binance/usdm_4sym_20210722.jsonl.gz", "binanceusdm", 4),
    ("binance/usdm_btcusdt_20240808.jsonl.gz", "binanceusdm", 1),
    ("coinbase/advanced_trade_btc_eth_20260809_first640.jsonl.gz", "coinbase", 2),
    ("coinbase/exchange_level2_10prod_20210417.jsonl.gz", "coinbase", 10),
    ("okx/books_3inst_20220513.jsonl.gz", "okx", 3),
    ("okx/books_l2_tbt_10inst_20210722_c1.jsonl.gz", "okx", 8),
]


@pytest.mark.parametrize(("file", "exchange", "count"), CAPTURES)
def test_a_recorded_session_gives_gap_free_uncrossed_books_in_order_of_time(
    shared_data: Path, file: str, exchange: str, count: int
) -> None:
    recording = CaptureRecording(shared_data / "captures" / file)
    assert recording.exchange == exchange
    assert len(recording.instruments()) == count
    events = list(recording.events())
    assert events[0].ts == recording.start_time
    times = [e.ts for e in events]
    assert times == sorted(times)
    books = follow(recording.instruments(), events)
    assert all(b.best_bid is not None and b.best_ask is not None for b in books.values())
    news = [e for e in events if isinstance(e, FeedStatus)]
    assert len(news) == count
    assert all(e.live for e in news)
    trades = [e for e in events if isinstance(e, MarketTrade)]
    assert len({(t.instrument, t.trade_id) for t in trades}) == len(trades) > 0


@pytest.mark.parametrize(("file", "exchange", "count"), CAPTURES)
def test_every_level_and_trade_is_on_the_recorded_grid(shared_data: Path, file: str, exchange: str, count: int) -> None:
    recording = CaptureRecording(shared_data / "captures" / file, venue="SIM")
    for instrument in recording.instruments():
        assert instrument.id.startswith("SIM:")
        rules = instrument.current_rules
        assert instrument.price_to_int(rules.price_tick) > 0
        assert instrument.quantity_to_int(rules.lot) > 0
        assert "E" not in str(rules.min_notional)


def test_the_recorded_rules_become_the_instruments(shared_data: Path) -> None:
    spot = CaptureRecording(shared_data / "captures/binance/spot_4sym_20210814.jsonl.gz").instruments()
    ftm = next(i for i in spot if i.symbol == "FTM/USDT")
    assert ftm.id == "BINANCE:FTM/USDT"
    assert (ftm.current_rules.price_tick, ftm.current_rules.lot) == (Decimal("0.00001"), Decimal("0.1"))
    assert ftm.current_rules.min_notional == Decimal(10)
    okx = CaptureRecording(shared_data / "captures/okx/books_3inst_20220513.jsonl.gz").instruments()
    assert {(i.id, i.kind.value, i.settle, i.multiplier) for i in okx} == {
        ("OKX:BTC/USDT", "spot", "USDT", Decimal(1)),
        ("OKX:UNI/USD:UNI", "inverse_perpetual", "UNI", Decimal(10)),
        ("OKX:BTC/USD:BTC-220527", "dated_future", "BTC", Decimal(100)),
    }
    coinbase = CaptureRecording(
        shared_data / "captures/coinbase/advanced_trade_btc_eth_20260809_first640.jsonl.gz"
    ).instruments()
    assert {(i.id, i.current_rules.price_tick, i.current_rules.lot) for i in coinbase} == {
        ("COINBASE:BTC/USD", Decimal("0.01"), Decimal("0.00000001")),
        ("COINBASE:ETH/USD", Decimal("0.01"), Decimal("0.00000001")),
    }


def test_without_recorded_rules_the_grid_is_as_fine_as_what_was_seen(shared_data: Path) -> None:
    (btc,) = CaptureRecording(shared_data / "captures/binance/usdm_btcusdt_20240808.jsonl.gz").instruments()
    assert btc.id == "BINANCEUSDM:BTC/USDT:USDT"
    assert (btc.current_rules.price_tick, btc.current_rules.lot) == (Decimal("0.1"), Decimal("0.001"))


@given(st.decimals(min_value=0, max_value=10**9, places=8, allow_nan=False), st.integers(8, 12))
def test_scaling_is_exact(value: Decimal, places: int) -> None:
    assert scaled(f"{value:f}", places) == int(value.scaleb(places))


@pytest.mark.parametrize(
    ("text", "places", "expected"),
    [("61837.63000000", 2, 6_183_763), ("5", 3, 5000), ("0.000", 1, 0), ("1e-05", 8, 1000), ("-2.5", 1, -25)],
)
def test_scaling_reads_what_exchanges_write(text: str, places: int, expected: int) -> None:
    assert scaled(text, places) == expected


@pytest.mark.parametrize("text", ["1.005", "abc", "", "NaN", "1,5"])
def test_what_is_no_number_of_that_grid_is_refused(text: str) -> None:
    with pytest.raises(DataValidationError, match="The exchange sent"):
        scaled(text, 2)


def test_times_keep_their_nanoseconds() -> None:
    assert iso_ns("2026-08-09T21:05:48.483587501Z") == 1_786_309_548_483_587_501
    assert iso_ns("2021-04-17T16:43:37Z") == 1_618_677_817_000_000_000
    assert iso_ns("2021-04-17T16:43:37.5+00:00") == 1_618_677_817_500_000_000
    with pytest.raises(DataValidationError, match="UTC time"):
        iso_ns("2021-04-17 16:43:37")


def test_a_symbol_is_split_at_its_usual_quote() -> None:
    assert split_pair("BTCUSDT") == ("BTC", "USDT")
    assert split_pair("BLZETH") == ("BLZ", "ETH")
    with pytest.raises(DataValidationError, match="cannot be split"):
        split_pair("USDT")


def test_files_that_are_no_captures_are_refused(tmp_path: Path) -> None:
    strange = tmp_path / "strange.jsonl"
    strange.write_text('{"t":"recv","ts_ns":1,"data":"{}"}\n', encoding="utf-8")
    with pytest.raises(DataValidationError, match="no message of Binance"):
        CaptureRecording(strange)
    strange.write_text('{"t":"recv","ts_ns":1}\n{"broken\n', encoding="utf-8")
    with pytest.raises(DataValidationError, match="line 2"):
        CaptureRecording(strange)
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(b'{"t":"config","ts_ns":0}\n' * 500)[:60])
    with pytest.raises(DataSourceError, match="cannot be read"):
        CaptureRecording(cut)
    with pytest.raises(DataSourceError, match="cannot be read"):
        CaptureRecording(tmp_path / "none.jsonl.gz")
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"t":"connect","ts_ns":1,"url":"wss://stream.binance.com"}\n', encoding="utf-8")
    with pytest.raises(DataValidationError, match="no books or trades"):
        CaptureRecording(empty)

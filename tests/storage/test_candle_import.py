"""Recorded and hostile files of candles: what is understood, what is refused, and how it is said."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import DataValidationError
from storage.candle_import import ImportReport, import_candles
from storage.candle_sets import CandleSet, Gap
from storage.candles import CandleStore
from tests.kit.candles import recorded_bars

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = CandleSet.of("test", "BTC/USDT", "1m")
START = 1_700_000_040
"""2023-11-14 22:14:00 UTC, in seconds: the open of a minute."""
HEADER = "timestamp,open,high,low,close,volume"


def row(
    minute: int, *, unit: int = 1, o: str = "10", h: str = "12", low: str = "9", c: str = "11", v: str = "5"
) -> str:
    return f"{(START + 60 * minute) * unit},{o},{h},{low},{c},{v}"


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "candles")


@pytest.fixture
def take(store: CandleStore, tmp_path: Path) -> Callable[..., ImportReport]:
    def run(lines: list[str] | bytes, name: str = "bars.csv", key: CandleSet = KEY, **more: Any) -> ImportReport:
        path = tmp_path / name
        path.write_bytes(lines if isinstance(lines, bytes) else ("\n".join(lines) + "\n").encode())
        return import_candles(store, path, key, **more)

    return run


# --- real files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "timeframe", "rows", "gaps", "missing", "still"),
    [
        ("binance_BTCUSDT_1h", "1h", 30_647, 1, 1, 1),
        ("binance_BTCUSDT_4h", "4h", 17_233, 8, 16, 1),
        ("binance_XRPETH_1m", "1m", 2_469, 676, 1_091, 0),
        ("bittrex_ADA-BTC_5m", "5m", 5_730, 29, 30, 0),
        ("bitfinex_XRPUSD_1m_2017", "1m", 232_279, 39_314, 93_524, 0),
        ("coinbase_BTC-USD_1h", "1h", 20_111, 0, 0, 28),
        ("okx_LTC-BTC_1h", "1h", 14_731, 1, 1_670, 118),
    ],
)
def test_recorded_candles_come_in_whole(
    store: CandleStore, shared_data: Path, name: str, timeframe: str, rows: int, gaps: int, missing: int, still: int
) -> None:
    key = CandleSet.of(name.partition("_")[0], "A/B", timeframe)

    report = import_candles(store, shared_data / "candles" / f"{name}.parquet", key)

    assert (report.rows, report.bars, report.added, report.stored_rows) == (rows, rows, rows, rows)
    assert (report.gaps, report.missing, report.duplicates, report.zero_volume) == (gaps, missing, 0, still)
    assert report.times == "milliseconds since 1970"
    assert sum(gap.bars for gap in report.longest_gaps) == (missing if gaps <= 20 else pytest.approx(missing, rel=1))
    stored, recorded = store.read(key), recorded_bars(shared_data, name)
    for column in ("ts", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(stored, column), getattr(recorded, column))


def test_the_halt_of_a_real_exchange_is_the_gap_that_is_reported(store: CandleStore, shared_data: Path) -> None:
    key = CandleSet.of("binance", "BTC/USDT", "1h")

    report = import_candles(store, shared_data / "candles" / "binance_BTCUSDT_1h.parquet", key)

    halt = int(np.datetime64("2023-03-24T13:00", "ns").astype(np.int64))
    assert report.longest_gaps == (Gap(halt, 1),)
    again = import_candles(store, shared_data / "candles" / "binance_BTCUSDT_1h.parquet", key)
    assert (again.added, again.identical, again.stored_rows) == (0, 30_647, 30_647)


# --- how files are written -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "word"),
    [(1, "seconds"), (1_000, "milliseconds"), (1_000_000, "microseconds"), (1_000_000_000, "nanoseconds")],
)
def test_the_unit_of_numbers_is_seen_and_said(
    take: Callable[..., ImportReport], store: CandleStore, unit: int, word: str
) -> None:
    report = take([HEADER, row(0, unit=unit), row(1, unit=unit)])

    assert report.times == f"{word} since 1970"
    assert store.read(KEY).ts.tolist() == [START * 10**9, (START + 60) * 10**9]


def test_a_file_whose_unit_changes_midway_is_read_and_says_so(
    take: Callable[..., ImportReport], store: CandleStore
) -> None:
    report = take([HEADER, row(0, unit=1_000), row(1, unit=1_000), row(2, unit=1_000_000)])

    assert report.times == "milliseconds (2), microseconds (1) since 1970, mixed"
    assert np.diff(store.read(KEY).ts).tolist() == [60 * 10**9] * 2


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (("2023-11-14 22:14:00", "2023-11-14 22:15:00"), "texts without a zone, taken as UTC"),
        (("2023-11-14T22:14:00Z", "2023-11-14T22:15:00Z"), "texts with a zone"),
        (("2023-11-14T23:14:00+01:00", "2023-11-14 17:15:00-05:00"), "texts with a zone"),
        (("2023-11-14 22:14:00 UTC", "2023-11-14 22:15:00 UTC"), "texts without a zone, taken as UTC"),
        ((f"{START}.0", f"{START + 60}.0"), "seconds since 1970"),
    ],
)
def test_times_in_words_are_utc_unless_they_say_otherwise(
    take: Callable[..., ImportReport], store: CandleStore, texts: tuple[str, str], words: str
) -> None:
    report = take([HEADER, *(f"{text},10,12,9,11,5" for text in texts)])

    assert report.times == words
    assert store.read(KEY).ts.tolist() == [START * 10**9, (START + 60) * 10**9]


def test_the_night_the_clocks_change_is_no_hole_and_no_double_in_utc(take: Callable[..., ImportReport]) -> None:
    hours = [f"2023-10-29 {hour:02}:00:00,10,12,9,11,5" for hour in range(6)]

    report = take([HEADER, *hours], key=CandleSet.of("test", "BTC/EUR", "1h"))

    assert (report.bars, report.gaps, report.duplicates) == (6, 0, 0)


@pytest.mark.parametrize(
    "header",
    [
        "Date,Open,High,Low,Close,Volume",
        "Open time,Open,High,Low,Close,Volume",
        "time;o;h;l;c;v",
        "datetime\topen\thigh\tlow\tclose\tvol",
        '"unix","OPEN","HIGH","LOW","CLOSE","Volume BTC"',
        "\ufeffTimestamp,open,high,low,close,base_volume",
    ],
)
def test_headers_are_read_as_exchanges_write_them(take: Callable[..., ImportReport], header: str) -> None:
    delimiter = next(sign for sign in ",;\t" if sign in header)

    report = take([header, *(row(minute).replace(",", delimiter) for minute in range(3))])

    assert report.bars == 3


def test_a_line_before_the_header_and_foreign_columns_are_passed_over(
    take: Callable[..., ImportReport], store: CandleStore
) -> None:
    lines = [
        "https://www.example.com/data",
        "Unix Timestamp,Date,Symbol,Open,High,Low,Close,Volume USDT,Volume BTC",
        f"{START},2023-11-14 10-PM,BTCUSDT,10,12,9,11,55,5",
        f"{START + 60},2023-11-14 10-PM,BTCUSDT,11,12,9,10,66,6",
    ]

    report = take(lines)

    assert report.columns["volume"] == "Volume BTC"
    assert report.columns["time"] == "Unix Timestamp"
    assert store.read(KEY).volume.tolist() == [5, 6]


def test_klines_without_a_header_are_taken_in_the_order_of_exchanges(
    take: Callable[..., ImportReport], store: CandleStore
) -> None:
    lines = [f"{row(minute, unit=1_000)},1,2,3,4,5,0" for minute in range(3)]

    report = take(lines)

    assert "without a header" in report.format
    assert report.rows == 3
    assert store.read(KEY).close.tolist() == [11, 11, 11]


def test_gzip_and_windows_line_ends_make_no_difference(take: Callable[..., ImportReport], store: CandleStore) -> None:
    body = "\r\n".join([HEADER, row(0), row(1), "", "", ""]).encode()

    report = take(gzip.compress(body), name="bars.csv.gz")

    assert (report.format, report.bars) == ("CSV, gzipped", 2)


@pytest.mark.parametrize(
    "kind", [pa.timestamp("ms"), pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Paris"), pa.int64()]
)
def test_parquet_times_of_any_type_are_the_same_instant(store: CandleStore, tmp_path: Path, kind: pa.DataType) -> None:
    moments = pa.array([START * 10**9, (START + 60) * 10**9], pa.timestamp("ns"))
    times = moments.cast(pa.timestamp("ms")).cast(pa.int64()) if kind == pa.int64() else moments.cast(kind)
    prices = {name: pa.array([10.0, 10.0]) for name in ("open", "high", "low", "close", "volume")}
    pq.write_table(pa.table({"index": times, **prices}), tmp_path / "bars.parquet")

    report = import_candles(store, tmp_path / "bars.parquet", KEY)

    assert report.format == "Parquet"
    assert store.read(KEY).ts.tolist() == [START * 10**9, (START + 60) * 10**9]


def test_values_survive_the_way_through_text_bit_for_bit(take: Callable[..., ImportReport], store: CandleStore) -> None:
    value = "0.000000123456789"

    take([HEADER, row(0, o=value, h=value, low=value, c=value, v="1e-8")])

    assert store.read(KEY).open.tolist() == [float(value)]
    assert store.read(KEY).volume.tolist() == [1e-8]


# --- duplicates ------------------------------------------------------------------------------------------------------


def test_identical_rows_are_dropped_and_counted_wherever_they_stand(
    take: Callable[..., ImportReport], store: CandleStore
) -> None:
    report = take([HEADER, row(0), row(0), row(1), row(2), row(1), row(2), row(3)])

    assert (report.rows, report.duplicates, report.bars, report.gaps) == (7, 3, 4, 0)
    assert len(store.read(KEY)) == 4


def test_rows_of_one_time_with_other_values_are_refused(take: Callable[..., ImportReport], store: CandleStore) -> None:
    with pytest.raises(
        DataValidationError, match="line 4: the time 2023-11-14 22:14:00 UTC has other values in line 2"
    ):
        take([HEADER, row(0), row(1), row(0, c="10.5")])

    assert store.sets() == []


# --- broken bars -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (row(1, h="8", low="9", o="8.5", c="8.5"), "line 3: high 8.0 is below low 9.0"),
        (row(1, o="13"), "line 3: open 13.0 is outside low 9.0 to high 12.0"),
        (row(1, c="8"), "line 3: close 8.0 is outside low 9.0 to high 12.0"),
        (row(1, low="-9"), "line 3: low -9.0 is not positive"),
        (row(1, o="0", low="0"), "line 3: open 0.0 is not positive"),
        (row(1, v="-1"), "line 3: volume -1.0 is negative"),
        (row(1, h="inf"), "line 3: high inf is not finite"),
        (row(1, c="nan"), "line 3: close nan is not finite"),
        (row(1, v="NaN"), "line 3: volume nan is not finite"),
        (row(1, o="ten"), "Line 3 of bars.csv: 'ten' in the column open is no number"),
        (row(1, o=""), "Line 3 of bars.csv: the value in the column open is empty"),
        (f"{START + 61},10,12,9,11,5", "line 3: the time 2023-11-14 22:15:01 UTC is no open of a 1m bar"),
        (
            "yesterday,10,12,9,11,5",
            "Line 3 of bars.csv: 'yesterday' in the column timestamp is no number, as the first",
        ),
        ("12345,10,12,9,11,5", "Line 3 of bars.csv: 12345 in the column timestamp is no time since 1970"),
        ("10,12,9,11,5", "Line 3 of bars.csv has 5 values, 6 are expected"),
        ("", "Line 3 of bars.csv: the value in the column open is empty"),
        (row(-1), "line 3: the time 2023-11-14 22:13:00 UTC is out of order"),
    ],
)
def test_a_broken_bar_is_refused_with_its_line_and_value(
    take: Callable[..., ImportReport], store: CandleStore, bad: str, told: str
) -> None:
    take([HEADER, row(-9)])

    with pytest.raises(DataValidationError, match=told):
        take([HEADER, row(0), bad, row(2)])

    assert len(store.read(KEY)) == 1, "nothing may be half-imported"


def test_the_line_is_right_after_a_preamble(take: Callable[..., ImportReport]) -> None:
    with pytest.raises(DataValidationError, match="line 5: high 8"):
        take(["a file of somebody", HEADER, row(0), row(1), row(2, h="8", o="8", c="8")])


def test_the_line_is_right_without_a_header(take: Callable[..., ImportReport]) -> None:
    with pytest.raises(DataValidationError, match="line 2: high 8"):
        take([row(0), row(1, h="8", o="8", c="8"), row(2)])
    with pytest.raises(DataValidationError, match=r"Line 3 of bars.csv has 2 values"):
        take([row(0), row(1), "1,2"])


def test_a_text_among_times_in_words_is_refused(take: Callable[..., ImportReport]) -> None:
    with pytest.raises(
        DataValidationError, match=r"Line 3 of bars.csv: '14/11/2023' in the column timestamp is no ISO"
    ):
        take([HEADER, "2023-11-14 22:14:00,10,12,9,11,5", "14/11/2023,10,12,9,11,5"])


def test_the_row_of_a_parquet_file_is_named(store: CandleStore, tmp_path: Path) -> None:
    columns: dict[str, Any] = {name: [10.0, 10.0, 10.0] for name in ("open", "high", "low", "close")}
    columns["volume"] = [1.0, 1.0, None]
    pq.write_table(pa.table({"timestamp": [START, START + 60, START + 120], **columns}), tmp_path / "bars.parquet")

    with pytest.raises(DataValidationError, match=r"Row 3 of bars.parquet: the value in the column volume is empty"):
        import_candles(store, tmp_path / "bars.parquet", KEY)


def test_many_faults_are_counted_and_the_first_shown(take: Callable[..., ImportReport]) -> None:
    with pytest.raises(DataValidationError) as caught:
        take([HEADER, *(row(minute, v="-1") for minute in range(40)), row(40, h="1")])

    assert "41 broken bars" in caught.value.message
    assert "line 2: volume -1.0 is negative" in caught.value.message
    assert "and 36 more" in caught.value.message
    assert caught.value.details["broken"] == 41


def test_a_file_sorted_newest_first_is_told_what_to_do(take: Callable[..., ImportReport]) -> None:
    with pytest.raises(DataValidationError, match="the file is sorted newest first, turn it round"):
        take([HEADER, *(row(minute) for minute in (3, 2, 1, 0))])


def test_bars_of_another_timeframe_are_refused_by_name(take: Callable[..., ImportReport], store: CandleStore) -> None:
    hours = [HEADER, *(f"{1_700_002_800 + 3600 * hour},10,12,9,11,5" for hour in range(6))]

    with pytest.raises(DataValidationError, match="its bars are 1h apart, not 1m"):
        take(hours)
    with pytest.raises(DataValidationError, match="is no open of a 1h bar"):
        take([HEADER, *(row(minute) for minute in range(6))], key=CandleSet.of("test", "BTC/USDT", "1h"))

    assert store.sets() == []


def test_weeks_open_on_mondays(take: Callable[..., ImportReport]) -> None:
    key = CandleSet.of("test", "BTC/USDT", "1w")

    assert take([HEADER, "2024-01-01,10,12,9,11,5", "2024-01-08,10,12,9,11,5"], key=key).bars == 2
    with pytest.raises(DataValidationError, match="no open of a 1w bar"):
        take([HEADER, "2024-01-18,10,12,9,11,5"], key=key)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "is empty"),
        (HEADER.encode(), "has no rows"),
        (b"PAR1 but nothing more", "Parquet file"),
        (b"\x1f\x8bnot really gzip", "neither Parquet nor readable text"),
        (b"\xff\xfe\x00\x00binary", "neither Parquet nor readable text"),
        (b"timestamp,open,high,low,close\n1,2,3,4,5\n", "no column for volume; its columns are timestamp, open"),
        (b"hello\nworld\n", "has no header"),
    ],
)
def test_a_file_that_is_no_candle_file_is_refused_in_a_sentence(
    take: Callable[..., ImportReport], body: bytes, told: str
) -> None:
    with pytest.raises(DataValidationError, match=told):
        take(body)


def test_a_file_that_is_not_there_is_refused_in_a_sentence(store: CandleStore, tmp_path: Path) -> None:
    with pytest.raises(DataValidationError, match=r"nowhere.csv cannot be read: No such file"):
        import_candles(store, tmp_path / "nowhere.csv", KEY)

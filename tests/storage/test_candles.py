"""The candle store: what goes in comes back, whole or not at all."""

from __future__ import annotations

import fcntl
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import ConflictError, DataError, DataValidationError, NotFoundError, ValidationError
from engine.model.candle import Bars
from storage.candle_files import write_part
from storage.candle_sets import CandleSet, Gap
from storage.candles import CandleStore
from tests.kit.candles import join_bars, recorded_bars, walk_bars

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3_600_000_000_000
NEW_YEAR = 1_704_067_200 * 1_000_000_000
"""2024-01-01 00:00 UTC."""
KEY = CandleSet.of("binance", "BTC/USDT", "1h")


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    return CandleStore(tmp_path / "candles")


def around_new_year(count: int = 48, gaps: float = 0.0) -> Bars:
    return walk_bars(3, count, "1h", start=NEW_YEAR - count // 2 * HOUR, gaps=gaps)


def assert_equal(first: Bars, second: Bars) -> None:
    for name in ("ts", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


@pytest.mark.parametrize("written", ["btc/usdt", "BTC-USDT", " Btc/Usdt "])
def test_names_are_read_as_people_write_them(written: str) -> None:
    assert CandleSet.of(" Binance", written, "1h") == KEY
    assert KEY.instrument == "BINANCE:BTC/USDT"
    assert KEY.words == "binance BTC/USDT 1h"


@pytest.mark.parametrize(
    ("venue", "symbol", "timeframe"),
    [
        ("../etc", "BTC/USDT", "1h"),
        ("", "BTC/USDT", "1h"),
        ("binance", "BTCUSDT", "1h"),
        ("binance", "../..", "1h"),
        ("binance", "BTC/USDT/X", "1h"),
        ("binance", "BTC/USDT", "1M"),
        ("binance", "BTC/USDT", "../1h"),
    ],
)
def test_names_that_cannot_be_a_folder_are_refused(venue: str, symbol: str, timeframe: str) -> None:
    with pytest.raises(ValidationError):
        CandleSet.of(venue, symbol, timeframe)


def test_bars_come_back_as_they_went_in_over_a_turn_of_the_year(store: CandleStore) -> None:
    bars = around_new_year()

    store.merge(KEY, bars)

    assert_equal(store.read(KEY), bars)
    assert sorted(file.name for file in store.folder.rglob("*.parquet")) == ["2023.parquet", "2024.parquet"]
    assert not list(store.folder.rglob("*.part"))


def test_a_range_takes_its_start_and_leaves_its_end(store: CandleStore) -> None:
    bars = around_new_year()
    store.merge(KEY, bars)

    assert_equal(store.read(KEY, NEW_YEAR - HOUR, NEW_YEAR + 2 * HOUR), bars.slice(23, 26))
    assert_equal(store.read(KEY, NEW_YEAR, NEW_YEAR + 1), bars.slice(24, 25))
    assert_equal(store.read(KEY, end=NEW_YEAR), bars.slice(0, 24))
    assert len(store.read(KEY, NEW_YEAR + 1, NEW_YEAR + HOUR)) == 0
    assert len(store.read(KEY, NEW_YEAR * 2)) == 0
    assert len(store.read(KEY, NEW_YEAR + HOUR, NEW_YEAR)) == 0


def test_a_second_import_of_the_same_bars_changes_nothing(store: CandleStore) -> None:
    bars = around_new_year()
    store.merge(KEY, bars)
    before = {file: file.stat().st_mtime_ns for file in store.folder.rglob("*.parquet")}

    merged = store.merge(KEY, bars)

    assert (merged.added, merged.identical, merged.replaced) == (0, 48, 0)
    assert {file: file.stat().st_mtime_ns for file in store.folder.rglob("*.parquet")} == before


def test_bars_with_other_values_are_refused_whole_unless_they_shall_replace(store: CandleStore) -> None:
    bars = around_new_year()
    store.merge(KEY, bars.slice(0, 30))
    changed = around_new_year()
    changed.close[29] += 0.25
    changed.high[29] += 1

    with pytest.raises(
        DataValidationError, match=r"1 bar of binance BTC/USDT 1h differ .* 2024-01-01 05:00:00 UTC"
    ) as e:
        store.merge(KEY, changed)

    assert "high" in e.value.message
    assert "close" in e.value.message
    assert "open" not in e.value.message.partition("UTC:")[2]
    assert_equal(store.read(KEY), bars.slice(0, 30))
    assert not list(store.folder.rglob("*.part"))

    merged = store.merge(KEY, changed, replace=True)

    assert (merged.added, merged.identical, merged.replaced) == (18, 29, 1)
    assert_equal(store.read(KEY), changed)


def test_a_failure_in_the_last_year_leaves_no_file_of_the_first(
    store: CandleStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(path: Path, bars: Bars, length: int) -> Path:
        if path.stem == "2024":
            raise OSError("no space left on device")
        return write_part(path, bars, length)

    monkeypatch.setattr("storage.candles.write_part", failing)

    with pytest.raises(OSError, match="no space"):
        store.merge(KEY, around_new_year())

    assert not [file for file in store.folder.rglob("*") if file.is_file() and file.name != ".lock"]


def test_a_listing_counts_gaps_within_and_between_files(store: CandleStore) -> None:
    bars = around_new_year()
    kept = [index for index in range(48) if index not in (5, 6, 23, 24, 40)]
    columns = (getattr(bars, name)[kept] for name in ("open", "high", "low", "close", "volume"))
    store.merge(KEY, Bars("1h", bars.ts[kept], *columns))

    found = store.get(KEY)

    assert (found.rows, found.gaps, found.missing) == (43, 3, 5)
    assert (found.start, found.end) == (int(bars.ts[0]), int(bars.ts[-1]) + HOUR)
    assert found.bytes > 0
    assert store.gaps(KEY) == (Gap(int(bars.ts[5]), 2), Gap(int(bars.ts[23]), 2), Gap(int(bars.ts[40]), 1))
    assert store.gaps(KEY, most=1) == (Gap(int(bars.ts[23]), 2),)


def test_sets_are_listed_by_venue_symbol_and_length(store: CandleStore) -> None:
    for timeframe in ("1h", "5m", "1d"):
        key = CandleSet.of("okx", "ETH/BTC", timeframe)
        store.merge(key, walk_bars(1, 3, timeframe))
    store.merge(KEY, around_new_year())
    (store.folder / "okx" / "not a symbol" / "1h").mkdir(parents=True)
    (store.folder / "okx" / "not a symbol" / "1h" / "2024.parquet").write_bytes(b"")

    assert [key.words for key in store.sets()] == [
        "binance BTC/USDT 1h",
        "okx ETH/BTC 5m",
        "okx ETH/BTC 1h",
        "okx ETH/BTC 1d",
    ]
    assert [found.rows for found in store.all()] == [48, 3, 3, 3]


def test_what_is_not_there_is_said_with_what_is(store: CandleStore) -> None:
    with pytest.raises(NotFoundError, match="`quarterdeck data import` brings some in"):
        store.read(KEY)

    store.merge(CandleSet.of("binance", "BTC/USDT", "4h"), walk_bars(1, 3, "4h"))

    with pytest.raises(NotFoundError, match="there are some of binance BTC/USDT 4h"):
        store.read(KEY)
    with pytest.raises(NotFoundError):
        store.get(KEY)
    with pytest.raises(NotFoundError):
        store.delete(KEY)


def test_a_deleted_set_is_gone_and_others_stay(store: CandleStore) -> None:
    other = CandleSet.of("okx", "ETH/BTC", "1h")
    store.merge(KEY, around_new_year())
    store.merge(other, around_new_year())

    store.delete(KEY)

    assert store.sets() == [other]


def test_a_damaged_file_is_named(store: CandleStore) -> None:
    store.merge(KEY, around_new_year())
    file = next(store.folder.rglob("2024.parquet"))
    file.write_bytes(file.read_bytes()[:200])

    with pytest.raises(DataError, match=r"2024\.parquet cannot be read"):
        store.read(KEY)
    with pytest.raises(DataError, match=r"2024\.parquet cannot be read"):
        store.all()
    assert len(store.read(KEY, end=NEW_YEAR)) == 24


def test_one_process_at_a_time_writes_a_set(store: CandleStore) -> None:
    store.merge(KEY, around_new_year())

    with (KEY.folder(store.folder) / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(ConflictError, match="try again"):
            store.merge(KEY, around_new_year())

    assert store.merge(KEY, around_new_year()).identical == 48


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, 120), min_size=2, max_size=6), seed=st.integers(0, 5))
def test_pieces_in_any_order_make_the_whole(tmp_path: Path, cuts: list[int], seed: int) -> None:
    whole = walk_bars(seed, 120, "1h", start=NEW_YEAR - 60 * HOUR, gaps=0.1)
    store = CandleStore(tmp_path / f"{seed}-{'-'.join(map(str, cuts))}")
    edges = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    pieces = [whole.slice(max(0, a - 3), b) for a, b in pairwise(edges)]
    np.random.default_rng(seed).shuffle(pieces)

    for piece in pieces:
        store.merge(KEY, piece)

    assert_equal(store.read(KEY), whole)
    for piece in pieces:
        assert store.merge(KEY, piece).identical == len(piece)


def test_a_year_of_minutes_is_the_same_read_by_range_and_whole(store: CandleStore, shared_data: Path) -> None:
    key = CandleSet.of("bitfinex", "BTC/USD", "1m")
    bars = recorded_bars(shared_data, "bitfinex_BTCUSD_1m_2016-2018", 250_000, 100_000)
    store.merge(key, bars)

    start, middle, end = int(bars.ts[0]), int(bars.ts[40_000]), int(bars.ts[-1]) + 60_000_000_000

    assert_equal(join_bars(store.read(key, start, middle), store.read(key, middle, end)), bars)

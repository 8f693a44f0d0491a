"""Stored candles become files that are read back unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.errors import ConflictError, DataError, NotFoundError, ValidationError
from storage.candle_export import export_candles
from storage.candle_import import import_candles
from storage.candle_sets import CandleSet
from storage.candles import CandleStore
from tests.kit.candles import walk_bars

if TYPE_CHECKING:
    from pathlib import Path

KEY = CandleSet.of("test", "BTC/USDT", "1h")
BARS = walk_bars(9, 500, "1h", gaps=0.05)


@pytest.fixture
def store(tmp_path: Path) -> CandleStore:
    store = CandleStore(tmp_path / "candles")
    store.merge(KEY, BARS)
    return store


@pytest.mark.parametrize("name", ["bars.parquet", "bars.csv", "bars.csv.gz"])
def test_what_is_exported_is_imported_bit_for_bit(store: CandleStore, tmp_path: Path, name: str) -> None:
    other = CandleSet.of("copy", "BTC/USDT", "1h")

    count = export_candles(store, KEY, tmp_path / name)
    report = import_candles(store, tmp_path / name, other)

    assert count == report.added == len(BARS)
    copy = store.read(other)
    for column in ("ts", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(copy, column), getattr(BARS, column))


def test_a_range_is_exported_with_a_plain_header(store: CandleStore, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"

    assert export_candles(store, KEY, path, start=int(BARS.ts[10]), end=int(BARS.ts[12])) == 2

    lines = path.read_text().splitlines()
    assert lines[0] == "timestamp,open,high,low,close,volume"
    assert lines[1].startswith(f"{BARS.ts[10] // 1_000_000},{float(BARS.open[10])!r},")
    assert len(lines) == 3


def test_a_file_that_exists_is_kept_unless_it_may_be_replaced(store: CandleStore, tmp_path: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("mine")

    with pytest.raises(ConflictError, match="exists"):
        export_candles(store, KEY, path)
    assert path.read_text() == "mine"

    export_candles(store, KEY, path, replace=True)
    assert path.read_text().startswith("timestamp")


def test_what_cannot_be_exported_is_said_and_leaves_nothing(store: CandleStore, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"must end in \.parquet, \.csv or \.csv\.gz"):
        export_candles(store, KEY, tmp_path / "bars.xlsx")
    with pytest.raises(NotFoundError, match="in that range"):
        export_candles(store, KEY, tmp_path / "bars.csv", start=int(BARS.ts[-1]) + 1)
    with pytest.raises(DataError, match="cannot be written"):
        export_candles(store, KEY, tmp_path / "nowhere" / "bars.csv")

    assert [file.name for file in tmp_path.iterdir()] == ["candles"]

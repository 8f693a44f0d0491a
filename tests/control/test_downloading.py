"""Downloads of candles over the simulated Binance: whole ranges, holes, resumption, and what the exchange lacks."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.clock import SystemClock
from engine.control.downloading import Download
from engine.control.offline import offline
from engine.errors import DataValidationError, ExchangeConnectionError, ValidationError
from engine.model.candle import Bars, Candle
from storage.candle_files import COLUMNS
from storage.candle_sets import CandleSet, missing_ranges
from storage.candles import CandleStore
from tests.wire.harness import START, adapter_harness
from tests.wire.venues import make_simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from engine.control.downloading import DownloadReport
    from engine.model.ids import InstrumentId
    from tests.wire.harness import WireHarness

MINUTE = 60_000_000_000
KEY = CandleSet.of("binance", "BTC/USDT", "1m")
END = START - START % MINUTE
BARS = 2_500
BEGIN = END - BARS * MINUTE


@pytest.fixture
async def harness() -> AsyncIterator[WireHarness]:
    h = await adapter_harness("binance", "BTC/USDT", Decimal("0.01"))
    yield h
    await h.close()


async def fetch(
    h: WireHarness, store: CandleStore, start: int | None = BEGIN, end: int | None = END, store_bars: int = 20_000
) -> DownloadReport:
    return await h.call(Download(h.venue, store, KEY, h.clock, store_bars=store_bars).run(start, end))


async def test_a_range_is_fetched_once_and_holes_are_filled(harness: WireHarness, tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    report = await fetch(harness, store, store_bars=1000)
    assert (report.fetched, report.known, report.missing, report.holes) == (BARS, 0, 0, 1)
    assert report.requests == 3
    whole = store.read(KEY)
    assert (int(whole.ts[0]), int(whole.ts[-1])) == (BEGIN, END - MINUTE)
    told = await harness.call(harness.venue.candles(KEY.instrument, "1m", end=END, limit=100))
    assert [candle.close for candle in told] == whole.close[-100:].tolist()

    again = await fetch(harness, store)
    assert (again.fetched, again.known, again.requests) == (0, BARS, 0)

    # Two holes in the middle: only they are asked for.
    kept = np.ones(BARS, dtype=bool)
    kept[700:705] = kept[1800:1803] = False
    store.delete(KEY)
    store.merge(KEY, Bars("1m", *(getattr(whole, name)[kept] for name in COLUMNS)))
    repaired = await fetch(harness, store, None, END)
    assert (repaired.fetched, repaired.holes, repaired.requests, repaired.missing) == (8, 2, 2, 0)
    mended = store.read(KEY)
    assert mended.ts.tolist() == whole.ts.tolist()
    assert mended.volume.tolist() == whole.volume.tolist()


async def test_a_download_that_breaks_off_keeps_what_has_come_and_goes_on(
    harness: WireHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CandleStore(tmp_path)
    real, asked = harness.venue.candles, 0

    async def cut(
        instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise ExchangeConnectionError("The line is down.")
        return await real(instrument, timeframe, end=end, limit=limit)

    monkeypatch.setattr("engine.control.downloading.TRIES", 1)
    monkeypatch.setattr(harness.venue, "candles", cut)
    with pytest.raises(ExchangeConnectionError):
        await fetch(harness, store)
    assert len(store.read(KEY)) == 1000
    report = await fetch(harness, store)
    assert (report.known, report.fetched, report.missing) == (1000, BARS - 1000, 0)
    # With tries left, a line that comes back is waited for.
    monkeypatch.setattr("engine.control.downloading.TRIES", 3)
    store.delete(KEY)
    asked = 1
    report = await fetch(harness, store)
    assert (report.fetched, report.requests) == (BARS, 4)


class History:
    """An exchange whose first bar is at a time, with a hole."""

    def __init__(self, first: int, hole: tuple[int, int], broken: int = 0) -> None:
        opens = [ts for ts in range(first, END, MINUTE) if not hole[0] <= ts < hole[1]]
        self.rows = [Candle(KEY.instrument, "1m", ts, 2.0, 3.0, 1.0, 0.5 if ts == broken else 2.5, 7.0) for ts in opens]

    async def candles(
        self, instrument: InstrumentId, timeframe: str, *, end: int | None = None, limit: int = 500
    ) -> Sequence[Candle]:
        return [candle for candle in self.rows if end is None or candle.ts < end][-limit:]


async def test_what_the_exchange_does_not_have_is_said(harness: WireHarness, tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    first = BEGIN + 300 * MINUTE
    venue = History(first, (END - 50 * MINUTE, END - 40 * MINUTE))
    report = await harness.call(Download(venue, store, KEY, harness.clock).run(BEGIN, END))  # type: ignore[arg-type]
    assert report.fetched == BARS - 310
    assert (report.gaps, report.missing, report.first) == (2, 310, first)


async def test_a_broken_bar_is_refused_and_the_range_must_hold_a_bar(harness: WireHarness, tmp_path: Path) -> None:
    store = CandleStore(tmp_path)
    venue = History(BEGIN, (0, 0), broken=BEGIN + 5 * MINUTE)
    with pytest.raises(DataValidationError, match="gave a broken bar of binance BTC/USDT 1m"):
        await harness.call(Download(venue, store, KEY, harness.clock).run(BEGIN, END))  # type: ignore[arg-type]
    assert store.sets() == []
    with pytest.raises(ValidationError, match="say from when on"):
        await fetch(harness, store, None)
    with pytest.raises(ValidationError, match="no whole bar that has closed"):
        await fetch(harness, store, END, END + 5 * MINUTE)
    with pytest.raises(ValidationError, match="no whole bar"):
        await fetch(harness, store, BEGIN + 1, BEGIN + MINUTE)


def test_missing_ranges_are_everything_that_is_not_there() -> None:
    ts = np.array([3, 4, 7, 9], np.int64) * MINUTE

    def missing(start: int, end: int) -> list[tuple[int, int]]:
        return [(a // MINUTE, b // MINUTE) for a, b in missing_ranges(ts, "1m", start * MINUTE, end * MINUTE)]

    assert missing(1, 11) == [(1, 3), (5, 7), (8, 9), (10, 11)]
    assert missing(3, 5) == []
    assert missing(4, 8) == [(5, 7)]
    assert missing(20, 22) == [(20, 22)]


def test_perpetuals_have_sets_of_their_own(tmp_path: Path) -> None:
    key = CandleSet.of("binanceusdm", "btc/usdt:usdt", "1h")
    assert key.instrument == "BINANCEUSDM:BTC/USDT:USDT"
    one = np.ones(1)
    CandleStore(tmp_path).merge(key, Bars("1h", np.zeros(1, np.int64), one, one, one, one, one))
    assert CandleStore(tmp_path).sets() == [key]


async def test_a_download_runs_as_a_job_without_engine_and_key(tmp_path: Path) -> None:
    """The whole way: operation, worker process, adapter, simulated Binance in real time, store."""
    clock = SystemClock()
    simulator = make_simulator("binance", clock)
    await simulator.start(None)
    try:
        addresses = ", ".join(f'{name} = "{where}"' for name, where in simulator.addresses.items())
        _write(tmp_path / "config.toml", f"[venues.binance]\naddresses = {{ {addresses} }}\n")
        end = clock.now() // MINUTE * MINUTE
        named = {"venue": "binance", "symbol": "BTC/USDT", "timeframe": "1m"}
        async with offline(tmp_path) as host:
            job = await host.call("data.download", {**named, "start": end - 1500 * MINUTE, "end": end})
            job = await host.call("jobs.get", {"id": job.id, "wait": 60})
            assert (job.state, job.message) == ("done", "1,500 bars fetched, 0 were stored already")
            (row,) = await host.call("data.list")
            assert (row.rows, row.gaps, row.start, row.end) == (1500, 0, end - 1500 * MINUTE, end)
    finally:
        await simulator.stop()


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")

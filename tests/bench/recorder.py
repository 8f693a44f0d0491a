"""What recording costs: time on the event loop per event, time of the writing thread, and bytes on disk.

Recorded messages go through the native books; every change is then recorded as an engine records it, repeated until
`UPDATES` are in. Times are processor time of the thread that spends it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet  # noqa: F401  its import is no part of writing

from engine.clock import SimulatedClock
from engine.market.hub import MarketHub
from engine.market.recorder import Recorder
from engine.market.recording_writer import RecordingWriter
from engine.model.ids import TradeId
from engine.model.market import BookMoved, MarketTrade
from engine.model.order import OrderSide
from engine.venues.native.books.binance import BinanceBooks
from engine.venues.native.books.coinbase import CoinbaseBooks
from storage.recordings.settings import RecorderSettings
from storage.recordings.shelf import Shelf
from tests.bench.recordings import binance, coinbase
from tests.bench.table import Row
from tests.venues.native.books.kit import instrument

if TYPE_CHECKING:
    from engine.venues.native.books.keeping import Kept
    from storage.recordings.manifest import Manifest
    from tests.bench.recordings import Recording

UPDATES = 20_000
START = 1_790_000_000_000_000_000
STEP_NS = 10_000_000
"""Time between two updates: a hundred a second."""
US_BAR = 10.0


class _Desk:
    """Hears the books and records them."""

    def __init__(self, folder: Path, clock: SimulatedClock) -> None:
        self.clock = clock
        self.hub = MarketHub()
        self.shelf = Shelf(folder)
        self.spent_ns = 0
        self.levels = 0
        self.count = 0
        self.writer: RecordingWriter | None = None
        self.recorder = Recorder(self.hub, self._make, RecorderSettings(), clock, "bench")

    def _make(self, session: Manifest) -> RecordingWriter:
        self.writer = RecordingWriter(self.shelf, session.id, RecorderSettings(keep_free_gib=0), self.clock)
        self.writer.start()
        return self.writer

    def moved(self, kept: Kept, snapshot: bool) -> None:
        now = self.clock.now()
        event = BookMoved(kept.instrument.id, kept.book.ts, kept.book, snapshot=snapshot)
        self.hub.on_market(event, now)
        began = time.thread_time_ns()
        self.recorder.on_market(event, now)
        self.spent_ns += time.thread_time_ns() - began
        self.count += 1

    def lost(self, kept: Kept, reason: str) -> None:
        """Every round is a connection of its own."""


async def books(recording: Recording) -> list[Row]:
    """The books of one capture."""
    with tempfile.TemporaryDirectory() as name:
        clock = SimulatedClock(START)
        desk = _Desk(Path(name), clock)
        kinds = {"binance": BinanceBooks, "coinbase": CoinbaseBooks}
        kept_books: Any = kinds[recording.venue](desk, compiled=True)
        market = instrument("X", 2, 8)
        kept = kept_books.add(recording.symbol, market)
        desk.hub.add(market)
        desk.recorder.follow({market.id: market})
        done = rounds = 0

        others = time.process_time() - time.thread_time()
        while done < UPDATES:
            if recording.venue == "binance":
                kept.live = False
                kept_books.snapshot(recording.symbol, recording.snapshot)
            else:
                kept_books.begin("")
                kept_books.feed(recording.snapshot)
            for data in recording.updates:
                await clock.advance(STEP_NS / 1e9)
                kept_books.feed(data)
            done, rounds = done + len(recording.updates), rounds + 1
            desk.recorder.tick()
        await desk.recorder.close()
        others = time.process_time() - time.thread_time() - others
        assert desk.writer is not None
        events, size = desk.writer.written_events, desk.writer.written_bytes
        assert desk.recorder.dropped == 0
        us = desk.spent_ns / 1e3 / desk.count - _timer_us()
        what = f"recorder, {recording.venue} books"
        per = 100_000 / events
        words = f"{size * per / 1e6:.2f} MB, {rounds * per:.0f} whole books among them"
        return [
            # Nearly all of it is spent on taking the changed levels out of the compiled book.
            Row(f"{what}: loop time per update", f"{us:.2f} us", "", None),
            Row(f"{what}: bytes per 100,000 updates", words, "", None),
            Row(f"{what}: writer's time per 100,000 updates", f"{others * per:.2f} s", "", None),
        ]


def _timer_us() -> float:
    began = time.thread_time_ns()
    for _ in range(10_000):
        time.thread_time_ns()
    return (time.thread_time_ns() - began) / 1e3 / 10_000


async def trades() -> list[Row]:
    """Public trades."""
    with tempfile.TemporaryDirectory() as name:
        clock = SimulatedClock(START)
        desk = _Desk(Path(name), clock)
        market = instrument("X", 2, 8)
        desk.hub.add(market)
        desk.recorder.follow({market.id: market})
        heard = [
            MarketTrade(market.id, START + n, TradeId(str(10**9 + n)), 6_000_000 + n % 97, 10**5 + n % 89, side)
            for n, side in zip(range(UPDATES), [OrderSide.BUY, OrderSide.SELL] * UPDATES, strict=False)
        ]
        began = time.thread_time_ns()
        for trade in heard:
            desk.recorder.on_market(trade, START)
        us = (time.thread_time_ns() - began) / 1e3 / UPDATES
        await desk.recorder.close()
        assert desk.writer is not None
        size = desk.writer.written_bytes
        return [
            Row("recorder, trades: loop time per trade", f"{us:.2f} us", f"<= {US_BAR:g} us", us <= US_BAR),
            Row("recorder, trades: bytes per 100,000", f"{size / 1e6:.2f} MB", "", None),
        ]


async def _all() -> list[Row]:
    found = [
        row
        for recording in (binance("binance/spot_btcusdt_20240808", "BTC/USDT"), coinbase())
        for row in await books(recording)
    ]
    return [*found, *await trades()]


def run() -> list[Row]:
    """Measure all."""
    return asyncio.run(_all())

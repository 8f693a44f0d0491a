"""The recorder behind a native adapter: books that the adapter keeps, trades and candles over the simulated wire."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.market.hub import MarketHub
from engine.market.recorder import Recorder
from engine.market.recording_writer import RecordingWriter
from engine.model.candle import Candle
from engine.model.market import BookMoved, BookUpdate, MarketTrade, OrderBook, Ticker
from engine.venues.markets.session import SessionRecording
from storage.recordings.settings import RecorderSettings
from storage.recordings.shelf import Shelf
from tests.wire.harness import adapter_harness

if TYPE_CHECKING:
    from pathlib import Path

    from engine.model.market import MarketEvent
    from storage.recordings.manifest import Manifest


async def test_a_native_adapters_books_come_back_as_they_were(tmp_path: Path) -> None:
    h = await adapter_harness("binance", "BTC/USDT", Decimal("0.01"))
    hub, settings = MarketHub(), RecorderSettings()
    hub.add(h.instrument)

    def make(session: Manifest) -> RecordingWriter:
        writer = RecordingWriter(Shelf(tmp_path), session.id, settings, h.clock, free=lambda: 1 << 40)
        writer.start()
        return writer

    recorder = Recorder(hub, make, settings, h.clock, "1")
    heard: list[MarketEvent] = []

    def sink(event: MarketEvent) -> None:
        hub.on_market(event, h.clock.now())
        heard.append(event.changes() if isinstance(event, BookMoved) else event)
        recorder.on_market(event, h.clock.now())

    try:
        recorder.follow({h.instrument.id: h.instrument})
        h._see = sink  # type: ignore[method-assign]
        await h.restart()
        await h.call(h.venue.watch([h.instrument.id]))
        await h.until(lambda: sum(isinstance(event, BookUpdate) for event in heard) > 60)
        await h.until(lambda: any(isinstance(event, MarketTrade) for event in heard))
        book = hub.markets[h.instrument.id].book.to_snapshot()
        session = recorder.session
        assert session is not None
        kept = [event for event in heard if not isinstance(event, Ticker)]
        await recorder.close()
    finally:
        await h.close()
    recording = SessionRecording(tmp_path / session.id)
    rows = list(recording.rows(h.instrument.id))
    assert [row[2] for row in rows] == kept
    assert list(recording.events()) == [event for event in kept if not isinstance(event, Candle)]
    mine = OrderBook(h.instrument.id)
    for event in recording.events():
        if isinstance(event, BookUpdate):
            assert mine.apply(event)
    assert mine.to_snapshot().bids == book.bids
    assert mine.to_snapshot().asks == book.asks
    assert all(received >= event.ts - 10**9 for _, received, event, _ in rows if not isinstance(event, Candle))
    assert recording.manifest.instruments[h.instrument.id].instrument.rules == h.instrument.rules

"""The recorder: what a market says comes back from the files event by event, and what does not is named."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.clock import SimulatedClock
from engine.control.recording import store_candles
from engine.errors import DataError, NotFoundError
from engine.market import recorder as recording
from engine.market.hub import MarketHub
from engine.market.recorder import Recorder
from engine.market.recording_writer import RecordingWriter
from engine.model.ids import InstrumentId, TradeId
from engine.model.market import BookMoved, BookUpdate, FeedStatus, MarketTrade, OrderBook
from engine.model.order import OrderSide
from engine.venues.markets.recording import open_recording
from engine.venues.markets.replay import ReplayMarket
from engine.venues.markets.session import SessionRecording
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from storage.candles import CandleStore
from storage.recordings.manifest import Manifest, read_manifest
from storage.recordings.settings import RecorderSettings
from storage.recordings.shelf import Shelf

if TYPE_CHECKING:
    from pathlib import Path

    from engine.errors import StorageError
    from engine.model.market import MarketDatum, MarketEvent

START = 1_790_000_000_000_000_000
S = 1_000_000_000


@dataclass
class Studio:
    """A simulated market, a hub, and a recorder with its writer, in simulated time."""

    folder: Path
    settings: RecorderSettings = field(default_factory=RecorderSettings)
    free: int = 1 << 40
    rate: float = 10.0
    reports: list[StorageError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = SimulatedClock(START)
        self.market = SimulatedMarket(SimulatedSettings(seed=7, rate=self.rate), START)
        self.hub = MarketHub()
        self.instruments = {each.id: each for each in self.market.instruments()}
        for each in self.instruments.values():
            self.hub.add(each)
        self.shelf = Shelf(self.folder)
        self.writers: list[RecordingWriter] = []
        self.recorder = Recorder(self.hub, self._writer, self.settings, self.clock, "1.2.3", report=self.reports.append)

    def _writer(self, session: Manifest) -> RecordingWriter:
        writer = RecordingWriter(self.shelf, session.id, self.settings, self.clock, free=lambda: self.free)
        writer.start()
        self.writers.append(writer)
        return writer

    def hear(self, event: MarketEvent) -> None:
        """As the engine takes an event in."""
        self.hub.on_market(event, self.clock.now())
        self.recorder.on_market(event, self.clock.now())

    async def play(self, seconds: float) -> list[MarketDatum]:
        """Let the market go on; every event is received 3 ms late."""
        heard: list[MarketDatum] = []
        end = self.market.now + int(seconds * S)
        while (due := self.market.next_time()) is not None and due <= end:
            events = self.market.advance(due)
            await self.clock.advance((due + 3_000_000 - self.clock.now()) / S)
            for event in events:
                self.hear(event)
            heard += events
        return heard

    def begin(self, names: int = 3) -> None:
        """Every market is whole, and recorded."""
        for key in self.instruments:
            self.hear(self.market.snapshot(key))
        self.recorder.follow(dict(list(self.instruments.items())[:names]))

    async def end(self) -> SessionRecording:
        """End the session and open it."""
        session = self.recorder.session
        assert session is not None
        await self.recorder.close()
        return SessionRecording(self.folder / session.id)


async def test_a_simulated_session_comes_back_event_by_event(tmp_path: Path) -> None:
    studio = Studio(tmp_path, RecorderSettings(chunk_seconds=20))
    studio.begin()
    known = set(studio.recorder.instruments)
    heard: list[MarketDatum] = []
    for _ in range(4):
        heard += await studio.play(15)
        studio.recorder.tick()
    heard = [event for event in heard if event.instrument in known]
    session = await studio.end()
    assert len(known) == 3
    assert len(heard) > 2_000

    found = list(session.events())
    # The books as they were at the beginning come first.
    assert {event.instrument for event in found[:3]} == known
    assert found[3:] == heard
    received = [row[1] for key in known for row in session.rows(key)]
    assert min(received) == START
    assert any(ts % S for ts in received)
    assert session.manifest.gaps == []
    assert session.manifest.end == studio.clock.now()
    assert len(_found(tmp_path, "*/*/*")) >= 6


async def test_a_replay_of_a_session_shows_the_same_books_and_trades(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.begin(names=1)
    (key,) = studio.recorder.instruments
    heard = [event for event in await studio.play(30) if event.instrument == key]
    session = await studio.end()

    market = ReplayMarket(open_recording(tmp_path / session.manifest.id))
    played = market.advance(studio.clock.now())
    assert played[1:-1] == heard
    assert isinstance(played[-1], FeedStatus)
    assert market.snapshot(key).bids == studio.market.snapshot(key).bids
    assert market.snapshot(key).asks == studio.market.snapshot(key).asks
    assert market.instruments()[0].current_rules == studio.instruments[key].current_rules


async def test_the_manifest_keeps_every_version_of_rules_and_fees(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.begin(names=1)
    (key,) = studio.recorder.instruments
    old = studio.instruments[key]
    dearer = msgspec.structs.replace(old.current_rules, taker_fee=old.current_rules.taker_fee * 2)
    new = msgspec.structs.replace(old, rules=(dearer,))
    await studio.play(5)
    changed = studio.clock.now()
    for _ in range(3):
        studio.recorder.follow({key: new})
    session = await studio.end()
    rules = session.manifest.instruments[key].instrument.rules
    assert [each.taker_fee for each in rules] == [old.current_rules.taker_fee, dearer.taker_fee]
    assert rules[1].valid_from == changed


async def test_an_update_that_is_missing_is_a_gap_up_to_the_next_whole_book(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.begin(names=1)
    (key,) = studio.recorder.instruments
    await studio.play(3)
    lost = studio.clock.now()
    events = [e for e in studio.market.advance(studio.market.now + S) if e.instrument == key]
    books = [event for event in events if isinstance(event, BookUpdate)]
    await studio.clock.advance(1)
    for update in books[1:]:
        studio.hear(update)
    assert studio.hub.markets[key].broken
    await studio.clock.advance(1)
    # The mender asks for the book, which only the hub hears.
    studio.hub.on_market(studio.market.snapshot(key), studio.clock.now(), asked=True)
    more = [event for event in await studio.play(2) if event.instrument == key]
    session = await studio.end()

    (gap,) = session.manifest.gaps
    assert gap.instrument == key
    assert gap.start <= lost + S
    assert gap.end is not None
    assert gap.end > lost + S
    assert gap.reason == "the book has a gap"
    book = OrderBook(key)
    for event in session.events():
        if isinstance(event, BookUpdate):
            assert book.apply(event)
    assert book.to_snapshot().bids == studio.market.snapshot(key).bids
    after = [event for event in more if isinstance(event, BookUpdate)]
    assert len(after) > 10
    # The first one after the gap is written as the whole book.
    written = [event for event in session.events() if isinstance(event, BookUpdate)][-len(after) :]
    assert written[0].snapshot
    assert written[1:] == after[1:]


async def test_what_the_writer_cannot_take_is_counted_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_EVENTS", 50)
    studio = Studio(tmp_path)
    studio.begin(names=1)
    (key,) = studio.recorder.instruments
    await studio.play(2)
    monkeypatch.setattr(studio.writers[0], "offer", lambda *_: False)
    await studio.play(20)
    monkeypatch.undo()
    monkeypatch.setattr(recording, "MOST_EVENTS", 50)
    await studio.play(20)
    session = await studio.end()
    assert studio.recorder.dropped >= 50
    assert session.manifest.gaps
    assert all(gap.reason == "the disk was too slow" for gap in session.manifest.gaps)
    assert sum(gap.events for gap in session.manifest.gaps) == studio.recorder.dropped
    assert all(gap.end is not None for gap in session.manifest.gaps)
    book = OrderBook(key)
    for event in session.events():
        if isinstance(event, BookUpdate):
            assert book.apply(event)
    assert book.to_snapshot().asks == studio.market.snapshot(key).asks


async def test_without_room_recording_stops_and_goes_on_when_there_is_some(tmp_path: Path) -> None:
    studio = Studio(tmp_path, RecorderSettings(chunk_seconds=1))
    studio.begin(names=1)
    (key,) = studio.recorder.instruments
    await studio.play(3)
    studio.free = 5
    studio.writers[0].look()
    _settle(studio)
    studio.recorder.tick()
    assert studio.recorder.stopped.startswith("The disk has only 0.00 GiB free")
    assert [error.error_code for error in studio.reports] == ["full"]
    assert "trading goes on" in studio.reports[0].message
    before = studio.recorder.events
    await studio.play(3)
    assert studio.recorder.events == before
    studio.free = 1 << 40
    await studio.clock.advance(61)
    studio.recorder.tick()
    _settle(studio)
    studio.recorder.tick()
    assert studio.recorder.stopped == ""
    await studio.play(3)
    session = await studio.end()
    assert len(studio.reports) == 1
    gaps = [gap for gap in session.manifest.gaps if gap.reason == "there was no room on the disk"]
    assert len(gaps) == 1
    assert gaps[0].end is not None
    book = OrderBook(key)
    for event in session.events():
        if isinstance(event, BookUpdate):
            assert book.apply(event)
    assert book.to_snapshot().bids == studio.market.snapshot(key).bids


async def test_a_chunk_that_fails_is_a_gap_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from storage.recordings import parts

    studio = Studio(tmp_path, RecorderSettings(chunk_seconds=1))
    studio.begin(names=1)
    await studio.play(3)
    _settle(studio)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(parts, "_sync_folder", full)
        studio.recorder.tick()
        _settle(studio)
        studio.recorder.tick()
    assert studio.recorder.stopped == "Recordings cannot be written: No space left on device."
    assert _found(tmp_path, "*/*/*.part") == []
    await studio.clock.advance(61)
    studio.recorder.tick()
    _settle(studio)
    studio.recorder.tick()
    await studio.play(3)
    session = await studio.end()
    assert len(session.manifest.gaps) >= 1
    assert studio.recorder.dropped == sum(gap.events for gap in session.manifest.gaps) > 0
    assert any(isinstance(event, BookUpdate) and event.snapshot for event in session.events())


async def test_after_a_crash_what_was_handed_over_is_there(tmp_path: Path) -> None:
    studio = Studio(tmp_path, RecorderSettings(chunk_seconds=5))
    studio.begin(names=1)
    first = await studio.play(6)
    studio.recorder.tick()
    _settle(studio)
    handed = studio.recorder.events
    await studio.play(3)
    # The process ends here: nothing is closed.
    (manifest,) = _found(tmp_path, "*/session.json")
    session = SessionRecording(manifest.parent)
    assert session.manifest.end is None
    assert len(list(session.events())) == handed > len(first) // 10
    await studio.recorder.close()


async def test_a_kept_book_is_recorded_by_what_changed_and_after_a_pause_as_a_whole(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.begin(names=1)
    (key,) = studio.recorder.instruments
    kept = _Kept(key)
    kept.apply(BookUpdate(key, START, 5, snapshot=True, bids=((10, 1), (9, 2)), asks=((11, 3),)))
    studio.hear(BookMoved(key, START, kept, snapshot=True))
    change = BookUpdate(key, START + 1, 6, snapshot=False, bids=((10, 0),), asks=())
    kept.apply(change)
    studio.hear(BookMoved(key, START + 1, kept))
    # Heard again, as after a stand-still: nothing new.
    studio.hear(BookMoved(key, START + 1, kept))
    for seq in (7, 8):
        kept.apply(BookUpdate(key, START + seq, seq, snapshot=False, bids=((8, seq),), asks=()))
    studio.hear(BookMoved(key, START + 8, kept))
    session = await studio.end()
    books = [event for event in session.events() if isinstance(event, BookUpdate)]
    assert books[2] == change
    assert books[3:] == [BookUpdate(key, START + 8, 8, snapshot=True, bids=((9, 2), (8, 8)), asks=((11, 3),))]
    assert [gap.reason for gap in session.manifest.gaps] == [
        "the book was fetched anew",
        "updates of the book were missed",
    ]


async def test_a_number_that_is_too_large_is_left_out_and_the_rest_goes_on(tmp_path: Path) -> None:
    studio = Studio(tmp_path)
    studio.begin(names=1)
    (key,) = studio.recorder.instruments
    trade = MarketTrade(key, START, TradeId("t1"), 1 << 70, 5, OrderSide.BUY)
    studio.hear(trade)
    studio.hear(msgspec.structs.replace(trade, price=4, quantity=1 << 64))
    fits = msgspec.structs.replace(trade, price=4, trade_id=TradeId("t2"))
    studio.hear(fits)
    session = await studio.end()
    assert [event for event in session.events() if isinstance(event, MarketTrade)] == [fits]
    assert studio.recorder.dropped == 2
    assert [gap.events for gap in session.manifest.gaps] == [2]


async def test_a_whole_book_is_repeated_so_that_reading_can_begin_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "ANCHOR_NS", 10 * S)
    studio = Studio(tmp_path, RecorderSettings(chunk_seconds=10))
    studio.begin(names=1)
    (key,) = studio.recorder.instruments
    heard: list[MarketDatum] = []
    for _ in range(6):
        heard += [event for event in await studio.play(11) if event.instrument == key]
        studio.recorder.tick()
    session = await studio.end()
    assert list(session.events())[1:] == heard
    folder = tmp_path / session.manifest.id
    first, *_ = studio.shelf.measured(session.manifest.id).pieces
    studio.shelf.cut(session.manifest.id, first)
    rest = list(SessionRecording(folder).events())
    books = [event for event in rest if isinstance(event, BookUpdate)]
    assert books[0].snapshot
    assert books[1:] == [event for event in heard if isinstance(event, BookUpdate)][-len(books) + 1 :]
    assert read_manifest(folder).gaps == []


async def test_whole_bars_of_the_trades_go_into_the_candle_store(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "recordings", rate=1.0)
    studio.begin(names=1)
    (key,) = studio.recorder.instruments
    series = studio.hub.series(key, "1m")
    await studio.play(150)
    # A minute in which something is missing is not made into a bar.
    studio.hear(FeedStatus(key, studio.clock.now(), live=False, reason="The line is down."))
    await studio.play(150)
    studio.hub.roll(studio.clock.now())
    session = await studio.end()
    heard = {candle.ts: candle for candle in [*series.closed, *series.waiting]}
    stored, merged, count = store_candles(tmp_path, session.manifest.id, key, "1m")
    bars = CandleStore(tmp_path / "candles").read(stored)
    assert merged.added == count == len(bars) == 3
    minute = 60 * S
    first = START - START % minute + minute
    # Minutes 1, 2 (with the gap), 3 and 4 were heard to their end; the first and the last one are not whole.
    assert bars.ts.tolist() == [first, first + 2 * minute, first + 3 * minute]
    for row, ts in enumerate(bars.ts.tolist()):
        assert (bars.close[row], bars.volume[row]) == (heard[ts].close, heard[ts].volume)
    with pytest.raises(NotFoundError, match="has no market X"):
        store_candles(tmp_path, session.manifest.id, "X", "1m")
    with pytest.raises(DataError, match="holds no whole bar of 1h"):
        store_candles(tmp_path, session.manifest.id, key, "1h")


class _Kept(OrderBook):
    """A book as an adapter keeps it."""

    def __init__(self, instrument: InstrumentId) -> None:
        super().__init__(instrument)
        self._last: BookUpdate | None = None

    def apply(self, update: BookUpdate) -> bool:
        self._last = update
        return super().apply(update)

    def last_change(self) -> BookUpdate:
        assert self._last is not None
        return self._last


def _found(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


def _settle(studio: Studio) -> None:
    """Wait until the writer has done what it was given."""
    done = threading.Event()
    studio.writers[0]._queue.put(done.set)
    assert done.wait(20)

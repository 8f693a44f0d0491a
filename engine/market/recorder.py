"""The recorder: hears what markets say, keeps it in columns, and hands full chunks to a thread that writes them.

It never waits: what the writer cannot take in time is left out, counted, and named as a gap in the session's manifest.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from engine.errors import StorageError
from engine.logs import get_logger
from engine.model.candle import Candle
from engine.model.market import BookMoved, BookUpdate, FeedStatus, MarketTrade, MarkPrice, Ticker
from storage.recordings.chunk import ANCHOR, CHANGE, SNAPSHOT, Chunk
from storage.recordings.manifest import Manifest, SessionBot, SessionGap, SessionInstrument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from engine.clock import Clock
    from engine.market.hub import MarketHub
    from engine.market.recording_writer import RecordingWriter
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument, InstrumentRules
    from engine.model.market import MarketEvent
    from storage.recordings.settings import RecorderSettings

__all__ = ["Recorder"]

log = get_logger(__name__)

MOST_EVENTS = 50_000
"""Events of a chunk."""
MOST_VALUES = 1_000_000
"""Numbers of a chunk, about 8 MB."""
ANCHOR_NS = 900_000_000_000
"""A whole book is repeated this often, so that a session can be read from somewhere in its middle."""
MOST_GAPS = 5_000
"""Gaps that a manifest lists."""
RETRY_NS = 60_000_000_000
"""How often it is looked whether there is room again."""


class _Track:
    """One market that is recorded."""

    __slots__ = ("anchored", "chunk", "gap", "instrument", "parts", "seq", "whole")

    def __init__(self, instrument: Instrument, now: int) -> None:
        self.instrument = instrument
        self.chunk = Chunk(now)
        self.parts = 0
        """Chunks handed over; the number of the next part."""
        self.seq = -1
        self.whole = False
        """Whether what was written of the book is all of it up to now."""
        self.anchored = now
        """When the whole book was last written."""
        self.gap: SessionGap | None = None
        """The gap that lasts."""


class Recorder:
    """Records the markets it is told to. Everything here runs on the event loop and returns at once.

    Args:
        hub: The markets, which have heard each event before the recorder does.
        writer: Makes the thread that writes; called when there is something to record.
        settings: When a chunk is full by age.
        clock: The engine's clock.
        release: Of this program, for the manifest.
        report: Told once when recording stops by itself, and why.
    """

    def __init__(
        self,
        hub: MarketHub,
        writer: Callable[[Manifest], RecordingWriter],
        settings: RecorderSettings,
        clock: Clock,
        release: str,
        report: Callable[[StorageError], None] = lambda error: None,
    ) -> None:
        self.settings = settings
        self.session: Manifest | None = None
        """What is being recorded; None before the first market."""
        self.events = 0
        """Events taken in since the start."""
        self.dropped = 0
        """Events that were heard and left out."""
        self._hub = hub
        self._make = writer
        self._clock = clock
        self._release = release
        self._report = report
        self._writer: RecordingWriter | None = None
        self._tracks: dict[InstrumentId, _Track] = {}
        self._parts: dict[InstrumentId, int] = {}
        """Number of each market's last part."""
        self._last_heard: dict[InstrumentId, int] = {}
        """When each market was recorded last."""
        self._number = 0
        self._dirty = False
        self._stopped = ""
        self._tried = 0

    # --- figures -----------------------------------------------------------------------------------------------------

    @property
    def instruments(self) -> list[InstrumentId]:
        """What is recorded now."""
        return sorted(self._tracks)

    @property
    def stopped(self) -> str:
        """Why nothing is written though it should be; empty while all is well."""
        return self._stopped

    @property
    def written_bytes(self) -> int:
        """Bytes on disk of this session."""
        return self._writer.written_bytes if self._writer is not None else 0

    @property
    def written_events(self) -> int:
        """Events on disk of this session."""
        return self._writer.written_events if self._writer is not None else 0

    @property
    def held_bytes(self) -> int:
        """Bytes of all recordings of this home folder, as far as the writer has looked."""
        return self._writer.held_bytes if self._writer is not None else 0

    # --- what is recorded --------------------------------------------------------------------------------------------

    def follow(self, instruments: Mapping[InstrumentId, Instrument]) -> None:
        """Record exactly these markets from now on; the rules of those that go on are brought up to date."""
        now = self._clock.now()
        for key in [key for key in self._tracks if key not in instruments]:
            self._hand_over(self._tracks[key], now)
            del self._tracks[key]
        for key, instrument in instruments.items():
            if key not in self._tracks:
                self._begin(instrument, now)
            else:
                self._update(instrument, now)

    def name_bots(self, bots: Iterable[SessionBot]) -> None:
        """Put bots into the manifest; one that is in it as it is now stays as it is."""
        if self.session is None:
            return
        known = {_settings_of(bot) for bot in self.session.bots}
        for bot in bots:
            if _settings_of(bot) not in known:
                self.session.bots.append(bot)
                self._dirty = True

    def _begin(self, instrument: Instrument, now: int) -> None:
        session, key = self.session, instrument.id
        if session is None:
            session = self.session = Manifest(id=session_id(now), release=self._release, start=now)
            self._writer = self._make(session)
            log.info("recording begins", session=session.id)
        if key not in session.instruments:
            folder = key.replace(":", "_").replace("/", "-")
            taken = {entry.folder for entry in session.instruments.values()}
            folder = folder if folder not in taken else f"{folder}~{len(taken)}"
            session.instruments[key] = SessionInstrument(instrument=instrument, folder=folder, since=now)
        track = self._tracks[key] = _Track(instrument, now)
        before = self._last_heard.get(key)
        if before is not None:
            track.gap = self._note_gap(key, before, "it was not recorded")
        self._update(instrument, now)
        self._dirty = True
        market = self._hub.markets.get(key)
        if market is not None and market.book.seq >= 0 and not market.broken:
            self._write_book(track, market.book.to_snapshot(), SNAPSHOT, now)

    def _update(self, instrument: Instrument, now: int) -> None:
        """Keep every version of the rules: a venue tells only those of now."""
        assert self.session is not None
        entry = self.session.instruments[instrument.id]
        known = entry.instrument.rules
        if known[-1] == instrument.current_rules or known[-1] == _from(instrument.current_rules, known[-1].valid_from):
            return
        later = instrument.current_rules
        if later.valid_from <= known[-1].valid_from:
            # A venue that does not say since when: since it was heard.
            later = _from(later, now)
        entry.instrument = msgspec.structs.replace(instrument, rules=(*known, later))
        self._dirty = True

    # --- what is heard -----------------------------------------------------------------------------------------------

    def on_market(self, event: MarketEvent, now: int) -> None:
        """Take an event in. Never raises, never waits. Days are left out: they follow from trades and candles.

        Args:
            event: Heard by the hub already.
            now: UTC nanoseconds of its receipt on the engine's clock.
        """
        track = self._tracks.get(event.instrument)
        if track is None or self._stopped or isinstance(event, Ticker):
            return
        try:
            self._take(track, event, now)
        except OverflowError:
            self.dropped += 1
            self._lose(track, now, "a number has more than 63 bits", 1)
        chunk = track.chunk
        if chunk.events >= MOST_EVENTS or chunk.values >= MOST_VALUES:
            self._hand_over(track, now)

    def _take(self, track: _Track, event: MarketEvent, now: int) -> None:
        if isinstance(event, BookMoved):
            self._on_book(track, event.changes(), now, anew=event.snapshot)
            return
        if isinstance(event, BookUpdate):
            self._on_book(track, event, now, anew=event.seq not in (track.seq, track.seq + 1))
            return
        number = self._count()
        chunk = track.chunk
        if isinstance(event, MarketTrade):
            chunk.add_trade(number, now, event)
            return
        match event:
            case Candle():
                chunk.candles.append((number, now, event))
            case MarkPrice():
                chunk.marks.append((number, now, event))
            case FeedStatus():
                chunk.news.append((number, now, event))
                if not event.live and track.gap is None:
                    track.gap = self._note_gap(track.instrument.id, now, event.reason or "the feed was interrupted")
                    track.whole = False
        chunk.note(now)

    def _on_book(self, track: _Track, update: BookUpdate, now: int, *, anew: bool) -> None:
        if update.snapshot:
            if anew and track.whole and track.gap is None:
                track.gap = self._note_gap(track.instrument.id, track.chunk.last, "the book was fetched anew")
            self._write_book(track, update, SNAPSHOT, now)
            return
        if track.whole and update.seq == track.seq + 1:
            self._write_book(track, update, CHANGE, now)
            if now - track.anchored >= ANCHOR_NS:
                self._anchor(track, now)
            return
        if track.whole and update.seq <= track.seq:
            return
        # Something of the book is missing here. The hub knows whether it is whole where it is kept.
        market = self._hub.markets.get(track.instrument.id)
        if market is None or market.broken or market.book.seq < 0:
            self._lose(track, now, "the book has a gap", 0)
            return
        if track.gap is None and track.seq >= 0:
            track.gap = self._note_gap(track.instrument.id, track.chunk.last, "updates of the book were missed")
        self._write_book(track, market.book.to_snapshot(), SNAPSHOT, now)

    def _write_book(self, track: _Track, update: BookUpdate, kind: int, now: int) -> None:
        track.chunk.add_book(self._count(), now, update, kind)
        track.seq, track.whole = update.seq, True
        if kind == SNAPSHOT:
            track.anchored = now
            if track.gap is not None:
                track.gap.end, track.gap = now, None
                self._dirty = True

    def _anchor(self, track: _Track, now: int) -> None:
        market = self._hub.markets.get(track.instrument.id)
        if market is not None and market.book.seq == track.seq:
            track.chunk.add_book(self._count(), now, market.book.to_snapshot(), ANCHOR)
            track.anchored = now

    def _count(self) -> int:
        self.events += 1
        return self.events

    # --- gaps --------------------------------------------------------------------------------------------------------

    def _lose(self, track: _Track, now: int, reason: str, events: int) -> None:
        """From now on something is missing, until a whole book is written again."""
        track.whole = False
        if track.gap is None:
            track.gap = self._note_gap(track.instrument.id, min(track.chunk.last, now), reason)
        track.gap.events += events

    def _note_gap(self, instrument: InstrumentId, start: int, reason: str) -> SessionGap:
        assert self.session is not None
        gap = SessionGap(instrument=instrument, start=start, reason=reason)
        self._dirty = True
        if len(self.session.gaps) < MOST_GAPS:
            self.session.gaps.append(gap)
        else:
            self.session.more_gaps += 1
        return gap

    # --- handing over ------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Hand over what has waited long enough, hear of the writer, and keep the manifest; about once a second."""
        writer, now = self._writer, self._clock.now()
        if writer is None:
            return
        while writer.lost:
            self._lost(*writer.lost.popleft())
        self._hear_of_room(writer, now)
        for track in self._tracks.values():
            if now - track.chunk.begun >= self.settings.chunk_ns:
                self._hand_over(track, now)
        self._tell(writer)

    def _tell(self, writer: RecordingWriter) -> None:
        if self._dirty and self.session is not None:
            self._dirty = False
            writer.tell(msgspec.json.encode(self.session))

    def _hear_of_room(self, writer: RecordingWriter, now: int) -> None:
        if writer.stopped and not self._stopped:
            self._stopped = writer.stopped
            log.warning("recording stops", problem=self._stopped)
            self._report(StorageError(f"{self._stopped} Recording has stopped; trading goes on.", error_code="full"))
            for track in self._tracks.values():
                gone, track.chunk = track.chunk, Chunk(now)
                self.dropped += gone.events
                self._lose(track, gone.begun, "there was no room on the disk", gone.events)
        elif self._stopped and not writer.stopped:
            log.info("recording goes on")
            self._stopped = ""
        if self._stopped and now - self._tried >= RETRY_NS:
            self._tried = now
            writer.look()

    def _lost(self, instrument: InstrumentId, events: int, start: int, end: int, reason: str) -> None:
        """A chunk that was handed over did not come to the disk; the next one goes on from it."""
        self.dropped += events
        gap = self._note_gap(instrument, start, reason)
        gap.end, gap.events = end, events
        track = self._tracks.get(instrument)
        if track is not None:
            track.whole = False
            if track.gap is None:
                # What follows up to the next whole book cannot be used either.
                track.gap = gap
                gap.end = None

    def _hand_over(self, track: _Track, now: int) -> None:
        chunk, track.chunk = track.chunk, Chunk(now)
        assert self.session is not None
        self._last_heard[track.instrument.id] = now
        if not chunk.events or self._writer is None:
            return
        entry = self.session.instruments[track.instrument.id]
        number = self._parts[track.instrument.id] = self._parts.get(track.instrument.id, 0) + 1
        if not self._writer.offer(entry.folder, number, chunk, track.instrument):
            self.dropped += chunk.events
            track.chunk.last = chunk.begun
            self._lose(track, chunk.begun, "the disk was too slow", chunk.events)

    async def close(self) -> None:
        """Write what is in memory and end the session."""
        writer, session, now = self._writer, self.session, self._clock.now()
        if writer is None or session is None:
            return
        for track in self._tracks.values():
            self._hand_over(track, now)
        self._tracks.clear()
        # A session of which nothing came to the disk says so by its gaps.
        session.end = now
        await asyncio.to_thread(writer.close, lambda: self._last_words(writer))
        self._writer = None
        log.info("recording ends", session=session.id, events=self.events, dropped=self.dropped)

    def _last_words(self, writer: RecordingWriter) -> bytes:
        assert self.session is not None
        while writer.lost:
            self._lost(*writer.lost.popleft())
        return msgspec.json.encode(self.session)


def session_id(now: int) -> str:
    """Name of a session that begins now; names sort by time."""
    begun = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now // 1000)
    return f"{begun:%Y%m%dT%H%M%S}.{now // 1_000_000 % 1000:03d}Z"


def _from(rules: InstrumentRules, valid_from: int) -> InstrumentRules:
    return msgspec.structs.replace(rules, valid_from=valid_from)


def _settings_of(bot: SessionBot) -> bytes:
    return msgspec.json.encode(msgspec.structs.replace(bot, since=0))

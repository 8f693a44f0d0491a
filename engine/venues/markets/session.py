"""A recorded session as a recording: what a replay plays, and candles of it for backtests."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

import msgspec

from engine.errors import DataValidationError
from engine.model.candle import Candle
from engine.model.candle_builder import CandleBuilder
from engine.model.ids import VenueId, instrument_id
from engine.model.market import BookUpdate, FeedStatus, MarketTrade
from storage.recordings.chunk import ANCHOR
from storage.recordings.manifest import read_manifest
from storage.recordings.parts import read_part
from storage.recordings.shelf import parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketDatum
    from storage.recordings.manifest import Manifest, SessionInstrument
    from storage.recordings.parts import Row

__all__ = ["SessionRecording"]


class SessionRecording:
    """One session of the recorder (`engine.venues.markets.recording.Recording`), read part by part.

    Events are given in the order in which they were heard, stamped with the venue's time. A book is given from the
    first whole one on; after a gap, from the next whole one on. Candles are not among the events, because whoever
    plays them builds its own of the trades.

    Args:
        folder: The session's folder.
        venue: Venue part of the instruments' ids; None for the venues that were recorded.

    Raises:
        DataError: It is no session, or its files cannot be read.
        DataValidationError: Nothing was recorded in it, or two of its markets would have the same id.
    """

    def __init__(self, folder: Path, venue: str | None = None) -> None:
        self.manifest: Manifest = read_manifest(folder)
        self.name = f"recording {self.manifest.id}"
        self._folder = folder
        self._markets = _as_of(self.manifest, venue)
        first = next(self.events(), None)
        if first is None:
            raise DataValidationError(f"Nothing was written in the recording {self.manifest.id}.")
        self.start_time = first.ts
        """UTC nanoseconds of the first event."""

    @property
    def timeframe(self) -> str | None:
        """None: events are played one by one, whatever bars they make."""
        return None

    def instruments(self) -> tuple[Instrument, ...]:
        """What was recorded."""
        return tuple(entry.instrument for entry in self._markets.values())

    def rows(self, instrument: InstrumentId) -> Iterator[Row]:
        """Everything of one market that can be used, in order: number, time of receipt, event, kind."""
        folder = self._folder / self._markets[instrument].folder
        seq: int | None = None
        for part in parts_of(folder):
            for row in read_part(part, instrument):
                event = row[2]
                if isinstance(event, BookUpdate):
                    if row[3] == ANCHOR and seq == event.seq:
                        continue
                    if not event.snapshot and event.seq - 1 != seq:
                        # Something before it is missing, and only a whole book can be believed.
                        seq = None
                        continue
                    seq = event.seq
                yield row

    def events(self) -> Iterator[MarketDatum]:
        """All events in the order in which they were heard; candles are left out."""
        merged = heapq.merge(*(self.rows(key) for key in self._markets), key=lambda row: row[0])
        for row in merged:
            if not isinstance(row[2], Candle):
                yield row[2]

    def candles(self, instrument: InstrumentId, start: int, end: int) -> list[Candle]:
        """None: see `bars`."""
        return []

    def bars(self, instrument: InstrumentId, timeframe: str) -> list[Candle]:
        """Closed candles of a recorded market: the venue's own where they were heard, else those of its trades.

        A bar is built of trades only if the recording heard all of it: the first one, the last one, and those in which
        the feed was interrupted or something is missing are left out.

        Raises:
            ValidationError: The timeframe is unknown.
        """
        entry = self._markets[instrument]
        own: dict[int, Candle] = {}
        built: dict[int, Candle] = {}
        builder = CandleBuilder(entry.instrument, timeframe)
        for row in self.rows(instrument):
            event = row[2]
            if isinstance(event, Candle):
                if event.closed and event.timeframe == timeframe:
                    own[event.ts] = event
            elif isinstance(event, MarketTrade):
                built.update((candle.ts, candle) for candle in builder.on_trade(event))
            elif not isinstance(event, FeedStatus):
                built.update((candle.ts, candle) for candle in builder.roll(event.ts))
        whole = self._whole(entry, built, builder.length)
        return sorted({**whole, **own}.values(), key=lambda candle: candle.ts)

    def _whole(self, entry: SessionInstrument, built: dict[int, Candle], length: int) -> dict[int, Candle]:
        gaps = [gap for gap in self.manifest.gaps if self.manifest.instruments[gap.instrument].folder == entry.folder]
        # Parts that made place for newer ones are missing at the beginning, and tell it by their times.
        heard = next((row[1] for row in self.rows(entry.instrument.id)), entry.since)
        since = max(entry.since, heard)

        def missing(candle: Candle) -> bool:
            if candle.ts < since:
                return True
            end = candle.ts + length
            return any(gap.start < end and (gap.end is None or gap.end > candle.ts) for gap in gaps)

        return {ts: candle for ts, candle in built.items() if candle.closed and not missing(candle)}


def _as_of(manifest: Manifest, venue: str | None) -> dict[InstrumentId, SessionInstrument]:
    """The recorded markets by the ids that they shall have."""
    if venue is None:
        return dict(manifest.instruments)
    found: dict[InstrumentId, SessionInstrument] = {}
    for entry in manifest.instruments.values():
        known = entry.instrument
        key = instrument_id(VenueId(venue), known.symbol)
        if key in found:
            raise DataValidationError(
                f"The recording {manifest.id} has {known.symbol} of two venues, which cannot be played as one market; "
                "record one of them, or make candles of it."
            )
        renamed = msgspec.structs.replace(known, id=key, venue=VenueId(venue))
        found[key] = msgspec.structs.replace(entry, instrument=renamed)
    return found

"""Keeps the recorder at work in an engine: which markets it follows, for which bots, and how it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.bots.config import BotConfig
from engine.errors import DataError, NotFoundError, QuarterdeckError
from engine.logs import get_logger
from engine.market.recorder import Recorder
from engine.market.recording_writer import RecordingWriter
from engine.model.entries import BotState
from engine.model.ids import SIMULATED, InstrumentId, symbol_of, venue_of
from storage.recordings.manifest import SessionBot
from storage.recordings.shelf import Shelf

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine
    from engine.errors import StorageError
    from engine.model.entries import BotEntry
    from engine.model.ids import Owner
    from engine.model.instrument import Instrument
    from engine.strategy.loader import StrategyRegistry
    from storage.candle_sets import CandleSet
    from storage.candles import Merged
    from storage.recordings.manifest import Manifest

__all__ = ["RecordingKeeper", "recordings_folder", "store_candles"]

log = get_logger(__name__)

LOOK_S = 1.0
"""How often it is looked what is to be recorded."""
_AT_REST = frozenset({BotState.STOPPED, BotState.ERROR})


def recordings_folder(home: Path) -> Path:
    """Where the recordings of a home folder are."""
    return home / "recordings"


def store_candles(
    home: Path, session: str, instrument: str, timeframe: str, *, replace: bool = False
) -> tuple[CandleSet, Merged, int]:
    """Put the candles of a recorded market into the candle store; blocks.

    Args:
        home: Home folder.
        session: Id of the recording.
        instrument: The market.
        timeframe: Length of a bar.
        replace: Let them take the place of stored bars with other values.

    Returns:
        The set, what became of the bars, and how many there were.

    Raises:
        NotFoundError: There is no such recording, or it does not have that market.
        DataError: Its files cannot be read, it holds no whole bar, or stored bars differ.
    """
    import numpy as np

    from engine.model.candle import Bars
    from engine.venues.markets.session import SessionRecording
    from storage.candle_files import COLUMNS
    from storage.candle_sets import CandleSet
    from storage.candles import CandleStore

    recording = SessionRecording(Shelf(recordings_folder(home)).path(session))
    key = InstrumentId(instrument)
    if key not in recording.manifest.instruments:
        known = ", ".join(recording.manifest.instruments)
        raise NotFoundError(f"The recording {session} has no market {instrument}; it has {known}.")
    candles = recording.bars(key, timeframe)
    if not candles:
        raise DataError(f"The recording {session} holds no whole bar of {timeframe} of {instrument}.")
    columns = [np.array([getattr(candle, name) for candle in candles]) for name in COLUMNS]
    stored = CandleSet.of(venue_of(key), symbol_of(key), timeframe)
    bars = Bars(timeframe, columns[0].astype(np.int64), *(column.astype(np.float64) for column in columns[1:]))
    return stored, CandleStore(home / "candles").merge(stored, bars, replace=replace), len(bars)


class RecordingKeeper:
    """The recorder of one engine. Built before the engine starts; `run` is a task of whoever holds the engine.

    Args:
        engine: Whose markets are recorded.
        registry: Tells a strategy's version and hash.
        home: Home folder.
    """

    def __init__(self, engine: Engine, registry: StrategyRegistry, home: Path) -> None:
        self.settings = engine.settings.recorder
        self.recorder = Recorder(
            engine.hub, self._writer, self.settings, engine.clock, engine.release, report=self._report
        )
        self.shelf = Shelf(recordings_folder(home))
        self._engine = engine
        self._registry = registry
        self._bots: dict[tuple[Owner, bytes], SessionBot] = {}
        if self.settings.what != "off":
            engine.recorder = self.recorder

    def _writer(self, session: Manifest) -> RecordingWriter:
        writer = RecordingWriter(self.shelf, session.id, self.settings, self._engine.clock)
        writer.start()
        return writer

    def _report(self, error: StorageError) -> None:
        self._engine.errors.report(error, component="recorder", operation="write")

    async def run(self) -> None:
        """Look after the recorder until it is cancelled."""
        if self.settings.what == "off":
            return
        while True:
            try:
                self.look()
            except Exception as error:  # the recorder may fail; whoever trades must not notice
                log.exception("the recorder could not be looked after")
                self._engine.errors.report(error, component="recorder", operation="look")
            await self._engine.clock.sleep(LOOK_S)

    def look(self) -> None:
        """Follow what is to be recorded now, and hand over what has waited long enough."""
        wanted, bots = self._wanted()
        self.recorder.follow(wanted)
        self.recorder.name_bots(bots)
        self.recorder.tick()

    async def close(self) -> None:
        """End the session."""
        await self.recorder.close()

    def _wanted(self) -> tuple[dict[InstrumentId, Instrument], list[SessionBot]]:
        engine = self._engine
        bots = [self._described(entry) for entry in engine.state.bots.values() if entry.state not in _AT_REST]
        at_work = [bot for bot in bots if bot is not None]
        chosen = [bot.instrument for bot in at_work] if self.settings.what == "bots" else list(engine.hub.markets)
        found = {}
        for key in dict.fromkeys(chosen):
            market = engine.hub.markets.get(key)
            if market is not None and (self.settings.simulated or venue_of(key) != SIMULATED):
                # The state has the rules of today, the market those it began with.
                found[key] = engine.state.instruments.get(key, market.instrument)
        return found, [bot for bot in at_work if bot.instrument in found]

    def _described(self, entry: BotEntry) -> SessionBot | None:
        key = (entry.id, entry.config)
        known = self._bots.get(key)
        if known is not None:
            return known
        try:
            config = BotConfig.decode(entry.config)
        except QuarterdeckError:
            return None
        version = source_hash = ""
        try:
            loaded = self._registry.get(config.strategy)
            version, source_hash = loaded.version, loaded.source_hash
            params = loaded.build(config.params).params.model_dump(mode="json")
        except QuarterdeckError:
            params = dict(config.params)
        found = self._bots[key] = SessionBot(
            id=entry.id,
            name=entry.name,
            strategy=config.strategy,
            version=version,
            source_hash=source_hash,
            params={name: value for name, value in params.items() if value is not None},
            instrument=InstrumentId(config.instrument),
            timeframe=config.timeframe,
            account=config.account or str(self._engine.bots.account_of(entry) or ""),
            capital=str(entry.capital),
            since=self._engine.clock.now(),
        )
        return found

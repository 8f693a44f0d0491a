"""Operations on recordings of market data."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine.control.recording import recordings_folder
from engine.control.registry import Role, Tier, operation
from engine.control.requests import Empty
from engine.control.requests_recordings import RecordedCandles, RecordingId
from engine.control.views_recordings import RecordedMarket, RecordingRow
from engine.control.worker import settings_for_worker
from engine.errors import DataError
from engine.logs import get_logger
from engine.model.candle import timeframe_ns
from storage.recordings.shelf import Shelf

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import JobRow

log = get_logger(__name__)


@operation("recordings.list", Empty, offline=True)
async def list_recordings(context: Context, _: Empty) -> list[RecordingRow]:
    """All recorded sessions, the newest first."""
    return await asyncio.to_thread(_rows, Shelf(recordings_folder(context.home)))


@operation("recordings.delete", RecordingId, Role.TRADER, mutates=True, tier=Tier.CONFIRM, offline=True)
async def delete(context: Context, request: RecordingId) -> str:
    """Remove a recorded session that has ended; candles and backtests made of it stay."""
    size = await asyncio.to_thread(Shelf(recordings_folder(context.home)).remove, request.id)
    return f"The recording {request.id} is deleted; it took {size / 1e6:,.1f} MB."


@operation("recordings.candles", RecordedCandles, Role.TRADER, mutates=True, offline=True)
async def candles(context: Context, request: RecordedCandles) -> JobRow:
    """Store the candles of a recorded market for backtests: the venue's own, else whole bars of its trades; a job."""
    timeframe_ns(request.timeframe)
    await asyncio.to_thread(Shelf(recordings_folder(context.home)).path, request.id)
    task = {**request.model_dump(mode="json"), **settings_for_worker(context.settings)}
    return context.need_jobs().start("recording", f"{request.instrument} {request.timeframe} of {request.id}", task)


def _rows(shelf: Shelf) -> list[RecordingRow]:
    rows = []
    for session in reversed(shelf.ids()):
        try:
            rows.append(_row(shelf, session))
        except (DataError, FileNotFoundError) as error:
            # One that is damaged, or just being removed, hides no other.
            log.warning("a recording cannot be listed", session=session, problem=str(error))
    return rows


def _row(shelf: Shelf, session: str) -> RecordingRow:
    manifest, held = shelf.manifest(session), shelf.measured(session)
    markets = []
    for key, entry in manifest.instruments.items():
        size = sum(piece.bytes for piece in held.pieces if piece.path.startswith(f"{entry.folder}/"))
        gaps = sum(gap.instrument == key for gap in manifest.gaps)
        markets.append(RecordedMarket(instrument=key, gaps=gaps, bytes=size))
    running = manifest.end is None and shelf.recorded_now(session)
    return RecordingRow(
        id=session,
        start=held.start if held.pieces else manifest.start,
        end=manifest.end or max(held.last, manifest.start),
        state="running" if running else "cut off" if manifest.end is None else "complete",
        markets=tuple(markets),
        bots=tuple(f"{bot.name}: {bot.strategy}@{bot.version}" for bot in manifest.bots),
        gaps=len(manifest.gaps) + manifest.more_gaps,
        bytes=held.bytes,
        release=manifest.release,
        folder=str(shelf.folder / session),
    )

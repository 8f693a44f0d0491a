"""Operations on stored candles."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from engine.control.downloads import venue_for
from engine.control.registry import Role, Tier, operation
from engine.control.requests import Empty
from engine.control.requests_recordings import DownloadCandles
from engine.control.requests_research import CandleSetName, ExportCandles, ImportCandles
from engine.control.views import DatasetRow
from engine.control.worker import settings_for_worker
from engine.errors import ValidationError
from storage.candle_export import export_candles
from storage.candle_sets import CandleSet

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import JobRow
    from storage.candle_sets import StoredSet


def local_path(written: str) -> Path:
    """The file that a person named, as a whole path."""
    return Path(written).expanduser().absolute()


def dataset_row(stored: StoredSet) -> DatasetRow:
    """A stored set as a row."""
    return DatasetRow(
        venue=stored.key.venue,
        symbol=stored.key.symbol,
        timeframe=stored.key.timeframe,
        rows=stored.rows,
        start=stored.start,
        end=stored.end,
        gaps=stored.gaps,
        missing=stored.missing,
        bytes=stored.bytes,
    )


@operation("data.list", Empty, offline=True)
async def list_data(context: Context, _: Empty) -> list[DatasetRow]:
    """Everything stored, by venue, symbol and length of the bar; times are the open of the first bar and the end."""
    return [dataset_row(stored) for stored in await asyncio.to_thread(context.candles.all)]


@operation("data.import", ImportCandles, Role.TRADER, mutates=True, offline=True)
async def import_data(context: Context, request: ImportCandles) -> JobRow:
    """Check the candles of a Parquet or CSV file and store them; a job, whose report tells what was found."""
    key = CandleSet.of(request.venue, request.symbol, request.timeframe)
    file = local_path(request.file)
    if not await asyncio.to_thread(file.is_file):
        raise ValidationError(f"There is no file {file}; check the path.")
    task = {
        "file": str(file),
        "venue": str(key.venue),
        "symbol": key.symbol,
        "timeframe": key.timeframe,
        "replace": request.replace,
        **settings_for_worker(context.settings),
    }
    return context.need_jobs().start("import", f"{file.name} as {key.words}", task)


@operation("data.download", DownloadCandles, Role.TRADER, mutates=True, offline=True)
async def download_data(context: Context, request: DownloadCandles) -> JobRow:
    """Fetch an exchange's candles that are not stored yet, holes included; a job that goes on where it was stopped."""
    key = CandleSet.of(request.venue, request.symbol, request.timeframe)
    # It may have to load ccxt to know the name.
    await asyncio.to_thread(venue_for, context.settings, key.venue)
    if request.start is None and key not in await asyncio.to_thread(context.candles.sets):
        raise ValidationError(f"No candles of {key.words} are stored yet; say from when on they are wanted (--from).")
    task = {
        "venue": str(key.venue),
        "symbol": key.symbol,
        "timeframe": key.timeframe,
        "start": request.start,
        "end": request.end,
        **settings_for_worker(context.settings),
    }
    return context.need_jobs().start("download", key.words, task)


@operation("data.export", ExportCandles, Role.TRADER, offline=True)
async def export_data(context: Context, request: ExportCandles) -> str:
    """Write stored candles to a .csv, .csv.gz or .parquet file."""
    key = CandleSet.of(request.venue, request.symbol, request.timeframe)
    file = local_path(request.file)

    def write() -> int:
        return export_candles(
            context.candles, key, file, start=request.start, end=request.end, replace=request.overwrite
        )

    count = await asyncio.to_thread(write)
    return f"{count:,} bars of {key.words} are in {file}."


@operation("data.delete", CandleSetName, Role.TRADER, mutates=True, tier=Tier.CONFIRM, offline=True)
async def delete_data(context: Context, request: CandleSetName) -> str:
    """Remove the stored candles of one market and timeframe."""
    key = CandleSet.of(request.venue, request.symbol, request.timeframe)
    await asyncio.to_thread(context.candles.delete, key)
    return f"The candles of {key.words} are deleted."

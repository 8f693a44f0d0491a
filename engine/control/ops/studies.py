"""Operations on studies: sweeps, optimisation and walk-forward analysis in processes of their own; kept with tables."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.control.backtesting import check_range
from engine.control.ops.data import local_path
from engine.control.registry import Role, Tier, operation
from engine.control.requests_search import (
    ExportStudy,
    ListStudies,
    OptimiseBacktest,
    ShowStudy,
    StudyId,
    SweepBacktest,
    WalkForwardBacktest,
)
from engine.control.worker import settings_for_worker
from engine.errors import ConflictError, DataError, ValidationError
from engine.strategy.beside import find_beside
from storage.candle_sets import CandleSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.backtest.search.spec import StudySpec
    from engine.config import Settings
    from engine.control.context import Context
    from engine.control.views import JobRow
    from engine.control.views_search import StudyRow, StudyView
    from engine.strategy.loader import LoadedStrategy
    from storage.database import Database
    from storage.tables import BacktestStudyRow

    Asked = SweepBacktest | OptimiseBacktest | WalkForwardBacktest
    Make = Callable[[Any, LoadedStrategy, Settings], StudySpec]

# What searches and stores brings numbers and SQL with it: it is imported in a thread, when first needed.

TITLES = {"sweep": "sweep of", "optimise": "optimising", "walk_forward": "walk-forward of"}


async def _start(context: Context, kind: str, request: Asked) -> JobRow:
    found = await find_beside(context.strategies, request.strategy, request.strategy_file)
    spec: StudySpec = await asyncio.to_thread(_make, kind, request, found, context.settings)
    key = CandleSet.of(spec.run.venue, spec.run.symbol, spec.run.timeframe)
    check_range(spec.run, await asyncio.to_thread(context.candles.get, key))
    task = {"study": spec.model_dump(mode="json"), **settings_for_worker(context.settings)}
    context.need_reports().warm_up()
    return context.need_jobs().start(kind, f"{TITLES[kind]} {spec.run.strategy} {key.words}", task)


def _make(kind: str, request: Asked, found: LoadedStrategy, settings: Settings) -> StudySpec:
    from engine.control import studies

    make: Make = getattr(studies, f"make_{kind}")
    return make(request, found, settings)


@operation("backtests.sweep", SweepBacktest, Role.TRADER, mutates=True, offline=True)
async def sweep(context: Context, request: SweepBacktest) -> JobRow:
    """Check a sweep over a grid of parameters and queue it as a job, whose result is the id of the stored study."""
    return await _start(context, "sweep", request)


@operation("backtests.optimise", OptimiseBacktest, Role.TRADER, mutates=True, offline=True)
async def optimise(context: Context, request: OptimiseBacktest) -> JobRow:
    """Check a search with Optuna and queue it as a job, whose result is the id of the stored study."""
    return await _start(context, "optimise", request)


@operation("backtests.walk_forward", WalkForwardBacktest, Role.TRADER, mutates=True, offline=True)
async def walk_forward(context: Context, request: WalkForwardBacktest) -> JobRow:
    """Check a walk-forward analysis and queue it as a job, whose result is the id of the stored study."""
    return await _start(context, "walk_forward", request)


@operation("backtests.studies", ListStudies, offline=True)
async def studies(context: Context, request: ListStudies) -> list[StudyRow]:
    """Stored studies, the newest first."""

    async def work(database: Database) -> list[StudyRow]:
        from engine.control.study_store import list_studies

        return await list_studies(database, request.strategy, request.kind, request.limit)

    return await context.need_reports().run(work)


@operation("backtests.study", ShowStudy, offline=True)
async def study(context: Context, request: ShowStudy) -> StudyView:
    """A stored study: its best sets, the most stable region, a heat map of two parameters, what was left out."""

    async def work(database: Database) -> StudyView:
        from engine.control.study_store import load_study, study_view

        return study_view(await load_study(database, request.id), request)

    return await context.need_reports().run(work)


@operation("backtests.delete_study", StudyId, Role.TRADER, mutates=True, tier=Tier.CONFIRM, offline=True)
async def delete_study(context: Context, request: StudyId) -> str:
    """Remove a stored study."""

    async def work(database: Database) -> StudyRow:
        from engine.control import study_store

        return await study_store.delete_study(database, request.id)

    row = await context.need_reports().run(work)
    return f"The study {row.id} of {row.strategy} is deleted."


@operation("backtests.export_study", ExportStudy, Role.TRADER, offline=True)
async def export_study(context: Context, request: ExportStudy) -> str:
    """Write a stored study to a .json file, or its table to a .csv or .parquet file."""
    file = local_path(request.file)
    kind = file.suffix.lower()
    if kind not in (".json", ".csv", ".parquet"):
        raise ValidationError(f"The name {file.name!r} must end in .json (everything), .csv or .parquet (the table).")

    async def work(database: Database) -> BacktestStudyRow:
        from engine.control.study_store import load_study

        return await load_study(database, request.id)

    found = await context.need_reports().run(work)
    await asyncio.to_thread(_write, file, found, overwrite=request.overwrite)
    return f"The study {found.id} is in {file}."


def _write(file: Path, found: BacktestStudyRow, *, overwrite: bool) -> None:
    from engine.control.study_store import study_json, study_table

    if file.suffix.lower() == ".json":
        import json

        data = (json.dumps(study_json(found), indent=2, ensure_ascii=False) + "\n").encode()
    elif file.suffix.lower() == ".csv":
        data = _csv(study_table(found)).encode()
    else:
        data = _parquet(study_table(found))
    try:
        with file.open("wb" if overwrite else "xb") as out:
            out.write(data)
    except FileExistsError:
        raise ConflictError(f"The file {file} exists; choose another name, or let it be overwritten.") from None
    except OSError as error:
        raise DataError(f"The file {file} cannot be written: {error.strerror}. Check the folder.") from error


def _csv(columns: dict[str, list[Any]]) -> str:
    import csv
    import io

    sink = io.StringIO()
    out = csv.writer(sink, lineterminator="\n")
    out.writerow(columns)
    out.writerows(zip(*columns.values(), strict=True))
    return sink.getvalue()


def _parquet(columns: dict[str, list[Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data

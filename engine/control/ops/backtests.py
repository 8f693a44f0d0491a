"""Operations on backtests: run on stored candles in a process of their own, kept with trades and equity."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.control.backtesting import check_range, make_spec
from engine.control.markets_run import make_markets_spec
from engine.control.ops.data import dataset_row, local_path
from engine.control.registry import Role, Tier, operation
from engine.control.requests import Empty
from engine.control.requests_markets import RunMarkets
from engine.control.requests_research import BacktestId, ExportBacktest, ListBacktests, RunBacktest
from engine.control.worker import settings_for_worker
from engine.errors import ConflictError, DataError, ValidationError
from engine.strategy.beside import find_beside
from storage.candle_sets import CandleSet

if TYPE_CHECKING:
    from pathlib import Path

    from engine.control.context import Context
    from engine.control.views import BacktestRow, BacktestView, DatasetRow, JobRow
    from storage.database import Database

# The store of backtests brings the SQL layer with it: it is imported in the thread of the reports, when first needed.


@operation("backtests.run", RunBacktest, Role.TRADER, mutates=True, offline=True)
async def run(context: Context, request: RunBacktest) -> JobRow:
    """Check a backtest and queue it as a job, whose result is the id of the stored run."""
    found = await find_beside(context.strategies, request.strategy, request.strategy_file)
    spec = make_spec(request, found, context.settings.risk)
    key = CandleSet.of(spec.venue, spec.symbol, spec.timeframe)
    check_range(spec, await asyncio.to_thread(context.candles.get, key))
    task = {"spec": spec.model_dump(mode="json"), **settings_for_worker(context.settings)}
    # Whoever runs one looks at it next.
    context.need_reports().warm_up()
    return context.need_jobs().start("backtest", f"{spec.strategy} {key.words}", task)


@operation("backtests.run_markets", RunMarkets, Role.TRADER, mutates=True, offline=True)
async def run_markets(context: Context, request: RunMarkets) -> JobRow:
    """Check a backtest over several markets and queue it as a job, whose result is the id of the stored run."""
    found = await find_beside(context.strategies, request.strategy, request.strategy_file)
    spec = make_markets_spec(request, found, context.settings.risk, context.home)
    for source in spec.markets:
        if not (source.quotes or source.recording):
            key = CandleSet.of(source.venue, source.symbol, source.timeframe or spec.timeframe)
            check_range(spec, await asyncio.to_thread(context.candles.get, key))
    task = {"spec": spec.model_dump(mode="json"), **settings_for_worker(context.settings)}
    context.need_reports().warm_up()
    where = ", ".join(source.text for source in spec.markets[:3]) + (" …" if len(spec.markets) > 3 else "")
    return context.need_jobs().start("markets", f"{spec.strategy} {where}", task)


@operation("backtests.list", ListBacktests, offline=True)
async def list_backtests(context: Context, request: ListBacktests) -> list[BacktestRow]:
    """Stored backtests, the newest first."""

    async def work(database: Database) -> list[BacktestRow]:
        from engine.control.backtest_store import list_runs

        return await list_runs(database, request.strategy, request.limit)

    return await context.need_reports().run(work)


@operation("backtests.get", BacktestId, offline=True)
async def get(context: Context, request: BacktestId) -> BacktestView:
    """A stored backtest with its metrics, assumptions, equity and trades."""

    async def work(database: Database) -> BacktestView:
        from engine.control.backtest_store import load_run

        return await load_run(database, request.id)

    return await context.need_reports().run(work)


@operation("backtests.report", BacktestId, offline=True)
async def report(context: Context, request: BacktestId) -> dict[str, Any]:
    """A stored backtest as one object of plain values: hash, assumptions, metrics, trades; times are ISO 8601."""

    async def work(database: Database) -> dict[str, Any]:
        from engine.control.backtest_store import load_run, run_json

        return run_json(await load_run(database, request.id))

    return await context.need_reports().run(work)


@operation("backtests.delete", BacktestId, Role.TRADER, mutates=True, tier=Tier.CONFIRM, offline=True)
async def delete(context: Context, request: BacktestId) -> str:
    """Remove a stored backtest with its trades and equity."""

    async def work(database: Database) -> BacktestRow:
        from engine.control.backtest_store import delete_run

        return await delete_run(database, request.id)

    row = await context.need_reports().run(work)
    return f"The backtest {row.id} of {row.strategy} is deleted."


@operation("backtests.export", ExportBacktest, Role.TRADER, offline=True)
async def export(context: Context, request: ExportBacktest) -> str:
    """Write a stored backtest to a .json file, or its trades to a .csv file."""
    file = local_path(request.file)
    if file.suffix.lower() not in (".json", ".csv"):
        raise ValidationError(f"The name {file.name!r} must end in .json (everything) or .csv (the trades).")

    async def work(database: Database) -> dict[str, Any]:
        from engine.control.backtest_store import load_run, run_json

        return run_json(await load_run(database, request.id))

    found = await context.need_reports().run(work)
    await asyncio.to_thread(_write, file, found, overwrite=request.overwrite)
    return f"The backtest {found['id']} is in {file}."


def _write(file: Path, found: dict[str, Any], *, overwrite: bool) -> None:
    import csv
    import io
    import json

    if file.suffix.lower() == ".json":
        text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    else:
        names = ("entry_time", "exit_time", "side", "entry_price", "exit_price", "quantity", "fees", "pnl", "reason")
        sink = io.StringIO()
        table = csv.DictWriter(sink, names, lineterminator="\n")
        table.writeheader()
        table.writerows(found["trades"])
        text = sink.getvalue()
    try:
        with file.open("w" if overwrite else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise ConflictError(f"The file {file} exists; choose another name, or let it be overwritten.") from None
    except OSError as error:
        raise DataError(f"The file {file} cannot be written: {error.strerror}. Check the folder.") from error


@operation("backtests.data", Empty, offline=True)
async def data(context: Context, _: Empty) -> list[DatasetRow]:
    """Stored candles that a backtest can run on; the same as data.list."""
    return [dataset_row(stored) for stored in await asyncio.to_thread(context.candles.all)]

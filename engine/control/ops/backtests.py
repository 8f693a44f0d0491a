"""Operations on backtests: run on stored candles in a process of their own, kept with trades and equity."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.control.backtesting import check_range, make_spec
from engine.control.markets_run import make_markets_spec
from engine.control.ops.data import dataset_row, local_path
from engine.control.quote_sweep import RULE, grid_of
from engine.control.registry import Role, Tier, operation
from engine.control.requests import Empty
from engine.control.requests_markets import RunMarkets, SweepQuotes
from engine.control.requests_research import BacktestId, ExportBacktest, ListBacktests, RunBacktest
from engine.control.worker import settings_for_worker
from engine.errors import DataError
from engine.strategy.beside import find_beside
from storage.candle_sets import CandleSet

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.views import BacktestRow, BacktestView, DatasetRow, JobRow
    from storage.database import Database

# The store of backtests brings the SQL layer with it: it is imported in the thread of the reports, when first needed.


@operation("backtests.run", RunBacktest, Role.TRADER, mutates=True, offline=True)
async def run(context: Context, request: RunBacktest) -> JobRow:
    """Check a backtest and queue it as a job, whose result is the id of the stored run."""
    found = await find_beside(context.strategies, request.strategy, request.strategy_file)
    spec = make_spec(request, found, context.settings.risk, context.settings.backtesting)
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


@operation("backtests.sweep_quotes", SweepQuotes, Role.TRADER, mutates=True, offline=True)
async def sweep_quotes(context: Context, request: SweepQuotes) -> JobRow:
    """Try a grid of figures of the quoting rule over a file of quotes as a job; its report has the best rows."""
    count = len(await asyncio.to_thread(grid_of, context.strategies.get(RULE), request.grid))
    key = CandleSet.of(request.venue, request.symbol, "1m")
    file = local_path(request.quotes)
    if not file.is_file():
        raise DataError(f"There is no file {file}; check the path.")
    task = {
        **request.model_dump(mode="json", exclude={"quotes", "venue", "symbol"}),
        "source": {"venue": key.venue.lower(), "symbol": key.symbol, "timeframe": "1m", "quotes": str(file)},
        **settings_for_worker(context.settings),
    }
    return context.need_jobs().start("quotes", f"{RULE} {key.symbol}, {count:,} sets", task)


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
    """Write a stored backtest, or its trades, equity or metrics, to a .json, .csv or .parquet file."""
    from engine.control.backtest_export import check_name, write

    file = local_path(request.file)
    part = check_name(file, request.part)

    async def work(database: Database) -> dict[str, Any]:
        from engine.control.backtest_store import export_tables

        return await export_tables(database, request.id)

    found = await context.need_reports().run(work)
    await asyncio.to_thread(write, file, part, found, overwrite=request.overwrite)
    what = "backtest" if part == "all" else f"{part} of the backtest"
    are = "are" if part in ("trades", "metrics") else "is"
    return f"The {what} {found['whole']['id']} {are} in {file}."


@operation("backtests.data", Empty, offline=True)
async def data(context: Context, _: Empty) -> list[DatasetRow]:
    """Stored candles that a backtest can run on; the same as data.list."""
    return [dataset_row(stored) for stored in await asyncio.to_thread(context.candles.all)]

"""Operations on analyses of backtests: each a job that stores what it finds, with the run where there is one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.control.ops.data import local_path
from engine.control.registry import Role, operation
from engine.control.requests_analyses import (
    AnalysisId,
    CheckStrategy,
    CompareBacktests,
    ListAnalyses,
    Overfitting,
    RunMonteCarlo,
    Significance,
    TearSheet,
)
from engine.control.worker import settings_for_worker
from engine.errors import ConflictError, ValidationError
from engine.strategy.beside import find_beside
from storage.candle_sets import CandleSet

if TYPE_CHECKING:
    from engine.control.context import Context
    from engine.control.requests import Request
    from engine.control.views import JobRow
    from engine.control.views_analyses import AnalysisRow, AnalysisView
    from storage.database import Database


def _begin(context: Context, kind: str, title: str, request: Request, **more: Any) -> JobRow:
    asked = request.model_dump(mode="json") | more
    task = {"analysis": kind, "request": asked, **settings_for_worker(context.settings)}
    # Whoever begins one looks at it next.
    context.need_reports().warm_up()
    return context.need_jobs().start("analysis", title, task)


async def _find(context: Context, *names: str) -> list[str]:
    """The full ids of stored runs, so that a wrong one is refused at once and not by the job."""

    async def work(database: Database) -> list[str]:
        from engine.control.backtest_store import run_ids

        return await run_ids(database, names)

    return await context.need_reports().run(work)


@operation("backtests.montecarlo", RunMonteCarlo, Role.TRADER, mutates=True, offline=True)
async def montecarlo(context: Context, request: RunMonteCarlo) -> JobRow:
    """Draw random paths of a stored run, as a job whose result is the id of the stored analysis."""
    (run,) = await _find(context, request.id)
    return _begin(context, "montecarlo", f"Monte Carlo of {run[:8]}", request, id=run)


@operation("backtests.significance", Significance, Role.TRADER, mutates=True, offline=True)
async def significance(context: Context, request: Significance) -> JobRow:
    """Tell a stored run from chance (deflated Sharpe ratio, random entries), as a job that stores what it finds."""
    (run,) = await _find(context, request.id)
    return _begin(context, "significance", f"Significance of {run[:8]}", request, id=run)


@operation("backtests.overfitting", Overfitting, Role.TRADER, mutates=True, offline=True)
async def overfitting(context: Context, request: Overfitting) -> JobRow:
    """Cross-validate the choice of the best of several stored runs, as a job that stores what it finds."""
    if request.blocks % 2:
        raise ValidationError(f"Time is cut into an even number of blocks, not {request.blocks}.")
    runs = await _find(context, *request.ids)
    return _begin(context, "overfitting", f"Choice among {len(runs)} runs", request, ids=runs)


@operation("backtests.compare", CompareBacktests, Role.TRADER, mutates=True, offline=True)
async def compare(context: Context, request: CompareBacktests) -> JobRow:
    """Put stored runs side by side, with portfolio weights and a recommendation, as a job that stores what it finds."""
    runs = await _find(context, *request.ids)
    return _begin(context, "comparison", f"Comparison of {len(runs)} runs", request, ids=runs)


@operation("backtests.tearsheet", TearSheet, Role.TRADER, mutates=True, offline=True)
async def tearsheet(context: Context, request: TearSheet) -> JobRow:
    """Put everything about a stored run on one sheet, also as an HTML file, as a job that stores what it finds."""
    more: dict[str, Any] = {}
    if request.file is not None:
        file = local_path(request.file)
        if file.suffix.lower() != ".html":
            raise ValidationError(f"The name {file.name!r} must end in .html.")
        if not request.overwrite and await asyncio.to_thread(file.exists):
            raise ConflictError(f"The file {file} exists; choose another name, or let it be overwritten.")
        more["file"] = str(file)
    (run,) = await _find(context, request.id)
    return _begin(context, "tearsheet", f"Tear sheet of {run[:8]}", request, id=run, **more)


@operation("backtests.lookahead", CheckStrategy, Role.TRADER, mutates=True, offline=True)
async def lookahead(context: Context, request: CheckStrategy) -> JobRow:
    """Check on stored candles whether a strategy sees the future, as a job that stores what it finds."""
    return await _check(context, "lookahead", "Look-ahead of", request)


@operation("backtests.recursive", CheckStrategy, Role.TRADER, mutates=True, offline=True)
async def recursive(context: Context, request: CheckStrategy) -> JobRow:
    """Check on stored candles how a strategy depends on the amount of history, as a job that stores what it finds."""
    return await _check(context, "recursive", "Warm-up of", request)


async def _check(context: Context, kind: str, words: str, request: CheckStrategy) -> JobRow:
    """Find strategy and candles, so that what is missing is refused at once and not by the job."""
    found = await find_beside(context.strategies, request.strategy, request.strategy_file)
    found.build(request.params)
    key = CandleSet.of(request.venue, request.symbol, request.timeframe or found.cls.timeframe)
    await asyncio.to_thread(context.candles.get, key)
    file = None if found.origin == "built-in" else str(found.path)
    return _begin(
        context,
        kind,
        f"{words} {found.name}",
        request,
        strategy=found.name,
        strategy_file=file,
        timeframe=key.timeframe,
    )


@operation("backtests.analyses", ListAnalyses, offline=True)
async def analyses(context: Context, request: ListAnalyses) -> list[AnalysisRow]:
    """Stored analyses, the newest first."""

    async def work(database: Database) -> list[AnalysisRow]:
        from engine.control.analysis_store import list_analyses

        return await list_analyses(database, request.id, request.kind, request.limit)

    return await context.need_reports().run(work)


@operation("backtests.analysis", AnalysisId, offline=True)
async def analysis(context: Context, request: AnalysisId) -> AnalysisView:
    """A stored analysis with everything that it found."""

    async def work(database: Database) -> AnalysisView:
        from engine.control.analysis_store import load_analysis

        return await load_analysis(database, request.id)

    return await context.need_reports().run(work)

"""Operations on analyses of backtests: each a job that stores what it finds, with the run where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.control.registry import Role, operation
from engine.control.requests_analyses import AnalysisId, ListAnalyses, RunMonteCarlo
from engine.control.worker import settings_for_worker

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

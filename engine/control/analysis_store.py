"""Stored analyses of backtests in SQL, and the stored runs that they read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import sqlalchemy as sa

from engine.control.backtest_store import find_run
from engine.control.views_analyses import AnalysisRow, AnalysisView
from engine.errors import NotFoundError, ValidationError
from storage import tables
from storage.repositories.query import column_of
from storage.repositories.repository import Repository

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.database import Database

__all__ = ["StoredRun", "list_analyses", "load_analysis", "load_runs", "plain_values", "save_analysis", "sharpe_ratios"]

_SHORTEST = 4
_TITLE = 128
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """What is known of a stored run without running it again."""

    id: str
    hash: str
    strategy: str
    params: dict[str, Any]
    spec: dict[str, Any]
    assumptions: dict[str, Any]
    metrics: dict[str, Any]
    ts: list[int]
    equity: list[float]
    benchmark: list[float]
    trades: list[tables.BacktestTradeRow]

    @property
    def market(self) -> str:
        """Where it traded, in words."""
        return f"{str(self.spec['venue']).upper()}:{self.spec['symbol']} {self.spec['timeframe']}"

    @property
    def title(self) -> str:
        """The run in words."""
        return f"{self.strategy} {self.market} {self.id[:8]}"


async def load_runs(database: Database, names: Sequence[str]) -> list[StoredRun]:
    """Stored runs by their ids or beginnings of them, in that order.

    Raises:
        NotFoundError: One of them is not stored.
        ValidationError: A name is too short, names several runs, or a run is named twice.
    """
    found: list[StoredRun] = []
    async with database.reading() as session:
        for name in names:
            run = await find_run(session, name)
            if str(run.id) in {known.id for known in found}:
                raise ValidationError(f"The backtest {name} is named twice.")
            trades = Repository(session, tables.BacktestTradeRow)
            curve = Repository(session, tables.BacktestEquityRow)
            points = await curve.find(curve.query().equal(run_id=run.id).sorted_by("ts_ns"))
            found.append(
                StoredRun(
                    id=str(run.id),
                    hash=run.run_hash,
                    strategy=run.strategy,
                    params=run.params,
                    spec=run.spec,
                    assumptions=run.assumptions,
                    metrics=run.metrics or {},
                    ts=[point.ts_ns for point in points],
                    equity=[float(point.equity) for point in points],
                    benchmark=[float(point.equity if point.benchmark is None else point.benchmark) for point in points],
                    trades=await trades.find(trades.query().equal(run_id=run.id).sorted_by("number")),
                )
            )
    return found


async def sharpe_ratios(database: Database, run: StoredRun) -> list[float]:
    """Annualised Sharpe ratios of all stored runs of a run's strategy on its market and timeframe, itself included."""
    async with database.reading() as session:
        table = Repository(session, tables.BacktestRunRow)
        known: dict[str, float] = {}
        for row in await table.find(table.query().equal(strategy=run.strategy)):
            same = all(row.spec.get(name) == run.spec.get(name) for name in ("venue", "symbol", "timeframe"))
            ratio = (row.metrics or {}).get("sharpe")
            if same and ratio is not None:
                # The same run stored twice is one trial.
                known[row.run_hash] = float(ratio)
    return list(known.values())


def plain_values(value: Any) -> Any:
    """Plain values for JSON: numbers of numpy become Python's, what is not finite becomes None."""
    if isinstance(value, dict):
        return {str(name): plain_values(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain_values(part) for part in value]
    if hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


async def save_analysis(
    database: Database,
    kind: str,
    title: str,
    run: str | None,
    params: dict[str, Any],
    result: dict[str, Any],
    seconds: float,
) -> str:
    """Store an analysis in place of an earlier one of the same run that was asked with the same.

    Returns:
        Its id.

    Raises:
        StorageError: The database refused it.
    """
    key = None if run is None else UUID(run)
    row = tables.BacktestAnalysisRow(
        run_id=key,
        kind=kind,
        title=title[:_TITLE],
        params=plain_values(params),
        result=plain_values(result),
        seconds=seconds,
    )
    async with database.session() as session:
        table = Repository(session, tables.BacktestAnalysisRow)
        if key is not None:
            for earlier in await table.find(table.query().equal(run_id=key, kind=kind)):
                if earlier.params == row.params:
                    await table.delete(earlier.id)
        await table.add(row)
    return str(row.id)


async def list_analyses(database: Database, run: str | None, kind: str | None, limit: int) -> list[AnalysisRow]:
    """Stored analyses, the newest first.

    Raises:
        NotFoundError: There is no such run.
    """
    async with database.reading() as session:
        table = Repository(session, tables.BacktestAnalysisRow)
        query = table.query().sorted_by("-created_at")
        if run is not None:
            query = query.equal(run_id=(await find_run(session, run)).id)
        if kind is not None:
            query = query.equal(kind=kind)
        return [_row(found) for found in await table.find(query, limit=limit)]


async def load_analysis(database: Database, name: str) -> AnalysisView:
    """A stored analysis as a whole.

    Raises:
        NotFoundError: There is none of that id.
        ValidationError: The beginning is too short, or several begin like that.
    """
    name = name.strip().lower()
    if len(name) < _SHORTEST:
        raise ValidationError(f"Write at least {_SHORTEST} characters of the analysis' id, not {name!r}.")
    async with database.reading() as session:
        keys = (await session.execute(sa.select(column_of(tables.BacktestAnalysisRow, "id")))).scalars()
        found = [key for key in keys if str(key).startswith(name)]
        if not found:
            raise NotFoundError(f"There is no stored analysis {name}; list the analyses to see their ids.")
        if len(found) > 1:
            raise ValidationError(f"{len(found)} analyses begin with {name}; write more of the id.")
        row = await Repository(session, tables.BacktestAnalysisRow).require(found[0])
    return AnalysisView(row=_row(row), params=row.params, result=row.result)


def _row(found: tables.BacktestAnalysisRow) -> AnalysisRow:
    return AnalysisRow(
        id=str(found.id),
        kind=found.kind,
        title=found.title,
        run="" if found.run_id is None else str(found.run_id),
        created=(found.created_at - _EPOCH) // timedelta(microseconds=1) * 1_000,
        seconds=found.seconds,
    )

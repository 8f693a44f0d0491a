"""Stored backtests: a run, its trades and its equity in SQL, and the views that doors deliver of them."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from engine.backtest.report import iso_time
from engine.control.views import BacktestRow, BacktestTradeRow, BacktestView, EquityPoint
from engine.errors import NotFoundError, ValidationError
from engine.model.ids import instrument_id
from engine.model.order import OrderSide
from storage import tables
from storage.database import utc_from_ns
from storage.repositories.query import column_of
from storage.repositories.repository import Repository
from storage.tables.words import PositionSide, RunState
from storage.types import round_for_storage

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession

    from engine.control.backtesting import FinishedRun
    from engine.model.candle import FloatArray, IntArray
    from storage.database import Database

__all__ = [
    "POINTS",
    "delete_run",
    "find_run",
    "list_runs",
    "load_run",
    "run_ids",
    "run_json",
    "save_run",
    "thin_out",
    "trade_json",
]

POINTS = 2_000
"""Most points of an equity curve that a view holds."""
_SHORTEST = 4
_LONG = 4096
_NS_PER_DAY = 86_400_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIMES = ("max_drawdown_start", "max_drawdown_trough", "max_drawdown_recovery")
"""Figures that are UTC nanoseconds."""


def thin_out(equity: FloatArray, most: int = POINTS) -> IntArray:
    """Indices of a curve that keep its look: ends, and the lowest and highest point of every stretch; ascending."""
    import numpy as np

    count = len(equity)
    if count <= most:
        return np.arange(count)
    edges = np.linspace(0, count, (most - 2) // 2 + 1).astype(np.int64)
    kept = {0, count - 1}
    for first, last in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        stretch = equity[first:last]
        kept |= {first + int(stretch.argmin()), first + int(stretch.argmax())}
    return np.array(sorted(kept), dtype=np.int64)


def _kept_points(ts: IntArray, equity: FloatArray) -> IntArray:
    """Indices of the points that are stored: those that keep the curve's look, and the last of every UTC day.

    So daily returns, and every figure that is made of them, can be computed from what is stored.
    """
    import numpy as np

    if len(ts) < 2:
        return thin_out(equity)
    day = (ts[1:] - 1) // _NS_PER_DAY
    ends = np.flatnonzero(np.append(day[1:] != day[:-1], True)) + 1
    kept: IntArray = np.union1d(thin_out(equity), ends)
    return kept


def _money(value: float | Decimal) -> Decimal:
    return round_for_storage(value if isinstance(value, Decimal) else Decimal(repr(value)))


def _finite(metrics: dict[str, float | None]) -> dict[str, float | None]:
    return {name: value if value is None or math.isfinite(value) else None for name, value in metrics.items()}


async def save_run(database: Database, run: FinishedRun, started: int, finished: int) -> str:
    """Store a run with everything that belongs to it; all or nothing.

    Args:
        database: Where to.
        run: What to store.
        started: UTC nanoseconds at which it began.
        finished: UTC nanoseconds at which it ended.

    Returns:
        Its id.

    Raises:
        StorageError: The database refused it; nothing of it was kept.
    """
    prepared, result = run.prepared, run.result
    spec = prepared.spec.model_dump(mode="json") | {"start": run.first, "end": run.last}
    row = tables.BacktestRunRow(
        run_hash=prepared.run_hash,
        strategy=prepared.spec.strategy,
        strategy_version=prepared.loaded.version,
        params=dict(prepared.spec.params),
        spec=spec,
        assumptions=prepared.assumptions(result),
        metrics=_finite(result.metrics),
        status=RunState.COMPLETED,
        started_at=utc_from_ns(started),
        finished_at=utc_from_ns(finished),
    )
    kept = _kept_points(result.ts, result.equity)
    points = [
        tables.BacktestEquityRow(
            run_id=row.id, ts_ns=int(result.ts[i]), equity=_money(float(result.equity[i])),
            benchmark=_money(float(result.benchmark[i])),
        )
        for i in kept.tolist()
    ]  # fmt: skip
    trades = [_trade_row(row.id, number, trade.instrument, trade) for number, trade in _numbered(run)]
    async with database.session() as session:
        await Repository(session, tables.BacktestRunRow).add(row)
        await Repository(session, tables.BacktestTradeRow).add_many(trades)
        await Repository(session, tables.BacktestEquityRow).add_many(points)
    return str(row.id)


def _numbered(run: FinishedRun) -> list[tuple[int, Any]]:
    return list(enumerate(run.result.trades, 1))


def _trade_row(run_id: UUID, number: int, instrument: str, trade: Any) -> tables.BacktestTradeRow:
    value = trade.entry_price * trade.quantity
    return tables.BacktestTradeRow(
        run_id=run_id,
        number=number,
        account="backtest",
        instrument=instrument,
        side=PositionSide.LONG if trade.side is OrderSide.BUY else PositionSide.SHORT,
        quantity=_money(trade.quantity),
        entry_ns=trade.entry_time,
        entry_price=_money(trade.entry_price),
        exit_ns=trade.exit_time,
        exit_price=_money(trade.exit_price),
        fees=_money(trade.fees),
        pnl=_money(trade.pnl),
        reason=trade.reason[:_LONG],
        mae=_money(-value * Decimal(repr(trade.excursion_against))),
        mfe=_money(value * Decimal(repr(trade.excursion_for))),
        entry_reason=trade.entry_reason[:_LONG],
        slippage=_money(trade.slippage),
    )


# --- reading ---------------------------------------------------------------------------------------------------------


async def list_runs(database: Database, strategy: str | None, limit: int) -> list[BacktestRow]:
    """Stored runs, the newest first."""
    async with database.reading() as session:
        table = Repository(session, tables.BacktestRunRow)
        query = table.query().equal(status=RunState.COMPLETED).sorted_by("-created_at")
        if strategy is not None:
            query = query.equal(strategy=strategy)
        return [_row(found) for found in await table.find(query, limit=limit)]


async def load_run(database: Database, name: str) -> BacktestView:
    """A stored run as a whole.

    Raises:
        NotFoundError: There is none of that id or hash.
    """
    async with database.reading() as session:
        run = await find_run(session, name)
        trades = Repository(session, tables.BacktestTradeRow)
        curve = Repository(session, tables.BacktestEquityRow)
        closed = await trades.find(trades.query().equal(run_id=run.id).sorted_by("number"))
        points = await curve.find(curve.query().equal(run_id=run.id).sorted_by("ts_ns"))
    if len(points) > POINTS:
        import numpy as np

        points = [points[i] for i in thin_out(np.array([float(point.equity) for point in points])).tolist()]
    return BacktestView(
        row=_row(run),
        params={name: value for name, value in run.params.items() if value is not None},
        assumptions=run.assumptions,
        metrics=run.metrics or {},
        equity=tuple(EquityPoint(ts=point.ts_ns, equity=float(point.equity)) for point in points),
        benchmark=tuple(
            EquityPoint(ts=point.ts_ns, equity=float(point.benchmark))
            for point in points
            if point.benchmark is not None
        ),
        trades=tuple(_trade(trade) for trade in closed),
    )


async def export_tables(database: Database, name: str) -> dict[str, Any]:
    """A stored run to be written out: `whole` as `run_json` gives it, `trades` and `equity` as rows, `metrics`.

    Raises:
        NotFoundError: There is none of that id or hash.
    """
    view = await load_run(database, name)
    async with database.reading() as session:
        run = await find_run(session, view.row.id)
        trades = Repository(session, tables.BacktestTradeRow)
        curve = Repository(session, tables.BacktestEquityRow)
        closed = await trades.find(trades.query().equal(run_id=run.id).sorted_by("number"))
        points = await curve.find(curve.query().equal(run_id=run.id).sorted_by("ts_ns"))
    whole = run_json(view)
    return {
        "whole": whole,
        "trades": [{"number": trade.number, "instrument": trade.instrument, **trade_json(trade)} for trade in closed],
        "equity": [
            {
                "time": iso_time(point.ts_ns),
                "equity": float(point.equity),
                "benchmark": None if point.benchmark is None else float(point.benchmark),
            }
            for point in points
        ],
        "metrics": whole["metrics"],
    }


async def delete_run(database: Database, name: str) -> BacktestRow:
    """Remove a stored run with its trades and equity; returns what was removed.

    Raises:
        NotFoundError: There is none of that id or hash.
    """
    async with database.session() as session:
        run = await find_run(session, name)
        row = _row(run)
        await Repository(session, tables.BacktestRunRow).delete(run.id)
    return row


async def run_ids(database: Database, names: Sequence[str]) -> list[str]:
    """The ids of stored runs by their beginnings, in that order.

    Raises:
        NotFoundError: One of them is not stored.
    """
    async with database.reading() as session:
        return [str((await find_run(session, name)).id) for name in names]


async def find_run(session: AsyncSession, name: str) -> tables.BacktestRunRow:
    """The run of an id, or the only one whose id or hash begins like that; the newest of equal ones."""
    table = Repository(session, tables.BacktestRunRow)
    name = name.strip().lower()
    if len(name) < _SHORTEST:
        raise ValidationError(f"Write at least {_SHORTEST} characters of the backtest's id or hash, not {name!r}.")
    known = [column_of(tables.BacktestRunRow, column) for column in ("id", "run_hash", "created_at")]
    rows = (await session.execute(sa.select(*known).order_by(known[2].desc()))).all()
    found = [(key, run_hash) for key, run_hash, _ in rows if str(key).startswith(name) or run_hash.startswith(name)]
    if not found:
        raise NotFoundError(f"There is no stored backtest {name}; list the backtests to see their ids.")
    if len({run_hash for _, run_hash in found}) > 1:
        raise ValidationError(f"{len(found)} backtests begin with {name}; write more of the id.")
    return await table.require(found[0][0])


def _row(run: tables.BacktestRunRow) -> BacktestRow:
    spec, metrics = run.spec, run.metrics or {}
    return BacktestRow(
        id=str(run.id),
        hash=run.run_hash,
        strategy=run.strategy,
        instrument=instrument_id(spec["venue"], spec["symbol"]),
        timeframe=spec["timeframe"],
        start=int(spec["start"]),
        end=int(spec["end"]),
        created=(run.created_at - _EPOCH) // timedelta(microseconds=1) * 1_000,
        trades=int(metrics.get("trades") or 0),
        total_return=metrics.get("total_return"),
        sharpe=metrics.get("sharpe"),
        max_drawdown=metrics.get("max_drawdown"),
        win_rate=metrics.get("win_rate"),
        passed=bool(metrics.get("passed")),
    )


def _trade(trade: tables.BacktestTradeRow) -> BacktestTradeRow:
    return BacktestTradeRow(
        entry_time=trade.entry_ns,
        exit_time=trade.exit_ns,
        side=OrderSide.BUY if trade.side is PositionSide.LONG else OrderSide.SELL,
        entry_price=trade.entry_price,
        exit_price=trade.exit_price,
        quantity=trade.quantity,
        fees=trade.fees,
        pnl=trade.pnl,
        reason=trade.reason,
    )


def trade_json(trade: tables.BacktestTradeRow) -> dict[str, Any]:
    """A stored trade in plain values, as `run_json` gives them, with all that is kept of it."""
    value = trade.entry_price * trade.quantity
    return {
        "entry_time": iso_time(trade.entry_ns),
        "exit_time": iso_time(trade.exit_ns),
        "side": "buy" if trade.side is PositionSide.LONG else "sell",
        "entry_price": float(trade.entry_price),
        "exit_price": float(trade.exit_price),
        "quantity": float(trade.quantity),
        "fees": float(trade.fees),
        "slippage": None if trade.slippage is None else float(trade.slippage),
        "pnl": float(trade.pnl),
        "entry_reason": trade.entry_reason,
        "reason": trade.reason,
        "excursion_for": float(trade.mfe / value) if trade.mfe is not None and value else None,
        "excursion_against": float(-trade.mae / value) if trade.mae is not None and value else None,
    }


def run_json(view: BacktestView) -> dict[str, Any]:
    """A stored run as one object of plain values: times ISO 8601 in UTC, money as numbers, what is not known null."""
    row = view.row
    metrics: dict[str, float | str | None] = dict(view.metrics)
    for name in _TIMES:
        value = view.metrics.get(name)
        metrics[name] = None if value is None else iso_time(int(value))
    return {
        "id": row.id,
        "hash": row.hash,
        "strategy": row.strategy,
        "instrument": str(row.instrument),
        "timeframe": row.timeframe,
        "start": iso_time(row.start),
        "end": iso_time(row.end),
        "params": view.params,
        "assumptions": view.assumptions,
        "metrics": metrics,
        "trades": [
            {
                "entry_time": iso_time(trade.entry_time),
                "exit_time": iso_time(trade.exit_time),
                "side": str(trade.side),
                "entry_price": float(trade.entry_price),
                "exit_price": float(trade.exit_price),
                "quantity": float(trade.quantity),
                "fees": float(trade.fees),
                "pnl": float(trade.pnl),
                "reason": trade.reason,
            }
            for trade in view.trades
        ],
    }

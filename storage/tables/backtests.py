"""Backtest runs with trades and equity curves, what was found out about them, and studies of many runs."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from storage.tables.base import (
    Document,
    Long,
    MaybeDocument,
    MaybeLong,
    MaybeMoney,
    MaybeTime,
    Money,
    Name,
    Nanos,
    Ratio,
    Record,
    StampedRecord,
    one_of,
    positive,
    word,
)
from storage.tables.words import PositionSide, RunState

__all__ = ["BacktestAnalysisRow", "BacktestEquityRow", "BacktestRunRow", "BacktestStudyRow", "BacktestTradeRow"]


class BacktestRunRow(StampedRecord, table=True):
    """A run: its full specification, so that it can be repeated, and what came of it."""

    __tablename__: ClassVar[Any] = "backtest_runs"
    __table_args__ = (
        one_of("status", RunState),
        sa.Index(None, "run_hash"),
        sa.Index(None, "strategy", "started_at"),
        sa.Index(None, "status"),
    )

    run_hash: Name
    """Hash of specification and data; runs with the same hash have the same trades."""
    strategy: Name
    strategy_version: Name
    params: Document
    spec: Document
    assumptions: Document
    metrics: MaybeDocument = None
    """None until the run is completed."""
    status: RunState = word(RunState)
    started_at: MaybeTime = None
    finished_at: MaybeTime = None
    error: Long = ""
    """Why the run failed; empty otherwise."""


class BacktestTradeRow(Record, table=True):
    """One round trip of a run. Times are UTC nanoseconds, money in quote currency."""

    __tablename__: ClassVar[Any] = "backtest_trades"
    __table_args__ = (
        sa.UniqueConstraint("run_id", "number"),
        one_of("side", PositionSide),
        *positive("quantity", "entry_price", "exit_price"),
        sa.CheckConstraint("exit_ns >= entry_ns", name="exit_after_entry"),
        sa.CheckConstraint("number >= 1", name="number_positive"),
        sa.Index(None, "run_id", "entry_ns"),
    )

    run_id: UUID = Field(foreign_key="backtest_runs.id", ondelete="CASCADE")
    number: int
    """Place in the run, from 1."""
    account: Name
    instrument: Name
    side: PositionSide = word(PositionSide)
    quantity: Money
    entry_ns: Nanos
    entry_price: Money
    exit_ns: Nanos
    exit_price: Money
    fees: Money = Decimal(0)
    pnl: Money
    """Realised profit after fees."""
    reason: Long = ""
    """Why the position was closed."""
    mae: MaybeMoney = None
    """Largest loss while open (maximum adverse excursion), 0 or below."""
    mfe: MaybeMoney = None
    """Largest profit while open (maximum favourable excursion), 0 or above."""
    entry_reason: MaybeLong = None
    """Why the position was opened; None where that was not kept."""
    slippage: MaybeMoney = None
    """What worse prices than those of the decisions have cost; None where that was not kept."""


class BacktestEquityRow(Record, table=True):
    """One point of a run's equity curve."""

    __tablename__: ClassVar[Any] = "backtest_equity"
    __table_args__ = (sa.UniqueConstraint("run_id", "ts_ns"),)

    run_id: UUID = Field(foreign_key="backtest_runs.id", ondelete="CASCADE")
    ts_ns: Nanos
    equity: Money
    benchmark: MaybeMoney = None
    """What the same capital would be worth in the benchmark."""


class BacktestStudyRow(StampedRecord, table=True):
    """A search over a strategy's parameters, finished or as far as it came."""

    __tablename__: ClassVar[Any] = "backtest_studies"
    __table_args__ = (sa.Index(None, "study_hash"), sa.Index(None, "strategy", "kind"))

    study_hash: Name
    """Hash of specification, strategy and data; studies with the same hash have the same result."""
    kind: Name
    """`sweep`, `optimise` or `walk_forward`."""
    strategy: Name
    title: Name
    spec: Document
    """Everything that it was asked with."""
    summary: Document
    """What a list shows of the result."""
    result: Document
    complete: bool
    """False while it runs, and for one that was cancelled or broke off."""
    seconds: Ratio = 0.0
    """How long it took."""


class BacktestAnalysisRow(StampedRecord, table=True):
    """What an analysis found: of one run, of several (it is kept with the first), or of a strategy on candles."""

    __tablename__: ClassVar[Any] = "backtest_analyses"
    __table_args__ = (sa.Index(None, "run_id", "kind"), sa.Index(None, "kind"))

    run_id: UUID | None = Field(default=None, foreign_key="backtest_runs.id", ondelete="CASCADE", nullable=True)
    kind: Name
    """Which analysis, such as `montecarlo`."""
    title: Name
    """What it was about, for a person."""
    params: Document
    """Everything that it was asked with."""
    result: Document
    seconds: Ratio = 0.0
    """How long it took."""

"""Execution quality of orders and trades, projected from the journal; each row carries its whole record."""

from __future__ import annotations

from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from storage.tables.base import Document, MaybeName, Name, Nanos, Record
from storage.types import JSON_DOCUMENT

__all__ = ["OrderQualityRow", "TradeQualityRow"]


class OrderQualityRow(Record, table=True):
    """How an order was executed. Times are UTC nanoseconds, 0 where something has not happened."""

    __tablename__: ClassVar[Any] = "order_quality"
    __table_args__ = (
        sa.UniqueConstraint("account", "client_order_id"),
        sa.Index(None, "client_order_id"),
        sa.Index(None, "venue_order_id"),
        sa.Index(None, "parent"),
        sa.Index(None, "trade"),
        sa.Index(None, "next_trade"),
        sa.Index(None, "created_ns"),
        sa.Index(None, "owner", "created_ns"),
        sa.Index(None, "instrument", "created_ns"),
    )

    client_order_id: Name
    venue_order_id: MaybeName = None
    account: Name
    instrument: Name
    owner: Name
    parent: MaybeName = None
    trade: MaybeName = None
    """The trade that it was part of; None before an execution."""
    next_trade: MaybeName = None
    created_ns: Nanos
    ended_ns: Nanos
    record: Document = Field(default_factory=dict, sa_type=JSON_DOCUMENT, nullable=False)


class TradeQualityRow(Record, table=True):
    """What an owner did in an instrument from nothing held to nothing held."""

    __tablename__: ClassVar[Any] = "trade_quality"
    __table_args__ = (
        sa.UniqueConstraint("trade"),
        sa.Index(None, "opened_ns"),
        sa.Index(None, "owner", "opened_ns"),
        sa.Index(None, "instrument", "opened_ns"),
    )

    trade: Name
    account: Name
    instrument: Name
    owner: Name
    opened_ns: Nanos
    closed_ns: Nanos
    record: Document = Field(default_factory=dict, sa_type=JSON_DOCUMENT, nullable=False)

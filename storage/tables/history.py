"""Closed orders and all fills, projected from the journal for history and reports."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlmodel import Field

from engine.errors import DataValidationError
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType, TimeInForce
from storage.tables.base import (
    Document,
    Long,
    MaybeMoney,
    MaybeName,
    Money,
    Name,
    Nanos,
    Record,
    compared,
    non_negative,
    one_of,
    positive,
    word,
)
from storage.types import JSON_DOCUMENT, BoundedText

__all__ = ["FillHistoryRow", "OrderHistoryRow", "ProjectionCursorRow"]


class OrderHistoryRow(Record, table=True):
    """An order that reached its end. Times are UTC nanoseconds."""

    __tablename__: ClassVar[Any] = "order_history"
    __table_args__ = (
        sa.UniqueConstraint("account", "venue", "client_order_id"),
        one_of("side", OrderSide),
        one_of("type", OrderType),
        one_of("tif", TimeInForce),
        one_of("status", OrderStatus),
        *positive("quantity", "price", "stop_price", "average_price"),
        *non_negative("filled"),
        compared("filled", "quantity", unless="overfilled"),
        sa.CheckConstraint("closed_ns >= created_ns", name="closed_after_created"),
        sa.Index(None, "owner", "closed_ns"),
        sa.Index(None, "instrument", "venue", "closed_ns"),
        sa.Index(None, "account", "closed_ns"),
        sa.Index(None, "closed_ns"),
    )

    client_order_id: Name
    venue_order_id: MaybeName = None
    account: Name
    venue: Name
    instrument: Name
    owner: Name
    """A bot's id, `manual` or `external`."""
    side: OrderSide = word(OrderSide)
    type: OrderType = word(OrderType)
    tif: TimeInForce = word(TimeInForce)
    quantity: Money
    price: MaybeMoney = None
    stop_price: MaybeMoney = None
    filled: Money = Decimal(0)
    average_price: MaybeMoney = None
    """None when nothing was filled."""
    fees: Document = Field(default_factory=dict, sa_type=JSON_DOCUMENT, nullable=False)
    """Currency to decimal text; cost positive, rebate negative."""
    overfilled: bool = False
    """The venue filled more than was ordered; its word stands."""
    status: OrderStatus = word(OrderStatus)
    reason: Long = ""
    """Why the order existed, in the decider's words."""
    close_reason: Long = ""
    """Why it ended; empty when it was filled."""
    created_ns: Nanos
    closed_ns: Nanos

    def verify(self) -> None:
        """Check the filled quantity exactly.

        Raises:
            DataValidationError: More is filled than ordered and the row does not say so.
        """
        if self.filled > self.quantity and not self.overfilled:
            raise DataValidationError(
                f"Order {self.client_order_id} was not stored: {self.filled} filled is more than {self.quantity} "
                "ordered; mark it as overfilled if the venue says so."
            )


class FillHistoryRow(Record, table=True):
    """One execution. The natural key makes a repeated projection harmless."""

    __tablename__: ClassVar[Any] = "fill_history"
    __table_args__ = (
        sa.UniqueConstraint(
            "venue", "account", "instrument", "trade_id", "venue_order_id", name="uq_fill_history_natural_key"
        ),
        one_of("side", OrderSide),
        one_of("liquidity", Liquidity),
        *positive("quantity", "price"),
        sa.Index(None, "owner", "ts_ns"),
        sa.Index(None, "instrument", "venue", "ts_ns"),
        sa.Index(None, "account", "ts_ns"),
        sa.Index(None, "client_order_id"),
    )

    venue: Name
    account: Name
    instrument: Name
    trade_id: Name
    venue_order_id: Name
    client_order_id: Name
    owner: Name
    side: OrderSide = word(OrderSide)
    quantity: Money
    price: Money
    fee: Money = Decimal(0)
    """Cost positive, rebate negative."""
    fee_currency: Name
    liquidity: Liquidity = word(Liquidity)
    ts_ns: Nanos


class ProjectionCursorRow(Record, table=True):
    """How far a view has followed the journal; written in the transaction that writes the view."""

    __tablename__: ClassVar[Any] = "projection_cursors"
    __table_args__ = (
        sa.UniqueConstraint("view"),
        sa.CheckConstraint("seq >= 0 AND epoch >= 0", name="seq_and_epoch_non_negative"),
    )

    view: str = Field(sa_type=BoundedText(64))
    instance: Name
    """Journal instance the sequence belongs to; another one means the view must be rebuilt."""
    epoch: Nanos
    seq: Nanos
    """Last journal sequence that the view contains."""

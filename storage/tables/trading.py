"""What was traded and what is held: trades, positions and balance snapshots, each of one account."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Field

from engine.errors import DataValidationError
from engine.model.order import OrderSide, OrderStatus, OrderType
from storage.tables.base import (
    MaybeMoney,
    MaybeName,
    Money,
    Name,
    Record,
    StampedRecord,
    Time,
    non_negative,
    one_of,
    positive,
    word,
)
from storage.tables.words import PositionSide
from storage.types import UtcDateTime

__all__ = ["BalanceSnapshotRow", "PositionRow", "TradeRow"]


class TradeRow(StampedRecord, table=True):
    """One trade of a bot, as its reports show it. A bot with trades cannot be removed from the database."""

    __tablename__: ClassVar[Any] = "trades"
    __table_args__ = (
        sa.UniqueConstraint("account", "exchange", "client_order_id"),
        one_of("side", OrderSide),
        one_of("order_type", OrderType),
        one_of("status", OrderStatus),
        *positive("quantity", "price", "executed_price"),
        sa.Index(None, "bot_id", "created_at"),
        sa.Index(None, "symbol", "exchange"),
        sa.Index(None, "account", "created_at"),
        sa.Index(None, "status"),
    )

    bot_id: UUID | None = Field(default=None, foreign_key="bot_instances.id", ondelete="RESTRICT")
    """None for a trade by hand."""
    account: Name
    exchange: Name
    symbol: Name
    client_order_id: MaybeName = None
    side: OrderSide = word(OrderSide)
    order_type: OrderType = word(OrderType)
    quantity: Money
    price: MaybeMoney = None
    """Price asked for; None for a market order."""
    executed_price: MaybeMoney = None
    """Average price; None while nothing is filled."""
    fee: Money = Decimal(0)
    """Cost positive, rebate negative."""
    fee_currency: MaybeName = None
    status: OrderStatus = word(OrderStatus)
    pnl: MaybeMoney = None
    """Realised profit; None for a trade that only opens."""


class PositionRow(StampedRecord, table=True):
    """An open position of a bot, of a person (no bot), in one instrument of one account."""

    __tablename__: ClassVar[Any] = "positions"
    __table_args__ = (
        one_of("side", PositionSide),
        *positive("quantity", "entry_price", "current_price", "stop_loss_price"),
        sa.Index(None, "bot_id", "created_at"),
        sa.Index(None, "symbol", "exchange"),
        sa.Index(None, "account"),
    )

    bot_id: UUID | None = Field(default=None, foreign_key="bot_instances.id", ondelete="RESTRICT")
    account: Name
    exchange: Name
    symbol: Name
    side: PositionSide = word(PositionSide)
    quantity: Money
    """Base units, always positive; `side` gives the direction."""
    entry_price: Money
    current_price: MaybeMoney = None
    unrealized_pnl: MaybeMoney = None
    stop_loss_price: MaybeMoney = None


class BalanceSnapshotRow(Record, table=True):
    """One currency of one account at one time."""

    __tablename__: ClassVar[Any] = "balance_snapshots"
    __table_args__ = (
        *non_negative("free_balance", "locked_balance", "total_balance", "btc_value", "usd_value"),
        sa.CheckConstraint(
            "ABS(CAST(free_balance AS NUMERIC) + CAST(locked_balance AS NUMERIC) - CAST(total_balance AS NUMERIC))"
            " <= CAST(total_balance AS NUMERIC) * 0.000000000001",
            name="balance_sum",
        ).ddl_if(dialect="sqlite"),
        sa.CheckConstraint("free_balance + locked_balance = total_balance", name="balance_sum").ddl_if(
            dialect="postgresql"
        ),
        sa.Index(None, "user_id", "timestamp"),
        sa.Index(None, "account", "currency", "timestamp"),
    )

    user_id: UUID = Field(foreign_key="users.id", ondelete="RESTRICT")
    account: Name
    exchange: Name
    currency: Name
    free_balance: Money
    locked_balance: Money
    total_balance: Money
    btc_value: MaybeMoney = None
    usd_value: MaybeMoney = None
    timestamp: Time = Field(default=None, sa_type=UtcDateTime(), nullable=False)

    def verify(self) -> None:
        """Check the sum exactly; SQLite's own constraint sees binary floats.

        Raises:
            DataValidationError: Free and locked do not add up to the total.
        """
        if self.free_balance + self.locked_balance != self.total_balance:
            raise DataValidationError(
                f"The {self.currency} balance of {self.account} was not stored: free {self.free_balance} and locked "
                f"{self.locked_balance} do not add up to the total {self.total_balance}."
            )

"""Execution quality: the records of orders and trades."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "002"
down_revision = "001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables with their indexes."""
    op.create_table(
        "order_quality",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_order_id", sa.String(128), nullable=False),
        sa.Column("venue_order_id", sa.String(128), nullable=True),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("instrument", sa.String(128), nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("parent", sa.String(128), nullable=True),
        sa.Column("trade", sa.String(128), nullable=True),
        sa.Column("next_trade", sa.String(128), nullable=True),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_quality")),
        sa.UniqueConstraint("account", "client_order_id", name=op.f("uq_order_quality_account_client_order_id")),
    )
    for columns in (
        ["client_order_id"],
        ["venue_order_id"],
        ["parent"],
        ["trade"],
        ["next_trade"],
        ["created_ns"],
        ["owner", "created_ns"],
        ["instrument", "created_ns"],
    ):
        op.create_index(f"ix_order_quality_{'_'.join(columns)}", "order_quality", columns)
    op.create_table(
        "trade_quality",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("trade", sa.String(128), nullable=False),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("instrument", sa.String(128), nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("opened_ns", sa.BigInteger(), nullable=False),
        sa.Column("closed_ns", sa.BigInteger(), nullable=False),
        sa.Column("record", sa.JSON(none_as_null=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trade_quality")),
        sa.UniqueConstraint("trade", name=op.f("uq_trade_quality_trade")),
    )
    for columns in (["opened_ns"], ["owner", "opened_ns"], ["instrument", "opened_ns"]):
        op.create_index(f"ix_trade_quality_{'_'.join(columns)}", "trade_quality", columns)


def downgrade() -> None:
    """Drop both tables; the journal tells all of it again."""
    op.drop_table("trade_quality")
    op.drop_table("order_quality")

"""Analyses of backtests, and what a trade of a run was entered for and lost to slippage."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "003"
down_revision = "002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table of analyses and add the two columns of trades."""
    op.create_table(
        "backtest_analyses",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(128), nullable=False),
        sa.Column("title", sa.String(128), nullable=False),
        sa.Column("params", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("result", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["backtest_runs.id"],
            name=op.f("fk_backtest_analyses_run_id_backtest_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtest_analyses")),
    )
    op.create_index("ix_backtest_analyses_run_id_kind", "backtest_analyses", ["run_id", "kind"])
    op.create_index("ix_backtest_analyses_kind", "backtest_analyses", ["kind"])
    with op.batch_alter_table("backtest_trades") as table:
        table.add_column(sa.Column("entry_reason", sa.String(4096), nullable=True))
        money = sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql")
        table.add_column(sa.Column("slippage", money, nullable=True))


def downgrade() -> None:
    """Drop the table and the two columns."""
    with op.batch_alter_table("backtest_trades") as table:
        table.drop_column("slippage")
        table.drop_column("entry_reason")
    op.drop_table("backtest_analyses")

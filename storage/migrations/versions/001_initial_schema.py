"""Initial schema: every table of the product."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision = "001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create every table with its constraints and indexes."""
    op.create_table(
        "analytics_reports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("period_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("period_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('daily', 'weekly', 'trend')", name=op.f("ck_analytics_reports_kind_word")),
        sa.CheckConstraint("period_end >= period_start", name=op.f("ck_analytics_reports_period_in_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_analytics_reports")),
    )
    op.create_index("ix_analytics_reports_expires_at", "analytics_reports", ["expires_at"])
    op.create_index("ix_analytics_reports_kind_period_end", "analytics_reports", ["kind", "period_end"])

    op.create_table(
        "backtest_runs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("run_hash", sa.String(128), nullable=False),
        sa.Column("strategy", sa.String(128), nullable=False),
        sa.Column("strategy_version", sa.String(128), nullable=False),
        sa.Column("params", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("spec", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("assumptions", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(4096), nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'failed', 'canceled')",
            name=op.f("ck_backtest_runs_status_word"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtest_runs")),
    )
    op.create_index("ix_backtest_runs_run_hash", "backtest_runs", ["run_hash"])
    op.create_index("ix_backtest_runs_status", "backtest_runs", ["status"])
    op.create_index("ix_backtest_runs_strategy_started_at", "backtest_runs", ["strategy", "started_at"])

    op.create_table(
        "emergency_stops",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scope", sa.String(32), nullable=False),
        sa.Column("target", sa.String(128), nullable=True),
        sa.Column("cause", sa.String(4096), nullable=False),
        sa.Column("triggered_by", sa.String(128), nullable=False),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleared_by", sa.String(128), nullable=True),
        sa.Column("clear_reason", sa.String(4096), nullable=False),
        sa.CheckConstraint("(scope = 'global') = (target IS NULL)", name=op.f("ck_emergency_stops_target_of_scope")),
        sa.CheckConstraint(
            "scope IN ('global', 'venue', 'account', 'strategy', 'bot')", name=op.f("ck_emergency_stops_scope_word")
        ),
        sa.CheckConstraint(
            "(cleared_at IS NULL) = (cleared_by IS NULL)", name=op.f("ck_emergency_stops_cleared_by_somebody")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_emergency_stops")),
    )
    op.create_index("ix_emergency_stops_occurred_at", "emergency_stops", ["occurred_at"])
    op.create_index("ix_emergency_stops_scope_target", "emergency_stops", ["scope", "target"])

    op.create_table(
        "error_patterns",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("pattern", sa.String(128), nullable=False),
        sa.Column("component", sa.String(128), nullable=False),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("last_seen >= first_seen", name=op.f("ck_error_patterns_last_after_first")),
        sa.CheckConstraint("occurrences >= 1", name=op.f("ck_error_patterns_occurrences_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_error_patterns")),
        sa.UniqueConstraint("pattern", name=op.f("uq_error_patterns_pattern")),
    )
    op.create_index("ix_error_patterns_component_last_seen", "error_patterns", ["component", "last_seen"])
    op.create_index("ix_error_patterns_expires_at", "error_patterns", ["expires_at"])

    op.create_table(
        "error_records",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("severity", sa.String(32), nullable=False),
        sa.Column("component", sa.String(128), nullable=False),
        sa.Column("operation", sa.String(128), nullable=True),
        sa.Column("error_type", sa.String(128), nullable=False),
        sa.Column("message", sa.String(4096), nullable=False),
        sa.Column("context", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("correlation_id", sa.String(128), nullable=True),
        sa.Column("occurrences", sa.Integer(), nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "severity IN ('critical', 'high', 'medium', 'low')", name=op.f("ck_error_records_severity_word")
        ),
        sa.CheckConstraint("last_seen >= first_seen", name=op.f("ck_error_records_last_after_first")),
        sa.CheckConstraint("occurrences >= 1", name=op.f("ck_error_records_occurrences_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_error_records")),
    )
    op.create_index("ix_error_records_component_last_seen", "error_records", ["component", "last_seen"])
    op.create_index("ix_error_records_correlation_id", "error_records", ["correlation_id"])
    op.create_index("ix_error_records_expires_at", "error_records", ["expires_at"])
    op.create_index("ix_error_records_severity_last_seen", "error_records", ["severity", "last_seen"])

    op.create_table(
        "fill_history",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("venue", sa.String(128), nullable=False),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("instrument", sa.String(128), nullable=False),
        sa.Column("trade_id", sa.String(128), nullable=False),
        sa.Column("venue_order_id", sa.String(128), nullable=False),
        sa.Column("client_order_id", sa.String(128), nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("side", sa.String(32), nullable=False),
        sa.Column("quantity", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("fee", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("fee_currency", sa.String(128), nullable=False),
        sa.Column("liquidity", sa.String(32), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("liquidity IN ('maker', 'taker')", name=op.f("ck_fill_history_liquidity_word")),
        sa.CheckConstraint("side IN ('buy', 'sell')", name=op.f("ck_fill_history_side_word")),
        sa.CheckConstraint("CAST(price AS NUMERIC) > 0", name=op.f("ck_fill_history_price_positive")),
        sa.CheckConstraint("CAST(quantity AS NUMERIC) > 0", name=op.f("ck_fill_history_quantity_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fill_history")),
        sa.UniqueConstraint(
            "venue", "account", "instrument", "trade_id", "venue_order_id", name="uq_fill_history_natural_key"
        ),
    )
    op.create_index("ix_fill_history_account_ts_ns", "fill_history", ["account", "ts_ns"])
    op.create_index("ix_fill_history_client_order_id", "fill_history", ["client_order_id"])
    op.create_index("ix_fill_history_instrument_venue_ts_ns", "fill_history", ["instrument", "venue", "ts_ns"])
    op.create_index("ix_fill_history_owner_ts_ns", "fill_history", ["owner", "ts_ns"])

    op.create_table(
        "fund_flows",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("from_strategy", sa.String(128), nullable=True),
        sa.Column("to_strategy", sa.String(128), nullable=True),
        sa.Column("from_exchange", sa.String(128), nullable=True),
        sa.Column("to_exchange", sa.String(128), nullable=True),
        sa.Column("currency", sa.String(128), nullable=False),
        sa.Column("amount", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("reason", sa.String(4096), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('deposit', 'withdrawal', 'transfer', 'rebalance', 'compounding')",
            name=op.f("ck_fund_flows_kind_word"),
        ),
        sa.CheckConstraint("CAST(amount AS NUMERIC) > 0", name=op.f("ck_fund_flows_amount_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fund_flows")),
    )
    op.create_index("ix_fund_flows_account_timestamp", "fund_flows", ["account", "timestamp"])
    op.create_index("ix_fund_flows_timestamp", "fund_flows", ["timestamp"])

    op.create_table(
        "ml_models",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("model_type", sa.String(128), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("file_path", sa.String(4096), nullable=False),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("parameters", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("training_data_range", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_ml_models_version_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ml_models")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_ml_models_name_version")),
    )
    op.create_index("ix_ml_models_model_type_is_active", "ml_models", ["model_type", "is_active"])

    op.create_table(
        "order_history",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("client_order_id", sa.String(128), nullable=False),
        sa.Column("venue_order_id", sa.String(128), nullable=True),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("venue", sa.String(128), nullable=False),
        sa.Column("instrument", sa.String(128), nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("side", sa.String(32), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("tif", sa.String(32), nullable=False),
        sa.Column("quantity", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("stop_price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("filled", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("average_price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("fees", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("overfilled", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(4096), nullable=False),
        sa.Column("close_reason", sa.String(4096), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("closed_ns", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("side IN ('buy', 'sell')", name=op.f("ck_order_history_side_word")),
        sa.CheckConstraint(
            "status IN ('pending', 'submitted', 'unknown', 'accepted', 'partially_filled', 'filled', 'canceled', 'rejected', 'expired')",
            name=op.f("ck_order_history_status_word"),
        ),
        sa.CheckConstraint("tif IN ('GTC', 'IOC', 'FOK')", name=op.f("ck_order_history_tif_word")),
        sa.CheckConstraint(
            "type IN ('market', 'limit', 'stop_loss', 'take_profit')", name=op.f("ck_order_history_type_word")
        ),
        sa.CheckConstraint("CAST(average_price AS NUMERIC) > 0", name=op.f("ck_order_history_average_price_positive")),
        sa.CheckConstraint("CAST(filled AS NUMERIC) >= 0", name=op.f("ck_order_history_filled_non_negative")),
        sa.CheckConstraint("CAST(price AS NUMERIC) > 0", name=op.f("ck_order_history_price_positive")),
        sa.CheckConstraint("CAST(quantity AS NUMERIC) > 0", name=op.f("ck_order_history_quantity_positive")),
        sa.CheckConstraint("CAST(stop_price AS NUMERIC) > 0", name=op.f("ck_order_history_stop_price_positive")),
        sa.CheckConstraint("closed_ns >= created_ns", name=op.f("ck_order_history_closed_after_created")),
        sa.CheckConstraint(
            "overfilled OR CAST(filled AS NUMERIC) <= CAST(quantity AS NUMERIC)",
            name=op.f("ck_order_history_filled_within_quantity"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_order_history")),
        sa.UniqueConstraint(
            "account", "venue", "client_order_id", name=op.f("uq_order_history_account_venue_client_order_id")
        ),
    )
    op.create_index("ix_order_history_account_closed_ns", "order_history", ["account", "closed_ns"])
    op.create_index("ix_order_history_closed_ns", "order_history", ["closed_ns"])
    op.create_index(
        "ix_order_history_instrument_venue_closed_ns", "order_history", ["instrument", "venue", "closed_ns"]
    )
    op.create_index("ix_order_history_owner_closed_ns", "order_history", ["owner", "closed_ns"])

    op.create_table(
        "pending_operations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operation", sa.String(128), nullable=False),
        sa.Column("account", sa.String(128), nullable=True),
        sa.Column("exchange", sa.String(128), nullable=True),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.String(4096), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'resumed', 'done', 'abandoned')", name=op.f("ck_pending_operations_status_word")
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_pending_operations_attempts_non_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_operations")),
    )
    op.create_index("ix_pending_operations_exchange_status", "pending_operations", ["exchange", "status"])
    op.create_index("ix_pending_operations_status_created_at", "pending_operations", ["status", "created_at"])

    op.create_table(
        "profit_locks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("currency", sa.String(128), nullable=False),
        sa.Column("amount", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("locked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("unlocks_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("unlock_requested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(4096), nullable=False),
        sa.CheckConstraint(
            "status IN ('locked', 'unlock_requested', 'unlocked')", name=op.f("ck_profit_locks_status_word")
        ),
        sa.CheckConstraint("CAST(amount AS NUMERIC) > 0", name=op.f("ck_profit_locks_amount_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_profit_locks")),
    )
    op.create_index("ix_profit_locks_account_unlocks_at", "profit_locks", ["account", "unlocks_at"])
    op.create_index("ix_profit_locks_status", "profit_locks", ["status"])

    op.create_table(
        "projection_cursors",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("view", sa.String(64), nullable=False),
        sa.Column("instance", sa.String(128), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("seq >= 0 AND epoch >= 0", name=op.f("ck_projection_cursors_seq_and_epoch_non_negative")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_projection_cursors")),
        sa.UniqueConstraint("view", name=op.f("uq_projection_cursors_view")),
    )
    op.create_table(
        "state_audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("check_name", sa.String(128), nullable=False),
        sa.Column("account", sa.String(128), nullable=True),
        sa.Column("subject", sa.String(128), nullable=True),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sa.Column("discrepancy", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("finding", sa.String(4096), nullable=False),
        sa.Column("correction", sa.String(4096), nullable=False),
        sa.Column("before", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("after", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_state_audit")),
    )
    op.create_index("ix_state_audit_account_timestamp", "state_audit", ["account", "timestamp"])
    op.create_index("ix_state_audit_check_name_timestamp", "state_audit", ["check_name", "timestamp"])

    op.create_table(
        "strategy_configs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("strategy_type", sa.String(32), nullable=False),
        sa.Column("parameters", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("risk_parameters", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "strategy_type IN ('static', 'dynamic', 'arbitrage', 'market_making', 'evolutionary', 'hybrid', 'ai_ml')",
            name=op.f("ck_strategy_configs_strategy_type_word"),
        ),
        sa.CheckConstraint("version >= 1", name=op.f("ck_strategy_configs_version_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_strategy_configs")),
        sa.UniqueConstraint("name", "version", name=op.f("uq_strategy_configs_name_version")),
    )
    op.create_index("ix_strategy_configs_is_active", "strategy_configs", ["is_active"])

    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("username", sa.String(128), nullable=False),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("password_hash", sa.String(256), nullable=True),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sa.UniqueConstraint("username", name=op.f("uq_users_username")),
    )
    op.create_index("ix_users_is_active", "users", ["is_active"])

    op.create_table(
        "audit_log",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(128), nullable=False),
        sa.Column("resource_type", sa.String(128), nullable=False),
        sa.Column("resource_id", sa.String(128), nullable=True),
        sa.Column("old_value", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("new_value", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("ip_address", sa.String(45), nullable=True),
        sa.Column("user_agent", sa.String(256), nullable=True),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_audit_log_user_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
    )
    op.create_index("ix_audit_log_resource_type_resource_id", "audit_log", ["resource_type", "resource_id"])
    op.create_index("ix_audit_log_timestamp", "audit_log", ["timestamp"])
    op.create_index("ix_audit_log_user_id_timestamp", "audit_log", ["user_id", "timestamp"])

    op.create_table(
        "backtest_equity",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("ts_ns", sa.BigInteger(), nullable=False),
        sa.Column("equity", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("benchmark", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.ForeignKeyConstraint(
            ["run_id"], ["backtest_runs.id"], name=op.f("fk_backtest_equity_run_id_backtest_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtest_equity")),
        sa.UniqueConstraint("run_id", "ts_ns", name=op.f("uq_backtest_equity_run_id_ts_ns")),
    )
    op.create_table(
        "backtest_trades",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("instrument", sa.String(128), nullable=False),
        sa.Column("side", sa.String(32), nullable=False),
        sa.Column("quantity", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("entry_ns", sa.BigInteger(), nullable=False),
        sa.Column("entry_price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("exit_ns", sa.BigInteger(), nullable=False),
        sa.Column("exit_price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("fees", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("pnl", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("reason", sa.String(4096), nullable=False),
        sa.Column("mae", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("mfe", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.CheckConstraint("side IN ('long', 'short')", name=op.f("ck_backtest_trades_side_word")),
        sa.CheckConstraint("CAST(entry_price AS NUMERIC) > 0", name=op.f("ck_backtest_trades_entry_price_positive")),
        sa.CheckConstraint("CAST(exit_price AS NUMERIC) > 0", name=op.f("ck_backtest_trades_exit_price_positive")),
        sa.CheckConstraint("CAST(quantity AS NUMERIC) > 0", name=op.f("ck_backtest_trades_quantity_positive")),
        sa.CheckConstraint("exit_ns >= entry_ns", name=op.f("ck_backtest_trades_exit_after_entry")),
        sa.CheckConstraint("number >= 1", name=op.f("ck_backtest_trades_number_positive")),
        sa.ForeignKeyConstraint(
            ["run_id"], ["backtest_runs.id"], name=op.f("fk_backtest_trades_run_id_backtest_runs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtest_trades")),
        sa.UniqueConstraint("run_id", "number", name=op.f("uq_backtest_trades_run_id_number")),
    )
    op.create_index("ix_backtest_trades_run_id_entry_ns", "backtest_trades", ["run_id", "entry_ns"])

    op.create_table(
        "balance_snapshots",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("exchange", sa.String(128), nullable=False),
        sa.Column("currency", sa.String(128), nullable=False),
        sa.Column("free_balance", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("locked_balance", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("total_balance", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("btc_value", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("usd_value", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "ABS(CAST(free_balance AS NUMERIC) + CAST(locked_balance AS NUMERIC) - CAST(total_balance AS NUMERIC)) <= CAST(total_balance AS NUMERIC) * 0.000000000001",
            name=op.f("ck_balance_snapshots_balance_sum"),
        ).ddl_if(dialect="sqlite"),
        sa.CheckConstraint("CAST(btc_value AS NUMERIC) >= 0", name=op.f("ck_balance_snapshots_btc_value_non_negative")),
        sa.CheckConstraint(
            "CAST(free_balance AS NUMERIC) >= 0", name=op.f("ck_balance_snapshots_free_balance_non_negative")
        ),
        sa.CheckConstraint(
            "CAST(locked_balance AS NUMERIC) >= 0", name=op.f("ck_balance_snapshots_locked_balance_non_negative")
        ),
        sa.CheckConstraint(
            "CAST(total_balance AS NUMERIC) >= 0", name=op.f("ck_balance_snapshots_total_balance_non_negative")
        ),
        sa.CheckConstraint("CAST(usd_value AS NUMERIC) >= 0", name=op.f("ck_balance_snapshots_usd_value_non_negative")),
        sa.CheckConstraint(
            "free_balance + locked_balance = total_balance", name=op.f("ck_balance_snapshots_balance_sum")
        ).ddl_if(dialect="postgresql"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_balance_snapshots_user_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_balance_snapshots")),
    )
    op.create_index(
        "ix_balance_snapshots_account_currency_timestamp", "balance_snapshots", ["account", "currency", "timestamp"]
    )
    op.create_index("ix_balance_snapshots_user_id_timestamp", "balance_snapshots", ["user_id", "timestamp"])

    op.create_table(
        "bot_instances",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("strategy_type", sa.String(32), nullable=False),
        sa.Column("strategy", sa.String(128), nullable=False),
        sa.Column("exchange", sa.String(128), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("config", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('stopped', 'starting', 'running', 'paused', 'stopping', 'recovering', 'error')",
            name=op.f("ck_bot_instances_status_word"),
        ),
        sa.CheckConstraint(
            "strategy_type IN ('static', 'dynamic', 'arbitrage', 'market_making', 'evolutionary', 'hybrid', 'ai_ml')",
            name=op.f("ck_bot_instances_strategy_type_word"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_bot_instances_user_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bot_instances")),
    )
    op.create_index("ix_bot_instances_status", "bot_instances", ["status"])
    op.create_index("ix_bot_instances_user_id_created_at", "bot_instances", ["user_id", "created_at"])
    op.create_index(
        "uq_bot_instances_name",
        "bot_instances",
        ["name"],
        unique=True,
        sqlite_where=sa.text("deleted_at IS NULL"),
        postgresql_where=sa.text("deleted_at IS NULL"),
    )

    op.create_table(
        "withdrawal_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("exchange", sa.String(128), nullable=False),
        sa.Column("currency", sa.String(128), nullable=False),
        sa.Column("amount", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("rules", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(4096), nullable=False),
        sa.CheckConstraint(
            "status IN ('requested', 'approved', 'refused', 'executed', 'canceled')",
            name=op.f("ck_withdrawal_requests_status_word"),
        ),
        sa.CheckConstraint("CAST(amount AS NUMERIC) > 0", name=op.f("ck_withdrawal_requests_amount_positive")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_withdrawal_requests_user_id_users"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawal_requests")),
    )
    op.create_index("ix_withdrawal_requests_account_requested_at", "withdrawal_requests", ["account", "requested_at"])
    op.create_index("ix_withdrawal_requests_status", "withdrawal_requests", ["status"])

    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("bot_id", sa.Uuid(), nullable=True),
        sa.Column("alert_type", sa.String(128), nullable=False),
        sa.Column("severity", sa.String(32), nullable=False),
        sa.Column("title", sa.String(128), nullable=False),
        sa.Column("message", sa.String(4096), nullable=False),
        sa.Column("metadata", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("is_read", sa.Boolean(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("severity IN ('critical', 'high', 'medium', 'low')", name=op.f("ck_alerts_severity_word")),
        sa.ForeignKeyConstraint(
            ["bot_id"], ["bot_instances.id"], name=op.f("fk_alerts_bot_id_bot_instances"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_alerts_user_id_users"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index("ix_alerts_bot_id_timestamp", "alerts", ["bot_id", "timestamp"])
    op.create_index("ix_alerts_is_read", "alerts", ["is_read"])
    op.create_index("ix_alerts_user_id_timestamp", "alerts", ["user_id", "timestamp"])

    op.create_table(
        "breaker_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("account", sa.String(128), nullable=True),
        sa.Column("bot_id", sa.Uuid(), nullable=True),
        sa.Column("cause", sa.String(4096), nullable=False),
        sa.Column("limit_value", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("actual_value", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("details", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cleared_by", sa.String(128), nullable=True),
        sa.Column("clear_reason", sa.String(4096), nullable=False),
        sa.CheckConstraint(
            "kind IN ('daily_loss', 'drawdown', 'volatility', 'model_confidence', 'error_rate')",
            name=op.f("ck_breaker_events_kind_word"),
        ),
        sa.CheckConstraint("state IN ('closed', 'open', 'half_open')", name=op.f("ck_breaker_events_state_word")),
        sa.CheckConstraint(
            "(cleared_at IS NULL) = (cleared_by IS NULL)", name=op.f("ck_breaker_events_cleared_by_somebody")
        ),
        sa.ForeignKeyConstraint(
            ["bot_id"], ["bot_instances.id"], name=op.f("fk_breaker_events_bot_id_bot_instances"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breaker_events")),
    )
    op.create_index("ix_breaker_events_account_occurred_at", "breaker_events", ["account", "occurred_at"])
    op.create_index("ix_breaker_events_bot_id_occurred_at", "breaker_events", ["bot_id", "occurred_at"])
    op.create_index("ix_breaker_events_kind_occurred_at", "breaker_events", ["kind", "occurred_at"])

    op.create_table(
        "capital_allocations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("strategy_id", sa.String(128), nullable=False),
        sa.Column("bot_id", sa.Uuid(), nullable=True),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("exchange", sa.String(128), nullable=False),
        sa.Column("allocated_amount", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("utilized_amount", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("available_amount", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("allocation_percentage", sa.Float(), nullable=False),
        sa.Column("last_rebalance", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "CAST(allocated_amount AS NUMERIC) >= 0", name=op.f("ck_capital_allocations_allocated_amount_non_negative")
        ),
        sa.CheckConstraint(
            "CAST(available_amount AS NUMERIC) >= 0", name=op.f("ck_capital_allocations_available_amount_non_negative")
        ),
        sa.CheckConstraint(
            "CAST(utilized_amount AS NUMERIC) <= CAST(allocated_amount AS NUMERIC)",
            name=op.f("ck_capital_allocations_utilized_amount_within_allocated_amount"),
        ),
        sa.CheckConstraint(
            "CAST(utilized_amount AS NUMERIC) >= 0", name=op.f("ck_capital_allocations_utilized_amount_non_negative")
        ),
        sa.CheckConstraint(
            "allocation_percentage >= 0 AND allocation_percentage <= 1",
            name=op.f("ck_capital_allocations_percentage_fraction"),
        ),
        sa.ForeignKeyConstraint(
            ["bot_id"],
            ["bot_instances.id"],
            name=op.f("fk_capital_allocations_bot_id_bot_instances"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_capital_allocations")),
        sa.UniqueConstraint(
            "strategy_id", "account", "exchange", name=op.f("uq_capital_allocations_strategy_id_account_exchange")
        ),
    )
    op.create_index("ix_capital_allocations_bot_id", "capital_allocations", ["bot_id"])

    op.create_table(
        "performance_metrics",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bot_id", sa.Uuid(), nullable=False),
        sa.Column("metric_date", sa.Date(), nullable=False),
        sa.Column("total_trades", sa.Integer(), nullable=False),
        sa.Column("winning_trades", sa.Integer(), nullable=False),
        sa.Column("losing_trades", sa.Integer(), nullable=False),
        sa.Column("realized_pnl", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("unrealized_pnl", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("total_pnl", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("fees", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("volume", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("win_rate", sa.Float(), nullable=True),
        sa.Column("sharpe_ratio", sa.Float(), nullable=True),
        sa.Column("profit_factor", sa.Float(), nullable=True),
        sa.Column("max_drawdown", sa.Float(), nullable=True),
        sa.CheckConstraint("CAST(volume AS NUMERIC) >= 0", name=op.f("ck_performance_metrics_volume_non_negative")),
        sa.CheckConstraint("max_drawdown >= 0", name=op.f("ck_performance_metrics_max_drawdown_non_negative")),
        sa.CheckConstraint(
            "total_trades >= winning_trades + losing_trades", name=op.f("ck_performance_metrics_trade_counts")
        ),
        sa.CheckConstraint("win_rate >= 0 AND win_rate <= 1", name=op.f("ck_performance_metrics_win_rate_fraction")),
        sa.CheckConstraint(
            "winning_trades >= 0 AND losing_trades >= 0", name=op.f("ck_performance_metrics_trade_counts_non_negative")
        ),
        sa.ForeignKeyConstraint(
            ["bot_id"],
            ["bot_instances.id"],
            name=op.f("fk_performance_metrics_bot_id_bot_instances"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_performance_metrics")),
        sa.UniqueConstraint("bot_id", "metric_date", name=op.f("uq_performance_metrics_bot_id_metric_date")),
    )
    op.create_index("ix_performance_metrics_metric_date", "performance_metrics", ["metric_date"])

    op.create_table(
        "positions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bot_id", sa.Uuid(), nullable=True),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("exchange", sa.String(128), nullable=False),
        sa.Column("symbol", sa.String(128), nullable=False),
        sa.Column("side", sa.String(32), nullable=False),
        sa.Column("quantity", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("entry_price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("current_price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("unrealized_pnl", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("stop_loss_price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.CheckConstraint("side IN ('long', 'short')", name=op.f("ck_positions_side_word")),
        sa.CheckConstraint("CAST(current_price AS NUMERIC) > 0", name=op.f("ck_positions_current_price_positive")),
        sa.CheckConstraint("CAST(entry_price AS NUMERIC) > 0", name=op.f("ck_positions_entry_price_positive")),
        sa.CheckConstraint("CAST(quantity AS NUMERIC) > 0", name=op.f("ck_positions_quantity_positive")),
        sa.CheckConstraint("CAST(stop_loss_price AS NUMERIC) > 0", name=op.f("ck_positions_stop_loss_price_positive")),
        sa.ForeignKeyConstraint(
            ["bot_id"], ["bot_instances.id"], name=op.f("fk_positions_bot_id_bot_instances"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_positions")),
    )
    op.create_index("ix_positions_account", "positions", ["account"])
    op.create_index("ix_positions_bot_id_created_at", "positions", ["bot_id", "created_at"])
    op.create_index("ix_positions_symbol_exchange", "positions", ["symbol", "exchange"])

    op.create_table(
        "trades",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bot_id", sa.Uuid(), nullable=True),
        sa.Column("account", sa.String(128), nullable=False),
        sa.Column("exchange", sa.String(128), nullable=False),
        sa.Column("symbol", sa.String(128), nullable=False),
        sa.Column("client_order_id", sa.String(128), nullable=True),
        sa.Column("side", sa.String(32), nullable=False),
        sa.Column("order_type", sa.String(32), nullable=False),
        sa.Column("quantity", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("executed_price", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.Column("fee", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=False),
        sa.Column("fee_currency", sa.String(128), nullable=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("pnl", sa.String(64).with_variant(sa.Numeric(38, 18), "postgresql"), nullable=True),
        sa.CheckConstraint(
            "order_type IN ('market', 'limit', 'stop_loss', 'take_profit')", name=op.f("ck_trades_order_type_word")
        ),
        sa.CheckConstraint("side IN ('buy', 'sell')", name=op.f("ck_trades_side_word")),
        sa.CheckConstraint(
            "status IN ('pending', 'submitted', 'unknown', 'accepted', 'partially_filled', 'filled', 'canceled', 'rejected', 'expired')",
            name=op.f("ck_trades_status_word"),
        ),
        sa.CheckConstraint("CAST(executed_price AS NUMERIC) > 0", name=op.f("ck_trades_executed_price_positive")),
        sa.CheckConstraint("CAST(price AS NUMERIC) > 0", name=op.f("ck_trades_price_positive")),
        sa.CheckConstraint("CAST(quantity AS NUMERIC) > 0", name=op.f("ck_trades_quantity_positive")),
        sa.ForeignKeyConstraint(
            ["bot_id"], ["bot_instances.id"], name=op.f("fk_trades_bot_id_bot_instances"), ondelete="RESTRICT"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trades")),
        sa.UniqueConstraint(
            "account", "exchange", "client_order_id", name=op.f("uq_trades_account_exchange_client_order_id")
        ),
    )
    op.create_index("ix_trades_account_created_at", "trades", ["account", "created_at"])
    op.create_index("ix_trades_bot_id_created_at", "trades", ["bot_id", "created_at"])
    op.create_index("ix_trades_status", "trades", ["status"])
    op.create_index("ix_trades_symbol_exchange", "trades", ["symbol", "exchange"])
    _protect_audit_log()
    _add_local_operator()


def downgrade() -> None:
    """Remove every table; their indexes and triggers go with them."""
    op.drop_table("trades")
    op.drop_table("positions")
    op.drop_table("performance_metrics")
    op.drop_table("capital_allocations")
    op.drop_table("breaker_events")
    op.drop_table("alerts")
    op.drop_table("withdrawal_requests")
    op.drop_table("bot_instances")
    op.drop_table("balance_snapshots")
    op.drop_table("backtest_trades")
    op.drop_table("backtest_equity")
    op.drop_table("audit_log")
    op.drop_table("users")
    op.drop_table("strategy_configs")
    op.drop_table("state_audit")
    op.drop_table("projection_cursors")
    op.drop_table("profit_locks")
    op.drop_table("pending_operations")
    op.drop_table("order_history")
    op.drop_table("ml_models")
    op.drop_table("fund_flows")
    op.drop_table("fill_history")
    op.drop_table("error_records")
    op.drop_table("error_patterns")
    op.drop_table("emergency_stops")
    op.drop_table("backtest_runs")
    op.drop_table("analytics_reports")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION refuse_audit_change()")


def _protect_audit_log() -> None:
    """Let rows of the audit log be added and nothing else."""
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_log_refuse_{action.lower()} BEFORE {action} ON audit_log "
                "BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit_log is append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_log_refuse_change BEFORE UPDATE OR DELETE ON audit_log "
        "FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()"
    )


def _add_local_operator() -> None:
    """Add the person at this machine, whom bots, alerts and audit rows refer to."""
    users = sa.table(
        "users",
        sa.column("id", sa.Uuid()),
        sa.column("username", sa.String()),
        sa.column("is_active", sa.Boolean()),
        sa.column("created_at", sa.DateTime(timezone=True)),
        sa.column("updated_at", sa.DateTime(timezone=True)),
    )
    # The first day of the schema, not the clock: every database starts with the same row.
    start = datetime(2026, 1, 1, tzinfo=UTC)
    operator = UUID("6f1d0a52-3c1e-4f0e-9a4b-5d1f0c7e2b90")
    op.bulk_insert(
        users,
        [{"id": operator, "username": "operator", "is_active": True, "created_at": start, "updated_at": start}],
    )

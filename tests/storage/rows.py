"""One valid row of every table, for tests that need some."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from storage import tables as t

if TYPE_CHECKING:
    from uuid import UUID

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
NS = 1_772_366_400_123_456_789

_Row = TypeVar("_Row", bound=t.Record)


def make(model: type[_Row], **values: Any) -> _Row:
    """Make a row from plain values, as a file or a wrong caller would give them."""
    return model(**values)


def bot(**changes: Any) -> t.BotInstanceRow:
    values: dict[str, Any] = {
        "name": "trend-1",
        "user_id": t.LOCAL_OPERATOR_ID,
        "strategy_type": "static",
        "strategy": "trend_following",
        "exchange": "SIM",
        "status": "stopped",
        "config": {"fast_ma": 20, "symbols": ["BTC/USDT"]},
    }
    return make(t.BotInstanceRow, **(values | changes))


def trade(**changes: Any) -> t.TradeRow:
    values: dict[str, Any] = {
        "account": "paper",
        "exchange": "SIM",
        "symbol": "BTC/USDT",
        "side": "buy",
        "order_type": "limit",
        "quantity": Decimal("0.5"),
        "price": Decimal("61234.56789"),
        "fee": Decimal("-0.001"),
        "fee_currency": "USDT",
        "status": "filled",
    }
    return make(t.TradeRow, **(values | changes))


def run(**changes: Any) -> t.BacktestRunRow:
    values: dict[str, Any] = {
        "run_hash": "ab" * 32,
        "strategy": "trend_following",
        "strategy_version": "1.0.0",
        "params": {"fast_ma": 20},
        "spec": {"symbol": "BTC/USDT"},
        "assumptions": {"slippage_bps": "1.5"},
        "status": "running",
        "started_at": NOON,
    }
    return make(t.BacktestRunRow, **(values | changes))


def order(**changes: Any) -> t.OrderHistoryRow:
    values: dict[str, Any] = {
        "client_order_id": "q1",
        "account": "paper",
        "venue": "SIM",
        "instrument": "SIM:BTC/USDT",
        "owner": "manual",
        "side": "sell",
        "type": "limit",
        "tif": "GTC",
        "quantity": Decimal("2"),
        "price": Decimal("61000"),
        "filled": Decimal("1.25"),
        "average_price": Decimal("61000.5"),
        "fees": {"USDT": "12.5"},
        "status": "canceled",
        "created_ns": NS,
        "closed_ns": NS + 1,
    }
    return make(t.OrderHistoryRow, **(values | changes))


def fill(**changes: Any) -> t.FillHistoryRow:
    values: dict[str, Any] = {
        "venue": "SIM",
        "account": "paper",
        "instrument": "SIM:BTC/USDT",
        "trade_id": "t1",
        "venue_order_id": "v1",
        "client_order_id": "q1",
        "owner": "manual",
        "side": "sell",
        "quantity": Decimal("1.25"),
        "price": Decimal("61000.5"),
        "fee": Decimal("12.5"),
        "fee_currency": "USDT",
        "liquidity": "taker",
        "ts_ns": NS,
    }
    return make(t.FillHistoryRow, **(values | changes))


def balance(**changes: Any) -> t.BalanceSnapshotRow:
    values: dict[str, Any] = {
        "user_id": t.LOCAL_OPERATOR_ID,
        "account": "paper",
        "exchange": "SIM",
        "currency": "USDT",
        "free_balance": Decimal("0.1"),
        "locked_balance": Decimal("0.2"),
        "total_balance": Decimal("0.3"),
    }
    return make(t.BalanceSnapshotRow, **(values | changes))


def examples(bot_id: UUID, run_id: UUID) -> list[t.Record]:
    """A valid row of every table but bots and runs, which these refer to."""
    return [*_of_bots(bot_id), *_of_history(bot_id, run_id), *_of_incidents(), *_of_capital(bot_id), *_of_quality()]


def _of_bots(bot_id: UUID) -> list[t.Record]:
    return [
        make(t.UserRow, username="gateway", email="one@example.org", password_hash="x" * 60),
        trade(bot_id=bot_id),
        make(
            t.PositionRow,
            bot_id=bot_id,
            account="paper",
            exchange="SIM",
            symbol="BTC/USDT",
            side="short",
            quantity=Decimal("0.00000001"),
            entry_price=Decimal(60000),
        ),
        balance(),
        make(t.StrategyConfigRow, name="calm", strategy_type="static", parameters={"fast": 5}, risk_parameters={}),
        make(
            t.MLModelRow, name="m", model_type="forest", file_path="models/m.skops", metrics={"auc": 0.6}, parameters={}
        ),
        make(
            t.PerformanceMetricsRow,
            bot_id=bot_id,
            metric_date=date(2026, 3, 1),
            total_trades=3,
            winning_trades=2,
            losing_trades=1,
            realized_pnl=Decimal("-1.5"),
            unrealized_pnl=Decimal(0),
            total_pnl=Decimal("-1.5"),
            fees=Decimal("0.25"),
            volume=Decimal(1000),
            win_rate=2 / 3,
        ),
    ]


def _of_history(bot_id: UUID, run_id: UUID) -> list[t.Record]:
    who = t.LOCAL_OPERATOR_ID
    return [
        make(t.AlertRow, user_id=who, bot_id=bot_id, alert_type="risk", severity="high", title="T", message="M"),
        make(
            t.AuditLogRow, user_id=who, action="bots.start", resource_type="bot", resource_id="b", new_value={"a": None}
        ),
        make(
            t.BacktestTradeRow,
            run_id=run_id,
            number=1,
            account="backtest",
            instrument="SIM:BTC/USDT",
            side="long",
            quantity=Decimal(1),
            entry_ns=NS,
            entry_price=Decimal(100),
            exit_ns=NS,
            exit_price=Decimal(90),
            pnl=Decimal("-10.1"),
            mae=Decimal(-11),
            entry_reason="crossover up",
            slippage=Decimal("0.5"),
        ),
        make(t.BacktestEquityRow, run_id=run_id, ts_ns=NS, equity=Decimal("9989.9")),
        make(
            t.BacktestAnalysisRow,
            run_id=run_id,
            kind="montecarlo",
            title="1,000 paths",
            params={"seed": 42},
            result={"total_return": [0.1, None]},
            seconds=1.5,
        ),
        make(
            t.BacktestStudyRow,
            study_hash="5d41",
            kind="sweep",
            strategy="trend_following",
            title="trend_following BTC/USDT 1h",
            spec={"run": {"strategy": "trend_following"}},
            summary={"tried": 2, "best": 0.5},
            result={"rows": [[1, 0.5], [2, None]]},
            complete=False,
            seconds=2.5,
        ),
        order(),
        fill(),
        make(t.ProjectionCursorRow, view="history", instance="k3", epoch=1, seq=2**53 + 1),
    ]


def _of_incidents() -> list[t.Record]:
    day = timedelta(days=1)
    seen = {"first_seen": NOON, "last_seen": NOON + day, "expires_at": NOON + 90 * day}
    return [
        make(
            t.ErrorRecordRow,
            severity="low",
            component="feed",
            error_type="DataError",
            message="m",
            context={"stack": []},
            **seen,
        ),
        make(t.ErrorPatternRow, pattern="p", component="feed", details={}, **seen),
        make(
            t.AnalyticsReportRow,
            kind="daily",
            period_start=NOON,
            period_end=NOON + day,
            content={},
            expires_at=NOON + 365 * day,
        ),
        make(t.StateAuditRow, check_name="position_quantity_sync", passed=False, discrepancy=Decimal("0.01")),
        make(t.PendingOperationRow, operation="cancel", payload={"id": "q1"}, status="pending"),
    ]


def _of_capital(bot_id: UUID) -> list[t.Record]:
    who, day, amount = t.LOCAL_OPERATOR_ID, timedelta(days=1), Decimal("100.000000000000000001")
    return [
        make(
            t.CapitalAllocationRow,
            strategy_id="s",
            bot_id=bot_id,
            account="paper",
            exchange="SIM",
            allocated_amount=amount,
            available_amount=amount,
            allocation_percentage=0.25,
            last_rebalance=NOON,
        ),
        make(t.FundFlowRow, account="paper", kind="deposit", currency="USDT", amount=amount, reason="start"),
        make(
            t.ProfitLockRow,
            account="paper",
            currency="USDT",
            amount=amount,
            status="locked",
            locked_at=NOON,
            unlocks_at=NOON + 90 * day,
        ),
        make(
            t.WithdrawalRequestRow,
            user_id=who,
            account="paper",
            exchange="SIM",
            currency="USDT",
            amount=amount,
            status="requested",
            rules={"profit_only": True},
            requested_at=NOON,
        ),
        make(
            t.BreakerEventRow, kind="drawdown", state="open", cause="c", details={"drawdown": "0.11"}, occurred_at=NOON
        ),
        make(t.EmergencyStopRow, scope="global", cause="c", triggered_by="operator", details={}, occurred_at=NOON),
    ]


def _of_quality() -> list[t.Record]:
    return [
        make(
            t.OrderQualityRow,
            client_order_id="q1",
            account="paper",
            instrument="SIM:BTC/USDT",
            owner="manual",
            trade="trade-7",
            created_ns=NS,
            ended_ns=0,
            record={"filled": "1.25"},
        ),
        make(
            t.TradeQualityRow,
            trade="trade-7",
            account="paper",
            instrument="SIM:BTC/USDT",
            owner="manual",
            opened_ns=NS,
            closed_ns=NS,
            record={"position": "0"},
        ),
    ]

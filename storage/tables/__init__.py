"""Every table of the product, defined once for both backends.

Class names end in `Row`: a row is a view's record, not the domain noun of the same name in `engine.model`.
"""

from __future__ import annotations

from storage.tables.backtests import (
    BacktestAnalysisRow,
    BacktestEquityRow,
    BacktestRunRow,
    BacktestStudyRow,
    BacktestTradeRow,
)
from storage.tables.base import METADATA, Record, StampedRecord
from storage.tables.bots import BotInstanceRow, MLModelRow, PerformanceMetricsRow, StrategyConfigRow
from storage.tables.capital import CapitalAllocationRow, FundFlowRow, ProfitLockRow, WithdrawalRequestRow
from storage.tables.history import FillHistoryRow, OrderHistoryRow, ProjectionCursorRow
from storage.tables.incidents import (
    AnalyticsReportRow,
    BreakerEventRow,
    EmergencyStopRow,
    ErrorPatternRow,
    ErrorRecordRow,
    PendingOperationRow,
    StateAuditRow,
)
from storage.tables.people import LOCAL_OPERATOR_ID, AlertRow, AuditLogRow, UserRow
from storage.tables.quality import OrderQualityRow, TradeQualityRow
from storage.tables.trading import BalanceSnapshotRow, PositionRow, TradeRow

__all__ = [
    "ALL_TABLES",
    "LOCAL_OPERATOR_ID",
    "METADATA",
    "AlertRow",
    "AnalyticsReportRow",
    "AuditLogRow",
    "BacktestAnalysisRow",
    "BacktestEquityRow",
    "BacktestRunRow",
    "BacktestStudyRow",
    "BacktestTradeRow",
    "BalanceSnapshotRow",
    "BotInstanceRow",
    "BreakerEventRow",
    "CapitalAllocationRow",
    "EmergencyStopRow",
    "ErrorPatternRow",
    "ErrorRecordRow",
    "FillHistoryRow",
    "FundFlowRow",
    "MLModelRow",
    "OrderHistoryRow",
    "OrderQualityRow",
    "PendingOperationRow",
    "PerformanceMetricsRow",
    "PositionRow",
    "ProfitLockRow",
    "ProjectionCursorRow",
    "Record",
    "StampedRecord",
    "StateAuditRow",
    "StrategyConfigRow",
    "TradeQualityRow",
    "TradeRow",
    "UserRow",
    "WithdrawalRequestRow",
]

ALL_TABLES: tuple[type[Record], ...] = (
    UserRow,
    BotInstanceRow,
    TradeRow,
    PositionRow,
    BalanceSnapshotRow,
    StrategyConfigRow,
    MLModelRow,
    PerformanceMetricsRow,
    AlertRow,
    AuditLogRow,
    BacktestRunRow,
    BacktestTradeRow,
    BacktestEquityRow,
    OrderHistoryRow,
    FillHistoryRow,
    ProjectionCursorRow,
    ErrorRecordRow,
    ErrorPatternRow,
    AnalyticsReportRow,
    StateAuditRow,
    PendingOperationRow,
    CapitalAllocationRow,
    FundFlowRow,
    ProfitLockRow,
    WithdrawalRequestRow,
    BreakerEventRow,
    EmergencyStopRow,
    OrderQualityRow,
    TradeQualityRow,
    BacktestAnalysisRow,
    BacktestStudyRow,
)

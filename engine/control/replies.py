"""What is answered and what is watched: the type of every operation's reply and of every topic's data.

A program at the other end of a socket reads messages by this table. It imports nothing of the engine but its nouns, so
that a console or a command starts at once.
"""

from __future__ import annotations

from typing import Any

from engine.control import (
    views,
    views_errors,
    views_guards,
    views_keys,
    views_live,
    views_margin,
    views_orders,
    views_recordings,
    views_records,
    views_replay,
    views_state,
    views_venues,
)
from engine.model.candle import Candle

__all__ = ["FACTS", "REPLIES", "TOPICS", "reply_type", "topic_type"]

REPLIES: dict[str, Any] = {
    "alerts.acknowledge": str,
    "alerts.channels": list[views_records.ChannelRow],
    "alerts.list": views_records.AlertPage,
    "alerts.test": list[views_records.ChannelRow],
    "api.describe": dict[str, Any],
    "backup.create": views.JobRow,
    "backup.list": list[views_records.BackupRow],
    "backtests.data": list[views.DatasetRow],
    "backtests.delete": str,
    "backtests.export": str,
    "backtests.get": views.BacktestView,
    "backtests.list": list[views.BacktestRow],
    "backtests.report": dict[str, Any],
    "backtests.run": views.JobRow,
    "bots.configure": views.BotRow,
    "bots.create": views.BotRow,
    "bots.delete": str,
    "bots.get": views.BotRow,
    "bots.list": list[views.BotRow],
    "bots.pause": views.BotRow,
    "bots.resume": views.BotRow,
    "bots.start": views.BotRow,
    "bots.stop": views.BotRow,
    "clients.list": list[views_records.ClientRow],
    "config.get": list[views_records.SettingRow],
    "config.set": views_records.ConfigChange,
    "data.delete": str,
    "data.download": views.JobRow,
    "data.export": str,
    "data.import": views.JobRow,
    "data.list": list[views.DatasetRow],
    "engine.feeds": list[views.FeedRow],
    "engine.handover": views_records.HandoverRow,
    "engine.restart": str,
    "engine.status": views.EngineStatus,
    "engine.stop": str,
    "errors.list": views_errors.ErrorPage,
    "errors.patterns": list[views_errors.PatternRow],
    "errors.recoveries": list[views_errors.RecoveryRow],
    "errors.reports": list[views_errors.ErrorReport],
    "facts.since": list[views.Activity],
    "health.components": list[views.HealthRow],
    "health.live": views_records.Readiness,
    "health.ready": views_records.Readiness,
    "instruments.list": list[views.InstrumentRow],
    "instruments.search": list[views_venues.FoundInstrument],
    "instruments.unwatch": str,
    "instruments.watch": views.InstrumentRow,
    "jobs.cancel": views.JobRow,
    "jobs.get": views.JobRow,
    "jobs.list": list[views.JobRow],
    "keys.add": views_keys.KeysView,
    "keys.list": views_keys.KeysView,
    "keys.lock": views_keys.KeysView,
    "keys.passphrase": views_keys.KeysView,
    "keys.reload": views_keys.KeysView,
    "keys.remove": views_keys.KeysView,
    "keys.rotate": views_keys.KeysView,
    "keys.unlock": views_keys.KeysView,
    "keys.test": views_keys.KeyTest,
    "live.arm": views_live.LiveView,
    "live.consent": views_live.LiveView,
    "live.disarm": views_live.LiveView,
    "live.status": views_live.LiveView,
    "live.withdraw": views_live.LiveView,
    "logs.tail": list[views_records.LogLine],
    "margin.set": views_margin.MarginView,
    "margin.show": views_margin.MarginView,
    "market.book": views.BookView,
    "market.candles": list[Candle],
    "market.tickers": list[views.TickerRow],
    "market.trades": views.TradesView,
    "orders.cancel": views.OrderRow,
    "orders.cancel_all": list[views.OrderRow],
    "orders.fill_history": views.FillHistoryView,
    "orders.fills": list[views.FillRow],
    "orders.history": views.OrderHistoryView,
    "orders.list": list[views.OrderRow],
    "orders.place": views.OrderRow,
    "orders.place_exits": list[views.OrderRow],
    "orders.preview": views.OrderPreview,
    "orders.preview_exits": views_orders.ExitsPreview,
    "orders.replace": views.OrderRow,
    "portfolio.balances": list[views.BalanceRow],
    "portfolio.close": list[views.OrderRow],
    "portfolio.history": list[views.EquityPoint],
    "portfolio.overview": views.PortfolioOverview,
    "portfolio.positions": list[views.PositionRow],
    "recordings.candles": views.JobRow,
    "recordings.delete": str,
    "recordings.list": list[views_recordings.RecordingRow],
    "recovery.report": list[views_state.RecoveryView],
    "replay.pause": views_replay.ReplayView,
    "replay.play": views_replay.ReplayView,
    "replay.seek": views_replay.ReplayView,
    "replay.sessions": list[views_replay.SessionRow],
    "replay.state": views_replay.ReplayView,
    "replay.step": views_replay.ReplayView,
    "risk.alerts": views_records.AlertPage,
    "risk.emergency_stop": views.RiskView,
    "risk.halt": views.RiskView,
    "risk.limits": list[views.LimitRow],
    "risk.lock": list[views_guards.LockRow],
    "risk.locks": list[views_guards.LockRow],
    "risk.overview": views.RiskView,
    "risk.recovery": list[views_guards.RecoveryStepRow],
    "risk.reset_breaker": views.RiskView,
    "risk.resume": views.RiskView,
    "risk.set_limits": views.RiskView,
    "risk.trip_breaker": views.RiskView,
    "risk.unlock": list[views_guards.LockRow],
    "state.audit": views_state.StateAuditPage,
    "state.check": views_state.StateCheckView,
    "strategies.backtest": views.JobRow,
    "strategies.config": views.StrategyRow,
    "strategies.list": list[views.StrategyRow],
    "strategies.load": views.StrategyRow,
    "strategies.performance": views_records.StrategyPerformance,
    "trades.list": views_records.TradeHistoryView,
    "venues.list": list[views_venues.VenueRow],
}
"""Operation -> type of its reply."""

TOPICS: dict[str, Any] = {
    "bots.state": tuple[views.BotRow, ...],
    "engine.status": views.EngineStatus,
    "errors.notices": tuple[views_errors.NoticeRow, ...],
    "jobs.state": tuple[views.JobRow, ...],
    "market.book": views.BookView,
    "market.candles": views.CandleView,
    "market.tickers": tuple[views.TickerRow, ...],
    "market.trades": views.TradesView,
    "orders.open": tuple[views.OrderRow, ...],
    "portfolio.balances": tuple[views.BalanceRow, ...],
    "portfolio.overview": views.PortfolioOverview,
    "portfolio.positions": tuple[views.PositionRow, ...],
    "replay.state": views_replay.ReplayView,
    "risk.state": views.RiskView,
    "venues.state": tuple[views_venues.VenueRow, ...],
}
"""Topic of state -> type of its data."""

FACTS: dict[str, Any] = {
    "facts.activity": views.Activity,
    "orders.fills": views.FillRow,
}
"""Topic of facts -> type of one of them."""


def reply_type(operation: str) -> Any:
    """What an operation answers with; anything at all for one that this release does not know."""
    return REPLIES.get(operation, Any)


def topic_type(topic: str) -> Any:
    """What a topic's messages carry: the whole of a state, or one fact."""
    return FACTS[topic] if topic in FACTS else TOPICS.get(topic, Any)

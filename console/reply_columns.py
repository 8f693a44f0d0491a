"""Which figures of a reply a person is shown, in which order, and in which unit; `--json` has everything."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COLUMNS", "FACTORS", "FRACTIONS", "GAINS", "MEANS", "NAMES", "TIMES", "Column"]


class Column(NamedTuple):
    """One column of a table."""

    field: str
    """A point leads into a part: `standing.leverage`."""
    head: str = ""
    """What it is called; empty for the field's name in words."""
    unit: str = ""
    """`base` or `quote` of the row's instrument, or the field that names a currency; empty for none."""
    if_differs: bool = False
    """Shown only where the rows differ in it, as the account is not told of rows that are all of one."""
    if_any: bool = False
    """Shown only where a row has it, as spot has no leverage."""


TIMES = frozenset(
    {
        "ts", "created", "updated", "started", "now", "since", "opened", "finished", "start", "end", "heartbeat",
        "locked_at", "unlocks_at", "asked_at", "next_rebalancing", "next_settlement",
        "last_bar_ts", "last_signal_ts", "entry_time", "exit_time", "acknowledged", "resolved", "added", "rotated",
    }
)  # fmt: skip
"""Whole numbers of these names are UTC nanoseconds."""

FRACTIONS = frozenset(
    {
        "share", "total_return", "max_drawdown", "current_drawdown", "win_rate", "maker_fee", "taker_fee", "covered",
        "fill_rate", "fill_rate_target",
        "largest", "largest_three", "target_share", "deviation", "exposure", "after", "utilisation", "efficiency",
    }
)  # fmt: skip
"""Figures of these names, and those that end in `_pct`, are fractions of 1."""

FACTORS = frozenset({"leverage"})
"""Figures of these names are times of something: they have no currency."""

NAMES = frozenset({"pid", "seq", "durable_seq", "epoch", "fact"})
"""Whole numbers that name something: they are not grouped."""

MEANS = frozenset({"entry_price", "average_price"})
"""Prices of these names are quotients and may never end; they are shown with ten digits."""

GAINS = frozenset(
    {
        "realised",
        "unrealised",
        "pnl",
        "pnl_pct",
        "unrealised_pct",
        "day_change",
        "day_change_pct",
        "change_pct",
        "total_pnl",
    }
)
"""Figures that are shown with their sign."""

C = Column
ACCOUNT = C("account", if_differs=True)
COLUMNS: dict[str, tuple[Column, ...]] = {
    "OrderRow": (
        C("client_id", "id"), C("created"), C("owner_name", "owner"), ACCOUNT, C("instrument"), C("side"), C("type"),
        C("quantity", unit="base"), C("filled", unit="base"), C("price", unit="quote"),
        C("stop_price", "stop", "quote"), C("average_price", "average", "quote"), C("status"), C("reason"),
    ),
    "OrderPreview": (
        C("quantity", unit="base"), C("price", unit="quote"), C("stop_price", unit="quote"),
        C("expected_price", unit="quote"), C("available", unit="available_currency"),
    ),
    "FillRow": (
        C("ts", "time"), C("owner_name", "owner"), ACCOUNT, C("instrument"), C("side"), C("quantity", unit="base"),
        C("price", unit="quote"), C("fee", unit="fee_currency"), C("liquidity"), C("client_id", "order"),
    ),
    "PositionRow": (
        C("instrument"), ACCOUNT, C("owner_name", "owner"), C("quantity", unit="base"),
        C("entry_price", "entry", "quote"), C("mark", unit="quote"),
        C("standing.leverage", "leverage", if_any=True),
        C("standing.liquidation_price", "liquidation", "quote", if_any=True), C("value", unit="settle"),
        C("unrealised", unit="settle"), C("unrealised_pct", "%"),
        C("realised", unit="settle"), C("fees", unit="settle"), C("stop_price", "stop", "quote"),
        C("stop_quantity", "stop covers", "base", if_any=True), C("opened"),
    ),
    "BalanceRow": (
        C("currency"), ACCOUNT, C("total"), C("free"), C("reserved"), C("value"), C("share"),
    ),
    "BotRow": (
        C("name"), C("id"), C("strategy"), ACCOUNT, C("instrument"), C("timeframe"), C("state"),
        C("capital", unit="currency"), C("position", unit="base"), C("pnl", unit="currency"), C("pnl_pct", "%"),
        C("fills"), C("last_signal"),
        C("reason"),
    ),
    "PoolRow": (
        C("name"), C("account", if_differs=True), C("strategy"), C("state"), C("value", unit="currency"), C("share"),
        C("capital", unit="currency"), C("used", unit="currency"), C("free", unit="currency"), C("days"), C("notes"),
    ),
    "FlowRow": (
        C("ts", "time"), C("account", if_differs=True), C("kind"), C("source", "from"), C("target", "to"),
        C("amount", unit="currency"), C("reason"), C("actor", "by"),
    ),
    "LedgerRow": (C("seq"), C("ts", "time"), C("kind"), C("place"), C("amount", unit="currency"), C("words")),
    "InstrumentRow": (
        C("id"), C("kind"), C("price_tick", unit="quote"), C("lot", unit="base"), C("min_quantity", unit="base"),
        C("min_notional", unit="quote"), C("maker_fee"), C("taker_fee"),
    ),
    "FoundInstrument": (
        C("id"), C("kind"), C("price_tick", "tick", "quote"), C("lot", unit="base"), C("min_notional", unit="quote"),
        C("maker_fee"), C("taker_fee"), C("watched"),
    ),
    "VenueRow": (
        C("id", "venue"), C("mode"), C("state"), C("live_markets", "live"), C("markets"), C("latency_ms", "latency"),
        C("clock_offset_ms", "clock"), C("heard_ms", "age"), C("open_orders", "orders"), C("instruments"), C("reason"),
    ),
    "TickerRow": (
        C("instrument"), C("bid", unit="quote"), C("ask", unit="quote"), C("last", unit="quote"),
        C("change_pct", "24 h"), C("high", unit="quote"), C("low", unit="quote"), C("volume", unit="base"),
        C("ts", "as of"),
    ),
    "FeedRow": (C("instrument"), C("live"), C("last", "last event"), C("updates"), C("gaps")),
    "Activity": (C("seq"), C("ts", "time"), C("severity"), C("kind"), C("text")),
    "JobRow": (
        C("id"), C("kind"), C("title"), C("state"), C("progress"), C("started"), C("finished"), C("message"),
        C("result"),
    ),
    "HealthRow": (C("component"), C("state"), C("summary")),
    "LimitRow": (C("label", "limit"), C("used"), C("limit", "allowed"), C("share", "use"), C("level")),
    "BreakerRow": (C("name"), C("open"), C("value"), C("threshold"), C("since"), C("reason")),
    "MethodRow": (
        C("method"), C("var_1d_pct", "VaR 1 d"), C("var_1d", "money"), C("var_5d_pct", "VaR 5 d"),
        C("es_1d_pct", "ES 1 d"), C("es_1d", "money"), C("es_5d_pct", "ES 5 d"), C("note"),
    ),
    "MetricsPoint": (
        C("ts", "time"), C("level"), C("equity"), C("exposure"), C("var_1d_pct", "VaR 1 d"),
        C("var_5d_pct", "VaR 5 d"), C("es_1d_pct", "ES 1 d"), C("current_drawdown", "drawdown"), C("sharpe"),
    ),
    "RegimeRow": (
        C("scope"), C("volatility"), C("trend"), C("correlation"), C("since"), C("fresh"), C("reading"),
    ),
    "AdaptedRow": (C("scope"), C("label", "what"), C("base", "set"), C("value", "adapted"), C("cause")),
    "StressRow": (C("label", "scenario"), C("loss"), C("loss_pct", "of equity"), C("breached", "breaks"), C("note")),
    "StrategyRow": (C("name"), C("version"), C("kind"), C("timeframe"), C("source"), C("description")),
    "ParamRow": (C("name"), C("type"), C("default"), C("minimum"), C("maximum"), C("help")),
    "BacktestRow": (
        C("id"), C("created"), C("strategy"), C("instrument"), C("timeframe"), C("start"), C("end"), C("trades"),
        C("total_return", "return"), C("sharpe"), C("max_drawdown", "drawdown"), C("win_rate"), C("passed"),
    ),
    "TradeScore": (
        C("id"), C("opened"), C("owner_name", "owner"), ACCOUNT, C("instrument"), C("side"), C("quantity", unit="base"),
        C("entry_price", "entry", "quote"), C("exit_price", "exit", "quote"), C("pnl", unit="currency"),
        C("attribution.signal", "signal", "currency"), C("attribution.timing", "timing", "currency"),
        C("attribution.execution", "execution", "currency"), C("attribution.fees", "fees", "currency"),
        C("attribution.funding", "funding", "currency", if_any=True), C("slippage_bps", "slip bps"), C("score"),
    ),
    "GroupQuality": (
        C("name"), C("orders"), C("value", unit="currency"), C("shortfall", "cost", "currency"),
        C("shortfall_bps", "bps"), C("delay_bps", "delay bps"), C("fill_rate", "filled"), C("ack_ms", "answer ms"),
        C("fill_ms", "first fill ms"), C("poor"), C("score"),
    ),
    "OrderScore": (
        C("order.client_id", "id"), C("order.side", "side"), C("order.type", "type"), C("order.filled", "filled"),
        C("order.decision", "decision"), C("order.arrival", "arrival"), C("shortfall", "cost"),
        C("shortfall_bps", "bps"), C("score"),
    ),
    "RoundTripRow": (
        C("entry_time", "entered"), C("exit_time", "closed"), C("owner_name", "owner"), C("instrument"), C("side"),
        C("quantity", unit="base"), C("entry_price", "entry", "quote"), C("exit_price", "exit", "quote"),
        C("fees", unit="currency"), C("pnl", unit="currency"),
    ),
    "StrategyFigures": (
        C("total_trades", "trades"), C("winning_trades", "won"), C("losing_trades", "lost"), C("win_rate"),
        C("total_pnl", "profit", "currency"), C("fees", unit="currency"), C("profit_factor"),
        C("sharpe_ratio", "Sharpe"), C("max_drawdown", "drawdown"), C("capital", unit="currency"),
    ),
    "AlertEntry": (
        C("ts", "time"), C("severity"), C("kind"), C("title"), C("message"), C("acknowledged", "seen"), C("id"),
    ),
    "SettingRow": (C("key", "setting"), C("value"), C("default"), C("source"), C("help", "what it is")),
    "SettingChange": (C("key", "setting"), C("before"), C("after"), C("effect", "takes effect")),
    "LogLine": (C("ts", "time"), C("level"), C("logger"), C("event"), C("fields")),
    "Candle": (C("ts", "open time"), C("open"), C("high"), C("low"), C("close"), C("volume")),
}  # fmt: skip
"""Name of a view -> the columns of its table. Views that are not named show all their plain fields."""

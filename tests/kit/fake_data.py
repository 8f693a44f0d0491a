"""One afternoon at the paper market, as the doors would show it: fixed, complete and a little wild in its corners."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import msgspec

from engine.control import views, views_errors
from engine.control.views_bots import BotHealth, BotSetup
from engine.control.views_guards import BreakerRow
from engine.model.account import TradingMode
from engine.model.entries import BotState, TradingState
from engine.model.ids import MANUAL, AccountId, ClientOrderId, Currency, InstrumentId, Owner, VenueId
from engine.model.limits import RiskLimits
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType, TimeInForce
from tests.kit import fake_algos, fake_dust, fake_keys, fake_risk, fake_studies
from tests.kit.fake_exits import preview_exits
from tests.kit.fake_market import DAY, HOUR, MINUTE, NOW, NS, SIM, SYMBOLS, instrument, instrument_rows, tickers
from tests.kit.fake_venues import venues

__all__ = ["PAPER", "backtest", "dataset", "order"]

USDT = Currency("USDT")
PAPER = AccountId("paper")
TREND, REVERT, BROKEN, IDLE = (Owner(f"bot-{name}") for name in ("trend", "revert", "broken", "idle"))
D = Decimal


def order(client_id: str, symbol: str, side: OrderSide, kind: OrderType, quantity: str, **more: Any) -> views.OrderRow:
    """An order with the usual values for what is not said."""
    values: dict[str, Any] = {
        "venue_order_id": f"V{client_id[1:]}",
        "account": PAPER,
        "owner": MANUAL,
        "owner_name": "manual",
        "tif": TimeInForce.GTC,
        "filled": D(0),
        "price": None,
        "stop_price": None,
        "average_price": None,
        "status": OrderStatus.ACCEPTED,
        "cancel_requested": False,
        "reduce_only": False,
        "post_only": False,
        "created": NOW - 7 * MINUTE,
        "updated": NOW - 7 * MINUTE,
        "reason": "manual order",
    }
    for name in ("price", "stop_price", "filled", "average_price"):
        if name in more:
            more[name] = D(more[name])
    return views.OrderRow(
        client_id=ClientOrderId(client_id),
        instrument=instrument(symbol),
        side=side,
        type=kind,
        quantity=D(quantity),
        **{**values, **more},
    )


def open_orders() -> list[views.OrderRow]:
    """Five working orders, of the person and of bots."""
    buy, sell = OrderSide.BUY, OrderSide.SELL
    partly = {"filled": "0.04", "average_price": "67445.20", "status": OrderStatus.PARTIALLY_FILLED}
    trend = {"owner": TREND, "owner_name": "trend-btc", "reason": "stop of the position"}
    return [
        order("o1001", "BTC/USDT", buy, OrderType.LIMIT, "0.05", price="67430.60"),
        order("o1002", "BTC/USDT", sell, OrderType.LIMIT, "0.1", price="67431.80", created=NOW - 41 * MINUTE, **partly),
        order("o1003", "BTC/USDT", sell, OrderType.STOP_LOSS, "0.02", stop_price="66100.00", reduce_only=True, **trend),
        order(
            "o1004", "ETH/USDT", buy, OrderType.LIMIT, "1.5", price="3480.00", post_only=True, created=NOW - 3 * HOUR
        ),
        order(
            "o1005", "SOL/USDT", sell, OrderType.LIMIT, "12", price="152.00", status=OrderStatus.PENDING, created=NOW
        ),
    ]


def fills() -> list[views.FillRow]:
    """Executions, newest first."""
    rows = []
    told = (
        ("BTC/USDT", OrderSide.BUY, "67210.40", "0.06", MANUAL, "manual", 4),
        ("BTC/USDT", OrderSide.SELL, "67445.20", "0.04", MANUAL, "manual", 11),
        ("ETH/USDT", OrderSide.BUY, "3498.10", "0.8", REVERT, "revert-eth", 38),
        ("BTC/USDT", OrderSide.BUY, "66890.00", "0.02", TREND, "trend-btc", 95),
    )
    for number, (symbol, side, price, quantity, owner, name, minutes) in enumerate(told):
        rows.append(
            views.FillRow(
                seq=9_120 - number * 7,
                ts=NOW - minutes * MINUTE,
                instrument=instrument(symbol),
                owner=owner,
                owner_name=name,
                side=side,
                price=D(price),
                quantity=D(quantity),
                fee=(D(price) * D(quantity) * D("0.001")).quantize(D("0.000001")),
                fee_currency=USDT,
                liquidity=Liquidity.MAKER if number % 2 else Liquidity.TAKER,
                client_id=ClientOrderId(f"o09{90 - number}"),
            )
        )
    return rows


def positions() -> tuple[views.PositionRow, ...]:
    """Three open positions of different owners."""

    def row(symbol: str, owner: Owner, name: str, quantity: str, entry: str, mark: str, **more: Any) -> Any:
        profit = (D(mark) - D(entry)) * D(quantity)
        return views.PositionRow(
            account=PAPER,
            instrument=instrument(symbol),
            owner=owner,
            owner_name=name,
            quantity=D(quantity),
            entry_price=D(entry),
            mark=D(mark),
            value=D(mark) * D(quantity),
            unrealised=profit,
            unrealised_pct=float(profit / (D(entry) * abs(D(quantity)))),
            realised=D(more.get("realised", 0)),
            fees=D("4.03"),
            stop_price=D(more["stop"]) if "stop" in more else None,
            opened=NOW - more.get("minutes", 60) * MINUTE,
            settle=USDT,
        )

    return (
        row("BTC/USDT", MANUAL, "manual", "0.06", "67210.40", "67431.05", realised="9.39", minutes=4),
        row("BTC/USDT", TREND, "trend-btc", "0.02", "66890.00", "67431.05", stop="66100.00", minutes=95),
        row("ETH/USDT", REVERT, "revert-eth", "0.8", "3528.10", "3512.42", minutes=38),
    )


def balances() -> tuple[views.BalanceRow, ...]:
    """What the account holds."""

    def row(currency: str, total: str, reserved: str, value: str | None) -> views.BalanceRow:
        return views.BalanceRow(
            currency=Currency(currency),
            free=D(total) - D(reserved),
            reserved=D(reserved),
            total=D(total),
            value=D(value) if value else None,
            share=float(D(value) / D("10040.44")) if value else None,
        )

    return (
        row("USDT", "1736.10", "3371.47", "1736.10"),
        row("BTC", "0.08", "0.06", "5394.48"),
        row("ETH", "0.8", "0", "2809.94"),
        row("SOL", "0.67", "0", "99.92"),
        row("XYZ", "12", "0", None),
    )


def overview() -> views.PortfolioOverview:
    """The account in figures."""
    return views.PortfolioOverview(
        account=PAPER,
        currency=USDT,
        equity=D("10040.44"),
        cash=D("1736.10"),
        exposure=D("8204.42"),
        exposure_pct=0.8171,
        unrealised=D("11.52"),
        realised=D("48.31"),
        fees=D("19.39"),
        day_change=D("31.20"),
        day_change_pct=0.00312,
        drawdown_pct=0.0041,
        peak=D("10081.77"),
        open_positions=3,
        running_bots=2,
        deposits=D(10_000),
    )


def history(count: int = 288, span: int = DAY) -> list[views.EquityPoint]:
    """Equity over time, ending at the present."""
    rng, equity, rows = random.Random("equity"), 10_000.0, []
    for index in range(count):
        equity += rng.gauss(0.14, 4.2)
        rows.append(views.EquityPoint(ts=NOW - span + (index + 1) * span // count, equity=round(equity, 2)))
    shift = 10_040.44 - rows[-1].equity
    return [views.EquityPoint(ts=row.ts, equity=round(row.equity + shift, 2)) for row in rows]


def strategies() -> list[views.StrategyRow]:
    """Two built-in strategies and one of the user's own."""

    def param(
        name: str, kind: str, default: str, low: str, high: str, help_: str, choices: tuple[str, ...] = ()
    ) -> Any:
        return views.ParamRow(
            name=name, type=kind, default=default, minimum=low, maximum=high, choices=choices, help=help_
        )

    trend = (
        param("fast_ma", "int", "20", "2", "200", "Bars of the fast average."),
        param("slow_ma", "int", "50", "5", "400", "Bars of the slow average; longer than the fast one."),
        param("average", "str", "ema", "", "", "Kind of average.", ("sma", "ema")),
        param("stop_atr", "float", "2.0", "0.5", "10", "Distance of the stop in average true ranges."),
        param("long_only", "bool", "true", "", "", "Never sell short."),
    )
    revert = (
        param("window", "int", "20", "5", "200", "Bars of the mean."),
        param("entry_z", "float", "2.0", "0.5", "5", "Deviations from the mean at which it enters."),
    )

    def row(name: str, description: str, params: tuple[Any, ...], source: str = "built-in") -> views.StrategyRow:
        return views.StrategyRow(
            name=name,
            version="1",
            kind="signal",
            description=description,
            timeframe="1m",
            symbols=("BTC/USDT", "ETH/USDT"),
            source=source,
            params=params,
        )

    return [
        row("trend_following", "Follows the crossing of two averages with a trailing stop.", trend),
        row("mean_reversion", "Buys far below the mean and sells far above it.", revert),
        row("my_breakout", "A strategy file of one's own.", (), "strategies/my_breakout.py"),
    ]


def bots() -> tuple[views.BotRow, ...]:
    """Four bots in four states."""

    def row(owner: Owner, name: str, strategy: str, symbol: str, state: BotState, **more: Any) -> views.BotRow:
        values: dict[str, Any] = {
            "reason": "",
            "since": NOW - 95 * MINUTE,
            "position": D(0),
            "realised": D(0),
            "unrealised": D(0),
            "fees": D(0),
            "fills": 0,
            "signals": 0,
            "refusals": 0,
            "last_signal": "",
            "last_signal_ts": 0,
            "heartbeat": 0,
        } | more
        pnl = values["realised"] + values["unrealised"] - values["fees"]
        return views.BotRow(
            id=owner,
            name=name,
            strategy=strategy,
            strategy_version="1",
            instrument=instrument(symbol),
            timeframe="1m",
            state=state,
            created=NOW - 2 * DAY,
            capital=D(2_000),
            currency=USDT,
            pnl=pnl,
            pnl_pct=float(pnl / 2_000),
            last_bar_ts=NOW // MINUTE * MINUTE - MINUTE,
            params={"fast_ma": 20, "slow_ma": 50, "long_only": True},
            **values,
        )

    running, alive = BotState.RUNNING, NOW - NS
    return (
        row(
            TREND, "trend-btc", "trend_following", "BTC/USDT", running, position=D("0.02"), realised=D("21.40"),
            unrealised=D("10.82"), fees=D("4.11"), fills=14, signals=9, heartbeat=alive, last_signal="enter long",
            last_signal_ts=NOW - 95 * MINUTE,
            setup=BotSetup(isolation="process", priority=7, risk={"max_position_size_pct": "0.05"}),
            health=BotHealth(
                alive=True, memory_mb=812.0, memory_limit_mb=1024, cpu_share=0.042, cpu_limit=1.0, storage_mb=0.2,
                storage_limit_mb=1024,
            ),
        ),
        row(
            REVERT, "revert-eth", "mean_reversion", "ETH/USDT", running, position=D("0.8"), realised=D("-3.20"),
            unrealised=D("-12.54"), fees=D("2.80"), fills=6, signals=4, refusals=1, heartbeat=alive,
            last_signal="enter long", last_signal_ts=NOW - 38 * MINUTE,
        ),
        row(
            BROKEN, "breakout-sol", "my_breakout", "SOL/USDT", BotState.ERROR, heartbeat=NOW - 12 * MINUTE,
            reason="ZeroDivisionError in on_bar: float division by zero", since=NOW - 12 * MINUTE,
            health=BotHealth(tries=2, next_try=NOW + 40 * NS, looked_after=True),
        ),
        row(IDLE, "revert-bnb", "mean_reversion", "BNB/USDT", BotState.STOPPED, since=NOW - DAY),
    )  # fmt: skip


def risk() -> views.RiskView:
    """Limits in use, one of them close, and a breaker at rest."""

    def limit(name: str, label: str, used: str, allowed: str, share: float | None, level: str) -> views.LimitRow:
        return views.LimitRow(name=name, label=label, used=used, limit=allowed, share=share, level=level)

    def breaker(name: str, label: str, value: str, threshold: str, share: float) -> BreakerRow:
        return BreakerRow(
            name=name, label=label, open=False, value=value, threshold=threshold, share=share, since=0, reason=""
        )

    return views.RiskView(
        trading=TradingState.ACTIVE,
        reason="",
        actor="",
        since=NOW - DAY,
        level="medium",
        limits=(
            limit("max_portfolio_exposure", "Exposure", "81.7 %", "100.0 %", 0.817, "high"),
            limit("max_position_size_pct", "Largest position", "53.7 %", "60.0 %", 0.895, "high"),
            limit("max_total_positions", "Open positions", "3", "10", 0.3, "low"),
            limit("max_daily_loss_pct", "Daily loss", "0.0 %", "5.0 %", 0.0, "low"),
            limit("max_drawdown_pct", "Drawdown", "0.4 %", "15.0 %", 0.027, "low"),
            limit("orders_per_minute", "Order rate", "2", "60", 0.033, "low"),
            limit("correlation", "Correlation", "unknown", "0.80", None, "low"),
            limit("max_account_exposure", "Account", "8,170.00 USDT", "10,000.00 USDT", 0.817, "high"),
            limit("max_venue_exposure", "Venue (SIM)", "8,170.00 USDT", "10,000.00 USDT", 0.817, "high"),
            limit("max_strategy_exposure", "Bot (bot1)", "1,200.00 USDT", "10,000.00 USDT", 0.12, "low"),
            limit("max_class_exposure", "Asset class (bitcoin)", "2,400.00 USDT", "2,500.00 USDT", 0.96, "high"),
            limit("max_currency_exposure", "Currency (BTC)", "2,400.00 USDT", "5,000.00 USDT", 0.48, "low"),
            limit("max_correlated_exposure", "Moving together", "3,100.00 USDT", "5,000.00 USDT", 0.62, "medium"),
            limit("max_concentration", "Three largest", "7,300.00 USDT", "10,000.00 USDT", 0.73, "medium"),
            limit("max_positions_per_strategy", "Positions of a bot", "2", "5", 0.4, "low"),
            limit("max_leverage", "Leverage", "1x", "1x", 0.0, "low"),
        ),
        breakers=(
            breaker("daily_loss", "Daily loss", "+0.31 %", "-5.00 %", 0.0),
            breaker("drawdown", "Drawdown", "0.41 %", "15.00 %", 0.027),
        ),
        refusals_last_hour=1,
        emergency="",
        values=RiskLimits().model_dump(mode="json"),
    )


def datasets() -> list[views.DatasetRow]:
    """Stored candles."""

    def row(venue: str, symbol: str, timeframe: str, rows: int, days: int, gaps: int) -> views.DatasetRow:
        return views.DatasetRow(
            venue=VenueId(venue),
            symbol=symbol,
            timeframe=timeframe,
            rows=rows,
            start=NOW - days * DAY,
            end=NOW - DAY,
            gaps=gaps,
            missing=gaps * 3,
            bytes=rows * 21,
        )

    return [
        row("BINANCE", "BTC/USDT", "1h", 30_672, 1_278, 4),
        row("BINANCE", "ETH/USDT", "1h", 30_668, 1_278, 6),
        row("BITFINEX", "BTC/USD", "1m", 1_036_800, 900, 112),
    ]


def backtests() -> list[views.BacktestRow]:
    """Three stored runs: a good, a bad and an empty one."""

    def row(
        number: int, strategy: str, symbol: str, trades: int, total: float | None, **more: Any
    ) -> views.BacktestRow:
        return views.BacktestRow(
            id=f"bt-{number:04d}",
            hash=f"{number * 7919:016x}",
            strategy=strategy,
            instrument=InstrumentId(f"BINANCE:{symbol}"),
            timeframe="1h",
            start=NOW - 1_200 * DAY,
            end=NOW - 30 * DAY,
            created=NOW - number * HOUR,
            trades=trades,
            total_return=total,
            sharpe=more.get("sharpe"),
            max_drawdown=more.get("drawdown"),
            win_rate=more.get("wins"),
            passed=more.get("passed", False),
        )

    return [
        row(1, "trend_following", "BTC/USDT", 184, 0.8412, sharpe=1.31, drawdown=0.1172, wins=0.429, passed=True),
        row(2, "mean_reversion", "ETH/USDT", 403, -0.1266, sharpe=-0.22, drawdown=0.3391, wins=0.571),
        row(3, "my_breakout", "BTC/USDT", 0, None),
    ]


def backtest(run: views.BacktestRow) -> views.BacktestView:
    """A stored run as a whole."""
    rng, value, hold = random.Random(run.id), 10_000.0, 10_000.0
    equity, benchmark = [], []
    for index in range(400):
        ts = run.start + index * (run.end - run.start) // 400
        value *= 1 + rng.gauss(0.0017, 0.011)
        hold *= 1 + rng.gauss(0.0010, 0.019)
        equity.append(views.EquityPoint(ts=ts, equity=round(value, 2)))
        benchmark.append(views.EquityPoint(ts=ts, equity=round(hold, 2)))
    closed = []
    for index in range(min(run.trades, 40)):
        entry = D(20_000 + rng.randrange(50_000))
        leave = (entry * D(str(round(1 + rng.gauss(0.004, 0.03), 4)))).quantize(D("0.01"))
        start = run.start + index * (run.end - run.start) // 50
        closed.append(
            views.BacktestTradeRow(
                entry_time=start,
                exit_time=start + rng.randrange(2, 90) * HOUR,
                side=OrderSide.BUY,
                entry_price=entry,
                exit_price=leave,
                quantity=D("0.05"),
                fees=D("5.10"),
                pnl=((leave - entry) * D("0.05") - D("5.10")).quantize(D("0.01")),
                reason=rng.choice(("crossed back", "stop", "end of data")),
            )
        )
    return views.BacktestView(
        row=run,
        params={"fast_ma": 20, "slow_ma": 50, "average": "ema", "stop_atr": 2.0, "long_only": True},
        assumptions={"fees": "0.10 % maker and taker", "fills": "next bar's open", "slippage": "2 bp"},
        metrics={
            "total_return": run.total_return,
            "annual_return": 0.2014 if run.trades else None,
            "sharpe": run.sharpe,
            "sortino": 1.92 if run.trades else None,
            "calmar": 1.72 if run.trades else None,
            "max_drawdown": run.max_drawdown,
            "win_rate": run.win_rate,
            "profit_factor": 1.44 if run.trades else None,
            "trades": float(run.trades),
        },
        equity=tuple(equity) if run.trades else (),
        benchmark=tuple(benchmark) if run.trades else (),
        trades=tuple(closed),
    )


def jobs() -> tuple[views.JobRow, ...]:
    """One running, one done, one failed."""

    def job(number: int, title: str, state: str, progress: float, message: str, **more: Any) -> views.JobRow:
        return views.JobRow(
            id=f"job-{number}",
            kind="backtest",
            title=title,
            state=state,
            progress=progress,
            message=message,
            started=NOW - number * 20 * MINUTE,
            finished=more.get("finished", 0),
            result=more.get("result", ""),
        )

    return (
        job(1, "trend_following BTC/USDT 1h", "running", 0.42, "2023-06-11"),
        job(2, "mean_reversion ETH/USDT 1h", "done", 1.0, "", finished=NOW - 30 * MINUTE, result="bt-0002"),
        job(3, "my_breakout SOL/USDT 1h", "failed", 0.1, "There is no data of SOL/USDT.", finished=NOW - 55 * MINUTE),
    )


def activity() -> list[views.Activity]:
    """What happened, oldest first."""
    told = (
        (95, "good", "OrderFilled", "trend-btc bought 0.02 BTC/USDT at 66,890.00.", "bot-trend"),
        (41, "info", "OrderAccepted", "Sell 0.1 BTC/USDT limit 67,431.80 is working.", "manual"),
        (38, "good", "OrderFilled", "revert-eth bought 0.8 ETH/USDT at 3,498.10.", "bot-revert"),
        (12, "critical", "BotStateChanged", "breakout-sol stopped itself: float division by zero.", "bot-broken"),
        (11, "good", "OrderFilled", "Sold 0.04 BTC/USDT at 67,445.20.", "manual"),
        (9, "warning", "OrderRefused", "Buy 3 BTC/USDT refused: exposure would be 241 % of the limit.", "manual"),
        (4, "good", "OrderFilled", "Bought 0.06 BTC/USDT at 67,210.40.", "manual"),
    )
    return [
        views.Activity(
            seq=9_080 + 6 * number, ts=NOW - minutes * MINUTE, severity=severity, kind=kind, text=text, owner=owner
        )
        for number, (minutes, severity, kind, text, owner) in enumerate(told)
    ]


def feeds() -> list[views.FeedRow]:
    """Freshness of the five markets, one of them stale."""
    return [
        views.FeedRow(
            instrument=instrument(symbol),
            live=symbol != "BNB/USDT",
            last=NOW - (NS // 5 if symbol != "BNB/USDT" else 14 * NS),
            updates=48_211,
            gaps=0,
        )
        for symbol, *_ in SYMBOLS
    ]


def status() -> views.EngineStatus:
    """The engine in good health."""
    return views.EngineStatus(
        mode=TradingMode.PAPER,
        account=PAPER,
        venue=SIM,
        base_currency=USDT,
        release="2.0.0",
        pid=4711,
        instance="k3v9",
        epoch=3,
        started=NOW - 5 * HOUR,
        now=NOW,
        seq=9_121,
        durable_seq=9_121,
        trading=TradingState.ACTIVE,
        trading_reason="",
        lag_ms=1.8,
        lag_p99_ms=3.9,
        rss_bytes=214_000_000,
        running_bots=2,
        open_orders=5,
        open_positions=3,
        unsent=0,
        open_breakers=0,
        equity=D("10040.44"),
        day_change=D("31.20"),
        feed_age_ms=180.0,
    )


def dataset(kind: str = "full") -> dict[str, Any]:
    """Everything by operation or topic name: `full`, or `empty` as on the first start of a paper account."""
    full: dict[str, Any] = {
        "engine.status": status(),
        "engine.feeds": feeds(),
        "venues.list": venues(),
        "instruments.list": instrument_rows(),
        "market.tickers": tickers(),
        "orders.open": tuple(open_orders()),
        "algos.state": (),
        "algos.start": fake_algos.parent_row(),
        "orders.estimate": fake_algos.estimate(),
        "orders.fills": fills(),
        "orders.place_exits": [open_orders()[2]],
        "orders.preview_exits": preview_exits,
        "portfolio.overview": overview(),
        "portfolio.positions": positions(),
        "portfolio.balances": balances(),
        "portfolio.dust": fake_dust.dust(),
        "portfolio.history": history(),
        "strategies.list": strategies(),
        "bots.list": bots(),
        "risk.overview": risk(),
        "risk.metrics": fake_risk.metrics(),
        "risk.regimes": fake_risk.regimes(),
        "risk.stress": fake_risk.stress(),
        "backtests.list": backtests(),
        "backtests.studies": fake_studies.studies(),
        "data.list": datasets(),
        "jobs.list": jobs(),
        "activity": activity(),
        "errors.notices": (),
        "errors.list": views_errors.ErrorPage(rows=(), page=1, pages=0, total=0, stored=True),
        "errors.recoveries": [],
        "errors.patterns": [],
        "errors.reports": [],
        "keys.list": fake_keys.keys(),
        "keys.test": fake_keys.key_test(),
        "live.status": fake_keys.live(),
        "alerts.channels": fake_keys.channels(),
    }
    if kind == "full":
        return full
    replace = msgspec.structs.replace
    zero = {"equity": D(10_000), "day_change": D(0)}
    empty = {name: type(value)() for name, value in full.items() if isinstance(value, list | tuple)}
    nothing = replace(full["risk.overview"], limits=(), breakers=(), level="low", refusals_last_hour=0)
    return empty | {
        "engine.status": replace(full["engine.status"], running_bots=0, open_orders=0, feed_age_ms=None, seq=4, **zero),
        "instruments.list": full["instruments.list"],
        "market.tickers": tuple(
            replace(row, **dict.fromkeys(("bid", "ask", "last", "change_pct", "high", "low", "volume")), spark=(), ts=0)
            for row in full["market.tickers"]
        ),
        "portfolio.overview": replace(
            full["portfolio.overview"], cash=D(10_000), exposure=D(0), exposure_pct=0.0, unrealised=D(0), realised=D(0),
            fees=D(0), day_change_pct=0.0, drawdown_pct=0.0, peak=D(10_000), open_positions=0, running_bots=0, **zero,
        ),
        "strategies.list": full["strategies.list"],
        "keys.list": fake_keys.no_keys(),
        "live.status": fake_keys.no_live(),
        "risk.overview": nothing,
        "risk.metrics": fake_risk.nothing_measured(),
        "risk.regimes": fake_risk.static(),
    }  # fmt: skip

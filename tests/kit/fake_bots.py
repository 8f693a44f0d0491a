"""What bots of the made-up engine have done."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

from engine.control.views_bots import BotMoment, BotReport, BotVersion
from tests.kit.fake_market import HOUR, MINUTE, NOW, NS

if TYPE_CHECKING:
    from engine.control.views import BotRow


def bot_report(row: BotRow) -> BotReport:
    """What a bot has done; a bot that never ran has done nothing."""
    ran = row.fills > 0
    states = [("running", 2 * HOUR, ""), ("starting", 2 * HOUR + NS, ""), ("stopped", 5 * HOUR, "stopped by operator")]
    if row.state == "error":
        states.insert(0, ("error", 12 * MINUTE, row.reason))
    return BotReport(
        bot=row.id,
        name=row.name,
        state=row.state,
        uptime_s=7_200.0 if row.state == "running" else 0.0,
        states=tuple(BotMoment(ts=NOW - ago, state=state, reason=reason) for state, ago, reason in states),
        failures=int(row.state == "error"),
        currency=row.currency,
        trades=7 if ran else 0,
        won=4 if ran else 0,
        win_rate=4 / 7 if ran else None,
        profit_day=D("12.50") if ran else D(0),
        profit_total=row.pnl,
        drawdown=0.031 if ran else 0.0,
        sharpe=1.42 if ran else None,
        days=24 if ran else 0,
        positions=int(bool(row.position)),
        orders=int(bool(row.position)),
        signals=row.signals,
        refusals=row.refusals,
        last_signal=row.last_signal,
        last_signal_ts=row.last_signal_ts,
        heartbeat=row.heartbeat,
        health=row.health,
        setup=row.setup,
        complete=True,
    )


def bot_versions(row: BotRow) -> list[BotVersion]:
    """Two versions, the first with other parameters."""
    versions = [
        BotVersion(
            version=number,
            ts=row.created + number * HOUR,
            in_force=number == 2,
            strategy=row.strategy,
            source=f"{number}" * 16,
            kept=True,
            strategy_file=row.strategy_file,
            timeframe=row.timeframe,
            params={**row.params, **({"fast_ma": 12} if number == 1 else {})},
            changed="" if number == 1 else "params.fast_ma: 12 -> none",
        )
        for number in (2, 1)
    ]
    return versions

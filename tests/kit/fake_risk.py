"""Measured risk for the screens: metrics with a market too young to be counted, regimes, a stress test."""

from __future__ import annotations

from decimal import Decimal as D

from engine.control.views_risk import (
    AdaptedRow,
    MethodRow,
    MetricsView,
    RegimeRow,
    RegimesView,
    StressRow,
    StressView,
)
from tests.kit.fake_market import MINUTE, NOW

__all__ = ["metrics", "nothing_measured", "regimes", "static", "stress"]


def _method(name: str, note: str, *shares: float | None) -> MethodRow:
    money = [None if share is None else D(repr(round(share * 12_000, 2))) for share in shares]
    return MethodRow(
        method=name,
        var_1d=money[0],
        var_1d_pct=shares[0],
        var_5d=money[1],
        var_5d_pct=shares[1],
        es_1d=money[2],
        es_1d_pct=shares[2],
        es_5d=money[3],
        es_5d_pct=shares[3],
        note=note,
    )


def metrics() -> MetricsView:
    """Three methods, one of which cannot tell, and a market that is not counted."""
    return MetricsView(
        ts=NOW - MINUTE // 6,
        level="medium",
        currency="USDT",
        equity=D("12000"),
        exposure=D("9804.20"),
        method="historical",
        confidence=0.95,
        methods=(
            _method("historical", "", 0.0312, 0.0703, 0.0461, 0.0987),
            _method("parametric", "", 0.0298, 0.0655, 0.0374, 0.0822),
            _method("cornish_fisher", "The expansion does not hold for a day.", None, 0.0714, None, 0.1031),
        ),
        days=365,
        covered=0.92,
        missing=("SIM:SOL/USDT",),
        max_drawdown=0.0841,
        current_drawdown=0.0041,
        sharpe=1.34,
        equity_days=90,
        volatility_pct=0.0187,
        largest=0.66,
        largest_three=1.0,
        largest_name="SIM:BTC/USDT",
        problem="",
    )


def nothing_measured() -> MetricsView:
    """As it is before the first measurement."""
    return MetricsView(
        ts=0, level="low", currency="USDT", equity=None, exposure=D(0), method="historical", confidence=0.95,
        methods=(), days=0, covered=None, missing=(), max_drawdown=None, current_drawdown=None, sharpe=None,
        equity_days=0, volatility_pct=None, largest=None, largest_three=None, largest_name="", problem="",
    )  # fmt: skip


def regimes() -> RegimesView:
    """Dynamic, one wild market, one whose reading is too old."""
    return RegimesView(
        mode="dynamic",
        words="dynamic",
        regimes=(
            _regime("portfolio", correlation="elevated", reading="mean correlation 0.81"),
            _regime("SIM:BTC/USDT", "high", "trending down", reading="volatility percentile 91, ADX 31.0"),
            _regime("SIM:ETH/USDT", "low", "ranging", reading="SIM is away.", fresh=False),
        ),
        adapted=(
            AdaptedRow(
                name="size", scope="SIM:BTC/USDT", label="Size of an entry", base=D("0.02"), value=D("0.012"),
                cause="high volatility",
            ),
            AdaptedRow(
                name="max_portfolio_exposure", scope="portfolio", label="max_portfolio_exposure", base=D("0.95"),
                value=D("0.76"), cause="elevated correlations",
            ),
        ),
    )  # fmt: skip


def static() -> RegimesView:
    """Nothing adapts and nothing is known."""
    return RegimesView(mode="ai", words="no model: static", regimes=(), adapted=())


def _regime(
    scope: str, volatility: str = "", trend: str = "", correlation: str = "", reading: str = "", *, fresh: bool = True
) -> RegimeRow:
    return RegimeRow(
        scope=scope,
        volatility=volatility,
        trend=trend,
        correlation=correlation,
        reading=reading,
        since=NOW - 90 * MINUTE,
        fresh=fresh,
    )


def stress() -> StressView:
    """A drop that breaks a limit, a gain, and one that cannot be told."""
    return StressView(
        ts=NOW,
        cause="asked",
        currency="USDT",
        equity=D("12000"),
        scenarios=(
            StressRow(
                name="prices_down_10", label="All prices 10 % lower", loss=D("980.42"), loss_pct=0.0817,
                breached=("max_daily_loss_pct",), note="Everything held falls by the same part; shorts gain.",
            ),
            StressRow(
                name="volatility", label="Volatility × 3", loss=None, loss_pct=None, breached=(),
                note="It cannot be told: 12 days of the past are known of all markets, 30 are needed.",
            ),
            StressRow(
                name="outage_sim", label="SIM is away", loss=D("-12.00"), loss_pct=-0.001, breached=(), note="A gain.",
            ),
        ),
    )  # fmt: skip

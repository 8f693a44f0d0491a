"""The views of measured risk: metrics, regimes, adapted values, stress tests."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.control.views_risk import (
    AdaptedRow,
    MethodRow,
    MetricsPoint,
    MetricsView,
    RegimeRow,
    RegimesView,
    StressRow,
    StressView,
)
from engine.model.ids import InstrumentId
from engine.model.regime import PORTFOLIO, RegimeKind, TrendRegime

if TYPE_CHECKING:
    from engine.engine import Engine
    from engine.events import StressTested
    from engine.model.risk_metrics import MethodFigures, RiskMetrics, StressResult
    from engine.risk.regimes import Reading

__all__ = ["metrics_point", "metrics_view", "regimes_view", "stress_rows", "stress_view"]

CENT = Decimal("0.01")


def metrics_view(engine: Engine) -> MetricsView:
    """The newest metrics; before the first time nothing is known of any."""
    metrics = engine.risk_watch.metrics
    if metrics is None:
        settings = engine.settings.metrics
        return MetricsView(
            ts=0,
            level="low",
            currency=engine.base_currency,
            equity=None,
            exposure=Decimal(0),
            method=settings.method,
            confidence=settings.confidence,
            methods=(),
            days=0,
            covered=None,
            missing=(),
            max_drawdown=None,
            current_drawdown=None,
            sharpe=None,
            equity_days=0,
            volatility_pct=None,
            largest=None,
            largest_three=None,
            largest_name="",
            problem=engine.risk_watch.problem,
        )
    return MetricsView(
        ts=metrics.ts,
        level=metrics.level,
        currency=metrics.currency,
        equity=metrics.equity,
        exposure=metrics.exposure,
        method=metrics.method,
        confidence=metrics.confidence,
        methods=tuple(_method(metrics, figures) for figures in metrics.methods),
        days=metrics.days,
        covered=metrics.covered,
        missing=metrics.missing,
        max_drawdown=metrics.max_drawdown,
        current_drawdown=metrics.current_drawdown,
        sharpe=metrics.sharpe,
        equity_days=metrics.equity_days,
        volatility_pct=metrics.volatility,
        largest=metrics.largest,
        largest_three=metrics.largest_three,
        largest_name=metrics.largest_name,
        problem=engine.risk_watch.problem,
    )


def _method(metrics: RiskMetrics, figures: MethodFigures) -> MethodRow:
    def money(share: float | None) -> Decimal | None:
        if share is None or metrics.equity is None:
            return None
        return (metrics.equity * Decimal(repr(share))).quantize(CENT)

    return MethodRow(
        method=figures.method,
        var_1d=money(figures.var_1d),
        var_1d_pct=figures.var_1d,
        var_5d=money(figures.var_5d),
        var_5d_pct=figures.var_5d,
        es_1d=money(figures.es_1d),
        es_1d_pct=figures.es_1d,
        es_5d=money(figures.es_5d),
        es_5d_pct=figures.es_5d,
        note=figures.note,
    )


def metrics_point(metrics: RiskMetrics) -> MetricsPoint:
    """Metrics of a moment in a line, by the method that was shown then."""
    shown = metrics.shown
    return MetricsPoint(
        ts=metrics.ts,
        level=metrics.level,
        equity=metrics.equity,
        exposure=metrics.exposure,
        method=metrics.method,
        var_1d_pct=shown.var_1d if shown is not None else None,
        var_5d_pct=shown.var_5d if shown is not None else None,
        es_1d_pct=shown.es_1d if shown is not None else None,
        es_5d_pct=shown.es_5d if shown is not None else None,
        max_drawdown=metrics.max_drawdown,
        current_drawdown=metrics.current_drawdown,
        sharpe=metrics.sharpe,
        days=metrics.days,
    )


def regimes_view(engine: Engine) -> RegimesView:
    """Every regime that is known, and everything that can be adapted."""
    adaptation, watch = engine.risk.adaptation, engine.risk_watch
    readings = {reading.instrument: reading for reading in watch.regimes.readings}
    known = (scope for kind, scope in engine.state.regimes if kind != RegimeKind.CORRELATION)
    scopes = dict.fromkeys(map(InstrumentId, (*readings, *known, *watch.regimes.problems)))
    markets = [_market(engine, scope, readings.get(scope)) for scope in scopes]
    return RegimesView(
        mode=adaptation.mode,
        words=adaptation.words,
        regimes=(_portfolio(engine), *markets),
        adapted=tuple(
            AdaptedRow(name=row.name, scope=row.scope, label=row.label, base=row.base, value=row.value, cause=row.cause)
            for row in adaptation.values(readings)
        ),
    )


def _market(engine: Engine, scope: InstrumentId, reading: Reading | None) -> RegimeRow:
    regimes, watch = engine.state.regimes, engine.risk_watch.regimes
    level, trend = regimes.get((RegimeKind.VOLATILITY, scope)), regimes.get((RegimeKind.TREND, scope))
    words = "" if trend is None else trend.value
    if reading is not None and words == TrendRegime.TRENDING and reading.momentum:
        words = f"{words} {'up' if reading.momentum > 0 else 'down'}"
    told = watch.problems.get(scope, "")
    if not told and reading is not None:
        told = f"volatility percentile {reading.percentile:.0f}, ADX {reading.strength:.1f}"
    return RegimeRow(
        scope=scope,
        volatility="" if level is None else level.value,
        trend=words,
        correlation="",
        reading=told or "no reading since the start",
        since=max((entry.since for entry in (level, trend) if entry is not None), default=0),
        fresh=watch.market(scope, engine.clock.now()) is not None,
    )


def _portfolio(engine: Engine) -> RegimeRow:
    entry, watch = engine.state.regimes.get((RegimeKind.CORRELATION, PORTFOLIO)), engine.risk_watch.regimes
    mean = watch.mean_correlation
    return RegimeRow(
        scope=PORTFOLIO,
        volatility="",
        trend="",
        correlation="" if entry is None else entry.value,
        reading="fewer than two held markets with a past" if mean is None else f"mean correlation {mean:.2f}",
        since=0 if entry is None else entry.since,
        fresh=watch.correlation(engine.clock.now()) is not None,
    )


def stress_rows(results: tuple[StressResult, ...]) -> tuple[StressRow, ...]:
    """The scenarios' results as rows."""
    return tuple(
        StressRow(
            name=result.name,
            label=result.label,
            loss=None if result.loss is None else result.loss.quantize(CENT),
            loss_pct=result.share,
            breached=result.breached,
            note=result.note,
        )
        for result in results
    )


def stress_view(fact: StressTested) -> StressView:
    """A stress test that was booked."""
    return StressView(
        ts=fact.ts,
        cause=fact.cause,
        currency=fact.currency,
        equity=fact.equity,
        scenarios=stress_rows(fact.results),
    )

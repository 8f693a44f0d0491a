"""Risk metrics of what is held: the profits that the present holdings would have made on each past day, measured.

Historical simulation with the present portfolio (Jorion 2006, ch. 10): the profit of a past day is the sum over markets
of the present value times that day's return. Five days: the historical method takes the sums of every five consecutive
days, overlapping; the others scale the moments of a day to five independent ones (the square-root-of-time rule).
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.model.risk_metrics import MethodFigures, RiskMetrics, VarMethod
from engine.model.risk_settings import LEAST_DAYS
from engine.risk.measures import (
    cornish_fisher,
    drawdowns,
    expected_shortfall,
    moments,
    parametric,
    rolling_sums,
    sharpe,
    value_at_risk,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.candle import FloatArray
    from engine.model.ids import Currency, InstrumentId
    from engine.model.risk_metrics import DayEquity
    from engine.model.risk_settings import MetricsSettings
    from engine.risk.holdings import Holdings
    from engine.risk.returns import DailyReturns

__all__ = ["LONG", "Profits", "day_returns", "measure", "profits"]

NS_PER_DAY = 86_400_000_000_000
LONG = 5
"""Days of the longer horizon."""


class Profits(NamedTuple):
    """What the present holdings would have made on past days."""

    series: FloatArray
    """Profit by day, oldest first, in the currency of the holdings; NaN where a counted market has no return."""
    columns: tuple[InstrumentId, ...]
    """The markets that are counted."""
    missing: tuple[str, ...]
    """Those whose past is too short, and what has no price."""
    covered: float | None
    """Share of the exposure that is counted; None while nothing is held."""

    @property
    def known(self) -> FloatArray:
        """The days on which every counted market has a return."""
        result: FloatArray = self.series[~np.isnan(self.series)]
        return result


def profits(held: Holdings, returns: DailyReturns, days: int) -> Profits:
    """The profit of the present holdings on each of the last days.

    Args:
        held: What is held.
        returns: The past of the markets.
        days: Most days to look at.
    """
    values = held.by_instrument()
    instruments = tuple(values)
    matrix = returns.matrix(instruments, held.ts // NS_PER_DAY, days)
    enough = (~np.isnan(matrix)).sum(axis=0) >= LEAST_DAYS
    columns = tuple(one for one, usable in zip(instruments, enough.tolist(), strict=True) if usable)
    weights = np.array([values[one] for one in columns])
    series = matrix[:, enough] @ weights if columns else np.empty(0)
    total = sum(map(abs, values.values()))
    counted = sum(abs(values[one]) for one in columns)
    short = tuple(one for one in instruments if one not in columns)
    return Profits(series, columns, (*short, *held.unpriced), counted / total if total else None)


def day_returns(days: Mapping[int, DayEquity], currency: Currency, now: Decimal | None, today: int) -> FloatArray:
    """Daily returns of equity, the present day included; money that came in or went out is no return.

    A day that was not measured ends the series before it, and so does one in another currency.

    Args:
        days: Value of each UTC day, oldest first.
        currency: Of the values.
        now: Present value of everything; None where it is not known.
        today: Days since 1970.
    """
    found: list[float] = []
    before: tuple[int, float] | None = None
    for day, entry in days.items():
        value = float(now) if day == today and now is not None else float(entry.equity)
        usable = entry.currency == currency and entry.moved is not None
        if not usable or (before is not None and day != before[0] + 1):
            found.clear()
        elif before is not None and before[1] > 0.0 and entry.moved is not None:
            found.append((value - float(entry.moved)) / before[1] - 1.0)
        before = (day, value) if entry.currency == currency else None
    return np.array(found)


def measure(
    held: Holdings,
    returns: DailyReturns,
    days: Mapping[int, DayEquity],
    settings: MetricsSettings,
    level: str = "low",
) -> RiskMetrics:
    """All risk metrics of what is held. Pure; a few milliseconds for fifty markets.

    Args:
        held: What is held now.
        returns: The past of its markets.
        days: Value of all accounts by UTC day.
        settings: Confidence, history and the method to show.
        level: Risk level by the limits in use.
    """
    past = profits(held, returns, settings.history_days)
    own = day_returns(days, held.currency, held.equity, held.ts // NS_PER_DAY)
    falls = drawdowns(own)
    values = sorted(held.by_instrument().items(), key=lambda item: -abs(item[1]))
    exposure = sum(abs(value) for _, value in values)
    equity = float(held.equity) if held.equity is not None and held.equity > 0 else None
    known = past.known
    spread = float(np.std(known, ddof=1)) / equity if equity is not None and len(known) > 1 else None
    return RiskMetrics(
        ts=held.ts,
        currency=held.currency,
        equity=held.equity,
        exposure=_money(exposure),
        method=settings.method,
        confidence=settings.confidence,
        methods=_methods(past, equity, settings.confidence, holds=bool(held.held or held.unpriced)),
        days=len(known),
        covered=past.covered,
        missing=past.missing,
        max_drawdown=falls[0] if falls is not None else None,
        current_drawdown=falls[1] if falls is not None else None,
        sharpe=sharpe(own, settings.risk_free_rate) if len(own) >= LEAST_DAYS else None,
        equity_days=len(own),
        largest=abs(values[0][1]) / exposure if values else None,
        largest_three=sum(abs(value) for _, value in values[:3]) / exposure if values else None,
        largest_name=values[0][0] if values else "",
        volatility=spread if values else 0.0 if not held.unpriced else None,
        level=level,
    )


def _money(value: float) -> Decimal:
    return Decimal(repr(round(value, 8)))


def _methods(past: Profits, equity: float | None, confidence: float, *, holds: bool) -> tuple[MethodFigures, ...]:
    if not holds:
        nothing = {"var_1d": 0.0, "var_5d": 0.0, "es_1d": 0.0, "es_5d": 0.0}
        return tuple(MethodFigures(method=method, note="Nothing is held.", **nothing) for method in VarMethod)
    known = past.known
    why = ""
    if equity is None:
        why = "The accounts cannot be valued: a price is missing."
    elif len(known) < LEAST_DAYS:
        why = f"The past is too short: {len(known)} days are known of all markets, {LEAST_DAYS} are needed."
    if equity is None or why:
        return tuple(MethodFigures(method=method, note=why) for method in VarMethod)
    day = known / equity
    return (
        _historical(day, rolling_sums(past.series / equity, LONG), confidence),
        _parametric(day, confidence),
        _cornish_fisher(day, confidence),
    )


def _historical(day: FloatArray, long: FloatArray, confidence: float) -> MethodFigures:
    enough = len(long) >= LEAST_DAYS
    return MethodFigures(
        method=VarMethod.HISTORICAL,
        var_1d=value_at_risk(day, confidence),
        es_1d=expected_shortfall(day, confidence),
        var_5d=value_at_risk(long, confidence) if enough else None,
        es_5d=expected_shortfall(long, confidence) if enough else None,
        note="" if enough else f"Too few stretches of {LONG} days without a gap: {len(long)}.",
    )


def _parametric(day: FloatArray, confidence: float) -> MethodFigures:
    found = moments(day)
    assert found is not None
    (var_1d, es_1d), (var_5d, es_5d) = parametric(found, confidence), parametric(found.over(LONG), confidence)
    return MethodFigures(method=VarMethod.PARAMETRIC, var_1d=var_1d, es_1d=es_1d, var_5d=var_5d, es_5d=es_5d)


def _cornish_fisher(day: FloatArray, confidence: float) -> MethodFigures:
    found = moments(day)
    assert found is not None
    short, long = cornish_fisher(found, confidence), cornish_fisher(found.over(LONG), confidence)
    shape = f"skewness {found.skewness:.2f}, excess kurtosis {found.kurtosis:.2f}"
    beyond = "The expansion does not hold for a day" if short is None else ""
    if long is None:
        beyond = f"{beyond} nor for {LONG}" if beyond else f"The expansion does not hold for {LONG} days"
    return MethodFigures(
        method=VarMethod.CORNISH_FISHER,
        var_1d=short[0] if short is not None else None,
        es_1d=short[1] if short is not None else None,
        var_5d=long[0] if long is not None else None,
        es_5d=long[1] if long is not None else None,
        note=f"{beyond}: {shape}." if beyond else "",
    )

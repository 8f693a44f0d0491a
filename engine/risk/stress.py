"""Stress tests: what a few bad days would do to what is held now, and which limits they would break.

Every scenario answers with the projected loss in the currency of the holdings. None of them trades or changes anything.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.model.risk_metrics import StressResult
from engine.model.risk_settings import LEAST_DAYS
from engine.risk.measures import expected_shortfall, value_at_risk
from engine.risk.portfolio import profits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.model.limits import RiskLimits
    from engine.model.risk_settings import MetricsSettings, StressSettings
    from engine.risk.holdings import Holdings
    from engine.risk.portfolio import Profits
    from engine.risk.returns import DailyReturns

__all__ = ["Losses", "stress"]

NS_PER_DAY = 86_400_000_000_000


class Losses(msgspec.Struct, frozen=True, kw_only=True):
    """How far the losses have come already, as fractions; None where it is not known."""

    day: float | None = None
    """Since the start of the UTC day."""
    drawdown: float | None = None
    """From the peak."""


def stress(
    held: Holdings,
    returns: DailyReturns,
    limits: RiskLimits,
    losses: Losses,
    settings: StressSettings,
    metrics: MetricsSettings,
) -> tuple[StressResult, ...]:
    """Apply all scenarios to what is held.

    Args:
        held: What is held now.
        returns: The past of its markets.
        limits: The limits that a loss may break.
        losses: The losses before the scenario; they come on top of it.
        settings: The scenarios.
        metrics: Confidence and history of those that are measured by the past.
    """
    past = profits(held, returns, metrics.history_days)
    found = _Scenarios(held, past, limits, losses, metrics.confidence)
    return (
        *(found.drop(part) for part in settings.price_drops),
        found.volatile(settings.volatility_factor),
        found.together(returns, metrics.history_days),
        *found.outages(settings.outage_drop),
        found.illiquid(settings.liquidity_cost),
    )


class _Scenarios:
    def __init__(self, held: Holdings, past: Profits, limits: RiskLimits, losses: Losses, confidence: float) -> None:
        self._held = held
        self._past = past
        self._limits = limits
        self._losses = losses
        self._confidence = confidence
        self._equity = float(held.equity) if held.equity is not None and held.equity > 0 else None
        self._unpriced = f" Without a price, not counted: {', '.join(held.unpriced)}." if held.unpriced else ""

    def drop(self, part: float) -> StressResult:
        """All prices fall at once; short positions gain."""
        value = sum(one.value for one in self._held.held)
        after = self._held.exposure * (1.0 - part)
        return self._result(
            f"prices_down_{part * 100:g}",
            f"All prices {part * 100:g} % lower",
            value * part,
            exposure_after=after,
            note=f"Everything held falls by the same part; shorts gain.{self._unpriced}",
        )

    def volatile(self, factor: float) -> StressResult:
        """A day as bad as the bad ones of the past, times the factor."""
        known, label = self._past.known, f"Volatility × {factor:g}"
        if len(known) < LEAST_DAYS and self._held.held:
            return self._unknown("volatility", label, len(known))
        loss = (expected_shortfall(known, self._confidence) or 0.0) * factor if len(known) else 0.0
        return self._result(
            "volatility",
            label,
            loss,
            note=f"{factor:g} times the mean loss of the worst {1 - self._confidence:.0%} of days (expected shortfall)."
            f"{self._uncounted}",
        )

    def together(self, returns: DailyReturns, days: int) -> StressResult:
        """Nothing diversifies: every position has its own bad day on the same day (Jorion 2006, undiversified VaR)."""
        values, label = self._held.by_instrument(), "All correlations at one"
        matrix = returns.matrix(tuple(values), self._held.ts // NS_PER_DAY, days)
        loss = 0.0
        for column, value in enumerate(values.values()):
            own = matrix[:, column]
            own = own[~np.isnan(own)]
            if len(own) >= LEAST_DAYS:
                loss += value_at_risk(own * value, self._confidence) or 0.0
        if values and not self._past.columns:
            return self._unknown("correlation_one", label, 0)
        return self._result(
            "correlation_one",
            label,
            loss,
            note=f"The sum of every position's own value at risk; nothing offsets anything.{self._uncounted}",
        )

    def outages(self, drop: float) -> Iterator[StressResult]:
        """A venue cannot be reached while prices there go against what is held; its equity cannot be used."""
        for venue in sorted({*self._held.equity_by_venue, *(one.venue for one in self._held.held)}):
            here = [one for one in self._held.held if one.venue == venue]
            loss = max(0.0, sum(one.value for one in here) * drop, -sum(one.value for one in here) * drop)
            locked = max(0.0, self._held.equity_by_venue.get(venue, 0.0))
            usable = None if self._equity is None else self._equity - locked
            elsewhere = self._held.exposure - sum(abs(one.value) for one in here)
            result = self._result(
                f"outage_{venue.lower()}",
                f"{venue} is away",
                loss,
                note=f"{drop:.0%} against what is held there, which cannot be closed; {locked:,.2f} "
                f"{self._held.currency} there cannot be used.",
            )
            most = float(self._limits.max_portfolio_exposure * self._limits.max_leverage)
            if usable is not None and elsewhere > 0.0 and elsewhere > most * max(usable, 0.0):
                breached = tuple(dict.fromkeys((*result.breached, "max_portfolio_exposure")))
                result = msgspec.structs.replace(result, breached=breached)
            yield result

    def illiquid(self, cost: float) -> StressResult:
        """Books are empty: closing everything costs a part of its value."""
        return self._result(
            "liquidity",
            "Liquidity is gone",
            self._held.exposure * cost,
            note=f"Closing everything costs {cost:.0%} of its value.{self._unpriced}",
        )

    @property
    def _uncounted(self) -> str:
        return f" Not counted, for want of history: {', '.join(self._past.missing)}." if self._past.missing else ""

    def _unknown(self, name: str, label: str, days: int) -> StressResult:
        note = f"It cannot be told: {days} days of the past are known of all markets, {LEAST_DAYS} are needed."
        return StressResult(name=name, label=label, loss=None, share=None, note=note)

    def _result(
        self, name: str, label: str, loss: float, *, exposure_after: float | None = None, note: str = ""
    ) -> StressResult:
        share = None if self._equity is None else loss / self._equity
        return StressResult(
            name=name,
            label=label,
            loss=Decimal(repr(round(loss, 8))),
            share=share,
            breached=() if share is None else tuple(self._breached(share, exposure_after)),
            note=note if share is not None else f"{note} The accounts cannot be valued, so no limit can be judged.",
        )

    def _breached(self, share: float, exposure_after: float | None) -> Iterator[str]:
        limits, equity = self._limits, self._equity
        day, fall = (
            before + share - before * share for before in (self._losses.day or 0.0, self._losses.drawdown or 0.0)
        )
        if day >= float(limits.max_daily_loss_pct):
            yield "max_daily_loss_pct"
        if fall >= float(limits.breaker_drawdown_pct):
            yield "breaker_drawdown_pct"
        if fall >= float(limits.max_drawdown_pct):
            yield "max_drawdown_pct"
        if equity is not None:
            exposure = self._held.exposure if exposure_after is None else exposure_after
            after = equity * (1.0 - share)
            if exposure > 0.0 and exposure > float(limits.max_portfolio_exposure * limits.max_leverage) * max(
                after, 0.0
            ):
                yield "max_portfolio_exposure"

"""Facts about measured risk: metrics as they were, regimes that changed, values that adapted, stress tests."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.ids import Currency
from engine.model.risk_metrics import RiskMetrics, StressResult

__all__ = ["RegimeChanged", "RiskAdapted", "RiskMeasured", "StressTested"]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of the facts; the tag is the class name."""


class RiskMeasured(_Fact, frozen=True, kw_only=True):
    """Risk metrics of a moment, with the money that had come in by then, so that returns can leave it out."""

    metrics: RiskMetrics
    deposits: tuple[tuple[Currency, Decimal], ...] = ()
    """Net sums of all time that came in from outside, by currency, over all accounts."""
    moved: Decimal | None = Decimal(0)
    """What has come in since the last metrics, in the currency of the metrics; None where its value is not known."""


class RegimeChanged(_Fact, frozen=True, kw_only=True):
    """A market, or the portfolio, is in another regime from now on."""

    scope: str
    """The instrument; `portfolio` for correlations."""
    kind: str
    """volatility, trend or correlation."""
    before: str
    """Empty for the first one that is known."""
    after: str
    cause: str
    """The reading that led to it."""
    ts: int


class RiskAdapted(_Fact, frozen=True, kw_only=True):
    """A size, limit or stop is adapted otherwise from now on."""

    name: str
    scope: str
    base: Decimal
    value: Decimal
    cause: str
    ts: int


class StressTested(_Fact, frozen=True, kw_only=True):
    """All scenarios were applied to what was held."""

    results: tuple[StressResult, ...]
    currency: Currency
    equity: Decimal | None
    cause: str
    """`daily`, or who asked for it."""
    ts: int

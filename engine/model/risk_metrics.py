"""Risk metrics of the whole portfolio, and what stress tests find: the nouns that facts, views and screens share."""

from __future__ import annotations

import enum
from decimal import Decimal

import msgspec

from engine.model.ids import Currency

__all__ = ["DayEquity", "MethodFigures", "RiskMetrics", "StressResult", "VarMethod"]


class VarMethod(enum.StrEnum):
    """How value at risk and expected shortfall are found."""

    HISTORICAL = "historical"
    PARAMETRIC = "parametric"
    CORNISH_FISHER = "cornish_fisher"


class MethodFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Value at risk and expected shortfall by one method, as fractions of equity; a loss is positive.

    None where the figure cannot be computed; `note` then says why.
    """

    method: VarMethod
    var_1d: float | None = None
    var_5d: float | None = None
    es_1d: float | None = None
    es_5d: float | None = None
    note: str = ""


class RiskMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """The risk of everything that is held at present prices, across all venues. What is not known is None."""

    ts: int
    """UTC nanoseconds."""
    currency: Currency
    equity: Decimal | None
    """Value of all accounts together; None while a price is missing."""
    exposure: Decimal
    """Sum of the absolute values of what is held."""
    method: VarMethod
    """Whose figures are meant where one is shown."""
    confidence: float
    methods: tuple[MethodFigures, ...]
    days: int
    """Daily returns that all counted markets have in common, which the figures are made of."""
    covered: float | None
    """Share of the exposure whose past is known and counted; None while nothing is held."""
    missing: tuple[str, ...] = ()
    """What is held but has too short a past, or no price."""
    max_drawdown: float | None = None
    """Deepest fall of equity from a peak in the days kept, as a fraction, moved money left out."""
    current_drawdown: float | None = None
    """Present fall from the last peak."""
    sharpe: float | None = None
    """A year, from the daily returns of equity."""
    equity_days: int = 0
    """Daily returns of equity behind drawdown and Sharpe ratio."""
    largest: float | None = None
    """Largest position as a share of the exposure."""
    largest_three: float | None = None
    largest_name: str = ""
    volatility: float | None = None
    """Standard deviation of a day's profit as a fraction of equity."""
    level: str = "low"
    """low, medium, high or critical, by the largest share of any limit in use."""

    @property
    def shown(self) -> MethodFigures | None:
        """The figures of the chosen method."""
        return next((figures for figures in self.methods if figures.method is self.method), None)


class StressResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario would do to what is held now."""

    name: str
    label: str
    loss: Decimal | None
    """Projected loss in the currency of the metrics, positive; None where it cannot be told."""
    share: float | None
    """That as a fraction of equity."""
    breached: tuple[str, ...] = ()
    """Names of the limits that would be exceeded."""
    note: str = ""
    """How it was found, or why it could not be."""


class DayEquity(msgspec.Struct):
    """The last known value of all accounts on a UTC day."""

    equity: Decimal
    moved: Decimal | None
    """Money that came in (negative: went out) on that day; None where its value was not known."""
    currency: Currency

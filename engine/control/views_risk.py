"""What the doors show of measured risk: metrics, market regimes, adapted values, stress tests."""

from __future__ import annotations

from decimal import Decimal

from engine.control.views import View

__all__ = [
    "AdaptedRow",
    "MethodRow",
    "MetricsPoint",
    "MetricsView",
    "RegimeRow",
    "RegimesView",
    "StressRow",
    "StressView",
]


class MethodRow(View, frozen=True, kw_only=True):
    """Value at risk and expected shortfall by one method; a loss is positive. None where it cannot be told."""

    method: str
    """historical, parametric or cornish_fisher."""
    var_1d: Decimal | None
    """Money, in the currency of the metrics."""
    var_1d_pct: float | None
    """Of equity, as a fraction."""
    var_5d: Decimal | None
    var_5d_pct: float | None
    es_1d: Decimal | None
    es_1d_pct: float | None
    es_5d: Decimal | None
    es_5d_pct: float | None
    note: str
    """Why something cannot be told; empty when all can."""


class MetricsView(View, frozen=True, kw_only=True):
    """Risk of everything that is held at present prices, across all venues. None where it is not known."""

    ts: int
    """When it was measured; 0 before the first time."""
    level: str
    """low, medium, high or critical, by the largest share of any limit in use."""
    currency: str
    equity: Decimal | None
    exposure: Decimal
    method: str
    """Whose figures are meant where one is shown."""
    confidence: float
    methods: tuple[MethodRow, ...]
    days: int
    """Past days that the figures are made of."""
    covered: float | None
    """Share of the exposure that is counted, as a fraction; None while nothing is held."""
    missing: tuple[str, ...]
    """What is held but not counted, for want of history or of a price."""
    max_drawdown: float | None
    current_drawdown: float | None
    sharpe: float | None
    equity_days: int
    """Daily returns of equity behind drawdown and Sharpe ratio."""
    volatility_pct: float | None
    """Standard deviation of a day's profit as a fraction of equity."""
    largest: float | None
    """Largest position as a share of the exposure, as a fraction."""
    largest_three: float | None
    largest_name: str
    problem: str
    """Why it could not be measured the last time; empty while all is well."""


class MetricsPoint(View, frozen=True, kw_only=True):
    """Risk as it was at one moment."""

    ts: int
    level: str
    equity: Decimal | None
    exposure: Decimal
    method: str
    var_1d_pct: float | None
    var_5d_pct: float | None
    es_1d_pct: float | None
    es_5d_pct: float | None
    max_drawdown: float | None
    current_drawdown: float | None
    sharpe: float | None
    days: int


class RegimeRow(View, frozen=True, kw_only=True):
    """The regimes of one market, or of the portfolio, as they are confirmed."""

    scope: str
    """The instrument, or `portfolio`."""
    volatility: str
    """low, medium or high; empty where it does not apply or is not known."""
    trend: str
    """trending up, trending down, trending or ranging; empty as above."""
    correlation: str
    """normal or elevated; empty as above."""
    reading: str
    """The newest readings behind them, or why there are none."""
    since: int
    """When the last of them began; 0 for never."""
    fresh: bool
    """Whether the reading is new enough to adapt to."""


class AdaptedRow(View, frozen=True, kw_only=True):
    """An adapted value beside its base."""

    name: str
    scope: str
    label: str
    base: Decimal
    value: Decimal
    cause: str


class RegimesView(View, frozen=True, kw_only=True):
    """Market regimes, and what they make of sizes, limits and stops."""

    mode: str
    """static, dynamic or ai, as it is set."""
    words: str
    """What that comes to: `no model: static` where the mode is ai and there is no model."""
    regimes: tuple[RegimeRow, ...]
    adapted: tuple[AdaptedRow, ...]


class StressRow(View, frozen=True, kw_only=True):
    """What one scenario would do."""

    name: str
    label: str
    loss: Decimal | None
    """Positive; None where it cannot be told."""
    loss_pct: float | None
    """Of equity, as a fraction."""
    breached: tuple[str, ...]
    """Limits that would be exceeded."""
    note: str


class StressView(View, frozen=True, kw_only=True):
    """One stress test of everything that is held."""

    ts: int
    cause: str
    """`daily`, or `asked` for one that is not kept."""
    currency: str
    equity: Decimal | None
    scenarios: tuple[StressRow, ...]

"""What the kernel does with every risk limit: it keeps to it, or it refuses the run and names it. It ignores none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ConfigurationError
from engine.model.candle import timeframe_ns
from engine.model.instrument import InstrumentKind
from engine.strategy.signals import SignalStrategy

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.backtest.spec import BacktestSpec
    from engine.model.instrument import Instrument
    from engine.model.limits import RiskLimits
    from engine.strategy.contract import Strategy

__all__ = ["CONDITIONAL", "KEPT", "obstacles", "require", "tightest_share"]

KEPT = {
    "position_size_pct": "a strategy always names its own size",
    "max_position_size_pct": "caps an entry, at half while entries pass smaller",
    "max_portfolio_exposure": "caps an entry",
    "max_account_exposure": "caps an entry",
    "max_venue_exposure": "caps an entry",
    "max_strategy_exposure": "caps an entry",
    "max_class_exposure": "caps an entry",
    "max_currency_exposure": "caps an entry",
    "max_correlated_exposure": "one instrument has nothing to move with",
    "correlation_threshold": "one instrument has nothing to move with",
    "max_concentration": "caps an entry",
    "max_total_positions": "one instrument is one position",
    "max_positions_per_symbol": "one instrument is one position",
    "max_positions_per_strategy": "one instrument is one position",
    "max_leverage": "stretches exposure",
    "max_daily_loss_pct": "breaker",
    "max_weekly_loss_pct": "breaker",
    "max_monthly_loss_pct": "breaker",
    "breaker_drawdown_pct": "breaker",
    "max_drawdown_pct": "breaker with emergency stop",
    "price_band_pct": "entries are market orders, and what only reduces is free",
    "stale_market_s": "a decision is made at the close it sees",
    "allow_short": "follows the specification's own allow_short",
}
"""Limits that the kernel keeps to, whatever their values, and how."""
CONDITIONAL = ("position_size_method", "risk_mode", "max_orders_per_second", "max_orders_per_minute")
"""Limits that it keeps to at some values and refuses at others."""
_ORDERS_A_BAR = 4
_METHODS = {"fixed_percentage", "confidence_weighted", "volatility_adjusted", "risk_parity"}


def tightest_share(limits: RiskLimits, *, foreign: bool) -> Decimal:
    """Fraction of equity that the tightest limit but that of a position leaves for everything.

    Args:
        limits: The limits.
        foreign: Whether what is traded is another currency than the account's.
    """
    shares = [
        limits.max_portfolio_exposure * limits.max_leverage,
        limits.max_account_exposure * limits.max_leverage,
        limits.max_venue_exposure * limits.max_leverage,
        limits.max_class_exposure,
        limits.max_concentration,
        limits.max_strategy_exposure,
    ]
    if foreign:
        shares.append(limits.max_currency_exposure)
    return min(shares)


def obstacles(spec: BacktestSpec, strategy: Strategy, instrument: Instrument) -> list[str]:
    """Why the kernel cannot run something, as parts of a sentence; empty where it can."""
    return [*_of_strategy(strategy), *_of_limits(spec.limits, spec.timeframe), *_of_instrument(instrument, spec)]


def require(spec: BacktestSpec, strategy: Strategy, instrument: Instrument) -> SignalStrategy:
    """The strategy, where the kernel can run it.

    Raises:
        ConfigurationError: It cannot; every reason is named (`error_code` is `kernel_refused`).
    """
    found = obstacles(spec, strategy, instrument)
    if found or not isinstance(strategy, SignalStrategy):
        raise ConfigurationError(
            f"The kernel cannot run {strategy.name}: {'; '.join(found)}. Run it on the event path (--road event).",
            error_code="kernel_refused",
            details={"reasons": found},
        )
    return strategy


def _of_strategy(strategy: Strategy) -> list[str]:
    if not isinstance(strategy, SignalStrategy):
        return ["it decides in Python at every bar and is no signal strategy"]
    return [f"it overrides the hook {name}, which only Python runs" for name in strategy.hooks]


def _of_limits(limits: RiskLimits, timeframe: str) -> list[str]:
    found = []
    if limits.position_size_method not in _METHODS:
        found.append(f"the limit position_size_method = {limits.position_size_method} needs the trades before")
    if limits.risk_mode != "static":
        found.append(f"the limit risk_mode = {limits.risk_mode} follows markets that it does not see")
    # Orders count from close to close: with bars of a minute or more no window holds those of two bars.
    for name, seconds in (("max_orders_per_second", 1.0), ("max_orders_per_minute", 60.0)):
        length = timeframe_ns(timeframe) / 1e9
        if length < seconds and getattr(limits, name) < _ORDERS_A_BAR * seconds / length:
            found.append(f"the limit {name} = {getattr(limits, name)} could hold orders up on bars of {timeframe}")
    return found


def _of_instrument(instrument: Instrument, spec: BacktestSpec) -> list[str]:
    kind = InstrumentKind.MARGIN if spec.allow_short else InstrumentKind.SPOT
    rules = instrument.current_rules
    checks = {
        f"{instrument.id} is {instrument.kind.replace('_', ' ')}, and it trades {kind}": instrument.kind is not kind,
        "a smallest or largest quantity is not built into it": bool(rules.min_quantity or rules.max_quantity),
        "rules that change in time are not built into it": len(instrument.rules) > 1,
        "contracts with a multiplier are not built into it": instrument.multiplier != 1,
        "what settles in another currency is not built into it": instrument.settle != instrument.quote,
    }
    return [text for text, holds in checks.items() if holds]

"""Holds the two roads of a backtest to the same result: random bars, columns and rules, and what is compared."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from engine.backtest.kernel import run_kernel
from engine.backtest.run import run_backtest
from engine.backtest.spec import BacktestSpec
from engine.model.candle import Bars, timeframe_ns
from engine.strategy.contract import StrategyParams
from engine.strategy.signals import PositionRules, SignalStrategy
from tests.kit.limits import loose
from tests.kit.workloads import GENEROUS

if TYPE_CHECKING:
    from engine.backtest.outcome import BacktestResult
    from engine.model.candle import FloatArray
    from engine.model.instrument import Instrument
    from engine.model.limits import RiskLimits
    from engine.strategy.contract import Strategy
    from engine.strategy.toolkit import Toolkit

__all__ = ["LIMITS", "differences", "given_strategy", "random_bars", "random_columns", "random_rules", "random_spec"]

START = 1_704_067_200 * 10**9
"""2024-01-01 00:00 UTC, a Monday."""


def _near(**limits: str) -> RiskLimits:
    """Everything may be entered, and the named breakers are near."""
    wide = {"max_position_size_pct": "1", "max_portfolio_exposure": "1", "max_daily_loss_pct": "1"}
    wide |= {"max_weekly_loss_pct": "1", "max_monthly_loss_pct": "1"}
    wide |= {"breaker_drawdown_pct": "1", "max_drawdown_pct": "1"}
    return loose(**{name: Decimal(value) for name, value in (wide | limits).items()})


LIMITS: dict[str, RiskLimits | None] = {
    "usual": None,
    "generous": GENEROUS,
    "daily": _near(max_daily_loss_pct="0.01"),
    "weekly": _near(max_weekly_loss_pct="0.015"),
    "monthly": _near(max_monthly_loss_pct="0.02"),
    "drawdown": _near(breaker_drawdown_pct="0.02"),
    "hard": _near(breaker_drawdown_pct="0.03", max_drawdown_pct="0.03"),
    "position": loose(max_position_size_pct=Decimal("0.03"), max_portfolio_exposure=Decimal("0.04")),
}
"""Limits by what they bring about."""


class GivenParams(StrategyParams):
    """Sizes up to everything."""

    position_size_pct: float = Field(0.02, ge=0.001, le=1.0, description="Size of one entry as a fraction of equity.")


def given_strategy(columns: dict[str, FloatArray], rules: PositionRules, **params: object) -> SignalStrategy:
    """A strategy whose columns are these arrays, whatever the bars."""

    class Given(SignalStrategy):
        name = "given"
        Params = GivenParams
        entry_tags = ("one", "two")
        exit_tags = ("here", "there")

        def warmup(self, timeframe: str) -> int:
            return 1

        def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
            return columns

        def rules(self) -> PositionRules:
            return rules

    return Given(GivenParams.model_validate(params))


def random_bars(rng: np.random.Generator, count: int, timeframe: str, tick: float = 0.01) -> Bars:
    """A walk on the tick grid with calm and wild stretches, jumps at opens, missing bars and bars without volume."""
    wild = 0.002 * rng.choice([0.3, 1.0, 6.0], size=count // 50 + 1).repeat(50)[:count]
    steps = rng.standard_normal(count) * wild
    close = 100.0 * np.exp(np.cumsum(steps))
    jump = np.where(rng.random(count) < 0.1, rng.standard_normal(count) * wild * 3, 0.0)
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(jump)
    spread = np.abs(rng.standard_normal((2, count))) * wild * 0.7
    high = np.maximum(opened, close) * (1 + spread[0])
    low = np.minimum(opened, close) * (1 - spread[1])
    o, h, l, c = (np.maximum(np.round(values / tick), 1.0) for values in (opened, high, low, close))  # noqa: E741
    h, l = np.maximum(h, np.maximum(o, c)), np.minimum(l, np.minimum(o, c))  # noqa: E741
    volume = np.where(rng.random(count) < 0.05, 0.0, rng.lognormal(3.0, 1.5, count).round(3))
    there = np.sort(rng.choice(count * 11 // 10, size=count, replace=False))
    decimals = max(0, round(-np.log10(tick)))
    o, h, l, c = (np.round(values * tick, decimals) for values in (o, h, l, c))  # noqa: E741
    return Bars(timeframe, START + there.astype(np.int64) * timeframe_ns(timeframe), o, h, l, c, volume)


def random_columns(rng: np.random.Generator, bars: Bars, *, short: bool) -> dict[str, FloatArray]:
    """Columns of chance, any of the optional ones or none."""
    count, busy = len(bars), rng.choice([0.02, 0.1, 0.5])
    sides = np.where(rng.random(count) < (0.5 if short else 0.1), -1.0, 1.0)
    columns = {"entry": np.where(rng.random(count) < busy, sides, 0.0)}
    span = bars.close * rng.choice([0.002, 0.01])

    def distance(nan: float) -> FloatArray:
        return np.where(rng.random(count) < nan, np.nan, span * rng.lognormal(0.0, 0.4, count))

    makers: dict[str, Any] = {
        "exit_long": lambda: (rng.random(count) < 0.05) * 1.0,
        "exit_short": lambda: (rng.random(count) < 0.05) * 1.0,
        "confidence": lambda: rng.uniform(0.4, 1.0, count).round(2),
        "stop_distance": lambda: distance(0.2),
        "target_distance": lambda: 1.5 * distance(0.2),
        "trail_distance": lambda: 1.5 * distance(0.1),
        "add_distance": lambda: distance(0.1) * rng.choice([1.0, -0.7]),
        "size": lambda: rng.uniform(0.2, 1.0, count).round(3),
        "entry_tag": lambda: (rng.random(count) < 0.5) * 1.0,
        "exit_tag": lambda: (rng.random(count) < 0.5) * 1.0,
    }
    return columns | {name: make() for name, make in makers.items() if rng.random() < 0.6}


def random_rules(rng: np.random.Generator) -> PositionRules:
    """Rules of chance."""
    some = rng.random(6) < 0.4
    return PositionRules(
        max_levels=int(rng.choice([1, 3])),
        max_bars=int(rng.integers(3, 60)) if some[0] else 0,
        stop_pct=float(rng.uniform(0.002, 0.03)) if some[1] else None,
        target_pct=float(rng.uniform(0.002, 0.03)) if some[2] else None,
        trail_pct=float(rng.uniform(0.002, 0.03)) if some[3] else 0.0,
        trail_from_pct=float(rng.choice([0.0, 0.005])),
        roi=((0, 0.02), (5, 0.01), (20, 0.001), (40, -0.005)) if some[4] else (),
    )


def random_spec(rng: np.random.Generator, timeframe: str, **others: Any) -> BacktestSpec:
    """A specification of chance, with the named parts as they are given."""
    return BacktestSpec(
        strategy="given",
        venue="SIM",
        symbol="BTC/USDT",
        timeframe=timeframe,
        **({"slippage": [None, "square_root", "linear", "fixed", "none"][rng.integers(5)]} | others),
    )


def differences(
    spec: BacktestSpec,
    strategy: Strategy,
    instrument: Instrument,
    bars: Bars,
    history: Bars | None = None,
) -> tuple[list[str], BacktestResult]:
    """In what the two roads differ, as lines; empty when in nothing. Also what the event path gave."""
    event = run_backtest(spec, strategy, instrument, bars, history=history)
    fast = run_kernel(spec, strategy, instrument, bars, history=history)
    found = []
    for number, (one, other) in enumerate(zip(event.trades, fast.trades, strict=False)):
        if one != other:
            found.append(f"trade {number}:\n  event  {one}\n  kernel {other}")
            break
    for name in ("orders", "refusals", "forced_close", "halts", "warmup"):
        one, other = getattr(event, name), getattr(fast, name)
        if one != other:
            found.append(f"{name}: event {one}, kernel {other}")
    if len(event.trades) != len(fast.trades):
        found.append(f"{len(event.trades)} trades on the event path, {len(fast.trades)} on the kernel")
    if not np.array_equal(event.equity, fast.equity):
        rows = np.flatnonzero(event.equity != fast.equity)
        found.append(f"equity from {rows[0]} on: {event.equity[rows[0]]!r}, {fast.equity[rows[0]]!r}")
    if event.metrics != fast.metrics:
        found.append("figures differ")
    return found, event

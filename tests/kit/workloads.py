"""Workloads of the side-by-side benchmarks as strategies: long only, decided at the close, traded at the next open.

Of each there is a plain loop that knows nothing of the product, to which trades and equity are held.
"""

from __future__ import annotations

from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from pydantic import Field

from engine.backtest.spec import BacktestSpec
from engine.model.limit_profiles import RESEARCH
from engine.strategy.contract import StrategyParams
from engine.strategy.signals import PositionRules, SignalStrategy

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray
    from engine.strategy.contract import Strategy
    from engine.strategy.toolkit import Toolkit

__all__ = ["GENEROUS", "Band", "Crossing", "PlainTrade", "plain_band", "plain_crossing", "workload_spec"]

GENEROUS = RESEARCH
"""Limits that stand in no workload's way."""
FEE = 0.001
SHARE = 0.95
_FAR = 0.999


def workload_spec(strategy: type[Strategy], timeframe: str, *, shortcuts: bool = True, **others: Any) -> BacktestSpec:
    """How the workloads are run: fee 0.1 % a side, no slippage, no spread, no cap on volume."""
    return BacktestSpec(
        strategy=strategy.name,
        venue="SIM",
        symbol="BTC/USDT",
        timeframe=timeframe,
        fills="backtesting_py",
        limits=GENEROUS,
        profile="research",
        shortcuts=shortcuts,
        **others,
    )


class PlainTrade(NamedTuple):
    """A round trip of a plain loop."""

    entry_bar: int
    exit_bar: int
    entry_price: float
    exit_price: float
    quantity: float


# --- W1 --------------------------------------------------------------------------------------------------------------


class CrossingParams(StrategyParams):
    """What can be set."""

    position_size_pct: float = Field(SHARE, ge=0.001, le=1.0, description="Size of the entry as a fraction of equity.")
    fast: int = Field(20, ge=1, le=1000, description="Bars of the fast average.")
    slow: int = Field(50, ge=2, le=1000, description="Bars of the slow average.")


class Crossing(SignalStrategy):
    """W1: in while the fast average is above the slow one."""

    name = "w1_crossing"
    Params = CrossingParams
    params: CrossingParams
    entry_tags = ("above",)
    exit_tags = ("below",)

    def warmup(self, timeframe: str) -> int:
        return self.params.slow

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        fast, slow = ta.sma(bars.close, self.params.fast), ta.sma(bars.close, self.params.slow)
        return {"entry": (fast > slow).astype(np.float64), "exit_long": (fast < slow).astype(np.float64)}

    def rules(self) -> PositionRules:
        # The workload has no stop; every position has one, so this one lies where no price goes.
        return PositionRules(stop_pct=_FAR)


def plain_crossing(bars: Bars, lot: str, capital: float = 10_000.0) -> tuple[list[PlainTrade], float]:
    """W1 as a loop: trades and final equity, what is open at the end sold at the last close."""
    close, opened = bars.close.tolist(), bars.open.tolist()
    cash, units, entered, paid = capital, 0.0, 0, 0.0
    wish, trades = 0, []
    for i in range(len(close)):
        if wish > 0:
            price = close[i - 1]
            units = _lots(SHARE * cash / price, lot)
            cash -= units * opened[i] * (1 + FEE)
            entered, paid = i, opened[i]
        elif wish < 0:
            cash += units * opened[i] * (1 - FEE)
            trades.append(PlainTrade(entered, i, paid, opened[i], units))
            units = 0.0
        wish = 0
        if i >= 49:
            fast, slow = float(np.mean(bars.close[i - 19 : i + 1])), float(np.mean(bars.close[i - 49 : i + 1]))
            wish = 1 if fast > slow and not units else -1 if fast < slow and units else 0
    if units:
        cash += units * close[-1] * (1 - FEE)
        trades.append(PlainTrade(entered, len(close), paid, close[-1], units))
    return trades, cash


# --- W2 --------------------------------------------------------------------------------------------------------------


class BandParams(StrategyParams):
    """What can be set."""

    position_size_pct: float = Field(SHARE, ge=0.001, le=1.0, description="Size of the entry as a fraction of equity.")


class Band(SignalStrategy):
    """W2: in when the z-score is low, out when it is back, at a stop or at a target.

    Both levels are measured from the close of the decision, since the price of the entry is not known then.
    """

    name = "w2_band"
    Params = BandParams
    params: BandParams
    entry_tags = ("low",)
    exit_tags = ("back",)

    def warmup(self, timeframe: str) -> int:
        return 20

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        z = ta.zscore(bars.close, 20)
        return {"entry": (z < -2).astype(np.float64), "exit_long": (z > -0.5).astype(np.float64)}

    def rules(self) -> PositionRules:
        return PositionRules(stop_pct=0.02, target_pct=0.04)


def plain_band(bars: Bars, lot: str, tick: float, capital: float = 10_000.0) -> tuple[list[PlainTrade], float]:
    """W2 as a loop: trades and final equity, what is open at the end sold at the last close."""
    o, h, l, c = (column.tolist() for column in (bars.open, bars.high, bars.low, bars.close))  # noqa: E741
    cash, units, entered, paid = capital, 0.0, 0, 0.0
    stop = target = 0.0
    wish, trades = 0, []
    for i in range(len(c)):
        out = None
        if wish > 0:
            units = _lots(SHARE * cash / c[i - 1], lot)
            stop, target = (round(c[i - 1] * factor / tick) * tick for factor in (0.98, 1.04))
            cash -= units * o[i] * (1 + FEE)
            entered, paid = i, o[i]
        elif wish < 0:
            out = o[i]
        wish = 0
        if units and out is None:
            # The stop first, then the target; what the open has jumped over is met at the open.
            out = min(o[i], stop) if l[i] <= stop else max(o[i], target) if h[i] >= target else None
        if out is not None:
            cash += units * out * (1 - FEE)
            trades.append(PlainTrade(entered, i, paid, out, units))
            units = 0.0
        if i >= 19:
            window = bars.close[i - 19 : i + 1]
            deviation = float(np.std(window))
            z = (c[i] - float(np.mean(window))) / deviation if deviation else 0.0
            wish = 1 if z < -2 and not units else -1 if z > -0.5 and units else 0
    if units:
        cash += units * c[-1] * (1 - FEE)
        trades.append(PlainTrade(entered, len(c), paid, c[-1], units))
    return trades, cash


def _lots(units: float, lot: str) -> float:
    step = Decimal(lot)
    return float((Decimal(repr(units)) / step).to_integral_value(ROUND_FLOOR) * step)

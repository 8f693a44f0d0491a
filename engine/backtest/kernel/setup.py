"""What the compiled pass is given: a specification, an instrument and a strategy's rules as plain numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.kernel import layout as x
from engine.backtest.kernel.rules import tightest_share
from engine.backtest.report import fill_settings
from engine.errors import StrategyError
from engine.model.candle import timeframe_ns
from engine.model.protections import ProtectionSettings
from engine.venues.paper.settings import BarPath, LimitGap, SlippageModel, StopGap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.backtest.spec import BacktestSpec
    from engine.model.candle import Bars, FloatArray
    from engine.model.instrument import Instrument
    from engine.strategy.signals import SignalStrategy

__all__ = ["COLUMNS", "columns_of", "fault", "given", "roi_of", "series_of"]

COLUMNS = (
    "entry", "exit_long", "exit_short", "confidence", "stop_distance", "target_distance", "trail_distance",
    "add_distance", "size",
)  # fmt: skip
"""Names of the columns in the order in which the compiled pass takes them."""
PAUSE_NS = 86_400 * 10**9
_PATHS = {BarPath.ADAPTIVE: x.ADAPTIVE, BarPath.FIXED_OHLC: x.FIXED_OHLC, BarPath.PESSIMISTIC: x.PESSIMISTIC}
_STOP_GAPS = {
    StopGap.OPEN: x.GAP_OPEN, StopGap.TRIGGER_IN_RANGE: x.GAP_IN_RANGE, StopGap.TRIGGER: x.GAP_TRIGGER
}  # fmt: skip
_TARGET_GAPS = {
    LimitGap.OPEN: x.GAP_OPEN, LimitGap.LIMIT_IN_RANGE: x.GAP_IN_RANGE, LimitGap.LIMIT: x.GAP_TRIGGER
}  # fmt: skip
_MODELS = {
    SlippageModel.NONE: x.SLIP_NONE,
    SlippageModel.FIXED: x.SLIP_IS_FIXED,
    SlippageModel.LINEAR: x.SLIP_LINEAR,
    SlippageModel.SQUARE_ROOT: x.SLIP_ROOT,
}
_NONE = np.zeros(0)
_FAULTS = {
    x.BAD_STOP: "the stop is no price, or on the wrong side of the close",
    x.BAD_TARGET: "the target is no price, or on the wrong side of the close",
    x.BAD_CONFIDENCE: "the confidence is not within 0 to 1",
    x.BAD_SIZE: "the size is not above 0 and up to 1",
    x.MANY_LOTS: "the position consists of more executions than the kernel keeps apart",
    x.NO_FUNDS: "the account cannot pay to close its short",
}


def series_of(bars: Bars) -> tuple[Any, ...]:
    """The bars as the compiled pass takes them; not copied."""
    return bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume


def columns_of(columns: Mapping[str, FloatArray]) -> tuple[FloatArray, ...]:
    """The columns in their order; what stands for a column that is not there is empty.

    Raises:
        StrategyError: There is no column `entry`.
    """
    if "entry" not in columns:
        raise StrategyError("A signal strategy must have a column named entry; see docs/strategies.md.")
    return tuple(np.ascontiguousarray(columns[name]) if name in columns else _NONE for name in COLUMNS)


def roi_of(strategy: SignalStrategy) -> tuple[Any, Any]:
    """The stepped returns: bars and fractions."""
    steps = strategy.position_rules.roi
    return np.array([bars for bars, _ in steps], dtype=np.int64), np.array([share for _, share in steps])


def given(spec: BacktestSpec, strategy: SignalStrategy, instrument: Instrument, first: int) -> tuple[Any, Any]:
    """Floats and whole numbers of a run; `first` is the first row at which it may decide."""
    p, q = np.zeros(x.P_SIZE), np.zeros(x.Q_SIZE, dtype=np.int64)
    _of_instrument(spec, instrument, p, q)
    _of_fills(spec, p, q)
    _of_limits(spec, instrument, p, q)
    _of_strategy(strategy, p, q)
    q[x.LENGTH], q[x.FIRST] = timeframe_ns(spec.timeframe), first
    return p, q


def _of_instrument(spec: BacktestSpec, instrument: Instrument, p: Any, q: Any) -> None:
    rules = instrument.current_rules
    tick = Fraction(rules.price_tick)
    p[x.CAPITAL], p[x.LOT] = float(spec.capital), float(rules.lot)
    p[x.UNIT] = float(rules.price_tick * rules.lot)
    p[x.PRICE_UNIT], p[x.QUANTITY_UNIT] = float(10**instrument.price_scale), float(10**instrument.quantity_scale)
    p[x.TAKER] = float(rules.taker_fee)
    p[x.WORST_FEE] = max(float(rules.taker_fee), float(rules.maker_fee), 0.0)
    p[x.MIN_NOTIONAL], p[x.PRICE_DEN] = float(rules.min_notional), float(tick.denominator)
    q[x.TICK_INT], q[x.LOT_INT] = instrument.price_to_int(rules.price_tick), instrument.quantity_to_int(rules.lot)
    q[x.TICK_NUM], q[x.SHORTS] = tick.numerator, int(spec.allow_short)


def _of_fills(spec: BacktestSpec, p: Any, q: Any) -> None:
    fills = fill_settings(spec)
    p[x.HALF_SPREAD], p[x.SLIP_FIXED], p[x.SLIP_IMPACT] = fills.half_spread_bps, fills.fixed_bps, fills.impact_bps
    p[x.SHARE] = -1.0 if fills.participation is None else fills.participation
    q[x.PATH], q[x.SLIP_MODEL] = _PATHS[fills.path], _MODELS[fills.slippage]
    q[x.STOP_GAP], q[x.TARGET_GAP] = _STOP_GAPS[fills.stop_gap], _TARGET_GAPS[fills.limit_gap]


def _of_limits(spec: BacktestSpec, instrument: Instrument, p: Any, q: Any) -> None:
    limits = spec.limits
    p[x.POSITION_PCT] = float(limits.max_position_size_pct)
    p[x.EXPOSURE_PCT] = float(tightest_share(limits, foreign=instrument.base != instrument.quote))
    p[x.LOSS_DAY], p[x.LOSS_WEEK] = float(limits.max_daily_loss_pct), float(limits.max_weekly_loss_pct)
    p[x.LOSS_MONTH] = float(limits.max_monthly_loss_pct)
    p[x.LOSS_PEAK], p[x.LOSS_HARD] = float(limits.breaker_drawdown_pct), float(limits.max_drawdown_pct)
    q[x.BY_CONFIDENCE] = int(limits.position_size_method == "confidence_weighted")
    q[x.TRIAL_NS], q[x.PAUSE_NS] = ProtectionSettings().ns("trial_s"), PAUSE_NS


def _of_strategy(strategy: SignalStrategy, p: Any, q: Any) -> None:
    rules, params = strategy.position_rules, strategy.params
    p[x.SIZE_PCT] = min(float(params.position_size_pct), 1.0)
    p[x.MIN_CONFIDENCE], p[x.DEFAULT_STOP] = float(params.min_confidence), float(params.stop_loss_pct)
    p[x.STOP_PCT] = math.nan if rules.stop_pct is None else rules.stop_pct
    p[x.TARGET_PCT] = math.nan if rules.target_pct is None else rules.target_pct
    p[x.TRAIL_PCT], p[x.TRAIL_FROM] = rules.trail_pct, rules.trail_from_pct
    q[x.HAS_STOP_PCT], q[x.HAS_TARGET_PCT] = int(rules.stop_pct is not None), int(rules.target_pct is not None)
    q[x.MAX_LEVELS], q[x.MAX_BARS] = rules.max_levels, rules.max_bars


def fault(strategy: SignalStrategy, k: Any, when: str) -> StrategyError:
    """Why a pass has ended before its time."""
    text = _FAULTS.get(int(k[x.STATUS]), "it ended for a reason that is not known")
    return StrategyError(
        f"The strategy {strategy.name} cannot be run on the kernel{when}: {text}. Correct it, or run it on the event "
        "path (--road event).",
        details={"strategy": strategy.name, "row": int(k[x.STATUS_ROW])},
    )

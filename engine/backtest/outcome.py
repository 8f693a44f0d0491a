"""What a run gives, on either road: its trades, curves and figures, from the fills' changes of cash and units."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from engine.backtest.metrics import MetricSettings, compute_metrics
from engine.errors import DataError
from engine.model.candle import timeframe_ns
from engine.model.order import OrderSide
from storage.candle_sets import count_gaps, find_gaps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.spec import BacktestSpec
    from engine.backtest.trades import ClosedTrade
    from engine.model.candle import Bars, FloatArray, IntArray

__all__ = ["BacktestResult", "check_gaps", "metric_settings", "outcome"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BacktestResult:
    """What a run gives."""

    trades: list[ClosedTrade]
    ts: IntArray
    """UTC nanoseconds of each bar's close, after one entry for the start."""
    equity: FloatArray
    """Account value at those times, in quote currency."""
    benchmark: FloatArray
    """The same capital bought at the first open and held, without fees."""
    metrics: dict[str, float | None]
    bars: int
    orders: int
    refusals: dict[str, int]
    """Wishes that led to no order by reason code: the gate's, the venue's, and `not_sized` where nothing can be had."""
    forced_close: bool
    """True when the last trade was closed because the data ended."""
    halts: list[tuple[int, str]]
    """When (UTC nanoseconds) a breaker opened, and its reason. Nobody resets one in a run; some close by themselves."""
    warmup: int
    """Bars at the beginning at which the strategy could not decide yet."""


def metric_settings(spec: BacktestSpec) -> MetricSettings:
    """Rates and requirements of a specification."""
    return MetricSettings(
        risk_free_rate=spec.risk_free_rate,
        required_sharpe=spec.required_sharpe,
        max_drawdown_limit=spec.max_drawdown_limit,
    )


def check_gaps(spec: BacktestSpec, bars: Bars) -> None:
    """Refuse bars with gaps where the specification wants none.

    Raises:
        DataError: There are gaps.
    """
    length = timeframe_ns(spec.timeframe)
    holes = find_gaps(bars.ts, length, most=1) if spec.gaps == "fail" else ()
    if holes:
        count, missing = count_gaps(bars.ts, length)
        first = datetime.fromtimestamp(holes[0].start // 10**9, UTC)
        raise DataError(
            f"{missing} bars are missing in {count} gap{'' if count == 1 else 's'}, the longest ({holes[0].bars}) "
            f"from {first:%Y-%m-%d %H:%M} UTC on. Choose a range without gaps, or let gaps be skipped.",
            error_code="gaps",
            details={"gaps": count, "missing": missing},
        )


def outcome(
    spec: BacktestSpec,
    bars: Bars,
    trades: Sequence[ClosedTrade],
    changes: Sequence[tuple[int, float, float]],
    *,
    orders: int,
    refusals: dict[str, int],
    forced_close: bool,
    halts: list[tuple[int, str]],
    warmup: int,
) -> BacktestResult:
    """Put a result together.

    Args:
        spec: What was run.
        bars: On what.
        trades: Closed trades, without excursions.
        changes: Bar number, cash and units after each fill, ascending.
        orders: See `BacktestResult`, as all that follow.
        refusals: See `BacktestResult`.
        forced_close: See `BacktestResult`.
        halts: See `BacktestResult`.
        warmup: See `BacktestResult`.
    """
    capital = float(spec.capital)
    equity, units = _curves(capital, bars.close, changes)
    ts = np.concatenate((bars.ts[:1], bars.ts + timeframe_ns(spec.timeframe)))
    benchmark = np.concatenate(([capital], capital / float(bars.open[0]) * bars.close))
    closed = [_with_excursion(bars, trade) for trade in trades]
    exposed = float(np.mean(units != 0))
    return BacktestResult(
        trades=closed,
        ts=ts,
        equity=equity,
        benchmark=benchmark,
        metrics=compute_metrics(ts, equity, benchmark, closed, exposed, metric_settings(spec)),
        bars=len(bars),
        orders=orders,
        refusals=refusals,
        forced_close=forced_close,
        halts=halts,
        warmup=warmup,
    )


def _curves(
    capital: float, close: FloatArray, changes: Sequence[tuple[int, float, float]]
) -> tuple[FloatArray, FloatArray]:
    """Account value at the start and at each bar's close, and the units held at each close."""
    # The last change at an index counts; each holds until the next.
    by_index = {0: (capital, 0.0)} | {index: (cash, units) for index, cash, units in changes}
    starts = np.array(list(by_index), dtype=np.int64)
    lengths = np.diff(np.append(starts, len(close)))
    cash = np.repeat(np.array([cash for cash, _ in by_index.values()]), lengths)
    units = np.repeat(np.array([units for _, units in by_index.values()]), lengths)
    return np.concatenate(([capital], cash + units * close)), units


def _with_excursion(bars: Bars, trade: ClosedTrade) -> ClosedTrade:
    """Add the farthest moves from the entry bar to the exit: whole bars, since nobody knows the order within one.

    A bar at whose very open the trade ended counts with that price alone.
    """
    first = max(int(bars.ts.searchsorted(trade.entry_time, side="right")) - 1, 0)
    last = int(bars.ts.searchsorted(trade.exit_time, side="left"))
    window = slice(first, max(last, first + 1))
    entry, left = float(trade.entry_price), float(trade.exit_price)
    up = max(left, float(bars.high[window].max())) / entry - 1.0
    down = 1.0 - min(left, float(bars.low[window].min())) / entry
    long = trade.side is OrderSide.BUY
    return msgspec.structs.replace(
        trade,
        excursion_for=max(0.0, up if long else down),
        excursion_against=max(0.0, down if long else up),
    )

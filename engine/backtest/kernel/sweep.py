"""Many parameter sets over the same bars: indicators shared, bars never copied, threads side by side."""

from __future__ import annotations

import math
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.backtest.kernel import layout as x
from engine.backtest.kernel.road import days_of
from engine.backtest.kernel.rules import require
from engine.backtest.kernel.setup import columns_of, fault, given, roi_of, series_of
from engine.backtest.metrics import annual_return, returns_of, sortino
from engine.backtest.outcome import check_gaps, metric_settings
from engine.errors import DataError, QuarterdeckError, StrategyError
from engine.model.candle import Bars
from engine.risk.measures import sharpe
from engine.strategy.faults import THEIR_FAULTS, cause_text
from engine.strategy.rows import check_columns
from engine.strategy.runner import StrategyRunner
from engine.strategy.toolkit import Toolkit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.backtest.spec import BacktestSpec
    from engine.model.candle import FloatArray
    from engine.model.instrument import Instrument
    from engine.strategy.contract import Strategy
    from engine.strategy.signals import SignalStrategy

__all__ = ["Field", "Summary"]

SHARED_BYTES = 256 << 20
"""Most that indicators kept for other parameter sets may take."""
NS_PER_DAY = 86_400 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What one parameter set came to."""

    params: Mapping[str, object]
    metrics: dict[str, float | None]
    """Figures by the names of `compute_metrics`, as far as they need no single trade; empty after an error."""
    returns: FloatArray
    """Simple returns of UTC days."""
    error: str = ""
    """Why it could not be run; empty when it was."""


class _Shared:
    """Indicator results by call, input and period; inputs are the bars' own columns and what is kept here."""

    def __init__(self, bars: Bars) -> None:
        self._lock = threading.Lock()
        self._known: dict[int, Any] = {
            id(column): column for column in (bars.open, bars.high, bars.low, bars.close, bars.volume)
        }
        self._results: dict[tuple[Any, ...], FloatArray] = {}
        self._bytes = 0

    def of(self, key: tuple[Any, ...], inputs: Sequence[Any], make: Callable[[], FloatArray]) -> FloatArray:
        """The result of a call, made at most once where its inputs are known."""
        if any(self._known.get(id(one)) is not one for one in inputs):
            return make()
        whole = (*key, *(id(one) for one in inputs))
        found = self._results.get(whole)
        if found is not None:
            return found
        made = make()
        made.flags.writeable = False
        with self._lock:
            if whole not in self._results and self._bytes + made.nbytes <= SHARED_BYTES:
                self._results[whole] = made
                self._known[id(made)] = made
                self._bytes += made.nbytes
            return self._results.get(whole, made)


class _SharingToolkit(Toolkit):
    """A toolkit for one pass over a whole history that looks up what another one has computed."""

    def __init__(self, shared: _Shared) -> None:
        super().__init__()
        self._shared = shared

    def sma(self, values: FloatArray, period: int = 20) -> FloatArray:
        return self._shared.of(("sma", period), (values,), lambda: super(_SharingToolkit, self).sma(values, period))

    def ema(self, values: FloatArray, period: int = 20) -> FloatArray:
        return self._shared.of(("ema", period), (values,), lambda: super(_SharingToolkit, self).ema(values, period))

    def wilder(self, values: FloatArray, period: int = 14) -> FloatArray:
        make = super().wilder
        return self._shared.of(("wilder", period), (values,), lambda: make(values, period))

    def std(self, values: FloatArray, period: int = 20, ddof: int = 0) -> FloatArray:
        make = super().std
        return self._shared.of(("std", period, ddof), (values,), lambda: make(values, period, ddof))

    def zscore(self, values: FloatArray, period: int = 20, ddof: int = 0) -> FloatArray:
        make = super().zscore
        return self._shared.of(("zscore", period, ddof), (values,), lambda: make(values, period, ddof))

    def highest(self, values: FloatArray, period: int = 20) -> FloatArray:
        make = super().highest
        return self._shared.of(("highest", period), (values,), lambda: make(values, period))

    def lowest(self, values: FloatArray, period: int = 20) -> FloatArray:
        make = super().lowest
        return self._shared.of(("lowest", period), (values,), lambda: make(values, period))

    def rsi(self, values: FloatArray, period: int = 14) -> FloatArray:
        make = super().rsi
        return self._shared.of(("rsi", period), (values,), lambda: make(values, period))

    def true_range(self, bars: Bars) -> FloatArray:
        make = super().true_range
        return self._shared.of(("true_range",), (bars.high, bars.low, bars.close), lambda: make(bars))

    def volume_ratio(self, bars: Bars, period: int = 20) -> FloatArray:
        make = super().volume_ratio
        return self._shared.of(("volume_ratio", period), (bars.volume,), lambda: make(bars, period))

    def previous(self, values: FloatArray, bars: int = 1) -> FloatArray:
        make = super().previous
        return self._shared.of(("previous", bars), (values,), lambda: make(values, bars))


class Field:
    """Bars and everything about a run but the parameters.

    Args:
        spec: What to run; its `params` are the base that a set is laid over.
        cls: The strategy.
        instrument: What is traded.
        bars: Closed bars, oldest first; used as they are.
        history: Bars before the first one, for the warm-up; with them the bars are joined once.

    Raises:
        ConfigurationError: The kernel cannot run the strategy with these limits; every reason is named.
        DataError: There are no bars, one is impossible, or some are missing and the specification wants none to be.
    """

    def __init__(
        self, spec: BacktestSpec, cls: type[Strategy], instrument: Instrument, bars: Bars, history: Bars | None = None
    ) -> None:
        from engine.backtest.kernel.loop import simulate

        if not len(bars):
            raise DataError("There are no bars in that range; look at `quarterdeck data list` for what is stored.")
        check_gaps(spec, bars)
        self._spec, self._cls, self._instrument, self.bars = spec, cls, instrument, bars
        self._before = len(history) if history is not None else 0
        self._whole = _joined(history, bars) if history is not None and len(history) else bars
        self._simulate = simulate
        strategy = require(spec, cls.build(spec.params), instrument)
        # The runner judges the bars once for all sets.
        StrategyRunner(strategy, instrument.id, timeframe=spec.timeframe).prepare(self._whole)
        self._shared = _Shared(self._whole)

    def evaluate(
        self,
        sets: Sequence[Mapping[str, object]],
        workers: int | None = None,
        progress: Callable[[float], None] | None = None,
        window: tuple[int, int] | None = None,
    ) -> list[Summary]:
        """Run every parameter set.

        Args:
            sets: Parameters by name, each laid over those of the specification.
            workers: Threads; None takes one for each processor.
            progress: Hears the share done after each set.
            window: Indices of the bars to run on, the last exclusive; all bars before them warm up. None for all.

        Returns:
            What each came to, in the same order; one that cannot be run says why.
        """
        count = workers or os.cpu_count() or 1
        found: list[Summary] = []
        with ThreadPoolExecutor(max_workers=min(count, max(len(sets), 1))) as pool:
            for summary in pool.map(partial(self._one, window=window or (0, len(self.bars))), sets):
                found.append(summary)
                if progress is not None:
                    progress(len(found) / len(sets))
        return found

    def _one(self, params: Mapping[str, object], window: tuple[int, int]) -> Summary:
        try:
            strategy = require(self._spec, self._cls.build({**self._spec.params, **params}), self._instrument)
            return self._run(params, strategy, *window)
        except QuarterdeckError as error:
            return Summary(params=params, metrics={}, returns=np.zeros(0), error=error.message)

    def _columns(self, strategy: SignalStrategy) -> dict[str, FloatArray]:
        try:
            with np.errstate(all="ignore"):
                found = strategy.columns(self._whole, _SharingToolkit(self._shared))
            columns = check_columns(found, len(self._whole))
        except THEIR_FAULTS as error:  # a strategy's own code may raise anything, and spoils its own set alone
            cause = error.message if isinstance(error, StrategyError) else cause_text(error)
            raise StrategyError(f"The strategy {strategy.name} failed in columns(): {cause}.") from error
        return {name: column[self._before :] for name, column in columns.items()}

    def _run(self, params: Mapping[str, object], strategy: SignalStrategy, first: int, last: int) -> Summary:
        bars, spec = self.bars.slice(first, last), self._spec
        warmup = max(int(strategy.warmup(spec.timeframe)), 1)
        columns = {name: column[first:last] for name, column in self._columns(strategy).items()}
        p, q = given(spec, strategy, self._instrument, max(warmup - 1 - self._before - first, 0))
        k, s = np.zeros(x.K_SIZE, dtype=np.int64), np.zeros(x.S_SIZE)
        daily = np.full(days_of(bars, int(q[x.LENGTH])), math.nan)
        book = np.zeros((x.LOTS_KEPT, 2), dtype=np.int64)
        out = np.zeros((0, x.F_SIZE), dtype=np.int64), book, np.zeros((x.HALTS_KEPT, x.H_SIZE)), daily
        self._simulate(series_of(bars), columns_of(columns), *roi_of(strategy), k, s, p, q, out)
        if k[x.STATUS] != x.OK:
            raise fault(strategy, k, f" with {dict(params)}")
        return Summary(params=params, **_figures(spec, bars, k, s, daily, int(q[x.LENGTH])))


def _joined(first: Bars, second: Bars) -> Bars:
    pairs = ((getattr(first, name), getattr(second, name)) for name in ("ts", "open", "high", "low", "close", "volume"))
    whole = Bars(second.timeframe, *(np.concatenate(pair) for pair in pairs))
    whole.others = {symbol: _joined(first.others[symbol], other) for symbol, other in second.others.items()}
    return whole


def _figures(spec: BacktestSpec, bars: Bars, k: Any, s: Any, daily: FloatArray, length: int) -> dict[str, Any]:
    capital, settings = float(spec.capital), metric_settings(spec)
    curve = np.concatenate(([capital], daily))
    # A day that nobody looked at keeps the value of the one before.
    filled = curve[np.maximum.accumulate(np.where(np.isnan(curve), 0, np.arange(len(curve))))]
    returns = returns_of(filled)
    end, trades, fall = float(s[x.EQUITY]), int(k[x.TRADES]), float(s[x.FALL])
    days = (int(bars.ts[-1]) + length - int(bars.ts[0])) / NS_PER_DAY
    yearly, ratio = annual_return(capital, end, days), sharpe(returns, settings.risk_free_rate)
    lost, wins, losses = float(s[x.LOST]), int(k[x.WINS]), int(k[x.LOSSES])
    held = int(k[x.HELD_BARS]) - int(k[x.BUSY])
    metrics: dict[str, float | None] = {
        "start_equity": capital,
        "end_equity": end,
        "total_return": end / capital - 1.0,
        "annual_return": yearly,
        "annual_volatility": float(np.std(returns, ddof=1)) * math.sqrt(365.0) if len(returns) > 1 else None,
        "sharpe": ratio,
        "sortino": sortino(returns, settings.risk_free_rate),
        "calmar": yearly / fall if yearly is not None and fall > 0 else None,
        "max_drawdown": fall,
        "exposure": held / len(bars),
        "days": days,
        "trades": float(trades),
        "winning_trades": float(wins),
        "losing_trades": float(losses),
        "win_rate": wins / trades if trades else None,
        "profit_factor": float(s[x.GAINS]) / lost if lost > 0 else None,
        "average_win": float(s[x.GAINS]) / wins if wins else None,
        "average_loss": -lost / losses if losses else None,
        "expectancy": (float(s[x.GAINS]) - lost) / trades if trades else None,
        "fees": float(s[x.FEES]),
    }
    meets = ratio is not None and ratio >= settings.required_sharpe and fall <= settings.max_drawdown_limit
    metrics["passed"] = float(meets)
    return {"metrics": metrics, "returns": returns}

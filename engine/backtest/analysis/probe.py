"""What a strategy says about bars, asked as a host asks it: its columns and, with a plain position, its signals."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.errors import ValidationError
from engine.model.signal import SignalAction, SignalDirection
from engine.strategy.contract import Holding, Strategy
from engine.strategy.runner import StrategyRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.candle import Bars, FloatArray, IntArray
    from engine.model.ids import InstrumentId
    from engine.model.signal import Signal
    from engine.strategy.runner import Batch

__all__ = ["Answer", "Probe", "differing"]

TOLERANCE = 1e-9
"""Relative difference below which two values are the same but for rounding."""


class Answer(NamedTuple):
    """What a strategy said about bars."""

    columns: dict[str, FloatArray]
    signals: dict[int, str]
    """Row -> what it wanted there, in words."""


class Probe:
    """Asks one strategy about one market.

    Args:
        build: Makes the strategy anew, with nothing remembered.
        instrument: The market.
        timeframe: Of the bars.

    Raises:
        ValidationError: The strategy decides on books and has no columns.
    """

    def __init__(self, build: Callable[[], Strategy], instrument: InstrumentId, timeframe: str) -> None:
        self._build, self._instrument, self._timeframe = build, instrument, timeframe
        strategy = build()
        if not isinstance(strategy, Strategy):
            raise ValidationError(
                f"The strategy {getattr(strategy, 'name', '')} decides on books and not on columns of bars; look-ahead "
                "and warm-up are checked for strategies with columns."
            )
        runner = self.runner()
        self.warmup, self.history = runner.warmup, runner.history

    def runner(self) -> StrategyRunner:
        """A fresh runner of a fresh strategy."""
        return StrategyRunner(self._build(), self._instrument, timeframe=self._timeframe)

    def ask(self, bars: Bars) -> Answer:
        """Columns of all bars at once, and the signals with a position that every signal opens or closes.

        The position is a plain one: entered and left at the next open, or at a stop or target that a bar reaches.

        Raises:
            StrategyError: The strategy failed.
        """
        batch = self.runner().prepare(bars)
        return Answer(batch.columns, _signals(batch, bars))

    def fed(self, bars: Bars, known: int) -> dict[str, FloatArray]:
        """Columns of the bars from `known` on, handed over one at a time after the others at once, as live."""
        from engine.strategy.rows import check_columns
        from engine.strategy.toolkit import Toolkit

        strategy = self._build()
        first = Toolkit()
        strategy.columns(bars.slice(0, known), first)
        carry, rows = first.carry, []
        for index in range(known, len(bars)):
            toolkit = Toolkit(carry)
            rows.append(check_columns(strategy.columns(bars.slice(index, index + 1), toolkit), 1))
            carry = toolkit.carry
        return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def _signals(batch: Batch, bars: Bars) -> dict[int, str]:
    found: dict[int, str] = {}
    side, entry, stop, target = 0, 0.0, None, None
    pending: Signal | None = None
    opened, high, low = bars.open.tolist(), bars.high.tolist(), bars.low.tolist()
    for index in range(len(bars)):
        if pending is not None:
            if pending.action is SignalAction.EXIT:
                side, stop, target = 0, None, None
            else:
                wanted = 1 if pending.direction is SignalDirection.BUY else -1
                entry = opened[index] if side != wanted else entry
                side = wanted
            pending = None
        if side and _reached(side, stop, target, low[index], high[index]):
            side, stop, target = 0, None, None
        signal = batch.signal(index, Holding(float(side), entry) if side else Holding())
        if signal is None:
            continue
        found[index] = _words(signal)
        stop = signal.stop if signal.stop is not None else stop
        target = signal.target if signal.target is not None else target
        if signal.action in (SignalAction.ENTER, SignalAction.EXIT):
            pending = signal
    return found


def _reached(side: int, stop: float | None, target: float | None, low: float, high: float) -> bool:
    against, along = (low, high) if side > 0 else (high, low)
    stopped = stop is not None and side * (against - stop) <= 0
    return stopped or (target is not None and side * (along - target) >= 0)


def _words(signal: Signal) -> str:
    stop = "" if signal.stop is None else f" stop {signal.stop:.10g}"
    target = "" if signal.target is None else f" target {signal.target:.10g}"
    direction = f" {signal.direction}" if signal.action is SignalAction.ENTER else ""
    return f"{signal.action}{direction}{stop}{target}"


def differing(one: FloatArray, other: FloatArray, tolerance: float = TOLERANCE) -> IntArray:
    """Rows at which two columns differ by more than rounding; a NaN differs from a number and not from a NaN."""
    with np.errstate(invalid="ignore"):
        apart = np.abs(one - other) > tolerance * np.maximum(np.maximum(np.abs(one), np.abs(other)), 1e-300)
    unlike = np.isnan(one) != np.isnan(other)
    # Two infinities of one sign are equal, though their difference is no number.
    rows: IntArray = np.flatnonzero((apart | unlike) & ~(one == other))
    return rows

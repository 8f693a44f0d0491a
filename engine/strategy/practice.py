"""Practice for a strategy: a made-up market, and a book of its own that fills every wish at the next open."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

import numpy as np

from engine.model.candle import Bars, timeframe_ns
from engine.model.ids import InstrumentId
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.strategy.contract import Holding
from engine.strategy.runner import StrategyRunner

if TYPE_CHECKING:
    from engine.strategy.contract import Strategy

__all__ = ["INSTRUMENT", "START", "Book", "Make", "drive_batch", "drive_live", "walk_bars"]

INSTRUMENT = InstrumentId("SIM:BTC/USDT")
START = 1_700_006_400 * 1_000_000_000
"""2023-11-15 00:00 UTC in nanoseconds: the beginning of a day."""
Make = Callable[[], "Strategy"]


def walk_bars(seed: int, count: int, timeframe: str = "5m", *, start: int = START, gaps: float = 0.0) -> Bars:
    """A seeded random walk whose volatility comes in waves, so that indicators have something to find.

    Args:
        seed: Seed of the generator.
        count: Number of bars before any are taken out.
        timeframe: Their timeframe.
        start: UTC nanoseconds of the first bar's open.
        gaps: Share of the bars that is missing.
    """
    rng = np.random.default_rng(seed)
    ts = start + np.arange(count, dtype=np.int64) * timeframe_ns(timeframe)
    wave = 0.002 * (1.2 + np.sin(np.arange(count) / 37.0) + np.sin(np.arange(count) / 211.0))
    drift = 0.0006 * np.sin(np.arange(count) / 90.0)
    close = 100.0 * np.exp(np.cumsum(rng.normal(drift, np.maximum(wave, 0.0005))))
    opened = np.concatenate((np.array([100.0]), close[:-1]))
    reach = np.abs(rng.normal(0.0, 0.0015, (2, count)))
    high = np.maximum(opened, close) * (1 + reach[0])
    low = np.minimum(opened, close) * (1 - reach[1])
    volume = rng.lognormal(3.0, 0.6, count)
    kept = rng.random(count) >= gaps
    return Bars(timeframe, ts[kept], opened[kept], high[kept], low[kept], close[kept], volume[kept])


class Book:
    """A position filled at opens; where `protected`, stops and targets close it inside a bar.

    Attributes:
        fills: Signed quantity and price of every fill.
    """

    def __init__(self, *, protected: bool = True) -> None:
        self.quantity = 0.0
        self.entry = 0.0
        self.fills: list[tuple[float, float]] = []
        self._protected = protected
        self._stop: float | None = None
        self._target: float | None = None
        self._pending: list[Signal] = []

    def holding(self) -> Holding:
        """What the strategy is told."""
        return Holding(self.quantity, self.entry)

    def take(self, signal: Signal) -> None:
        """Keep a signal for the next open; protective prices hold at once."""
        if signal.action is not SignalAction.EXIT:
            self._stop = signal.stop if signal.stop is not None else self._stop
            self._target = signal.target if signal.target is not None else self._target
        if signal.action is not SignalAction.PROTECT:
            self._pending.append(signal)

    def bar(self, opened: float, high: float, low: float) -> None:
        """Let one bar pass: what is pending fills at its open, then stop or target within it."""
        for signal in self._pending:
            if signal.action is SignalAction.EXIT:
                self._fill(-self.quantity, opened)
            else:
                self._fill(1.0 if signal.direction is SignalDirection.BUY else -1.0, opened)
        self._pending.clear()
        side = (self.quantity > 0) - (self.quantity < 0)
        worst, best = (low, high) if side > 0 else (high, low)
        if side and self._protected:
            if self._stop is not None and side * (worst - self._stop) <= 0:
                self._fill(-self.quantity, self._stop)
            elif self._target is not None and side * (best - self._target) >= 0:
                self._fill(-self.quantity, self._target)
        if not self.quantity:
            self._stop = self._target = None

    def _fill(self, quantity: float, price: float) -> None:
        held = self.quantity + quantity
        if held == 0:
            self.entry = 0.0
        elif abs(held) > abs(self.quantity):
            self.entry = (self.entry * self.quantity + price * quantity) / held
        self.quantity = held
        self.fills.append((quantity, price))


def _path(bars: Bars, index: int) -> tuple[float, float, float]:
    return float(bars.open[index]), float(bars.high[index]), float(bars.low[index])


def drive_batch(make: Make, bars: Bars, book: Book | None = None, *, every_row: bool = False) -> list[Signal]:
    """Signals of the bulk path.

    Args:
        make: Makes the strategy.
        bars: The history; the strategy's timeframe is that of the bars.
        book: The book to fill; None makes one.
        every_row: Ask at rows where a flat strategy says it has nothing to do, too.
    """
    book = book or Book()
    batch = StrategyRunner(make(), INSTRUMENT, timeframe=bars.timeframe).prepare(bars)
    wake, signals = set(batch.wake), []
    for index in range(len(bars)):
        book.bar(*_path(bars, index))
        if every_row or book.quantity or index in wake:
            signal = batch.signal(index, book.holding())
            if signal is not None:
                signals.append(signal)
                book.take(signal)
    return signals


def drive_live(make: Make, bars: Bars, book: Book | None = None, *, restart_at: Collection[int] = ()) -> list[Signal]:
    """Signals of the bar by bar path; before the rows in `restart_at` a new runner takes up the saved state."""
    book = book or Book()
    runner = StrategyRunner(make(), INSTRUMENT, timeframe=bars.timeframe)
    signals = []
    for index in range(len(bars)):
        if index in restart_at:
            state = runner.save()
            runner = StrategyRunner(make(), INSTRUMENT, timeframe=bars.timeframe)
            runner.restore(state)
        book.bar(*_path(bars, index))
        for signal in runner.on_bars(bars.slice(index, index + 1), book.holding()):
            signals.append(signal)
            book.take(signal)
    return signals

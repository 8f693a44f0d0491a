"""Regime detection: volatility against its own past, trend strength, and how much the portfolio moves together.

Volatility: the standard deviation of the log returns of the last bars, ranked among the same figure of the bars before
(percentiles 33 and 67 part low, medium and high). Trend: the average directional index of J. W. Wilder, New Concepts
in Technical Trading Systems, 1978, from 25 on. Correlation: the mean over all pairs of held markets, with a lower value
for the way back. A change holds only after several readings in a row, so that what flaps at a threshold is left alone.

Plain objects; readings are made by `read`, which may run in another thread, and taken in on the loop.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine import events as ev
from engine.errors import RegimeError
from engine.model.candle import timeframe_ns
from engine.model.regime import (
    PORTFOLIO,
    CorrelationRegime,
    MarketRegime,
    RegimeKind,
    TrendRegime,
    VolatilityRegime,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.model.adaptation import AdaptiveSettings
    from engine.model.candle import Bars, FloatArray
    from engine.model.ids import InstrumentId
    from engine.model.regime import RegimeEntry
    from engine.state import EngineState

__all__ = ["Reading", "RegimeWatch", "directional", "read", "rolling_volatility"]


class Reading(NamedTuple):
    """What the bars of a market say at the close of the last one, before anything is confirmed."""

    instrument: InstrumentId
    ts: int
    """UTC nanoseconds of the last bar's close."""
    volatility: VolatilityRegime
    percentile: float
    trend: TrendRegime
    strength: float
    momentum: int


def rolling_volatility(closes: FloatArray, bars: int) -> FloatArray:
    """Sample standard deviation of each `bars` consecutive log returns, shape (len(closes) - bars,)."""
    steps = np.diff(np.log(closes))
    result: FloatArray = np.lib.stride_tricks.sliding_window_view(steps, bars).std(axis=1, ddof=1)
    return result


def directional(high: FloatArray, low: FloatArray, close: FloatArray, period: int) -> tuple[float, float, float]:
    """Average directional index, and the plus and minus directional indicators behind it, of the last bar, 0 to 100.

    Sums are smoothed as Wilder did: the first is that of `period` bars, each later one loses a `period`-th and gains
    the new value; the index begins with the mean of the first `period` values of DX.

    Args:
        high: Of consecutive bars, oldest first, shape (n,), n > 2 x period.
        low: Of the same bars.
        close: Of the same bars.
        period: Bars.
    """
    up, down = np.diff(high), -np.diff(low)
    plus = np.where((up > down) & (up > 0.0), up, 0.0).tolist()
    minus = np.where((down > up) & (down > 0.0), down, 0.0).tolist()
    before = close[:-1]
    ranges = np.maximum(high[1:] - low[1:], np.maximum(abs(high[1:] - before), abs(low[1:] - before))).tolist()
    range_sum, plus_sum, minus_sum = sum(ranges[:period]), sum(plus[:period]), sum(minus[:period])
    index: float | None = None
    first: list[float] = []
    plus_di = minus_di = 0.0
    for place in range(period - 1, len(ranges)):
        if place >= period:
            range_sum += ranges[place] - range_sum / period
            plus_sum += plus[place] - plus_sum / period
            minus_sum += minus[place] - minus_sum / period
        plus_di = 100.0 * plus_sum / range_sum if range_sum > 0.0 else 0.0
        minus_di = 100.0 * minus_sum / range_sum if range_sum > 0.0 else 0.0
        both = plus_di + minus_di
        dx = 100.0 * abs(plus_di - minus_di) / both if both > 0.0 else 0.0
        if index is None:
            first.append(dx)
            index = sum(first) / period if len(first) == period else None
        else:
            index += (dx - index) / period
    return index if index is not None else 0.0, plus_di, minus_di


def read(instrument: InstrumentId, bars: Bars, settings: AdaptiveSettings) -> Reading:
    """Read the regimes of a market from its bars.

    Args:
        instrument: Which market.
        bars: Closed ones of the settings' timeframe, oldest first.
        settings: Windows and thresholds.

    Raises:
        RegimeError: There are too few bars, or a price in them cannot be used.
    """
    least = settings.volatility_bars + max(50, 2 * settings.trend_bars)
    if len(bars) < least:
        raise RegimeError(
            f"The regime of {instrument} cannot be told: {len(bars)} bars of {settings.timeframe} are known, {least} "
            "are needed."
        )
    prices = np.stack((bars.high, bars.low, bars.close))
    if not np.isfinite(prices).all() or float(prices.min()) <= 0.0:
        raise RegimeError(f"The regime of {instrument} cannot be told: a bar has a price that cannot be.")
    past = rolling_volatility(bars.close, settings.volatility_bars)[-settings.history_bars :]
    now = float(past[-1])
    # Half of what is equal counts, so that a market that never moved stands in the middle of its past.
    percentile = 100.0 * (float((past < now).sum()) + 0.5 * float((past == now).sum())) / len(past)
    strength, plus, minus = directional(bars.high, bars.low, bars.close, settings.trend_bars)
    trending = strength >= settings.trend_strength
    level = VolatilityRegime.MEDIUM
    if percentile <= settings.low_percentile:
        level = VolatilityRegime.LOW
    elif percentile > settings.high_percentile:
        level = VolatilityRegime.HIGH
    return Reading(
        instrument=instrument,
        ts=int(bars.ts[-1]) + timeframe_ns(settings.timeframe),
        volatility=level,
        percentile=percentile,
        trend=TrendRegime.TRENDING if trending else TrendRegime.RANGING,
        strength=strength,
        momentum=int(math.copysign(1, plus - minus)) if trending and plus != minus else 0,
    )


class _Damper:
    """One regime and what may follow it."""

    def __init__(self) -> None:
        self.candidate = ""
        self.seen = 0

    def hear(self, present: str, read: str, needed: int) -> bool:
        """Take a reading in; True when it is confirmed and differs from what is in force. The first counts at once."""
        if read == present:
            self.candidate, self.seen = "", 0
            return False
        self.seen = self.seen + 1 if read == self.candidate else 1
        self.candidate = read
        if present and self.seen < needed:
            return False
        self.candidate, self.seen = "", 0
        return True


class RegimeWatch:
    """Keeps the confirmed regimes in step with readings. Implements `engine.model.regime.Regimes`.

    Args:
        state: Holds the confirmed regimes; they survive a restart.
        settings: Windows and thresholds.
    """

    def __init__(self, state: EngineState, settings: AdaptiveSettings) -> None:
        self._state = state
        self._settings = settings
        self._dampers: dict[tuple[str, str], _Damper] = {}
        self._readings: dict[InstrumentId, Reading] = {}
        self._correlation: tuple[float, int] | None = None
        self.problems: dict[str, str] = {}
        """Why regimes cannot be told, by scope; static parameters hold there."""

    # --- looking -----------------------------------------------------------------------------------------------------

    @property
    def readings(self) -> tuple[Reading, ...]:
        """The newest reading of every market."""
        return tuple(self._readings.values())

    def last_read(self, instrument: InstrumentId) -> int | None:
        """UTC nanoseconds of the close of the last bar that was read; None before the first."""
        reading = self._readings.get(instrument)
        return None if reading is None else reading.ts

    def market(self, instrument: InstrumentId, now: int) -> MarketRegime | None:
        """The confirmed regimes of a market; None when they are not known or the last reading is too old."""
        reading = self._readings.get(instrument)
        if reading is None or now - reading.ts > self._stale_ns:
            return None
        level = self._entry(RegimeKind.VOLATILITY, instrument)
        trend = self._entry(RegimeKind.TREND, instrument)
        if level is None or trend is None:
            return None
        confirmed = TrendRegime(trend.value)
        return MarketRegime(
            instrument=instrument,
            volatility=VolatilityRegime(level.value),
            trend=confirmed,
            momentum=reading.momentum if confirmed is TrendRegime.TRENDING else 0,
            percentile=reading.percentile,
            strength=reading.strength,
            ts=reading.ts,
        )

    def correlation(self, now: int) -> CorrelationRegime | None:
        """The confirmed correlation regime; None when it is not known or the last reading is too old."""
        entry = self._entry(RegimeKind.CORRELATION, PORTFOLIO)
        if entry is None or self._correlation is None or now - self._correlation[1] > self._stale_ns:
            return None
        return CorrelationRegime(entry.value)

    @property
    def mean_correlation(self) -> float | None:
        """The newest mean correlation of the portfolio's markets."""
        return None if self._correlation is None else self._correlation[0]

    @property
    def _stale_ns(self) -> int:
        return (self._settings.stale_bars + 1) * timeframe_ns(self._settings.timeframe)

    def _entry(self, kind: RegimeKind, scope: str) -> RegimeEntry | None:
        return self._state.regimes.get((kind, scope))

    # --- taking in ---------------------------------------------------------------------------------------------------

    def take(self, reading: Reading) -> list[ev.RegimeChanged]:
        """Take a reading of a later bar in; returns the changes that it confirms, to be booked."""
        known = self._readings.get(reading.instrument)
        if known is not None and reading.ts <= known.ts:
            return []
        self._readings[reading.instrument] = reading
        self.problems.pop(reading.instrument, None)
        ranked = f"volatility at percentile {reading.percentile:.0f} of its past"
        strong = f"average directional index {reading.strength:.1f}"
        told = (
            (RegimeKind.VOLATILITY, str(reading.volatility), ranked),
            (RegimeKind.TREND, str(reading.trend), strong),
        )
        return [
            change
            for kind, value, cause in told
            for change in self._hear(kind, reading.instrument, value, cause, reading.ts)
        ]

    def take_correlation(self, mean: float | None, now: int) -> list[ev.RegimeChanged]:
        """Take the mean correlation of the portfolio's markets in; None when there is none to be told."""
        if mean is None:
            self._correlation = None
            return []
        self._correlation = (mean, now)
        entry = self._entry(RegimeKind.CORRELATION, PORTFOLIO)
        elevated = entry is not None and entry.value == CorrelationRegime.ELEVATED
        threshold = self._settings.correlation_release if elevated else self._settings.correlation
        value = CorrelationRegime.ELEVATED if mean >= threshold else CorrelationRegime.NORMAL
        cause = f"mean correlation {mean:.2f}"
        return self._hear(RegimeKind.CORRELATION, PORTFOLIO, str(value), cause, now)

    def fail(self, scope: str, error: RegimeError) -> None:
        """A regime cannot be told; what is known of it grows old, and static parameters hold."""
        self.problems[scope] = error.message

    def keep(self, instruments: Iterable[InstrumentId]) -> None:
        """Forget the readings of all other markets."""
        wanted = set(instruments)
        for gone in [known for known in self._readings if known not in wanted]:
            del self._readings[gone]
        for gone_scope in [scope for scope in self.problems if scope not in wanted and scope != PORTFOLIO]:
            del self.problems[gone_scope]

    def _hear(self, kind: RegimeKind, scope: str, value: str, cause: str, ts: int) -> list[ev.RegimeChanged]:
        entry = self._entry(kind, scope)
        present = "" if entry is None else entry.value
        damper = self._dampers.setdefault((kind, scope), _Damper())
        if not damper.hear(present, value, self._settings.confirmations):
            return []
        return [ev.RegimeChanged(scope=scope, kind=kind, before=present, after=value, cause=cause, ts=ts)]

"""Candles out of trades: one instrument, one timeframe, flat bars where nothing traded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ValidationError
from engine.model.candle import Candle, timeframe_ns

if TYPE_CHECKING:
    from engine.model.instrument import Instrument
    from engine.model.market import MarketTrade

__all__ = ["MAX_FILL", "CandleBuilder", "bar_open"]

_MONDAY_NS = 4 * 86_400_000_000_000
"""1970-01-01 was a Thursday; the first Monday is four days later."""

MAX_FILL = 10_000
"""Most flat bars that are filled at once; after a longer silence the series begins anew."""


def bar_open(ts: int, timeframe: str) -> int:
    """UTC nanoseconds at which the bar around `ts` opens: weeks on Monday, all others counted from 1970."""
    anchor = _MONDAY_NS if timeframe.endswith("w") else 0
    return ts - (ts - anchor) % timeframe_ns(timeframe)


class CandleBuilder:
    """Builds the candles of one instrument from trades, or from mid prices where there are no trades.

    A print that arrives late, after its bar was closed, counts in the growing bar: a closed bar never changes. Bars in
    which nothing came are flat at the last close with volume 0.

    Args:
        instrument: Whose trades come in; gives the scales.
        timeframe: Such as `1m`.
    """

    __slots__ = (
        "_close",
        "_empty",
        "_end",
        "_high",
        "_low",
        "_open",
        "_price_unit",
        "_quantity_unit",
        "_ts",
        "_volume",
        "instrument",
        "length",
        "timeframe",
    )

    def __init__(self, instrument: Instrument, timeframe: str) -> None:
        self.instrument = instrument.id
        self.timeframe = timeframe
        self.length = timeframe_ns(timeframe)
        # Dividing by a power of ten gives the float nearest to the exact decimal; multiplying by 0.1 would not.
        self._price_unit = 10**instrument.price_scale
        self._quantity_unit = 10**instrument.quantity_scale
        self._ts = -1
        self._end = -1
        self._open: float = 0
        self._high: float = 0
        self._low: float = 0
        self._close: float = 0
        self._volume = 0
        self._empty = True

    @property
    def growing(self) -> Candle | None:
        """The bar that still grows; None before the first price."""
        return None if self._ts < 0 else self._candle(closed=False)

    def on_trade(self, trade: MarketTrade) -> list[Candle]:
        """Take a trade in.

        Returns:
            The bars that closed before it, oldest first; mostly none.

        Raises:
            ValidationError: The trade is of another instrument.
        """
        if trade.instrument != self.instrument:
            raise ValidationError(f"A trade of {trade.instrument} cannot go into the candles of {self.instrument}.")
        return self._add(trade.ts, trade.price, trade.quantity)

    def on_price(self, ts: int, price: float) -> list[Candle]:
        """Take a price without volume in, such as a mid price (scaled units, a half unit is fine).

        Returns:
            As `on_trade`.
        """
        return self._add(ts, price, 0)

    def roll(self, ts: int) -> list[Candle]:
        """Close every bar that ended at or before `ts` (UTC nanoseconds), filling silent ones flat."""
        if self._ts < 0 or ts < self._end:
            return []
        closed = [self._candle(closed=True)]
        start = bar_open(ts, self.timeframe)
        if (start - self._end) // self.length > MAX_FILL:
            self._ts = -1
            return closed
        while True:
            self._begin(self._end, self._close)
            if self._ts == start:
                return closed
            closed.append(self._candle(closed=True))

    def resume(self, candle: Candle) -> None:
        """Start from a bar that is already known, such as the growing bar of a venue.

        Raises:
            ValidationError: It is a bar of another instrument or timeframe.
        """
        if (candle.instrument, candle.timeframe) != (self.instrument, self.timeframe):
            raise ValidationError(
                f"A {candle.timeframe} candle of {candle.instrument} cannot go into {self.timeframe} candles of "
                f"{self.instrument}."
            )
        unit = self._price_unit
        self._begin(candle.ts, round(candle.close * unit))
        self._open, self._high, self._low = (
            round(candle.open * unit),
            round(candle.high * unit),
            round(candle.low * unit),
        )
        self._volume = round(candle.volume * self._quantity_unit)
        self._empty = False

    def _add(self, ts: int, price: float, quantity: int) -> list[Candle]:
        closed = self.roll(ts)
        if self._ts < 0:
            self._begin(bar_open(ts, self.timeframe), price)
        if self._empty:
            self._open = self._high = self._low = price
            self._empty = False
        elif price > self._high:
            self._high = price
        elif price < self._low:
            self._low = price
        self._close = price
        self._volume += quantity
        return closed

    def _begin(self, ts: int, price: float) -> None:
        self._ts = ts
        self._end = ts + self.length
        self._open = self._high = self._low = self._close = price
        self._volume = 0
        self._empty = True

    def _candle(self, *, closed: bool) -> Candle:
        unit = self._price_unit
        return Candle(
            self.instrument,
            self.timeframe,
            self._ts,
            self._open / unit,
            self._high / unit,
            self._low / unit,
            self._close / unit,
            self._volume / self._quantity_unit,
            closed,
        )

"""An order book made out of candles, where none was recorded: its depth follows volume and volatility.

Each bar becomes four moments: its open, the extreme nearer to the open, the other extreme, and its close. At each the
book has `LEVELS` levels a side around the price. The spread is a share of what the price moves within such a bar (the
mean range of the last bars), at least the declared one; the levels are one spread apart; the quantity at the best
price is a share of the mean volume of the last bars, and grows with the distance. A quarter of the bar's own volume
trades at each moment, so that what rests waits its turn. Nothing at a moment depends on a later one, but for which
extreme comes first, which nobody can tell from a candle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import numpy as np

from engine.model.candle import Candle, timeframe_ns
from engine.model.ids import TradeId
from engine.model.market import BookUpdate, MarketTrade
from engine.model.order import OrderSide

if TYPE_CHECKING:
    from engine.model.candle import Bars, FloatArray, IntArray
    from engine.model.instrument import Instrument
    from engine.model.market import MarketDatum

__all__ = ["LEVELS", "SyntheticBook"]

LEVELS = 5
MOMENTS = 4
ROWS = 2 * MOMENTS + 1
"""Of a bar: book and trade at each moment, then the closed candle."""
SPREAD_SHARE = 0.02
"""Spread as a share of the mean range of a bar."""
DEPTH_SHARE = 0.02
"""Quantity at the best price as a share of the mean volume of a bar."""
MEMORY = 20
"""Bars of the means."""


class SyntheticBook(Sequence["MarketDatum"]):
    """The events of a candle history, made when they are looked at.

    Args:
        instrument: What the bars are of.
        bars: At least one.
        least_spread_bps: The declared least spread, in basis points.

    Attributes:
        ts: UTC nanoseconds of each event, ascending.
    """

    def __init__(self, instrument: Instrument, bars: Bars, least_spread_bps: float) -> None:
        self._instrument = instrument
        self._bars = bars
        length = timeframe_ns(bars.timeframe)
        steps = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4], dtype=np.int64)
        # The last moment lies just before the close, at which the candle is told and the next bar may open.
        offsets = np.minimum(steps * (length // 3), length - 1)
        offsets[-1] = length
        self.ts: IntArray = (bars.ts[:, None] + offsets[None, :]).reshape(-1)
        low_first = bars.open - bars.low <= bars.high - bars.open
        near = np.where(low_first, bars.low, bars.high)
        far = np.where(low_first, bars.high, bars.low)
        self._path: FloatArray = np.stack((bars.open, near, far, bars.close), axis=1)
        ranges = _before(bars.high - bars.low)
        self._spread: FloatArray = np.maximum(bars.open * least_spread_bps * 1e-4, ranges * SPREAD_SHARE)
        self._depth: FloatArray = _before(bars.volume) * DEPTH_SHARE
        self._tick = instrument.price_to_int(instrument.current_rules.price_tick)
        self._lot = instrument.quantity_to_int(instrument.current_rules.lot)
        self._price, self._size = 10**instrument.price_scale, 10**instrument.quantity_scale

    def __len__(self) -> int:
        return len(self.ts)

    @overload
    def __getitem__(self, index: int) -> MarketDatum: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[MarketDatum]: ...

    def __getitem__(self, index: int | slice) -> MarketDatum | Sequence[MarketDatum]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        bar, step = divmod(index, ROWS)
        if step == ROWS - 1:
            return self._candle(bar)
        ts, moment = int(self.ts[index]), step // 2
        return self._trade(bar, moment, ts) if step % 2 else self._book(bar, moment, ts)

    def _candle(self, bar: int) -> Candle:
        bars = self._bars
        o, h, l, c, v = (float(x[bar]) for x in (bars.open, bars.high, bars.low, bars.close, bars.volume))  # noqa: E741
        return Candle(self._instrument.id, bars.timeframe, int(bars.ts[bar]), o, h, l, c, v)

    def _book(self, bar: int, moment: int, ts: int) -> BookUpdate:
        middle = float(self._path[bar, moment]) * self._price
        spread = max(float(self._spread[bar]) * self._price, self._tick)
        best = max(int(float(self._depth[bar]) * self._size) // self._lot * self._lot, self._lot)
        bids, asks = [], []
        bid = int((middle - spread / 2) // self._tick) * self._tick
        ask = max(-int(-(middle + spread / 2) // self._tick) * self._tick, bid + self._tick)
        step = max(int(spread // self._tick) * self._tick, self._tick)
        for level in range(LEVELS):
            if bid - level * step > 0:
                bids.append((bid - level * step, best * (level + 1)))
            asks.append((ask + level * step, best * (level + 1)))
        seq = bar * MOMENTS + moment
        return BookUpdate(self._instrument.id, ts, seq, snapshot=True, bids=tuple(bids), asks=tuple(asks))

    def _trade(self, bar: int, moment: int, ts: int) -> MarketTrade:
        path, now = self._path, float(self._path[bar, moment])
        before = float(path[bar, moment - 1]) if moment else float(path[bar - 1, -1]) if bar else now
        side = OrderSide.BUY if now >= before else OrderSide.SELL
        quantity = int(float(self._bars.volume[bar]) / MOMENTS * self._size) // self._lot * self._lot
        price = round(now * self._price / self._tick) * self._tick
        return MarketTrade(self._instrument.id, ts, TradeId(f"{bar}.{moment}"), price, quantity, side)


def _before(values: FloatArray) -> FloatArray:
    """Mean of the bars before each one; of the first, its own value, since there is nothing else."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    index = np.arange(len(values))
    first = np.maximum(index - MEMORY, 0)
    count = np.maximum(index - first, 1)
    means: FloatArray = np.where(index > 0, (sums[index] - sums[first]) / count, values)
    return np.maximum(means, 0.0)

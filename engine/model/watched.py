"""Bars of other markets beside those of the one that is traded, each at a row where it was surely known.

At row i a strategy sees of every other market the bar **before** that row's: it had closed a whole bar ago, so live,
in a backtest and in the compiled kernel the same is seen, whichever venue's bars come first. A market without a bar at
that time stands still: its last close, and no volume.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.candle import Bars, timeframe_ns

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["beside", "symbols_of"]


def symbols_of(text: str) -> tuple[str, ...]:
    """Symbols written with commas between them, each once, `BTCUSDT` as it stands: `BTC/USDT, ETH/USDT`."""
    names = (part.strip().upper() for part in text.split(","))
    return tuple(dict.fromkeys(name for name in names if name))


def beside(bars: Bars, others: Mapping[str, Bars]) -> Bars:
    """The same bars with those of other markets beside them.

    Args:
        bars: Of the market that is traded.
        others: Bars of each other market by symbol, of the same timeframe, from as early as there are.
    """
    joined = Bars(bars.timeframe, bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    joined.others = {symbol: _lagged(bars, other) for symbol, other in others.items()}
    return joined


def _lagged(bars: Bars, other: Bars) -> Bars:
    """The other market's bar of one timeframe ago at each row; NaN before its first."""
    import numpy as np

    wanted = bars.ts - timeframe_ns(bars.timeframe)
    if not len(other):
        nothing = np.full(len(bars), np.nan)
        return Bars(bars.timeframe, wanted, nothing, nothing, nothing, nothing, nothing)
    place = np.searchsorted(other.ts, wanted, side="right") - 1
    known, row = place >= 0, np.maximum(place, 0)
    there = known & (other.ts[row] == wanted)
    close = np.where(known, other.close[row], np.nan)
    opened, high, low = (np.where(there, column[row], close) for column in (other.open, other.high, other.low))
    volume = np.where(there, other.volume[row], np.where(known, 0.0, np.nan))
    return Bars(bars.timeframe, wanted, opened, high, low, close, volume)

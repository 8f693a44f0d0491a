"""Bars of the other markets that a strategy looks at, out of the bars that the engine keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.logs import get_logger
from engine.model.candle import Bars
from engine.model.ids import instrument_id, venue_of
from engine.model.watched import beside

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from engine.market.hub import MarketHub
    from engine.model.candle import Candle
    from engine.model.ids import InstrumentId

__all__ = ["NEWEST", "Watching", "markets_of"]

log = get_logger(__name__)

NEWEST = 3
"""Bars of another market that are enough for the newest bar of the traded one."""


def markets_of(instrument: InstrumentId, symbols: Iterable[str]) -> dict[str, InstrumentId]:
    """The instruments of symbols at the venue of an instrument, that one itself left out."""
    found = {symbol: instrument_id(venue_of(instrument), symbol) for symbol in symbols}
    return {symbol: other for symbol, other in found.items() if other != instrument}


class Watching:
    """What one bot sees of other markets.

    Args:
        instrument: What it trades.
        timeframe: Of its bars.
        symbols: The others, as its strategy names them.
        hub: Keeps the bars.
    """

    def __init__(self, instrument: InstrumentId, timeframe: str, symbols: Iterable[str], hub: MarketHub) -> None:
        known = markets_of(instrument, symbols)
        self._markets = {symbol: other for symbol, other in known.items() if other in hub.markets}
        self._timeframe = timeframe
        self._hub = hub
        missing = [symbol for symbol in known if symbol not in self._markets]
        if missing:
            log.warning("a strategy looks at markets that are not kept", instrument=instrument, missing=missing)

    async def look_back(
        self, history: Callable[[InstrumentId, str, int], Awaitable[Sequence[Candle]]], count: int
    ) -> None:
        """Have so many bars of each, where they are not kept yet.

        Raises:
            ExchangeError: They cannot be had.
        """
        for other in self._markets.values():
            series = self._hub.series(other, self._timeframe)
            if len(series.closed) < count:
                past = list(await history(other, self._timeframe, count))
                first = series.closed[0].ts if series.closed else None
                # What is kept was heard here; the history goes before it.
                series.closed.extendleft(
                    candle for candle in reversed(past) if candle.closed and (first is None or candle.ts < first)
                )

    def beside(self, bars: Bars) -> Bars:
        """The bars with those of the other markets beside them."""
        if not self._markets:
            return bars
        others = {}
        for symbol, other in self._markets.items():
            closed = self._hub.series(other, self._timeframe).closed
            newest = len(bars) == 1 and len(closed) > NEWEST
            candles = [closed[place] for place in range(-NEWEST, 0)] if newest else list(closed)
            others[symbol] = Bars.from_candles(self._timeframe, candles)
        return beside(bars, others)

"""The rules under which stored candles are traded: what the data show, and a small table of known venues.

A candle file does not say its market's tick and lot. The decimal steps on which its prices and volumes lie are taken
for them; a few stray values beside the grid do not make it finer.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING

from engine.model.ids import Currency
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules

if TYPE_CHECKING:
    from engine.backtest.spec import BacktestSpec
    from engine.model.candle import Bars, FloatArray
    from storage.candle_sets import CandleSet

__all__ = ["decimals_of", "instrument_for", "lot_of", "minimum_notional", "tick_of"]

MIN_NOTIONAL: dict[str, dict[str, str]] = {
    "BINANCE": {"USDT": "5", "USDC": "5", "FDUSD": "5", "BTC": "0.0001", "ETH": "0.001", "BNB": "0.01"},
    "BINANCEUSDM": {"USDT": "5", "USDC": "5"},
    "COINBASE": {"USD": "1", "USDT": "1", "USDC": "1", "EUR": "1", "BTC": "0.00001"},
    "OKX": {"USDT": "1", "USDC": "1", "BTC": "0.00001"},
}
"""Smallest order value by venue and quote currency, as the venues publish it; 0 for all others."""

MOST_DECIMALS = 8
"""More decimals than this are noise of somebody's arithmetic, not a market's grid."""
ON_GRID = 0.95
"""Share of the values that must lie on a grid; venues have changed their ticks, and some have printed odd prices."""


def decimals_of(values: FloatArray) -> int | None:
    """Fewest decimal places (0 to 8) with which nearly every value can be written; None when 8 do not suffice."""
    import numpy as np

    for places in range(MOST_DECIMALS + 1):
        if float((np.round(values, places) == values).mean()) >= ON_GRID:
            return places
    return None


def tick_of(bars: Bars) -> Decimal:
    """The price step of the data; where prices lie on no decimal grid, eight significant digits."""
    import numpy as np

    places = [decimals_of(column) for column in (bars.open, bars.high, bars.low, bars.close)]
    known = [place for place in places if place is not None]
    if len(known) == len(places):
        return Decimal(1).scaleb(-max(known))
    return Decimal(1).scaleb(max(math.floor(math.log10(float(np.median(bars.close)))) - 7, -12))


def lot_of(bars: Bars) -> Decimal:
    """The quantity step of the volumes, and at most what is worth about one unit of quote currency."""
    import numpy as np

    places = decimals_of(bars.volume)
    step = MOST_DECIMALS if places is None else places
    price = float(np.median(bars.close))
    return Decimal(1).scaleb(min(-step, math.floor(-math.log10(price))))


def minimum_notional(venue: str, quote: str) -> Decimal:
    """Smallest order value at a known venue; 0 where none is known."""
    return Decimal(MIN_NOTIONAL.get(venue.upper(), {}).get(quote.upper(), "0"))


def instrument_for(spec: BacktestSpec, key: CandleSet, bars: Bars) -> Instrument:
    """The instrument that a run trades, with the fees of its specification.

    Args:
        spec: Fees, and whether shorts are allowed (the instrument is then a margin one).
        key: What the candles are of.
        bars: At least one bar.
    """
    base, _, rest = key.symbol.partition("/")
    quote = rest.partition(":")[0]
    tick, lot = spec.price_tick or tick_of(bars), spec.lot or lot_of(bars)
    least = minimum_notional(key.venue, quote) if spec.min_notional is None else spec.min_notional
    rules = InstrumentRules(
        valid_from=0,
        price_tick=tick,
        lot=lot,
        min_notional=least,
        maker_fee=spec.maker_fee,
        taker_fee=spec.taker_fee,
    )
    return Instrument(
        id=key.instrument,
        venue=key.venue,
        symbol=key.symbol,
        kind=InstrumentKind.MARGIN if spec.allow_short else InstrumentKind.SPOT,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(rules,),
        price_scale=_scale(tick),
        quantity_scale=_scale(lot),
    )


def _scale(step: Decimal) -> int:
    exponent = step.as_tuple().exponent
    return max(8, -exponent if isinstance(exponent, int) else 0)

"""What the markets of a venue are like now, for universes: its instruments, its figures of a day, daily candles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine.errors import ExchangeError
from engine.logs import get_logger
from engine.market.universe import facts_from_ticker, judge, needs_history
from engine.model.instrument import InstrumentKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from engine.model.candle import Candle
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import Ticker
    from engine.model.universe import MarketFacts, UniverseRule

__all__ = ["Asked", "market_facts"]

log = get_logger(__name__)

_KINDS = {
    InstrumentKind.SPOT: "spot",
    InstrumentKind.MARGIN: "spot",
    InstrumentKind.LINEAR_PERPETUAL: "perpetual",
    InstrumentKind.INVERSE_PERPETUAL: "perpetual",
}
MOST_HISTORIES = 300
"""Markets whose daily candles are asked for at one refresh, the best by volume."""


class Asked(Protocol):
    """The part of a venue that is asked."""

    def instruments(self) -> Awaitable[Sequence[Instrument]]:
        """All that it trades."""

    def tickers(self, instruments: Sequence[InstrumentId] | None = None) -> Awaitable[Sequence[Ticker]]:
        """Their figures of a day."""

    def candles(self, instrument: InstrumentId, timeframe: str, *, limit: int) -> Awaitable[Sequence[Candle]]:
        """The newest closed candles, oldest first."""


async def market_facts(venue: Asked, rule: UniverseRule) -> list[MarketFacts]:
    """What is known of every market of a venue, as far as a rule asks.

    Daily candles are asked for only where the rule needs age or volatility, and only of markets that fulfil the rest.

    Raises:
        ExchangeError: The venue cannot be reached.
    """
    listed = {instrument.id: instrument for instrument in await venue.instruments()}
    tickers = {ticker.instrument: ticker for ticker in await venue.tickers(None)}
    days = needs_history(rule)

    def facts(instrument: Instrument, closes: list[float] | None) -> MarketFacts:
        kind = _KINDS.get(instrument.kind, str(instrument.kind))
        ticker = tickers.get(instrument.id)
        return facts_from_ticker(instrument.symbol, instrument.quote, kind, ticker, closes, rule.volatility_days)

    found = {instrument.symbol: facts(instrument, None) for instrument in listed.values()}
    if not days:
        return list(found.values())
    free = rule.model_copy(
        update={"min_age_days": 0, "max_age_days": None, "min_volatility": None, "max_volatility": None}
    )
    ranked = [verdict.symbol for verdict in judge(free, found.values()) if verdict.rank][:MOST_HISTORIES]
    by_symbol = {instrument.symbol: instrument for instrument in listed.values()}
    for symbol in ranked:
        instrument = by_symbol[symbol]
        try:
            candles = await venue.candles(instrument.id, "1d", limit=days)
        except ExchangeError as error:
            log.warning("a market's history could not be had", instrument=instrument.id, problem=error.message)
            continue
        found[symbol] = facts(instrument, [float(candle.close) for candle in candles])
    return list(found.values())

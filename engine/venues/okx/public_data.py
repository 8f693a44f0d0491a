"""OKX's market data as model objects: tickers, trades, candles, books as they are asked for, mark prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import DataValidationError
from engine.model.candle import Candle
from engine.model.ids import InstrumentId, TradeId
from engine.model.instrument import InstrumentKind
from engine.model.market import BookUpdate, MarketTrade, MarkPrice, Ticker
from engine.model.order import OrderSide
from engine.venues.okx.messages import (
    BookRow,
    CandleRow,
    FundingRow,
    IndexRow,
    MarkRow,
    StatusRow,
    TickerRow,
    TradeRow,
    exact,
    maybe,
    ms,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from engine.model.instrument import Instrument

__all__ = [
    "Marks",
    "maintained",
    "parse_book",
    "parse_candle",
    "parse_candles",
    "parse_ticker",
    "parse_trade",
    "side_of",
]

_CONFIRM = 8
"""Place of a candle row that says whether it is complete."""


def parse_ticker(instrument: Instrument, row: TickerRow) -> Ticker:
    """The last 24 hours of an instrument."""
    spot = instrument.kind is InstrumentKind.SPOT
    return Ticker(
        instrument=instrument.id,
        ts=ms(row.ts),
        bid=maybe(row.bid_px),
        ask=maybe(row.ask_px),
        last=maybe(row.last),
        open=maybe(row.open24h),
        high=maybe(row.high24h),
        low=maybe(row.low24h),
        # For swaps `vol24h` counts contracts and `volCcy24h` the base currency; the value in quote is not said.
        base_volume=maybe(row.vol24h if spot else row.vol_ccy24h),
        quote_volume=maybe(row.vol_ccy24h) if spot else None,
    )


def parse_trade(instrument: Instrument, row: TradeRow) -> MarketTrade:
    """A public execution, or several of one order at one price that OKX has joined.

    Raises:
        DataValidationError: The side is unknown.
        ValidationError: Price or quantity has more places than the instrument.
    """
    return MarketTrade(
        instrument.id,
        ms(row.ts),
        TradeId(row.trade_id),
        instrument.price_to_int(exact(row.px)),
        instrument.quantity_to_int(exact(row.sz)),
        side_of(row.side),
    )


def side_of(text: str) -> OrderSide:
    """A side. Raises DataValidationError for what is neither."""
    if text == "buy":
        return OrderSide.BUY
    if text == "sell":
        return OrderSide.SELL
    raise DataValidationError(f"OKX sent the side {text[:20]!r}.")


def parse_candle(instrument: Instrument, timeframe: str, row: CandleRow) -> Candle:
    """One bar.

    Raises:
        DataValidationError: A place is missing or no number.
    """
    if len(row) < 7:
        raise DataValidationError(f"OKX sent a candle of {instrument.id} with {len(row)} places.")
    spot = instrument.kind is InstrumentKind.SPOT
    try:
        return Candle(
            instrument.id,
            timeframe,
            ms(row[0]),
            float(row[1]),
            float(row[2]),
            float(row[3]),
            float(row[4]),
            # Contracts for swaps; the place after it is in base currency.
            float(row[5] if spot else row[6]),
            closed=len(row) <= _CONFIRM or row[_CONFIRM] == "1",
        )
    except ValueError:
        raise DataValidationError(f"OKX sent a candle of {instrument.id} with {row} in it.") from None


def parse_candles(instrument: Instrument, timeframe: str, rows: Iterable[CandleRow]) -> list[Candle]:
    """Closed bars, oldest first; OKX sends the newest first."""
    candles = [parse_candle(instrument, timeframe, row) for row in rows]
    return sorted((candle for candle in candles if candle.closed), key=lambda candle: candle.ts)


def parse_book(instrument: Instrument, row: BookRow, depth: int) -> BookUpdate:
    """A book as it was asked for; best levels first."""
    return BookUpdate(
        instrument.id,
        ms(row.ts),
        row.seq_id if row.seq_id is not None else ms(row.ts),
        snapshot=True,
        bids=_levels(instrument, row.bids, depth, best_first=True),
        asks=_levels(instrument, row.asks, depth, best_first=False),
    )


def _levels(
    instrument: Instrument, rows: Sequence[Sequence[str]], depth: int, *, best_first: bool
) -> tuple[tuple[int, int], ...]:
    levels = ((instrument.price_to_int(exact(r[0])), instrument.quantity_to_int(exact(r[1]))) for r in rows)
    return tuple(sorted((level for level in levels if level[1]), reverse=best_first)[:depth])


class Marks:
    """Joins mark price, index price and funding rate, which OKX tells apart, into one `MarkPrice` per mark."""

    def __init__(self) -> None:
        self._funding: dict[InstrumentId, tuple[Decimal | None, int | None]] = {}
        self._indices: dict[str, Decimal] = {}

    def mark(self, instrument: Instrument, row: MarkRow) -> MarkPrice:
        """A new mark, with the newest of the rest."""
        index = self._indices.get(f"{instrument.base}-{instrument.quote}")
        rate, paid_at = self._funding.get(instrument.id, (None, None))
        return MarkPrice(instrument.id, ms(row.ts), exact(row.mark_px), index, rate, paid_at)

    def index(self, row: IndexRow) -> None:
        """A new index price; `BTC-USDT` is that of all swaps on BTC quoted in USDT."""
        self._indices[row.inst_id] = exact(row.idx_px)

    def funding(self, instrument: Instrument, row: FundingRow) -> None:
        """A new funding rate: `funding_rate` is the one that is paid at `funding_time`."""
        self._funding[instrument.id] = maybe(row.funding_rate), ms(row.funding_time) or None

    def forget(self, instrument: InstrumentId) -> None:
        """It is watched no more."""
        self._funding.pop(instrument, None)


def maintained(rows: Iterable[StatusRow]) -> bool:
    """Whether maintenance is under way by `system/status`; every service that it names can stop orders."""
    return any(row.state == "ongoing" for row in rows)

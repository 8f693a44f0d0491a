"""What a venue shows of the past: the last public trades, growing candles and the last 24 hours, by instrument."""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.candle import Candle, timeframe_ns
from engine.model.candle_builder import CandleBuilder, bar_open
from engine.model.ids import TradeId
from engine.model.order import OrderSide

if TYPE_CHECKING:
    from engine.model.instrument import Instrument
    from engine.model.market import MarketTrade
    from engine.venues.markets.contract import Market

__all__ = ["Bar", "Day", "Tape"]

_KEPT = 1_000
_ENDED = 500
"""Bars that are kept as streams told them."""
_MINUTE_NS = 60_000_000_000
_DAY_NS = 86_400_000_000_000


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """The last 24 hours of an instrument, to the hour."""

    open: Decimal
    high: Decimal
    low: Decimal
    last: Decimal
    last_quantity: Decimal
    volume: Decimal
    """In the instrument's quantity."""
    value: Decimal
    """In quote currency."""
    begin: int
    end: int
    first_trade: int
    last_trade: int


class Bar:
    """A candle that grows, and what Binance and others add to it."""

    def __init__(self, instrument: Instrument, timeframe: str) -> None:
        self.builder = CandleBuilder(instrument, timeframe)
        self.first = self.last = 0
        """Numbers of the first and the last trade in it; 0 for none."""
        self.bought = 0
        """Scaled quantity that buyers took."""
        self.closed: tuple[Candle, int, int, int] | None = None
        """The bar before, with `first`, `last` and `bought` of it."""
        self.ended: dict[int, Candle] = {}
        """Bars that streams have told, by opening time; whoever asks is told the same."""

    def add(self, trade: MarketTrade) -> None:
        """Take a trade in."""
        self._close(self.builder.on_trade(trade))
        number = int(trade.trade_id)
        self.first, self.last = self.first or number, number
        if trade.aggressor is OrderSide.BUY:
            self.bought += trade.quantity

    def roll(self, now: int) -> None:
        """Close what has ended."""
        self._close(self.builder.roll(now))

    def _close(self, closed: list[Candle]) -> None:
        if closed:
            self.ended |= {candle.ts: candle for candle in closed}
            for ts in list(self.ended)[:-_ENDED]:
                del self.ended[ts]
            mine = len(closed) == 1
            self.closed = (closed[-1], *((self.first, self.last, self.bought) if mine else (0, 0, 0)))
            self.first = self.last = self.bought = 0


class Tape:
    """The past of one instrument.

    Args:
        instrument: Which.
        market: Knows its history.
    """

    def __init__(self, instrument: Instrument, market: Market) -> None:
        self.instrument = instrument
        self.trades: deque[MarketTrade] = deque(maxlen=_KEPT)
        """The newest public trades, oldest first, numbered by the exchange."""
        self.count = 1_000_000
        """Number of the last public trade."""
        self._market = market
        self._growing: dict[str, Bar] = {}
        self._hours: tuple[int, list[Candle]] = (-1, [])

    def print(self, trade: MarketTrade) -> MarketTrade:
        """Take a trade in under the exchange's next number."""
        self.count += 1
        numbered = msgspec.structs.replace(trade, trade_id=TradeId(str(self.count)))
        self.trades.append(numbered)
        for bar in self._growing.values():
            bar.add(numbered)
        return numbered

    def bar(self, timeframe: str, now: int) -> Bar:
        """The bar that grows now; asking for it begins to build it."""
        found = self._growing.get(timeframe)
        if found is None:
            found = self._growing[timeframe] = Bar(self.instrument, timeframe)
            begun = bar_open(now, timeframe)
            for trade in self.trades:
                if trade.ts >= begun:
                    found.add(trade)
            if found.builder.growing is None and self.trades:
                found.builder.on_price(now, self.trades[-1].price)
        found.roll(now)
        return found

    def follow(self, timeframe: str, now: int) -> Candle | None:
        """The candle that grows now; None before the first price."""
        return self.bar(timeframe, now).builder.growing

    def candles(self, timeframe: str, begin: int | None, end: int, limit: int, now: int) -> list[Candle]:
        """Candles that open in [begin, end], oldest first, the growing one included; the newest without a begin."""
        length = timeframe_ns(timeframe)
        until = min(end // length * length + length, now)
        wanted = limit
        if begin is not None:
            first = -(-begin // length) * length
            until = min(until, first + limit * length)
            wanted = min(limit, max(0, -(-(until - first) // length)))
        found = self._past(timeframe, until, wanted) if wanted else []
        growing = self.follow(timeframe, now)
        if growing is not None and (begin or 0) <= growing.ts <= end and (not found or found[-1].ts < growing.ts):
            found = [*found, growing]
        if begin is not None:
            return [c for c in found if c.ts >= begin][:limit]
        return found[-limit:]

    def _past(self, timeframe: str, until: int, wanted: int) -> list[Candle]:
        """Closed candles; those shorter than what the market keeps are made of the trades that are kept here."""
        length = timeframe_ns(timeframe)
        if length >= _MINUTE_NS:
            told = self._growing[timeframe].ended if timeframe in self._growing else {}
            found = self._market.history(self.instrument.id, timeframe, until, wanted)
            return [told.get(candle.ts, candle) for candle in found]
        builder = CandleBuilder(self.instrument, timeframe)
        found = []
        for trade in self.trades:
            found += builder.on_trade(trade)
        found += builder.roll(until)
        return [candle for candle in found if candle.ts + length <= until][-wanted:]

    def day(self, now: int) -> Day | None:
        """The last 24 hours; None without any history."""
        hour = bar_open(now, "1h")
        if self._hours[0] != hour:
            self._hours = hour, self._market.history(self.instrument.id, "1h", hour, 23)
        growing = self.follow("1h", now)
        bars = [*self._hours[1], *([growing] if growing is not None else [])]
        if not bars:
            return None
        last = self.trades[-1] if self.trades else None
        return Day(
            open=self._price(bars[0].open),
            high=self._price(max(b.high for b in bars)),
            low=self._price(min(b.low for b in bars)),
            last=self._price(bars[-1].close) if last is None else self.instrument.price_from_int(last.price),
            last_quantity=Decimal(0) if last is None else self.instrument.quantity_from_int(last.quantity),
            volume=self._amount(sum(b.volume for b in bars)),
            value=Decimal(round(sum(b.volume * (b.open + b.close) / 2 for b in bars), 2)).quantize(Decimal("0.01")),
            begin=now - _DAY_NS,
            end=now,
            first_trade=1_000_000,
            last_trade=self.count,
        )

    def _price(self, price: float) -> Decimal:
        return Decimal(round(price * 10**self.instrument.price_scale)).scaleb(-self.instrument.price_scale)

    def _amount(self, volume: float) -> Decimal:
        return Decimal(round(volume * 10**self.instrument.quantity_scale)).scaleb(-self.instrument.quantity_scale)

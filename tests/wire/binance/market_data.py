"""Market data of both Binance servers: REST answers and the stream messages, shaped by market."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.model.candle import timeframe_ns
from engine.model.order import OrderSide
from tests.wire.binance.common import refuse, text
from tests.wire.binance.wallet import BinanceWallet

if TYPE_CHECKING:
    from engine.model.candle import Candle
    from engine.model.instrument import Instrument
    from engine.model.market import MarketTrade
    from tests.wire.simulator import Call

__all__ = ["INTERVALS", "BinanceMarketData"]

INTERVALS = ("1s", "1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w")
_DEPTHS = (5, 10, 20, 50, 100, 500, 1000, 5000)
_ZERO = "0.00000000"


class BinanceMarketData(BinanceWallet):
    """Adds market data to a server; `futures` chooses the shapes."""

    futures = False

    # --- REST --------------------------------------------------------------------------------------------------------

    def depth(self, call: Call) -> Any:
        """GET depth."""
        details = self.details(call.params.get("symbol"))
        limit = self.number(call, "limit", 500 if self.futures else 100) or 100
        if self.futures and limit not in _DEPTHS[:-1]:
            refuse(-4021, f"{limit} is not valid depth limit.")
        return self.book(details, min(limit, 5000))

    def book(self, details: Instrument, limit: int) -> dict[str, Any]:
        """A whole book."""
        book = self.exchange.books[details.id]
        found: dict[str, Any] = {"lastUpdateId": self.update_id(book.seq)}
        if self.futures:
            found |= {"E": self.exchange.ms(), "T": self.exchange.ms(book.ts)}
        found["bids"] = self.levels(details, book.top_bids(limit))
        found["asks"] = self.levels(details, book.top_asks(limit))
        return found

    def trades(self, call: Call) -> Any:
        """GET trades."""
        details = self.details(call.params.get("symbol"))
        limit = min(self.number(call, "limit", 500) or 500, 1000)
        return [self._trade_row(details, t) for t in list(self.exchange.tapes[details.id].trades)[-limit:]]

    def agg_trades(self, call: Call) -> Any:
        """GET aggTrades: every trade by itself."""
        details = self.details(call.params.get("symbol"))
        limit = min(self.number(call, "limit", 500) or 500, 1000)
        found = list(self.exchange.tapes[details.id].trades)
        begin, end, first = (self.number(call, n) for n in ("startTime", "endTime", "fromId"))
        if first is not None:
            found = [t for t in found if int(t.trade_id) >= first][:limit]
        elif begin is not None:
            until = end if end is not None else begin + 3_600_000
            found = [t for t in found if begin <= self.exchange.ms(t.ts) <= until][:limit]
        return [self._aggregate(details, t) for t in found[-limit:]]

    def klines(self, call: Call) -> Any:
        """GET klines."""
        details = self.details(call.params.get("symbol"))
        interval = self.need(call, "interval")
        if interval not in INTERVALS:
            refuse(-1120, "Invalid interval.")
        limit = min(self.number(call, "limit", 500) or 500, 1500 if self.futures else 1000)
        now, skew = self.exchange.time(), self.exchange.skew_ns
        begin, end = self.number(call, "startTime"), self.number(call, "endTime")
        found = self.exchange.tapes[details.id].candles(
            interval,
            None if begin is None else begin * 1_000_000 - skew,
            now if end is None else min(end * 1_000_000 - skew, now),
            limit,
            now,
        )
        return [self._kline_row(details, candle) for candle in found]

    def ticker_24h(self, call: Call) -> Any:
        """GET ticker/24hr."""
        rows = [r for d in self._wanted(call) if (r := self._day_row(d)) is not None]
        return rows[0] if "symbol" in call.params and rows else rows

    def ticker_price(self, call: Call) -> Any:
        """GET ticker/price."""
        rows = []
        for details in self._wanted(call):
            day = self.exchange.tapes[details.id].day(self.exchange.time())
            if day is not None:
                price = text(day.last, self.price_places(details))
                row: dict[str, Any] = {"symbol": self.symbol(details.id), "price": price}
                rows.append(row | ({"time": self.exchange.ms()} if self.futures else {}))
        return rows[0] if "symbol" in call.params and rows else rows

    def ticker_book(self, call: Call) -> Any:
        """GET ticker/bookTicker."""
        rows = []
        for details in self._wanted(call):
            book = self.exchange.books[details.id]
            if book.best_bid is None or book.best_ask is None:
                continue
            (bid, bid_size), (ask, ask_size) = book.top_bids(1)[0], book.top_asks(1)[0]
            row: dict[str, Any] = {
                "symbol": self.symbol(details.id),
                "bidPrice": self.price(details, bid),
                "bidQty": self.quantity(details, bid_size),
                "askPrice": self.price(details, ask),
                "askQty": self.quantity(details, ask_size),
            }
            if self.futures:
                row |= {"time": self.exchange.ms(book.ts), "lastUpdateId": self.update_id(book.seq)}
            rows.append(row)
        return rows[0] if "symbol" in call.params and rows else rows

    def average_price(self, call: Call) -> Any:
        """GET avgPrice."""
        details = self.details(call.params.get("symbol"))
        tape = self.exchange.tapes[details.id].trades
        if not tape:
            return {"mins": 5, "price": _ZERO, "closeTime": 0}
        return {"mins": 5, "price": self.price(details, tape[-1].price), "closeTime": self.exchange.ms(tape[-1].ts)}

    def _wanted(self, call: Call) -> list[Instrument]:
        if "symbol" in call.params:
            return [self.details(call.params["symbol"])]
        if "symbols" in call.params:
            names = call.params["symbols"].strip("[]").replace('"', "").split(",")
            return [self.details(name) for name in names]
        return list(self.exchange.instruments.values())

    def _trade_row(self, details: Instrument, trade: MarketTrade) -> dict[str, Any]:
        value = details.notional(details.price_from_int(trade.price), details.quantity_from_int(trade.quantity))
        row: dict[str, Any] = {
            "id": int(trade.trade_id),
            "price": self.price(details, trade.price),
            "qty": self.quantity(details, trade.quantity),
            "quoteQty": text(value),
            "time": self.exchange.ms(trade.ts),
            "isBuyerMaker": trade.aggressor is OrderSide.SELL,
        }
        return row if self.futures else row | {"isBestMatch": True}

    def _aggregate(self, details: Instrument, trade: MarketTrade) -> dict[str, Any]:
        number = int(trade.trade_id)
        row: dict[str, Any] = {
            "a": number,
            "p": self.price(details, trade.price),
            "q": self.quantity(details, trade.quantity),
            "f": number,
            "l": number,
            "T": self.exchange.ms(trade.ts),
            "m": trade.aggressor is OrderSide.SELL,
        }
        return row if self.futures else row | {"M": True}

    def _kline_row(self, details: Instrument, candle: Candle) -> list[Any]:
        opened = self.exchange.ms(candle.ts)
        volume, value = self.candle_volume(details, candle), self.candle_value(candle)
        return [
            opened,
            *(self.candle_price(details, p) for p in (candle.open, candle.high, candle.low, candle.close)),
            volume,
            opened + timeframe_ns(candle.timeframe) // 1_000_000 - 1,
            value,
            100,
            text(Decimal(volume) / 2, 8),
            text(Decimal(value) / 2, 8),
            "0",
        ]

    def candle_price(self, details: Instrument, price: float) -> str:
        """A candle's price as text."""
        return self.price(details, round(price * 10**details.price_scale))

    def candle_volume(self, details: Instrument, candle: Candle) -> str:
        """A candle's volume as text."""
        return self.quantity(details, round(candle.volume * 10**details.quantity_scale))

    @staticmethod
    def candle_value(candle: Candle) -> str:
        """What was traded in a candle in quote currency, as text."""
        return f"{candle.volume * (candle.open + candle.close) / 2:.8f}"

    def _day_row(self, details: Instrument) -> dict[str, Any] | None:
        day = self.exchange.tapes[details.id].day(self.exchange.time())
        if day is None:
            return None
        book = self.exchange.books[details.id]
        places, sizes = self.price_places(details), self.quantity_places(details)
        change = day.last - day.open
        row: dict[str, Any] = {
            "symbol": self.symbol(details.id),
            "priceChange": text(change, places),
            "priceChangePercent": f"{change / day.open * 100:.3f}",
            "weightedAvgPrice": text(round(day.value / day.volume, 8) if day.volume else day.last, places),
            "lastPrice": text(day.last, places),
            "lastQty": text(day.last_quantity, sizes),
            "openPrice": text(day.open, places),
            "highPrice": text(day.high, places),
            "lowPrice": text(day.low, places),
            "volume": text(day.volume, sizes),
            "quoteVolume": text(day.value),
            "openTime": self.exchange.ms(day.begin),
            "closeTime": self.exchange.ms(day.end),
            "firstId": day.first_trade,
            "lastId": day.last_trade,
            "count": day.last_trade - day.first_trade,
        }
        if not self.futures:
            bid, ask = book.top_bids(1)[0], book.top_asks(1)[0]
            row |= {
                "prevClosePrice": text(day.open, places),
                "bidPrice": self.price(details, bid[0]),
                "bidQty": self.quantity(details, bid[1]),
                "askPrice": self.price(details, ask[0]),
                "askQty": self.quantity(details, ask[1]),
            }
        return row

    # --- messages of streams -----------------------------------------------------------------------------------------

    def trade_message(self, details: Instrument, trade: MarketTrade) -> dict[str, Any]:
        """`trade`."""
        stamp = self.exchange.ms(trade.ts)
        maker = trade.aggressor is OrderSide.SELL
        head: dict[str, Any] = {"e": "trade", "E": self.exchange.ms()}
        if self.futures:
            head["T"] = stamp
        head |= {
            "s": self.symbol(details.id),
            "t": int(trade.trade_id),
            "p": self.price(details, trade.price),
            "q": self.quantity(details, trade.quantity),
        }
        return head | ({"X": "MARKET", "m": maker} if self.futures else {"T": stamp, "m": maker, "M": True})

    def aggregate_message(self, details: Instrument, trade: MarketTrade) -> dict[str, Any]:
        """`aggTrade`."""
        head = {"e": "aggTrade", "E": self.exchange.ms(), "s": self.symbol(details.id)}
        return head | self._aggregate(details, trade)

    def best_message(self, details: Instrument) -> dict[str, Any] | None:
        """`bookTicker`."""
        book = self.exchange.books[details.id]
        bids, asks = book.top_bids(1), book.top_asks(1)
        if not bids or not asks:
            return None
        body: dict[str, Any] = {
            "u": self.update_id(book.seq),
            "s": self.symbol(details.id),
            "b": self.price(details, bids[0][0]),
            "B": self.quantity(details, bids[0][1]),
            "a": self.price(details, asks[0][0]),
            "A": self.quantity(details, asks[0][1]),
        }
        if not self.futures:
            return body
        return {"e": "bookTicker", **body, "T": self.exchange.ms(book.ts), "E": self.exchange.ms()}

    def kline_message(self, details: Instrument, candle: Candle, first: int, last: int, bought: int) -> dict[str, Any]:
        """`kline`; the trades in it are `first` to `last`, `bought` is what buyers took, scaled."""
        opened = self.exchange.ms(candle.ts)
        taken = details.quantity_from_int(bought)
        return {
            "e": "kline",
            "E": self.exchange.ms(),
            "s": self.symbol(details.id),
            "k": {
                "t": opened,
                "T": opened + timeframe_ns(candle.timeframe) // 1_000_000 - 1,
                "s": self.symbol(details.id),
                "i": candle.timeframe,
                "f": first or -1,
                "L": last or -1,
                "o": self.candle_price(details, candle.open),
                "c": self.candle_price(details, candle.close),
                "h": self.candle_price(details, candle.high),
                "l": self.candle_price(details, candle.low),
                "v": self.candle_volume(details, candle),
                "n": last - first + 1 if first else 0,
                "x": candle.closed,
                "q": self.candle_value(candle),
                "V": text(taken, self.quantity_places(details)),
                "Q": f"{float(taken) * candle.close:.8f}",
                "B": "0",
            },
        }

    def day_message(self, details: Instrument) -> dict[str, Any] | None:
        """`24hrTicker`."""
        row = self._day_row(details)
        if row is None:
            return None
        body = {
            "e": "24hrTicker",
            "E": self.exchange.ms(),
            "s": row["symbol"],
            "p": row["priceChange"],
            "P": row["priceChangePercent"],
            "w": row["weightedAvgPrice"],
        }
        if not self.futures:
            body["x"] = row["prevClosePrice"]
        body |= {"c": row["lastPrice"], "Q": row["lastQty"]}
        if not self.futures:
            body |= {"b": row["bidPrice"], "B": row["bidQty"], "a": row["askPrice"], "A": row["askQty"]}
        return body | {
            "o": row["openPrice"],
            "h": row["highPrice"],
            "l": row["lowPrice"],
            "v": row["volume"],
            "q": row["quoteVolume"],
            "O": row["openTime"],
            "C": row["closeTime"],
            "F": row["firstId"],
            "L": row["lastId"],
            "n": row["count"],
        }

    def mini_message(self, details: Instrument) -> dict[str, Any] | None:
        """`24hrMiniTicker`."""
        row = self._day_row(details)
        if row is None:
            return None
        return {
            "e": "24hrMiniTicker",
            "E": self.exchange.ms(),
            "s": row["symbol"],
            "c": row["lastPrice"],
            "o": row["openPrice"],
            "h": row["highPrice"],
            "l": row["lowPrice"],
            "v": row["volume"],
            "q": row["quoteVolume"],
        }

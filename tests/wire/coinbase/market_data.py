"""Coinbase's public requests: time, products, books, trades, candles; and the older lists of currencies."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.wire.coinbase.server import CoinbaseServer
from tests.wire.coinbase.words import iso, product_id, refusal, text
from tests.wire.simulator import Call, Refusal

if TYPE_CHECKING:
    from engine.model.instrument import Instrument
    from engine.model.market import MarketTrade

__all__ = ["GRANULARITY", "CoinbaseMarketData"]

_NS = 1_000_000_000
_MOST = 350
GRANULARITY = {
    "ONE_MINUTE": "1m",
    "FIVE_MINUTE": "5m",
    "FIFTEEN_MINUTE": "15m",
    "THIRTY_MINUTE": "30m",
    "ONE_HOUR": "1h",
    "TWO_HOUR": "2h",
    "SIX_HOUR": "6h",
    "ONE_DAY": "1d",
}
_FIAT = {"USD": "US Dollar", "EUR": "Euro"}


class CoinbaseMarketData(CoinbaseServer):
    """Answers that need no key."""

    def time(self, call: Call) -> Any:
        """GET time."""
        ms = self.exchange.ms()
        return {
            "iso": iso(ms * 1_000_000, 0).replace(".Z", "Z"),
            "epochSeconds": str(ms // 1000),
            "epochMillis": str(ms),
        }

    def older_time(self, call: Call) -> Any:
        """GET /v2/time."""
        ms = self.exchange.ms()
        return {"data": {"iso": iso(ms * 1_000_000, 0).replace(".Z", "Z"), "epoch": ms // 1000}}

    def products(self, call: Call) -> Any:
        """GET products."""
        kind = call.params.get("product_type", "SPOT")
        rows = [self.product_row(i) for i in self.exchange.instruments.values()] if kind == "SPOT" else []
        wanted = self.several(call, "product_ids")
        rows = [row for row in rows if not wanted or row["product_id"] in wanted]
        pages = {"prev_cursor": "", "next_cursor": "", "has_next": False, "has_prev": False}
        return {"products": rows, "num_products": len(rows), "pagination": pages}

    def product(self, call: Call) -> Any:
        """GET one product."""
        return self.product_row(self.details(call.params["product_id"]))

    def book(self, call: Call) -> Any:
        """GET a book."""
        details = self.details(call.params.get("product_id", ""))
        book = self.exchange.books[details.id]
        depth = int(call.params.get("limit") or 0) or max(len(book.bids), len(book.asks))
        bids, asks = book.top_bids(depth), book.top_asks(depth)
        bid, ask = (details.price_from_int(side[0][0]) if side else Decimal(0) for side in (bids, asks))
        middle = (bid + ask) / 2
        return {
            "pricebook": {
                "product_id": product_id(details.id),
                "bids": self._levels(details, bids),
                "asks": self._levels(details, asks),
                "time": iso(self.exchange.shown(book.ts)),
            },
            "last": text(middle),
            "mid_market": text(middle),
            "spread_bps": f"{(ask - bid) / middle * 10_000:.12f}" if middle else "",
            "spread_absolute": text(ask - bid),
        }

    @staticmethod
    def _levels(details: Instrument, side: list[tuple[int, int]]) -> list[dict[str, str]]:
        return [
            {"price": text(details.price_from_int(price)), "size": text(details.quantity_from_int(quantity))}
            for price, quantity in side
        ]

    def ticker(self, call: Call) -> Any:
        """GET the last trades and the top of the book."""
        details = self.details(call.params["product_id"])
        trades = list(self.exchange.tapes[details.id].trades)[-int(call.params.get("limit") or 100) :]
        book = self.exchange.books[details.id]
        return {
            "trades": [
                {**self.trade_row(details, trade), "bid": "", "ask": "", "exchange": "coinbase"}
                for trade in reversed(trades)
            ],
            "best_bid": "" if book.best_bid is None else text(details.price_from_int(book.best_bid)),
            "best_ask": "" if book.best_ask is None else text(details.price_from_int(book.best_ask)),
        }

    def trade_row(self, details: Instrument, trade: MarketTrade) -> dict[str, Any]:
        """A public trade; its side is that of the resting order."""
        return {
            "trade_id": trade.trade_id,
            "product_id": product_id(details.id),
            "price": text(details.price_from_int(trade.price)),
            "size": text(details.quantity_from_int(trade.quantity)),
            "time": iso(self.exchange.shown(trade.ts)),
            "side": trade.aggressor.opposite.upper(),
        }

    def candles(self, call: Call) -> Any:
        """GET candles, newest first."""
        details = self.details(call.params["product_id"])
        timeframe = GRANULARITY.get(call.params.get("granularity", ""))
        if timeframe is None:
            raise Refusal(refusal(400, "INVALID_ARGUMENT", "granularity argument is invalid"))
        from engine.model.candle import timeframe_ns

        begin, end = int(call.params["start"]) * _NS, int(call.params["end"]) * _NS
        if (end - begin) // timeframe_ns(timeframe) + 1 > _MOST:
            words = "number of candles requested should be less than 350"
            raise Refusal(refusal(400, "INVALID_ARGUMENT", words))
        limit = int(call.params.get("limit") or _MOST)
        found = self.exchange.tapes[details.id].candles(timeframe, begin, end, limit, self.exchange.clock.now())
        places = details.price_scale
        return {
            "candles": [
                {
                    "start": str(candle.ts // _NS),
                    "low": f"{candle.low:.{places}f}",
                    "high": f"{candle.high:.{places}f}",
                    "open": f"{candle.open:.{places}f}",
                    "close": f"{candle.close:.{places}f}",
                    "volume": f"{candle.volume:.8f}",
                }
                for candle in reversed(found)
            ]
        }

    # --- what ccxt asks the older interface --------------------------------------------------------------------------

    def currencies(self, call: Call) -> Any:
        """GET /v2/currencies: money of states."""
        return {"data": [{"id": code, "name": name, "min_size": "0.01"} for code, name in _FIAT.items()]}

    def crypto(self, call: Call) -> Any:
        """GET /v2/currencies/crypto."""
        codes = sorted({c for i in self.exchange.instruments.values() for c in (i.base, i.quote)} - set(_FIAT))
        return {
            "data": [
                {
                    "asset_id": f"00000000-0000-4000-8000-{number:012d}",
                    "code": code,
                    "name": code.title(),
                    "color": "#000000",
                    "sort_index": 100 + number,
                    "exponent": 8,
                    "type": "crypto",
                    "address_regex": "",
                }
                for number, code in enumerate(codes, 1)
            ]
        }

    def rates(self, call: Call) -> Any:
        """GET /v2/exchange-rates."""
        base = call.params.get("currency", "USD")
        codes = {c for i in self.exchange.instruments.values() for c in (i.base, i.quote)} | set(_FIAT)
        return {"data": {"currency": base, "rates": dict.fromkeys(sorted(codes), "1.0")}}

"""OKX's public requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.model.candle import timeframe_ns
from engine.model.instrument import InstrumentKind
from tests.wire.okx.common import OkxServer, good, refuse
from tests.wire.okx.rows import candle_row, inst_id, instrument_row, levels, text, ticker_row, trade_row

if TYPE_CHECKING:
    from engine.model.instrument import Instrument
    from tests.wire.simulator import Call

__all__ = ["BARS", "MarketRequests", "SEQ"]

SEQ = 79_700_000_000
"""Added to a book's numbers, so that they look like OKX's."""
BARS = {
    "1m": "1m", "3m": "3m", "5m": "5m", "15m": "15m", "30m": "30m", "1H": "1h", "2H": "2h", "4H": "4h",
    "6Hutc": "6h", "12Hutc": "12h", "1Dutc": "1d",
}  # fmt: skip
_MS = 1_000_000


class MarketRequests(OkxServer):
    """Answers without a signature."""

    def time_request(self, call: Call) -> Any:
        """GET public/time."""
        return good({"ts": str(self.exchange.ms())})

    def status_request(self, call: Call) -> Any:
        """GET system/status."""
        return good()

    def instruments_request(self, call: Call) -> Any:
        """GET public/instruments."""
        rows = self.kind_rows(call.params.get("instType"))
        wanted = call.params.get("instId")
        return good(*(instrument_row(d, self.code_of(d)) for d in rows if wanted in (None, inst_id(d))))

    def tiers_request(self, call: Call) -> Any:
        """GET public/position-tiers."""
        if call.params.get("instType") != "SWAP" or not call.params.get("instFamily"):
            refuse("50015", "Either parameter instFamily or uly is required")
        rows = []
        for family in call.params["instFamily"].split(","):
            for tier, (low, high, mmr, imr, most) in enumerate(_TIERS, 1):
                rows.append(
                    {
                        "baseMaxLoan": "", "imr": imr, "instId": "", "maxLever": str(most),
                        "maxSz": str(high), "minSz": str(low), "mmr": mmr, "optMgnFactor": "0", "quoteMaxLoan": "",
                        "tier": str(tier), "uly": family, "instFamily": family,
                    }
                )  # fmt: skip
        return good(*rows)

    def book_request(self, call: Call) -> Any:
        """GET market/books."""
        details, depth = self.details(call.params.get("instId")), int(call.params.get("sz", "1"))
        book = self.exchange.books[details.id]
        return good(
            {
                "asks": levels(details, book.top_asks(min(depth, 400))),
                "bids": levels(details, book.top_bids(min(depth, 400))),
                "ts": str(self.exchange.ms()),
            }
        )

    def trades_request(self, call: Call) -> Any:
        """GET market/trades, newest first."""
        details = self.details(call.params.get("instId"))
        newest = list(self.exchange.tapes[details.id].trades)[-self.count(call, 500) :]
        return good(*(trade_row(details, trade, self.exchange) for trade in reversed(newest)))

    def tickers_request(self, call: Call) -> Any:
        """GET market/tickers."""
        return good(*(self.ticker(d) for d in self.kind_rows(call.params.get("instType"))))

    def ticker_request(self, call: Call) -> Any:
        """GET market/ticker."""
        return good(self.ticker(self.details(call.params.get("instId"))))

    def ticker(self, details: Instrument) -> dict[str, Any]:
        """The last 24 hours of an instrument."""
        return ticker_row(details, self.exchange, self.exchange.tapes[details.id].day(self.exchange.clock.now()))

    def candles_request(self, call: Call) -> Any:
        """GET market/candles and market/history-candles, newest first."""
        details, bar = self.details(call.params.get("instId")), call.params.get("bar", "1m")
        timeframe = BARS.get(bar)
        if timeframe is None:
            refuse("51000", "Parameter bar error")
        now = self.exchange.clock.now()
        end, begin = now, None
        if after := call.params.get("after"):
            end = min(end, int(after) * _MS - 1)
        if before := call.params.get("before"):
            begin = int(before) * _MS + 1
        found = self.exchange.tapes[details.id].candles(timeframe, begin, end, self.count(call, 300), now)
        length = timeframe_ns(timeframe)
        rows = [candle_row(details, c, closed=c.ts + length <= now) for c in found]
        if call.path.endswith("history-candles"):
            rows = [row for row in rows if row[-1] == "1"]
        return good(*reversed(rows))

    def mark_request(self, call: Call) -> Any:
        """GET public/mark-price."""
        wanted = call.params.get("instId")
        rows = self.kind_rows(call.params.get("instType"))
        return good(*(self.mark_row(d) for d in rows if wanted in (None, inst_id(d))))

    def mark_row(self, details: Instrument) -> dict[str, str]:
        """Mark price of an instrument: the middle of its book."""
        kind = "SWAP" if details.kind is not InstrumentKind.SPOT else "MARGIN"
        mark, now = self.middle(details), str(self.exchange.ms())
        return {"instType": kind, "instId": inst_id(details), "markPx": mark, "ts": now}

    def middle(self, details: Instrument) -> str:
        """The middle of a book."""
        return text(self.exchange.mark(details.id))

    def index_row(self, details: Instrument) -> dict[str, str]:
        """The index of a pair."""
        mark = self.middle(details)
        name = f"{details.base}-{details.quote}"
        rest = dict.fromkeys(("high24h", "sodUtc0", "open24h", "low24h", "sodUtc8"), mark)
        return {"instId": name, "idxPx": mark, **rest, "ts": str(self.exchange.ms())}

    def funding_row(self, details: Instrument) -> dict[str, str]:
        """The funding rate of a swap; it is paid at 0, 8 and 16 o'clock."""
        eight = 8 * 3_600_000
        due = (self.exchange.ms() // eight + 1) * eight
        return {
            "fundingRate": text(self.exchange.funding_rate),
            "fundingTime": str(due),
            "instId": inst_id(details),
            "nextFundingRate": "",
            "nextFundingTime": str(due + eight),
            "ts": str(self.exchange.ms()),
        }

    def funding_request(self, call: Call) -> Any:
        """GET public/funding-rate."""
        return good(self.funding_row(self.details(call.params.get("instId"))))


_TIERS = (
    (0, 2000, "0.004", "0.01", 100),
    (2001, 6000, "0.005", "0.0134", 75),
    (6001, 20_000, "0.01", "0.02", 50),
)

"""What Binance USD-M says about itself: instruments, brackets of leverage, marks, and rates of funding."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.wire.binance.common import text
from tests.wire.binance.usdm_user import UsdmUserStream
from tests.wire.exchange import FUNDING_NS

if TYPE_CHECKING:
    from engine.model.instrument import Instrument
    from tests.wire.simulator import Call

__all__ = ["UsdmInfo"]


class UsdmInfo(UsdmUserStream):
    """Adds what anybody may ask to the USD-M server."""

    padding = 0
    """How many symbols without a market are listed besides."""

    def exchange_info(self, call: Call) -> Any:
        """GET exchangeInfo."""
        rows = [self._symbol_row(details) for details in self.exchange.instruments.values()]
        rows += [
            rows[0] | {"symbol": f"PAD{n}USDT", "pair": f"PAD{n}USDT", "baseAsset": f"PAD{n}"}
            for n in range(self.padding)
        ]
        return {
            "timezone": "UTC",
            "serverTime": self.exchange.ms(),
            "futuresType": "U_MARGINED",
            "rateLimits": [
                self._limit("REQUEST_WEIGHT", "MINUTE", 1, 2400),
                self._limit("ORDERS", "MINUTE", 1, 1200),
                self._limit("ORDERS", "SECOND", 10, 300),
            ],
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": rows,
        }

    @staticmethod
    def _limit(kind: str, interval: str, number: int, most: int) -> dict[str, Any]:
        return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": most}

    def _symbol_row(self, details: Instrument) -> dict[str, Any]:
        rules, symbol = details.current_rules, self.symbol(details.id)
        size = {
            "stepSize": text(rules.lot, 0),
            "maxQty": text(rules.max_quantity, 0),
            "minQty": text(rules.min_quantity, 0),
        }
        return {
            "symbol": symbol,
            "pair": symbol,
            "contractType": "PERPETUAL",
            "deliveryDate": 4_133_404_800_000,
            "onboardDate": 1_569_398_400_000,
            "status": "TRADING",
            "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000",
            "baseAsset": details.base,
            "quoteAsset": details.quote,
            "marginAsset": details.settle,
            "pricePrecision": details.price_scale,
            "quantityPrecision": details.quantity_scale,
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "underlyingType": "COIN",
            "underlyingSubType": ["PoW"],
            "settlePlan": 0,
            "triggerProtect": "0.0500",
            "liquidationFee": "0.012500",
            "marketTakeBound": "0.05",
            "filters": [
                {"minPrice": text(rules.price_tick, 0), "maxPrice": "1000000", "filterType": "PRICE_FILTER",
                 "tickSize": text(rules.price_tick, 0)},
                {**size, "filterType": "LOT_SIZE"},
                {**size, "filterType": "MARKET_LOT_SIZE"},
                {"limit": self.exchange.max_open_orders, "filterType": "MAX_NUM_ORDERS"},
                {"limit": 10, "filterType": "MAX_NUM_ALGO_ORDERS"},
                {"notional": text(rules.min_notional, 0), "filterType": "MIN_NOTIONAL"},
                {"multiplierDown": "0.9500", "multiplierUp": "1.0500", "multiplierDecimal": "4",
                 "filterType": "PERCENT_PRICE"},
            ],
            "orderTypes": [
                "LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET",
            ],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
        }  # fmt: skip

    def brackets(self, call: Call) -> Any:
        """GET leverageBracket."""
        symbol = call.params.get("symbol")
        wanted = [self.details(symbol)] if symbol else list(self.exchange.instruments.values())
        rows = []
        for details in wanted:
            tiers = details.current_rules.margin
            caps = [*(t.from_notional for t in tiers[1:]), Decimal(100_000_000)]
            found = [
                {
                    "bracket": number,
                    "initialLeverage": int(tier.max_leverage),
                    "notionalCap": int(cap),
                    "notionalFloor": int(tier.from_notional),
                    "maintMarginRatio": float(tier.maintenance),
                    "cum": float(tier.deduction),
                }
                for number, (tier, cap) in enumerate(zip(tiers, caps, strict=True), 1)
            ]
            rows.append({"symbol": self.symbol(details.id), "brackets": found})
        return rows

    def premium_index(self, call: Call) -> Any:
        """GET premiumIndex."""
        symbol = call.params.get("symbol")
        wanted = [self.details(symbol).id] if symbol else list(self.exchange.instruments)
        rows = []
        for instrument in wanted:
            mark = self.exchange.marks.get(instrument)
            if mark is None:
                continue
            rows.append(
                {
                    "symbol": self.symbol(instrument),
                    "markPrice": text(mark.mark),
                    "indexPrice": text(mark.index or mark.mark),
                    "estimatedSettlePrice": text(mark.mark),
                    "lastFundingRate": text(mark.funding_rate or Decimal(0)),
                    "interestRate": "0.00010000",
                    "nextFundingTime": self.exchange.ms(mark.next_funding or 0),
                    "time": self.exchange.ms(mark.ts),
                }
            )
        return rows[0] if symbol and rows else rows

    def funding_rates(self, call: Call) -> Any:
        """GET fundingRate: as if the present rate had always been."""
        details = self.details(call.params.get("symbol"))
        limit = min(self.number(call, "limit", 100) or 100, 1000)
        mark = self.exchange.marks.get(details.id)
        due = self.exchange.time() // FUNDING_NS * FUNDING_NS
        return [
            {
                "symbol": self.symbol(details.id),
                "fundingTime": self.exchange.ms(due - back * FUNDING_NS),
                "fundingRate": text(self.exchange.funding_rate),
                "markPrice": text(mark.mark if mark is not None else Decimal(0)),
            }
            for back in reversed(range(limit))
        ]

    def funding_info(self, call: Call) -> Any:
        """GET fundingInfo."""
        return [
            {
                "symbol": self.symbol(instrument),
                "adjustedFundingRateCap": "0.02000000",
                "adjustedFundingRateFloor": "-0.02000000",
                "fundingIntervalHours": 8,
                "disclaimer": False,
            }
            for instrument in self.exchange.instruments
        ]

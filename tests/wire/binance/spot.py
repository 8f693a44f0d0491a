"""Binance spot: its table of endpoints, its account, and what it says about itself."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.model.ids import AccountId, InstrumentId, VenueId
from engine.venues.paper.settings import FeeCurrency, PaperSettings
from tests.wire.binance.common import text
from tests.wire.binance.spot_user import SpotUserStream
from tests.wire.exchange import Exchange
from tests.wire.limits import Limits, Window
from tests.wire.markets import RelistedMarket, spot
from tests.wire.simulator import Call, Route
from tests.wire.venues import simulated_source

if TYPE_CHECKING:
    from engine.clock import Clock
    from engine.model.instrument import Instrument
    from engine.venues.markets.contract import Market

__all__ = ["INSTRUMENTS", "MAIN", "BinanceSpot", "make", "spot_limits"]

MAIN = AccountId("main")
VENUE = VenueId("BINANCE")
_SECOND = 1_000_000_000
_DAY = 86_400 * _SECOND

INSTRUMENTS = (
    (spot("BINANCE", "BTC/USDT", tick="0.01", lot="0.00001"), InstrumentId("SIM:BTC/USDT")),
    (spot("BINANCE", "ETH/USDT", tick="0.01", lot="0.0001"), InstrumentId("SIM:ETH/USDT")),
    (spot("BINANCE", "ETH/BTC", tick="0.000001", lot="0.0001", min_notional="0.0001"), InstrumentId("SIM:ETH/BTC")),
    (spot("BINANCE", "SOL/USDT", tick="0.01", lot="0.001"), InstrumentId("SIM:SOL/USDT")),
    (spot("BINANCE", "BNB/USDT", tick="0.01", lot="0.001"), InstrumentId("SIM:BNB/USDT")),
)
"""What is traded, and the instrument of the simulated market that each follows."""

_FIXED_FILTERS: tuple[dict[str, Any], ...] = (
    {"filterType": "ICEBERG_PARTS", "limit": 10},
    {
        "filterType": "MARKET_LOT_SIZE",
        "minQty": "0.00000000",
        "maxQty": "100.00000000",
        "stepSize": "0.00000000",
    },
    {
        "filterType": "TRAILING_DELTA",
        "minTrailingAboveDelta": 10,
        "maxTrailingAboveDelta": 2000,
        "minTrailingBelowDelta": 10,
        "maxTrailingBelowDelta": 2000,
    },
    {
        "filterType": "PERCENT_PRICE_BY_SIDE",
        "bidMultiplierUp": "5",
        "bidMultiplierDown": "0.2",
        "askMultiplierUp": "5",
        "askMultiplierDown": "0.2",
        "avgPriceMins": 5,
    },
)


def spot_limits() -> Limits:
    """Binance spot's limits as it tells them."""
    return Limits(
        {
            "weight": Window("weight", 6000, 60 * _SECOND),
            "orders_10s": Window("orders_10s", 100, 10 * _SECOND),
            "orders_1d": Window("orders_1d", 200_000, _DAY),
        }
    )


def _by_limit(call: Call) -> float:
    limit = int(call.params.get("limit") or 100)
    return 5 if limit <= 100 else 25 if limit <= 500 else 50 if limit <= 1000 else 250


def _one_or_all(one: float, every: float) -> Any:
    return lambda call: one if call.params.get("symbol") else every


class BinanceSpot(SpotUserStream):
    """The spot server.

    Args:
        exchange: What stands behind it.
        limits: Instead of Binance's own.
        padding: How many symbols without a market are listed besides, for the length of the real list.
    """

    name = "binance"
    order_windows = (("orders_10s", "X-MBX-ORDER-COUNT-10S"), ("orders_1d", "X-MBX-ORDER-COUNT-1D"))

    def __init__(self, exchange: Exchange, limits: Limits | None = None, *, padding: int = 0) -> None:
        super().__init__(exchange, limits or spot_limits())
        self.padding = padding
        self.begin_streams()
        self.begin_user_stream()

    @property
    def addresses(self) -> dict[str, str]:
        """Of requests, of market streams, and of the WebSocket API."""
        return {"rest": self.rest, "public": self.ws, "private": f"{self.ws}/ws-api/v3"}

    # --- what it says about itself -----------------------------------------------------------------------------------

    def exchange_info(self, call: Call) -> Any:
        """GET exchangeInfo."""
        if "symbol" in call.params:
            wanted = [self.details(call.params["symbol"])]
        else:
            wanted = list(self.exchange.instruments.values())
        rows = [self._symbol_row(details) for details in wanted]
        if "symbol" not in call.params:
            rows += [self._padding_row(rows[0], number) for number in range(self.padding)]
        return {
            "timezone": "UTC",
            "serverTime": self.exchange.ms(),
            "rateLimits": [
                self._limit("REQUEST_WEIGHT", "MINUTE", 1, 6000),
                self._limit("ORDERS", "SECOND", 10, 100),
                self._limit("ORDERS", "DAY", 1, 200_000),
                self._limit("RAW_REQUESTS", "MINUTE", 5, 61_000),
            ],
            "exchangeFilters": [],
            "symbols": rows,
            "sors": [],
        }

    @staticmethod
    def _limit(kind: str, interval: str, number: int, most: int) -> dict[str, Any]:
        return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": most}

    def _symbol_row(self, details: Instrument) -> dict[str, Any]:
        rules = details.current_rules
        return {
            "symbol": self.symbol(details.id),
            "status": "TRADING",
            "baseAsset": details.base,
            "baseAssetPrecision": 8,
            "quoteAsset": details.quote,
            "quotePrecision": 8,
            "quoteAssetPrecision": 8,
            "baseCommissionPrecision": 8,
            "quoteCommissionPrecision": 8,
            "orderTypes": [
                "LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT", "TAKE_PROFIT", "TAKE_PROFIT_LIMIT",
            ],
            "icebergAllowed": True,
            "ocoAllowed": True,
            "otoAllowed": True,
            "opoAllowed": True,
            "quoteOrderQtyMarketAllowed": True,
            "allowTrailingStop": False,
            "cancelReplaceAllowed": True,
            "amendAllowed": True,
            "pegInstructionsAllowed": True,
            "isSpotTradingAllowed": True,
            "isMarginTradingAllowed": False,
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": text(rules.price_tick),
                    "maxPrice": "1000000.00000000",
                    "tickSize": text(rules.price_tick),
                },
                {
                    "filterType": "LOT_SIZE",
                    "minQty": text(rules.min_quantity),
                    "maxQty": text(rules.max_quantity),
                    "stepSize": text(rules.lot),
                },
                *_FIXED_FILTERS,
                {
                    "filterType": "NOTIONAL",
                    "minNotional": text(rules.min_notional),
                    "applyMinToMarket": True,
                    "maxNotional": "9000000.00000000",
                    "applyMaxToMarket": False,
                    "avgPriceMins": 5,
                },
                {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": self.exchange.max_open_orders},
                {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": 20},
                {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
                {"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": 10},
            ],
            "permissions": [],
            "permissionSets": [["SPOT", "TRD_GRP_004"]],
            "defaultSelfTradePreventionMode": "NONE",
            "allowedSelfTradePreventionModes": ["NONE", "EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
        }  # fmt: skip

    @staticmethod
    def _padding_row(like: dict[str, Any], number: int) -> dict[str, Any]:
        return like | {"symbol": f"PAD{number}USDT", "baseAsset": f"PAD{number}", "quoteAsset": "USDT"}

    def account_request(self, call: Call) -> Any:
        """GET account."""
        assert call.key is not None
        account = self.account(call)
        found = {b.currency: b for b in self.exchange.balances(account)}
        names = sorted({c for d in self.exchange.instruments.values() for c in (d.base, d.quote)} | set(found))
        spare = call.params.get("omitZeroBalances") == "true"
        rules = next(iter(self.exchange.instruments.values())).current_rules
        rows = []
        for name in names:
            balance = found.get(name)
            total, locked = (balance.total, balance.locked) if balance is not None else (Decimal(0), Decimal(0))
            if total or locked or not spare:
                rows.append({"asset": name, "free": text(total - locked), "locked": text(locked)})
        return {
            "makerCommission": int(rules.maker_fee * 10_000),
            "takerCommission": int(rules.taker_fee * 10_000),
            "buyerCommission": 0,
            "sellerCommission": 0,
            "commissionRates": self._rates(rules.maker_fee, rules.taker_fee),
            "canTrade": call.key.trade,
            "canWithdraw": call.key.withdraw,
            "canDeposit": True,
            "brokered": False,
            "requireSelfTradePrevention": False,
            "preventSor": False,
            "updateTime": self.exchange.ms(),
            "accountType": "SPOT",
            "balances": rows,
            "permissions": ["SPOT"],
            "uid": 1_000_000 + sum(map(ord, account)),
        }

    @staticmethod
    def _rates(maker: Decimal, taker: Decimal) -> dict[str, str]:
        return {"maker": text(maker), "taker": text(taker), "buyer": "0.00000000", "seller": "0.00000000"}

    def commission(self, call: Call) -> Any:
        """GET account/commission."""
        details = self.details(call.params.get("symbol"))
        rules, nothing = details.current_rules, self._rates(Decimal(0), Decimal(0))
        return {
            "symbol": self.symbol(details.id),
            "standardCommission": self._rates(rules.maker_fee, rules.taker_fee),
            "specialCommission": nothing,
            "taxCommission": nothing,
            "discount": {
                "enabledForAccount": False, "enabledForSymbol": True, "discountAsset": "BNB", "discount": "0.75000000",
            },
        }  # fmt: skip

    def order_counts(self, call: Call) -> Any:
        """GET rateLimit/order."""
        now, key = self.exchange.time(), call.headers.get("X-MBX-APIKEY", "")
        ten, day = (int(self.limits.used(n, key, now)) for n in ("orders_10s", "orders_1d"))
        return [
            self._limit("ORDERS", "SECOND", 10, 100) | {"count": ten},
            self._limit("ORDERS", "DAY", 1, 200_000) | {"count": day},
        ]

    def trade_fees(self, call: Call) -> Any:
        """GET sapi asset/tradeFee."""
        return [
            {
                "symbol": self.symbol(d.id),
                "makerCommission": text(d.current_rules.maker_fee, 3),
                "takerCommission": text(d.current_rules.taker_fee, 3),
            }
            for d in self.exchange.instruments.values()
        ]

    _S = SpotUserStream
    routes = (
        Route("GET", "/api/v3/ping", _S.ping_request, 1),
        Route("GET", "/api/v3/time", _S.time_request, 1),
        Route("GET", "/api/v3/exchangeInfo", exchange_info, 20),
        Route("GET", "/api/v3/depth", _S.depth, _by_limit),
        Route("GET", "/api/v3/trades", _S.trades, 25),
        Route("GET", "/api/v3/aggTrades", _S.agg_trades, 4),
        Route("GET", "/api/v3/klines", _S.klines, 2),
        Route("GET", "/api/v3/avgPrice", _S.average_price, 2),
        Route("GET", "/api/v3/ticker/24hr", _S.ticker_24h, _one_or_all(2, 80)),
        Route("GET", "/api/v3/ticker/price", _S.ticker_price, _one_or_all(2, 4)),
        Route("GET", "/api/v3/ticker/bookTicker", _S.ticker_book, _one_or_all(2, 4)),
        Route("POST", "/api/v3/order", _S.place, 1, signed=True, orders=1, changes=True),
        Route("POST", "/api/v3/order/test", _S.place_test, 1, signed=True),
        Route("POST", "/api/v3/order/cancelReplace", _S.cancel_replace, 1, signed=True, orders=1, changes=True),
        Route("PUT", "/api/v3/order/amend/keepPriority", _S.amend, 4, signed=True, changes=True),
        Route("POST", "/api/v3/orderList/oco", _S.oco, 1, signed=True, orders=2, changes=True),
        Route("GET", "/api/v3/order", _S.query, 4, signed=True),
        Route("DELETE", "/api/v3/order", _S.cancel, 1, signed=True, changes=True),
        Route("GET", "/api/v3/openOrders", _S.open_orders, _one_or_all(6, 80), signed=True, lists=True),
        Route("DELETE", "/api/v3/openOrders", _S.cancel_all, 1, signed=True, changes=True),
        Route("GET", "/api/v3/allOrders", _S.all_orders, 20, signed=True, lists=True),
        Route("GET", "/api/v3/openOrderList", _S.open_lists, 6, signed=True, lists=True),
        Route("DELETE", "/api/v3/orderList", _S.cancel_list, 1, signed=True, changes=True),
        Route("GET", "/api/v3/myTrades", _S.my_trades, 20, signed=True, lists=True),
        Route("GET", "/api/v3/account", account_request, 20, signed=True),
        Route("GET", "/api/v3/account/commission", commission, 20, signed=True),
        Route("GET", "/api/v3/rateLimit/order", order_counts, 40, signed=True),
        Route("POST", "/api/v3/userDataStream", _S.listen_key_gone, 2),
        Route("PUT", "/api/v3/userDataStream", _S.listen_key_gone, 2),
        Route("DELETE", "/api/v3/userDataStream", _S.listen_key_gone, 2),
        Route("GET", "/sapi/v1/account/apiRestrictions", _S.restrictions, 1, signed=True),
        Route("GET", "/sapi/v1/capital/config/getall", _S.coins, 10, signed=True),
        Route("GET", "/sapi/v1/asset/tradeFee", trade_fees, 1, signed=True),
        Route("GET", "/sapi/v1/system/status", _S.system_status, 1),
        Route("GET", "/sapi/v1/margin/allAssets", _S.nothing, 1),
        Route("GET", "/sapi/v1/margin/allPairs", _S.nothing, 1),
        Route("GET", "/sapi/v1/margin/isolated/allPairs", _S.nothing, 1),
        Route("GET", "/fapi/v1/exchangeInfo", _S.no_market, 1),
        Route("GET", "/dapi/v1/exchangeInfo", _S.no_market, 1),
    )


def make(
    clock: Clock, *, seed: int = 7, rate: float = 10.0, market: Market | None = None, padding: int = 0
) -> BinanceSpot:
    """Binance spot over the simulated market (or another one), with a rich account `main`."""
    source = market or RelistedMarket(simulated_source(clock, seed=seed, rate=rate), INSTRUMENTS)
    settings = PaperSettings(fee_currency=FeeCurrency.RECEIVED)
    exchange = Exchange(VENUE, source, clock, settings=settings, seed=seed)
    exchange.open_account(MAIN, {"USDT": Decimal(100_000)})
    return BinanceSpot(exchange, padding=padding)

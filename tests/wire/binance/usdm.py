"""Binance USD-M perpetuals on loopback: what is traded, the limits, and the table of endpoints."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.model.ids import AccountId, InstrumentId, VenueId
from engine.model.venue import MarginMode
from engine.venues.paper.settings import BookFillSettings, PaperSettings, StopTrigger
from tests.wire.binance.usdm_account import UsdmAccount
from tests.wire.exchange import Exchange
from tests.wire.limits import Limits, Window
from tests.wire.markets import RelistedMarket, perpetual
from tests.wire.simulator import Call, Route
from tests.wire.venues import simulated_source

if TYPE_CHECKING:
    from engine.clock import Clock
    from engine.venues.markets.contract import Market
    from tests.wire.accounts import Key

__all__ = ["INSTRUMENTS", "MAIN", "BinanceUsdm", "make", "usdm_limits"]

MAIN = AccountId("main")
VENUE = VenueId("BINANCEUSDM")
_SECOND = 1_000_000_000

INSTRUMENTS = (
    (perpetual("BINANCEUSDM", "BTC/USDT:USDT", tick="0.1", lot="0.001"), InstrumentId("SIM:BTC/USDT")),
    (perpetual("BINANCEUSDM", "ETH/USDT:USDT", tick="0.01", lot="0.001"), InstrumentId("SIM:ETH/USDT")),
    (perpetual("BINANCEUSDM", "SOL/USDT:USDT", tick="0.01", lot="0.01"), InstrumentId("SIM:SOL/USDT")),
    (perpetual("BINANCEUSDM", "BNB/USDT:USDT", tick="0.01", lot="0.01"), InstrumentId("SIM:BNB/USDT")),
)
"""What is traded, and the instrument of the simulated market that each follows."""


def usdm_limits() -> Limits:
    """Binance USD-M's limits as it tells them."""
    return Limits(
        {
            "weight": Window("weight", 2400, 60 * _SECOND),
            "orders_10s": Window("orders_10s", 300, 10 * _SECOND),
            "orders_1m": Window("orders_1m", 1200, 60 * _SECOND),
        }
    )


def _by_limit(call: Call) -> float:
    limit = int(call.params.get("limit") or 500)
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def _one_or_all(one: float, every: float) -> Any:
    return lambda call: one if call.params.get("symbol") else every


class BinanceUsdm(UsdmAccount):
    """The USD-M server.

    Args:
        exchange: What stands behind it.
        limits: Instead of Binance's own.
        padding: How many symbols without a market are listed besides, for the length of the real list.
    """

    name = "binanceusdm"
    order_windows = (("orders_10s", "X-MBX-ORDER-COUNT-10S"), ("orders_1m", "X-MBX-ORDER-COUNT-1M"))
    weight_most = 2400
    messages_a_second = 10

    def __init__(self, exchange: Exchange, limits: Limits | None = None, *, padding: int = 0) -> None:
        super().__init__(exchange, limits or usdm_limits())
        self.padding = padding
        self.begin_orders()
        self.begin_streams()
        self.begin_user_stream()

    @property
    def addresses(self) -> dict[str, str]:
        """Of requests, of market streams and of private streams."""
        return {
            "rest": self.rest,
            "public": f"{self.ws}/public",
            "market": f"{self.ws}/market",
            "private": f"{self.ws}/private",
        }

    _S = UsdmAccount
    _KEY_ONLY: dict[str, Any] = {"key_only": True}  # noqa: RUF012
    routes = (
        Route("GET", "/fapi/v1/ping", _S.ping_request, 1),
        Route("GET", "/fapi/v1/time", _S.time_request, 1),
        Route("GET", "/fapi/v1/exchangeInfo", _S.exchange_info, 1),
        Route("GET", "/fapi/v1/depth", _S.depth, _by_limit),
        Route("GET", "/fapi/v1/trades", _S.trades, 5),
        Route("GET", "/fapi/v1/aggTrades", _S.agg_trades, 20),
        Route("GET", "/fapi/v1/klines", _S.klines, 5),
        Route("GET", "/fapi/v1/premiumIndex", _S.premium_index, _one_or_all(1, 10)),
        Route("GET", "/fapi/v1/fundingRate", _S.funding_rates, 1),
        Route("GET", "/fapi/v1/fundingInfo", _S.funding_info, 1),
        Route("GET", "/fapi/v1/ticker/24hr", _S.ticker_24h, _one_or_all(1, 40)),
        Route("GET", "/fapi/v1/ticker/price", _S.ticker_price, _one_or_all(1, 2)),
        Route("GET", "/fapi/v2/ticker/price", _S.ticker_price, _one_or_all(1, 2)),
        Route("GET", "/fapi/v1/ticker/bookTicker", _S.ticker_book, _one_or_all(2, 5)),
        Route("GET", "/fapi/v1/leverageBracket", _S.brackets, 1, signed=True),
        Route("GET", "/fapi/v1/positionSide/dual", _S.position_mode, 30, signed=True),
        Route("POST", "/fapi/v1/positionSide/dual", _S.set_position_mode, 1, signed=True, changes=True),
        Route("GET", "/fapi/v1/multiAssetsMargin", _S.assets_mode, 30, signed=True),
        Route("POST", "/fapi/v1/marginType", _S.set_margin_type, 1, signed=True, changes=True),
        Route("POST", "/fapi/v1/leverage", _S.set_leverage, 1, signed=True, changes=True),
        Route("GET", "/fapi/v2/positionRisk", _S.risk_v2, 5, signed=True, lists=True),
        Route("GET", "/fapi/v3/positionRisk", _S.risk_v3, 5, signed=True, lists=True),
        Route("GET", "/fapi/v2/account", _S.account_request, 5, signed=True),
        Route("GET", "/fapi/v3/account", _S.account_v3, 5, signed=True),
        Route("GET", "/fapi/v2/balance", _S.balance, 5, signed=True),
        Route("GET", "/fapi/v3/balance", _S.balance, 5, signed=True),
        Route("GET", "/fapi/v1/symbolConfig", _S.symbol_config, 5, signed=True),
        Route("GET", "/fapi/v1/accountConfig", _S.account_config, 5, signed=True),
        Route("GET", "/fapi/v1/commissionRate", _S.commission, 20, signed=True),
        Route("GET", "/fapi/v1/income", _S.income, 30, signed=True, lists=True),
        Route("POST", "/fapi/v1/order", _S.place, 1, signed=True, orders=1, changes=True),
        Route("POST", "/fapi/v1/order/test", _S.place_test, 1, signed=True),
        Route("PUT", "/fapi/v1/order", _S.amend, 1, signed=True, orders=1, changes=True),
        Route("GET", "/fapi/v1/order", _S.query, 1, signed=True),
        Route("DELETE", "/fapi/v1/order", _S.cancel, 1, signed=True, changes=True),
        Route("GET", "/fapi/v1/openOrder", _S.query_open, 1, signed=True),
        Route("GET", "/fapi/v1/openOrders", _S.open_orders, _one_or_all(1, 40), signed=True, lists=True),
        Route("GET", "/fapi/v1/allOrders", _S.all_orders, 5, signed=True, lists=True),
        Route("DELETE", "/fapi/v1/allOpenOrders", _S.cancel_all, 1, signed=True, changes=True),
        Route("POST", "/fapi/v1/batchOrders", _S.batch, 5, signed=True, orders=5, changes=True),
        Route("DELETE", "/fapi/v1/batchOrders", _S.cancel_batch, 1, signed=True, changes=True),
        Route("GET", "/fapi/v1/userTrades", _S.user_trades, 5, signed=True, lists=True),
        Route("POST", "/fapi/v1/algoOrder", _S.place_algo, 1, signed=True, orders=1, changes=True),
        Route("GET", "/fapi/v1/algoOrder", _S.query_algo, 1, signed=True),
        Route("DELETE", "/fapi/v1/algoOrder", _S.cancel_algo, 1, signed=True, changes=True),
        Route("GET", "/fapi/v1/openAlgoOrders", _S.open_algos, _one_or_all(1, 40), signed=True, lists=True),
        Route("GET", "/fapi/v1/allAlgoOrders", _S.all_algos, 5, signed=True, lists=True),
        Route("DELETE", "/fapi/v1/algoOpenOrders", _S.cancel_all_algo, 1, signed=True, changes=True),
        Route("POST", "/fapi/v1/countdownCancelAll", _S.countdown, 10, signed=True, changes=True),
        Route("POST", "/fapi/v1/listenKey", _S.open_key, 1, signed=True, extra=_KEY_ONLY),
        Route("PUT", "/fapi/v1/listenKey", _S.renew_key, 1, signed=True, extra=_KEY_ONLY),
        Route("DELETE", "/fapi/v1/listenKey", _S.close_key, 1, signed=True, extra=_KEY_ONLY),
        Route("GET", "/sapi/v1/account/apiRestrictions", _S.restrictions, 1, signed=True),
        Route("GET", "/sapi/v1/capital/config/getall", _S.coins, 10, signed=True),
        Route("GET", "/sapi/v1/margin/allPairs", _S.nothing, 1),
        Route("GET", "/sapi/v1/margin/isolated/allPairs", _S.nothing, 1),
        Route("GET", "/api/v3/exchangeInfo", _S.no_market, 1),
        Route("GET", "/dapi/v1/exchangeInfo", _S.no_market, 1),
    )


class UsdmExchange(Exchange):
    """Its accounts begin as Binance's do: at 20x in cross mode in every symbol."""

    def open_account(self, account: AccountId, balances: dict[str, Decimal], **key: Any) -> Key:
        """Open an account with money and give a key to it."""
        made = super().open_account(account, balances, **key)
        for instrument in self.instruments:
            self.paper.set_margin(account, instrument, Decimal(20), MarginMode.CROSS)
        return made


def make(
    clock: Clock, *, seed: int = 7, rate: float = 10.0, market: Market | None = None, padding: int = 0
) -> BinanceUsdm:
    """Binance USD-M over the simulated market (or another one), with a rich account `main`."""
    source = market or RelistedMarket(simulated_source(clock, seed=seed, rate=rate), INSTRUMENTS)
    settings = PaperSettings(book=BookFillSettings(trigger=StopTrigger.LAST))
    exchange = UsdmExchange(VENUE, source, clock, settings=settings, seed=seed)
    exchange.open_account(MAIN, {"USDT": Decimal(100_000)})
    return BinanceUsdm(exchange, padding=padding)

"""Coinbase Advanced Trade as a whole: its table of endpoints and what is traded there."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.model.ids import AccountId, InstrumentId, VenueId
from engine.venues.paper.settings import FeeCurrency, PaperSettings
from tests.wire.coinbase.keys import ec_fields, ed25519_fields
from tests.wire.coinbase.streams import CoinbaseStreams
from tests.wire.exchange import Exchange
from tests.wire.markets import RelistedMarket, spot
from tests.wire.simulator import Route
from tests.wire.venues import simulated_source

if TYPE_CHECKING:
    from engine.clock import Clock
    from engine.venues.markets.contract import Market
    from tests.wire.limits import Limits

__all__ = ["INSTRUMENTS", "MAIN", "SECOND", "Coinbase", "make"]

VENUE = VenueId("COINBASE")
MAIN, SECOND = AccountId("main"), AccountId("second")
_FEES = {"maker": "0.004", "taker": "0.006"}

INSTRUMENTS = (
    (
        spot("COINBASE", "BTC/USD", tick="0.01", lot="0.00000001", min_notional="1", **_FEES),
        InstrumentId("SIM:BTC/USDT"),
    ),
    (
        spot("COINBASE", "BTC/USDC", tick="0.01", lot="0.00000001", min_notional="1", **_FEES),
        InstrumentId("SIM:BTC/USDT"),
    ),
    (
        spot("COINBASE", "ETH/USD", tick="0.01", lot="0.00000001", min_notional="1", **_FEES),
        InstrumentId("SIM:ETH/USDT"),
    ),
    (
        spot("COINBASE", "SOL/USD", tick="0.01", lot="0.00000001", min_notional="1", **_FEES),
        InstrumentId("SIM:SOL/USDT"),
    ),
)
"""What is traded, and the instrument of the simulated market that each follows."""

_V3 = "/api/v3/brokerage"


class Coinbase(CoinbaseStreams):
    """The simulator.

    Args:
        exchange: What stands behind it.
        limits: Instead of Coinbase's own.
    """

    routes = (
        Route("GET", f"{_V3}/time", CoinbaseStreams.time),
        Route("GET", f"{_V3}/market/products", CoinbaseStreams.products),
        Route("GET", f"{_V3}/market/products/{{product_id}}", CoinbaseStreams.product),
        Route("GET", f"{_V3}/market/products/{{product_id}}/ticker", CoinbaseStreams.ticker),
        Route("GET", f"{_V3}/market/products/{{product_id}}/candles", CoinbaseStreams.candles),
        Route("GET", f"{_V3}/market/product_book", CoinbaseStreams.book),
        Route("GET", "/v2/time", CoinbaseStreams.older_time),
        Route("GET", "/v2/currencies", CoinbaseStreams.currencies),
        Route("GET", "/v2/currencies/crypto", CoinbaseStreams.crypto),
        Route("GET", "/v2/exchange-rates", CoinbaseStreams.rates),
        Route("GET", "/v2/accounts", CoinbaseStreams.older_wallets, signed=True),
        Route("GET", f"{_V3}/key_permissions", CoinbaseStreams.rights, signed=True),
        Route("GET", f"{_V3}/transaction_summary", CoinbaseStreams.summary, signed=True),
        Route("GET", f"{_V3}/accounts", CoinbaseStreams.wallets, signed=True, lists=True),
        Route("GET", f"{_V3}/orders/historical/batch", CoinbaseStreams.orders, signed=True, lists=True),
        Route("GET", f"{_V3}/orders/historical/fills", CoinbaseStreams.fills, signed=True, lists=True),
        Route("GET", f"{_V3}/orders/historical/{{order_id}}", CoinbaseStreams.order, signed=True),
        Route("POST", f"{_V3}/orders", CoinbaseStreams.place, signed=True, changes=True, orders=1),
        Route("POST", f"{_V3}/orders/batch_cancel", CoinbaseStreams.cancel, signed=True, changes=True),
        Route("POST", f"{_V3}/orders/edit", CoinbaseStreams.edit, signed=True, changes=True),
    )

    def __init__(self, exchange: Exchange, limits: Limits | None = None) -> None:
        super().__init__(exchange, limits)
        self.begin_streams()

    @property
    def addresses(self) -> dict[str, str]:
        """Of requests, of market data, and of the account's reports."""
        return {"rest": self.rest, "public": self.ws, "private": self.ws}


def make(clock: Clock, *, seed: int = 7, rate: float = 10.0, market: Market | None = None) -> Coinbase:
    """Coinbase over the simulated market (or another one).

    Two rich accounts: `main` has an EC key, `second` an Ed25519 one.
    """
    source = market or RelistedMarket(simulated_source(clock, seed=seed, rate=rate), INSTRUMENTS)
    settings = PaperSettings(fee_currency=FeeCurrency.QUOTE)
    exchange = Exchange(VENUE, source, clock, settings=settings, seed=seed)
    exchange.open_account(MAIN, {"USD": Decimal(100_000)}, **ec_fields(f"{seed}"))
    exchange.open_account(SECOND, {"USD": Decimal(100_000), "USDC": Decimal(50_000)}, **ed25519_fields(f"{seed}"))
    return Coinbase(exchange)

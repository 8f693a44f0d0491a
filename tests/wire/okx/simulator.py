"""OKX v5 on loopback: the table of its endpoints, what it says of an account, and how it is made."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.errors import ValidationError
from engine.model.ids import AccountId, InstrumentId, VenueId
from engine.model.margin import MarginMode
from engine.venues.paper.settings import FeeCurrency, PaperSettings
from tests.wire.exchange import Exchange
from tests.wire.markets import RelistedMarket, perpetual, spot
from tests.wire.okx.common import good, refuse
from tests.wire.okx.rows import bill_row, text
from tests.wire.okx.streams import OkxStreams
from tests.wire.simulator import Route
from tests.wire.venues import simulated_source

if TYPE_CHECKING:
    from engine.clock import Clock
    from engine.venues.markets.contract import Market
    from tests.wire.simulator import Call

__all__ = ["INSTRUMENTS", "MAIN", "VENUE", "OkxSimulator", "make"]

VENUE = VenueId("OKX")
MAIN = AccountId("main")


def _sim(symbol: str) -> InstrumentId:
    return InstrumentId(f"SIM:{symbol}")


_FEES = {"maker": "0.0008", "taker": "0.001", "min_notional": "0"}
INSTRUMENTS = (
    (spot("OKX", "BTC/USDT", tick="0.01", lot="0.00000001", **_FEES), _sim("BTC/USDT")),
    (spot("OKX", "ETH/USDT", tick="0.01", lot="0.000001", **_FEES), _sim("ETH/USDT")),
    (spot("OKX", "ETH/BTC", tick="0.000001", lot="0.000001", **_FEES), _sim("ETH/BTC")),
    (perpetual("OKX", "BTC/USDT:USDT", tick="0.01", lot="0.01", multiplier="0.01", min_notional="0"), _sim("BTC/USDT")),
    (perpetual("OKX", "ETH/USDT:USDT", tick="0.01", lot="0.01", multiplier="0.1", min_notional="0"), _sim("ETH/USDT")),
)


def _changing(path: str, act: Any, most: int) -> Route:
    """A request about orders, counted by instrument."""
    extra = {"most": most, "by": "instrument"}
    return Route("POST", f"/api/v5/trade/{path}", act, signed=True, changes=True, extra=extra)


class OkxSimulator(OkxStreams):
    """The whole server."""

    @property
    def addresses(self) -> dict[str, str]:
        """Addresses by the names that the adapter gives them."""
        streams = {name: f"{self.ws}/ws/v5/{name}" for name in ("public", "private", "business")}
        return {"rest": self.rest, **streams}

    def config_request(self, call: Call) -> Any:
        """GET account/config."""
        key = call.key
        assert key is not None
        may = [w for w, on in (("read_only", key.read), ("trade", key.trade), ("withdraw", key.withdraw)) if on]
        return good(
            {
                "acctLv": "2" if key.derivatives else "1", "acctStpMode": "cancel_maker", "autoLoan": False,
                "ctIsoMode": "automatic", "enableSpotBorrow": False, "greeksType": "PA", "feeType": "0", "ip": "",
                "type": "0", "kycLv": "3", "label": "quarterdeck", "level": "Lv1", "levelTmp": "",
                "liquidationGear": "-1", "mainUid": "44705892343619584", "mgnIsoMode": "automatic",
                "opAuth": "1", "perm": ",".join(may), "posMode": "long_short_mode" if self.hedged else "net_mode",
                "roleType": "0", "spotBorrowAutoRepay": False, "spotOffsetType": "", "spotRoleType": "0",
                "spotTraderInsts": [], "traderInsts": [], "uid": "44705892343619584", "settleCcy": "USDT",
                "settleCcyList": ["USDT", "USDC"],
            }
        )  # fmt: skip

    def fee_request(self, call: Call) -> Any:
        """GET account/trade-fee."""
        rows = self.kind_rows(call.params.get("instType"))
        rules = rows[0].current_rules
        maker, taker = text(-rules.maker_fee), text(-rules.taker_fee)
        kind = call.params["instType"]
        swap = kind == "SWAP"
        return good(
            {
                "category": "1", "delivery": "", "exercise": "",
                "feeGroup": [{"groupId": "4" if swap else "1", "maker": maker, "taker": taker}],
                "fiat": [], "instType": kind, "level": "Lv1",
                "maker": "-0.0002" if swap else maker, "makerU": maker if swap else "",
                "makerUSDC": maker if swap else "", "ruleType": "normal", "settle": "",
                "taker": "-0.0005" if swap else taker, "takerU": taker if swap else "",
                "takerUSDC": taker if swap else "", "ts": str(self.exchange.ms()), "uly": "",
            }
        )  # fmt: skip

    def balance_request(self, call: Call) -> Any:
        """GET account/balance."""
        return good(self.balance_of(self.account(call)))

    def assets_request(self, call: Call) -> Any:
        """GET asset/balances: the funding account holds what was put there."""
        held = self.funding.get(self.account(call), {})
        return good(
            *({"availBal": text(v), "bal": text(v), "ccy": c, "frozenBal": "0"} for c, v in sorted(held.items()))
        )

    def currencies_request(self, call: Call) -> Any:
        """GET asset/currencies: no chains are of use here."""
        return good()

    def positions_request(self, call: Call) -> Any:
        """GET account/positions."""
        return good(*self.positions_of(self.account(call)))

    def bills_request(self, call: Call) -> Any:
        """GET account/bills and account/bills-archive, newest first: of funding, which is all that is asked for."""
        if call.params.get("type") != "8":
            refuse("51000", "Parameter type error")
        paid, _ = self.exchange.paper.funding_since(self.account(call), "")
        rows = [bill_row(p, self.exchange.instruments[p.instrument], self.exchange) for p in paid]
        return good(*self._page(call, rows, "billId"))

    def leverage_info_request(self, call: Call) -> Any:
        """GET account/leverage-info: what was set for a margin mode, of up to 20 instruments."""
        mode = call.params.get("mgnMode")
        if mode not in ("isolated", "cross"):
            refuse("51000", "Parameter mgnMode error")
        account, rows = self.account(call), []
        for name in call.params.get("instId", "").split(","):
            details = self.details(name)
            lever = self.leverage_of(account, details.id, MarginMode(mode))
            rows.append({"ccy": "", "instId": name, "lever": text(lever), "mgnMode": mode, "posSide": "net"})
        return good(*rows)

    def leverage_request(self, call: Call) -> Any:
        """POST account/set-leverage."""
        row = self.rows(call)[0]
        lever, mode = self.amount(row, "lever"), row.get("mgnMode")
        if lever is None or mode not in ("isolated", "cross") or not row.get("instId"):
            refuse("51000", "Parameter lever error")
        if not 1 <= lever <= 100:
            refuse("59102", "Leverage exceeds the maximum limit. Please lower the leverage.")
        account, details = self.account(call), self.details(row["instId"])
        try:
            self.set_leverage(account, details.id, MarginMode(mode), lever)
        except ValidationError as error:
            refuse("59109", error.message)
        return good({"instId": row["instId"], "lever": text(lever), "mgnMode": mode, "posSide": "net"})

    def __init__(self, exchange: Exchange, **more: Any) -> None:
        super().__init__(exchange, **more)
        self.funding: dict[AccountId, dict[str, Decimal]] = {}
        """What lies in the funding accounts."""

    _S = OkxStreams
    routes = (
        Route("GET", "/api/v5/public/time", _S.time_request, extra={"most": 10}),
        Route("GET", "/api/v5/system/status", _S.status_request, extra={"most": 1, "per_ns": 5 * 10**9}),
        Route("GET", "/api/v5/public/instruments", _S.instruments_request, extra={"most": 20}),
        Route("GET", "/api/v5/public/position-tiers", _S.tiers_request, extra={"most": 10}),
        Route("GET", "/api/v5/public/mark-price", _S.mark_request, extra={"most": 10}),
        Route("GET", "/api/v5/public/funding-rate", _S.funding_request, extra={"most": 10, "by": "instrument"}),
        Route("GET", "/api/v5/market/books", _S.book_request, extra={"most": 40}),
        Route("GET", "/api/v5/market/trades", _S.trades_request, extra={"most": 100}),
        Route("GET", "/api/v5/market/tickers", _S.tickers_request, extra={"most": 20}),
        Route("GET", "/api/v5/market/ticker", _S.ticker_request, extra={"most": 20}),
        Route("GET", "/api/v5/market/candles", _S.candles_request, extra={"most": 40}),
        Route("GET", "/api/v5/market/history-candles", _S.candles_request, extra={"most": 20}),
        Route("GET", "/api/v5/account/config", config_request, signed=True, extra={"most": 5}),
        Route("GET", "/api/v5/account/trade-fee", fee_request, signed=True, extra={"most": 5}),
        Route("GET", "/api/v5/account/balance", balance_request, signed=True, extra={"most": 10}),
        Route("GET", "/api/v5/asset/balances", assets_request, signed=True, extra={"most": 12}),
        Route("GET", "/api/v5/asset/currencies", currencies_request, signed=True, extra={"most": 12}),
        Route("GET", "/api/v5/account/positions", positions_request, signed=True, extra={"most": 10}),
        Route("GET", "/api/v5/account/bills", bills_request, signed=True, lists=True, extra={"most": 10}),
        Route("GET", "/api/v5/account/bills-archive", bills_request, signed=True, lists=True, extra={"most": 10}),
        Route("GET", "/api/v5/account/leverage-info", leverage_info_request, signed=True, extra={"most": 20}),
        Route("POST", "/api/v5/account/set-leverage", leverage_request, signed=True, changes=True, extra={"most": 40}),
        *(
            _changing(path, act, most)
            for path, act, most in (
                ("order", _S.place_request, 60),
                ("batch-orders", _S.place_request, 300),
                ("cancel-order", _S.cancel_request, 60),
                ("cancel-batch-orders", _S.cancel_request, 300),
                ("amend-order", _S.amend_request, 60),
                ("order-algo", _S.place_algo_request, 20),
                ("cancel-algos", _S.cancel_algo_request, 20),
                ("amend-algos", _S.amend_algo_request, 20),
            )
        ),
        Route(
            "POST", "/api/v5/trade/cancel-all-after", _S.cancel_all_after_request, signed=True, changes=True,
            extra={"most": 1, "per_ns": 10**9},
        ),
        Route("GET", "/api/v5/trade/order", _S.order_request, signed=True, extra={"most": 60, "by": "instrument"}),
        Route("GET", "/api/v5/trade/orders-pending", _S.pending_request, signed=True, lists=True, extra={"most": 60}),
        Route("GET", "/api/v5/trade/orders-history", _S.history_request, signed=True, lists=True, extra={"most": 40}),
        Route("GET", "/api/v5/trade/fills", _S.fills_request, signed=True, lists=True, extra={"most": 60}),
        Route("GET", "/api/v5/trade/fills-history", _S.fills_request, signed=True, lists=True, extra={"most": 10}),
        Route("GET", "/api/v5/trade/order-algo", _S.algo_request, signed=True, extra={"most": 20}),
        Route(
            "GET", "/api/v5/trade/orders-algo-pending", _S.pending_algo_request, signed=True, lists=True,
            extra={"most": 20},
        ),
    )  # fmt: skip


def make(
    clock: Clock,
    *,
    seed: int = 7,
    rate: float = 10.0,
    market: Market | None = None,
    hedged: bool = False,
    fees: FeeCurrency = FeeCurrency.RECEIVED,
) -> OkxSimulator:
    """OKX over the simulated market (or another one), with a rich account `main`.

    Args:
        clock: What time it is.
        seed: Of everything that is drawn.
        rate: Events of the market a second.
        market: Instead of the simulated one.
        hedged: Whether accounts are in long/short mode.
        fees: What fees are paid in; OKX takes them from what was bought.
    """
    source = market or RelistedMarket(simulated_source(clock, seed=seed, rate=rate), INSTRUMENTS)
    settings = PaperSettings(fee_currency=fees)
    exchange = Exchange(VENUE, source, clock, settings=settings, seed=seed)
    exchange.open_account(MAIN, {"USDT": Decimal(100_000)})
    return OkxSimulator(exchange, hedged=hedged)

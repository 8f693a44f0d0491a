"""What all of Coinbase's answers have in common: keys, limits, words of refusal, products, pages."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.wire.coinbase.keys import key_of_token
from tests.wire.coinbase.words import product_id, refusal, text
from tests.wire.faults import Fault
from tests.wire.limits import Limits, Window
from tests.wire.simulator import Call, Refusal, Reply, Route, Simulator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.instrument import Instrument
    from tests.wire.accounts import Key
    from tests.wire.exchange import Exchange
    from tests.wire.faults import Armed

__all__ = ["CoinbaseServer", "coinbase_limits"]

_SECOND = 1_000_000_000
_PAGE_429 = (
    b'<html>\n  <head>\n    <title>Coinbase</title>\n    <meta name="robots" content="noindex">\n  </head>\n</html>\n'
)
_PAGE_503 = b"<html><head><title>Coinbase - Maintenance</title></head><body>We will be back soon.</body></html>\n"


def coinbase_limits() -> Limits:
    """Requests a second: of a key, and of an address without one."""
    return Limits(
        {
            "private": Window("private", 30, _SECOND),
            "public": Window("public", 10, _SECOND),
        },
        ban_after=1_000_000,
    )


class CoinbaseServer(Simulator):
    """Base of the simulator."""

    name = "coinbase"

    def __init__(self, exchange: Exchange, limits: Limits | None = None) -> None:
        super().__init__(exchange, limits or coinbase_limits())
        self._by_product = {product_id(i): details for i, details in exchange.instruments.items()}
        self.flags: dict[str, dict[str, Any]] = {}
        """Flags of products that differ from the usual, such as {"BTC-USD": {"cancel_only": True}}."""

    # --- keys and limits ---------------------------------------------------------------------------------------------

    def charge(self, route: Route, call: Call) -> None:
        """Count a request against its key's or address's limit."""
        name = "private" if route.signed else "public"
        caller = call.headers.get("Authorization", "")[-40:] if route.signed else call.address
        if route.signed:
            key = self._bearer(call)
            caller = key.key if key is not None else call.address
        if not self.limits.take(name, caller, 1, self.exchange.clock.now()):
            raise Refusal(Reply(_PAGE_429, 429, content_type="text/html"))

    def _bearer(self, call: Call) -> Key | None:
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return None
        where = f"{call.headers.get('Host', '')}{call.path}"
        # ccxt takes only `https://` off an address, so that without TLS the scheme stays in what it signs.
        uris = (f"{call.method} {where}", *([] if self.tls else [f"{call.method} http://{where}"]))
        return key_of_token(token, self.exchange.keys, self.exchange.now() / _SECOND, uris)

    def authenticate(self, route: Route, call: Call) -> Key:
        """Verify the token: who signed it, for what, and when."""
        key = self._bearer(call)
        if key is None:
            raise Refusal(self._unauthorised())
        allowed = key.trade if route.changes else key.read
        if not allowed:
            raise Refusal(refusal(403, "PERMISSION_DENIED", "Missing required scopes"))
        return key

    @staticmethod
    def _unauthorised() -> Reply:
        return Reply(b"Unauthorized\n", 401, content_type="text/plain")

    def refuse_fault(self, kind: Fault, armed: Armed, call: Call) -> Reply:
        """Coinbase's words: pages for too much and for maintenance, a bare word for keys and clocks."""
        if kind in (Fault.RATE_LIMIT, Fault.BAN):
            return Reply(_PAGE_429, 429, {"Retry-After": f"{armed.delay_s:g}"}, "text/html")
        if kind is Fault.MAINTENANCE:
            return Reply(_PAGE_503, 503, content_type="text/html")
        if kind is Fault.SERVER_ERROR:
            return refusal(500, "INTERNAL", "Internal server error")
        return self._unauthorised()

    def not_found(self, call: Call) -> Reply:
        """An unknown path."""
        return Reply(b"404 page not found\n", 404, content_type="text/plain")

    def cut_short(self, body: Any) -> Any:
        """A list that ends early and says that it is whole."""
        for name in ("orders", "fills", "accounts"):
            if isinstance(body, dict) and name in body:
                cut = {**body, name: body[name][: len(body[name]) // 2], "cursor": ""}
                return {**cut, "has_next": False} if "has_next" in body else cut
        return body

    # --- parameters --------------------------------------------------------------------------------------------------

    def several(self, call: Call, name: str) -> list[str]:
        """A parameter that may come several times."""
        from urllib.parse import parse_qsl

        return [value for key, value in parse_qsl(call.query) if key == name]

    def page(self, call: Call, rows: Sequence[Any], most: int = 1000) -> tuple[Sequence[Any], bool, str]:
        """One page of a list: what is on it, whether there is more, and where."""
        limit = min(most, int(call.params.get("limit") or 100))
        cursor = call.params.get("cursor", "")
        if cursor and not cursor.isdecimal():
            raise Refusal(refusal(400, "INVALID_ARGUMENT", "cursor is invalid"))
        start = int(cursor or 0)
        more = start + limit < len(rows)
        return rows[start : start + limit], more, str(start + limit) if more else ""

    # --- products ----------------------------------------------------------------------------------------------------

    def details(self, product: str) -> Instrument:
        """The instrument of a product. Refuses an unknown one."""
        found = self._by_product.get(product)
        if found is None:
            raise Refusal(refusal(404, "NOT_FOUND", "ProductID is invalid"))
        return found

    def product_row(self, details: Instrument) -> dict[str, Any]:
        """A product with its rules."""
        rules, name = details.current_rules, product_id(details.id)
        day = self.exchange.tapes[details.id].day(self.exchange.clock.now())
        last = day.last if day is not None else Decimal(0)
        change = (last / day.open - 1) * 100 if day is not None and day.open else Decimal(0)
        alias = name[:-1] if name.endswith("-USDC") and name[:-1] in self._by_product else ""
        alias_to = [f"{name}C"] if f"{name}C" in self._by_product else []
        return {
            "product_id": name,
            "price": text(last) if last else "",
            "price_percentage_change_24h": f"{change:.14f}",
            "volume_24h": f"{day.volume:.8f}" if day is not None else "",
            "volume_percentage_change_24h": "0",
            "base_increment": f"{rules.lot:f}",
            "quote_increment": f"{rules.price_tick:f}",
            "quote_min_size": f"{rules.min_notional:f}",
            "quote_max_size": "150000000",
            "base_min_size": f"{rules.min_quantity:f}",
            "base_max_size": f"{rules.max_quantity:f}",
            "base_name": details.base,
            "quote_name": details.quote,
            "watched": False,
            "is_disabled": False,
            "new": False,
            "status": "online",
            "cancel_only": False,
            "limit_only": False,
            "post_only": False,
            "trading_disabled": False,
            "auction_mode": False,
            "product_type": "SPOT",
            "quote_currency_id": details.quote,
            "base_currency_id": details.base,
            "fcm_trading_session_details": None,
            "mid_market_price": "",
            "alias": alias,
            "alias_to": alias_to,
            "base_display_symbol": details.base,
            "quote_display_symbol": "USD" if details.quote == "USDC" else details.quote,
            "view_only": False,
            "price_increment": f"{rules.price_tick:f}",
            "display_name": name,
            "product_venue": "CBE",
            "approximate_quote_24h_volume": f"{day.value:.2f}" if day is not None else "",
            "new_at": "2023-01-01T00:00:00Z",
            "market_cap": "",
            "base_cbrn": "",
            "quote_cbrn": "",
            "product_cbrn": "",
            "icon_color": "",
            "icon_url": "",
            "display_name_overwrite": "",
            "is_alpha_testing": False,
            "about_description": "",
            "best_bid_price": "",
            "best_ask_price": "",
            "high_24h": f"{day.high:f}" if day is not None else "",
            "low_24h": f"{day.low:f}" if day is not None else "",
            **self.flags.get(name, {}),
        }

"""What Binance's spot and USD-M servers have in common: signatures, limits, words of refusal, symbols, numbers."""

from __future__ import annotations

import base64
import hashlib
import hmac
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature

from engine.model.order import OrderSide, OrderStatus, TimeInForce
from tests.wire.faults import Fault
from tests.wire.simulator import Call, Refusal, Reply, Route, Simulator

if TYPE_CHECKING:
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument
    from tests.wire.accounts import Key
    from tests.wire.exchange import Exchange
    from tests.wire.faults import Armed
    from tests.wire.ledger import WireOrder
    from tests.wire.limits import Limits

__all__ = ["STATUS", "BinanceServer", "refuse", "text"]

STATUS = {
    OrderStatus.ACCEPTED: "NEW",
    OrderStatus.PARTIALLY_FILLED: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
    OrderStatus.REJECTED: "REJECTED",
}
_ID_OFFSET = 5_000_000_000
"""Added to a book's update numbers, so that they look like the real ones."""


def text(value: Decimal, places: int = 8) -> str:
    """A number as these servers write it: with that many decimal places, or more where it would not be exact."""
    exponent = value.normalize().as_tuple().exponent
    needed = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    return f"{value:.{max(places, needed)}f}"


def refuse(code: int, message: str, status: int = 400, **headers: str) -> NoReturn:
    """Refuse a request in Binance's words."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raise Refusal(Reply({"code": code, "msg": message}, status, named))


class BinanceServer(Simulator):
    """Base of both servers."""

    order_windows: tuple[tuple[str, str], ...] = ()
    """Windows that count orders, and the header that tells each."""
    weight_most = 6000

    def __init__(self, exchange: Exchange, limits: Limits) -> None:
        super().__init__(exchange, limits)
        self._by_symbol = {self.symbol(i): details for i, details in exchange.instruments.items()}
        self._aliases: dict[tuple[AccountId, str], WireOrder] = {}
        """Orders by client ids that they were given later."""

    # --- names and numbers -------------------------------------------------------------------------------------------

    @staticmethod
    def symbol(instrument: InstrumentId) -> str:
        """An instrument's native name, such as `BTCUSDT`."""
        pair = instrument.partition(":")[2].partition(":")[0]
        return pair.replace("/", "")

    def details(self, symbol: str | None) -> Instrument:
        """The instrument of a native name. Refuses an unknown one."""
        if not symbol:
            refuse(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        found = self._by_symbol.get(symbol)
        if found is None:
            refuse(-1121, "Invalid symbol.")
        return found

    def update_id(self, seq: int) -> int:
        """A book's update number as it is told."""
        return _ID_OFFSET + seq

    def number(self, call: Call, name: str, default: int | None = None) -> int | None:
        """An integer parameter."""
        value = call.params.get(name)
        if value is None or value == "":
            return default
        if not value.lstrip("-").isdecimal():
            refuse(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
        return int(value)

    def amount(self, call: Call, name: str) -> Decimal | None:
        """A decimal parameter."""
        value = call.params.get(name)
        if value is None or value == "":
            return None
        if not value.replace(".", "", 1).isdecimal():
            refuse(
                -1100, f"Illegal characters found in parameter '{name}'; legal range is '^([0-9]{{1,20}})(.[0-9]+)?$'."
            )
        return Decimal(value)

    def need(self, call: Call, name: str) -> str:
        """A parameter that must be there."""
        value = call.params.get(name)
        if not value:
            refuse(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return value

    def side(self, call: Call) -> OrderSide:
        """The order's side."""
        value = self.need(call, "side")
        if value not in ("BUY", "SELL"):
            refuse(-1117, "Invalid side.")
        return OrderSide(value.lower())

    def levels(self, details: Instrument, side: list[tuple[int, int]]) -> list[list[str]]:
        """Levels of a book as text."""
        return [[self.price(details, p), self.quantity(details, q)] for p, q in side]

    def price(self, details: Instrument, scaled: int) -> str:
        """A scaled price as text."""
        return text(details.price_from_int(scaled), self.price_places(details))

    def quantity(self, details: Instrument, scaled: int) -> str:
        """A scaled quantity as text."""
        return text(details.quantity_from_int(scaled), self.quantity_places(details))

    def price_places(self, details: Instrument) -> int:
        """Decimal places that prices are told with."""
        return 8

    def quantity_places(self, details: Instrument) -> int:
        """Decimal places that quantities are told with."""
        return 8

    # --- orders ------------------------------------------------------------------------------------------------------

    @staticmethod
    def account(call: Call) -> AccountId:
        """Whose request it is."""
        assert call.key is not None
        return call.key.account

    @staticmethod
    def client_id(order: WireOrder) -> str:
        """The client's id of an order, as it is now."""
        return str(order.terms.get("client_id", order.client_id))

    def look(self, account: AccountId, call: Call, *, client: str = "origClientOrderId") -> WireOrder | None:
        """The order a request means, as far as it is shown, of the symbol that is named."""
        number, name = self.number(call, "orderId"), call.params.get(client)
        if number is None and not name:
            refuse(-1102, f"Param '{client}' or 'orderId' must be sent, but both were empty/null!")
        if number is not None:
            found = self.exchange.numbered(account, number)
        else:
            found = self.exchange.visible(self._aliases.get((account, name or "")))
            found = found or self.exchange.find(account, name or "")
        symbol = call.params.get("symbol")
        if found is not None and symbol and self.symbol(found.command.instrument) != symbol:
            return None
        return found

    @staticmethod
    def trade_id(fill: Fill) -> int:
        """An execution's number."""
        return int("".join(c for c in fill.trade_id if c.isdigit()))

    def newer_fills(self, account: AccountId, first: int | None) -> list[Fill]:
        """An account's executions from a number on, oldest first."""
        found: list[Fill] = []
        for _, fill in self.exchange.latest_fills(account):
            if first is not None and self.trade_id(fill) < first:
                break
            found.append(fill)
        return found[::-1]

    def _between(self, ts: int, begin: int | None, end: int | None) -> bool:
        stamp = self.exchange.ms(ts)
        return (begin is None or stamp >= begin) and (end is None or stamp <= end)

    @staticmethod
    def tif(order: WireOrder) -> str:
        """Time in force as it was asked."""
        return str(order.terms.get("timeInForce") or order.command.tif.value)

    @staticmethod
    def time_in_force(value: str | None) -> TimeInForce:
        """Our word for a time in force."""
        if value not in (None, "", "GTC", "IOC", "FOK", "GTX"):
            refuse(-1115, "Invalid timeInForce.")
        return TimeInForce(value) if value in ("IOC", "FOK") else TimeInForce.GTC

    # --- checks ------------------------------------------------------------------------------------------------------

    def charge(self, route: Route, call: Call) -> None:
        """Weight by address, orders by account."""
        now = self.exchange.time()
        if self.limits.banned_until > now:
            self._banned(self.limits.banned_until)
        weight = route.weight(call) if callable(route.weight) else route.weight
        if not self.limits.take("weight", call.address, weight, now):
            if self.limits.banned_until > now:
                self._banned(self.limits.banned_until)
            wait = self.limits.retry_after_s("weight", now)
            refuse(-1003, self._too_much(), 429, Retry_After=str(wait))
        if route.orders:
            who = call.headers.get("X-MBX-APIKEY", "")
            for name, _ in self.order_windows:
                if not self.limits.take(name, who, route.orders, now):
                    most = int(self.limits.windows[name].most)
                    wait = self.limits.retry_after_s(name, now)
                    refuse(-1015, f"Too many new orders; current limit is {most} orders.", 429, Retry_After=str(wait))

    def _too_much(self) -> str:
        return (
            f"Too much request weight used; current limit is {self.weight_most} request weight per 1 MINUTE. "
            "Please use WebSocket Streams for live updates to avoid polling the API."
        )

    def _banned(self, until: int) -> NoReturn:
        wait = max(1, (until - self.exchange.time()) // 1_000_000_000)
        shown = self.exchange.ms(until)
        message = (
            f"Way too much request weight used; IP banned until {shown}. "
            "Please use WebSocket Streams for live updates to avoid bans."
        )
        refuse(-1003, message, 418, Retry_After=str(wait))

    def headers(self, route: Route | None, call: Call) -> dict[str, str]:
        """What is used of the limits."""
        now = self.exchange.time()
        found = {"X-MBX-USED-WEIGHT-1M": str(int(self.limits.used("weight", call.address, now)))}
        if route is not None and route.orders:
            who = call.headers.get("X-MBX-APIKEY", "")
            for name, header in self.order_windows:
                found[header] = str(int(self.limits.used(name, who, now)))
        return found

    def authenticate(self, route: Route, call: Call) -> Key:
        """Key, then signature, then time, then permission, as Binance does."""
        key = self.key(call.headers.get("X-MBX-APIKEY"))
        if route.extra.get("key_only"):
            return key
        payload = call.query + call.body.decode()
        signature = call.params.get("signature")
        if not signature:
            refuse(-1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
        # The signature covers everything before it.
        signed = payload[: payload.rindex("signature=")].rstrip("&")
        self.verify(key, signed, signature)
        self.check_time(call.params)
        self.check_permission(key, route)
        return key

    def key(self, name: str | None) -> Key:
        """The key of a request."""
        if not name:
            refuse(-2014, "API-key format invalid.", 401)
        found = self.exchange.keys.find(name)
        if found is None or found.expired:
            refuse(-2015, "Invalid API-key, IP, or permissions for action.", 401)
        return found

    def check_permission(self, key: Key, route: Route) -> None:
        """Orders need the right to trade, everything else the right to read."""
        if not key.read or (route.changes and not key.trade):
            refuse(-2015, "Invalid API-key, IP, or permissions for action.", 401)

    @staticmethod
    def verify(key: Key, signed: str, signature: str) -> None:
        """Refuse a wrong signature (HMAC-SHA256 in hex, or Ed25519 in base64)."""
        if key.public is not None:
            try:
                key.public.verify(base64.b64decode(unquote(signature)), signed.encode())
            except (InvalidSignature, ValueError):
                refuse(-1022, "Signature for this request is not valid.")
            return
        wanted = hmac.new(key.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(wanted, signature.lower()):
            refuse(-1022, "Signature for this request is not valid.")

    def check_time(self, params: dict[str, Any]) -> None:
        """Refuse a timestamp out of the window."""
        stamp = str(params.get("timestamp") or "")
        if not stamp.isdecimal():
            refuse(-1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
        window = float(params.get("recvWindow") or 5000)
        if window > 60_000:
            refuse(-1131, "recvWindow must be less than 60000")
        late = self.exchange.ms() - int(stamp)
        if late < -1000:
            refuse(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        if late > window:
            refuse(-1021, "Timestamp for this request is outside of the recvWindow.")

    def refuse_fault(self, kind: Fault, armed: Armed, call: Call) -> Reply:
        """Binance's words for faults on demand."""
        try:
            if kind is Fault.RATE_LIMIT:
                refuse(-1003, self._too_much(), 429, Retry_After=str(max(1, int(armed.delay_s))))
            if kind is Fault.BAN:
                until = self.exchange.time() + int(armed.delay_s * 1e9)
                self.limits.banned_until = max(self.limits.banned_until, until)
                self._banned(until)
            if kind is Fault.KEY_EXPIRED:
                refuse(-2015, "Invalid API-key, IP, or permissions for action.", 401)
            if kind is Fault.CLOCK_SKEW:
                refuse(-1021, "Timestamp for this request is outside of the recvWindow.")
            if kind is Fault.SERVER_ERROR:
                refuse(
                    -1007,
                    "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
                    503,
                )
            refuse(-1016, "This service is no longer available.", 503)
        except Refusal as refusal:
            return refusal.reply

    def not_found(self, call: Call) -> Reply:
        """Binance's page for unknown paths."""
        return Reply(b"<html><body><h2>404 Not found</h2></body></html>", 404, content_type="text/html")

    # --- questions that need no key ----------------------------------------------------------------------------------

    def ping_request(self, call: Call) -> Any:
        """GET ping."""
        return {}

    def time_request(self, call: Call) -> Any:
        """GET time."""
        return {"serverTime": self.exchange.ms()}

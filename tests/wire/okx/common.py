"""What OKX's requests have in common: signatures, limits by endpoint, words of refusal, names."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from tests.wire.faults import Fault
from tests.wire.limits import Limits, Window
from tests.wire.okx.rows import inst_id
from tests.wire.simulator import Call, Refusal, Reply, Route, Simulator

if TYPE_CHECKING:
    from engine.model.ids import AccountId
    from engine.model.instrument import Instrument
    from tests.wire.accounts import Key
    from tests.wire.exchange import Exchange
    from tests.wire.faults import Armed

__all__ = ["OkxServer", "failed", "good", "refuse", "sign"]

_WINDOW_MS = 30_000
_2_S = 2_000_000_000


def sign(secret: str, text: str) -> str:
    """OKX's signature of a text."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), hashlib.sha256)).decode()


def good(*rows: Any) -> dict[str, Any]:
    """A successful answer."""
    return {"code": "0", "msg": "", "data": list(rows)}


def failed(rows: list[dict[str, Any]], now_ms: int) -> dict[str, Any]:
    """The answer to orders, of which each row says itself how it went."""
    bad = sum(row["sCode"] != "0" for row in rows)
    code, msg = ("0", "") if not bad else ("1", "All operations failed") if bad == len(rows) else ("2", "")
    return {"code": code, "msg": msg, "data": rows, "inTime": f"{now_ms}000", "outTime": f"{now_ms}500"}


def refuse(code: str, message: str, status: int = 200) -> NoReturn:
    """Refuse a whole request."""
    raise Refusal(Reply({"code": code, "msg": message, "data": []}, status))


class OkxServer(Simulator):
    """Base of the server: what goes for every request."""

    name = "okx"

    def __init__(self, exchange: Exchange, *, hedged: bool = False) -> None:
        windows = {
            name: Window(name, r.extra["most"], r.extra.get("per_ns", _2_S))
            for name, r in ((_window(route), route) for route in self.routes)
        }
        super().__init__(exchange, Limits(windows, ban_after=10**9))
        self.hedged = hedged
        """Whether accounts are in long/short mode."""
        self.demo = False
        """Whether only requests marked as demo trading are taken."""
        self.by_name = {inst_id(details): details for details in exchange.instruments.values()}

    # --- names and numbers -------------------------------------------------------------------------------------------

    def details(self, name: str | None) -> Instrument:
        """The instrument of OKX's name. Refuses an unknown one."""
        if not name:
            refuse("50014", "Parameter instId can not be empty")
        found = self.by_name.get(name)
        if found is None:
            refuse("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return found

    def code_of(self, details: Instrument) -> int:
        """OKX's number of an instrument."""
        return 10_000 + list(self.by_name).index(inst_id(details))

    @staticmethod
    def amount(row: dict[str, Any], name: str) -> Decimal | None:
        """A decimal parameter; None where it is not given."""
        value = row.get(name)
        if value in (None, ""):
            return None
        if isinstance(value, float):
            refuse("51000", f"Parameter {name} error")
        try:
            return Decimal(str(value))
        except InvalidOperation:
            refuse("51000", f"Parameter {name} error")

    @staticmethod
    def count(call: Call, most: int = 100) -> int:
        """How many rows are asked for."""
        value = call.params.get("limit") or str(most)
        if not value.isdecimal():
            refuse("51000", "Parameter limit error")
        return min(int(value), most)

    @staticmethod
    def account(call: Call) -> AccountId:
        """Whose request it is."""
        assert call.key is not None
        return call.key.account

    @staticmethod
    def rows(call: Call) -> list[dict[str, Any]]:
        """The body of a request as a list of orders."""
        try:
            body = call.json()
        except msgspec.DecodeError:
            refuse("50002", "Incorrect json data format")
        return body if isinstance(body, list) else [body]

    def kind_rows(self, kind: str | None) -> list[Instrument]:
        """Instruments of an `instType`."""
        if not kind:
            refuse("50014", "Parameter instType can not be empty")
        return [d for n, d in self.by_name.items() if ("SWAP" in n) == (kind == "SWAP")] if kind in _KINDS else []

    # --- checks ------------------------------------------------------------------------------------------------------

    def charge(self, route: Route, call: Call) -> None:
        """Each endpoint is counted apart, by address, user, or user and instrument."""
        caller = call.address if not route.signed else call.headers.get("OK-ACCESS-KEY", "")
        weight = 1
        if route.extra.get("by") == "instrument" and call.method == "POST":
            rows = self.rows(call)
            caller, weight = f"{caller} {rows[0].get('instId', '')}", len(rows)
        elif route.extra.get("by") == "instrument":
            caller = f"{caller} {call.params.get('instId', '')}"
        if not self.limits.take(_window(route), caller, weight, self.exchange.clock.now()):
            refuse("50011", "Too Many Requests", 429)

    def authenticate(self, route: Route, call: Call) -> Key:
        """Verify key, passphrase, time and signature, in OKX's order."""
        heads = {name: call.headers.get(f"OK-ACCESS-{name}", "") for name in ("KEY", "PASSPHRASE", "TIMESTAMP", "SIGN")}
        for name, code in (("KEY", "50103"), ("PASSPHRASE", "50104"), ("SIGN", "50106"), ("TIMESTAMP", "50107")):
            if not heads[name]:
                refuse(code, f'Request header "OK-ACCESS-{name}" can\'t be empty.', 401)
        try:
            sent = datetime.strptime(heads["TIMESTAMP"], "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        except ValueError:
            refuse("50112", "Invalid OK-ACCESS-TIMESTAMP", 401)
        if abs(int(sent.timestamp() * 1000) - self.exchange.ms()) > _WINDOW_MS:
            refuse("50102", "Timestamp request expired", 401)
        key = self.exchange.keys.find(heads["KEY"])
        if key is None or key.expired:
            refuse("50111", "Invalid OK-ACCESS-KEY", 401)
        if heads["PASSPHRASE"] != key.passphrase:
            refuse("50105", 'Request header "OK-ACCESS-PASSPHRASE" incorrect.', 401)
        if self.demo != (call.headers.get("x-simulated-trading") == "1"):
            refuse("50101", "APIKey does not match current environment.", 401)
        path = f"{call.path}?{call.query}" if call.query else call.path
        if heads["SIGN"] != sign(key.secret, heads["TIMESTAMP"] + call.method + path + call.body.decode()):
            refuse("50113", "Invalid Sign", 401)
        if route.changes and not key.trade:
            refuse("50120", "This API key doesn't have permission to use this function", 401)
        self._in_time(call)
        return key

    def _in_time(self, call: Call) -> None:
        until = call.headers.get("expTime", "")
        if until and (not until.isdecimal() or int(until) < self.exchange.ms()):
            refuse("50036", "The expTime can't be earlier than the current system time.")

    def refuse_fault(self, kind: Fault, armed: Armed, call: Call) -> Reply:
        """OKX's words for the faults that are refusals."""
        code, words, status = {
            Fault.MAINTENANCE: ("50001", "Service temporarily unavailable. Please try again later", 503),
            Fault.SERVER_ERROR: ("50004", "API endpoint request timeout", 200),
            Fault.RATE_LIMIT: ("50011", "Too Many Requests", 429),
            Fault.BAN: ("50011", "Too Many Requests", 429),
            Fault.KEY_EXPIRED: ("50111", "Invalid OK-ACCESS-KEY", 401),
            Fault.CLOCK_SKEW: ("50102", "Timestamp request expired", 401),
        }[kind]
        return Reply({"code": code, "msg": words, "data": []}, status)

    def not_found(self, call: Call) -> Reply:
        """OKX's answer to a path it does not have."""
        return Reply({"msg": "Invalid request URL", "code": "404", "data": []}, 404)

    def cut_short(self, body: Any) -> Any:
        """Half of the rows."""
        return body | {"data": body["data"][: len(body["data"]) // 2]}


def _window(route: Route) -> str:
    return f"{route.method} {route.path}"


_KINDS = ("SPOT", "SWAP")

"""Binance spot's WebSocket API and the private stream that goes over it today."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from engine.events import OrderAccepted, OrderAmended, OrderCanceled, OrderExpired, OrderFilled, OrderTriggered
from engine.model.order import Liquidity, OrderType
from tests.wire.binance.common import text
from tests.wire.binance.spot_orders import SpotOrders
from tests.wire.binance.streams import BinanceStreams
from tests.wire.faults import Fault
from tests.wire.simulator import Call, Refusal, Reply, Route

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.ids import AccountId, Currency
    from tests.wire.accounts import Key
    from tests.wire.exchange import Notice
    from tests.wire.ledger import WireOrder
    from tests.wire.sockets import Socket

__all__ = ["SpotUserStream"]

_METHODS = {
    "ping": ("GET", "ping"),
    "time": ("GET", "time"),
    "exchangeInfo": ("GET", "exchangeInfo"),
    "depth": ("GET", "depth"),
    "trades.recent": ("GET", "trades"),
    "klines": ("GET", "klines"),
    "ticker.price": ("GET", "ticker/price"),
    "ticker.book": ("GET", "ticker/bookTicker"),
    "ticker.24hr": ("GET", "ticker/24hr"),
    "order.place": ("POST", "order"),
    "order.test": ("POST", "order/test"),
    "order.status": ("GET", "order"),
    "order.cancel": ("DELETE", "order"),
    "order.cancelReplace": ("POST", "order/cancelReplace"),
    "order.amend.keepPriority": ("PUT", "order/amend/keepPriority"),
    "orderList.place.oco": ("POST", "orderList/oco"),
    "orderList.cancel": ("DELETE", "orderList"),
    "openOrders.status": ("GET", "openOrders"),
    "openOrders.cancelAll": ("DELETE", "openOrders"),
    "allOrders": ("GET", "allOrders"),
    "myTrades": ("GET", "myTrades"),
    "account.status": ("GET", "account"),
}
_NO_TRADE = "0.00000000"


class SpotUserStream(SpotOrders, BinanceStreams):
    """Adds the WebSocket API to the spot server."""

    def begin_user_stream(self) -> None:
        """Listen to the exchange; call it once."""
        self._told_money: dict[AccountId, dict[str, tuple[Decimal, Decimal]]] = {}
        self.exchange.private.append(self._hear_private)
        self.exchange.settled.append(self._settled)
        self.exchange.money.append(self._hear_money)

    # --- requests over the socket ------------------------------------------------------------------------------------

    def accept(self, socket: Socket) -> Callable[[Any], None] | None:
        """`/ws-api/v3`, else the market streams."""
        if socket.path.partition("?")[0].rstrip("/") != "/ws-api/v3":
            return super().accept(socket)
        socket.state |= {"subscriptions": {}, "next": 0, "session": None, "combined": False}
        self.exchange.after(86_400.0, socket.close)
        return lambda said: self._request(socket, said)

    def _request(self, socket: Socket, said: Any) -> None:
        try:
            asked = msgspec.json.decode(said)
            number, method, params = asked.get("id"), str(asked["method"]), dict(asked.get("params") or {})
        except (msgspec.DecodeError, KeyError, AttributeError, TypeError, ValueError):
            error = {
                "code": -1135,
                "msg": "This error code will occur if a parameter requiring a JSON object is invalid.",
            }
            socket.send({"id": None, "status": 400, "error": error})
            return
        limits = params.pop("returnRateLimits", True)
        try:
            reply = self._answer(socket, method, params)
        except Refusal as refusal:
            reply = refusal.reply
        answer: dict[str, Any] = {"id": number, "status": reply.status}
        answer |= {"result": reply.body} if reply.status == 200 else self._error(reply)
        if limits not in (False, "false"):
            answer["rateLimits"] = [self._used()]
        socket.send(answer)

    @staticmethod
    def _error(reply: Reply) -> dict[str, Any]:
        body = reply.body if isinstance(reply.body, dict) else {"code": -1000, "msg": "An unknown error occurred."}
        return {"error": body}

    def _used(self) -> dict[str, Any]:
        used = int(self.limits.used("weight", "127.0.0.1", self.exchange.time()))
        return {
            "rateLimitType": "REQUEST_WEIGHT",
            "interval": "MINUTE",
            "intervalNum": 1,
            "limit": self.weight_most,
            "count": used,
        }

    def _answer(self, socket: Socket, method: str, params: dict[str, Any]) -> Reply:
        self.counts[f"WS {method}"] += 1
        session = {
            "userDataStream.subscribe.signature": self._subscribe_signed,
            "userDataStream.subscribe": self._subscribe,
            "userDataStream.unsubscribe": self._unsubscribe,
            "session.subscriptions": self._subscriptions,
            "session.logon": self._logon,
            "session.status": self._session,
            "session.logout": self._logout,
        }.get(method)
        if session is not None:
            self._charge_socket(method, 2)
            return session(socket, params)
        if method.startswith("userDataStream."):
            raise Refusal(Reply({"code": -1000, "msg": "Listen keys are retired; subscribe with a signature."}, 410))
        if method not in _METHODS:
            raise Refusal(Reply({"code": -1000, "msg": f"Unknown method '{method}'."}, 400))
        return self._as_request(socket, method, params)

    def _as_request(self, socket: Socket, method: str, params: dict[str, Any]) -> Reply:
        """The same endpoint as over REST, signed by the message or by the session."""
        verb, path = _METHODS[method]
        call = Call(verb, f"/api/v3/{path}", "", b"", {}, {k: self._plain(v) for k, v in params.items()})
        route = next(r for r in self.routes if r.method == verb and r.path == call.path)
        fault = self._fault(route, call)
        self.charge(route, call)
        if route.signed:
            call.key = self._signer(socket, params)
            self.check_permission(call.key, route)
        answer = route.answer(self, call)
        reply = answer if isinstance(answer, Reply) else Reply(answer)
        return fault or reply

    def _fault(self, route: Route, call: Call) -> Reply | None:
        if self.faults.armed:
            self._before(route, call)
            armed = self.faults.strike(Fault.SERVER_ERROR, call.place) if route.changes else None
            if armed is not None:
                return self.refuse_fault(Fault.SERVER_ERROR, armed, call)
        return None

    def _charge_socket(self, method: str, weight: float) -> None:
        self.charge(Route("WS", method, lambda *_: None, weight), Call("WS", method, "", b"", {}, {}))

    @staticmethod
    def _plain(value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    def _signer(self, socket: Socket, params: dict[str, Any]) -> Key:
        """Who signed a message's parameters (sorted by name), or whose session it is."""
        if "signature" not in params and socket.state["session"] is not None:
            key: Key = socket.state["session"]
            self.check_time({k: self._plain(v) for k, v in params.items()})
            return key
        plain = {k: self._plain(v) for k, v in params.items()}
        key = self.key(plain.get("apiKey"))
        signature = plain.pop("signature", "")
        self.verify(key, "&".join(f"{k}={plain[k]}" for k in sorted(plain)), signature)
        self.check_time(plain)
        return key

    # --- the session -------------------------------------------------------------------------------------------------

    def _logon(self, socket: Socket, params: dict[str, Any]) -> Reply:
        key = self._signer(socket, params)
        socket.state["session"] = key
        return Reply(self._session_row(key))

    def _session(self, socket: Socket, params: dict[str, Any]) -> Reply:
        return Reply(self._session_row(socket.state["session"]))

    def _logout(self, socket: Socket, params: dict[str, Any]) -> Reply:
        socket.state["session"] = None
        return Reply(self._session_row(None))

    def _session_row(self, key: Key | None) -> dict[str, Any]:
        now = self.exchange.ms()
        return {
            "apiKey": None if key is None else key.key,
            "authorizedSince": None if key is None else now,
            "connectedSince": now,
            "returnRateLimits": True,
            "serverTime": now,
            "userDataStream": False,
        }

    def _subscribe_signed(self, socket: Socket, params: dict[str, Any]) -> Reply:
        return self._follow_account(socket, self._signer(socket, params))

    def _subscribe(self, socket: Socket, params: dict[str, Any]) -> Reply:
        if socket.state["session"] is None:
            raise Refusal(Reply({"code": -2015, "msg": "The session is not authenticated."}, 401))
        return self._follow_account(socket, socket.state["session"])

    def _follow_account(self, socket: Socket, key: Key) -> Reply:
        if key.account in socket.state["subscriptions"].values():
            raise Refusal(Reply({"code": -2035, "msg": "User Data Stream subscription already active."}, 400))
        number = socket.state["next"]
        socket.state["next"] += 1
        socket.state["subscriptions"][number] = key.account
        socket.private = True
        self._told_money.setdefault(key.account, self._money(key.account))
        return Reply({"subscriptionId": number})

    def _unsubscribe(self, socket: Socket, params: dict[str, Any]) -> Reply:
        number = params.get("subscriptionId")
        found = socket.state["subscriptions"]
        for known in [k for k in found if number is None or k == number]:
            del found[known]
        return Reply({})

    def _subscriptions(self, socket: Socket, params: dict[str, Any]) -> Reply:
        return Reply([{"subscriptionId": number} for number in socket.state["subscriptions"]])

    # --- private events ----------------------------------------------------------------------------------------------

    def _tell_account(self, account: AccountId, kind: str, event: dict[str, Any]) -> None:
        for socket in list(self.sockets):
            for number, whose in socket.state.get("subscriptions", {}).items():
                if whose == account:
                    socket.send({"subscriptionId": number, "event": event}, kind)

    def expire_key(self, key: Key) -> None:
        """Take a key out of use: its subscriptions end with an event."""
        key.expired = True
        self._tell_account(
            key.account, "eventStreamTerminated", {"e": "eventStreamTerminated", "E": self.exchange.ms()}
        )
        for socket in self.sockets:
            found = socket.state.get("subscriptions", {})
            for number in [n for n, account in found.items() if account == key.account]:
                del found[number]

    def _hear_private(self, notice: Notice) -> None:
        order, event = notice.order, notice.event
        if isinstance(event, OrderFilled | OrderTriggered):
            self._end_siblings(order)
        if isinstance(event, OrderAmended) and order.terms.get("group"):
            # The exchange shrinks members of a group; Binance ends them instead.
            return
        if "type" in order.terms:
            self._tell_account(notice.account, "executionReport", self.report(notice))
        if order.terms.get("group"):
            self._tell_list(notice)

    def _settled(self, accounts: set[AccountId]) -> None:
        for account in sorted(accounts):
            self._tell_money(account)

    def _end_siblings(self, order: WireOrder) -> None:
        group = order.terms.get("group")
        if not group:
            return
        account = order.command.account

        def end() -> None:
            for other in self.exchange.ledger.open_orders(account):
                if other is not order and other.terms.get("group") == group:
                    other.terms["expired"] = True
                    self.exchange.end_alone(account, other.client_id, "its OCO sibling began")

        self.exchange.at(self.exchange.time(), end)

    def status(self, order: WireOrder) -> str:  # type: ignore[override]
        """The loser of a list has expired."""
        return "EXPIRED" if order.terms.get("expired") and not order.is_open else super().status(order)

    def _hear_money(self, account: AccountId, currency: Currency, amount: Decimal) -> None:
        now = self.exchange.ms()
        event = {"e": "balanceUpdate", "E": now, "a": currency, "d": text(amount), "T": now}
        self._tell_account(account, "balanceUpdate", event)
        self._tell_money(account)

    def _money(self, account: AccountId) -> dict[str, tuple[Decimal, Decimal]]:
        return {b.currency: (b.total - b.locked, b.locked) for b in self.exchange.balances(account)}

    def _tell_money(self, account: AccountId) -> None:
        """`outboundAccountPosition` of the currencies that moved."""
        now, before = self._money(account), self._told_money.get(account, {})
        nothing = Decimal(0), Decimal(0)
        moved = {c: now.get(c, nothing) for c in {*now, *before} if now.get(c, nothing) != before.get(c, nothing)}
        self._told_money[account] = now
        if moved:
            stamp = self.exchange.ms()
            rows = [{"a": c, "f": text(free), "l": text(locked)} for c, (free, locked) in sorted(moved.items())]
            event = {"e": "outboundAccountPosition", "E": stamp, "u": stamp, "B": rows}
            self._tell_account(account, "outboundAccountPosition", event)

    def _tell_list(self, notice: Notice) -> None:
        orders = [
            o for o in self.exchange.orders(notice.account) if o.terms.get("group") == notice.order.terms["group"]
        ]
        if len(orders) < 2:
            return
        row = self.list_row(orders)
        event = {
            "e": "listStatus",
            "E": self.exchange.ms(),
            "s": row["symbol"],
            "g": row["orderListId"],
            "c": row["contingencyType"],
            "l": row["listStatusType"],
            "L": row["listOrderStatus"],
            "r": "NONE",
            "C": row["listClientOrderId"],
            "T": row["transactionTime"],
            "O": [{"s": o["symbol"], "i": o["orderId"], "c": o["clientOrderId"]} for o in row["orders"]],
        }
        self._tell_account(notice.account, "listStatus", event)

    def report(self, notice: Notice) -> dict[str, Any]:
        """`executionReport`."""
        order, event = notice.order, notice.event
        fill = event.fill if isinstance(event, OrderFilled) else None
        by_request = isinstance(event, OrderCanceled) and "canceled_by" in order.terms
        kind = self._execution_type(notice)
        now = self.exchange.ms()
        value = Decimal(0) if fill is None else fill.price * fill.quantity
        shown = self.client_id(order)
        waits = order.stop_price is not None and not order.triggered
        return {
            "e": "executionReport",
            "E": now,
            "s": self.symbol(order.command.instrument),
            "c": order.terms["canceled_by"] if by_request else shown,
            "S": order.command.side.value.upper(),
            "o": order.terms["type"],
            "f": self.tif(order),
            "q": text(order.quantity),
            "p": text(order.price or Decimal(0)),
            "P": text(order.stop_price or Decimal(0)),
            "F": _NO_TRADE,
            "g": order.terms["list"],
            "C": shown if by_request else "",
            "x": kind,
            "X": self._status_then(notice, kind),
            "r": "NONE",
            "i": order.number,
            "l": _NO_TRADE if fill is None else text(fill.quantity),
            "z": text(order.filled),
            "L": _NO_TRADE if fill is None else text(fill.price),
            "n": "0" if fill is None else text(fill.fee),
            "N": None if fill is None else fill.fee_currency,
            "T": self.exchange.ms(order.updated),
            "t": -1 if fill is None else self.trade_id(fill),
            "I": now,
            "w": order.is_open and not waits,
            "m": fill is not None and fill.liquidity is Liquidity.MAKER,
            "M": fill is not None,
            "O": self.exchange.ms(order.created),
            "Z": text(order.value),
            "Y": text(value),
            "Q": _NO_TRADE,
            "W": self.exchange.ms(order.created),
            "V": "NONE",
        }

    def _execution_type(self, notice: Notice) -> str:
        event, order = notice.event, notice.order
        if isinstance(event, OrderFilled):
            return "TRADE"
        if isinstance(event, OrderAmended):
            return "REPLACED"
        if isinstance(event, OrderExpired):
            return "EXPIRED"
        if isinstance(event, OrderCanceled):
            itself = order.command.type is OrderType.MARKET or order.terms.get("expired")
            return "EXPIRED" if itself else "CANCELED"
        return "NEW"

    def _status_then(self, notice: Notice, kind: str) -> str:
        """The order's status at the time of the event."""
        if isinstance(notice.event, OrderAccepted):
            return "NEW"
        if kind in ("EXPIRED", "CANCELED"):
            return kind
        if isinstance(notice.event, OrderFilled):
            return "FILLED" if notice.order.filled >= notice.order.quantity else "PARTIALLY_FILLED"
        return "PARTIALLY_FILLED" if notice.order.filled else "NEW"

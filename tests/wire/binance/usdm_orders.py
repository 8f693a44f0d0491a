"""Orders at Binance USD-M: regular ones, and the conditional ones of the algo service, which have ids of their own."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from engine.model.ids import ClientOrderId
from engine.model.order import OrderSide, OrderType
from engine.model.venue import OrderCommand
from tests.wire.binance.common import refuse
from tests.wire.binance.usdm_rows import ALGO_OFFSET, UsdmRows
from tests.wire.simulator import Refusal

if TYPE_CHECKING:
    from engine.model.instrument import Instrument
    from tests.wire.exchange import Outcome
    from tests.wire.ledger import WireOrder
    from tests.wire.simulator import Call

__all__ = ["UsdmOrders"]

_CONDITIONAL = {
    "STOP": OrderType.STOP_LOSS,
    "STOP_MARKET": OrderType.STOP_LOSS,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT_MARKET": OrderType.TAKE_PROFIT,
}
_RULES = {
    "tick": (-4014, "Price not increased by tick size."),
    "lot": (-1111, "Precision is over the maximum defined for this asset."),
    "min_quantity": (-4003, "Quantity less than or equal to zero."),
    "max_quantity": (-4005, "Quantity greater than max quantity."),
    "min_notional": (-4164, "Order's notional must be no smaller than 5 (unless you choose reduce only)."),
    "max_orders": (-2025, "Reach max open order limit."),
    "insufficient_balance": (-2019, "Margin is insufficient."),
    "post_only": (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected. "
        "The order will not be recorded in the order history",
    ),
    "reduce_only": (-2022, "ReduceOnly Order is rejected."),
    "duplicate_client_id": (-4116, "ClientOrderId is duplicated."),
    "no_market": (-4140, "Invalid symbol status for opening position."),
    "bad_order": (-1106, "Parameter sent when not required."),
}


class UsdmOrders(UsdmRows):
    """Adds orders to the USD-M server."""

    # --- asking ------------------------------------------------------------------------------------------------------

    def place(self, call: Call) -> Any:
        """POST order."""
        native = self.need(call, "type")
        if native in _CONDITIONAL or native == "TRAILING_STOP_MARKET":
            refuse(
                -4120, "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
            )
        if native not in ("LIMIT", "MARKET"):
            refuse(-1116, "Invalid orderType.")
        details = self.details(call.params.get("symbol"))
        price = self.amount(call, "price")
        if native == "LIMIT" and price is None:
            refuse(-1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed.")
        if native == "LIMIT" and not call.params.get("timeInForce"):
            refuse(-1102, "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.")
        if native == "MARKET" and price is not None:
            refuse(-1106, "Parameter 'price' sent when not required.")
        command = self._read_command(call, details, OrderType(native.lower()), "newClientOrderId", price=price)
        order = self._taken(call, command, {"type": native})
        kind = call.params.get("newOrderRespType") or "ACK"
        row = self.row(order)
        del row["time"]
        if kind == "ACK":
            row |= {"status": "NEW", "executedQty": self._size(details, Decimal(0)), "avgPrice": "0.00"}
            row["cumQuote"] = "0.00000000"
        return row | {"cumQty": row["executedQty"]}

    def place_test(self, call: Call) -> Any:
        """POST order/test."""
        self.need(call, "type")
        self.details(call.params.get("symbol"))
        return {}

    def place_algo(self, call: Call) -> Any:
        """POST algoOrder."""
        if self.need(call, "algoType") != "CONDITIONAL":
            refuse(-1102, "Mandatory parameter 'algoType' was not sent, was empty/null, or malformed.")
        native = self.need(call, "type")
        kind = _CONDITIONAL.get(native)
        if kind is None:
            refuse(-1116, "Invalid orderType.")
        details = self.details(call.params.get("symbol"))
        stop, price = self.amount(call, "triggerPrice"), self.amount(call, "price")
        if stop is None:
            refuse(-1102, "Mandatory parameter 'triggerPrice' was not sent, was empty/null, or malformed.")
        if native in ("STOP", "TAKE_PROFIT") and price is None:
            refuse(-1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed.")
        side = self.side(call)
        self._check_trigger(details, kind, side, stop)
        close = call.params.get("closePosition") == "true"
        command = self._read_command(call, details, kind, "clientAlgoId", price=price, stop_price=stop, close=close)
        order = self._taken(call, command, {"type": native, "algo": True, "close": close})
        return self.algo_row(order)

    def _read_command(
        self, call: Call, details: Instrument, kind: OrderType, name: str, *, close: bool = False, **prices: Any
    ) -> OrderCommand:
        account, side = self.account(call), self.side(call)
        if (call.params.get("positionSide") or "BOTH") != ("BOTH" if account not in self.hedged else "LONG"):
            refuse(-4061, "Order's position side does not match user's setting.")
        quantity = self.amount(call, "quantity")
        if close:
            held = self._held.get((account, details.id), (Decimal(0), Decimal(0)))[0]
            quantity = abs(held)
            if not held or (held > 0) is (side is OrderSide.BUY):
                refuse(-2022, "ReduceOnly Order is rejected.")
        if quantity is None:
            refuse(-1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.")
        if not quantity:
            refuse(-4003, "Quantity less than or equal to zero.")
        sent = call.params.get("timeInForce")
        return OrderCommand(
            client_id=ClientOrderId(call.params.get(name) or secrets.token_hex(11)),
            account=account,
            instrument=details.id,
            side=side,
            type=kind,
            quantity=quantity,
            tif=self.time_in_force(sent),
            post_only=sent == "GTX" and kind is OrderType.LIMIT,
            reduce_only=close or call.params.get("reduceOnly") == "true",
            **prices,
        )

    def _taken(self, call: Call, command: OrderCommand, terms: dict[str, Any]) -> WireOrder:
        terms |= {
            "timeInForce": call.params.get("timeInForce") or "GTC",
            "workingType": call.params.get("workingType") or "CONTRACT_PRICE",
        }
        outcome = self.exchange.place(command, terms, place=call.place)
        if outcome.order is None:
            self.refused(outcome)
        return outcome.order

    def _check_trigger(self, details: Instrument, kind: OrderType, side: OrderSide, stop: Decimal) -> None:
        tape = self.exchange.tapes[details.id].trades
        if not tape:
            return
        last = details.price_from_int(tape[-1].price)
        falls = (kind is OrderType.STOP_LOSS) is (side is OrderSide.SELL)
        if last <= stop if falls else last >= stop:
            refuse(-2021, "Order would immediately trigger.")

    @staticmethod
    def refused(outcome: Outcome) -> NoReturn:
        """Refuse in Binance's words what the exchange refused."""
        code, message = _RULES.get(outcome.code, (-2010, outcome.reason))
        refuse(code, message)

    def amend(self, call: Call) -> Any:
        """PUT order: price and quantity of a limit order."""
        order = self._regular(call)
        if order is None or not order.is_open:
            refuse(-2013, "Order does not exist.")
        price, quantity = self.amount(call, "price"), self.amount(call, "quantity")
        if price is None or quantity is None:
            refuse(-1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed.")
        if (price, quantity) == (order.price, order.quantity):
            refuse(-5027, "No need to modify the order.")
        outcome = self.exchange.amend(self.account(call), order.client_id, quantity=quantity, price=price)
        if outcome.code:
            self.refused(outcome)
        row = self.row(order)
        del row["time"]
        return row | {"cumQty": row["executedQty"]}

    def cancel(self, call: Call) -> Any:
        """DELETE order."""
        order = self._regular(call)
        if order is None or not order.is_open or self.exchange.cancel(self.account(call), order.client_id).code:
            refuse(-2011, "Unknown order sent.")
        row = self.row(order)
        del row["time"]
        return row | {"cumQty": row["executedQty"]}

    def cancel_algo(self, call: Call) -> Any:
        """DELETE algoOrder."""
        order = self._algo(call)
        if order is None or not order.is_open or order.triggered:
            refuse(-2011, "Unknown order sent.")
        self.exchange.cancel(self.account(call), order.client_id)
        return {"algoId": ALGO_OFFSET + order.number, "clientAlgoId": order.client_id, "code": "200", "msg": "success"}

    def cancel_all(self, call: Call) -> Any:
        """DELETE allOpenOrders: the regular ones of a symbol."""
        details = self.details(call.params.get("symbol"))
        self.exchange.cancel_all(self.account(call), details.id, self.waits)
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def cancel_all_algo(self, call: Call) -> Any:
        """DELETE algoOpenOrders: the conditional ones of a symbol."""
        details = self.details(call.params.get("symbol"))
        self.exchange.cancel_all(self.account(call), details.id, lambda order: not self.waits(order))
        return {"code": 200, "msg": "The operation of cancel all open order is done."}

    def countdown(self, call: Call) -> Any:
        """POST countdownCancelAll: spares the algo service's orders."""
        details, wait = self.details(call.params.get("symbol")), self.number(call, "countdownTime")
        if wait is None or wait < 0:
            refuse(-1102, "Mandatory parameter 'countdownTime' was not sent, was empty/null, or malformed.")
        self.exchange.countdown(self.account(call), wait / 1000, details.id, self.waits)
        return {"symbol": self.symbol(details.id), "countdownTime": str(wait)}

    def batch(self, call: Call) -> Any:
        """POST batchOrders: up to five, each with its own outcome."""
        orders = msgspec.json.decode(self.need(call, "batchOrders"))
        if len(orders) > 5:
            refuse(-4082, "Invalid number of batch place orders.")
        return [self._one_of(call, self.place, {k: str(v) for k, v in one.items()}) for one in orders]

    def cancel_batch(self, call: Call) -> Any:
        """DELETE batchOrders: up to ten, each with its own outcome."""
        symbol = self.need(call, "symbol")
        numbers = msgspec.json.decode(call.params.get("orderIdList") or call.params.get("orderidlist") or "[]")
        names = call.params.get("origClientOrderIdList") or call.params.get("origclientorderidlist") or "[]"
        wanted = [{"orderId": str(n)} for n in numbers]
        wanted += [{"origClientOrderId": n} for n in msgspec.json.decode(names)]
        return [self._one_of(call, self.cancel, {"symbol": symbol, **one}) for one in wanted]

    @staticmethod
    def _one_of(call: Call, act: Any, params: dict[str, str]) -> Any:
        from dataclasses import replace

        try:
            return act(replace(call, params=params))
        except Refusal as refusal:
            return refusal.reply.body

    # --- finding -----------------------------------------------------------------------------------------------------

    @staticmethod
    def waits(order: WireOrder) -> bool:
        """Whether an order is with the algo service still."""
        return bool(order.terms.get("algo")) and not order.triggered

    def _regular(self, call: Call) -> WireOrder | None:
        """The order of the matching engine that a request means."""
        order = self.look(self.account(call), call)
        return None if order is None or self.waits(order) or "type" not in order.terms else order

    def _algo(self, call: Call) -> WireOrder | None:
        """The order of the algo service that a request means."""
        number, name = self.number(call, "algoId"), call.params.get("clientAlgoId")
        if number is None and not name:
            refuse(-1102, "Param 'algoId' or 'clientAlgoId' must be sent, but both were empty/null!")
        account = self.account(call)
        if number is not None:
            order = self.exchange.numbered(account, number - ALGO_OFFSET)
        else:
            order = self.exchange.find(account, name or "")
        return order if order is not None and order.terms.get("algo") else None

    def query(self, call: Call) -> Any:
        """GET order."""
        order = self._regular(call)
        if order is None:
            refuse(-2013, "Order does not exist.")
        return self.row(order)

    def query_open(self, call: Call) -> Any:
        """GET openOrder."""
        order = self._regular(call)
        if order is None or not order.is_open:
            refuse(-2013, "Order does not exist.")
        return self.row(order)

    def query_algo(self, call: Call) -> Any:
        """GET algoOrder."""
        order = self._algo(call)
        if order is None:
            refuse(-2013, "Order does not exist.")
        return self.algo_row(order)

    def open_orders(self, call: Call) -> Any:
        """GET openOrders."""
        return [self.row(o) for o in self._wanted_orders(call) if o.is_open and not self.waits(o)]

    def all_orders(self, call: Call) -> Any:
        """GET allOrders of a symbol."""
        self.need(call, "symbol")
        limit = min(self.number(call, "limit", 500) or 500, 1000)
        first, begin, end = (self.number(call, n) for n in ("orderId", "startTime", "endTime"))
        found = [o for o in self._wanted_orders(call) if not self.waits(o)]
        if first is not None:
            return [self.row(o) for o in found if o.number >= first][:limit]
        found = [o for o in found if self._between(o.created, begin, end)]
        return [self.row(o) for o in (found[:limit] if begin is not None else found[-limit:])]

    def open_algos(self, call: Call) -> Any:
        """GET openAlgoOrders."""
        return [self.algo_row(o) for o in self._wanted_orders(call) if o.is_open and self.waits(o)]

    def all_algos(self, call: Call) -> Any:
        """GET allAlgoOrders of a symbol."""
        self.need(call, "symbol")
        limit = min(self.number(call, "limit", 500) or 500, 1000)
        begin, end = self.number(call, "startTime"), self.number(call, "endTime")
        found = [o for o in self._wanted_orders(call) if o.terms.get("algo") and self._between(o.created, begin, end)]
        return [self.algo_row(o) for o in found[-limit:]]

    def _wanted_orders(self, call: Call) -> list[WireOrder]:
        symbol = call.params.get("symbol")
        wanted = self.details(symbol).id if symbol else None
        return [o for o in self.exchange.orders(self.account(call)) if wanted in (None, o.command.instrument)]

    def user_trades(self, call: Call) -> Any:
        """GET userTrades of a symbol."""
        wanted = self.details(call.params.get("symbol")).id
        limit = min(self.number(call, "limit", 500) or 500, 1000)
        first, begin, end = (self.number(call, n) for n in ("fromId", "startTime", "endTime"))
        number, account = self.number(call, "orderId"), self.account(call)
        rows = []
        for fill in self.newer_fills(account, first):
            order = self.exchange.ledger.find(account, fill.client_id)
            if fill.instrument != wanted or order is None or number not in (None, order.number):
                continue
            if self._between(fill.ts, begin, end):
                rows.append(self.fill_row(order, fill))
        return rows[:limit] if first is not None or begin is not None else rows[-limit:]

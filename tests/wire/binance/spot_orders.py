"""Orders at Binance spot: how they are asked for, refused, and shown."""

from __future__ import annotations

import secrets
from decimal import ROUND_FLOOR, Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, NoReturn

from engine.model.ids import ClientOrderId
from engine.model.order import Liquidity, OrderSide, OrderStatus, OrderType, TimeInForce
from engine.model.venue import OrderCommand
from tests.wire.binance.common import STATUS, refuse, text
from tests.wire.binance.market_data import BinanceMarketData

if TYPE_CHECKING:
    from engine.model.fill import Fill
    from engine.model.instrument import Instrument
    from tests.wire.exchange import Outcome
    from tests.wire.ledger import WireOrder
    from tests.wire.simulator import Call

__all__ = ["SpotOrders"]

_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP_LOSS,
    "STOP_LOSS_LIMIT": OrderType.STOP_LOSS,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": OrderType.TAKE_PROFIT,
}
_PRICED = ("LIMIT", "LIMIT_MAKER", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT")
_REFUSALS = {
    "tick": (-1013, "Filter failure: PRICE_FILTER"),
    "lot": (-1013, "Filter failure: LOT_SIZE"),
    "min_quantity": (-1013, "Filter failure: LOT_SIZE"),
    "max_quantity": (-1013, "Filter failure: LOT_SIZE"),
    "min_notional": (-1013, "Filter failure: NOTIONAL"),
    "max_orders": (-2010, "Filter failure: MAX_NUM_ORDERS"),
    "insufficient_balance": (-2010, "Account has insufficient balance for requested action."),
    "post_only": (-2010, "Order would immediately match and take."),
    "duplicate_client_id": (-2010, "Duplicate order sent."),
    "no_market": (-2010, "Market is closed."),
    "bad_order": (-1013, "Invalid quantity."),
}


class SpotOrders(BinanceMarketData):
    """Adds orders to the spot server."""

    lists = count(1)

    # --- asking ------------------------------------------------------------------------------------------------------

    def place(self, call: Call) -> Any:
        """POST order."""
        command, terms = self.read_order(call)
        outcome = self.exchange.place(command, terms, place=call.place)
        if outcome.order is None:
            self.refused(outcome)
        kind = call.params.get("newOrderRespType") or ("FULL" if terms["type"] in ("LIMIT", "MARKET") else "ACK")
        return self.placed(outcome.order, kind)

    def place_test(self, call: Call) -> Any:
        """POST order/test: only the fields are looked at."""
        self.read_order(call)
        return {}

    def read_order(self, call: Call, prefix: str = "", **given: Any) -> tuple[OrderCommand, dict[str, Any]]:
        """The order that a request's parameters (with a prefix for members of lists) describe. Refuses bad ones."""
        details = self.details(call.params.get("symbol"))
        native = given.get("type") or self.need(call, "type")
        kind = _TYPES.get(native)
        if kind is None:
            refuse(-1116, "Invalid orderType.")
        side = self.side(call)
        price, stop = (
            self.amount(call, self._named(prefix, "price")),
            self.amount(call, self._named(prefix, "stopPrice")),
        )
        quantity = self.amount(call, "quantity")
        if quantity is None and native == "MARKET" and (quote := self.amount(call, "quoteOrderQty")) is not None:
            quantity = self._for_quote(details, side, quote)
        if quantity is None:
            refuse(-1102, "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.")
        limit = self._check_prices(native, price, stop, details)
        sent = call.params.get(self._named(prefix, "timeInForce"))
        if native in ("LIMIT", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT") and not sent:
            refuse(-1102, "Mandatory parameter 'timeInForce' was not sent, was empty/null, or malformed.")
        if native in ("MARKET", "LIMIT_MAKER", "STOP_LOSS", "TAKE_PROFIT") and sent:
            refuse(-1106, "Parameter 'timeInForce' sent when not required.")
        tif = self.time_in_force(sent)
        if native == "MARKET":
            # A market order takes what is there and no more.
            tif = TimeInForce.GTC
        if stop is not None:
            self._check_trigger(details, kind, side, stop)
        name = self._named(prefix, "newClientOrderId" if not prefix else "clientOrderId")
        command = OrderCommand(
            client_id=ClientOrderId(call.params.get(name) or secrets.token_hex(11)),
            account=self.account(call),
            instrument=details.id,
            side=side,
            type=kind,
            quantity=quantity,
            price=price if limit else None,
            stop_price=stop,
            tif=tif,
            post_only=native == "LIMIT_MAKER",
            oco_group=given.get("group"),
        )
        terms = {
            "type": native,
            "timeInForce": sent or "GTC",
            "list": given.get("list", -1),
            "group": given.get("group"),
        }
        return command, terms

    @staticmethod
    def _named(prefix: str, name: str) -> str:
        return f"{prefix}{name[0].upper()}{name[1:]}" if prefix else name

    @staticmethod
    def _check_prices(native: str, price: Decimal | None, stop: Decimal | None, details: Instrument) -> bool:
        """Refuse prices that are missing or too many; gives whether there is a limit price."""
        limit = native in _PRICED
        if limit and price is None:
            refuse(-1102, "Mandatory parameter 'price' was not sent, was empty/null, or malformed.")
        if not limit and price is not None:
            refuse(-1106, "Parameter 'price' sent when not required.")
        waits = native.startswith(("STOP", "TAKE"))
        if waits and stop is None:
            refuse(-1102, "Mandatory parameter 'stopPrice' was not sent, was empty/null, or malformed.")
        if not waits and stop is not None:
            refuse(-1106, "Parameter 'stopPrice' sent when not required.")
        return limit

    def _check_trigger(self, details: Instrument, kind: OrderType, side: OrderSide, stop: Decimal) -> None:
        tape = self.exchange.tapes[details.id].trades
        if not tape:
            return
        last = details.price_from_int(tape[-1].price)
        falls = (kind is OrderType.STOP_LOSS) is (side is OrderSide.SELL)
        if last <= stop if falls else last >= stop:
            refuse(-2010, "Stop price would trigger immediately.")

    def _for_quote(self, details: Instrument, side: OrderSide, quote: Decimal) -> Decimal:
        """Whole lots that an amount of quote currency buys or brings, by the book."""
        lot, left, found = details.current_rules.lot, quote, Decimal(0)
        for scaled, size in self.exchange.books[details.id].levels(side):
            price, there = details.price_from_int(scaled), details.quantity_from_int(size)
            part = min(there, left / price)
            found, left = found + part, left - part * price
            if left <= 0:
                break
        return (found / lot).to_integral_value(ROUND_FLOOR) * lot

    def refused(self, outcome: Outcome) -> NoReturn:
        """Refuse in Binance's words what the exchange refused."""
        code, message = _REFUSALS.get(outcome.code, (-2010, outcome.reason))
        refuse(code, message)

    def amend(self, call: Call) -> Any:
        """PUT order/amend/keepPriority: less quantity, same place in the queue."""
        account = self.account(call)
        order, quantity = self.look(account, call), self.amount(call, "newQty")
        if quantity is None:
            refuse(-1102, "Mandatory parameter 'newQty' was not sent, was empty/null, or malformed.")
        if order is None or not order.is_open:
            refuse(-2038, "This order was not found.")
        if quantity >= order.quantity:
            refuse(-2038, "Order amend (quantity increase) is not supported.")
        outcome = self.exchange.amend(account, order.client_id, quantity=quantity)
        if outcome.code:
            self.refused(outcome)
        before, after = self.client_id(order), call.params.get("newClientOrderId") or secrets.token_hex(11)
        order.terms["client_id"] = after
        self._aliases[account, after] = order
        return {
            "transactTime": self.exchange.ms(),
            "executionId": self.exchange.ms(),
            "amendedOrder": {
                "symbol": self.symbol(order.command.instrument),
                "orderId": order.number,
                "orderListId": -1,
                "origClientOrderId": before,
                "clientOrderId": after,
                "price": text(order.price or Decimal(0)),
                "qty": text(order.quantity),
                "executedQty": text(order.filled),
                "preventedQty": text(Decimal(0)),
                "quoteOrderQty": text(Decimal(0)),
                "cumulativeQuoteQty": text(order.value),
                "status": STATUS[order.status],
                "timeInForce": self.tif(order),
                "type": order.terms["type"],
                "side": order.command.side.value.upper(),
                "workingTime": self.exchange.ms(order.created),
                "selfTradePreventionMode": "NONE",
            },
        }

    def cancel(self, call: Call) -> Any:
        """DELETE order."""
        order = self.look(self.account(call), call)
        return self._end(order, call.params.get("newClientOrderId"))

    def _end(self, order: WireOrder | None, name: str | None = None) -> dict[str, Any]:
        if order is None or not order.is_open:
            refuse(-2011, "Unknown order sent.")
        order.terms["canceled_by"] = name or secrets.token_hex(11)
        outcome = self.exchange.cancel(order.command.account, order.client_id)
        if outcome.code:
            refuse(-2011, "Unknown order sent.")
        return self.canceled(order)

    def cancel_all(self, call: Call) -> Any:
        """DELETE openOrders of a symbol."""
        account, details = self.account(call), self.details(call.params.get("symbol"))
        found = [o for o in self.exchange.open(account) if o.command.instrument == details.id]
        if not found:
            refuse(-2011, "Unknown order sent.")
        return [self._end(order) for order in found if order.is_open]

    def cancel_replace(self, call: Call) -> Any:
        """POST order/cancelReplace."""
        from tests.wire.simulator import Refusal, Reply

        mode = self.need(call, "cancelReplaceMode")
        if "cancelOrderId" in call.params:
            call.params["orderId"] = call.params["cancelOrderId"]
        call.params["origClientOrderId"] = call.params.get("cancelOrigClientOrderId", "")
        ended: dict[str, Any] | None = None
        try:
            ended = self._end(self.look(self.account(call), call), call.params.get("cancelNewClientOrderId"))
        except Refusal as refusal:
            if mode == "STOP_ON_FAILURE":
                data = self._both("FAILURE", refusal.reply.body, "NOT_ATTEMPTED", None)
                raise Refusal(
                    Reply({"code": -2022, "msg": "Order cancel-replace failed.", "data": data}, 400)
                ) from None
        try:
            opened = self.place(call)
        except Refusal as refusal:
            data = self._both("SUCCESS" if ended else "FAILURE", ended, "FAILURE", refusal.reply.body)
            code = -2021 if ended else -2022
            message = "Order cancel-replace partially failed." if ended else "Order cancel-replace failed."
            raise Refusal(Reply({"code": code, "msg": message, "data": data}, 409 if ended else 400)) from None
        return self._both("SUCCESS" if ended else "FAILURE", ended, "SUCCESS", opened)

    @staticmethod
    def _both(first: str, ended: Any, second: str, opened: Any) -> dict[str, Any]:
        return {"cancelResult": first, "newOrderResult": second, "cancelResponse": ended, "newOrderResponse": opened}

    def oco(self, call: Call) -> Any:
        """POST orderList/oco."""
        number, name = next(self.lists), call.params.get("listClientOrderId") or secrets.token_hex(11)
        group = f"list{number}"
        orders: list[WireOrder] = []
        for prefix in ("above", "below"):
            native = self.need(call, f"{prefix}Type")
            command, terms = self.read_order(call, prefix, type=native, list=number, group=group)
            outcome = self.exchange.place(command, terms, place=call.place)
            if outcome.order is None:
                for order in orders:
                    self.exchange.cancel(order.command.account, order.client_id)
                self.refused(outcome)
            orders.append(outcome.order)
        for order in orders:
            order.terms["list_name"] = name
        return self.list_row(orders) | {"orderReports": [self.placed(order, "RESULT") for order in orders]}

    # --- showing -----------------------------------------------------------------------------------------------------

    def query(self, call: Call) -> Any:
        """GET order."""
        order = self.look(self.account(call), call)
        if order is None:
            refuse(-2013, "Order does not exist.")
        return self.row(order)

    def open_orders(self, call: Call) -> Any:
        """GET openOrders."""
        symbol = call.params.get("symbol")
        wanted = self.details(symbol).id if symbol else None
        found = self.exchange.open(self.account(call))
        return [self.row(o) for o in found if wanted in (None, o.command.instrument)]

    def all_orders(self, call: Call) -> Any:
        """GET allOrders of a symbol."""
        wanted = self.details(call.params.get("symbol")).id
        found = [o for o in self.exchange.orders(self.account(call)) if o.command.instrument == wanted]
        limit = min(self.number(call, "limit", 500) or 500, 1000)
        first, begin, end = (self.number(call, n) for n in ("orderId", "startTime", "endTime"))
        if first is not None:
            return [self.row(o) for o in found if o.number >= first][:limit]
        found = [o for o in found if self._between(o.created, begin, end)]
        return [self.row(o) for o in (found[:limit] if begin is not None else found[-limit:])]

    def my_trades(self, call: Call) -> Any:
        """GET myTrades of a symbol."""
        wanted = self.details(call.params.get("symbol")).id
        limit = min(self.number(call, "limit", 500) or 500, 1000)
        first, begin, end = (self.number(call, n) for n in ("fromId", "startTime", "endTime"))
        number = self.number(call, "orderId")
        account = self.account(call)
        rows = []
        for fill in self.newer_fills(account, first):
            order = self.exchange.ledger.find(account, fill.client_id)
            if fill.instrument != wanted or order is None or number not in (None, order.number):
                continue
            if self._between(fill.ts, begin, end):
                rows.append(self.fill_row(order, fill))
        return rows[:limit] if first is not None or begin is not None else rows[-limit:]

    def open_lists(self, call: Call) -> Any:
        """GET openOrderList."""
        found: dict[int, list[WireOrder]] = {}
        for order in self.exchange.open(self.account(call)):
            if order.terms["list"] != -1:
                found.setdefault(order.terms["list"], []).append(order)
        return [self.list_row(orders) for orders in found.values()]

    def cancel_list(self, call: Call) -> Any:
        """DELETE orderList."""
        number, name = self.number(call, "orderListId"), call.params.get("listClientOrderId")
        mine = [o for o in self.exchange.orders(self.account(call)) if o.terms["list"] != -1]
        orders = [o for o in mine if o.terms["list"] == number or (name and o.terms.get("list_name") == name)]
        if not any(o.is_open for o in orders):
            refuse(-2011, "Unknown order sent.")
        self._end(next(o for o in orders if o.is_open))
        return self.list_row(orders) | {"orderReports": [self.canceled(o) for o in orders]}

    def list_row(self, orders: list[WireOrder]) -> dict[str, Any]:
        """A list of orders."""
        open_now = any(o.is_open for o in orders)
        symbol = self.symbol(orders[0].command.instrument)
        return {
            "orderListId": orders[0].terms["list"],
            "contingencyType": "OCO",
            "listStatusType": "EXEC_STARTED" if open_now else "ALL_DONE",
            "listOrderStatus": "EXECUTING" if open_now else "ALL_DONE",
            "listClientOrderId": orders[0].terms.get("list_name", ""),
            "transactionTime": self.exchange.ms(),
            "symbol": symbol,
            "orders": [{"symbol": symbol, "orderId": o.number, "clientOrderId": self.client_id(o)} for o in orders],
        }

    def placed(self, order: WireOrder, kind: str) -> dict[str, Any]:
        """The answer to a new order."""
        ack = {
            "symbol": self.symbol(order.command.instrument),
            "orderId": order.number,
            "orderListId": order.terms["list"],
            "clientOrderId": self.client_id(order),
            "transactTime": self.exchange.ms(order.created),
        }
        if kind == "ACK":
            return ack
        result = ack | self._body(order) | self._stop(order)
        result |= {"workingTime": self.exchange.ms(order.created), "selfTradePreventionMode": "NONE"}
        if kind == "RESULT":
            return result
        fills = [
            {
                "price": text(f.price),
                "qty": text(f.quantity),
                "commission": text(f.fee),
                "commissionAsset": f.fee_currency,
                "tradeId": self.trade_id(f),
            }
            for f in order.fills
        ]
        return result | {"fills": fills}

    def _body(self, order: WireOrder) -> dict[str, Any]:
        return {
            "price": text(order.price or Decimal(0)),
            "origQty": text(order.quantity),
            "executedQty": text(order.filled),
            "origQuoteOrderQty": text(Decimal(0)),
            "cummulativeQuoteQty": text(order.value),
            "status": self.status(order),
            "timeInForce": self.tif(order),
            "type": order.terms["type"],
            "side": order.command.side.value.upper(),
        }

    @staticmethod
    def _stop(order: WireOrder) -> dict[str, Any]:
        return {} if order.stop_price is None else {"stopPrice": text(order.stop_price)}

    @staticmethod
    def status(order: WireOrder) -> str:
        """An order's status: what of a market order found nobody has expired."""
        ended_itself = order.status is OrderStatus.CANCELED and order.command.type is OrderType.MARKET
        return "EXPIRED" if ended_itself else STATUS[order.status]

    def canceled(self, order: WireOrder) -> dict[str, Any]:
        """The answer to a cancel."""
        return {
            "symbol": self.symbol(order.command.instrument),
            "origClientOrderId": self.client_id(order),
            "orderId": order.number,
            "orderListId": order.terms["list"],
            "clientOrderId": order.terms.get("canceled_by", ""),
            "transactTime": self.exchange.ms(order.updated),
            **self._body(order),
            **self._stop(order),
            "selfTradePreventionMode": "NONE",
        }

    def row(self, order: WireOrder) -> dict[str, Any]:
        """An order as a query shows it."""
        return {
            "symbol": self.symbol(order.command.instrument),
            "orderId": order.number,
            "orderListId": order.terms["list"],
            "clientOrderId": self.client_id(order),
            **self._body(order),
            "stopPrice": text(order.stop_price or Decimal(0)),
            "icebergQty": text(Decimal(0)),
            "time": self.exchange.ms(order.created),
            "updateTime": self.exchange.ms(order.updated),
            "isWorking": order.stop_price is None or order.triggered,
            "workingTime": self.exchange.ms(order.created) if order.stop_price is None or order.triggered else -1,
            "selfTradePreventionMode": "NONE",
        }

    def fill_row(self, order: WireOrder, fill: Fill) -> dict[str, Any]:
        """An execution as a list shows it."""
        details = self.exchange.instruments[fill.instrument]
        return {
            "symbol": self.symbol(fill.instrument),
            "id": self.trade_id(fill),
            "orderId": order.number,
            "orderListId": order.terms["list"],
            "price": text(fill.price),
            "qty": text(fill.quantity),
            "quoteQty": text(details.notional(fill.price, fill.quantity)),
            "commission": text(fill.fee),
            "commissionAsset": fill.fee_currency,
            "time": self.exchange.ms(fill.ts),
            "isBuyer": fill.side is OrderSide.BUY,
            "isMaker": fill.liquidity is Liquidity.MAKER,
            "isBestMatch": True,
        }

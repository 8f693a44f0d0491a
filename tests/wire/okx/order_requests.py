"""OKX's requests about orders, ordinary and algo."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec

from engine.events import OrderAccepted, OrderCanceled
from engine.model.ids import ClientOrderId, VenueOrderId
from engine.model.margin import MarginMode
from engine.model.order import OrderSide, OrderType, TimeInForce
from engine.model.venue import OrderCommand
from engine.venues.paper.orders import RejectCode
from tests.wire.exchange import TOO_MANY_ORDERS, Notice, Outcome
from tests.wire.okx.common import failed, good, refuse
from tests.wire.okx.market_requests import MarketRequests
from tests.wire.okx.rows import (
    algo_id,
    algo_row,
    bill_id,
    client_id,
    fill_row,
    inst_type,
    is_algo,
    number_of,
    order_id,
    order_row,
)
from tests.wire.simulator import Refusal

if TYPE_CHECKING:
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument
    from tests.wire.ledger import WireOrder
    from tests.wire.simulator import Call

__all__ = ["OrderRequests"]

_PLACING: dict[str, tuple[str, str]] = {
    RejectCode.INSUFFICIENT_BALANCE: ("51008", "Order failed. Insufficient {quote} balance in account "),
    RejectCode.TICK: ("51000", "Parameter px error"),
    RejectCode.LOT: ("51121", "Order quantity must be a multiple of the lot size."),
    RejectCode.MIN_QUANTITY: ("51020", "Your order should meet or exceed the minimum order amount."),
    RejectCode.MAX_QUANTITY: ("51202", "Market order amount exceeds the maximum amount."),
    RejectCode.MIN_NOTIONAL: ("51020", "Your order should meet or exceed the minimum order amount."),
    RejectCode.REDUCE_ONLY: ("51169", "Order failed because you don't have any positions in this direction."),
    RejectCode.NO_MARKET: ("51022", "Contract suspended"),
    RejectCode.DUPLICATE: ("51016", "Duplicated client order ID"),
    RejectCode.BAD_ORDER: ("51000", "Parameter error"),
    TOO_MANY_ORDERS: ("51025", "Order count exceeds the limit"),
}
_NO_ORDER = ("51603", "Order does not exist")
_TIFS = {"ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}
DEFAULT_LEVERAGE = Decimal(3)
"""Of swaps in which an account has never set any, in both margin modes."""
_KINDS = ("market", "limit", "post_only", "fok", "ioc")


class OrderRequests(MarketRequests):
    """Answers about orders and executions."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._nameless = count(1)
        self._posts = count(8_000_000)
        self._tickets: dict[AccountId, int] = {}
        self._leverages: dict[tuple[AccountId, InstrumentId, MarginMode], Decimal] = {}

    # --- ordinary orders ---------------------------------------------------------------------------------------------

    def place_request(self, call: Call) -> Any:
        """POST trade/order and trade/batch-orders."""
        return failed([self._each(call, row, self._place) for row in self.rows(call)], self.exchange.ms())

    def cancel_request(self, call: Call) -> Any:
        """POST trade/cancel-order and trade/cancel-batch-orders."""
        return failed([self._each(call, row, self._cancel) for row in self.rows(call)], self.exchange.ms())

    def amend_request(self, call: Call) -> Any:
        """POST trade/amend-order."""
        return failed([self._each(call, row, self._amend) for row in self.rows(call)], self.exchange.ms())

    def _each(self, call: Call, row: dict[str, Any], act: Any) -> dict[str, Any]:
        """One order of a request; a refusal becomes its row."""
        named = {"clOrdId": str(row.get("clOrdId", "")), "ordId": str(row.get("ordId", "")), "tag": ""}
        try:
            order: WireOrder = act(call, row)
        except Refusal as refusal:
            body = refusal.reply.body
            return named | {"sCode": body["code"], "sMsg": body["msg"], "ts": str(self.exchange.ms())}
        return {
            "clOrdId": client_id(order),
            "ordId": order_id(order),
            "tag": str(row.get("tag", "")),
            "ts": str(self.exchange.ms()),
            "sCode": "0",
            "sMsg": "",
        }

    def _place(self, call: Call, row: dict[str, Any]) -> WireOrder:
        details, kind = self.details(row.get("instId")), str(row.get("ordType", ""))
        if kind not in _KINDS:
            refuse("51000", "Parameter ordType error")
        price = self.amount(row, "px") if kind != "market" else None
        if kind != "market" and price is None:
            refuse("51204", "The limit order price cannot be empty.")
        command = self._command(call, row, details, str(row.get("clOrdId", "")))
        command = _with(
            command,
            type=OrderType.MARKET if kind == "market" else OrderType.LIMIT,
            price=price,
            tif=_TIFS.get(kind, TimeInForce.GTC),
            post_only=kind == "post_only",
        )
        if kind == "market" and details.kind == "spot" and command.side is OrderSide.BUY:
            self._in_base(row)
        return self._placed(call, details, command, row)

    @staticmethod
    def _in_base(row: dict[str, Any]) -> None:
        # In quote currency, OKX's default for market buys, nobody asks this server.
        if row.get("tgtCcy") != "base_ccy":
            refuse("51000", "Parameter tgtCcy error")

    def _command(self, call: Call, row: dict[str, Any], details: Instrument, name: str) -> OrderCommand:
        size = self.amount(row, "sz")
        if size is None or size <= 0:
            refuse("51000", "Parameter sz error")
        if row.get("side") not in ("buy", "sell"):
            refuse("51000", "Parameter side error")
        spot = details.kind == "spot"
        if (row.get("tdMode") == "cash") is not spot:
            refuse("51000", "Parameter tdMode error")
        if len(name) > 32 or (name and not name.isalnum()):
            refuse("51000", "Parameter clOrdId error")
        if self.hedged and not spot:
            refuse("51000", "Parameter posSide error")
        if not spot:
            self._in_mode(self.account(call), details, str(row.get("tdMode", "")))
        if not name:
            row["nameless"], name = True, f"nameless{next(self._nameless)}"
        return OrderCommand(
            client_id=ClientOrderId(name),
            account=self.account(call),
            instrument=details.id,
            side=OrderSide(row["side"]),
            type=OrderType.LIMIT,
            quantity=size,
            reduce_only=row.get("reduceOnly") in (True, "true") and not spot,
        )

    def leverage_of(self, account: AccountId, instrument: InstrumentId, mode: MarginMode) -> Decimal:
        """Leverage of a swap in a margin mode: each has its own, 3x until somebody sets one."""
        return self._leverages.get((account, instrument, mode), DEFAULT_LEVERAGE)

    def set_leverage(self, account: AccountId, instrument: InstrumentId, mode: MarginMode, leverage: Decimal) -> None:
        """Set the leverage of a swap in a margin mode; what is held or ordered in that mode has it at once.

        Raises:
            ValidationError: The funds are not enough for it.
        """
        if self._is_used(account, instrument) and self.exchange.margin(account, instrument).mode is mode:
            self.exchange.paper.set_margin(account, instrument, leverage, mode)
        self._leverages[account, instrument, mode] = leverage

    def _is_used(self, account: AccountId, instrument: InstrumentId) -> bool:
        held = any(p.instrument == instrument for p in self.exchange.positions(account))
        return held or any(o.command.instrument == instrument for o in self.exchange.open(account))

    def _in_mode(self, account: AccountId, details: Instrument, mode: str) -> None:
        """An order names its margin mode; this server holds nothing of one instrument in both."""
        if mode not in ("isolated", "cross"):
            refuse("51000", "Parameter tdMode error")
        wanted = MarginMode(mode)
        if not self._is_used(account, details.id):
            leverage = self.leverage_of(account, details.id, wanted)
            self.exchange.paper.set_margin(account, details.id, leverage, wanted)
        elif self.exchange.margin(account, details.id).mode is not wanted:
            refuse("51000", "A position or an order is open in the other margin mode")

    def _placed(self, call: Call, details: Instrument, command: OrderCommand, row: dict[str, Any]) -> WireOrder:
        outcome = self.exchange.place(command, row, place=call.place)
        if outcome.code == RejectCode.POST_ONLY:
            outcome = self._taken_and_canceled(command, row)
        if outcome.order is None or outcome.code:
            code, words = _PLACING.get(outcome.code, ("51000", outcome.reason))
            if outcome.code == RejectCode.DUPLICATE and command.type in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT):
                code, words = "51065", "algoClOrdId already exists."
            refuse(code, words.format(quote=details.quote))
        return outcome.order

    def _taken_and_canceled(self, command: OrderCommand, row: dict[str, Any]) -> Outcome:
        """A post-only order that would take is taken in and cancelled at once."""
        now, ledger = self.exchange.clock.now(), self.exchange.ledger
        accepted = OrderAccepted(
            client_id=command.client_id, venue_order_id=VenueOrderId(f"P{next(self._posts)}"), ts=now
        )
        order = ledger.book(command.account, accepted, command, {**row, "cancelSource": "31"})
        assert order is not None
        words = "The current post-only order would take liquidity."
        event = OrderCanceled(client_id=command.client_id, reason=words, ts=now)
        ledger.book(command.account, event)
        notice = Notice(command.account, event, order)
        for listener in self.exchange.private:
            listener(notice)
        return Outcome(order=order, notices=[notice])

    def _cancel(self, call: Call, row: dict[str, Any]) -> WireOrder:
        order = self.find(call, row.get("instId"), row.get("clOrdId"), row.get("ordId"))
        if order is None:
            refuse("51400", "Cancellation failed as the order has been filled, canceled or does not exist.")
        return self._canceled(call, order)

    def _canceled(self, call: Call, order: WireOrder) -> WireOrder:
        order.terms.setdefault("cancelSource", "1")
        outcome = self.exchange.cancel(self.account(call), order.client_id)
        if outcome.code:
            refuse("51400", "Cancellation failed as the order has been filled, canceled or does not exist.")
        return order

    def _amend(self, call: Call, row: dict[str, Any]) -> WireOrder:
        order = self.find(call, row.get("instId"), row.get("clOrdId"), row.get("ordId"))
        if order is None:
            refuse("51503", "Order modification failed as the order has been filled, canceled or does not exist.")
        return self._amended(call, order, row, self.amount(row, "newPx"), None)

    def _amended(
        self, call: Call, order: WireOrder, row: dict[str, Any], price: Decimal | None, stop: Decimal | None
    ) -> WireOrder:
        order.terms["reqId"] = str(row.get("reqId", ""))
        size = self.amount(row, "newSz")
        if size is None and price is None and stop is None:
            refuse("51500", "You must enter a price, quantity, or TP/SL.")
        account = self.account(call)
        outcome = self.exchange.amend(account, order.client_id, quantity=size, price=price, stop_price=stop)
        if outcome.code:
            known = {
                RejectCode.ALREADY_ENDED: "51510",
                RejectCode.UNKNOWN_ORDER: "51503",
                RejectCode.INSUFFICIENT_BALANCE: "51502",
                RejectCode.POST_ONLY: "51511",
            }
            refuse(known.get(RejectCode(outcome.code), "51000"), outcome.reason)
        return order

    # --- algo orders -------------------------------------------------------------------------------------------------

    def place_algo_request(self, call: Call) -> Any:
        """POST trade/order-algo."""
        return failed([self._each_algo(call, row, self._place_algo) for row in self.rows(call)], self.exchange.ms())

    def cancel_algo_request(self, call: Call) -> Any:
        """POST trade/cancel-algos, which wants a list."""
        if not isinstance(call.json(), list):
            refuse("50002", "Incorrect json data format")
        return failed([self._each_algo(call, row, self._cancel_algo) for row in self.rows(call)], self.exchange.ms())

    def amend_algo_request(self, call: Call) -> Any:
        """POST trade/amend-algos."""
        return failed([self._each_algo(call, row, self._amend_algo) for row in self.rows(call)], self.exchange.ms())

    def _each_algo(self, call: Call, row: dict[str, Any], act: Any) -> dict[str, Any]:
        try:
            order: WireOrder = act(call, row)
        except Refusal as refusal:
            body = refusal.reply.body
            named = {"algoId": str(row.get("algoId", "")), "algoClOrdId": str(row.get("algoClOrdId", ""))}
            return named | {"sCode": body["code"], "sMsg": body["msg"]}
        return {"algoId": algo_id(order), "algoClOrdId": client_id(order), "sCode": "0", "sMsg": ""}

    def _place_algo(self, call: Call, row: dict[str, Any]) -> WireOrder:
        details = self.details(row.get("instId"))
        if row.get("ordType") != "conditional":
            refuse("51000", "Parameter ordType error")
        stop, target = self.amount(row, "slTriggerPx"), self.amount(row, "tpTriggerPx")
        side = "sl" if stop is not None else "tp"
        trigger, limit = stop if stop is not None else target, self.amount(row, f"{side}OrdPx")
        if trigger is None or limit is None:
            refuse("50015", "Either parameter tpTriggerPx or slTriggerPx is required")
        command = _with(
            self._command(call, row, details, str(row.get("algoClOrdId", ""))),
            type=OrderType.STOP_LOSS if side == "sl" else OrderType.TAKE_PROFIT,
            price=None if limit == -1 else limit,
            stop_price=trigger,
        )
        return self._placed(call, details, command, row)

    def _cancel_algo(self, call: Call, row: dict[str, Any]) -> WireOrder:
        order = self.find_algo(call, row.get("algoClOrdId"), row.get("algoId"))
        if order is None or order.triggered:
            refuse("51400", "Cancellation failed as the order has been filled, triggered, canceled or does not exist.")
        return self._canceled(call, order)

    def _amend_algo(self, call: Call, row: dict[str, Any]) -> WireOrder:
        order = self.find_algo(call, row.get("algoClOrdId"), row.get("algoId"))
        if order is None or order.triggered:
            refuse("51503", "Order modification failed as the order has been filled, canceled or does not exist.")
        side = "Sl" if order.command.type is OrderType.STOP_LOSS else "Tp"
        price = self.amount(row, f"new{side}OrdPx")
        trigger = self.amount(row, f"new{side}TriggerPx")
        return self._amended(call, order, row, None if price == -1 else price, trigger)

    # --- questions ---------------------------------------------------------------------------------------------------

    def find(self, call: Call, name: Any, client: Any, number: Any) -> WireOrder | None:
        """The ordinary order that is meant, in the named instrument; also what an algo order has become."""
        details, account = self.details(name), self.account(call)
        if number:
            found = self.exchange.numbered(account, number_of(str(number)))
            if found is not None and order_id(found) != str(number):
                found = None
        elif client:
            found = self.exchange.find(account, str(client))
            if found is not None and is_algo(found):
                found = None
        else:
            refuse("51003", "Either client order ID or order ID is required")
        if found is None or found.command.instrument != details.id or (is_algo(found) and not found.triggered):
            return None
        return found

    def find_algo(self, call: Call, client: Any, number: Any) -> WireOrder | None:
        """The algo order that is meant."""
        account = self.account(call)
        if number:
            found = self.exchange.numbered(account, number_of(str(number)))
        elif client:
            found = self.exchange.find(account, str(client))
        else:
            refuse("50015", "Either parameter algoId or algoClOrdId is required")
        return found if found is not None and is_algo(found) else None

    def order_request(self, call: Call) -> Any:
        """GET trade/order."""
        order = self.find(call, call.params.get("instId"), call.params.get("clOrdId"), call.params.get("ordId"))
        if order is None:
            refuse(*_NO_ORDER)
        return good(self.row(order))

    def algo_request(self, call: Call) -> Any:
        """GET trade/order-algo."""
        order = self.find_algo(call, call.params.get("algoClOrdId"), call.params.get("algoId"))
        if order is None:
            refuse(*_NO_ORDER)
        return good(self.algo(order))

    def pending_request(self, call: Call) -> Any:
        """GET trade/orders-pending, newest first."""
        found = [o for o in self.exchange.open(self.account(call)) if not is_algo(o) or o.triggered]
        return good(*self._page(call, [self.row(o) for o in found], "ordId"))

    def history_request(self, call: Call) -> Any:
        """GET trade/orders-history, newest first."""
        found = [o for o in self.exchange.orders(self.account(call)) if not o.is_open]
        rows = [self.row(o) for o in found if not is_algo(o) or o.triggered]
        kind = call.params.get("instType")
        if not kind:
            refuse("50014", "Parameter instType can not be empty")
        return good(*self._page(call, [row for row in rows if row["instType"] == kind], "ordId"))

    def pending_algo_request(self, call: Call) -> Any:
        """GET trade/orders-algo-pending, newest first."""
        if not call.params.get("ordType"):
            refuse("50014", "Parameter ordType can not be empty")
        kinds = call.params["ordType"].split(",")
        found = [o for o in self.exchange.open(self.account(call)) if is_algo(o) and not o.triggered]
        rows = [row for row in map(self.algo, found) if row["ordType"] in kinds]
        return good(*self._page(call, rows, "algoId"))

    def fills_request(self, call: Call) -> Any:
        """GET trade/fills and trade/fills-history, newest first."""
        kind, account = call.params.get("instType"), self.account(call)
        if call.path.endswith("history") and not kind:
            refuse("50014", "Parameter instType can not be empty")
        after, rows = int(call.params.get("after") or 0), list[dict[str, Any]]()
        for number, fill in self.exchange.latest_fills(account):
            if after and bill_id(number) >= after:
                continue
            order = self.exchange.ledger.find(account, fill.client_id)
            details = self.exchange.instruments[fill.instrument]
            if order is not None and kind in (None, inst_type(details)):
                rows.append(fill_row(number, fill, order, details, self.exchange))
            if len(rows) >= self.count(call) and not {"instId", "before"} & call.params.keys():
                break
        return good(*self._page(call, rows, "billId"))

    def _page(self, call: Call, rows: list[dict[str, Any]], by: str) -> list[dict[str, Any]]:
        """A page of rows, newest first: `after` is older than a number, `before` newer."""
        wanted = call.params.get("instId")
        found = [row for row in rows if wanted in (None, row["instId"])]
        found.sort(key=lambda row: int(row[by]), reverse=True)
        if after := call.params.get("after"):
            found = [row for row in found if int(row[by]) < int(after)]
        if before := call.params.get("before"):
            found = [row for row in found if int(row[by]) > int(before)]
        return found[: self.count(call)]

    def cancel_all_after_request(self, call: Call) -> Any:
        """POST trade/cancel-all-after: it spares algo orders that wait."""
        value = str(self.rows(call)[0].get("timeOut", ""))
        if not value.isdecimal() or (value != "0" and not 10 <= int(value) <= 120):
            refuse("51000", "Parameter timeOut error")
        seconds, account = int(value), self.account(call)
        self.count_down(account, seconds)
        ms = self.exchange.ms()
        due = str(ms + seconds * 1000) if seconds else "0"
        return good({"triggerTime": due, "tag": "", "ts": str(ms)})

    def count_down(self, account: AccountId, seconds: int) -> None:
        """Cancel ordinary orders of an account unless asked again within so long."""
        ticket = self._tickets[account] = self._tickets.get(account, 0) + 1

        def strike() -> None:
            if self._tickets.get(account) != ticket:
                return
            for order in self.exchange.open(account):
                if not is_algo(order) or order.triggered:
                    order.terms["cancelSource"] = "20"
                    self.exchange.cancel(account, order.client_id)

        if seconds:
            self.exchange.after(seconds, strike)

    # --- rows --------------------------------------------------------------------------------------------------------

    def row(self, order: WireOrder) -> dict[str, Any]:
        """An ordinary order."""
        return order_row(order, self.exchange.instruments[order.command.instrument], self.exchange)

    def algo(self, order: WireOrder) -> dict[str, Any]:
        """An algo order."""
        return algo_row(order, self.exchange.instruments[order.command.instrument], self.exchange)


def _with(command: OrderCommand, **fields: Any) -> OrderCommand:
    return msgspec.structs.replace(command, **fields)

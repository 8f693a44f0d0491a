"""Coinbase's private requests: rights, fees, wallets, orders, executions."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from engine.model.ids import ClientOrderId
from engine.model.order import OrderSide, OrderType, TimeInForce
from engine.model.venue import OrderCommand
from engine.venues.paper.orders import RejectCode
from tests.wire.coinbase.market_data import CoinbaseMarketData
from tests.wire.coinbase.words import (
    fill_row,
    iso,
    order_id,
    order_row,
    place_refusal,
    product_id,
    refusal,
    status,
    text,
)
from tests.wire.exchange import TOO_MANY_ORDERS
from tests.wire.simulator import Call, Refusal

if TYPE_CHECKING:
    from engine.model.ids import AccountId
    from engine.model.instrument import Instrument
    from tests.wire.ledger import WireOrder

__all__ = ["CoinbaseOrders"]

_KINDS = {
    "market_market_ioc": (OrderType.MARKET, TimeInForce.GTC),
    "limit_limit_gtc": (OrderType.LIMIT, TimeInForce.GTC),
    "limit_limit_fok": (OrderType.LIMIT, TimeInForce.FOK),
    "sor_limit_ioc": (OrderType.LIMIT, TimeInForce.IOC),
    "stop_limit_stop_limit_gtc": (OrderType.STOP_LOSS, TimeInForce.GTC),
}
_WHY: dict[str, tuple[str, str]] = {
    RejectCode.INSUFFICIENT_BALANCE: ("INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUND"),
    RejectCode.TICK: ("INVALID_PRICE_PRECISION", "PREVIEW_INVALID_PRICE_PRECISION"),
    RejectCode.LOT: ("INVALID_SIZE_PRECISION", "PREVIEW_INVALID_SIZE_PRECISION"),
    RejectCode.MIN_QUANTITY: ("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"),
    RejectCode.MAX_QUANTITY: ("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE"),
    RejectCode.MIN_NOTIONAL: ("UNKNOWN_FAILURE_REASON", "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"),
    RejectCode.POST_ONLY: ("INVALID_LIMIT_PRICE_POST_ONLY", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY"),
    RejectCode.NO_MARKET: ("INVALID_NO_LIQUIDITY", "PREVIEW_INVALID_NO_LIQUIDITY"),
    TOO_MANY_ORDERS: ("COMMANDER_REJECTED_NEW_ORDER", "UNKNOWN_PREVIEW_FAILURE_REASON"),
}


class CoinbaseOrders(CoinbaseMarketData):
    """Answers about an account."""

    @staticmethod
    def account(call: Call) -> AccountId:
        """Whose key signed."""
        assert call.key is not None
        return call.key.account

    # --- the account -------------------------------------------------------------------------------------------------

    def rights(self, call: Call) -> Any:
        """GET key_permissions."""
        assert call.key is not None
        return {
            "can_view": call.key.read,
            "can_trade": call.key.trade,
            "can_transfer": call.key.withdraw,
            "portfolio_uuid": "00000000-0000-4000-8000-000000000001",
            "portfolio_type": "DEFAULT",
        }

    def summary(self, call: Call) -> Any:
        """GET transaction_summary."""
        rules = next(iter(self.exchange.instruments.values())).current_rules
        return {
            "total_volume": 0,
            "total_fees": 0,
            "fee_tier": {
                "pricing_tier": "Advanced 1",
                "usd_from": "0",
                "usd_to": "1000",
                "taker_fee_rate": text(rules.taker_fee),
                "maker_fee_rate": text(rules.maker_fee),
                "aop_from": "",
                "aop_to": "",
            },
            "margin_rate": None,
            "goods_and_services_tax": None,
            "advanced_trade_only_volume": 0,
            "advanced_trade_only_fees": 0,
            "coinbase_pro_volume": 0,
            "coinbase_pro_fees": 0,
        }

    def wallets(self, call: Call) -> Any:
        """GET accounts."""
        rows, more, cursor = self.page(call, self.exchange.balances(self.account(call)), 250)
        return {
            "accounts": [
                {
                    "uuid": f"00000000-0000-4000-9000-{number:012d}",
                    "name": f"{row.currency} Wallet",
                    "currency": row.currency,
                    "available_balance": {"value": text(row.total - row.locked), "currency": row.currency},
                    "default": number == 0,
                    "active": True,
                    "created_at": "2021-05-31T09:59:59Z",
                    "updated_at": iso(self.exchange.now()),
                    "deleted_at": None,
                    "type": "ACCOUNT_TYPE_FIAT" if row.currency == "USD" else "ACCOUNT_TYPE_CRYPTO",
                    "ready": True,
                    "hold": {"value": text(row.locked), "currency": row.currency},
                    "retail_portfolio_id": "00000000-0000-4000-8000-000000000001",
                }
                for number, row in enumerate(rows)
            ],
            "has_next": more,
            "cursor": cursor,
            "size": len(rows),
        }

    def older_wallets(self, call: Call) -> Any:
        """GET /v2/accounts."""
        rows = self.exchange.balances(self.account(call))
        return {
            "pagination": {"ending_before": None, "starting_after": None, "next_starting_after": None, "limit": 250},
            "data": [
                {
                    "id": row.currency,
                    "name": f"{row.currency} Wallet",
                    "type": "fiat" if row.currency == "USD" else "wallet",
                    "currency": {"code": row.currency, "name": row.currency},
                    "balance": {"amount": text(row.total), "currency": row.currency},
                }
                for row in rows
            ],
        }

    # --- changes -----------------------------------------------------------------------------------------------------

    def place(self, call: Call) -> Any:
        """POST orders."""
        told = call.json()
        account, client_id = self.account(call), str(told.get("client_order_id", ""))
        configuration = told.get("order_configuration") or {}
        if not client_id or len(configuration) != 1:
            raise Refusal(refusal(400, "INVALID_ARGUMENT", "client_order_id and one order_configuration are needed"))
        known = self.exchange.ledger.find(account, client_id)
        if known is not None:
            return self._taken(known)
        details = self._by_product.get(str(told.get("product_id")))
        if details is None:
            return place_refusal("INVALID_PRODUCT_ID", "PREVIEW_INVALID_PRODUCT_ID", "no such product", configuration)
        flags = self.product_row(details)
        if flags["cancel_only"] or flags["trading_disabled"]:
            return place_refusal("ORDER_ENTRY_DISABLED", "UNKNOWN_PREVIEW_FAILURE_REASON", "closed", configuration)
        try:
            command = self._command(account, client_id, details, told, configuration)
        except (InvalidOperation, KeyError, ValueError):
            code = "UNSUPPORTED_ORDER_CONFIGURATION"
            return place_refusal(code, "PREVIEW_INVALID_ORDER_CONFIG", "not understood", configuration)
        outcome = self.exchange.place(command, {"order_configuration": configuration}, place=call.place)
        if outcome.order is None:
            unknown = ("UNSUPPORTED_ORDER_CONFIGURATION", "PREVIEW_INVALID_ORDER_CONFIG")
            error, preview = _WHY.get(outcome.code, unknown)
            return place_refusal(error, preview, outcome.reason, configuration)
        return self._taken(outcome.order)

    def _taken(self, order: WireOrder) -> dict[str, Any]:
        return {
            "success": True,
            "failure_reason": "UNKNOWN_FAILURE_REASON",
            "order_id": order_id(order),
            "success_response": {
                "order_id": order_id(order),
                "product_id": product_id(order.command.instrument),
                "side": order.command.side.upper(),
                "client_order_id": order.client_id,
            },
            "order_configuration": order.terms["order_configuration"],
        }

    def _command(
        self, account: AccountId, client_id: str, details: Instrument, told: Any, configuration: dict[str, Any]
    ) -> OrderCommand:
        ((kind, terms),) = configuration.items()
        type_, tif = _KINDS[kind]
        side = OrderSide(str(told["side"]).lower())
        if kind.startswith("stop_limit"):
            up = terms["stop_direction"] == "STOP_DIRECTION_STOP_UP"
            type_ = OrderType.STOP_LOSS if up == (side is OrderSide.BUY) else OrderType.TAKE_PROFIT
        return OrderCommand(
            client_id=ClientOrderId(client_id),
            account=account,
            instrument=details.id,
            side=side,
            type=type_,
            quantity=self._size(details, terms),
            price=_decimal(terms.get("limit_price")),
            stop_price=_decimal(terms.get("stop_price")),
            tif=tif,
            post_only=bool(terms.get("post_only")),
        )

    def _size(self, details: Instrument, terms: dict[str, Any]) -> Decimal:
        if "base_size" in terms:
            return _need(terms["base_size"])
        best = self.exchange.books[details.id].best_ask
        if best is None:
            raise ValueError("no price to reckon with")
        return details.floor_quantity(_need(terms["quote_size"]) / details.price_from_int(best))

    def cancel(self, call: Call) -> Any:
        """POST batch_cancel: each with a result of its own."""
        account = self.account(call)
        return {"results": [self._cancel(account, str(number)) for number in call.json().get("order_ids", ())]}

    def _cancel(self, account: AccountId, number: str) -> dict[str, Any]:
        order = self._numbered(account, number)
        why = "UNKNOWN_CANCEL_ORDER"
        if order is not None:
            outcome = self.exchange.cancel(account, order.client_id)
            why = "" if not outcome.code else "COMMANDER_REJECTED_CANCEL_ORDER"
        return {
            "success": not why,
            "failure_reason": why or "UNKNOWN_CANCEL_FAILURE_REASON",
            "order_id": number,
        }

    def edit(self, call: Call) -> Any:
        """POST edit."""
        told, account = call.json(), self.account(call)
        order = self._numbered(account, str(told.get("order_id")))
        why = "ORDER_NOT_FOUND" if order is None else self._not_editable(order)
        if not why and order is not None:
            size, price = _decimal(told.get("size")), _decimal(told.get("price"))
            changed = {
                "quantity": size if size != order.quantity else None,
                "price": price if price != order.price else None,
            }
            if any(value is not None for value in changed.values()):
                outcome = self.exchange.amend(account, order.client_id, **changed)
                bad = {
                    RejectCode.TICK: "INVALID_EDITED_PRICE",
                    RejectCode.LOT: "INVALID_EDITED_SIZE",
                    RejectCode.BAD_AMENDMENT: "CANNOT_EDIT_TO_BELOW_FILLED_SIZE",
                    RejectCode.INSUFFICIENT_BALANCE: "INSUFFICIENT_FUND",
                }
                why = bad.get(RejectCode(outcome.code), "COMMANDER_REJECTED_EDIT_ORDER") if outcome.code else ""
        if why:
            reason = {"edit_failure_reason": why, "preview_failure_reason": "UNKNOWN_PREVIEW_FAILURE_REASON"}
            return {"success": False, "errors": [reason]}
        return {
            "success": True,
            "errors": [],
            "success_response": {"order_id": str(told.get("order_id"))},
        }

    @staticmethod
    def _not_editable(order: WireOrder) -> str:
        if not order.is_open:
            return "ONLY_OPEN_ORDERS_CAN_BE_EDITED"
        if order.command.type is not OrderType.LIMIT or order.command.tif is not TimeInForce.GTC:
            return "ONLY_LIMIT_ORDER_EDITS_SUPPORTED"
        return ""

    def _numbered(self, account: AccountId, number: str) -> WireOrder | None:
        digits = number.rpartition("-")[2]
        return self.exchange.numbered(account, int(digits)) if digits.isdecimal() else None

    # --- questions ---------------------------------------------------------------------------------------------------

    def order(self, call: Call) -> Any:
        """GET one order."""
        found = self._numbered(self.account(call), call.params["order_id"])
        if found is None:
            raise Refusal(refusal(404, "NOT_FOUND", "order with this orderID was not found"))
        return {"order": order_row(found, self.exchange.shown)}

    def orders(self, call: Call) -> Any:
        """GET orders, newest first."""
        statuses = set(self.several(call, "order_status"))
        if "OPEN" in statuses and len(statuses) > 1:
            words = "Cannot pair OPEN orders with other order statuses"
            raise Refusal(refusal(400, "INVALID_ARGUMENT", words))
        products, numbers = self.several(call, "product_ids"), self.several(call, "order_ids")
        if "product_id" in call.params:
            products.append(call.params["product_id"])
        since, until = _ns(call.params.get("start_date")), _ns(call.params.get("end_date"))
        rows = [
            order
            for order in reversed(self.exchange.orders(self.account(call)))
            if (not statuses or status(order) in statuses)
            and (not products or product_id(order.command.instrument) in products)
            and (not numbers or order_id(order) in numbers)
            and (since is None or self.exchange.shown(order.created) >= since)
            and (until is None or self.exchange.shown(order.created) < until)
        ]
        shown, more, cursor = self.page(call, rows)
        return {
            "orders": [order_row(order, self.exchange.shown) for order in shown],
            "sequence": "0",
            "has_next": more,
            "cursor": cursor,
        }

    def fills(self, call: Call) -> Any:
        """GET executions, newest first."""
        account = self.account(call)
        numbers = set(self.several(call, "order_ids"))
        products = set(self.several(call, "product_ids"))
        since = _ns(call.params.get("start_sequence_timestamp"))
        rows = []
        for number, fill in self.exchange.latest_fills(account):
            if since is not None and self.exchange.shown(fill.ts) < since:
                break
            order = self.exchange.ledger.find(account, fill.client_id)
            if order is None or (numbers and order_id(order) not in numbers):
                continue
            if products and product_id(fill.instrument) not in products:
                continue
            rows.append(fill_row(number, fill, order, self.exchange.shown))
        shown, _, cursor = self.page(call, rows)
        return {"fills": list(shown), "cursor": cursor}


def _decimal(value: Any) -> Decimal | None:
    return None if value in (None, "") else _need(value)


def _need(value: Any) -> Decimal:
    if not isinstance(value, str):
        raise ValueError("numbers are text")
    return Decimal(value)


def _ns(value: str | None) -> int | None:
    from engine.venues.coinbase.values import iso_ns

    return iso_ns(value) if value else None

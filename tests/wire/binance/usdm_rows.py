"""How orders and executions of Binance USD-M look, those of the algo service too, and what executions realised."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.model.order import Liquidity, OrderSide, OrderType
from tests.wire.binance.common import STATUS, text
from tests.wire.binance.market_data import BinanceMarketData

if TYPE_CHECKING:
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument
    from tests.wire.ledger import WireOrder

__all__ = ["ALGO_OFFSET", "UsdmRows", "rounded"]

ALGO_OFFSET = 2_000_000
"""Ids of the algo service are apart from those of the matching engine."""


def rounded(value: Decimal, places: int = 8) -> str:
    """A quotient as text."""
    return f"{value:.{places}f}"


class UsdmRows(BinanceMarketData):
    """Adds to the USD-M server what its orders look like."""

    futures = True

    def begin_orders(self) -> None:
        """Keep averages of positions, for the realised profit of executions; call it once."""
        self.hedged: set[AccountId] = set()
        """Accounts in hedge mode."""
        self._held: dict[tuple[AccountId, InstrumentId], tuple[Decimal, Decimal]] = {}
        self._profits: dict[str, Decimal] = {}
        """Realised profit by trade id and account."""

    # --- profit ------------------------------------------------------------------------------------------------------

    def book_profit(self, fill: Fill) -> Decimal:
        """Follow a position at its average price; gives what the execution realised. Call it once an execution."""
        key = fill.account, fill.instrument
        held, average = self._held.get(key, (Decimal(0), Decimal(0)))
        signed = fill.quantity * fill.side.sign
        profit = Decimal(0)
        if held * signed >= 0:
            total = held + signed
            average = (average * held + fill.price * signed) / total
        else:
            closed = min(abs(held), abs(signed)) * (1 if held > 0 else -1)
            profit = (fill.price - average) * closed * self.exchange.instruments[fill.instrument].multiplier
            if abs(signed) > abs(held):
                average = fill.price
        self._held[key] = held + signed, average
        self._profits[f"{fill.account} {fill.trade_id} {fill.side}"] = profit
        return profit

    def profit_of(self, fill: Fill) -> Decimal:
        """What an execution realised."""
        return self._profits.get(f"{fill.account} {fill.trade_id} {fill.side}", Decimal(0))

    # --- showing -----------------------------------------------------------------------------------------------------

    def price_places(self, details: Instrument) -> int:
        """As many as the tick has."""
        return details.price_scale

    def quantity_places(self, details: Instrument) -> int:
        """As many as the lot has."""
        return details.quantity_scale

    def _price(self, details: Instrument, price: Decimal | None) -> str:
        return "0" if price is None else text(price, details.price_scale)

    def _size(self, details: Instrument, quantity: Decimal) -> str:
        return text(quantity, details.quantity_scale)

    @staticmethod
    def shown_id(order: WireOrder) -> str:
        """The client's id of an order; those of forced closings begin as Binance has them."""
        return order.client_id if "type" in order.terms else str(order.terms.get("name", order.client_id))

    @staticmethod
    def native_types(order: WireOrder) -> tuple[str, str]:
        """An order's type now, and the type it began with."""
        original = str(order.terms.get("type", "LIMIT"))
        if not order.terms.get("algo"):
            return original, original
        return ("LIMIT" if original in ("STOP", "TAKE_PROFIT") else "MARKET"), original

    @staticmethod
    def status(order: WireOrder) -> str:
        """An order's status: what of a market order found nobody has expired."""
        ended_itself = order.status.value == "canceled" and order.command.type is OrderType.MARKET
        return "EXPIRED" if ended_itself else STATUS[order.status]

    def row(self, order: WireOrder) -> dict[str, Any]:
        """An order of the matching engine."""
        details = self.exchange.instruments[order.command.instrument]
        now, original = self.native_types(order)
        return {
            "orderId": order.number,
            "symbol": self.symbol(details.id),
            "status": self.status(order),
            "clientOrderId": self.shown_id(order),
            "price": self._price(details, order.price),
            "avgPrice": rounded(order.average, details.price_scale + 2),
            "origQty": self._size(details, order.quantity),
            "executedQty": self._size(details, order.filled),
            "cumQuote": text(order.value),
            "timeInForce": self.tif(order),
            "type": now,
            "reduceOnly": order.command.reduce_only,
            "closePosition": False,
            "side": order.command.side.value.upper(),
            "positionSide": "BOTH",
            "stopPrice": self._price(details, order.stop_price),
            "workingType": order.terms.get("workingType", "CONTRACT_PRICE"),
            "priceProtect": False,
            "origType": original,
            "priceMatch": "NONE",
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "goodTillDate": 0,
            "time": self.exchange.ms(order.created),
            "updateTime": self.exchange.ms(order.updated),
        }

    @staticmethod
    def algo_status(order: WireOrder) -> str:
        """How an order stands with the algo service."""
        if order.triggered:
            return "TRIGGERED" if order.is_open else "FINISHED"
        if order.is_open:
            return "NEW"
        return "CANCELED" if order.reason == "canceled on request" else "EXPIRED"

    def trigger_time(self, order: WireOrder) -> int:
        """When an order was set off, in milliseconds; 0 for not yet."""
        return next((self.exchange.ms(ts) for ts, what in order.history if what == "triggered"), 0)

    def algo_row(self, order: WireOrder) -> dict[str, Any]:
        """An order of the algo service."""
        details = self.exchange.instruments[order.command.instrument]
        row: dict[str, Any] = {
            "algoId": ALGO_OFFSET + order.number,
            "clientAlgoId": order.client_id,
            "algoType": "CONDITIONAL",
            "orderType": order.terms["type"],
            "symbol": self.symbol(details.id),
            "side": order.command.side.value.upper(),
            "positionSide": "BOTH",
            "timeInForce": self.tif(order),
            "quantity": self._size(details, order.quantity),
            "algoStatus": self.algo_status(order),
            "actualOrderId": str(order.number) if order.triggered else "",
            "actualPrice": rounded(order.average, details.price_scale + 2),
            "triggerPrice": self._price(details, order.stop_price),
            "price": self._price(details, order.price or Decimal(0)),
            "icebergQuantity": None,
            "tpTriggerPrice": "0.000",
            "tpPrice": "0.000",
            "slTriggerPrice": "0.000",
            "slPrice": "0.000",
            "tpOrderType": "",
            "selfTradePreventionMode": "EXPIRE_MAKER",
            "workingType": order.terms["workingType"],
            "priceMatch": "NONE",
            "closePosition": bool(order.terms["close"]),
            "priceProtect": False,
            "reduceOnly": order.command.reduce_only,
            "createTime": self.exchange.ms(order.created),
            "updateTime": self.exchange.ms(order.updated),
            "triggerTime": self.trigger_time(order),
            "goodTillDate": 0,
        }
        if order.triggered:
            row |= {"actualType": self.native_types(order)[0], "actualQty": self._size(details, order.filled)}
        return row

    def fill_row(self, order: WireOrder, fill: Fill) -> dict[str, Any]:
        """An execution as a list shows it."""
        details = self.exchange.instruments[fill.instrument]
        return {
            "symbol": self.symbol(fill.instrument),
            "id": self.trade_id(fill),
            "orderId": order.number,
            "side": fill.side.value.upper(),
            "price": self._price(details, fill.price),
            "qty": self._size(details, fill.quantity),
            "realizedPnl": rounded(self.profit_of(fill)),
            "quoteQty": text(details.notional(fill.price, fill.quantity)),
            "commission": text(fill.fee),
            "commissionAsset": fill.fee_currency,
            "time": self.exchange.ms(fill.ts),
            "positionSide": "BOTH",
            "buyer": fill.side is OrderSide.BUY,
            "maker": fill.liquidity is Liquidity.MAKER,
        }

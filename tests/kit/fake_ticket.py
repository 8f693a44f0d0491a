"""What a ticket comes to, as an engine would say it: fees, the least order, what is free."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.control import views, views_orders
from engine.model.ids import AccountId, Currency, InstrumentId, symbol_of
from engine.model.order import OrderSide, OrderType
from engine.model.risk import Refusal, RefusalCode
from tests.kit import fake_market

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["preview_order", "suggest_size"]

D = Decimal


def suggest_size(asked: Mapping[str, Any]) -> views_orders.SizeSuggestion:
    """The size that the engine would suggest."""
    return views_orders.SizeSuggestion(
        instrument=InstrumentId(asked["instrument"]),
        account=AccountId(asked.get("account") or "paper"),
        side=OrderSide(asked["side"]),
        quantity=D("0.00296"),
        method="fixed_percentage",
        words="fixed percentage, base 2 % of equity",
    )


def preview_order(asked: Mapping[str, Any]) -> views.OrderPreview:
    """What the engine would say of a ticket."""
    instrument = InstrumentId(asked["instrument"])
    base, _, quote = instrument.partition(":")[2].partition("/")
    last = next(D(row[1]) for row in fake_market.SYMBOLS if row[0] == symbol_of(instrument))
    side, kind = OrderSide(asked["side"]), OrderType(asked.get("type", "market"))
    price, stop = (D(str(asked[name])) if asked.get(name) else None for name in ("price", "stop_price"))
    expected = price or stop or last
    available, currency = (D("1736.10"), quote) if side is OrderSide.BUY else (D("0.02"), base)
    if asked.get("percent"):
        share = D(str(asked["percent"]))
        funds = available * share / (expected * D("1.001")) if side is OrderSide.BUY else available * share
        quantity = funds.quantize(D("0.00001"), rounding="ROUND_DOWN")
    else:
        quantity = D(str(asked.get("quantity") or 0))
    notional = expected * quantity
    fee = (notional * D("0.001")).quantize(D("0.000001"))
    refusals = []
    if notional < 10:
        message = f"The order is worth {notional:.2f} {quote}; the least is 10 {quote}. Order more."
        refusals.append(Refusal(code=RefusalCode.MIN_NOTIONAL, message=message))
    if (notional + fee if side is OrderSide.BUY else quantity) > available:
        message = f"It needs more than the {available:,} {currency} that are free. Order less."
        refusals.append(Refusal(code=RefusalCode.INSUFFICIENT_BALANCE, message=message))
    at = f"at {price:,} {quote} or better" if price else f"at the market when the price is {stop:,}" if stop else "now"
    words = f"{side.value.capitalize()} {quantity} {base} {at}, about {notional:,.2f} {quote}."
    return views.OrderPreview(
        instrument=instrument, side=side, type=kind, quantity=quantity, price=price, stop_price=stop,
        expected_price=expected, notional=notional, fee=fee,
        total=notional + fee if side is OrderSide.BUY else notional - fee,
        currency=Currency(quote), available=available, available_currency=Currency(currency),
        slippage_pct=0.00012 if kind is OrderType.MARKET else 0.0, passed=not refusals, refusals=tuple(refusals),
        sentence=words,
    )  # fmt: skip

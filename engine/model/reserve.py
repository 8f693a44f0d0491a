"""How much an order holds while it works."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.model.decimals import ONE, ZERO
from engine.model.instrument import Instrument, InstrumentKind
from engine.model.margin import initial_margin
from engine.model.order import OrderRequest, OrderSide, OrderType

if TYPE_CHECKING:
    from engine.model.ids import Currency
    from engine.model.risk import Quote

__all__ = ["COLLAR", "expected_price", "reservation"]

COLLAR = Decimal("0.02")
"""Market orders may cost this fraction more than the best price before the venue stops filling them."""


def expected_price(request: OrderRequest, quote: Quote | None) -> Decimal | None:
    """The price at which an order is likely to execute, in quote currency; None when nothing is known."""
    if request.price is not None and request.type in (OrderType.LIMIT, OrderType.STOP_LOSS, OrderType.TAKE_PROFIT):
        return request.price
    if request.stop_price is not None:
        return request.stop_price
    if quote is None:
        return None
    best = quote.ask if request.side is OrderSide.BUY else quote.bid
    return best if best is not None else quote.mark


def reservation(
    request: OrderRequest, instrument: Instrument, quote: Quote | None, leverage: Decimal = ONE
) -> tuple[Currency, Decimal]:
    """Currency and amount held per unit of quantity.

    Spot buys hold the quote currency at the worst price the order can pay, fee included; spot sells hold the base
    currency. Derivatives hold initial margin (the value at that price over the leverage) and the fee in the settle
    currency, unless they only reduce.

    Args:
        request: The order.
        instrument: What it trades.
        quote: The present market, for orders without a price.
        leverage: That of the account in a derivative; it changes nothing for spot.
    """
    worst = expected_price(request, quote) or ZERO
    if request.price is None:
        worst = worst * (ONE + COLLAR)
    rules = instrument.current_rules
    fee = max(rules.maker_fee, rules.taker_fee, ZERO)
    if instrument.kind is InstrumentKind.SPOT:
        if request.side is OrderSide.SELL:
            return instrument.base, ONE
        return instrument.quote, worst * instrument.multiplier * (ONE + fee)
    if request.reduce_only:
        return instrument.settle, ZERO
    value = worst * instrument.multiplier
    return instrument.settle, initial_margin(value, leverage) + value * fee

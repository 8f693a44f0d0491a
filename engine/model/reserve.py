"""How much an order holds while it works, and what it can cost at most."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.model.decimals import ONE, ZERO
from engine.model.instrument import Instrument, InstrumentKind
from engine.model.margin import initial_margin
from engine.model.order import Order, OrderRequest, OrderSide, OrderType

if TYPE_CHECKING:
    from engine.model.ids import Currency
    from engine.model.risk import Quote

__all__ = ["COLLAR", "STOP_COLLAR", "expected_price", "reservation", "worst_unit"]

COLLAR = Decimal("0.02")
"""Market orders may cost this fraction more than the best price before the venue stops filling them."""
STOP_COLLAR = Decimal("0.05")
"""The same of a triggered order beyond its stop price, at the venue that allows most (Coinbase)."""


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
        # A triggered order runs farther before its venue stops it than one that is sent into a known market.
        worst = worst * (ONE + (COLLAR if request.stop_price is None else STOP_COLLAR))
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


def worst_unit(order: Order | OrderRequest, instrument: Instrument, quote: Quote | None = None) -> Decimal:
    """What one unit of an order can come to at most when it fills, in quote currency: worst allowed price and fee.

    Of a limit order that is its price; of a stop without one, `STOP_COLLAR` beyond its stop price; of a market order,
    `COLLAR` beyond the best price it was decided on. A sale is worth most where it fills highest: at its own price or
    at the market, whichever is more, so that the caller still has to compare with the mark.

    Args:
        order: Open, or asked for.
        instrument: What it trades.
        quote: The present market for a request; an order has kept the one of its decision.

    Returns:
        0 where no price is known at all.
    """
    buys = order.side is OrderSide.BUY
    if order.price is not None:
        price = order.price
    elif order.stop_price is not None:
        price = order.stop_price * (ONE + STOP_COLLAR) if buys else order.stop_price
    else:
        known = order.decision if quote is None else None
        bid, ask, mark = (
            (known.best_bid, known.best_ask, known.mark)
            if known is not None
            else (quote.bid, quote.ask, quote.mark) if quote is not None else (None, None, None)
        )  # fmt: skip
        best = ask if buys else bid
        price = best if best is not None else mark if mark is not None else ZERO
        if buys:
            price *= ONE + COLLAR
    rules = instrument.current_rules
    return price * instrument.multiplier * (ONE + max(rules.maker_fee, rules.taker_fee, ZERO))

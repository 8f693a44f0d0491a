"""The exchange's own checks of an order before it is accepted: fields, grid, size, market and money."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import ValidationError
from engine.model.decimals import ZERO
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderType, TimeInForce
from engine.venues.paper.orders import RejectCode

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.instrument import Instrument
    from engine.model.venue import OrderCommand
    from engine.venues.paper.orders import Terms

__all__ = ["Refused", "check_fields", "check_notional", "on_grid", "size_on_grid"]

TRADABLE = frozenset({InstrumentKind.SPOT, InstrumentKind.MARGIN, InstrumentKind.LINEAR_PERPETUAL})


class Refused(Exception):
    """An order, cancel or amendment is refused; nothing was changed."""

    def __init__(self, code: RejectCode, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def check_fields(command: OrderCommand, instrument: Instrument) -> None:
    """Refuse fields that do not fit together.

    Raises:
        Refused: With the first thing that is wrong.
    """
    if instrument.kind not in TRADABLE:
        raise Refused(
            RejectCode.UNSUPPORTED_KIND,
            f"{instrument.id} is {instrument.kind.replace('_', ' ')}; paper trades spot and linear perpetuals.",
        )
    kind = command.type
    bare = command.price is None and command.stop_price is None and not command.post_only
    if kind is OrderType.MARKET and bare and command.quantity > 0:
        return
    waits = kind in (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
    wrong = (
        (command.quantity <= 0, "the quantity must be positive"),
        (kind is OrderType.LIMIT and command.price is None, "a limit order needs a price"),
        (kind is OrderType.MARKET and command.price is not None, "a market order has no price"),
        (waits and command.stop_price is None, f"a {kind} order needs a stop price"),
        (not waits and command.stop_price is not None, f"a {kind} order has no stop price"),
        (command.price is not None and command.price <= 0, "the price must be positive"),
        (command.stop_price is not None and command.stop_price <= 0, "the stop price must be positive"),
        (
            command.post_only and (kind is not OrderType.LIMIT or command.tif is not TimeInForce.GTC),
            "post-only is for limit orders that stay",
        ),
    )
    for bad, text in wrong:
        if bad:
            raise Refused(RejectCode.BAD_ORDER, f"The order's fields do not fit together: {text}.")


def on_grid(instrument: Instrument, terms: Terms, price: Decimal | None) -> int | None:
    """Scale a price that must lie on the tick grid; None stays None.

    Raises:
        Refused: It does not.
    """
    if price is None:
        return None
    try:
        scaled = instrument.price_to_int(price)
    except ValidationError:
        # Finer than the instrument's scale, hence off every grid.
        scaled = 0
    if scaled % terms.tick or scaled <= 0:
        tick = instrument.price_from_int(terms.tick).normalize()
        raise Refused(RejectCode.TICK, f"The price {price} is not a positive multiple of the tick {tick:f}.")
    return scaled


def size_on_grid(instrument: Instrument, terms: Terms, quantity: Decimal) -> int:
    """Scale a quantity that must be whole lots within the limits.

    Raises:
        Refused: It is not.
    """
    try:
        scaled = instrument.quantity_to_int(quantity)
    except ValidationError:
        scaled = 0
    if scaled % terms.lot or scaled <= 0:
        lot = instrument.quantity_from_int(terms.lot).normalize()
        raise Refused(RejectCode.LOT, f"The quantity {quantity} is not a positive multiple of the lot {lot:f}.")
    if scaled < terms.min_quantity:
        least = instrument.quantity_from_int(terms.min_quantity).normalize()
        raise Refused(RejectCode.MIN_QUANTITY, f"The quantity {quantity} is below the minimum {least:f}.")
    if terms.max_quantity and scaled > terms.max_quantity:
        most = instrument.quantity_from_int(terms.max_quantity).normalize()
        raise Refused(RejectCode.MAX_QUANTITY, f"The quantity {quantity} is above the maximum {most:f}.")
    return scaled


def check_notional(instrument: Instrument, terms: Terms, price: int, quantity: int) -> None:
    """Refuse an order worth less than the minimum.

    Args:
        instrument: What is traded.
        terms: Its rules.
        price: Scaled price the order is valued at.
        quantity: Scaled quantity.

    Raises:
        Refused: It is worth less.
    """
    if terms.min_notional <= ZERO:
        return
    value = instrument.notional(instrument.price_from_int(price), instrument.quantity_from_int(quantity))
    if value < terms.min_notional:
        raise Refused(
            RejectCode.MIN_NOTIONAL,
            f"The order is worth {value.normalize():f} {instrument.quote}, less than the minimum of "
            f"{terms.min_notional.normalize():f}.",
        )

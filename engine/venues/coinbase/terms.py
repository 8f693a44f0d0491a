"""Orders in Coinbase's words: our command as an `order_configuration`, and a configuration as what we call it."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import ValidationError
from engine.model.order import OrderSide, OrderType, TimeInForce
from engine.venues.coinbase.table import COLLAR
from engine.venues.coinbase.values import amount, some

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.instrument import Instrument
    from engine.model.venue import OrderCommand
    from engine.venues.coinbase.wire import Product, Terms

__all__ = ["Asked", "asked", "check_open_for", "collared", "configuration", "plain"]

_UP, _DOWN = "STOP_DIRECTION_STOP_UP", "STOP_DIRECTION_STOP_DOWN"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What an order asks for, in our words."""

    type: OrderType
    tif: TimeInForce
    quantity: Decimal | None
    """Base units; None for an order by its value in quote currency."""
    value: Decimal | None = None
    """Quote currency, for such an order."""
    price: Decimal | None = None
    stop_price: Decimal | None = None
    post_only: bool = False


def plain(number: Decimal) -> str:
    """A decimal as Coinbase takes it: no exponent, no trailing zeros."""
    return f"{number.normalize():f}"


def collared(instrument: Instrument, side: OrderSide, stop_price: Decimal) -> Decimal:
    """The limit of a stop or take-profit order without a price: `COLLAR` beyond its trigger, on the tick grid."""
    tick = instrument.current_rules.price_tick
    if side is OrderSide.BUY:
        return (stop_price * (1 + COLLAR) / tick).to_integral_value(ROUND_FLOOR) * tick
    return max(tick, (stop_price * (1 - COLLAR) / tick).to_integral_value(ROUND_CEILING) * tick)


def _up(side: OrderSide, kind: OrderType) -> bool:
    """Whether a trigger lies above the market."""
    return (side is OrderSide.BUY) == (kind is OrderType.STOP_LOSS)


def configuration(command: OrderCommand, instrument: Instrument) -> dict[str, dict[str, Any]]:
    """The `order_configuration` of an order.

    Raises:
        ValidationError: Coinbase has no such order; the message says what it has instead.
    """
    size = plain(command.quantity)
    if command.reduce_only:
        raise ValidationError("Coinbase has no reduce-only orders on spot markets; send the order without it.")
    if command.type is OrderType.MARKET:
        return {"market_market_ioc": {"base_size": size}}
    if command.type is OrderType.LIMIT:
        return _limit(command, size)
    return _stop(command, instrument, size)


def _limit(command: OrderCommand, size: str) -> dict[str, dict[str, Any]]:
    if command.price is None:
        raise ValidationError("A limit order needs a price.")
    terms = {"base_size": size, "limit_price": plain(command.price)}
    if command.post_only and command.tif is not TimeInForce.GTC:
        raise ValidationError(f"An order cannot be both post-only and {command.tif}.")
    if command.tif is TimeInForce.IOC:
        return {"sor_limit_ioc": terms}
    if command.tif is TimeInForce.FOK:
        return {"limit_limit_fok": terms}
    return {"limit_limit_gtc": {**terms, "post_only": command.post_only}}


def _stop(command: OrderCommand, instrument: Instrument, size: str) -> dict[str, dict[str, Any]]:
    if command.stop_price is None:
        raise ValidationError(f"A {command.type} order needs a stop price.")
    if command.tif is not TimeInForce.GTC or command.post_only:
        raise ValidationError(f"Coinbase keeps a {command.type} order until it is cancelled; send it as plain GTC.")
    price = command.price
    if price is None:
        price = collared(instrument, command.side, command.stop_price)
    direction = _UP if _up(command.side, command.type) else _DOWN
    return {
        "stop_limit_stop_limit_gtc": {
            "base_size": size,
            "limit_price": plain(price),
            "stop_price": plain(command.stop_price),
            "stop_direction": direction,
        }
    }


_TIF = {"gtc": TimeInForce.GTC, "gtd": TimeInForce.GTC, "ioc": TimeInForce.IOC, "fok": TimeInForce.FOK}


def asked(side: OrderSide, terms: Mapping[str, Terms], instrument: Instrument | None) -> Asked | None:
    """What a configuration asks for; None for a kind that only its name tells (orders of somebody else).

    Args:
        side: The order's.
        terms: The configuration: one kind and its terms.
        instrument: What is traded, to know a collar by; None when it is not listed any more.
    """
    if len(terms) != 1:
        return None
    ((kind, told),) = terms.items()
    tif = _TIF.get(kind.rpartition("_")[2], TimeInForce.GTC)
    quantity, value, price = some(told.base_size), some(told.quote_size), some(told.limit_price)
    if kind.startswith("market_market"):
        return Asked(type=OrderType.MARKET, tif=tif, quantity=quantity, value=value)
    if kind.startswith("stop_limit"):
        stop = amount(told.stop_price)
        type_ = OrderType.STOP_LOSS if _up(side, OrderType.STOP_LOSS) == (told.stop_direction == _UP) else _TAKE
        if instrument is not None and price == collared(instrument, side, stop):
            price = None
        return Asked(type=type_, tif=tif, quantity=quantity, price=price, stop_price=stop)
    if kind.startswith("trigger_bracket"):
        stop_price = some(told.stop_trigger_price)
        return Asked(type=OrderType.LIMIT, tif=tif, quantity=quantity, price=price, stop_price=stop_price)
    if price is None:
        return None
    post_only = bool(told.post_only)
    return Asked(type=OrderType.LIMIT, tif=tif, quantity=quantity, value=value, price=price, post_only=post_only)


_TAKE = OrderType.TAKE_PROFIT


def check_open_for(product: Product, command: OrderCommand) -> None:
    """Refuse what the product does not take now.

    Raises:
        ValidationError: It takes no orders, or none of this kind.
    """
    name = product.product_id
    if product.trading_disabled or product.is_disabled or product.cancel_only:
        raise ValidationError(f"Coinbase takes no new orders in {name} now; only cancels.", error_code="closed")
    if product.limit_only and command.type is OrderType.MARKET:
        raise ValidationError(f"Coinbase takes only limit orders in {name} now.", error_code="limit_only")
    if product.post_only and not (command.type is OrderType.LIMIT and command.post_only):
        raise ValidationError(f"Coinbase takes only post-only limit orders in {name} now.", error_code="post_only")

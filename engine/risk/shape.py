"""What every order must be like by itself: fields that fit together, whole ticks, whole lots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.model.decimals import ZERO
from engine.model.order import OrderType, TimeInForce
from engine.model.risk import Refusal, RefusalCode
from engine.risk.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from engine.model.instrument import InstrumentRules
    from engine.model.order import OrderRequest

__all__ = ["shape_refusals"]

_TRIGGERED = frozenset({OrderType.STOP_LOSS, OrderType.TAKE_PROFIT})


def shape_refusals(request: OrderRequest, rules: InstrumentRules) -> list[Refusal]:
    """Everything wrong with a request by itself; run it in a context wide enough for remainders.

    Args:
        request: The order as asked for.
        rules: The instrument's rules in force.
    """
    wrong = [Refusal(code=RefusalCode.BAD_ORDER, message=message) for message in _misfits(request)]
    for name, price in (("price", request.price), ("stop price", request.stop_price)):
        if price is not None and _positive(price) and price % rules.price_tick:
            below = price // rules.price_tick * rules.price_tick
            wrong.append(
                Refusal(
                    code=RefusalCode.TICK,
                    message=f"The {name} {plain(price)} is not a multiple of the tick {plain(rules.price_tick)}; "
                    f"the nearest are {plain(below)} and {plain(below + rules.price_tick)}.",
                    limit=str(rules.price_tick),
                    value=str(price),
                )
            )
    quantity = request.quantity
    if _positive(quantity) and quantity % rules.lot:
        below = quantity // rules.lot * rules.lot
        wrong.append(
            Refusal(
                code=RefusalCode.LOT,
                message=f"The quantity {plain(quantity)} is not a multiple of the lot {plain(rules.lot)}; "
                f"the nearest are {plain(below)} and {plain(below + rules.lot)}.",
                limit=str(rules.lot),
                value=str(quantity),
            )
        )
    return wrong


def _positive(value: Decimal) -> bool:
    return value.is_finite() and value > ZERO


def _misfits(request: OrderRequest) -> Iterator[str]:
    if not _positive(request.quantity):
        yield f"The quantity must be above zero, not {request.quantity}."
    for name, price in (("price", request.price), ("stop price", request.stop_price)):
        if price is not None and not _positive(price):
            yield f"The {name} must be above zero, not {price}."
    kind = request.type
    if kind is OrderType.LIMIT and request.price is None:
        yield "A limit order needs a price."
    if kind is OrderType.MARKET and request.price is not None:
        yield "A market order takes no price; use a limit order to name one."
    if kind in _TRIGGERED:
        if request.stop_price is None:
            yield f"A {kind.replace('_', '-')} order needs a stop price."
    elif request.stop_price is not None:
        yield f"A {kind} order takes no stop price."
    if request.post_only and (kind is not OrderType.LIMIT or request.tif is not TimeInForce.GTC):
        yield "Only a limit order that stays (GTC) can be post-only."

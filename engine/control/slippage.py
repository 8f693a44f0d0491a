"""The slippage limit of a single order: refused where it would cost more, and bounded where it is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine.errors import SlippageError
from engine.execution.selection import check_estimate
from engine.model.decimals import ONE
from engine.model.order import OrderRequest, OrderType, TimeInForce

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.engine import Engine

__all__ = ["bounded"]


def bounded(engine: Engine, request: OrderRequest, limit: Decimal) -> OrderRequest:
    """An order that cannot be executed beyond its slippage limit.

    A market order becomes a limit order at the worst price that the limit allows, for now or not at all: what would be
    dearer is not executed. What rests has its own price and stays as it is.

    Args:
        engine: Whose market counts.
        request: The order.
        limit: Largest cost against the middle, as a fraction.

    Raises:
        SlippageError: By estimate the order costs more, or there is no price to hold it against.
    """
    estimate = engine.impact.of_request(request)
    if estimate is not None:
        check_estimate(estimate, limit)
    if request.type is not OrderType.MARKET:
        return request
    market = engine.hub.market(request.instrument)
    quote = market.quote()
    if quote is None or quote.bid is None or quote.ask is None:
        raise SlippageError(
            f"There is no two-sided book of {request.instrument} to hold a slippage limit against; wait for one, or "
            "send a limit order."
        )
    worst = (quote.bid + quote.ask) / 2 * (ONE + request.side.sign * limit)
    return msgspec.structs.replace(
        request,
        type=OrderType.LIMIT,
        price=market.instrument.round_price(worst, up=request.side.sign < 0),
        tif=TimeInForce.IOC,
    )

"""Names for executions that a venue does not name, made of their contents, so that a repeat gets the same name."""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from engine.model.fill import Fill
from engine.model.ids import TradeId, venue_of
from engine.model.order import Liquidity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from engine.model.instrument import Instrument
    from engine.model.order import Order
    from engine.model.venue import VenueOrder

__all__ = ["inferred", "named"]


def _digest(*parts: object) -> str:
    return hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=12).hexdigest()


def named(fills: Iterable[Fill]) -> Iterator[Fill]:
    """Give every execution without a trade id one that is a hash of what it says.

    Two that say exactly the same, down to the nanosecond, are told apart by their number among their likes: a venue
    that names no executions must deliver those of one instant together.
    """
    likes: Counter[tuple[object, ...]] = Counter()
    for fill in fills:
        if fill.trade_id:
            yield fill
            continue
        says = (
            *(fill.venue, fill.account, fill.instrument, fill.venue_order_id, fill.client_id),
            *(fill.side, fill.price.normalize(), fill.quantity.normalize(), fill.fee.normalize(), fill.ts),
        )
        likes[says] += 1
        yield msgspec.structs.replace(fill, trade_id=TradeId(f"h-{_digest(*says, likes[says])}"))


def inferred(
    order: Order, there: VenueOrder, executed: Decimal, missing: Decimal, instrument: Instrument
) -> Fill | None:
    """The execution that must have happened, where the venue no longer keeps it.

    Args:
        order: As it is booked.
        there: As the venue has it.
        executed: What is booked as executed, with what is being booked.
        missing: How much more the venue says.
        instrument: What is traded.

    Returns:
        One execution over all that is missing, at the order's limit, which it cannot have been worse than; None when
        the order has none. The fee is not known and left to the comparison of balances.
    """
    price = order.price
    if price is None:
        return None
    name = _digest(order.account, there.venue_order_id, executed.normalize(), there.filled.normalize())
    return Fill(
        venue=venue_of(order.instrument),
        account=order.account,
        instrument=order.instrument,
        trade_id=TradeId(f"inferred-{name}"),
        venue_order_id=there.venue_order_id,
        client_id=order.client_id,
        side=order.side,
        price=price,
        quantity=missing,
        fee=missing * 0,
        fee_currency=instrument.settle,
        liquidity=Liquidity.MAKER,
        ts=there.updated,
    )

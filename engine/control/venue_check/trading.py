"""Checks that trade, each with the least that the venue takes; and what is done so that nothing of them stays."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.control.live.least import LEAST_HEADROOM, least_quantity
from engine.control.venue_check.looking import demand
from engine.control.venue_check.subject import ENDS, CheckFailedError, CheckSkippedError, Subject
from engine.errors import QuarterdeckError
from engine.events import OrderAmended, OrderCancelRejected, OrderFilled
from engine.model.instrument import CASH_KINDS
from engine.model.margin import UNLEVERED
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import AMEND_UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.model.ids import ClientOrderId
    from engine.model.venue import OrderCommand, VenueOrder

    Check = Callable[[Subject], Awaitable[str]]

__all__ = ["TRADING", "clean_up"]

FAR, FARTHER = Decimal("0.90"), Decimal("0.88")
"""Of the best bid: far enough to rest, near enough for the price bands of exchanges."""
_ENDED = frozenset({OrderStatus.FILLED, OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED})


async def _best(s: Subject) -> tuple[Decimal, Decimal]:
    shown = await s.venue.book(s.wanted, 5)
    demand(shown.bids and shown.asks, "A side of the book is empty.")
    return s.instrument.price_from_int(shown.bids[0][0]), s.instrument.price_from_int(shown.asks[0][0])


async def _size(s: Subject) -> Decimal:
    """The least quantity with room for a price a little lower, and for a fee that is taken from what is bought."""
    bid, _ = await _best(s)
    least = least_quantity(s.instrument, bid, LEAST_HEADROOM)
    return least + s.instrument.current_rules.lot if s.instrument.kind in CASH_KINDS else least


async def _found(s: Subject, command: OrderCommand) -> VenueOrder:
    found = await s.venue.order(s.who, command.client_id)
    demand(found is not None, "The venue does not find its own order by our id.")
    assert found is not None
    return found


async def unknown_order(s: Subject) -> str:
    """An order that never was is not found."""
    never: ClientOrderId = s.fresh_id()
    found = await s.venue.order(s.who, never)
    demand(found is None, "The venue shows an order that was never sent.")
    return "An id that was never used is not found."


async def resting(s: Subject) -> str:
    """An order far from the market rests, is listed, is changed where the venue can, and is cancelled."""
    bid, _ = await _best(s)
    post_only = s.venue.capabilities.post_only
    begun = s.clock.monotonic()
    command = await s.order(
        OrderSide.BUY,
        OrderType.LIMIT,
        quantity=await _size(s),
        price=s.instrument.round_price(bid * FAR, up=False),
        post_only=post_only,
    )
    took = (s.clock.monotonic() - begun) / 1e6
    found = await _found(s, command)
    demand(
        (found.status, found.price, found.quantity) == (OrderStatus.ACCEPTED, command.price, command.quantity),
        f"The venue shows the order as {found.status}, {found.quantity:f} at {found.price}; it is not what was sent.",
    )
    listed = [order.client_id for order in await s.venue.open_orders(s.who)]
    demand(command.client_id in listed, "The order rests and is not among the open orders.")
    kind = "A post-only order" if post_only else "An order"
    return f"{kind} for {command.quantity:f} rests at {command.price}, is found and listed; reported in {took:.0f} ms."


def _rests(s: Subject) -> OrderCommand:
    for command in reversed(s.placed.values()):
        heard = s.heard(command.client_id)
        if command.type is OrderType.LIMIT and heard and not any(isinstance(event, ENDS) for event in heard):
            return command
    raise CheckSkippedError("No order rests.")


async def amend(s: Subject) -> str:
    """A resting order is changed in place."""
    if not s.venue.capabilities.amend:
        raise CheckSkippedError("The venue changes no order in place.")
    command = _rests(s)
    bid, _ = await _best(s)
    price = s.instrument.round_price(bid * FARTHER, up=False)
    try:
        await s.venue.amend(s.who, command.client_id, price=price)
    except QuarterdeckError as error:
        if error.error_code == AMEND_UNSUPPORTED:
            raise CheckSkippedError("The venue does not change this kind of order in place.") from None
        raise

    def answered() -> bool:
        return any(isinstance(event, OrderAmended | OrderCancelRejected) for event in s.heard(command.client_id))

    await s.until(answered, "The change was not reported")
    if refused := [e for e in s.heard(command.client_id) if isinstance(e, OrderCancelRejected)]:
        if refused[-1].code == AMEND_UNSUPPORTED:
            raise CheckSkippedError("The venue does not change the price of this kind of order in place.")
        raise CheckFailedError(f"The change was refused: {refused[-1].reason}")
    found = await _found(s, command)
    demand(found.price == price, f"The order is at {found.price} and was to be at {price}.")
    return f"The order was moved to {price} in place."


async def cancel(s: Subject) -> str:
    """A resting order is cancelled, and the venue says so twice: by itself and when asked."""
    command = _rests(s)
    await s.end(command)
    found = await _found(s, command)
    demand(found.status is OrderStatus.CANCELED, f"The order was cancelled and is shown as {found.status}.")
    demand(found.filled == 0, "An order far from the market was executed.")
    return "It was cancelled, and is shown as cancelled."


async def footing(s: Subject) -> str:
    """What a perpetual would be held at is told, and what is bought next names it."""
    if s.instrument.kind in CASH_KINDS:
        raise CheckSkippedError(f"{s.wanted} is no derivative; it has no leverage.")
    found = await s.venue.margin(s.who, s.wanted, UNLEVERED.mode)
    demand(found.leverage >= 1, f"The leverage is told as {found.leverage:f}.")
    s.margin_mode = found.mode
    return f"Contracts are held at leverage {found.leverage:f}, {found.mode} margin; that is left as it is."


async def buy(s: Subject) -> str:
    """The least market buy is executed, and every execution is told with its fee."""
    command = await s.order(OrderSide.BUY, quantity=await _size(s))
    s.bought = command
    await _filled(s, command)
    fills = s.fills(command.client_id)
    demand(len({fill.key for fill in fills}) == len(fills), "An execution was reported twice.")
    demand(all(fill.fee_currency for fill in fills), "An execution names no currency of its fee.")
    found = await _found(s, command)
    demand(found.status is OrderStatus.FILLED, f"The order is filled and is shown as {found.status}.")
    fees = {fill.fee_currency for fill in fills}
    return f"{command.quantity:f} bought in {len(fills)} executions; the fee is taken in {', '.join(sorted(fees))}."


async def _filled(s: Subject, command: OrderCommand) -> None:
    def done() -> bool:
        return sum(fill.quantity for fill in s.fills(command.client_id)) >= command.quantity

    await s.until(done, "A market order was not reported as filled whole")


def _held(s: Subject) -> Decimal:
    """What is left of what was bought, in whole lots."""
    if s.bought is None:
        raise CheckSkippedError("Nothing was bought.")
    base = s.instrument.base
    total = Decimal(0)
    for command in s.placed.values():
        sign = 1 if command.side is OrderSide.BUY else -1
        for fill in s.fills(command.client_id):
            total += sign * fill.quantity
            if s.instrument.kind in CASH_KINDS and fill.fee_currency == base:
                total -= fill.fee
    return max(s.instrument.floor_quantity(total), Decimal(0))


async def position(s: Subject) -> str:
    """What was bought of a perpetual is a position."""
    if s.instrument.kind in CASH_KINDS:
        raise CheckSkippedError(f"{s.wanted} is no derivative; what was bought is a balance.")
    held = _held(s)
    shown = [found for found in await s.venue.positions(s.who) if found.instrument == s.wanted and found.quantity]
    demand(shown, "Contracts were bought and no position is shown.")
    return f"{held:f} contracts are shown as a position, {shown[0].margin_mode} margin, leverage {shown[0].leverage:f}."


async def stop(s: Subject) -> str:
    """A stop rests at the venue below what was bought, and is cancelled."""
    held = _held(s)
    if OrderType.STOP_LOSS not in s.venue.capabilities.order_types:
        raise CheckSkippedError("No stop rests at this venue; the engine holds stops itself, while it lives.")
    bid, _ = await _best(s)
    level = s.instrument.round_price(bid * FAR, up=False)
    derivative = s.instrument.kind not in CASH_KINDS and s.venue.capabilities.reduce_only
    command = await s.order(
        OrderSide.SELL, OrderType.STOP_LOSS, quantity=held, stop_price=level, reduce_only=derivative
    )
    found = await _found(s, command)
    demand(found.stop_price == level, f"The stop is at {found.stop_price} and was to be at {level}.")
    listed = [order.client_id for order in await s.venue.open_orders(s.who)]
    demand(command.client_id in listed, "The stop rests and is not among the open orders.")
    await s.end(command)
    return f"A stop for {held:f} rested at {level} and was cancelled."


async def give_back(s: Subject) -> str:
    """What was bought is sold again; on perpetuals by an order that can only reduce."""
    held = _held(s)
    demand(held, "Of what was bought not one lot is left after fees; nothing can be sold back.")
    reduce_only = s.instrument.kind not in CASH_KINDS and s.venue.capabilities.reduce_only
    command = await s.order(OrderSide.SELL, quantity=held, reduce_only=reduce_only)
    await _filled(s, command)
    s.bought = None
    return f"{held:f} sold{' by an order that only reduces' if reduce_only else ''}."


async def new_fills(s: Subject) -> str:
    """Executions read from a cursor are those that were reported, once each."""
    mine = {fill.key for client_id in s.placed for fill in s.fills(client_id)}
    if not mine:
        raise CheckSkippedError("Nothing was executed.")
    shown, cursor = await s.venue.fills_since(s.who, s.cursor)
    read = [fill.key for fill in shown if fill.client_id in s.placed]
    demand(len(set(read)) == len(read), "An execution is told twice.")
    demand(set(read) == mine, f"{len(mine)} executions were reported and {len(read)} can be read afterwards.")
    again, _ = await s.venue.fills_since(s.who, cursor)
    demand(not {fill.key for fill in again} & mine, "Executions before the cursor are told again.")
    return f"The {len(mine)} executions that were reported can be read, once each."


TRADING: tuple[tuple[str, str, Check], ...] = (
    ("unknown_order", "An order that never was", unknown_order),
    ("resting", "An order that rests", resting),
    ("amend", "A change in place", amend),
    ("cancel", "A cancel", cancel),
    ("footing", "Leverage and margin mode", footing),
    ("buy", "The least market buy", buy),
    ("position", "A position", position),
    ("stop", "A stop at the venue", stop),
    ("give_back", "Selling it back", give_back),
    ("new_fills", "Executions after a cursor", new_fills),
)
"""Name, subject and function of every check that trades; they build upon each other."""


# --- leaving nothing behind ------------------------------------------------------------------------------------------


async def clean_up(s: Subject) -> list[str]:
    """Cancel every order of the check that may work, sell what is left; never raises.

    Returns:
        What could not be cleaned up, one sentence each.
    """
    left = [words for command in s.placed.values() if (words := await _ended(s, command))]
    if s.bought is not None and (words := await _sold(s)):
        left.append(words)
    return left


async def _ended(s: Subject, command: OrderCommand) -> str:
    """Make sure that an order is over; a sentence when it is not certain."""
    heard = s.heard(command.client_id)
    filled = sum(event.fill.quantity for event in heard if isinstance(event, OrderFilled))
    if any(isinstance(event, ENDS) for event in heard) or filled >= command.quantity:
        return ""
    try:
        found = await s.venue.order(s.who, command.client_id)
        if found is None and not heard:
            # Never reported and not found: it did not arrive, or is not visible yet.
            await s.clock.sleep(min(s.venue.capabilities.visibility_delay_s, s.patience_s))
            found = await s.venue.order(s.who, command.client_id)
        if found is None or found.status in _ENDED:
            return ""
        await s.end(command)
    except (QuarterdeckError, CheckFailedError) as error:
        return f"Order {command.client_id} may still work: cancel it at the venue ({error})."
    return ""


async def _sold(s: Subject) -> str:
    try:
        held = _held(s)
        if held:
            derivative = s.instrument.kind not in CASH_KINDS and s.venue.capabilities.reduce_only
            command = await s.order(OrderSide.SELL, quantity=held, reduce_only=derivative)
            await _filled(s, command)
    except (QuarterdeckError, CheckFailedError) as error:
        return f"What the check bought of {s.wanted} may still be held: sell it at the venue ({error})."
    return ""

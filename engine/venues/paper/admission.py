"""Whether the exchange takes an order or an amendment: its checks in their order, and what acceptance does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.events import OrderRejected
from engine.model.decimals import ZERO, exact
from engine.model.ids import VenueOrderId
from engine.model.instrument import CASH_KINDS
from engine.model.order import OrderSide, OrderStatus
from engine.venues.paper.checks import Refused, check_fields, check_notional, on_grid, size_on_grid
from engine.venues.paper.orders import PaperOrder, RejectCode

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.venue import OrderCommand
    from engine.venues.paper.accounts import PaperAccount
    from engine.venues.paper.core import Core
    from engine.venues.paper.listing import Listing

__all__ = ["accept", "change", "reject"]


def accept(core: Core, command: OrderCommand, now: int) -> tuple[PaperOrder, Listing]:
    """Check an order, hold its funds and keep it as working; the fill model does not know it yet.

    Raises:
        Refused: With the first thing that is wrong; nothing was changed.
    """
    account = core.accounts.get(command.account)
    if account is None:
        raise Refused(RejectCode.UNKNOWN_ACCOUNT, f"There is no account {command.account} at {core.venue}.")
    listing = core.listings.get(command.instrument)
    if listing is None:
        raise Refused(RejectCode.UNKNOWN_INSTRUMENT, f"{core.venue} does not trade {command.instrument}.")
    instrument, terms = listing.instrument, listing.terms(now)
    check_fields(command, instrument)
    order = PaperOrder(
        seq=core.counters.order + 1,
        command=command,
        venue_order_id=VenueOrderId(f"P{core.run}{core.counters.order + 1}"),
        buy=command.side is OrderSide.BUY,
        quantity=size_on_grid(instrument, terms, command.quantity),
        price=on_grid(instrument, terms, command.price),
        stop=on_grid(instrument, terms, command.stop_price),
        created=now,
        updated=now,
        group=command.oco_group,
    )
    with exact():
        _check_market(order, listing, now)
        _check_money(order, listing, account)
        core.counters.order += 1
        account.join(order)
        listing.rehold(order)
    core.admit(order)
    return order, listing


def reject(core: Core, command: OrderCommand, refused: Refused, now: int) -> None:
    """Report a refused order and keep it, so that its id is known."""
    if command.account in core.accounts and command.instrument in core.listings:
        core.counters.order += 1
        core.retire(
            PaperOrder(
                seq=core.counters.order,
                command=command,
                venue_order_id=VenueOrderId(f"P{core.run}{core.counters.order}"),
                buy=command.side is OrderSide.BUY,
                quantity=0,
                price=None,
                stop=None,
                created=now,
                updated=now,
                status=OrderStatus.REJECTED,
                reason=refused.reason,
            )
        )
    core.emit(
        command.account, OrderRejected(client_id=command.client_id, code=refused.code, reason=refused.reason, ts=now)
    )


def change(
    order: PaperOrder,
    listing: Listing,
    now: int,
    quantity: Decimal | None,
    price: Decimal | None,
    stop_price: Decimal | None,
) -> None:
    """Apply an amendment to a working order.

    Raises:
        Refused: It cannot be; the order's prices and quantity may be half-changed and are the caller's to restore.
    """
    instrument, terms = listing.instrument, listing.terms(now)
    if price is not None:
        if order.price is None:
            raise Refused(RejectCode.BAD_AMENDMENT, "The order has no limit price to change.")
        order.price = on_grid(instrument, terms, price)
    if stop_price is not None:
        if not order.waits:
            raise Refused(RejectCode.BAD_AMENDMENT, "The order has no trigger, or it was already set off.")
        order.stop = on_grid(instrument, terms, stop_price)
    if quantity is not None:
        _change_quantity(order, listing, size_on_grid(instrument, terms, quantity))
    if price is None and quantity is None:
        if stop_price is None:
            raise Refused(RejectCode.BAD_AMENDMENT, "The amendment changes nothing.")
        spot = listing.instrument.kind in CASH_KINDS
        if order.command.reduce_only or (spot and not order.buy and not listing.core.settings.allow_short):
            # Moving the trigger of a sell moves no money: the way of every trailing stop.
            return
    with exact():
        _check_market(order, listing, now)
        _check_money(order, listing, listing.account_of(order))
        listing.rehold(order)


def _change_quantity(order: PaperOrder, listing: Listing, quantity: int) -> None:
    if quantity <= order.filled:
        raise Refused(RejectCode.BAD_AMENDMENT, "The new quantity is not above what is already filled.")
    if order.command.reduce_only:
        quantity = min(quantity, order.filled + listing.reducible(order))
    order.quantity = quantity


def _check_market(order: PaperOrder, listing: Listing, now: int) -> None:
    command = order.command
    value = order.price or order.stop or listing.model.reference(buy=order.buy)
    if value is None:
        raise Refused(RejectCode.NO_MARKET, f"There is no market for {command.instrument} now; try again later.")
    if not command.reduce_only:
        check_notional(listing.instrument, listing.terms(now), value, order.quantity)
    if command.post_only and order.price is not None and listing.model.crosses(buy=order.buy, price=order.price):
        raise Refused(RejectCode.POST_ONLY, f"A post-only order at {command.price} would execute at once.")


def _check_money(order: PaperOrder, listing: Listing, account: PaperAccount) -> None:
    if order.command.reduce_only:
        if listing.reducible(order) <= 0:
            raise Refused(RejectCode.REDUCE_ONLY, f"There is no position in {order.command.instrument} to reduce.")
        return
    currency, amount = listing.need(order)
    available = account.available(order, currency)
    if amount > available:
        have = max(available, ZERO).normalize()
        raise Refused(
            RejectCode.INSUFFICIENT_BALANCE,
            f"The order needs {amount.normalize():f} {currency}, {have:f} is available.",
        )

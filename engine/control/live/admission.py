"""What real money asks of a request: that the console is armed, or that the command names the account itself."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from engine.control.live.arming import NOT_ARMED
from engine.control.live.consent import words_for
from engine.control.live.least import LEAST_HEADROOM, least_quantity
from engine.control.live.stages import UNCHECKED, Stage, need_stage
from engine.errors import AuthorizationError
from engine.execution.algos.plans import whole_request
from engine.model.account import TradingMode
from engine.model.ids import venue_of
from engine.model.order import OrderRequest, OrderSide, OrderType
from engine.model.reserve import expected_price
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterator
    from decimal import Decimal

    from engine.control.context import Context
    from engine.control.requests import ReplaceOrder
    from engine.engine import Engine
    from engine.model.algos import Parent
    from engine.model.ids import AccountId, VenueId
    from engine.model.order import Order
    from engine.venue_settings import VenueSettings

__all__ = ["is_live", "live_change", "live_order", "live_parent", "need_deliberate", "require_armed", "value_in_base"]


def is_live(engine: Engine, account: AccountId) -> bool:
    """Whether an account trades real money, or what a testnet calls money."""
    known = engine.state.accounts.get(account)
    return known is not None and known.mode is TradingMode.LIVE


def value_in_base(engine: Engine, request: OrderRequest) -> Decimal | None:
    """What an order is worth in its account's base currency; None when price or rate are not known."""
    instrument = engine.state.instruments.get(request.instrument)
    account = engine.state.accounts.get(request.account)
    if instrument is None or account is None:
        return None
    price = expected_price(request, engine.hub.quote(request.instrument))
    rate = engine.rates.rate(instrument.quote, account.base_currency, instrument.venue)
    if price is None or rate is None:
        return None
    return VIEW.multiply(VIEW.multiply(price * request.quantity, instrument.multiplier), rate)


@contextmanager
def live_order(
    context: Context, request: OrderRequest, typed: str = "", *, enters: bool = False
) -> Iterator[OrderRequest]:
    """Around the submission of an order by a person; on paper, and for what only reduces, it asks nothing.

    It gives the order as it may be sent: one that passes unasked is bound to reduce only, because what it reduces may
    be gone when it, or a part of it, is executed. Selling deposited coins closes nothing, and is asked about.

    Args:
        context: Whose call it is.
        request: The order.
        typed: `VENUE/account`, typed for this one order where no console is armed.
        enters: Whether something is entered by it in any case, as by a bracket.

    Raises:
        AuthorizationError: It may not be sent; `error_code` is `not_armed`, or `unchecked` where the venue is not open
            for it yet.
    """
    engine = context.need_engine()
    if not is_live(engine, request.account):
        yield request
        return
    bound = msgspec.structs.replace(request, reduce_only=True)
    if not enters and engine.desk.judge(bound).reduces:
        yield bound
        return
    with _deliberate(context, request, typed):
        yield request


def live_parent(context: Context, parent: Parent, typed: str = "") -> None:
    """Before a parent order goes on or goes faster; on paper, and for one that only reduces, it asks nothing.

    Args:
        context: Whose call it is.
        parent: The parent order.
        typed: `VENUE/account`, typed for this one request where no console is armed.

    Raises:
        AuthorizationError: As `live_order`; what it is worth was held against the arming when it was opened.
    """
    if parent.reduce_only or not is_live(context.need_engine(), parent.account):
        return
    whole = OrderRequest(
        account=parent.account,
        instrument=parent.instrument,
        owner=parent.owner,
        side=parent.side,
        type=OrderType.MARKET,
        quantity=parent.remaining,
        decision=parent.decision,
    )
    _hold_to_stage(context, whole_request(whole, parent.plan))
    if typed:
        _check_words(typed, venue_of(parent.instrument), parent.account)
    else:
        context.arming.require(context.connection, parent.account)


@contextmanager
def _deliberate(context: Context, request: OrderRequest, typed: str) -> Iterator[None]:
    _hold_to_stage(context, request)
    value = value_in_base(context.need_engine(), request)
    if typed:
        _check_typed(context, request, typed, value)
        yield
        return
    with context.arming.spending(context.connection, request.account, value):
        yield


@contextmanager
def live_change(context: Context, order: Order, change: ReplaceOrder) -> Iterator[None]:
    """Around the change of a working order: only one that makes it smaller, or that reduces, asks nothing."""
    engine = context.need_engine()
    if not is_live(engine, order.account):
        yield
        return
    before = _request_of(order)
    after = msgspec.structs.replace(
        before,
        quantity=change.quantity or order.quantity,
        price=change.price or order.price,
        stop_price=change.stop_price or order.stop_price,
    )
    same_price = (after.price, after.stop_price) == (before.price, before.stop_price)
    bound = msgspec.structs.replace(after, reduce_only=True)
    if (same_price and after.quantity <= before.quantity) or engine.desk.judge(bound, order.client_id).reduces:
        yield
        return
    # Another price may bring an order to the market that was far from it: all of it counts.
    with _deliberate(context, after, change.live):
        yield


def _request_of(order: Order) -> OrderRequest:
    return OrderRequest(
        account=order.account,
        instrument=order.instrument,
        owner=order.owner,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        price=order.price,
        stop_price=order.stop_price,
        decision=order.decision,
    )


def require_armed(context: Context, account: AccountId, typed: str = "") -> None:
    """For what lets a bot trade real money, or all of an account's orders cost more of it.

    Args:
        context: Whose call it is.
        account: Whose money it is.
        typed: `VENUE/account`, typed for this one request where no console is armed.

    Raises:
        AuthorizationError: The console is not armed (`error_code` is `not_armed`), or the venue is open for orders of
            the least size only (`unchecked`).
    """
    engine = context.need_engine()
    if not is_live(engine, account):
        return
    at = engine.state.accounts[account].venue
    if (venue := _settings_of(context, at)) is not None:
        need_stage(context.home, venue, Stage.OPEN)
    if typed:
        _check_words(typed, at, account)
    else:
        context.arming.require(context.connection, account)


def need_deliberate(context: Context, typed: str = "") -> None:
    """For what loosens risk: halting, tightening, closing and cancelling never come here.

    Args:
        context: Whose call it is.
        typed: `VENUE/account` of one of the live accounts, typed where no console is armed.

    Raises:
        AuthorizationError: Real money is traded and the console is armed for none of it; `error_code` is `not_armed`.
    """
    engine = context.need_engine()
    live = {
        account: words_for(unit.id, account) for account, unit in engine.accounts.items() if is_live(engine, account)
    }
    if not live or typed.strip() in live.values():
        return
    if not typed and any(armed.account in live for armed in context.arming.standing(context.connection)):
        return
    named = " or ".join(live.values())
    raise AuthorizationError(
        f"This loosens risk where real money is traded, and this console is not armed. Arm it first, or type {named}; "
        "halting, tighter limits, closing, cancelling and the emergency stop need no arming.",
        error_code=NOT_ARMED,
    )


def _settings_of(context: Context, venue: VenueId) -> VenueSettings | None:
    return next((found for found in context.settings.venues.values() if found.id == venue), None)


def _hold_to_stage(context: Context, request: OrderRequest) -> None:
    """Let orders of the least size alone pass where a venue is open for no more.

    Raises:
        AuthorizationError: It is larger, or the venue is open to look at only; `error_code` is `unchecked`.
    """
    engine = context.need_engine()
    venue = _settings_of(context, venue_of(request.instrument))
    if venue is None or need_stage(context.home, venue, Stage.LEAST) is Stage.OPEN:
        return
    instrument, quote = engine.state.instruments.get(request.instrument), engine.hub.quote(request.instrument)
    price = expected_price(request, quote)
    bid = None if quote is None else quote.bid
    if instrument is None or not price or bid is None:
        raise AuthorizationError(
            f"{venue.id} takes orders of the least size only, and what that is at present is not known.",
            error_code=UNCHECKED,
        )
    # A sell is executed at the market however low its limit, so that is what it is worth.
    worth_at = max(price, bid) if request.side is OrderSide.SELL else price
    most = least_quantity(instrument, worth_at, LEAST_HEADROOM)
    if request.quantity > most:
        raise AuthorizationError(
            f"{venue.id} has no network for trying things out: until `quarterdeck venue check {venue.name} --trade` "
            f"has passed, one order may be of {most:f} {instrument.base} at most, the least that the venue takes.",
            error_code=UNCHECKED,
        )


def _check_words(typed: str, venue: VenueId, account: AccountId) -> None:
    expected = words_for(venue, account)
    if typed.strip() != expected:
        raise AuthorizationError(f"Type {expected} to do this with real money.", error_code=NOT_ARMED)


def _check_typed(context: Context, request: OrderRequest, typed: str, value: Decimal | None) -> None:
    _check_words(typed, venue_of(request.instrument), request.account)
    most = context.settings.live.max_order
    if value is None or value > most:
        worth = "of a value that is not known" if value is None else f"worth {value:,.2f}"
        raise AuthorizationError(
            f"The order is {worth}; one that is confirmed by name alone may be worth {most:,.2f} (live.max_order).",
            error_code=NOT_ARMED,
        )

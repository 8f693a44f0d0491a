"""The stop of a person's group: it stands for as long as a part of what the group protects is held.

Whatever of a group's quantity nothing has executed yet has one protective stop: at the venue where that takes stops
and the funds are free, else held here. A target that is reached takes the funds of its group, so the stop at the venue
ends first; before that a stop is held beside it. What the target leaves has its stop moved to the venue again. A stop
that fails, or that somebody ends at the venue's own page, is placed anew. The group is over once all is executed, or
when somebody here wanted the end of one of its orders.

All of it is read from the state, so that it holds after a restart too. Bots see to their positions themselves.
"""

from __future__ import annotations

import decimal
from typing import TYPE_CHECKING, Protocol

from engine import events as ev
from engine.errors import ConflictError, JournalError, QuarterdeckError
from engine.execution.emulation.held import is_held
from engine.logs import get_logger
from engine.model.decimals import ZERO
from engine.model.faults import Severity
from engine.model.ids import MANUAL
from engine.model.instrument import CASH_KINDS
from engine.model.order import Decision, OrderRequest, OrderSide, OrderStatus, OrderType
from engine.model.valuation import VIEW
from engine.model.venue import AMEND_UNSUPPORTED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from decimal import Decimal

    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.ids import ClientOrderId
    from engine.model.order import Order
    from engine.model.venue import Venue
    from engine.resilience.handler import ErrorHandler

__all__ = ["Keeper", "Rest"]

log = get_logger(__name__)

STANDS_FOR = "stop for what is left of "
"""Begins the reason of every stop that is placed here; the name of the group follows."""
MOVED = "a stop at the venue stands in its place"
AGAIN_S = (1.0, 2.0, 5.0)
"""Pauses between attempts to place a stop that cannot stand; the last one repeats."""
_STOP = OrderType.STOP_LOSS


class Keeper(Protocol):
    """The part of the emulation that holds orders."""

    @property
    def inner(self) -> Venue:
        """The venue itself."""

    def hold(self, order: Order) -> None:
        """Hold an order that is booked and has not left yet."""

    def let_go(self, client_id: ClientOrderId, reason: str) -> None:
        """End an order that is held and was not reached."""

    def later(self, what: Callable[[], None], pause_s: float) -> None:
        """Do something after so many seconds, once anything may be booked."""


class Rest:
    """Plain and synchronous.

    Args:
        desk: Takes the stops.
        ledger: Its state knows the groups, ended members too as long as they are remembered.
        keeper: Holds those that cannot rest at the venue.
        errors: Is told when a stop fails or cannot stand.
        allowed: Whether anything may be booked and sent now.
        closing: Whether an emergency stop has taken over what an order belongs to.
    """

    def __init__(
        self,
        desk: Desk,
        ledger: Ledger,
        keeper: Keeper,
        errors: ErrorHandler,
        *,
        allowed: Callable[[], bool],
        closing: Callable[[Order], bool],
    ) -> None:
        self._desk = desk
        self._state = ledger.state
        self._keeper = keeper
        self._errors = errors
        self._allowed = allowed
        self._closing = closing
        self._failures: dict[str, int] = {}
        """How often in a row the stop of a group has failed."""
        self._waiting: set[str] = set()
        """Groups that are looked at again later."""
        self._here: set[str] = set()
        """Groups whose stop the venue has refused: it is held here."""
        self._told: set[str] = set()
        """Groups of which somebody was told that they have no stop."""

    # --- what is asked -----------------------------------------------------------------------------------------------

    def left(self, order: Order) -> Decimal | None:
        """What nothing has executed yet of what an order's group protects; None for a group that is not looked after.

        It is counted in whole lots, and nothing is left of what is too small for any order.
        """
        members = self._members(order)
        return self._left(members) if self._is_looked_after(members) else None

    def stays(self, reached: Order, other: Order) -> bool:
        """Whether a stop of its group stays where it is when a target is reached: it wants no funds of the target's."""
        if reached.type is _STOP or other.type is not _STOP:
            return False
        if reached.owner != MANUAL or not self._is_looked_after(self._members(reached)):
            return False
        # One that was reached too ends the target itself.
        return is_held(other) or not self._is_cash(reached)

    # --- what happens ------------------------------------------------------------------------------------------------

    def hear(self, order: Order, event: ev.Event) -> None:
        """A member of a group was executed, accepted, changed or ended."""
        if order.oco_group is None or order.owner != MANUAL or not self._is_looked_after(self._members(order)):
            if not order.is_open:
                self._ended_of_others(order)
            return
        if not order.is_open:
            self._ended(order, event)
        elif not isinstance(event, ev.OrderCancelRejected):
            self.settle(order)
        elif order.type is _STOP and event.code == AMEND_UNSUPPORTED:
            self._swap(order)
        else:
            # Asked again at once it would get the same answer.
            self._again(order, 1)

    def _ended_of_others(self, order: Order) -> None:
        """The end of an order of a bot, or of one that protects nothing."""
        failed = not order.cancel_requested and order.status is not OrderStatus.FILLED
        for other in self._state.siblings(order):
            # A held stop of a bot whose target has failed gives way: the bot places one that may rest at the venue.
            moves = order.owner != MANUAL and other.type is _STOP and is_held(other) and self._takes_stops()
            if not failed or moves:
                self._withdraw(other, order)

    def _ended(self, order: Order, event: ev.Event) -> None:
        members = self._members(order)
        if not self._left(members) or _is_wanted_end(members):
            for other in self._state.siblings(order):
                self._withdraw(other, order)
        elif order.type is _STOP and not isinstance(event, ev.OrderFilled) and _has_failed(order):
            self._failed(order, event)
        self.settle(order)

    def _failed(self, stop: Order, event: ev.Event) -> None:
        """A stop has ended without being executed or wanted."""
        group = stop.oco_group or ""
        self._failures[group] = self._failures.get(group, 0) + 1
        if isinstance(event, ev.OrderRejected) and event.code != "not_found":
            self._here.add(group)
        here = " It is held here from now on, and works only while the engine lives." if group in self._here else ""
        self._errors.alert(
            Severity.HIGH,
            "protection",
            f"The stop {stop.client_id} of {stop.instrument} in {stop.account} has ended without being executed "
            f"({stop.reason or stop.status}); another one takes its place.{here} To be without it, cancel the target "
            "or that stop here.",
        )

    def _withdraw(self, other: Order, ended: Order) -> None:
        # One that was reached has begun to end the others itself.
        if not other.is_open or other.cancel_requested or (is_held(other) and other.triggered):
            return
        try:
            self._desk.cancel(other.client_id, f"the other order of its group has ended ({ended.status})")
        except (ConflictError, JournalError) as error:
            log.info("a member of a group is not cancelled", client_id=other.client_id, problem=error.message)

    def stand_beside(self, target: Order) -> None:
        """Hold a stop beside a target that was reached, before the one at the venue gives way to it."""
        members = self._members(target)
        left = min(self._left(members), self._most(target)) if self._is_looked_after(members) else ZERO
        if not left or not self._is_cash(target) or self._closing(target):
            return
        if target.type is not _STOP and not any(self.stays(target, other) and other.is_open for other in members):
            self._place(target, members, left, here=True)

    def resume(self) -> None:
        """See to all groups anew after a start; of those without an open order, where a position is bare still."""
        seen: set[str] = set()
        for order in (*self._state.orders.values(), *self._state.recent.values()):
            if order.owner != MANUAL or order.oco_group is None or order.oco_group in seen:
                continue
            position = self._state.owned.get((order.owner, order.account, order.instrument))
            bare = -position.quantity * order.side.sign - self._others(order) if position is not None else ZERO
            if order.is_open or bare > ZERO:
                seen.add(order.oco_group)
                self.settle(order)

    # --- one stop for what is left -----------------------------------------------------------------------------------

    def settle(self, of: Order, *, due: bool = False) -> None:
        """Bring the stops of an order's group in line with what is left; changes nothing that is right already.

        Args:
            of: Any order of the group.
            due: Whether the pause after a stop that failed is over.
        """
        members, group = self._members(of), of.oco_group or ""
        if not self._is_looked_after(members):
            return
        left = min(self._left(members), self._most(of))
        if not left or _is_wanted_end(members) or self._closing(of):
            # What an emergency stop closes must not be protected beside it.
            self._failures.pop(group, None)
            self._told.discard(group)
            return
        stands = [o for o in members if o.type is _STOP and o.is_open and not o.cancel_requested]
        if not self._allowed():
            self._again(of, 0)
        elif stands:
            self._told.discard(group)
            self._move(of, members, stands, left)
            self._fit(stands, left)
        elif due or self._failures.get(group, 0) < 2:
            self._place(of, members, left, here=group in self._here or self._have_funds(members))
        else:
            # At once it would fail at once.
            self._say(of, left, f"it has failed {self._failures[group]} times")
            self._again(of, self._failures[group] - 1)

    def _move(self, of: Order, members: Sequence[Order], stands: Sequence[Order], left: Decimal) -> None:
        """Have the stop rest at the venue where it can; the one held here ends only when that one stands."""
        if self._have_funds(members):
            return
        held = [stop for stop in stands if is_held(stop) and not stop.triggered]
        away = [stop for stop in stands if not is_held(stop)]
        if any(stop.status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED) for stop in away):
            for stop in held:
                self._keeper.let_go(stop.client_id, MOVED)
            return
        ending = any(o.is_open and o.type is _STOP and o.cancel_requested for o in members)
        if len(held) == len(stands) and not ending and self._takes_stops() and of.oco_group not in self._here:
            self._place(of, members, left, here=False)

    def _fit(self, stands: Sequence[Order], left: Decimal) -> None:
        """Make stops smaller that are larger than what is left; of a derivative none closes more than there is."""
        for stop in stands if self._is_cash(stands[0]) else ():
            if stop.remaining <= left or not stop.is_open or stop.triggered or stop.pending_amends:
                continue
            if not is_held(stop) and not self._keeper.inner.capabilities.amend:
                self._swap(stop)
                continue
            try:
                self._desk.amend(stop.client_id, quantity=left + stop.executed)
            except QuarterdeckError as error:
                log.error("a stop is larger than what it protects", client_id=stop.client_id, problem=error.message)

    def _swap(self, stop: Order) -> None:
        """Replace a stop that the venue does not change in place: one is held here until it has ended there."""
        members = self._members(stop)
        left = min(self._left(members), self._most(stop))
        if not left or stop.cancel_requested or self._closing(stop):
            return
        if self._place(stop, members, left, here=True):
            try:
                self._desk.cancel(stop.client_id, "it is replaced by one of the size that is left")
            except (ConflictError, JournalError) as error:
                log.info("a stop is not replaced", client_id=stop.client_id, problem=error.message)

    def _place(self, of: Order, members: Sequence[Order], left: Decimal, *, here: bool) -> bool:
        """Place one more stop; False when that was refused: somebody is told, and it is tried again."""
        like = _newest(members)
        request = OrderRequest(
            account=like.account,
            instrument=like.instrument,
            owner=like.owner,
            side=like.side,
            type=like.type,
            quantity=left,
            price=like.price,
            stop_price=like.stop_price,
            reduce_only=like.reduce_only,
            oco_group=of.oco_group,
            decision=Decision(reason=f"{STANDS_FOR}{of.oco_group}"),
        )
        try:
            stop = self._desk.submit(request)
            if here or not self._takes_stops():
                self._keeper.hold(stop)
        except QuarterdeckError as error:
            group = of.oco_group or ""
            self._failures[group] = self._failures.get(group, 0) + 1
            if not any(o.type is _STOP and o.is_open and not o.cancel_requested for o in members):
                self._say(of, left, error.message)
            self._again(of, self._failures[group])
            return False
        return True

    def _say(self, of: Order, left: Decimal, why: str) -> None:
        group = of.oco_group or ""
        log.critical("what is left of a group has no stop", group=group, instrument=of.instrument, problem=why)
        if group in self._told:
            return
        self._told.add(group)
        self._errors.alert(
            Severity.CRITICAL,
            "protection",
            f"{left.normalize():f} of {of.instrument} in {of.account} have no stop: {why.rstrip('.')}. It is tried "
            "again; look at it, and close the position if it should not be held without a stop.",
        )

    def _again(self, of: Order, attempt: int) -> None:
        group = of.oco_group or ""
        if group in self._waiting:
            return
        self._waiting.add(group)
        # The first one only waits until anything may be booked.
        pause_s = AGAIN_S[min(attempt, len(AGAIN_S)) - 1] if attempt else 0.0

        def look() -> None:
            self._waiting.discard(group)
            self.settle(of, due=attempt > 0)

        self._keeper.later(look, pause_s)

    # --- what is read ------------------------------------------------------------------------------------------------

    def _members(self, order: Order) -> list[Order]:
        """All that are remembered of an order's group, itself among them."""
        if order.oco_group is None:
            return [order]
        known = (*self._state.recent.values(), *self._state.orders.values())
        return [one for one in known if one.oco_group == order.oco_group]

    def _is_looked_after(self, members: Sequence[Order]) -> bool:
        """Whether a group is a person's, and has a stop that gets out of something."""
        if not members or members[0].owner != MANUAL:
            return False
        sells = members[0].side is OrderSide.SELL and self._is_cash(members[0])
        return any(o.type is _STOP and o.oco_group is not None and (o.reduce_only or sells) for o in members)

    def _have_funds(self, members: Sequence[Order]) -> bool:
        """Whether a member that is no stop has, or will have, the funds that a stop at the venue would want."""
        if not self._is_cash(members[0]):
            return False
        others = (o for o in members if o.is_open and o.type is not _STOP)
        return any(o.triggered or not is_held(o) for o in others)

    def _left(self, members: Sequence[Order]) -> Decimal:
        like, instrument = _newest(members), self._state.instruments[members[0].instrument]
        left = max(o.quantity for o in members) - sum((o.executed for o in members), ZERO)
        left = instrument.floor_quantity(left) if left > ZERO else ZERO
        rules = instrument.current_rules
        with decimal.localcontext(VIEW):
            small = like.stop_price is not None and instrument.notional(like.stop_price, left) < rules.min_notional
        return ZERO if small or left < max(rules.min_quantity, rules.lot) else left

    def _most(self, order: Order) -> Decimal:
        """The most that there is to protect and no stop of another group stands for, in whole lots."""
        state, instrument = self._state, self._state.instruments[order.instrument]
        if not self._is_cash(order):
            position = state.positions.get((order.account, order.instrument))
            most = -position.quantity * order.side.sign if position is not None else ZERO
        elif order.side is OrderSide.SELL:
            most = state.balance(order.account, instrument.base).total
        else:
            return max(o.quantity for o in self._members(order))
        return instrument.floor_quantity(max(most - self._others(order), ZERO))

    def _others(self, order: Order) -> Decimal:
        """What the other stops of the owner stand for."""
        like = (order.owner, order.account, order.instrument, order.side)
        return sum(
            (
                o.remaining
                for o in self._state.orders.values()
                if (o.owner, o.account, o.instrument, o.side) == like
                and o.type is _STOP
                and o.oco_group != order.oco_group
            ),
            ZERO,
        )

    def _takes_stops(self) -> bool:
        return _STOP in self._keeper.inner.capabilities.order_types

    def _is_cash(self, order: Order) -> bool:
        return self._state.instruments[order.instrument].kind in CASH_KINDS


def _newest(members: Sequence[Order]) -> Order:
    """The stop of a group that was placed last."""
    stops = [order for order in members if order.type is _STOP]
    return max(stops or members, key=lambda order: (order.created, order.client_id))


def _is_placed_here(stop: Order) -> bool:
    return stop.decision.reason.startswith(STANDS_FOR)


def _has_failed(stop: Order) -> bool:
    return not stop.cancel_requested and stop.status is not OrderStatus.FILLED and stop.reason != MOVED


def _is_wanted_end(members: Sequence[Order]) -> bool:
    """Whether somebody wanted the end of an order of the group, and so of the group.

    The emulation itself ends the stop of a target that was reached, and the target of a stop that was.
    """
    stop, targets = _newest(members), [order for order in members if order.type is not _STOP]
    if stop.cancel_requested:
        by_target = any(target.triggered and not target.cancel_requested for target in targets)
        return _is_placed_here(stop) or not by_target
    reached = any(order.triggered for order in members if order.type is _STOP)
    return not reached and any(target.cancel_requested for target in targets)

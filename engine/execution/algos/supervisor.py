"""Runs all parent orders of an engine, or of a backtest: opens, steps and ends them through the order desk.

Plain and synchronous. What it keeps beside the state may be lost at any time: a process that begins anew goes on from
the state alone, and of the volume of a market it counts only what it has heard itself.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple, Protocol

import msgspec

from engine import events as ev
from engine.errors import (
    ConflictError,
    EngineError,
    HandoverError,
    JournalError,
    NotFoundError,
    OrderRejectionError,
    QuarterdeckError,
    SlippageError,
    ValidationError,
)
from engine.execution.algos.contract import Amend, Cancel, End, Place, View, Wait, may_trade, worst_price
from engine.execution.algos.machine import SLIPPED, decide, pause_ns
from engine.execution.algos.plans import fitted_plan, whole_request
from engine.execution.algos.weather import Weather
from engine.logs import get_logger
from engine.model.algos import BracketPlan, ParentStatus, ParticipationPlan, SchedulePlan, TrailingPlan, plan_name
from engine.model.decimals import ZERO
from engine.model.ids import ClientOrderId, ParentId
from engine.model.order import OrderRequest, OrderType
from engine.model.risk import RefusalCode

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.execution.algos.contract import Action
    from engine.execution.algos.offsets import Offsets
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.algos import Parent, Plan
    from engine.model.ids import InstrumentId, Owner
    from engine.model.order import Order, OrderSide
    from engine.model.risk import Quote, Quotes

__all__ = ["Algos", "Standing", "Tape"]

log = get_logger(__name__)

PARTS_ONLY = frozenset({RefusalCode.MAX_QUANTITY})
"""What is asked of one order and not of a parent's whole quantity."""
MOST_PACE = 10_000
"""Largest pace in percent that a parent may be given."""


class Tape(Protocol):
    """What was traded in the markets."""

    def volume(self, instrument: InstrumentId) -> Decimal:
        """Everything that this process has heard to be traded of an instrument, in its own units; never falls."""

    def depth(self, instrument: InstrumentId, side: OrderSide, worst: Decimal | None) -> Decimal | None:
        """Quantity that an order of a side could take at no worse than a price; None where that is not known."""


class Standing(NamedTuple):
    """Whether a parent may act."""

    blocked: str = ""
    """Why nothing may be entered now; empty when it may."""
    over: str = ""
    """Why it must end; empty when it need not."""


class _Refusals(msgspec.Struct):
    """What the risk gate refused in a row."""

    count: int = 0
    not_before: int = 0
    """UTC nanoseconds; nothing is submitted earlier."""


class _Watch(msgspec.Struct):
    """What is kept of one parent beside the state."""

    seen: Decimal
    """The tape's volume when it was looked at last."""
    before: Decimal
    """What was executed of it when this process began to look after it."""
    heard: Decimal = ZERO
    """What was traded since while it might trade as well; volume that passes it by gives no right to catch up."""
    entering: _Refusals = msgspec.field(default_factory=_Refusals)
    """Of orders of its own side."""
    leaving: _Refusals = msgspec.field(default_factory=_Refusals)
    """Of a bracket's exits, which wait for nothing that became of its entries."""
    words: str = ""
    """Why nothing happens at present."""
    withdrawn: bool = False
    """Whether somebody else cancelled the entry of a bracket; a new process leaves such a one paused."""
    weather: Weather = msgspec.field(default_factory=Weather)

    def hear(self, volume: Decimal, *, counts: bool) -> None:
        """Take note of the tape's volume; what was traded since the last time counts or not."""
        if counts:
            self.heard += volume - self.seen
        self.seen = volume


class Algos:
    """See the module.

    Args:
        ledger: Where facts are booked; it is heard.
        desk: Takes orders; every one passes its risk gate.
        quotes: Present markets.
        tape: What is traded in them.
        standing: Whether a parent may act now.
        can_amend: Whether an order is changed in place where it works.
        on_stop: Hears of the error of a parent that stopped itself.
        offsets: How far from the market slices rest; None for at the best price.
    """

    def __init__(
        self,
        ledger: Ledger,
        desk: Desk,
        quotes: Quotes,
        tape: Tape,
        *,
        standing: Callable[[Parent, int], Standing] = lambda parent, now: Standing(),
        can_amend: Callable[[Order], bool] = lambda order: True,
        on_stop: Callable[[Parent, QuarterdeckError], None] = lambda parent, error: None,
        offsets: Offsets | None = None,
    ) -> None:
        self._ledger = ledger
        self._desk = desk
        self._quotes = quotes
        self._tape = tape
        self._standing = standing
        self._can_amend = can_amend
        self._on_stop = on_stop
        self.offsets = offsets
        self._watched: dict[ParentId, _Watch] = {}
        self._asked: set[ClientOrderId] = set()
        """Orders of which this very object is asking for the end."""
        self._faults: dict[ParentId, str] = {}
        """What was told of the faults in the steps of parents."""
        ledger.subscribe(self._hear)

    # --- what a person, a bot or a program asks for ------------------------------------------------------------------

    def open(
        self, request: OrderRequest, plan: Plan, *, max_slippage: Decimal | None = None, correlation: str = ""
    ) -> Parent:
        """Check the whole of a parent order, book it and take its first step.

        Args:
            request: Account, instrument, owner, side, whole quantity and decision; prices are the plan's business.
            plan: How it is traded.
            max_slippage: Fraction by which its price may become worse than at its arrival; None for no limit.
            correlation: Operation or signal that led to it.

        Raises:
            ValidationError: The plan does not fit the instrument, or a trailing stop shall have a slippage limit.
            OrderRejectionError: The risk gate refuses the whole quantity; the refusal is booked.
            ConflictError: The market is not known, or with a slippage limit its price; or its end was asked for in the
                same step.
            JournalError: Nothing can be booked any more.
        """
        ledger = self._ledger
        quote = self._quotes.quote(request.instrument)
        if max_slippage is not None:
            _check_slippage(plan, quote)
        if isinstance(plan, TrailingPlan):
            request = msgspec.structs.replace(request, reduce_only=True)
        self._desk.admit(whole_request(request, plan), PARTS_ONLY, correlation)
        parent_id = ParentId(f"{plan_name(plan).replace('_', '-')}-{ledger.seq + 1}")
        plan = fitted_plan(plan, request, ledger.state.instruments[request.instrument], quote, seed=parent_id)
        decision = request.decision
        if quote is not None:
            at_once = msgspec.structs.replace(request, type=OrderType.MARKET, price=None, stop_price=None)
            decision = msgspec.structs.replace(
                decision,
                best_bid=quote.bid,
                best_ask=quote.ask,
                mark=quote.mark,
                impact=self._desk.estimate(at_once),
            )
        ledger.record(
            ev.ParentOpened(
                parent=parent_id,
                account=request.account,
                instrument=request.instrument,
                owner=request.owner,
                side=request.side,
                quantity=request.quantity,
                plan=plan,
                decision=decision,
                arrival=quote.mark if quote is not None else None,
                max_slippage=max_slippage,
                reduce_only=request.reduce_only,
            ),
            correlation,
        )
        parent = ledger.state.parents[parent_id]
        self._step(parent, ledger.clock.now())
        return parent

    def find(self, parent: str) -> Parent:
        """A parent order that has not ended.

        Raises:
            NotFoundError: There is none of that name.
            ConflictError: It has ended.
        """
        state = self._ledger.state
        found = state.parent(ParentId(parent))
        if found is None:
            known = ", ".join(state.parents) or "none"
            raise NotFoundError(f"There is no parent order {parent!r}; running are: {known}.")
        if not found.is_open:
            raise ConflictError(f"{found.id} is already {found.status} ({found.reason}).")
        return found

    def pause(self, parent: Parent, reason: str) -> None:
        """Withdraw what enters, place nothing more that does, and let its clock stand.

        Raises:
            ConflictError: It is not running.
        """
        if parent.status is not ParentStatus.RUNNING:
            raise ConflictError(f"{parent.id} is {parent.status}; only a running one can be paused.")
        self._ledger.record(ev.ParentPaused(parent=parent.id, reason=reason))
        self._step(parent, self._ledger.clock.now())

    def resume(self, parent: Parent) -> None:
        """Go on after a pause.

        Raises:
            ConflictError: It is not paused.
        """
        if parent.status is not ParentStatus.PAUSED:
            raise ConflictError(f"{parent.id} is {parent.status}; only a paused one can be resumed.")
        self._ledger.record(ev.ParentResumed(parent=parent.id))
        self._watch(parent).withdrawn = False
        self._step(parent, self._ledger.clock.now())

    def accelerate(self, parent: Parent, factor: Decimal) -> None:
        """Let its clock run faster, or slower where the factor is below 1.

        Raises:
            ConflictError: It is ending, or would become faster or slower than is possible.
        """
        if parent.status is ParentStatus.ENDING:
            raise ConflictError(f"{parent.id} is ending.")
        pace = int(parent.pace * factor)
        if not 1 <= pace <= MOST_PACE:
            raise ConflictError(f"{parent.id} would run at {pace}% of its pace; possible are 1% to {MOST_PACE}%.")
        self._ledger.record(ev.ParentAccelerated(parent=parent.id, pace=pace))
        self._step(parent, self._ledger.clock.now())

    def cancel(self, parent: Parent, reason: str) -> None:
        """Ask for its end: nothing more is placed, its orders are cancelled. Repeats are harmless."""
        if parent.status is not ParentStatus.ENDING:
            self._ledger.record(ev.ParentCancelRequested(parent=parent.id, reason=reason))
        self._step(parent, self._ledger.clock.now())

    def cancel_matching(self, wanted: Callable[[Parent], bool], reason: str) -> list[Parent]:
        """Cancel every open parent for which `wanted` is true; returns them."""
        found = [parent for parent in self._ledger.state.parents.values() if wanted(parent)]
        for parent in found:
            self.cancel(parent, reason)
        return found

    def of(self, owner: Owner) -> list[Parent]:
        """The open parents of an owner, oldest first."""
        return [parent for parent in self._ledger.state.parents.values() if parent.owner == owner]

    def words(self, parent: ParentId) -> str:
        """Why a parent does nothing at present; empty when it does."""
        watch = self._watched.get(parent)
        return watch.words if watch is not None else ""

    # --- time --------------------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Let every parent take its step; `now` in UTC nanoseconds. A failure of one is no matter of the others.

        One whose step raises what nobody expects is stopped and reported. The exits of a bracket, and a trailing stop,
        are left as they are instead and tried again at every step; the bracket is paused.

        Raises:
            JournalError: Nothing can be booked any more.
        """
        state = self._ledger.state
        for parent in tuple(state.parents.values()):
            if parent.is_open:
                self._step(parent, now)
        for orphaned in [parent for parent in state.families if parent not in state.parents]:
            for order in state.children(orphaned):
                if not order.cancel_requested:
                    self._cancel(order, "its parent order has ended")

    def _step(self, parent: Parent, now: int) -> None:
        try:
            self._take_step(parent, now)
        except (JournalError, HandoverError):
            raise
        except QuarterdeckError as error:
            log.warning("a step of a parent order was refused", parent=parent.id, problem=error.message)
            self._watch(parent).words = error.message
        except Exception as error:  # a mistake in one algorithm must not cost all others their step
            self._fail(parent, error)

    def _take_step(self, parent: Parent, now: int) -> None:
        standing = self._standing(parent, now)
        if standing.over and parent.status is not ParentStatus.ENDING:
            self._ledger.record(ev.ParentCancelRequested(parent=parent.id, reason=standing.over))
        watch = self._watch(parent)
        watch.words = standing.blocked
        for action in decide(self.view(parent, now, standing.blocked)):
            if not parent.is_open:
                return
            self._act(parent, watch, action, now)

    def _fail(self, parent: Parent, error: Exception) -> None:
        """Stop a parent whose step raised what nobody expects; what protects stays, and is tried again."""
        why = f"a fault of the engine ({type(error).__name__}: {error})"
        told, self._faults[parent.id] = self._faults.get(parent.id), why
        protects = parent.status is not ParentStatus.ENDING and isinstance(parent.plan, BracketPlan | TrailingPlan)
        if told != why:
            log.exception("a step of a parent order failed", parent=parent.id)
            end = "enters nothing more, and its exits stay as they are" if protects else "has stopped"
            self._on_stop(parent, EngineError(_words(parent, why, end)))
        working = self._ledger.state.children(parent.id)
        if protects:
            working = [order for order in working if order.side is parent.side and isinstance(parent.plan, BracketPlan)]
            if parent.status is ParentStatus.RUNNING and isinstance(parent.plan, BracketPlan):
                self._ledger.record(ev.ParentPaused(parent=parent.id, reason=why))
            elif parent.id in self._watched:
                self._watched[parent.id].words = why
        elif parent.status is not ParentStatus.ENDING:
            self._ledger.record(ev.ParentCancelRequested(parent=parent.id, reason=why, stopped=True))
        for order in working:
            if not order.cancel_requested:
                self._cancel(order, why)
        if not protects and not self._ledger.state.children(parent.id):
            status = ParentStatus.STOPPED if parent.stopping else ParentStatus.CANCELLED
            self._end(parent, End(status=status, why=parent.reason))

    def view(self, parent: Parent, now: int, blocked: str = "") -> View:
        """A parent and its market at one moment."""
        watch, state = self._watch(parent), self._ledger.state
        quote = self._quotes.quote(parent.instrument)
        if quote is not None and quote.mark is not None:
            watch.weather.look(now, float(quote.mark))
        visible = None
        if isinstance(parent.plan, SchedulePlan | ParticipationPlan):
            counts = not (blocked or now < watch.entering.not_before) and may_trade(parent, quote)
            watch.hear(self._tape.volume(parent.instrument), counts=counts)
            visible = self._tape.depth(parent.instrument, parent.side, worst_price(parent))
        return View(
            parent=parent,
            children=tuple(state.children(parent.id)),
            now=now,
            instrument=state.instruments[parent.instrument],
            quote=quote,
            heard=watch.heard,
            before=watch.before,
            blocked=blocked,
            refusals=watch.entering.count,
            exit_refusals=watch.leaving.count,
            withdrawn=watch.withdrawn,
            offset=ZERO if self.offsets is None else self.offsets.of(parent.instrument),
            visible=visible,
            sigma=watch.weather.sigma,
        )

    def _watch(self, parent: Parent) -> _Watch:
        watch = self._watched.get(parent.id)
        if watch is None:
            seen = self._tape.volume(parent.instrument)
            watch = self._watched[parent.id] = _Watch(seen=seen, before=parent.executed)
        return watch

    # --- actions -----------------------------------------------------------------------------------------------------

    def _act(self, parent: Parent, watch: _Watch, action: Action, now: int) -> None:
        match action:
            case Place():
                self._place(parent, watch, action, now)
            case Amend():
                self._amend(action)
            case Cancel():
                order = self._ledger.state.orders.get(action.client_id)
                if order is not None:
                    self._cancel(order, action.why)
            case End():
                self._end(parent, action)
            case Wait():
                watch.words = action.why

    def _place(self, parent: Parent, watch: _Watch, place: Place, now: int) -> None:
        state, refused = self._ledger.state, watch.leaving if place.exits else watch.entering
        if now < refused.not_before:
            return
        working = sum((o.working for o in state.children(parent.id) if o.side is parent.side), ZERO)
        if not place.exits and parent.executed + working + place.quantity > parent.quantity:
            raise ConflictError(f"{parent.id} would come to more than its {parent.quantity:f}; nothing is sent.")
        request = OrderRequest(
            account=parent.account,
            instrument=parent.instrument,
            owner=parent.owner,
            side=parent.side.opposite if place.exits else parent.side,
            type=place.type,
            quantity=place.quantity,
            price=place.price,
            stop_price=place.stop_price,
            post_only=place.post_only,
            reduce_only=parent.reduce_only or place.exits,
            oco_group=place.oco_group,
            # Each order has an estimate of its own; that of the whole stays with the parent.
            decision=msgspec.structs.replace(parent.decision, reason=f"{place.why} ({parent.id})", impact=None),
            parent=parent.id,
        )
        try:
            self._desk.submit(request)
        except OrderRejectionError as error:
            refused.count += 1
            refused.not_before = now + pause_ns(refused.count)
            watch.words = error.message
        else:
            refused.count, refused.not_before = 0, 0

    def _amend(self, amend: Amend) -> None:
        order = self._ledger.state.orders.get(amend.client_id)
        if order is None or order.cancel_requested:
            return
        if not self._can_amend(order):
            # Its end lets the next step place another one.
            self._cancel(order, "it is replaced by one with other values")
            return
        self._desk.amend(amend.client_id, quantity=amend.quantity, price=amend.price, stop_price=amend.stop_price)

    def _cancel(self, order: Order, why: str) -> None:
        self._asked.add(order.client_id)
        try:
            self._desk.cancel(order.client_id, why)
        except (ConflictError, NotFoundError):
            # It ended in the same moment.
            self._asked.discard(order.client_id)

    def _end(self, parent: Parent, end: End) -> None:
        stopped = end.status is ParentStatus.STOPPED
        if stopped and parent.status is not ParentStatus.ENDING:
            self._ledger.record(ev.ParentCancelRequested(parent=parent.id, reason=end.why, stopped=True))
            self._on_stop(parent, _error(parent, end.why))
            self._step(parent, self._ledger.clock.now())
            return
        self._ledger.record(ev.ParentEnded(parent=parent.id, status=end.status, reason=end.why))
        self._watched.pop(parent.id, None)
        self._faults.pop(parent.id, None)

    # --- what others do to its orders --------------------------------------------------------------------------------

    def _hear(self, record: ev.Record) -> None:
        event = record.event
        if not isinstance(event, ev.OrderCancelRequested):
            return
        if event.client_id in self._asked:
            self._asked.discard(event.client_id)
            return
        order = self._ledger.state.order(event.client_id)
        # The members of a group end one another, which is no wish of anybody.
        if order is None or order.parent is None or order.oco_group is not None:
            return
        parent = self._ledger.state.parents.get(order.parent)
        if parent is None or parent.status is ParentStatus.ENDING:
            return
        why = f"an order of it was cancelled: {event.reason}" if event.reason else "an order of it was cancelled"
        if not isinstance(parent.plan, BracketPlan):
            self._ledger.record(ev.ParentCancelRequested(parent=parent.id, reason=why))
            return
        # Only entering is over: what is held, or is executed before the cancel arrives, must not lose its exits.
        self._watch(parent).withdrawn = True
        if parent.status is ParentStatus.RUNNING:
            self._ledger.record(ev.ParentPaused(parent=parent.id, reason=why))


def _check_slippage(plan: Plan, quote: Quote | None) -> None:
    if isinstance(plan, TrailingPlan):
        raise ValidationError(
            "A trailing stop sells or buys at the market once it is reached; give it no max_slippage."
        )
    if quote is None or quote.mark is None:
        raise ConflictError("The price of the market is not known, so slippage cannot be limited; wait for the market.")


def _error(parent: Parent, why: str) -> QuarterdeckError:
    text = _words(parent, why)
    if why.startswith(SLIPPED):
        return SlippageError(text)
    return OrderRejectionError(text)


def _words(parent: Parent, why: str, end: str = "has stopped") -> str:
    return f"{parent.id} ({parent.side} {parent.quantity:f} {parent.instrument}) {end}: {why}."

"""Reconciliation as one pure function: what is booked, what the venue says, and what follows from both.

No input or output, no clock, nothing is changed: `reconcile` looks at the books and at one round of answers and returns
what is to be done, in order. Carried out, the same answers lead to nothing more. These are the rules where the two
sides differ:

- *The venue wins* for orders, executions and balances; the newest version wins for settings, the journal over every
  view made of it.
- A position is the sum of its executions. No position is ever made, closed or flattened because something is missing
  from a list: a list may be cut, late or too short, and what is not in it is asked for by its own id.
- "Not found" counts only as the answer to that question, asked after the venue's visibility delay.
- What changed here while a question was under way is not judged by its answer.
- An execution is booked once, under its natural key; one that the venue does not name gets a name made of its contents.
- What was executed before the account was opened here is part of its opening balance, whenever and however often it is
  listed: after a restart, late, or because its market is looked at for the first time.
- An order is never sent again. One of this instance that nobody tracks is adopted, and cancelled if policy says so; one
  of somebody else is shown and never touched.
- What nobody can explain halts trading, with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from engine import events as ev
from engine.execution.executions import inferred, named
from engine.execution.ids import is_of
from engine.model.ids import MANUAL, AccountId, ClientOrderId, InstrumentId
from engine.model.order import Order, OrderRequest, OrderStatus
from engine.model.reserve import reservation

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping

    from engine.model.entries import Opening
    from engine.model.fill import Fill
    from engine.model.instrument import Instrument
    from engine.model.venue import VenueOrder

__all__ = [
    "Answer",
    "Ask",
    "Book",
    "Books",
    "Cancel",
    "Decision",
    "Halt",
    "Keep",
    "Policy",
    "Untracked",
    "reconcile",
    "untracked_fills",
]

Untracked = Literal["adopt", "cancel"]
NOT_KNOWN = "The venue does not know this order."
RESTARTED = "The engine restarted before the answer was booked."
_UNANSWERED = frozenset({OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN})
_WORKING = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What is booked about one account; looked at, never changed."""

    account: AccountId
    instance: str
    """Random id of this journal's instance, which its client order ids carry."""
    orders: Mapping[ClientOrderId, Order]
    """Open orders of the account at the venue."""
    recent: Mapping[ClientOrderId, Order]
    """Ended orders that are still remembered."""
    strangers: Mapping[str, ev.ExternalOrderSeen]
    """Working orders of others that are shown, by `account|venue order id`."""
    foreign_fills: Container[str]
    """Natural keys of executions booked as somebody else's."""
    is_forgotten: Callable[[Fill], bool]
    """Whether an execution was booked for an order that is not remembered any more."""
    instruments: Mapping[InstrumentId, Instrument]
    cursor: str
    """Up to where the venue's executions are booked."""
    opening: Opening | None = None
    """Which executions are part of the opening balance; None where the journal does not say it."""

    def order(self, client_id: ClientOrderId) -> Order | None:
        """An open or remembered order."""
        return self.orders.get(client_id) or self.recent.get(client_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the venue said in one round of questions about one account."""

    asked: int
    """UTC nanoseconds at which the first question left."""
    before: Mapping[ClientOrderId, int] = field(default_factory=dict)
    """The orders that were open then, with their last change."""
    listed: tuple[VenueOrder, ...] | None = None
    """Working orders; None when they were not asked for."""
    whole: bool = True
    """Whether the list is known to be complete; a page that was cut proves nothing by what is missing."""
    found: Mapping[ClientOrderId, VenueOrder | None] = field(default_factory=dict)
    """Authenticated answers about single orders; None says that there is no such order."""
    fills: tuple[Fill, ...] = ()
    """Executions, in any order and with repeats."""
    cursor: str = ""
    """Where the next question for executions begins; empty when they were not asked for."""
    complete: bool = True
    """Whether every execution up to now is booked or among `fills`; no order is ended before."""
    reaches_back: bool = True
    """Whether the venue still had everything since the books' cursor; False when some may be older than it keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How differences are treated."""

    visibility_ns: int
    """How long an accepted order may stay invisible at the venue."""
    untracked: Untracked = "adopt"
    restarted: bool = False
    """Nothing is under way: the engine has just started, and every open order is judged."""
    sent: Mapping[ClientOrderId, int] = field(default_factory=dict)
    """When an order that is asked for left at the latest, where that is not its last change."""
    changed: frozenset[ClientOrderId] = frozenset()
    """Orders with a change of unknown outcome: what the venue has is booked even if it is as before."""


@dataclass(frozen=True, slots=True)
class Book:
    """Book these facts, all of them in one step."""

    events: tuple[ev.Event, ...]
    why: str
    client_id: ClientOrderId | None = None
    seen: int | None = None
    """The order's last change when this was decided: drop the decision if it has changed since. None books always."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the venue for this very order."""

    client_id: ClientOrderId
    since: int
    why: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave this order in flight: nothing that was said proves anything about it."""

    client_id: ClientOrderId
    why: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask for the end of this order, which was adopted before."""

    client_id: ClientOrderId
    reason: str


@dataclass(frozen=True, slots=True)
class Halt:
    """Stop trading until somebody has looked."""

    client_id: ClientOrderId
    reason: str


Decision = Book | Ask | Keep | Cancel | Halt


def reconcile(books: Books, answer: Answer, policy: Policy) -> tuple[Decision, ...]:
    """Decide what follows from one round of answers.

    Args:
        books: What is booked now.
        answer: What the venue said.
        policy: How differences are treated.

    Returns:
        What to do, in order: first what is known of orders, then executions from the oldest on, then ends, questions
        and strangers. Carrying all of it out and reconciling again gives no further `Book`.
    """
    return tuple(_Round(books, answer, policy).decide())


def untracked_fills(books: Books, fills: Iterable[Fill]) -> tuple[Fill, ...]:
    """Executions of orders of this instance that are not tracked.

    Where executions are booked page by page, these go along with the answer that lets their orders be adopted, so that
    it is known how much of an order is still to be booked.
    """
    return tuple(f for f in fills if books.order(f.client_id) is None and is_of(f.client_id, books.instance))


class _Round:
    def __init__(self, books: Books, answer: Answer, policy: Policy) -> None:
        self.books = books
        self.answer = answer
        self.policy = policy
        self.adopted: dict[ClientOrderId, ev.OrderAdopted] = {}
        self.not_ours: set[ClientOrderId] = set()
        """Orders under our ids that are not what was asked for: nothing of them is judged."""
        self.fills = tuple(self._new_fills())
        self.aligned: set[ClientOrderId] = set()
        self.coming: dict[ClientOrderId, Decimal] = {}
        for fill in self.fills:
            self.coming[fill.client_id] = self.coming.get(fill.client_id, Decimal(0)) + fill.quantity
        told = [*(answer.listed or ()), *(order for order in answer.found.values() if order is not None)]
        # A single answer is the later one: it was asked for because the list did not tell.
        self.told: dict[ClientOrderId, VenueOrder] = {order.client_id: order for order in told if order.client_id}

    def decide(self) -> Iterator[Decision]:
        if self.policy.restarted:
            yield from self._restarted()
        for there in self.told.values():
            yield from self._alive(there)
        yield from self._executions()
        if self.answer.complete:
            for there in self.told.values():
                yield from self._over(there)
            yield from self._not_found()
            if self.answer.listed is not None:
                yield from self._missing()
                yield from self._strangers()

    # --- what is known of orders -------------------------------------------------------------------------------------

    def _restarted(self) -> Iterator[Decision]:
        for order in self.books.orders.values():
            if order.status in (OrderStatus.PENDING, OrderStatus.SUBMITTED) and order.client_id not in self.told:
                unknown = ev.OrderOutcomeUnknown(client_id=order.client_id, reason=RESTARTED)
                yield Book((unknown,), "restarted", order.client_id, order.updated)

    def _alive(self, there: VenueOrder) -> Iterator[Decision]:
        """What an answer tells about an order's life, short of its end."""
        client_id = there.client_id
        order, ended = self.books.orders.get(client_id), self.books.recent.get(client_id)
        meant = order or ended
        if meant is not None and _is_another(meant, there):
            self.not_ours.add(client_id)
            yield Halt(client_id, _another(meant, there))
        elif order is not None:
            yield from self._align(order, there)
        elif ended is not None:
            yield from self._take_back(ended, there)
        elif there.status in _WORKING and is_of(client_id, self.books.instance):
            yield from self._adopt(there, None)

    def _align(self, order: Order, there: VenueOrder) -> Iterator[Decision]:
        client_id = order.client_id
        events: list[ev.Event] = []
        if self._is_stale(order):
            return
        another_id = order.venue_order_id != there.venue_order_id
        if there.status is not OrderStatus.REJECTED and (order.status in _UNANSWERED or another_id):
            events.append(ev.OrderAccepted(client_id=client_id, venue_order_id=there.venue_order_id, ts=there.created))
        differs = (order.quantity, order.price, order.stop_price) != (there.quantity, there.price, there.stop_price)
        wanted = client_id in self.policy.changed or (self.policy.restarted and order.pending_amends > 0)
        if there.status is not OrderStatus.REJECTED and (differs or (wanted and there.status in _WORKING)):
            events.append(
                ev.OrderAmended(
                    client_id=client_id,
                    ts=there.updated,
                    quantity=there.quantity,
                    price=there.price,
                    stop_price=there.stop_price,
                )
            )
        if events:
            self.aligned.add(client_id)
            yield Book(tuple(events), f"the venue has it as {there.status}", client_id, order.updated)

    def _take_back(self, ended: Order, there: VenueOrder) -> Iterator[Decision]:
        """An order that is over here and works there."""
        if there.status not in _WORKING:
            return
        if ended.status is OrderStatus.REJECTED:
            accepted = ev.OrderAccepted(
                client_id=there.client_id, venue_order_id=there.venue_order_id, ts=there.created
            )
            yield Book((accepted,), "it was given up too early", there.client_id, ended.updated)
        elif ended.updated + self.policy.visibility_ns < self.answer.asked:
            # A list may be older than the end that was told. Long after it, the order does work.
            yield from self._adopt(there, ended)

    def _adopt(self, there: VenueOrder, ended: Order | None) -> Iterator[Decision]:
        instrument = self.books.instruments.get(there.instrument)
        if instrument is None:
            return
        coming = self.coming.get(there.client_id, Decimal(0))
        own = ended.filled if ended is not None else Decimal(0)
        currency, unit = reservation(_request(there), instrument, None)
        event = ev.OrderAdopted(
            client_id=there.client_id,
            account=there.account,
            instrument=there.instrument,
            owner=ended.owner if ended is not None else MANUAL,
            venue_order_id=there.venue_order_id,
            side=there.side,
            type=there.type,
            quantity=there.quantity,
            reserve_currency=ended.reserve_currency if ended is not None else currency,
            reserve_unit=unit,
            ts=there.created,
            price=there.price,
            stop_price=there.stop_price,
            executed_before=max(there.filled - own - coming, Decimal(0)),
        )
        self.adopted[there.client_id] = event
        yield Book((event,), "it works at the venue under an id of this engine and was not tracked", there.client_id)
        if self.policy.untracked == "cancel":
            yield Cancel(there.client_id, "it was not tracked by the engine")

    # --- executions --------------------------------------------------------------------------------------------------

    def _new_fills(self) -> Iterator[Fill]:
        """Executions that are not booked, each once, oldest first."""
        seen: set[str] = set()
        for fill in sorted(named(self.answer.fills), key=lambda fill: fill.ts):
            order = self.books.order(fill.client_id)
            booked = order is not None and fill.key in order.fill_keys
            if booked or fill.key in seen or fill.key in self.books.foreign_fills:
                continue
            if self.books.is_forgotten(fill):
                continue
            if order is None and self.books.opening is not None and self.books.opening.holds(fill):
                continue
            seen.add(fill.key)
            yield fill

    def _executions(self) -> Iterator[Decision]:
        for fill in self.fills:
            known = fill.client_id in self.adopted or self.books.order(fill.client_id) is not None
            if known and fill.client_id not in self.not_ours:
                yield Book((ev.OrderFilled(fill=fill),), "an execution that was not booked", fill.client_id)
            else:
                yield Book((ev.ExternalFillSeen(fill=fill),), "an execution of somebody else")
        if self.answer.cursor and self.answer.cursor != self.books.cursor:
            caught_up = ev.FillsCaughtUp(account=self.books.account, cursor=self.answer.cursor)
            yield Book((caught_up,), "executions are booked up to here")

    def _executed(self, order: Order) -> Decimal:
        """What will be executed of an order once the decisions so far are carried out."""
        return order.executed + self.coming.get(order.client_id, Decimal(0))

    # --- ends and questions ------------------------------------------------------------------------------------------

    def _over(self, there: VenueOrder) -> Iterator[Decision]:
        order = self.books.orders.get(there.client_id)
        if order is None or there.client_id in self.not_ours:
            return
        missing = there.filled - self._executed(order)
        if missing > 0 and not self.answer.reaches_back:
            yield from self._infer(order, there, missing)
            missing = Decimal(0)
        if there.status in _WORKING:
            if self._is_stale(order) and order.client_id in self.policy.changed:
                yield Ask(
                    order.client_id, self._left(order), "it changed while the question was under way", changed=True
                )
            return
        late = there.updated + self.policy.visibility_ns >= self.answer.asked
        quantity = there.quantity if order.client_id in self.aligned else order.quantity
        if there.status is OrderStatus.FILLED:
            # It has no end without its executions.
            if missing > 0 or self._executed(order) < quantity:
                yield Ask(order.client_id, self._left(order), "executions of it are missing")
            return
        if missing > 0 and late:
            yield Ask(order.client_id, self._left(order), "executions of it are missing")
            return
        yield Book((_end(order, there),), f"the venue says that it is {there.status}", order.client_id)

    def _infer(self, order: Order, there: VenueOrder, missing: Decimal) -> Iterator[Decision]:
        """Book what was executed longer ago than the venue keeps, at the price that is known."""
        fill = inferred(order, there, self._executed(order), missing, self.books.instruments[order.instrument])
        if fill is None:
            reason = (
                f"{missing.normalize():f} of the order {order.client_id} were executed longer ago than the venue keeps "
                "executions, at a price that nobody knows. Position and profit are short of them; look at the venue, "
                "then resume on Risk."
            )
            yield Halt(order.client_id, reason)
        elif fill.key not in order.fill_keys:
            self.coming[order.client_id] = self.coming.get(order.client_id, Decimal(0)) + missing
            yield Book((ev.OrderFilled(fill=fill),), "executed longer ago than the venue keeps", order.client_id)

    def _not_found(self) -> Iterator[Decision]:
        for client_id, there in self.answer.found.items():
            order = self.books.orders.get(client_id)
            if there is not None or order is None:
                continue
            if client_id in self.coming and self._executed(order) >= order.quantity:
                continue
            left = self._left(order)
            moved = client_id in self.coming or self._is_stale(order)
            if moved or self.answer.asked - left < self.policy.visibility_ns:
                yield Ask(client_id, left, "it may not be visible yet", client_id in self.policy.changed)
                continue
            yield Book((_gone(order, self.answer.asked),), "the venue does not know it", client_id, order.updated)

    def _missing(self) -> Iterator[Decision]:
        """Orders that work here and are not in the list."""
        for order in self.books.orders.values():
            client_id = order.client_id
            if client_id in self.told or client_id in self.answer.found:
                continue
            if self._executed(order) >= order.quantity and client_id in self.coming:
                continue
            if not self.policy.restarted and (self._is_stale(order) or self._is_fresh(order)):
                yield Keep(client_id, "it changed shortly before or while the question was under way")
            else:
                yield Ask(client_id, self._left(order), "it is not in the venue's list", order.pending_amends > 0)

    def _strangers(self) -> Iterator[Decision]:
        seen: set[str] = set()
        for there in self.answer.listed or ():
            ours = self.books.order(there.client_id) is not None or is_of(there.client_id, self.books.instance)
            if ours:
                continue
            key = f"{self.books.account}|{there.venue_order_id}"
            seen.add(key)
            if key not in self.books.strangers:
                yield Book((_stranger(there),), "an order of somebody else")
        if self.answer.whole:
            for key, gone in self.books.strangers.items():
                if gone.account == self.books.account and key not in seen:
                    yield Book((_closed(gone),), "an order of somebody else is gone")

    # --- parts -------------------------------------------------------------------------------------------------------

    def _is_stale(self, order: Order) -> bool:
        """Whether the order changed here while the questions were under way, so that answers may be older than it."""
        return self.answer.before.get(order.client_id) != order.updated

    def _is_fresh(self, order: Order) -> bool:
        return order.status is OrderStatus.PENDING or order.updated >= self.answer.asked - self.policy.visibility_ns

    def _left(self, order: Order) -> int:
        return self.policy.sent.get(order.client_id, order.updated)


def _is_another(meant: Order, there: VenueOrder) -> bool:
    """Whether what the venue has under an id is not what was asked for."""
    same = (there.instrument, there.side, there.type) == (meant.instrument, meant.side, meant.type)
    # Only an amendment makes an order larger. One that the venue never named may have one under way all the same: the
    # notices of its acceptance and of the change may both have been lost. One that has lived has forgotten its changes.
    wanted = max(meant.quantity, meant.pending_quantity or meant.quantity)
    never_lived = meant.venue_order_id is None and (meant.is_open or meant.status is OrderStatus.REJECTED)
    larger = never_lived and there.quantity > wanted
    return not same or larger


def _another(meant: Order, there: VenueOrder) -> str:
    return (
        f"The venue has another order under the id {there.client_id}: {there.side} {there.quantity} "
        f"{there.instrument} ({there.type}), where {meant.side} {meant.quantity} {meant.instrument} ({meant.type}) "
        "was asked for. It was not taken over; look at the venue, then resume on Risk."
    )


def _end(order: Order, there: VenueOrder) -> ev.VenueEvent:
    client_id, reason, ts = there.client_id, there.reason, there.updated
    if there.status is OrderStatus.EXPIRED:
        return ev.OrderExpired(client_id=client_id, reason=reason, ts=ts)
    if there.status is OrderStatus.REJECTED and order.status is not OrderStatus.PARTIALLY_FILLED:
        return ev.OrderRejected(client_id=client_id, code="rejected", reason=reason, ts=ts)
    return ev.OrderCanceled(client_id=client_id, reason=reason, ts=ts)


def _gone(order: Order, ts: int) -> ev.VenueEvent:
    if order.venue_order_id is None:
        return ev.OrderRejected(client_id=order.client_id, code="not_found", reason=NOT_KNOWN, ts=ts)
    # It was there once: whatever of it was executed stays, the rest is over.
    return ev.OrderCanceled(client_id=order.client_id, reason=NOT_KNOWN, ts=ts)


def _request(there: VenueOrder) -> OrderRequest:
    return OrderRequest(
        account=there.account,
        instrument=there.instrument,
        owner=MANUAL,
        side=there.side,
        type=there.type,
        quantity=there.quantity,
        price=there.price,
        stop_price=there.stop_price,
    )


def _stranger(order: VenueOrder) -> ev.ExternalOrderSeen:
    return ev.ExternalOrderSeen(
        account=order.account,
        instrument=order.instrument,
        venue_order_id=order.venue_order_id,
        client_id=order.client_id,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        open=True,
        price=order.price,
    )


def _closed(order: ev.ExternalOrderSeen) -> ev.ExternalOrderSeen:
    return ev.ExternalOrderSeen(
        account=order.account,
        instrument=order.instrument,
        venue_order_id=order.venue_order_id,
        client_id=order.client_id,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        open=False,
        price=order.price,
    )

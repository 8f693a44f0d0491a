"""The asyncio shell around the desk: carries effects to venues once durable, and looks after what became of them."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.crash_points import crash_point
from engine.errors import (
    ExchangeConnectionError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    JournalError,
    QuarterdeckError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.execution.effects import AmendEffect, CancelEffect, Effect, PlaceEffect
from engine.execution.guard import VenueGuard
from engine.execution.inquiry import Inquiry
from engine.execution.lines import Lines
from engine.execution.margins import Margins
from engine.execution.rounds import Rounds
from engine.logs import get_logger, operation
from engine.model.ids import ClientOrderId, VenueId, venue_of
from engine.model.order import OrderStatus
from engine.model.owner_limits import weight_of
from engine.model.requester import REQUESTER, Requester
from engine.resilience.breaker import BreakerStanding
from engine.resilience.handler import ErrorHandler

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from engine.clock import Clock
    from engine.execution.desk import Desk
    from engine.execution.inquiry import Tally
    from engine.execution.reconcile import Untracked
    from engine.ledger import Ledger
    from engine.model.ids import AccountId
    from engine.model.order import Order
    from engine.model.venue import Venue

__all__ = ["DispatchCarried", "Dispatcher", "VenueCarried"]

log = get_logger(__name__)

CANCEL_AGAIN_S = (0.5, 1.0, 2.0, 5.0)
"""Pauses before a cancel without an answer is sent again; the last one repeats. A cancel may be sent twice."""
COMPARE_EVERY_S = 60.0
"""How often open orders and executions are compared with the venue's."""
ASK_AFTER_FILLS = 1_000
"""Executions after which they are compared at once."""
_DID_NOT_HAPPEN = (ExchangeConnectionError, ExchangeRateLimitError, ExchangeInsufficientFundsError, ValidationError)
"""Errors that say for certain that a request had no effect. Everything else proves nothing."""


class VenueCarried(msgspec.Struct, frozen=True, kw_only=True):
    """How the way to a venue stands, for the process that takes over."""

    breaker: BreakerStanding
    pause_until: int = 0
    """UTC nanoseconds until which the venue wants no questions."""


class DispatchCarried(msgspec.Struct, frozen=True, kw_only=True):
    """What is under way with venues beside what the state knows, for the process that takes over."""

    canceling: list[ClientOrderId] = []
    """Orders whose cancel has no answer yet."""
    venues: dict[VenueId, VenueCarried] = {}


class Dispatcher:
    """An outbox that sends. Cancels overtake everything that is not sent yet.

    An order is sent once: whatever goes wrong on the way, it is asked for by its id. Only the venue's own word that
    there were too many requests lets the same order, under the same id, leave again after a pause. A cancel is sent
    until it is answered or the order has ended. No failure of one request reaches another.

    `run` owns all tasks; cancelling it leaves unsent effects unsent, and orders that were being sent become unknown
    and are asked for by id at the next start.
    """

    def __init__(
        self,
        ledger: Ledger,
        venues: Mapping[VenueId, Venue],
        clock: Clock,
        *,
        timeout_s: float = 30.0,
        errors: ErrorHandler | None = None,
        untracked: Untracked = "adopt",
    ) -> None:
        self._errors = errors or ErrorHandler(clock)
        self._clock = clock
        self.margins = Margins(ledger, self._errors)
        self.inquiry = Inquiry(ledger, clock, timeout_s, untracked, errors=self._errors)
        self._ledger = ledger
        self._venues = {key: _guarded(venue, clock, self._errors) for key, venue in venues.items()}
        self._timeout_s = timeout_s
        self._urgent: deque[Effect] = deque()
        self._normal: deque[Effect] = deque()
        self._doubtful: deque[ClientOrderId] = deque()
        self._wake = asyncio.Event()
        self._desk: Desk | None = None
        self._placing: dict[ClientOrderId, asyncio.Event] = {}
        self._amending = Lines()
        self._canceling: set[ClientOrderId] = set()
        self._unanswered_cancels: set[ClientOrderId] = set()
        """Orders whose cancel was asked for and has no answer yet, whether or not it has left."""
        # One venue's silence must not keep the others from being asked.
        self._comparisons = {key: Rounds(clock, COMPARE_EVERY_S) for key in self._venues}
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._unanswered = 0
        self._starting = 0
        """Effects that have left the outbox and whose request has not had its turn yet."""
        self._carried: frozenset[ClientOrderId] | None = None
        self._executions = 0
        ledger.subscribe(self._hear)

    def attach(self, desk: Desk) -> None:
        """Name the desk that hears about outcomes; must happen before `run`."""
        self._desk = desk
        self.inquiry.attach(desk)

    def put(self, effect: Effect) -> None:
        """Queue an effect; returns at once. The queue is as long as the open orders, which the gate limits."""
        if isinstance(effect, CancelEffect):
            self._unanswered_cancels.add(effect.client_id)
        (self._urgent if _is_urgent(effect) else self._normal).append(effect)
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Effects not sent yet."""
        return len(self._urgent) + len(self._normal) + self._starting + self._amending.waiting

    # --- standing still ----------------------------------------------------------------------------------------------

    @property
    def quiet(self) -> bool:
        """Whether nothing waits to be sent and every request has been answered."""
        return not self.waiting and not self._unanswered

    def hold(self) -> None:
        """Begin no request until `go_on`; those under way go on and may be answered."""
        self._allowed.clear()

    def go_on(self) -> None:
        """Send again, and ask for every order whose answer was lost meanwhile."""
        for order in self._ledger.state.orders.values():
            if order.status is OrderStatus.UNKNOWN or (order.pending_amends and order.client_id not in self._amending):
                self._doubtful.append(order.client_id)
        self._allowed.set()
        self._wake.set()

    def carry(self) -> DispatchCarried:
        """What another process needs to go on as this one would."""
        venues = {key: _standing(venue, self._clock.now()) for key, venue in self._venues.items()}
        # One that waits for its order to arrive, or was stopped on its way, has to be sent by whoever goes on.
        return DispatchCarried(
            canceling=sorted(self._unanswered_cancels & self._ledger.state.orders.keys()), venues=venues
        )

    def take(self, carried: DispatchCarried) -> None:
        """Go on from what another process carried here; `recover` sends the cancels it left and no others."""
        self._carried = frozenset(carried.canceling)
        for key, standing in carried.venues.items():
            if key in self._venues:
                _take_over(self._venues[key], standing, self._clock.now())

    def _hear(self, record: ev.Record) -> None:
        event = record.event
        if isinstance(event, ev.OrderFilled):
            self._executions += 1
            if self._executions % ASK_AFTER_FILLS == 0:
                # The further the venue is known to agree, the less there is to go through after a crash.
                self.compare_soon()
        # "Cannot be cancelled" may mean that the order has ended and its end was never reported.
        if isinstance(event, ev.OrderCancelRejected) and event.client_id in self._ledger.state.orders:
            self._doubtful.append(event.client_id)
            self._wake.set()

    async def run(self) -> None:
        """Send until cancelled, or until the journal has failed: then nothing more leaves."""
        async with asyncio.TaskGroup() as tasks:
            comparing = [
                tasks.create_task(_compare_now_and_then(self, self._venues[key], rounds), name=f"compare at {key}")
                for key, rounds in self._comparisons.items()
            ]
            try:
                await self._send_all(tasks)
            except JournalError as error:
                log.error("nothing is sent any more: the journal failed", problem=error.message)
                for task in comparing:
                    task.cancel()

    async def _send_all(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            while self._urgent or self._normal:
                queue = self._urgent or self._normal
                effect = queue[0]
                await self._ledger.journal.wait_durable(effect.seq)
                await self._allowed.wait()
                # Taken out only now: a wait that is cancelled loses nothing.
                queue.popleft()
                self._starting += 1
                tasks.create_task(self._carry(effect, self._clock.now()), name=f"send {type(effect).__name__}")
            while self._doubtful:
                self._ask_later(tasks, self._doubtful.popleft())
            self._wake.clear()
            await self._wake.wait()

    def _ask_later(self, tasks: asyncio.TaskGroup, client_id: ClientOrderId) -> None:
        order = self._ledger.state.orders.get(client_id)
        if order is not None:
            changed = order.pending_amends > 0 and client_id not in self._amending
            tasks.create_task(self._ask(order, changed=changed), name=f"ask for {client_id}")

    async def _ask(self, order: Order, *, changed: bool = False) -> None:
        venue = self._venues[venue_of(order.instrument)]
        try:
            await self.inquiry.ask(venue, order.account, order.client_id, changed=changed)
        except JournalError as error:
            log.error("an answer cannot be booked: the journal failed", problem=error.message)

    # --- sending -----------------------------------------------------------------------------------------------------

    async def _carry(self, effect: Effect, durable: int) -> None:
        """Root of one request's task, durable since a time: nothing that happens here may end the others."""
        client_id = effect.command.client_id if isinstance(effect, PlaceEffect) else effect.client_id
        try:
            await self._allowed.wait()
        finally:
            self._starting -= 1
        order = self._ledger.state.orders.get(client_id)
        if order is None:
            self._unanswered_cancels.discard(client_id)
            return
        try:
            venue = self._venues[venue_of(order.instrument)]
            REQUESTER.set(Requester(order.owner, weight_of(self._ledger.state, order.owner)))
            # What follows from a request, in the log and in the journal, belongs to what led to it.
            with operation(effect.correlation):
                match effect:
                    case PlaceEffect():
                        await self._place(venue, effect, order, durable)
                    case CancelEffect():
                        await self._cancel(venue, order)
                    case AmendEffect():
                        await self._amend(venue, effect, order)
        except JournalError as error:
            log.error("a request ends: the journal failed", client_id=client_id, problem=error.message)
        except Exception as error:  # a fault of ours about one order must not stop the cancels for the others
            log.exception("a request failed", client_id=client_id)
            self._errors.report(error, component="dispatcher", operation=type(effect).__name__, order=client_id)
        if not order.is_open:
            self._unanswered_cancels.discard(client_id)

    async def _place(self, venue: VenueGuard, effect: PlaceEffect, order: Order, durable: int) -> None:
        try:
            await venue.turn(effect.command)
            await self._check_footing(venue, effect, order)
        except asyncio.CancelledError:
            # It has not begun to leave: it waits in the outbox again, for whoever sends next.
            (self._urgent if _is_urgent(effect) else self._normal).appendleft(effect)
            raise
        except ValidationError as error:
            if order.status is OrderStatus.PENDING:
                self._report(order, ev.OrderRejected(client_id=order.client_id, ts=self._clock.now(), **_said(error)))
            return
        await self._allowed.wait()
        if order.status is not OrderStatus.PENDING:
            return
        client_id, done = order.client_id, asyncio.Event()
        self._need_desk().submitted(client_id, durable)
        self._placing[client_id] = done
        known = True
        try:
            await self._send(venue, effect, order)
        except _DID_NOT_HAPPEN as error:
            log.warning("an order was not sent", client_id=client_id, problem=error.message)
            # Unless the venue has reported it all the same: then it lives, and that answer counts.
            if order.venue_order_id is None:
                self._report(order, ev.OrderRejected(client_id=client_id, ts=self._clock.now(), **_said(error)))
        except Exception as error:  # no error is evidence of what became of the order
            known = False
            self._warn("outcome unknown", order, error)
            self._need_desk().unknown(client_id, f"The venue did not answer: {_words(error)}")
        finally:
            del self._placing[client_id]
            done.set()
        if not known:
            await self._ask(order)

    async def _check_footing(self, venue: VenueGuard, effect: PlaceEffect | AmendEffect, order: Order) -> None:
        """Raise ValidationError where what opens something in a derivative must not leave."""
        if effect.opens:
            await self._allowed.wait()
            self._unanswered += 1
            try:
                again = partial(
                    self._need_desk().still_passes, order, effect if isinstance(effect, AmendEffect) else None
                )
                await self.margins.check(venue, order, effect.seq, again, self._timeout_s)
            finally:
                self._unanswered -= 1

    async def _send(self, venue: VenueGuard, effect: PlaceEffect, order: Order) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                async with self._in_time():
                    crash_point("order.leaving")
                    await venue.place(effect.command)
                    crash_point("order.sent")
                return
            except ExchangeRateLimitError as error:
                # The venue itself says that it did not take the order; no other error is ever followed by a repeat.
                if attempt >= venue.rate_limits.attempts or order.venue_order_id is not None:
                    raise
                await self._clock.sleep(venue.rate_limits.pause(attempt, error))
                # What the venue holds may have been changed in the pause.
                await self._check_footing(venue, effect, order)
                await self._allowed.wait()
                _check_still_wanted(self._need_desk(), order)

    async def _cancel(self, venue: Venue, order: Order) -> None:
        client_id = order.client_id
        if order.status is OrderStatus.PENDING:
            # Not sent yet, and its sending looks whether it is still wanted: it never existed anywhere else.
            self._report(order, ev.OrderCanceled(client_id=client_id, reason="not sent", ts=self._clock.now()))
            return
        placing = self._placing.get(client_id)
        if placing is not None:
            # A cancel that arrives before its order would find nothing to cancel.
            await placing.wait()
        if client_id in self._canceling:
            await self._try_cancel(venue, order)
            return
        self._canceling.add(client_id)
        try:
            attempt = 0
            while order.is_open and not await self._try_cancel(venue, order):
                await self._clock.sleep(CANCEL_AGAIN_S[min(attempt, len(CANCEL_AGAIN_S) - 1)])
                attempt += 1
        finally:
            self._canceling.discard(client_id)

    async def _try_cancel(self, venue: Venue, order: Order) -> bool:
        """Ask once for the end of an order; False when there is no answer."""
        await self._allowed.wait()
        try:
            async with self._in_time():
                crash_point("cancel.leaving")
                await venue.cancel(order.account, order.client_id)
                crash_point("cancel.sent")
        except Exception as error:  # asked again until answered, so nothing is lost by not knowing
            self._warn("a cancel was not answered", order, error)
            return False
        self._unanswered_cancels.discard(order.client_id)
        return True

    async def _amend(self, venue: VenueGuard, effect: AmendEffect, order: Order) -> None:
        client_id = order.client_id
        async with self._amending.turn(client_id, self._placing.get(client_id)):
            try:
                if order.is_open:
                    await self._check_footing(venue, effect, order)
                await self._allowed.wait()
                if not order.is_open:
                    return
                async with self._in_time():
                    crash_point("amend.leaving")
                    await venue.amend(
                        effect.account,
                        client_id,
                        quantity=effect.quantity,
                        price=effect.price,
                        stop_price=effect.stop_price,
                    )
                    crash_point("amend.sent")
            except _DID_NOT_HAPPEN as error:
                self._report(order, ev.OrderCancelRejected(client_id=client_id, ts=self._clock.now(), **_said(error)))
            except Exception as error:  # no error is evidence of what became of the change
                self._warn("outcome of a change unknown", order, error)
                await self._ask(order, changed=True)

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Around one request: it has its deadline, and is known to be under way."""
        self._unanswered += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        finally:
            self._unanswered -= 1

    def _report(self, order: Order, event: ev.VenueEvent) -> None:
        self._need_desk().on_event(order.account, event)

    # --- looking after -----------------------------------------------------------------------------------------------

    async def recover(self, venue: Venue, account: AccountId, *, patient: bool = True) -> Tally:
        """Bring our open orders of one account in line with the venue; runs before trading starts.

        Args:
            venue: Where they are.
            account: Whose.
            patient: Wait until the fate of every order is known; else it is asked for while cancels leave.

        Returns:
            What was asked, and what was booked about it.

        Raises:
            ExchangeError: The venue cannot be asked.
            JournalError: An answer cannot be booked.
        """
        tally = await self.inquiry.recover(venue, account, patient=patient)
        if not patient:
            self._doubtful.extend(tally.asks)
            self._wake.set()
        for order in self.inquiry.orders_at(venue, account):
            if order.cancel_requested and (self._carried is None or order.client_id in self._carried):
                # Whether the cancel left before the restart is not known; it may be sent twice.
                self.put(
                    CancelEffect(
                        seq=self._ledger.seq, account=account, instrument=order.instrument, client_id=order.client_id
                    )
                )
        return tally

    def compare_soon(self) -> None:
        """Compare with the venues now and not only at the next round, because reports of theirs may have been lost."""
        for rounds in self._comparisons.values():
            rounds.soon()

    async def compare(self, venue: Venue, account: AccountId) -> Tally:
        """Compare an account's orders and executions with the venue, and ask for each order that only we know.

        Returns:
            What was learnt; what is asked for is answered later.

        Raises:
            ExchangeError: The venue cannot be asked.
            JournalError: An answer cannot be booked.
        """
        tally = await self.inquiry.look_over(venue, account)
        for client_id in tally.asks:
            if client_id not in self._placing:
                log.warning("an open order is not known at the venue", client_id=client_id)
                self._doubtful.append(client_id)
        self._wake.set()
        return tally

    async def resync(self, venue: Venue, account: AccountId) -> None:
        """Bring our open orders of one account in line with the venue while the engine runs, as after a lost line.

        Orders that are just being sent are left alone: their answer, or the loss of it, is still to come.

        Raises:
            ExchangeError: The venue cannot be asked.
            JournalError: An answer cannot be booked.
        """
        missing = set(await self.inquiry.compare(venue, account))
        waiting = (OrderStatus.SUBMITTED, OrderStatus.UNKNOWN)
        missing |= {o.client_id for o in self.inquiry.orders_at(venue, account) if o.status in waiting}
        await asyncio.gather(
            *(self.inquiry.ask(venue, account, client_id) for client_id in missing if client_id not in self._placing)
        )

    def _warn(self, what: str, order: Order, error: Exception) -> None:
        trace = None if _expected(error) else error
        log.warning(what, client_id=order.client_id, problem=_words(error), exc_info=trace)
        self._errors.report(error, component="dispatcher", operation=what, order=order.client_id, bot=order.owner)

    def _need_desk(self) -> Desk:
        if self._desk is None:
            raise JournalError("The dispatcher has no desk; attach one before orders are sent.")
        return self._desk


async def _compare_now_and_then(dispatcher: Dispatcher, venue: VenueGuard, rounds: Rounds) -> None:
    """A private stream's silence proves nothing, so the venue is asked now and then what is open and was filled."""
    state = dispatcher._ledger.state
    while True:
        await rounds.next()
        # What was executed before an account is opened is part of its opening balance, and booked by nobody.
        for account in [one.id for one in state.accounts.values() if one.venue == venue.id and one.id in state.cursors]:
            try:
                await dispatcher.compare(venue, account)
            except JournalError:
                return
            except Exception as error:  # the next round asks again
                log.warning("orders cannot be compared with the venue", problem=_words(error))
                dispatcher._errors.report(error, component="dispatcher", operation="compare", venue=venue.id)


def _is_urgent(effect: Effect) -> bool:
    """Whether an effect goes before all others: cancels, and what closes something in an emergency."""
    return isinstance(effect, CancelEffect) or (isinstance(effect, PlaceEffect) and effect.command.urgent)


def _check_still_wanted(desk: Desk, order: Order) -> None:
    """Raise when an order that waited for the venue should not leave any more."""
    if order.status is OrderStatus.UNKNOWN:
        raise UnknownOutcomeError("The engine stood still meanwhile, and somebody else may have asked for the order.")
    if not order.is_open or order.cancel_requested:
        raise ExchangeRateLimitError("The order was withdrawn while the venue asked to wait; it was not sent.")
    verdict = desk.still_passes(order)
    if not verdict.passed:
        raise ExchangeRateLimitError(f"The venue asked to wait, and meanwhile risk refuses: {verdict.message}")


def _said(error: QuarterdeckError) -> dict[str, str]:
    """Code and reason of a report that comes of an error."""
    return {"code": error.error_code or error.kind, "reason": error.message}


def _guarded(venue: Venue, clock: Clock, errors: ErrorHandler) -> VenueGuard:
    return venue if isinstance(venue, VenueGuard) else VenueGuard(venue, clock, errors)


def _expected(error: Exception) -> bool:
    return isinstance(error, UnknownOutcomeError | TimeoutError | QuarterdeckError)


def _standing(venue: VenueGuard, now: int) -> VenueCarried:
    left = int(venue.throttle.left_s * 1e9)
    return VenueCarried(breaker=venue.breaker.standing, pause_until=now + left if left else 0)


def _take_over(venue: VenueGuard, standing: VenueCarried, now: int) -> None:
    venue.breaker.take_over(standing.breaker)
    if standing.pause_until > now:
        venue.throttle.pause((standing.pause_until - now) / 1e9)


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__

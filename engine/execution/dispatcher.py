"""The asyncio shell around the desk: carries effects to venues once durable, and asks about lost answers."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from engine import events as ev
from engine.errors import ExchangeConnectionError, ExchangeError, JournalError, QuarterdeckError, UnknownOutcomeError
from engine.execution.effects import AmendEffect, CancelEffect, Effect, PlaceEffect
from engine.logs import get_logger
from engine.model.ids import VenueId, venue_of
from engine.model.order import OrderStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.clock import Clock
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.ids import AccountId, ClientOrderId
    from engine.model.order import Order
    from engine.model.venue import Venue

__all__ = ["Dispatcher"]

log = get_logger(__name__)

ASK_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between questions about an order of unknown outcome; the last one repeats."""


class Dispatcher:
    """An outbox that sends. Cancels overtake everything that is not sent yet.

    `run` owns all tasks; cancelling it leaves unsent effects unsent, and orders that were being sent become unknown
    and are asked for by id at the next start.
    """

    def __init__(
        self, ledger: Ledger, venues: Mapping[VenueId, Venue], clock: Clock, *, timeout_s: float = 30.0
    ) -> None:
        self._ledger = ledger
        self._venues = venues
        self._clock = clock
        self._timeout_s = timeout_s
        self._urgent: deque[Effect] = deque()
        self._normal: deque[Effect] = deque()
        self._wake = asyncio.Event()
        self._desk: Desk | None = None

    def attach(self, desk: Desk) -> None:
        """Name the desk that hears about outcomes; must happen before `run`."""
        self._desk = desk

    def put(self, effect: Effect) -> None:
        """Queue an effect; returns at once. The queue is as long as the open orders, which the gate limits."""
        (self._urgent if isinstance(effect, CancelEffect) else self._normal).append(effect)
        self._wake.set()

    @property
    def waiting(self) -> int:
        """Effects not sent yet."""
        return len(self._urgent) + len(self._normal)

    async def run(self) -> None:
        """Send until cancelled, or until the journal has failed: then nothing more leaves."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                while self.waiting:
                    effect = self._urgent.popleft() if self._urgent else self._normal.popleft()
                    try:
                        await self._ledger.journal.wait_durable(effect.seq)
                    except JournalError as error:
                        log.error("nothing is sent any more: the journal failed", problem=error.message)
                        return
                    tasks.create_task(self._send(effect), name=f"send {type(effect).__name__}")
                self._wake.clear()
                await self._wake.wait()

    async def _send(self, effect: Effect) -> None:
        desk, client_id = self._need_desk(), self._client_id(effect)
        order = self._ledger.state.orders.get(client_id)
        if order is None:
            return
        venue = self._venues[venue_of(order.instrument)]
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._call(venue, effect, order)
        except ExchangeConnectionError as error:
            self._not_sent(order, effect, error)
        except (UnknownOutcomeError, TimeoutError) as error:
            log.warning("outcome unknown", client_id=client_id, problem=str(error))
            if isinstance(effect, PlaceEffect):
                desk.unknown(client_id, "The venue did not answer.")
            await self.ask(venue, order.account, client_id)
        except ExchangeError as error:
            log.error("the venue refused a request", client_id=client_id, problem=error.message)
            self._not_sent(order, effect, error)

    async def _call(self, venue: Venue, effect: Effect, order: Order) -> None:
        match effect:
            case PlaceEffect():
                if order.cancel_requested:
                    # Cancelled before it left: it never existed anywhere else.
                    now = self._clock.now()
                    self._report(order, ev.OrderCanceled(client_id=order.client_id, reason="not sent", ts=now))
                    return
                self._need_desk().submitted(order.client_id)
                await venue.place(effect.command)
            case CancelEffect():
                if order.status is OrderStatus.PENDING:
                    return
                await venue.cancel(effect.account, effect.client_id)
            case AmendEffect():
                await venue.amend(
                    effect.account,
                    effect.client_id,
                    quantity=effect.quantity,
                    price=effect.price,
                    stop_price=effect.stop_price,
                )

    def _not_sent(self, order: Order, effect: Effect, error: QuarterdeckError) -> None:
        now, code = self._clock.now(), error.error_code or error.kind
        if isinstance(effect, PlaceEffect):
            self._report(order, ev.OrderRejected(client_id=order.client_id, code=code, reason=error.message, ts=now))
        else:
            self._report(
                order, ev.OrderCancelRejected(client_id=order.client_id, code=code, reason=error.message, ts=now)
            )

    def _report(self, order: Order, event: ev.VenueEvent) -> None:
        self._need_desk().on_event(order.account, event)

    async def ask(self, venue: Venue, account: AccountId, client_id: ClientOrderId) -> None:
        """Ask the venue about one order until its state is known; never sends it again.

        "No such order" counts only from an authenticated answer, and only once the venue's visibility delay is over.
        """
        desk, attempt = self._need_desk(), 0
        while (order := self._ledger.state.orders.get(client_id)) is not None:
            await self._clock.sleep(ASK_AFTER_S[min(attempt, len(ASK_AFTER_S) - 1)] if attempt else 0)
            attempt += 1
            try:
                found = await venue.order(account, client_id)
                if found is None:
                    if self._clock.now() - order.created < venue.capabilities.visibility_delay_s * 1e9:
                        continue
                    reason = "The venue does not know this order."
                    desk.on_event(
                        account,
                        ev.OrderRejected(client_id=client_id, code="not_found", reason=reason, ts=self._clock.now()),
                    )
                    return
                await self.catch_up(venue, account)
                desk.on_event(
                    account,
                    ev.OrderAccepted(client_id=client_id, venue_order_id=found.venue_order_id, ts=found.created),
                )
                self._end_as_found(account, client_id, found.status, found.reason, found.updated)
                return
            except ExchangeError as error:
                log.warning("cannot ask about an order yet", client_id=client_id, problem=error.message)

    def _end_as_found(
        self, account: AccountId, client_id: ClientOrderId, status: OrderStatus, reason: str, ts: int
    ) -> None:
        desk = self._need_desk()
        if status is OrderStatus.CANCELED:
            desk.on_event(account, ev.OrderCanceled(client_id=client_id, reason=reason, ts=ts))
        elif status is OrderStatus.EXPIRED:
            desk.on_event(account, ev.OrderExpired(client_id=client_id, reason=reason, ts=ts))
        elif status is OrderStatus.REJECTED:
            desk.on_event(account, ev.OrderRejected(client_id=client_id, code="rejected", reason=reason, ts=ts))

    async def catch_up(self, venue: Venue, account: AccountId) -> None:
        """Book every execution the venue keeps that is not booked yet."""
        cursor, desk = "", self._need_desk()
        while True:
            fills, after = await venue.fills_since(account, cursor)
            for fill in fills:
                desk.on_event(account, ev.OrderFilled(fill=fill))
            if not fills or after == cursor:
                return
            cursor = after

    async def recover(self, venue: Venue, account: AccountId) -> None:
        """Bring our open orders of one account in line with the venue; runs before trading starts."""
        await self.catch_up(venue, account)
        for order in list(self._ledger.state.orders.values()):
            if order.account == account and venue_of(order.instrument) == venue.id:
                self._need_desk().unknown(order.client_id, "The engine restarted before the answer was booked.")
                await self.ask(venue, account, order.client_id)

    def _need_desk(self) -> Desk:
        if self._desk is None:
            raise JournalError("The dispatcher has no desk; attach one before orders are sent.")
        return self._desk

    @staticmethod
    def _client_id(effect: Effect) -> ClientOrderId:
        return effect.command.client_id if isinstance(effect, PlaceEffect) else effect.client_id

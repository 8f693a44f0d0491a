"""What became of orders: asks venues about lost answers, missed executions and orders that nobody tracks.

A network error is never evidence about an order; only what the venue itself answers is. Nothing here sends an order.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine import events as ev
from engine.crash_points import crash_point
from engine.errors import JournalError
from engine.logs import get_logger
from engine.model.entries import TradingState
from engine.model.ids import ClientOrderId, venue_of
from engine.model.order import OrderStatus
from engine.resilience.handler import ErrorHandler
from engine.state.core import ENGINE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.clock import Clock
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.ids import AccountId
    from engine.model.order import Order
    from engine.model.venue import Venue, VenueOrder

__all__ = ["ASK_AFTER_S", "Inquiry"]

log = get_logger(__name__)

ASK_AFTER_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Pauses between questions about an order of unknown outcome; the last one repeats."""


class Inquiry:
    """Brings what is booked about orders in line with their venue.

    Args:
        ledger: What is booked.
        clock: Gives the pauses.
        timeout_s: Seconds (of real time) that a venue has for one answer.
    """

    def __init__(self, ledger: Ledger, clock: Clock, timeout_s: float, errors: ErrorHandler | None = None) -> None:
        self._errors = errors or ErrorHandler(clock)
        self._ledger = ledger
        self._clock = clock
        self._timeout_s = timeout_s
        self._desk: Desk | None = None
        self._asking: set[ClientOrderId] = set()
        self._catching_up = asyncio.Lock()

    def attach(self, desk: Desk) -> None:
        """Name the desk that books the answers; must happen before anything is asked."""
        self._desk = desk

    # --- one order ---------------------------------------------------------------------------------------------------

    async def ask(
        self,
        venue: Venue,
        account: AccountId,
        client_id: ClientOrderId,
        *,
        since: int | None = None,
        changed: bool = False,
    ) -> None:
        """Ask the venue about one order until its state is known; returns at once while somebody else is asking.

        "No such order" counts only from an authenticated answer, and only once the venue's visibility delay is over.

        Args:
            venue: Where the order was sent.
            account: Whose it is.
            client_id: Which.
            since: UTC nanoseconds at which it left at the latest; None for its last change.
            changed: An amendment of unknown outcome is meant: what the venue has is booked even if it is as before.

        Raises:
            JournalError: The answer cannot be booked.
        """
        order = self._ledger.state.orders.get(client_id)
        if order is None or client_id in self._asking:
            return
        self._asking.add(client_id)
        try:
            left = order.updated if since is None else since
            attempt = 0
            while client_id in self._ledger.state.orders:
                await self._clock.sleep(ASK_AFTER_S[min(attempt, len(ASK_AFTER_S)) - 1] if attempt else 0)
                attempt += 1
                if await self._try_to_settle(venue, account, client_id, left, changed=changed):
                    return
        finally:
            self._asking.discard(client_id)

    async def _try_to_settle(
        self, venue: Venue, account: AccountId, client_id: ClientOrderId, left: int, *, changed: bool
    ) -> bool:
        try:
            async with asyncio.timeout(self._timeout_s):
                found = await venue.order(account, client_id)
                await self.catch_up(venue, account)
        except JournalError:
            raise
        except Exception as error:  # whatever went wrong on the way is no answer; the question is asked again
            log.warning("cannot ask about an order yet", client_id=client_id, problem=_words(error))
            self._errors.report(error, component="inquiry", operation="ask", order=client_id)
            return False
        if found is not None:
            return self.settle(account, found, changed=changed)
        if self._clock.now() - left < venue.capabilities.visibility_delay_s * 1e9:
            return False
        self._end_unknown_to_venue(account, client_id)
        return True

    def settle(self, account: AccountId, found: VenueOrder, *, changed: bool = False) -> bool:
        """Book what the venue says about an order.

        Returns:
            False when it says that more was executed than is booked, and the order has no end without those executions.
        """
        desk, client_id, now = self._need_desk(), found.client_id, self._clock.now()
        if self._is_another(found):
            return True
        if found.status is not OrderStatus.REJECTED:
            desk.on_event(
                account, ev.OrderAccepted(client_id=client_id, venue_order_id=found.venue_order_id, ts=found.created)
            )
        order = self._ledger.state.orders.get(client_id)
        if order is None:
            return True
        match found.status:
            case OrderStatus.FILLED:
                log.warning("executions of a filled order are missing", client_id=client_id)
                return False
            case OrderStatus.CANCELED:
                desk.on_event(account, ev.OrderCanceled(client_id=client_id, reason=found.reason, ts=found.updated))
            case OrderStatus.EXPIRED:
                desk.on_event(account, ev.OrderExpired(client_id=client_id, reason=found.reason, ts=found.updated))
            case OrderStatus.REJECTED:
                reason = found.reason
                desk.on_event(
                    account, ev.OrderRejected(client_id=client_id, code="rejected", reason=reason, ts=found.updated)
                )
            case _:
                self._align(account, order, found, now, changed=changed)
        return True

    def _is_another(self, found: VenueOrder) -> bool:
        """Whether what the venue has under our id is not what was asked for; it is not booked then, trading halts."""
        meant = self._ledger.state.order(found.client_id)
        if meant is None:
            return False
        same = (found.instrument, found.side, found.type) == (meant.instrument, meant.side, meant.type)
        # Only an amendment makes an order larger; before the venue named it, there was none.
        larger = meant.venue_order_id is None and found.quantity > meant.quantity
        if same and not larger:
            return False
        reason = (
            f"The venue has another order under the id {found.client_id}: {found.side} {found.quantity} "
            f"{found.instrument} ({found.type}), where {meant.side} {meant.quantity} {meant.instrument} ({meant.type}) "
            "was asked for. It was not taken over; look at the venue, then resume on Risk."
        )
        log.critical("an order at the venue is not the one that was asked for", client_id=found.client_id, why=reason)
        if self._ledger.state.trading_state() is not TradingState.HALTED:
            self._ledger.record(
                ev.TradingStateChanged(scope=ENGINE_SCOPE, state=TradingState.HALTED, reason=reason, actor="recovery")
            )
        return True

    def _align(self, account: AccountId, order: Order, found: VenueOrder, now: int, *, changed: bool) -> None:
        """Take over quantity and prices of a working order where they are not what is booked."""
        differs = (order.quantity, order.price, order.stop_price) != (found.quantity, found.price, found.stop_price)
        if differs or changed:
            self._need_desk().on_event(
                account,
                ev.OrderAmended(
                    client_id=order.client_id,
                    ts=now,
                    quantity=found.quantity,
                    price=found.price,
                    stop_price=found.stop_price,
                ),
            )

    def _end_unknown_to_venue(self, account: AccountId, client_id: ClientOrderId) -> None:
        order = self._ledger.state.orders.get(client_id)
        if order is None:
            return
        now, reason = self._clock.now(), "The venue does not know this order."
        if order.venue_order_id is None:
            self._need_desk().on_event(
                account, ev.OrderRejected(client_id=client_id, code="not_found", reason=reason, ts=now)
            )
        else:
            # It was there once: whatever of it was executed stays, the rest is over.
            self._need_desk().on_event(account, ev.OrderCanceled(client_id=client_id, reason=reason, ts=now))

    # --- a whole account ---------------------------------------------------------------------------------------------

    async def catch_up(self, venue: Venue, account: AccountId) -> str:
        """Book every execution since the last time that is not booked yet.

        Returns:
            The venue's cursor up to which all are booked.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: An execution cannot be booked.
        """
        desk = self._need_desk()
        async with self._catching_up:
            before = cursor = self._ledger.state.cursors.get(account, "")
            while True:
                fills, after = await venue.fills_since(account, cursor)
                for fill in fills:
                    desk.on_event(account, ev.OrderFilled(fill=fill))
                if after == cursor:
                    break
                cursor = after
            if cursor != before:
                self._ledger.record(ev.FillsCaughtUp(account=account, cursor=cursor))
            return cursor

    async def recover(self, venue: Venue, account: AccountId) -> None:
        """Bring our open orders of one account in line with the venue; runs before trading starts.

        Raises:
            ExchangeError: The venue cannot be asked.
            JournalError: An answer cannot be booked.
        """
        crash_point("recover.begun")
        await self.catch_up(venue, account)
        crash_point("recover.caught_up")
        working = {order.client_id: order for order in await venue.open_orders(account)}
        self._note_strangers(account, list(working.values()))
        asked = []
        for order in self.orders_at(venue, account):
            left = order.updated
            self._need_desk().unknown(order.client_id, "The engine restarted before the answer was booked.")
            found = working.get(order.client_id)
            if found is None or not self.settle(account, found, changed=order.pending_amends > 0):
                asked.append(self.ask(venue, account, order.client_id, since=left))
        await asyncio.gather(*asked)
        crash_point("recover.done")

    async def compare(self, venue: Venue, account: AccountId) -> list[ClientOrderId]:
        """Look for executions and changes that were never reported, and for orders that only one side knows.

        Returns:
            Orders that work here and not at the venue: ask for each.

        Raises:
            ExchangeError: The venue did not answer.
            JournalError: An answer cannot be booked.
        """
        asked_at = self._clock.now() - int(venue.capabilities.visibility_delay_s * 1e9)
        before = {order.client_id: order.updated for order in self.orders_at(venue, account)}
        async with asyncio.timeout(self._timeout_s):
            found = await venue.open_orders(account)
            await self.catch_up(venue, account)
        self._note_strangers(account, found)
        working = {order.client_id: order for order in found}
        missing = []
        for order in self.orders_at(venue, account):
            updated = before.get(order.client_id)
            # Whatever changed shortly before or while the question was under way is not judged by its answer.
            if updated != order.updated or updated >= asked_at or order.status is OrderStatus.PENDING:
                continue
            there = working.get(order.client_id)
            if there is not None:
                self.settle(account, there)
            else:
                missing.append(order.client_id)
        return missing

    def orders_at(self, venue: Venue, account: AccountId) -> list[Order]:
        """Our open orders of an account at a venue."""
        return [
            order
            for order in self._ledger.state.orders.values()
            if order.account == account and venue_of(order.instrument) == venue.id
        ]

    def _note_strangers(self, account: AccountId, found: Sequence[VenueOrder]) -> None:
        """Show working orders of others; take back one of ours that was given up too early."""
        desk, state = self._need_desk(), self._ledger.state
        seen = set()
        for order in found:
            # A journal that lost its end goes on under another instance: what it still books is ours all the same.
            if order.client_id in state.orders or desk.is_ours(order.client_id):
                if order.client_id not in state.orders:
                    log.error("an order of ours works at the venue and was thought to be over", order=order.client_id)
                    self.settle(account, order)
                continue
            key = f"{account}|{order.venue_order_id}"
            seen.add(key)
            if key not in state.external_orders:
                self._ledger.record(_stranger(order))
        for key, gone in tuple(state.external_orders.items()):
            if gone.account == account and key not in seen:
                self._ledger.record(_closed(gone))

    def _need_desk(self) -> Desk:
        if self._desk is None:
            raise JournalError("Nobody books what venues answer; attach a desk before orders are sent.")
        return self._desk


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


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__

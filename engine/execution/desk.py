"""The order desk: the one path from a wish to a booked intent, and from a venue's report to a booked fact.

Plain and synchronous: between the risk check and the booking of the intent nothing else can happen. What has to leave
the house is put into an outbox, which sends it only after the facts behind it are durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.crash_points import crash_point
from engine.errors import ConflictError, IllegalTransitionError, NotFoundError
from engine.execution.effects import AmendEffect, CancelEffect, Outbox, PlaceEffect
from engine.logs import current_operation, get_logger
from engine.model.decimals import ZERO
from engine.model.fill import FillCause
from engine.model.instrument import CASH_KINDS
from engine.model.order import Decision, Order, OrderRequest, OrderStatus, OrderType, can_move
from engine.model.reserve import reservation
from engine.model.risk import Verdict
from engine.model.venue import OrderCommand
from engine.state import external_shares

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from engine.execution.ids import ClientIds
    from engine.ledger import Ledger
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, ClientOrderId
    from engine.model.impact import ImpactEstimate
    from engine.model.risk import Gate, Quotes, RefusalCode

__all__ = ["Desk"]

log = get_logger(__name__)


class Desk:
    """Submits, cancels and amends orders, and books what venues report about them."""

    def __init__(self, ledger: Ledger, gate: Gate, quotes: Quotes, ids: ClientIds, outbox: Outbox) -> None:
        self._ledger = ledger
        self._gate = gate
        self._quotes = quotes
        self._ids = ids
        self._outbox = outbox
        self.estimate: Callable[[OrderRequest], ImpactEstimate | None] = lambda _: None
        """Tells what an order is expected to cost; stored with its decision."""

    # --- wishes ------------------------------------------------------------------------------------------------------

    def judge(self, request: OrderRequest, replaces: ClientOrderId | None = None) -> Verdict:
        """What the risk gate would say now; nothing is booked."""
        return self._gate.check(request, self._ledger.clock.now(), replaces)

    def still_passes(self, order: Order, change: AmendEffect | None = None) -> Verdict:
        """What the risk gate says now about an order, or a change of one, that is booked and has not left yet."""
        if change is None:
            return self.judge(self._as_request(order, None, None, None), order.client_id)
        return self.judge(self._rest(order, change.quantity, change.price, change.stop_price), order.client_id)

    def admit(
        self, request: OrderRequest, forgiven: frozenset[RefusalCode] = frozenset(), correlation: str = ""
    ) -> None:
        """Check a request that is not sent itself, such as the whole of a parent order; only a refusal is booked.

        Args:
            request: What shall come to be in parts.
            forgiven: Reasons that hold for one order and not for its parts.
            correlation: Operation or signal that led to it.

        Raises:
            OrderRejectionError: The gate refused; details carry `codes`.
            JournalError: Nothing can be booked any more.
        """
        verdict = self.judge(request)
        refusals = tuple(refusal for refusal in verdict.refusals if refusal.code not in forgiven)
        if refusals:
            self._refuse(request, Verdict(refusals=refusals), correlation)

    def submit(self, request: OrderRequest, correlation: str = "") -> Order:
        """Check a request, book its intent and queue its sending.

        Returns:
            The booked order, in status PENDING.

        Raises:
            OrderRejectionError: The gate refused; the refusal is booked, and its type and details tell why, see
                `engine.model.risk.Verdict.error`.
            JournalError: Nothing can be booked any more.
        """
        ledger = self._ledger
        now = ledger.clock.now()
        verdict = self._gate.check(request, now)
        if not verdict.passed:
            self._refuse(request, verdict, correlation)
        instrument = ledger.state.instruments[request.instrument]
        margin = ledger.state.margin(request.account, request.instrument)
        currency, unit = reservation(request, instrument, self._quotes.quote(request.instrument), margin.leverage)
        derivative = instrument.kind not in CASH_KINDS
        if verdict.reduces and derivative:
            unit = ZERO
        client_id = self._ids.make(ledger.seq + 1)
        crash_point("intent.checked")
        seq = ledger.record(
            ev.OrderIntended(
                client_id=client_id,
                account=request.account,
                instrument=request.instrument,
                owner=request.owner,
                side=request.side,
                type=request.type,
                quantity=request.quantity,
                reserve_currency=currency,
                reserve_unit=unit,
                decision=self._with_market(request),
                price=request.price,
                stop_price=request.stop_price,
                tif=request.tif,
                post_only=request.post_only,
                reduce_only=request.reduce_only,
                oco_group=request.oco_group,
                parent=request.parent,
            ),
            correlation,
        )
        crash_point("intent.queued")
        self._gate.passed(request, now)
        self._outbox.put(
            PlaceEffect(
                seq=seq,
                command=OrderCommand(
                    client_id=client_id,
                    account=request.account,
                    instrument=request.instrument,
                    side=request.side,
                    type=request.type,
                    quantity=request.quantity,
                    price=request.price,
                    stop_price=request.stop_price,
                    tif=request.tif,
                    post_only=request.post_only,
                    reduce_only=request.reduce_only,
                    oco_group=request.oco_group,
                    urgent=request.urgent,
                    margin_mode=margin.mode if derivative else None,
                ),
                opens=derivative and not verdict.reduces,
                correlation=correlation or current_operation(),
            )
        )
        return self._order(client_id)

    def divert(self, outbox: Outbox) -> Outbox:
        """Let another outbox take what is sent from now on; gives the one before."""
        before, self._outbox = self._outbox, outbox
        return before

    def cancel(self, client_id: ClientOrderId, reason: str, correlation: str = "") -> Order:
        """Ask for the end of an open order; repeats are harmless. Never refused by risk.

        Raises:
            NotFoundError: No such order.
            ConflictError: It has already ended.
        """
        order = self._order(client_id)
        if not order.is_open:
            raise ConflictError(f"The order {client_id} is already {order.status}; there is nothing to cancel.")
        seq = self._ledger.record(ev.OrderCancelRequested(client_id=client_id, reason=reason), correlation)
        self._outbox.put(
            CancelEffect(
                seq=seq,
                account=order.account,
                instrument=order.instrument,
                client_id=client_id,
                correlation=correlation or current_operation(),
            )
        )
        return order

    def cancel_matching(self, wanted: Callable[[Order], bool], reason: str, correlation: str = "") -> list[Order]:
        """Cancel every open order for which `wanted` is true; those already being cancelled are asked for again."""
        return [self.cancel(order.client_id, reason, correlation) for order in self.open_orders() if wanted(order)]

    def amend(
        self,
        client_id: ClientOrderId,
        *,
        quantity: Decimal | None = None,
        price: Decimal | None = None,
        stop_price: Decimal | None = None,
        correlation: str = "",
    ) -> Order:
        """Ask to change a working order in place; what holds is what the venue confirms.

        Until then funds and limits are held for the larger of both. A change that is no reduction counts as an order
        for the order rate.

        Raises:
            NotFoundError: No such order.
            ConflictError: It has already ended or is being cancelled.
            OrderRejectionError: The gate refuses the order as it would become.
        """
        order = self._order(client_id)
        if not order.is_open or order.cancel_requested:
            state = order.status if not order.is_open else "being cancelled"
            raise ConflictError(f"The order {client_id} is {state}; it cannot be changed.")
        request = self._as_request(order, quantity, price, stop_price)
        rest = self._rest(order, quantity, price, stop_price)
        now = self._ledger.clock.now()
        verdict = self._gate.check(rest, now, client_id)
        if not verdict.passed:
            self._refuse(request, verdict, correlation)
        seq = self._ledger.record(
            ev.OrderAmendRequested(
                client_id=client_id,
                quantity=quantity,
                price=price,
                stop_price=stop_price,
                reserve_unit=self._reserve_unit(order, request),
            ),
            correlation,
        )
        if not verdict.reduces:
            self._gate.passed(rest, now)
        self._outbox.put(
            AmendEffect(
                seq=seq,
                account=order.account,
                instrument=order.instrument,
                client_id=client_id,
                quantity=quantity,
                price=price,
                stop_price=stop_price,
                opens=not verdict.reduces and self._ledger.state.instruments[order.instrument].kind not in CASH_KINDS,
                correlation=correlation or current_operation(),
            )
        )
        return order

    def open_orders(self) -> list[Order]:
        """All open orders, oldest first."""
        return list(self._ledger.state.orders.values())

    # --- reports -----------------------------------------------------------------------------------------------------

    def submitted(self, client_id: ClientOrderId, durable: int = 0) -> None:
        """The request is leaving for the venue; `durable` is when its intent was found to be durable, 0 for unknown."""
        order = self._ledger.state.orders.get(client_id)
        quote = None if order is None else self._quotes.quote(order.instrument)
        self._ledger.record(
            ev.OrderSubmitted(
                client_id=client_id,
                durable=durable,
                best_bid=None if quote is None else quote.bid,
                best_ask=None if quote is None else quote.ask,
            )
        )

    def unknown(self, client_id: ClientOrderId, reason: str) -> None:
        """The venue's answer was lost."""
        order = self._ledger.state.orders.get(client_id)
        if order is not None and order.status in (OrderStatus.PENDING, OrderStatus.SUBMITTED):
            self._ledger.record(ev.OrderOutcomeUnknown(client_id=client_id, reason=reason))

    def doubted(self, client_id: ClientOrderId, reason: str) -> None:
        """The venue has ended an order and does not tell all that it did: what it did is not known."""
        order = self._ledger.state.orders.get(client_id)
        if order is not None and can_move(order.status, OrderStatus.UNKNOWN):
            self._ledger.record(ev.OrderOutcomeUnknown(client_id=client_id, reason=reason))

    def on_event(self, account: AccountId, event: ev.VenueEvent) -> None:
        """Book what a venue reports; repeats and notices that come too late change nothing."""
        if isinstance(event, ev.OrderFilled):
            self._on_fill(event)
            return
        order = self._ledger.state.order(event.client_id)
        if order is None:
            log.warning("report about an order that is not ours", account=account, client_id=event.client_id)
            return
        if _is_old_news(order, event):
            return
        if isinstance(event, ev.OrderAmended):
            event = self._with_reserve(order, event)
        crash_point("report.received")
        try:
            self._ledger.record(event)
            crash_point("report.applied")
        except IllegalTransitionError as error:
            log.warning("report does not fit the order's life", client_id=event.client_id, problem=error.message)

    def _on_fill(self, event: ev.OrderFilled) -> None:
        fill: Fill = event.fill
        state = self._ledger.state
        if state.has_fill(fill):
            return
        order = state.order(fill.client_id)
        if order is None:
            self.adopt(fill)
            return
        crash_point("fill.received")
        self._ledger.record(event)
        crash_point("fill.applied")
        if order.overfilled:
            log.error("overfilled: the venue executed more than was ordered", client_id=fill.client_id)

    def adopt(self, fill: Fill) -> None:
        """Book an execution of an order that is not ours; what the venue closed by force is told for every owner."""
        state = self._ledger.state
        if state.has_fill(fill):
            return
        log.warning("execution of an order that is not ours", client_id=fill.client_id, fill=fill.key)
        forced = fill.cause is not FillCause.TRADE
        hit = [share.owner for share in external_shares(state, fill)] if forced else []
        self._ledger.record(ev.ExternalFillSeen(fill=fill))
        why = (
            "its margin was used up"
            if fill.cause is FillCause.LIQUIDATION
            else "it stood against somebody's liquidation"
        )
        for owner in hit:
            self._ledger.record(
                ev.PositionLiquidated(
                    account=fill.account,
                    instrument=fill.instrument,
                    owner=owner,
                    reason=f"{fill.venue} closed {fill.quantity.normalize():f} contracts of {fill.instrument} at "
                    f"{fill.price.normalize():f} by force: {why}.",
                    ts=fill.ts,
                )
            )

    def is_ours(self, client_id: str) -> bool:
        """True for the id of an order of this very instance, whether or not it is still known."""
        return self._ids.is_ours(client_id)

    @property
    def instance(self) -> str:
        """Id of the instance whose orders are ours."""
        return self._ids.instance

    # --- parts -------------------------------------------------------------------------------------------------------

    def _order(self, client_id: ClientOrderId) -> Order:
        order = self._ledger.state.order(client_id)
        if order is None:
            raise NotFoundError(f"There is no order {client_id}; list the open ones to see their ids.")
        return order

    def _refuse(self, request: OrderRequest, verdict: Verdict, correlation: str) -> None:
        codes, error = tuple(str(refusal.code) for refusal in verdict.refusals), verdict.error()
        log.info(
            "order refused",
            instrument=request.instrument,
            account=request.account,
            owner=request.owner,
            side=str(request.side),
            quantity=str(request.quantity),
            kind=error.kind,
            refusals=error.details["refusals"],
        )
        self._ledger.record(
            ev.OrderRefused(
                account=request.account,
                instrument=request.instrument,
                owner=request.owner,
                side=request.side,
                type=request.type,
                quantity=request.quantity,
                codes=codes,
                message=verdict.message,
                price=request.price,
            ),
            correlation,
        )
        raise error

    def _with_market(self, request: OrderRequest) -> Decision:
        quote = self._quotes.quote(request.instrument)
        if quote is None:
            return request.decision
        return msgspec.structs.replace(
            request.decision,
            best_bid=quote.bid,
            best_ask=quote.ask,
            mark=quote.mark,
            impact=request.decision.impact or self.estimate(request),
        )

    def _with_reserve(self, order: Order, event: ev.OrderAmended) -> ev.OrderAmended:
        request = self._as_request(order, event.quantity, event.price, event.stop_price)
        return msgspec.structs.replace(event, reserve_unit=self._reserve_unit(order, request))

    def _reserve_unit(self, order: Order, request: OrderRequest) -> Decimal | None:
        state = self._ledger.state
        instrument = state.instruments[order.instrument]
        # A market order has no price of its own to reserve by, and one that reduces nothing to hold: both keep it so.
        if order.type is OrderType.MARKET or (instrument.kind not in CASH_KINDS and not order.reserve_unit):
            return None
        leverage = state.margin(order.account, order.instrument).leverage
        return reservation(request, instrument, self._quotes.quote(order.instrument), leverage)[1]

    def _rest(
        self, order: Order, quantity: Decimal | None, price: Decimal | None, stop_price: Decimal | None
    ) -> OrderRequest:
        """What would be open after a change: what is filled has already become position."""
        request = self._as_request(order, quantity, price, stop_price)
        return msgspec.structs.replace(request, quantity=request.quantity - order.executed)

    @staticmethod
    def _as_request(
        order: Order, quantity: Decimal | None, price: Decimal | None, stop_price: Decimal | None
    ) -> OrderRequest:
        return OrderRequest(
            account=order.account,
            instrument=order.instrument,
            owner=order.owner,
            side=order.side,
            type=order.type,
            quantity=order.quantity if quantity is None else quantity,
            price=order.price if price is None else price,
            stop_price=order.stop_price if stop_price is None else stop_price,
            tif=order.tif,
            post_only=order.post_only,
            reduce_only=order.reduce_only,
            oco_group=order.oco_group,
            decision=order.decision,
            parent=order.parent,
        )


_CHANGES = frozenset({ev.OrderCanceled, ev.OrderExpired, ev.OrderRejected, ev.OrderAmended})
_UNANSWERED = frozenset({OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN, OrderStatus.REJECTED})


def _is_old_news(order: Order, event: ev.VenueEvent) -> bool:
    """Whether a report tells nothing that is not known already, or speaks about what is over."""
    kind = type(event)
    if kind is ev.OrderAccepted:
        return order.venue_order_id == event.venue_order_id and order.status not in _UNANSWERED  # type: ignore[union-attr]
    if kind is ev.OrderTriggered:
        return order.triggered or not order.is_open
    return kind in _CHANGES and not order.is_open

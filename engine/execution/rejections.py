"""What a venue's rejection of a bot's entry leads to: the order as it should have been, or the end of it.

A rejection is the venue's own word that the order does not exist, so a corrected one may follow, as a new order with a
new id that passes risk like any other. Only entries of bots are corrected: what a person confirmed is sent as confirmed
or not at all, and protective and closing orders have their own way of not giving up.
"""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.errors import JournalError, OrderRejectionError, QuarterdeckError
from engine.execution import margins
from engine.logs import get_logger
from engine.model.ids import MANUAL
from engine.model.order import Decision, OrderRequest, OrderType
from engine.model.reserve import reservation
from engine.model.scenario import ScenarioKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.ledger import Ledger
    from engine.model.ids import ClientOrderId
    from engine.model.instrument import Instrument
    from engine.model.order import Order
    from engine.model.risk import Quote, Quotes
    from engine.resilience.handler import ErrorHandler
    from engine.resilience.scenario import Scenario, Scenarios

__all__ = ["NOT_THE_VENUES_WORD", "Correction", "Rejections", "corrected"]

log = get_logger(__name__)

NOT_THE_VENUES_WORD = frozenset(
    {
        *("exchange_connection", "venue_circuit_open", "exchange_rate_limit", "not_found", "unknown_outcome"),
        *(margins.UNVERIFIED, margins.CHANGED),
    }
)
"""Codes under which the engine itself books an order as rejected: the venue never judged it."""
CHAINS = 500
"""Corrected orders remembered at once."""
_LESS = Decimal("0.99")


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it should have been."""

    request: OrderRequest
    words: str
    """What was changed."""


def corrected(order: Order, code: str, instrument: Instrument, quote: Quote | None, free: Decimal) -> Correction | None:
    """Find out what was wrong and what would be right; None where nothing would.

    Args:
        order: As it was rejected.
        code: The venue's code.
        instrument: With the rules in force.
        quote: The present market; None when it is not known.
        free: Free funds of the currency that the order holds.
    """
    quantity = instrument.floor_quantity(order.quantity)
    change: dict[str, object] = {}
    match code:
        case "tick" | "price_precision" if order.price is not None:
            change = {"price": instrument.round_price(order.price)}
        case "lot" | "quantity_precision":
            change = {"quantity": quantity}
        case "max_quantity":
            change = {"quantity": min(quantity, instrument.current_rules.max_quantity or quantity)}
        case "insufficient_balance" | "exchange_insufficient_funds":
            change = {"quantity": _affordable(order, instrument, quote, free)}
        case "post_only" if quote is not None and order.price is not None:
            change = {"price": _beside(order, instrument, quote)}
        case _:
            return None
    request = msgspec.structs.replace(_as_request(order), **change)
    if request.quantity <= 0 or (request.price is not None and request.price <= 0) or _same(request, order):
        return None
    least = max(instrument.current_rules.min_quantity, instrument.current_rules.lot)
    if request.quantity < least:
        return None
    words = ", ".join(f"{name} {getattr(order, name)} -> {value}" for name, value in change.items())
    return Correction(request=request, words=words)


def _affordable(order: Order, instrument: Instrument, quote: Quote | None, free: Decimal) -> Decimal:
    """The quantity that free funds are enough for, a little below, because prices move on the way."""
    _, unit = reservation(_as_request(order), instrument, quote)
    if unit <= 0:
        return Decimal(0)
    return min(instrument.floor_quantity(free * _LESS / unit), instrument.floor_quantity(order.quantity * _LESS))


def _beside(order: Order, instrument: Instrument, quote: Quote) -> Decimal | None:
    """The best price at which a post-only order rests."""
    best = quote.ask if order.side.sign > 0 else quote.bid
    if best is None or order.price is None:
        return order.price
    tick = instrument.current_rules.price_tick
    return min(order.price, best - tick) if order.side.sign > 0 else max(order.price, best + tick)


def _as_request(order: Order) -> OrderRequest:
    return OrderRequest(
        account=order.account,
        instrument=order.instrument,
        owner=order.owner,
        side=order.side,
        type=order.type,
        quantity=order.quantity,
        price=order.price,
        stop_price=order.stop_price,
        tif=order.tif,
        post_only=order.post_only,
        reduce_only=order.reduce_only,
        oco_group=order.oco_group,
        decision=Decision(
            reason=order.decision.reason, strategy=order.decision.strategy, params_hash=order.decision.params_hash
        ),
    )


def _same(request: OrderRequest, order: Order) -> bool:
    return (request.quantity, request.price) == (order.quantity, order.price)


class Rejections:
    """Hears of rejections and orders anew what can be corrected.

    Args:
        ledger: Its facts are heard; its state is looked up.
        submit: Takes the corrected orders; raises when nobody wants to enter there any more, or risk refuses.
        quotes: Present markets.
        errors: Hears of orders that are given up, and gives the figures.
        scenarios: Where each is written down.
    """

    def __init__(
        self,
        ledger: Ledger,
        submit: Callable[[OrderRequest], Order],
        quotes: Quotes,
        errors: ErrorHandler,
        scenarios: Scenarios,
    ) -> None:
        self._ledger = ledger
        self._submit = submit
        self._quotes = quotes
        self._errors = errors
        self._settings = errors.settings.order_rejection
        self._scenarios = scenarios
        self._tries: OrderedDict[ClientOrderId, int] = OrderedDict()
        """Corrected orders -> how many there were before them."""

    def concerns(self, record: ev.Record) -> Order | None:
        """The order of a fact that `act` has something to do for; None for any other."""
        event = record.event
        if not isinstance(event, ev.OrderRejected) or event.code in NOT_THE_VENUES_WORD:
            return None
        order = self._ledger.state.order(event.client_id)
        if order is None or order.owner == MANUAL or order.reduce_only or order.owner not in self._ledger.state.bots:
            return None
        if order.parent is not None:
            # Its parent sees to what was not executed; a corrected order beside it would double that.
            return None
        return order if self._settings.analyze_rejection_reason else None

    def act(self, order: Order, code: str, reason: str) -> Order | None:
        """Order anew what can be corrected; returns the new order, None when it is given up.

        Raises:
            JournalError: Nothing can be booked any more.
        """
        tries = self._tries.pop(order.client_id, 0)
        scenario = self._scenarios.begin(ScenarioKind.REJECTION, order.client_id, f"{code}: {reason}")
        if order.is_open:
            # The venue reported it all the same: it lives.
            scenario.end("The order lives after all.", succeeded=True)
            return None
        if tries >= self._settings.max_retry_attempts:
            self._give_up(scenario, order, code, f"{reason.rstrip('.')}, after {tries} corrections.")
            return None
        instrument = self._ledger.state.instruments[order.instrument]
        free = self._ledger.state.balance(order.account, order.reserve_currency).free
        quote = self._quotes.quote(order.instrument)
        found = corrected(order, code, instrument, quote, free) if self._settings.adjust_parameters else None
        if found is None:
            self._give_up(scenario, order, code, f"{reason.rstrip('.')}; nothing can be corrected.")
            return None
        scenario.step(found.words)
        try:
            again = self._submit(found.request)
        except JournalError:
            raise
        except QuarterdeckError as error:
            self._give_up(scenario, order, code, f"The corrected order was not taken: {error.message}")
            return None
        self._tries[again.client_id] = tries + 1
        while len(self._tries) > CHAINS:
            self._tries.popitem(last=False)
        scenario.end(f"Ordered anew as {again.client_id}.", succeeded=True)
        return again

    def _give_up(self, scenario: Scenario, order: Order, code: str, why: str) -> None:
        scenario.end(why, succeeded=False)
        kind = "market" if order.type is OrderType.MARKET else str(order.type)
        error = OrderRejectionError(
            f"The {order.side} of {order.quantity:f} {order.instrument} ({kind}) was rejected: {why}",
            error_code=code,
            details={"codes": [code]},
        )
        self._errors.report(error, component="execution", operation="reject", order=order.client_id, bot=order.owner)

"""Judges what a round of checks has found: how grave a difference is, and what is done about it. Pure.

The rule for conflicts: up to the tolerance a difference is written down; beyond it, it is brought in line; from the
threshold on the venue's word is taken over as a whole and somebody is told, and where it is money that nobody can
explain, trading halts.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.execution.reconcile import NOT_KNOWN
from engine.model.decimals import ONE
from engine.model.valuation import VIEW
from engine.model.verification import BALANCES, LIMITS, ORDERS, POSITIONS, Finding, Grade

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from engine.execution.accounts import Difference
    from engine.execution.positions import Adopt
    from engine.execution.reconcile import Book
    from engine.model.ids import ClientOrderId
    from engine.model.order import Order
    from engine.resilience.settings import ConsistencySettings
    from engine.risk.uses import LimitUse

__all__ = [
    "LATE_NS",
    "Known",
    "balance_finding",
    "database_findings",
    "grade",
    "limit_findings",
    "order_findings",
    "position_finding",
    "sample_of",
]

LATE_NS = 5_000_000_000
"""A report that has not come in so long after what it tells has been lost; a younger one may be on its way."""
_BREAKERS = frozenset(
    {
        "max_daily_loss_pct",
        "max_weekly_loss_pct",
        "max_monthly_loss_pct",
        "breaker_drawdown_pct",
        "max_drawdown_pct",
    }
)
"""Limits that a breaker must act on when they are reached."""
_RATES = frozenset({"max_orders_per_second", "max_orders_per_minute"})


def grade(fraction: Decimal, figures: ConsistencySettings) -> Grade:
    """How grave a difference of this size is."""
    if fraction >= figures.force_sync_threshold:
        return Grade.FORCED
    return Grade.RECONCILED if fraction > figures.max_discrepancy else Grade.LOGGED


def balance_finding(difference: Difference, figures: ConsistencySettings) -> tuple[Finding, bool]:
    """A balance that differs from the venue's.

    Returns:
        The finding, and whether the venue's word is to be taken over.
    """
    size = difference.fraction
    graded = grade(size, figures)
    take_over = figures.auto_reconcile and graded is not Grade.LOGGED
    if take_over:
        correction = "The venue's word was taken over."
    else:
        correction = "" if graded is Grade.LOGGED else "It was left as it is, as the settings say."
    text = (
        f"The venue has {difference.said:f} {difference.currency}, {difference.booked:f} are booked, and no execution "
        "explains it."
    )
    found = Finding(
        check=BALANCES,
        subject=difference.currency,
        grade=graded,
        text=text,
        discrepancy=size,
        correction=correction,
        before=str(difference.booked),
        after=str(difference.said),
    )
    return found, take_over


def position_finding(adopted: Adopt) -> Finding:
    """A position in a derivative that was taken over from the venue."""
    most = max(abs(adopted.booked), abs(adopted.said))
    return Finding(
        check=POSITIONS,
        subject=adopted.event.instrument,
        grade=Grade.FORCED,
        text=f"The venue has {adopted.said:f} contracts of {adopted.event.instrument}, {adopted.booked:f} were booked, "
        "and no execution explains it.",
        discrepancy=VIEW.divide(abs(adopted.event.quantity), most),
        correction="The difference was taken over as nobody's.",
        before=str(adopted.booked),
        after=str(adopted.said),
    )


# --- orders and executions -------------------------------------------------------------------------------------------


def order_findings(
    booked: Iterable[Book],
    asked: int,
    find: Callable[[ClientOrderId], Order | None],
    figures: ConsistencySettings,
) -> Iterator[Finding]:
    """What was learnt by asking that the venue's reports should have told long before.

    Args:
        booked: What the questions led to.
        asked: When they were asked, UTC nanoseconds.
        find: Looks an order up.
        figures: Tolerances.
    """
    for book in booked:
        for event in book.events:
            match event:
                case ev.OrderFilled(fill=fill) | ev.ExternalFillSeen(fill=fill):
                    if asked - fill.ts <= LATE_NS:
                        continue
                    order = find(fill.client_id)
                    size = VIEW.divide(fill.quantity, order.quantity) if order is not None else ONE
                    text = f"An execution of {fill.quantity:f} {fill.instrument} was never reported."
                    yield _order(POSITIONS, fill.client_id, text, size, figures, "It was booked.")
                case ev.OrderAmended():
                    order = find(event.client_id)
                    if asked - event.ts <= LATE_NS or order is None:
                        continue
                    text = f"A change of the order {event.client_id} was never reported."
                    yield _order(ORDERS, event.client_id, text, ONE, figures, "The venue's word was taken over.")
                case ev.OrderAdopted():
                    text = f"The order {event.client_id} works at the venue and was not tracked."
                    yield _order(ORDERS, event.client_id, text, ONE, figures, "It was taken over.")
                case ev.OrderCanceled() | ev.OrderExpired() | ev.OrderRejected():
                    lost = isinstance(event, ev.OrderCanceled) and event.reason == NOT_KNOWN
                    if lost or (asked - event.ts > LATE_NS and not isinstance(event, ev.OrderRejected)):
                        text = f"The end of the order {event.client_id} was never reported."
                        yield _order(ORDERS, event.client_id, text, ONE, figures, "It is over here, too.")


def _order(
    check: str, subject: str, text: str, size: Decimal, figures: ConsistencySettings, correction: str
) -> Finding:
    return Finding(
        check=check,
        subject=subject,
        grade=grade(min(size, ONE), figures),
        text=text,
        discrepancy=min(size, ONE),
        correction=correction,
    )


# --- the database ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Known:
    """What one side knows of an ended order."""

    status: str
    filled: Decimal
    executions: Decimal
    """Sum of its executions."""
    updated: int = 0
    """Last change in memory, UTC nanoseconds; 0 where it is not from there."""


def sample_of(orders: Iterable[Order]) -> dict[ClientOrderId, Known]:
    """What memory knows of these orders."""
    return {order.client_id: Known(order.status, order.filled, order.filled, order.updated) for order in orders}


def database_findings(
    memory: Mapping[ClientOrderId, Known], stored: Mapping[ClientOrderId, Known], figures: ConsistencySettings
) -> Iterator[Finding]:
    """Where the tables of history differ from memory, which the journal stands behind."""
    for client_id, known in memory.items():
        there = stored.get(client_id)
        if there is None:
            text = f"The order {client_id} has ended and is missing in the database."
            yield _order(ORDERS, client_id, text, ONE, figures, _REMADE)
            continue
        if there.status != known.status:
            text = f"The order {client_id} is {known.status} and stands in the database as {there.status}."
            yield _order(ORDERS, client_id, text, ONE, figures, _REMADE)
        if there.executions != known.executions or there.filled != known.filled:
            size = VIEW.divide(
                max(abs(there.executions - known.executions), abs(there.filled - known.filled)),
                max(known.executions, there.executions, there.filled, Decimal("1e-18")),
            )
            text = (
                f"The executions of the order {client_id} add up to {known.executions:f}, in the database to "
                f"{there.executions:f}."
            )
            yield _order(POSITIONS, client_id, text, size, figures, _REMADE)


_REMADE = "Its rows were made anew from the journal."


# --- limits ----------------------------------------------------------------------------------------------------------


def limit_findings(
    uses: Iterable[LimitUse], *, acting: bool, figures: ConsistencySettings
) -> Iterator[tuple[Finding, bool]]:
    """Limits that are exceeded.

    Args:
        uses: Every limit with its use.
        acting: Whether trading is held or a breaker is open.
        figures: Tolerances.

    Yields:
        A finding, and whether trading has to be halted because a breaker should have acted and did not.
    """
    for use in uses:
        if use.share is None or use.share <= 1 or use.name in _RATES:
            continue
        over = Decimal(str(use.share)) - ONE
        graded = grade(over, figures)
        failed = use.name in _BREAKERS and not acting and graded is not Grade.LOGGED
        if failed:
            correction = "No breaker has acted on it: trading was halted."
        elif use.name in _BREAKERS:
            correction = "A breaker holds trading."
        else:
            correction = "Nothing is opened until it is within its limit; reductions pass."
        yield (
            Finding(
                check=LIMITS,
                subject=use.name,
                grade=Grade.FORCED if failed else graded,
                text=f"{use.label}: {use.used} of {use.limit}.",
                discrepancy=over,
                correction=correction,
                before=use.used,
                after=use.limit,
            ),
            failed,
        )

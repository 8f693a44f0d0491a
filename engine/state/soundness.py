"""Whether a state contradicts itself: positions against parts, balances against flows, orders against their rules.

Every rule here follows from the fold, so a state that breaks one was not made by it: a bit flipped in memory or on
disk, or a fault of this program. Pure; the checks of orders take any part of them, so that a caller can go in small
steps.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from engine.model.decimals import ZERO, exact
from engine.model.ids import MANUAL
from engine.model.instrument import CASH_KINDS
from engine.model.order import OPEN_STATUSES
from engine.model.verification import BALANCES, ORDERS, POSITIONS, Finding, Grade
from engine.state.money import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from decimal import Decimal

    from engine.model.algos import Parent
    from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, ParentId
    from engine.model.order import Order
    from engine.state.core import EngineState

__all__ = ["check_balances", "check_capital", "check_orders", "check_parents", "check_positions", "flaws"]


def flaws(state: EngineState, *, owners: bool = True) -> list[Finding]:
    """Every contradiction in a state; empty when it is sound.

    Args:
        state: What is looked at.
        owners: Whether open orders must belong to somebody who is known, which the bots' manager sees to, not the fold.
    """
    return [
        *check_balances(state),
        *check_capital(state),
        *check_positions(state),
        *check_orders(state, state.orders.items(), working=True, owners=owners),
        *check_orders(state, state.recent.items(), working=False),
        *check_parents(state),
    ]


def _flaw(check: str, subject: str, text: str, booked: object = "", expected: object = "") -> Finding:
    return Finding(
        check=check, subject=subject, grade=Grade.CORRUPT, text=text, before=str(booked), after=str(expected)
    )


# --- balances --------------------------------------------------------------------------------------------------------


def check_balances(state: EngineState) -> Iterator[Finding]:
    """Balances against what flowed, and funds held against the orders that hold them."""
    with exact():
        flows = _flows(state)
        held = _held(state)
    for account, balances in state.balances.items():
        if account not in state.accounts:
            yield _flaw(BALANCES, account, f"There are balances of an account {account} that is not known.")
        for currency, balance in balances.items():
            expected, reserved = flows[account, currency], held[account, currency]
            if balance.total != expected:
                text = (
                    f"The {currency} of {account} are {balance.total:f}, but what came in and went out is {expected:f}."
                )
                yield _flaw(BALANCES, currency, text, balance.total, expected)
            if balance.reserved != reserved:
                text = (
                    f"{balance.reserved:f} {currency} of {account} are held for orders, but the open ones hold "
                    f"{reserved:f}."
                )
                yield _flaw(BALANCES, currency, text, balance.reserved, reserved)


def _flows(state: EngineState) -> dict[tuple[AccountId, Currency], Decimal]:
    """Every balance counted from sums and lots: money moved, profit less costs, what spot positions are and cost."""
    flows: dict[tuple[AccountId, Currency], Decimal] = defaultdict(lambda: ZERO)
    for key, sums in state.sums.items():
        flows[key] += sums.deposits + sums.adjustments + sums.realised - sums.fees - sums.funding - sums.interest
    for (account, instrument_id), position in state.positions.items():
        instrument = state.instruments.get(instrument_id)
        if instrument is not None and instrument.kind in CASH_KINDS:
            flows[account, instrument.settle] -= position.cost(instrument.multiplier)
            flows[account, instrument.base] += position.quantity
    return flows


def _held(state: EngineState) -> dict[tuple[AccountId, Currency], Decimal]:
    held: dict[tuple[AccountId, Currency], Decimal] = defaultdict(lambda: ZERO)
    groups: dict[tuple[str, AccountId, Currency], Decimal] = {}
    for order in state.orders.values():
        if order.oco_group is None:
            held[order.account, order.reserve_currency] += order.reserved
        else:
            key = (order.oco_group, order.account, order.reserve_currency)
            groups[key] = max(groups.get(key, ZERO), order.reserved)
    for (_, account, currency), amount in groups.items():
        held[account, currency] += amount
    return held


def check_capital(state: EngineState) -> Iterator[Finding]:
    """Locks and planned transfers against their rules; both are of accounts that are known."""
    for account, entry in state.capital.items():
        if account not in state.accounts:
            yield _flaw(BALANCES, account, f"Capital is kept of an account {account} that is not known.")
        for lock, held in entry.locks.items():
            if held.amount <= ZERO:
                yield _flaw(BALANCES, lock, f"The locked profit {lock} of {account} is {held.amount:f}.")
    for transfer, planned in state.transfers.items():
        if planned.amount <= ZERO or planned.source == planned.target:
            yield _flaw(BALANCES, transfer, f"The planned transfer {transfer} moves nothing.")


# --- positions -------------------------------------------------------------------------------------------------------


def check_positions(state: EngineState) -> Iterator[Finding]:
    """Accounts' positions against the parts of their owners, and lots against the rules of lots."""
    with exact():
        parts: dict[tuple[AccountId, InstrumentId], Decimal] = defaultdict(lambda: ZERO)
        for (_, account, instrument_id), part in state.owned.items():
            parts[account, instrument_id] += part.quantity
        for (account, instrument_id), position in state.positions.items():
            if instrument_id not in state.instruments:
                yield _flaw(POSITIONS, instrument_id, f"There is a position in {instrument_id}, which is not known.")
            quantity, sum_of_parts = position.quantity, parts.pop((account, instrument_id), ZERO)
            if quantity != sum_of_parts:
                text = (
                    f"{account} holds {quantity:f} {instrument_id}, but the parts of its owners add up to "
                    f"{sum_of_parts:f}."
                )
                yield _flaw(POSITIONS, instrument_id, text, quantity, sum_of_parts)
            signs = {lot.quantity > ZERO for lot in position.lots}
            if len(signs) > 1 or any(not lot.quantity or lot.price < ZERO for lot in position.lots):
                text = f"The lots of {instrument_id} in {account} cannot be: empty, of both signs or of no price."
                yield _flaw(POSITIONS, instrument_id, text)
        for (account, instrument_id), quantity in parts.items():
            if quantity:
                text = f"Owners hold {quantity:f} {instrument_id} in {account}, which holds nothing of it."
                yield _flaw(POSITIONS, instrument_id, text, 0, quantity)


# --- orders ----------------------------------------------------------------------------------------------------------


def check_orders(
    state: EngineState, orders: Iterable[tuple[ClientOrderId, Order]], *, working: bool, owners: bool = True
) -> Iterator[Finding]:
    """Orders against the rules of their life, and what they refer to.

    Args:
        state: What they are part of.
        orders: Any of `state.orders` or of `state.recent`.
        working: Whether they are from `state.orders`.
        owners: Whether those must belong to somebody who is known.
    """
    for client_id, order in orders:
        if working and owners and order.owner not in state.bots and order.owner not in (MANUAL, EXTERNAL):
            yield _flaw(ORDERS, client_id, f"The order {client_id} belongs to {order.owner}, which is not known.")
        for text in _order_flaws(state, client_id, order, working=working):
            yield _flaw(ORDERS, client_id, f"The order {client_id} {text}.")


def _order_flaws(state: EngineState, client_id: ClientOrderId, order: Order, *, working: bool) -> Iterator[str]:
    if order.client_id != client_id:
        yield f"is kept under another id than its own, {order.client_id}"
    if (order.status in OPEN_STATUSES) is not working:
        yield f"is {order.status} and kept among the {'open' if working else 'ended'} ones"
    if order.account not in state.accounts or order.instrument not in state.instruments:
        yield f"is of {order.account} in {order.instrument}, which is not known"
    if order.quantity <= ZERO or order.filled < ZERO or order.executed_before < ZERO:
        yield f"has impossible quantities: {order.filled:f} of {order.quantity:f}"
    if order.executed > order.quantity and not order.overfilled and not order.pending_amends and working:
        yield f"is filled with {order.executed:f}, more than its {order.quantity:f}"
    if bool(order.fill_keys) is not bool(order.filled):
        yield f"is filled with {order.filled:f} by {len(order.fill_keys)} executions"


# --- parent orders ---------------------------------------------------------------------------------------------------


def check_parents(state: EngineState) -> Iterator[Finding]:
    """Parent orders against the rules of their life, and the register of their children against the open orders."""
    families: dict[ParentId, list[ClientOrderId]] = defaultdict(list)
    for order in state.orders.values():
        if order.parent is not None:
            families[order.parent].append(order.client_id)
    for parent_id in {*families, *state.families}:
        if sorted(families.get(parent_id, [])) != sorted(state.families.get(parent_id, [])):
            yield _flaw(ORDERS, parent_id, f"The open orders of the parent {parent_id} are not those that name it.")
    for parents, working in ((state.parents, True), (state.ended_parents, False)):
        for parent_id, parent in parents.items():
            for text in _parent_flaws(state, parent_id, parent, working=working):
                yield _flaw(ORDERS, parent_id, f"The parent order {parent_id} {text}.")


def _parent_flaws(state: EngineState, parent_id: ParentId, parent: Parent, *, working: bool) -> Iterator[str]:
    if parent.id != parent_id:
        yield f"is kept under another name than its own, {parent.id}"
    if parent.is_open is not working:
        yield f"is {parent.status} and kept among the {'open' if working else 'ended'} ones"
    if parent.account not in state.accounts or parent.instrument not in state.instruments:
        yield f"is of {parent.account} in {parent.instrument}, which is not known"
    if parent.quantity <= ZERO or parent.executed < ZERO or parent.exited < ZERO or parent.pace <= 0:
        yield f"has impossible quantities: {parent.executed:f} of {parent.quantity:f}"

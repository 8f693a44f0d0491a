"""The judge of the wire chaos test: the exchanges' own ledgers against what the engine's journal makes of it all."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.errors import QuarterdeckError
from engine.execution.accounts import ROUNDING
from engine.model.decimals import ZERO, exact
from engine.model.instrument import CASH_KINDS
from engine.model.order import OrderStatus
from engine.state import EngineState
from storage.journal import Reader

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from engine.model.fill import Fill
    from engine.model.order import Order
    from tests.chaos.wire_world import Harbour
    from tests.wire.ledger import WireOrder

__all__ = ["WireVerdict", "judge"]

GIVEN_UP = "not_found"
"""Code of an order's end that the venue was believed not to know."""
ROUNDED = "the venue rounds profit"
"""Reason of corrections that only say so."""


@dataclass
class WireVerdict:
    """What was found; all lists are empty when every promise was kept."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    differs: list[str] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)
    orders: Counter[str] = field(default_factory=Counter)
    """Orders at each exchange."""
    fills: Counter[str] = field(default_factory=Counter)
    corrections: int = 0
    """Corrections of balances that were taken back, because a venue showed money before its execution."""

    @property
    def problems(self) -> list[str]:
        """Everything, in words."""
        groups = (
            ("lost", self.lost),
            ("doubled", self.doubled),
            ("differs", self.differs),
            ("limits", self.limits),
        )
        return [f"{name}: {what}" for name, found in groups for what in found]


@dataclass
class _Journal:
    """What the journal says, folded fact by fact."""

    state: EngineState = field(default_factory=EngineState)
    orders: dict[str, Order] = field(default_factory=dict)
    fills: dict[str, list[Fill]] = field(default_factory=lambda: defaultdict(list))
    given_up: set[str] = field(default_factory=set)
    strangers: list[str] = field(default_factory=list)
    corrected: dict[tuple[str, str], list[Decimal]] = field(default_factory=lambda: defaultdict(list))
    """Amounts by which balances were corrected to the venue's word, by account and currency; rounding apart."""

    def take(self, record: ev.Record) -> None:
        self.state.apply(record)
        event = record.event
        name: Any = getattr(event, "client_id", None)
        match event:
            case ev.OrderFilled(fill=fill):
                name = fill.client_id
                self.fills[fill.account].append(fill)
            case ev.ExternalFillSeen(fill=fill):
                self.strangers.append(f"execution {fill.key} was taken for a stranger's")
            case ev.OrderRejected(code=code) if code == GIVEN_UP:
                self.given_up.add(name)
            case ev.OrderAdopted():
                self.strangers.append(f"{name} had to be adopted")
            case ev.BalanceAdjusted(reason=reason) if reason != ROUNDED:
                self.corrected[event.account, event.currency].append(event.amount)
        if name is not None and (order := self.state.order(name)) is not None:
            self.orders[name] = order


def judge(home: Path, harbours: list[Harbour]) -> WireVerdict:
    """Judge a home folder whose engine has stopped, against exchanges at which nothing is open any more."""
    verdict, journal = WireVerdict(), _Journal()
    reader = Reader(home / "journal.db")
    try:
        reader.verify()
        for record in reader.records():
            journal.take(record)
    except QuarterdeckError as error:
        verdict.lost.append(f"the journal cannot be used: {error}")
        return verdict
    finally:
        reader.close()
    verdict.lost += journal.strangers
    # A venue may show money before the execution that moved it: what is corrected for that has to be taken back.
    for (account, currency), amounts in journal.corrected.items():
        verdict.corrections += len(amounts)
        with exact():
            if left := sum(amounts):
                verdict.differs.append(f"{account} {currency}: corrected by {left}, which nothing explains")
    for harbour in harbours:
        _judge_orders(verdict, journal, harbour)
        _judge_fills(verdict, journal, harbour)
        with exact():
            _judge_money(verdict, journal, harbour)
        _judge_limits(verdict, harbour)
    return verdict


def _judge_orders(verdict: WireVerdict, journal: _Journal, harbour: Harbour) -> None:
    there = {o.client_id: o for o in harbour.exchange.ledger.orders(harbour.account)}
    here = {name: order for name, order in journal.orders.items() if order.account == harbour.account}
    verdict.orders[harbour.venue] = len(there)
    again = {name: count for name, count in harbour.arrivals.items() if count > 1}
    verdict.doubled += [f"{harbour.venue} was sent {name} {count} times" for name, count in again.items()]
    for name, order in there.items():
        if name not in here:
            verdict.lost.append(f"{harbour.venue} has {name}, which the journal does not know")
            continue
        if name in journal.given_up:
            verdict.lost.append(f"{name} was given up while {harbour.venue} had it")
        verdict.differs += _compare(here[name], order)
    for mine in here.values():
        if mine.client_id in there:
            continue
        if mine.filled or mine.status not in (OrderStatus.REJECTED, OrderStatus.CANCELED):
            words = f"{mine.client_id} is {mine.status} with {mine.filled} filled"
            verdict.lost.append(f"{words}; {harbour.venue} never had it")


def _compare(order: Order, there: WireOrder) -> list[str]:
    mine = (order.status, order.filled.normalize(), order.quantity.normalize())
    other = (there.status, there.filled.normalize(), there.quantity.normalize())
    words = [f"{order.client_id}: {mine} booked, {other} at the venue"] if mine != other else []
    # The type may be another one: where a venue has no market orders within bounds, a limit order is sent.
    if (order.instrument, order.side) != (there.command.instrument, there.command.side):
        words.append(f"{order.client_id}: another order is booked than the venue has")
    return words


def _judge_fills(verdict: WireVerdict, journal: _Journal, harbour: Harbour) -> None:
    """Each execution is booked once, with its price, quantity and fee."""
    there = [fill for _, fill in harbour.exchange.ledger.fills_of(harbour.account)]
    verdict.fills[harbour.venue] = len(there)
    booked, true = Counter(map(_says, journal.fills[harbour.account])), Counter(map(_says, there))
    verdict.lost += [f"execution {says} is not booked" for says in (true - booked).elements()]
    verdict.doubled += [f"execution {says} is booked and never was" for says in (booked - true).elements()]


def _says(fill: Fill) -> tuple[str, ...]:
    amounts = (fill.price, fill.quantity, fill.fee)
    words = (fill.client_id, fill.instrument, fill.side.value, fill.liquidity.value, fill.fee_currency)
    return (*words, *(f"{amount.normalize():f}" for amount in amounts))


def _judge_money(verdict: WireVerdict, journal: _Journal, harbour: Harbour) -> None:
    account, exchange = harbour.account, harbour.exchange
    there = {b.currency: b.total for b in exchange.balances(account)}
    for currency in {*there, *journal.state.balances.get(account, {})}:
        held = journal.state.balance(account, currency)
        # Profit of derivatives is rounded by the venue; the last of it is taken over by the next comparison.
        settles = any(i.settle == currency and i.kind not in CASH_KINDS for i in harbour.instruments)
        if abs(held.total - there.get(currency, ZERO)) > (ROUNDING if settles else ZERO):
            verdict.differs.append(f"{account} {currency}: {held.total} booked, {there.get(currency, 0)} at the venue")
        if held.reserved:
            verdict.differs.append(f"{account} {currency}: {held.reserved} are held for orders that have ended")
    positions = {p.instrument: p.quantity for p in exchange.paper.positions(account, exchange.time())}
    for (owner, instrument), position in journal.state.positions.items():
        if owner == account and ":" in instrument.partition(":")[2]:
            true = positions.get(instrument, 0)
            if position.quantity != true:
                verdict.differs.append(f"{instrument}: position {position.quantity}, {true} at the venue")


def _judge_limits(verdict: WireVerdict, harbour: Harbour) -> None:
    limits = harbour.simulator.limits.violations
    verdict.limits += [f"{harbour.venue}: {name} was exceeded {count} times" for name, count in limits.items()]
    verdict.limits += [
        f"{harbour.venue}: {path} was asked {count} times while it had asked for a pause"
        for path, count in harbour.breaches.items()
    ]
    unknown = harbour.simulator.unknown
    verdict.limits += [f"{harbour.venue} does not have {path} ({count} times)" for path, count in unknown.items()]

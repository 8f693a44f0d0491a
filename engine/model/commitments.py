"""What is held and what open orders could still change, summed by instrument and owner.

A running index over the state: `hear` keeps it current fact by fact, and `fresh` makes up for whatever was not heard,
so a caller that never subscribes gets the same answers, only slower. Members of an OCO group count as the largest of
them, because what one fills the others lose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from engine import events as ev
from engine.model.decimals import ONE, ZERO, within
from engine.model.instrument import CASH_KINDS, Instrument, InstrumentKind
from engine.model.order import Order, OrderRequest, OrderSide
from engine.model.reserve import worst_unit
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, Owner
    from engine.state import EngineState

__all__ = ["Commitments", "Line", "Overlay", "Working"]

_ORDER_FACTS: frozenset[type] = frozenset(
    {
        ev.OrderIntended,
        ev.OrderAdopted,
        ev.OrderAccepted,
        ev.OrderRejected,
        ev.OrderAmendRequested,
        ev.OrderAmended,
        ev.OrderCancelRejected,
        ev.OrderCanceled,
        ev.OrderExpired,
    }
)


class Line:
    """Quantity held and open orders of one account, or of one owner, in one instrument."""

    __slots__ = ("buys", "cost", "quantity", "reserved", "sells", "version", "working_units")

    def __init__(self) -> None:
        self.quantity = ZERO
        """Signed base units held."""
        self.cost = ZERO
        """Signed cost of the open lots, in quote currency."""
        self.buys = ZERO
        """Base units that open buy orders could still add."""
        self.sells = ZERO
        """Base units that open sell orders could still take."""
        self.reserved: dict[Currency, Decimal] = {}
        """Funds held by open orders; units of a spot base offered for sale are not funds and do not count."""
        self.working_units: dict[_Unit, Working] = {}
        """What is open, and what one unit of it can come to."""
        self.version = 0
        """Counts every change."""

    def working(self, side: OrderSide) -> Decimal:
        """Open quantity of one side."""
        return self.buys if side is OrderSide.BUY else self.sells


class _Unit(NamedTuple):
    """What counts once: an order by itself, or the members of an OCO group on one side."""

    account: AccountId
    instrument: InstrumentId
    owner: Owner
    side: OrderSide
    name: str


class Working(NamedTuple):
    """Open quantity of one side, and what one unit can come to at most in quote currency, fee included."""

    side: OrderSide
    quantity: Decimal
    worst: Decimal


Overlay = dict[_Unit, Working | None]
"""What another order would change of a line: the new values of the units it touches; None for what would be gone."""


class _Counted(NamedTuple):
    quantity: Decimal
    reserved: Decimal
    currency: Currency
    worst: Decimal


class Commitments:
    """The index; `EngineState` stays the truth."""

    def __init__(self, state: EngineState) -> None:
        self._state = state
        self._seq = -1
        self._flat = Line()
        self.lines: dict[tuple[AccountId, InstrumentId], Line] = {}
        """Whole accounts, by account and instrument."""
        self.by_account: dict[AccountId, dict[InstrumentId, Line]] = {}
        """The same lines by account."""
        self.owned: dict[tuple[Owner, AccountId, InstrumentId], Line] = {}
        """Owners' parts."""
        self._parts: dict[tuple[AccountId, InstrumentId], dict[Owner, Line]] = {}
        self._unit_of: dict[ClientOrderId, _Unit] = {}
        self._members: dict[_Unit, list[ClientOrderId]] = {}
        self._counted: dict[_Unit, _Counted] = {}
        self._dirty_orders: dict[ClientOrderId, None] = {}
        self._dirty_positions: dict[tuple[Owner, AccountId, InstrumentId], None] = {}

    # --- keeping current ---------------------------------------------------------------------------------------------

    def hear(self, record: ev.Record) -> None:
        """Note which sums a fact touches; subscribe it to the ledger."""
        if record.seq != self._seq + 1:
            return
        self._seq = record.seq
        event = record.event
        if type(event) in _ORDER_FACTS:
            self._dirty_orders[event.client_id] = None  # type: ignore[union-attr, index]
        elif isinstance(event, ev.OrderFilled):
            fill = event.fill
            self._dirty_orders[fill.client_id] = None
            order = self._state.order(fill.client_id)
            if order is None:
                self._seq = -1
            else:
                self._dirty_positions[order.owner, fill.account, fill.instrument] = None
        elif isinstance(event, ev.ExternalFillSeen | ev.PositionAdopted):
            # The fold alone knows whom it books these to.
            self._seq = -1

    def fresh(self) -> None:
        """Bring the sums up to the state."""
        if self._seq != self._state.meta.seq:
            self._rebuild()
            return
        if not self._dirty_orders and not self._dirty_positions:
            return
        with within(VIEW):
            for client_id in self._dirty_orders:
                self._count(client_id)
            for key in self._dirty_positions:
                self._weigh(key)
        self._dirty_orders.clear()
        self._dirty_positions.clear()

    def _rebuild(self) -> None:
        for index in (
            self.lines,
            self.by_account,
            self.owned,
            self._parts,
            self._unit_of,
            self._members,
            self._counted,
        ):
            index.clear()
        self._dirty_orders.clear()
        self._dirty_positions.clear()
        with within(VIEW):
            for key, position in self._state.owned.items():
                if position.lots:
                    self._weigh(key)
            for client_id in self._state.orders:
                self._count(client_id)
        self._seq = self._state.seq

    def _weigh(self, key: tuple[Owner, AccountId, InstrumentId]) -> None:
        _, account, instrument_id = key
        instrument = self._state.instruments[instrument_id]
        for line, position in (
            (self._own(key), self._state.owned[key]),
            (self._whole(account, instrument_id), self._state.positions[account, instrument_id]),
        ):
            line.quantity = position.quantity
            line.cost = position.cost(instrument.multiplier)
            line.version += 1

    def _count(self, client_id: ClientOrderId) -> None:
        order = self._state.orders.get(client_id)
        unit = self._unit_of.get(client_id)
        if unit is None:
            if order is None:
                return
            name = client_id if order.oco_group is None else f"oco {order.oco_group}"
            unit = self._unit_of[client_id] = _Unit(order.account, order.instrument, order.owner, order.side, name)
            self._members.setdefault(unit, []).append(client_id)
        if order is None:
            del self._unit_of[client_id]
            members = self._members.get(unit, [])
            if client_id in members:
                members.remove(client_id)
        self._replace(unit, self._weight(unit))

    def _weight(self, unit: _Unit, without: ClientOrderId | None = None) -> _Counted | None:
        orders = self._state.orders
        members = [orders[i] for i in self._members.get(unit, ()) if i in orders and i != without]
        if not members:
            return None
        reserved = ZERO if self._offers_base(members[0]) else max(order.reserved for order in members)
        instrument = self._state.instruments[unit.instrument]
        worst = max(self._worst(order, instrument) for order in members)
        return _Counted(max(order.working for order in members), reserved, members[0].reserve_currency, worst)

    def _worst(self, order: Order, instrument: Instrument) -> Decimal:
        """What one unit can come to, with a change of the order that is not answered yet."""
        worst, held = worst_unit(order, instrument), order.pending_reserve_unit
        if held is None or self._offers_base(order):
            return worst
        rules = instrument.current_rules
        fee = max(rules.maker_fee, rules.taker_fee, ZERO)
        if instrument.kind not in CASH_KINDS:
            # What is held is margin and fee: together they tell the value that was asked for.
            leverage = self._state.margin(order.account, order.instrument).leverage
            held = held / (ONE / leverage + fee) * (ONE + fee)
        return max(worst, held)

    def _offers_base(self, order: Order) -> bool:
        kind = self._state.instruments[order.instrument].kind
        return kind is InstrumentKind.SPOT and order.side is OrderSide.SELL

    def _replace(self, unit: _Unit, now: _Counted | None) -> None:
        before = self._counted.pop(unit, None)
        if now is not None:
            self._counted[unit] = now
        else:
            self._members.pop(unit, None)
        for line in (
            self._whole(unit.account, unit.instrument),
            self._own((unit.owner, unit.account, unit.instrument)),
        ):
            line.version += 1
            if now is None:
                line.working_units.pop(unit, None)
            else:
                line.working_units[unit] = Working(unit.side, now.quantity, now.worst)
            for counted, sign in ((before, -1), (now, 1)):
                if counted is None:
                    continue
                if unit.side is OrderSide.BUY:
                    line.buys += sign * counted.quantity
                else:
                    line.sells += sign * counted.quantity
                held = line.reserved.get(counted.currency, ZERO) + sign * counted.reserved
                line.reserved[counted.currency] = held

    def _whole(self, account: AccountId, instrument: InstrumentId) -> Line:
        line = self.lines.get((account, instrument))
        if line is None:
            line = self.lines[account, instrument] = Line()
            self.by_account.setdefault(account, {})[instrument] = line
        return line

    def _own(self, key: tuple[Owner, AccountId, InstrumentId]) -> Line:
        line = self.owned.get(key)
        if line is None:
            line = self.owned[key] = self._parts.setdefault(key[1:], {})[key[0]] = Line()
        return line

    # --- asking ------------------------------------------------------------------------------------------------------

    def line(self, account: AccountId, instrument: InstrumentId) -> Line:
        """The account's sums in one instrument; all zero when there is nothing. Call `fresh` first."""
        return self.lines.get((account, instrument), self._flat)

    def in_play(self, account: AccountId, instrument: InstrumentId, line: Line) -> bool:
        """Whether anything of a line is held or ordered, also where owners stand against each other and it sums to 0.

        Args:
            account: Whose line it is.
            instrument: In what.
            line: The account's whole.
        """
        if line.quantity or line.buys or line.sells:
            return True
        return any(part.quantity for part in self._parts.get((account, instrument), {}).values())

    def own(self, owner: Owner, account: AccountId, instrument: InstrumentId) -> Line:
        """One owner's sums in one instrument; all zero when there is nothing. Call `fresh` first."""
        return self.owned.get((owner, account, instrument), self._flat)

    def parts(self, account: AccountId, instrument: InstrumentId) -> Mapping[Owner, Line]:
        """All owners' sums in one instrument. Call `fresh` first."""
        return self._parts.get((account, instrument), {})

    def added(self, request: OrderRequest, replaces: ClientOrderId | None = None) -> Decimal:
        """Open quantity that a request would add on its side, with the order `replaces` gone; may be negative."""
        unit = _Unit(request.account, request.instrument, request.owner, request.side, f"oco {request.oco_group}")
        change = ZERO
        old = self._unit_of.get(replaces) if replaces is not None else None
        if old is not None and old[:2] == unit[:2] and old.side is unit.side:
            rest = self._weight(old, without=replaces)
            change = (rest.quantity if rest is not None else ZERO) - self._counted[old].quantity
        if request.oco_group is None:
            return change + request.quantity
        peers = self._weight(unit, without=replaces)
        before = peers.quantity if peers is not None else ZERO
        return change + max(before, request.quantity) - before

    def overlay(self, request: OrderRequest, worst: Decimal, changes: ClientOrderId | None = None) -> Overlay:
        """What booking a request would change of its line.

        Args:
            request: The order.
            worst: What one unit of it can come to at most, see `worst_unit`.
            changes: The order that the request is a change of: until the venue has answered, both count.
        """
        unit = self._unit_of.get(changes) if changes is not None else None
        if unit is None:
            name = "" if request.oco_group is None else f"oco {request.oco_group}"
            unit = _Unit(request.account, request.instrument, request.owner, request.side, name)
        known = self._weight(unit)
        if known is None:
            return {unit: Working(request.side, request.quantity, worst)}
        return {unit: Working(request.side, max(known.quantity, request.quantity), max(known.worst, worst))}

"""The money of one paper account: totals, what open orders hold of them, and what shorts hold."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ZERO
from engine.model.ids import AccountId, Currency, InstrumentId
from engine.model.margin import MarginSetting
from engine.model.position import Position
from engine.model.venue import VenueBalance

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.instrument import Instrument
    from engine.venues.paper.orders import PaperOrder

__all__ = ["AccountImage", "PaperAccount", "Short"]

# How much may be bought or released is a bound and not booked money, so this one division may round, downwards.
BOUND = decimal.Context(prec=40, rounding=decimal.ROUND_FLOOR, traps=[decimal.InvalidOperation, decimal.DivisionByZero])


class Short(msgspec.Struct):
    """A short in one instrument: what was sold without being owned."""

    quantity: Decimal
    """Base units, > 0."""
    held: Decimal
    """Quote currency held for it: the proceeds and as much again."""


class AccountImage(msgspec.Struct, frozen=True):
    """What of an account is stored; funds held for orders follow from the orders."""

    account: AccountId
    totals: dict[Currency, Decimal]
    shorts: dict[InstrumentId, Short]
    positions: dict[InstrumentId, Position] = {}
    margins: dict[InstrumentId, MarginSetting] = {}


class PaperAccount:
    """Balances of one account. Amounts are exact decimals; run the changing methods in the exact context.

    The members of an OCO group can never all fill, so a group holds, per currency, what its largest member needs.
    """

    def __init__(self, account: AccountId, totals: Mapping[Currency, Decimal]) -> None:
        self.id = account
        self.totals: dict[Currency, Decimal] = dict(totals)
        self.locked: dict[Currency, Decimal] = {}
        self.shorts: dict[InstrumentId, Short] = {}
        self.positions: dict[InstrumentId, Position] = {}
        """Open positions in perpetuals."""
        self.margins: dict[InstrumentId, MarginSetting] = {}
        """Leverage and margin mode where they were set."""
        self.used: dict[Currency, Decimal] = {}
        """What positions in perpetuals use of a currency; follows from positions and marks."""
        self.groups: dict[str, list[PaperOrder]] = {}
        """Open members of each OCO group, in order of arrival."""

    # --- reading -----------------------------------------------------------------------------------------------------

    def total(self, currency: Currency) -> Decimal:
        """All of a currency, free or held."""
        return self.totals.get(currency, ZERO)

    def free(self, currency: Currency) -> Decimal:
        """What new orders may use."""
        return self.totals.get(currency, ZERO) - self._locked(currency)

    def available(self, order: PaperOrder, currency: Currency) -> Decimal:
        """What an order may use of a currency: the free funds and those it or its group already holds."""
        return self.free(currency) + self._held_by(order, currency)

    def balances(self) -> list[VenueBalance]:
        """All balances that are not zero, by currency."""
        return [
            VenueBalance(currency=c, total=t, locked=self._locked(c))
            for c, t in sorted(self.totals.items())
            if t or self._locked(c)
        ]

    def image(self) -> AccountImage:
        """What is stored of it."""
        return AccountImage(
            self.id,
            dict(self.totals),
            {k: Short(s.quantity, s.held) for k, s in self.shorts.items()},
            {k: msgspec.structs.replace(p, lots=list(p.lots)) for k, p in self.positions.items()},
            dict(self.margins),
        )

    def _locked(self, currency: Currency) -> Decimal:
        used = self.used.get(currency)
        held = self.locked.get(currency, ZERO)
        return held if used is None else held + used

    # --- funds held for orders ---------------------------------------------------------------------------------------

    def hold(self, order: PaperOrder, currency: Currency, amount: Decimal) -> None:
        """Hold an amount for an order instead of what it held before; it is cut to what is available."""
        before = self._held_by(order, currency)
        order.held_currency = currency
        order.held = amount
        wanted = self._held_by(order, currency) - before
        free = self.free(currency)
        if wanted > free:
            order.held = max(before + free, ZERO)
            wanted = self._held_by(order, currency) - before
        if wanted:
            self.locked[currency] = self.locked.get(currency, ZERO) + wanted

    def join(self, order: PaperOrder) -> None:
        """Make an order a member of its OCO group, before anything is held for it."""
        if order.group is not None:
            self.groups.setdefault(order.group, []).append(order)

    def drop(self, order: PaperOrder) -> None:
        """Release what an order holds and take it out of its group."""
        self.hold(order, order.held_currency, ZERO)
        if order.group is not None:
            members = self.groups.get(order.group, [])
            if order in members:
                members.remove(order)
            if not members:
                self.groups.pop(order.group, None)

    def siblings(self, order: PaperOrder) -> list[PaperOrder]:
        """The other open members of an order's OCO group."""
        if order.group is None:
            return []
        return [member for member in self.groups.get(order.group, []) if member is not order]

    def _held_by(self, order: PaperOrder, currency: Currency) -> Decimal:
        if order.group is None:
            return order.held if order.held_currency == currency else ZERO
        members = self.groups.get(order.group, [])
        return max((m.held for m in members if m.held_currency == currency), default=ZERO)

    # --- money that moves --------------------------------------------------------------------------------------------

    def move(self, currency: Currency, amount: Decimal) -> None:
        """Add a signed amount to a total."""
        self.totals[currency] = self.totals.get(currency, ZERO) + amount

    def open_short(self, instrument: Instrument, quantity: Decimal, proceeds: Decimal) -> None:
        """Hold the proceeds of a short sale and as much again."""
        short = self.shorts.setdefault(instrument.id, Short(ZERO, ZERO))
        held = proceeds * 2
        short.quantity += quantity
        short.held += held
        self.locked[instrument.quote] = self.locked.get(instrument.quote, ZERO) + held

    def released(self, instrument: InstrumentId, quantity: Decimal) -> Decimal:
        """Quote currency that buying back so much would release (rounded down unless all of it)."""
        short = self.shorts.get(instrument)
        if short is None:
            return ZERO
        if quantity >= short.quantity:
            return short.held
        return BOUND.divide(BOUND.multiply(short.held, quantity), short.quantity).quantize(
            Decimal("1e-12"), rounding=decimal.ROUND_FLOOR, context=BOUND
        )

    def cover_short(self, instrument: Instrument, quantity: Decimal) -> None:
        """Release what bought back quantity held; anything beyond the short changes nothing."""
        short = self.shorts.get(instrument.id)
        if short is None:
            return
        released = self.released(instrument.id, quantity)
        self.locked[instrument.quote] -= released
        short.held -= released
        short.quantity -= min(quantity, short.quantity)
        if not short.quantity:
            del self.shorts[instrument.id]

"""Instruments: what can be traded, under which rules at which time; the one place that converts scales."""

from __future__ import annotations

import enum
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

import msgspec

from engine.errors import ValidationError
from engine.model.ids import Currency, InstrumentId, VenueId
from engine.model.margin import MarginTier

__all__ = ["CASH_KINDS", "Instrument", "InstrumentKind", "InstrumentRules"]


class InstrumentKind(enum.StrEnum):
    """Kind of contract."""

    SPOT = "spot"
    MARGIN = "margin"
    LINEAR_PERPETUAL = "linear_perpetual"
    INVERSE_PERPETUAL = "inverse_perpetual"
    DATED_FUTURE = "dated_future"


CASH_KINDS = frozenset({InstrumentKind.SPOT, InstrumentKind.MARGIN})
"""Kinds whose position is held as balances; all others carry their profit beside the balances."""


class InstrumentRules(msgspec.Struct, frozen=True, kw_only=True):
    """Trading rules that hold from a time on."""

    valid_from: int
    """UTC nanoseconds; the rules hold until the next entry's `valid_from`."""
    price_tick: Decimal
    """Smallest price step, in quote currency per base unit."""
    lot: Decimal
    """Smallest quantity step, in base units (contracts for derivatives)."""
    min_quantity: Decimal = Decimal(0)
    """Smallest order quantity; 0 means one lot."""
    max_quantity: Decimal = Decimal(0)
    """Largest order quantity; 0 means no limit."""
    min_notional: Decimal = Decimal(0)
    """Smallest order value in quote currency; 0 means no limit."""
    maker_fee: Decimal = Decimal(0)
    """Fee of resting orders as a fraction of notional; negative is a rebate."""
    taker_fee: Decimal = Decimal(0)
    """Fee of crossing orders as a fraction of notional."""
    margin: tuple[MarginTier, ...] = ()
    """Margin tiers of a derivative, the smallest first; empty for spot, or while the venue has not told them."""


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """A tradable contract at a venue.

    `price_scale` and `quantity_scale` are powers of ten fixed for the instrument's life, so that integers in books
    and matching keep their meaning when tick or lot change.
    """

    id: InstrumentId
    venue: VenueId
    symbol: str
    kind: InstrumentKind
    base: Currency
    quote: Currency
    settle: Currency
    """Currency in which profit and loss is booked."""
    rules: tuple[InstrumentRules, ...]
    """Sorted by `valid_from`, at least one."""
    multiplier: Decimal = Decimal(1)
    """Base units per contract; 1 for spot."""
    price_scale: int = 8
    """Decimal places of scaled integer prices."""
    quantity_scale: int = 8
    """Decimal places of scaled integer quantities."""

    def rules_at(self, ts: int) -> InstrumentRules:
        """Return the rules in force at a UTC nanosecond time (the earliest before the first entry)."""
        found = self.rules[0]
        for rules in self.rules:
            if rules.valid_from > ts:
                break
            found = rules
        return found

    @property
    def current_rules(self) -> InstrumentRules:
        """The newest rules."""
        return self.rules[-1]

    def price_to_int(self, price: Decimal) -> int:
        """Scale an exact price to an integer.

        Raises:
            ValidationError: The price has more decimal places than the instrument's scale.
        """
        return _to_int(price, self.price_scale, f"price {price} of {self.id}")

    def price_from_int(self, price: int) -> Decimal:
        """Give the exact decimal of a scaled integer price."""
        return Decimal(price).scaleb(-self.price_scale)

    def quantity_to_int(self, quantity: Decimal) -> int:
        """Scale an exact quantity to an integer.

        Raises:
            ValidationError: The quantity has more decimal places than the instrument's scale.
        """
        return _to_int(quantity, self.quantity_scale, f"quantity {quantity} of {self.id}")

    def quantity_from_int(self, quantity: int) -> Decimal:
        """Give the exact decimal of a scaled integer quantity."""
        return Decimal(quantity).scaleb(-self.quantity_scale)

    def round_price(self, price: Decimal, *, up: bool | None = None) -> Decimal:
        """Move a price onto the newest tick grid: up, down, or (None) to the nearest."""
        tick = self.current_rules.price_tick
        mode = ROUND_HALF_EVEN if up is None else ROUND_CEILING if up else ROUND_FLOOR
        return (price / tick).to_integral_value(mode) * tick

    def floor_quantity(self, quantity: Decimal) -> Decimal:
        """Round a quantity down to whole lots."""
        lot = self.current_rules.lot
        return (quantity / lot).to_integral_value(ROUND_FLOOR) * lot

    def notional(self, price: Decimal, quantity: Decimal) -> Decimal:
        """Value of a quantity at a price, in quote currency (exact when run in the exact context)."""
        return price * quantity * self.multiplier


def _to_int(value: Decimal, scale: int, what: str) -> int:
    scaled = value.scaleb(scale)
    whole = int(scaled)
    if whole != scaled:
        raise ValidationError(f"The {what} has more than {scale} decimal places; round it to the instrument's step.")
    return whole

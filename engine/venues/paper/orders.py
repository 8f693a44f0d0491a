"""An order inside the paper exchange, the instrument's rules in scaled integers, and why an order is refused."""

from __future__ import annotations

import enum
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.events import VenueEvent
from engine.model.ids import AccountId, Currency, VenueOrderId
from engine.model.order import OPEN_STATUSES, OrderStatus, OrderType
from engine.model.venue import OrderCommand

if TYPE_CHECKING:
    from engine.model.instrument import Instrument

__all__ = ["PaperOrder", "RejectCode", "Report", "Terms", "terms_at"]

Report = tuple[AccountId, VenueEvent]
"""One private event and the account it belongs to."""

_FOREVER = 1 << 63


class RejectCode(enum.StrEnum):
    """Why the exchange refuses an order, a cancel or an amendment."""

    UNKNOWN_ACCOUNT = "unknown_account"
    UNKNOWN_INSTRUMENT = "unknown_instrument"
    UNSUPPORTED_KIND = "unsupported_kind"
    BAD_ORDER = "bad_order"
    """Fields that do not fit together."""
    TICK = "tick"
    LOT = "lot"
    MIN_QUANTITY = "min_quantity"
    MAX_QUANTITY = "max_quantity"
    MIN_NOTIONAL = "min_notional"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    POST_ONLY = "post_only"
    REDUCE_ONLY = "reduce_only"
    NO_MARKET = "no_market"
    """No price is known yet, or the market is closed."""
    DUPLICATE = "duplicate_client_id"
    UNKNOWN_ORDER = "unknown_order"
    ALREADY_ENDED = "already_ended"
    BAD_AMENDMENT = "bad_amendment"


class Terms(msgspec.Struct, frozen=True):
    """Trading rules of one instrument that hold until a time; prices and quantities scaled."""

    until: int
    """UTC nanoseconds at which the next rules begin."""
    tick: int
    lot: int
    min_quantity: int
    max_quantity: int
    """0 means no limit."""
    min_notional: Decimal
    """Quote currency."""
    maker_fee: Decimal
    taker_fee: Decimal
    price_digits: int
    """Decimal places of the tick."""
    quantity_digits: int
    """Decimal places of the lot."""

    @property
    def worst_fee(self) -> Decimal:
        """The fee rate funds are held for."""
        return max(self.maker_fee, self.taker_fee, Decimal(0))


def terms_at(instrument: Instrument, ts: int) -> Terms:
    """The rules in force at a UTC nanosecond time, in the instrument's scales."""
    rules = instrument.rules_at(ts)
    later = [r.valid_from for r in instrument.rules if r.valid_from > ts]
    lot = instrument.quantity_to_int(rules.lot)
    return Terms(
        until=min(later, default=_FOREVER),
        tick=instrument.price_to_int(rules.price_tick),
        lot=lot,
        min_quantity=max(instrument.quantity_to_int(rules.min_quantity), lot),
        max_quantity=instrument.quantity_to_int(rules.max_quantity),
        min_notional=rules.min_notional,
        maker_fee=rules.maker_fee,
        taker_fee=rules.taker_fee,
        price_digits=_digits(rules.price_tick),
        quantity_digits=_digits(rules.lot),
    )


def _digits(step: Decimal) -> int:
    exponent = step.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0


class PaperOrder(msgspec.Struct, kw_only=True, eq=False):
    """An order at the exchange; prices and quantities scaled. Only the exchange and its fill models change it."""

    seq: int
    """Order of arrival at the exchange."""
    command: OrderCommand
    """As it was sent."""
    venue_order_id: VenueOrderId
    buy: bool
    quantity: int
    price: int | None
    stop: int | None
    created: int
    """UTC nanoseconds of arrival."""
    updated: int
    status: OrderStatus = OrderStatus.ACCEPTED
    filled: int = 0
    triggered: bool = False
    reason: str = ""
    held: Decimal = Decimal(0)
    """Funds this order holds by itself, in `held_currency`."""
    held_currency: Currency = Currency("")
    ahead: int = 0
    """Displayed quantity assumed before it in the queue of its price level."""
    group: str | None = None
    """The OCO group, None once it stands alone."""

    @property
    def remaining(self) -> int:
        """Scaled quantity not filled yet."""
        return self.quantity - self.filled

    @property
    def is_open(self) -> bool:
        """True until it has ended."""
        return self.status in OPEN_STATUSES

    @property
    def waits(self) -> bool:
        """True while it waits for its trigger."""
        return self.stop is not None and not self.triggered

    @property
    def falls(self) -> bool:
        """True when a falling price sets it off: a stop that sells or a take-profit that buys."""
        return (self.command.type is OrderType.STOP_LOSS) is not self.buy

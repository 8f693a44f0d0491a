"""Binance's numbers and words in the model's terms; nothing passes a float but candles, which are floats themselves."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine.model.fill import FillCause
from engine.model.order import OrderSide, OrderStatus, OrderType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.model.instrument import Instrument

__all__ = [
    "ENDED",
    "EXCHANGE_TYPES",
    "NATIVE_STATUSES",
    "ZERO",
    "cause_of",
    "levels",
    "or_none",
    "plain",
    "side_of",
    "status_of",
    "type_of",
]

ZERO = Decimal(0)
EXCHANGE_TYPES = {
    "LIMIT": OrderType.LIMIT,
    "LIMIT_MAKER": OrderType.LIMIT,
    "MARKET": OrderType.MARKET,
    "STOP_LOSS": OrderType.STOP_LOSS,
    "STOP_LOSS_LIMIT": OrderType.STOP_LOSS,
    "STOP": OrderType.STOP_LOSS,
    "STOP_MARKET": OrderType.STOP_LOSS,
    "TRAILING_STOP_MARKET": OrderType.STOP_LOSS,
    "TAKE_PROFIT": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT_LIMIT": OrderType.TAKE_PROFIT,
    "TAKE_PROFIT_MARKET": OrderType.TAKE_PROFIT,
    "LIQUIDATION": OrderType.MARKET,
}
NATIVE_STATUSES = {
    "NEW": OrderStatus.ACCEPTED,
    "PENDING_NEW": OrderStatus.ACCEPTED,
    "PENDING_CANCEL": OrderStatus.ACCEPTED,
    "PARTIALLY_FILLED": OrderStatus.PARTIALLY_FILLED,
    "FILLED": OrderStatus.FILLED,
    "CANCELED": OrderStatus.CANCELED,
    "REJECTED": OrderStatus.REJECTED,
    "EXPIRED": OrderStatus.EXPIRED,
    "EXPIRED_IN_MATCH": OrderStatus.EXPIRED,
    # Conditional ("algo") orders of USD-M.
    "TRIGGERING": OrderStatus.ACCEPTED,
    "TRIGGERED": OrderStatus.ACCEPTED,
    "FINISHED": OrderStatus.FILLED,
}
ENDED = frozenset({OrderStatus.CANCELED, OrderStatus.REJECTED, OrderStatus.EXPIRED})


def type_of(native: str) -> OrderType:
    """The order type that a native one is; those that nobody here sends count as limit orders."""
    return EXCHANGE_TYPES.get(native, OrderType.LIMIT)


def status_of(native: str) -> OrderStatus:
    """The status that a native one means; one that is not known counts as working, so that it is asked for again."""
    return NATIVE_STATUSES.get(native, OrderStatus.ACCEPTED)


def side_of(native: str) -> OrderSide:
    """BUY or SELL."""
    return OrderSide.BUY if native == "BUY" else OrderSide.SELL


def or_none(value: Decimal | None) -> Decimal | None:
    """Nothing instead of the 0 that stands for nothing there."""
    return value if value else None


def plain(value: Decimal) -> str:
    """A number as the venue wants it: no exponent, no trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def levels(instrument: Instrument, raw: Iterable[tuple[Decimal, Decimal]]) -> tuple[tuple[int, int], ...]:
    """Levels of a book as scaled integers. Raises ValidationError for more places than the instrument has."""
    return tuple((instrument.price_to_int(price), instrument.quantity_to_int(quantity)) for price, quantity in raw)


def cause_of(client_id: str) -> FillCause:
    """Why the venue closed a position, by the name that it gave to its order."""
    if client_id == "adl_autoclose":
        return FillCause.DELEVERAGING
    forced = client_id.startswith(("autoclose-", "settlement_autoclose-"))
    return FillCause.LIQUIDATION if forced else FillCause.TRADE

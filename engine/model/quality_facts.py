"""Facts about execution quality: what the market did after an execution, and executions that were poor."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from engine.model.ids import ClientOrderId, Currency, InstrumentId, Owner, ParentId

__all__ = ["MarkOut", "MarkOutRecorded", "PoorExecution"]


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag=True, tag_field="t"):
    """Base of the facts; the tag is the class name."""


class MarkOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the market was some time after an execution."""

    horizon: int
    """Nanoseconds after the execution."""
    mid: Decimal | None = None
    """Middle of the book then; None where it was not known then, which is never made up for later."""
    ts: int = 0
    """UTC nanoseconds at which it was looked at."""


class MarkOutRecorded(_Fact, frozen=True, kw_only=True):
    """What the market did after executions of an order that happened at one time."""

    client_id: ClientOrderId
    fill_ts: int
    """UTC nanoseconds of the executions."""
    marks: tuple[MarkOut, ...]
    last: bool = False
    """Whether nothing more is awaited of them."""


class PoorExecution(_Fact, frozen=True, kw_only=True):
    """An order, or a parent order, was executed at a worse price than is accepted."""

    subject: ClientOrderId | ParentId
    instrument: InstrumentId
    owner: Owner
    slippage: Decimal
    """Fraction by which the mean price is worse than `price`, rounded to 6 places."""
    limit: Decimal
    """Fraction from which on it is told."""
    price: Decimal
    """What it is measured by: the market at the decision, at the sending of a parent's part, or a stop's trigger."""
    cost: Decimal
    """What that cost, in the settle currency."""
    currency: Currency
    ts: int

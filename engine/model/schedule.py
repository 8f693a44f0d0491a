"""Schedules: how much of an order should have been traded by when."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ValidationError
from engine.model.decimals import ONE, ZERO, exact

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Slice", "check_schedule", "horizon_of", "quantity_due", "share_due"]


class Slice(msgspec.Struct, frozen=True):
    """A step of a schedule: from its offset on, its share should have been traded."""

    offset_ns: int
    """Nanoseconds after the start of the order, >= 0."""
    share: Decimal
    """Part of the whole order that is due by then, over 0 and up to 1; cumulative, so the last one is 1."""


def check_schedule(slices: Sequence[Slice]) -> tuple[Slice, ...]:
    """Return a schedule that is sound: offsets and shares ascend, and the last share is the whole order.

    Raises:
        ValidationError: There is no slice, an offset is negative, offsets or shares do not ascend, or the last share
            is not 1.
    """
    if not slices:
        raise ValidationError("A schedule needs at least one slice.")
    before = Slice(-1, ZERO)
    for number, step in enumerate(slices, 1):
        if step.offset_ns <= before.offset_ns:
            raise ValidationError(f"Slice {number} of the schedule is not later than the one before it.")
        if not step.share.is_finite() or step.share <= before.share:
            raise ValidationError(f"Slice {number} of the schedule adds nothing: its share is {step.share}.")
        before = step
    if before.share != ONE:
        raise ValidationError(f"The schedule ends at a share of {before.share}; its last slice must end at 1.")
    return tuple(slices)


def share_due(slices: Sequence[Slice], elapsed_ns: int) -> Decimal:
    """Part of the order that should have been traded a time after its start; 0 before the first slice."""
    due = ZERO
    for step in slices:
        if step.offset_ns > elapsed_ns:
            break
        due = step.share
    return due


def horizon_of(slices: Sequence[Slice]) -> int:
    """Nanoseconds from the start of the order to its last slice."""
    return slices[-1].offset_ns


def quantity_due(slices: Sequence[Slice], elapsed_ns: int, quantity: Decimal) -> Decimal:
    """Quantity of an order that should have been traded a time after its start, not rounded to lots."""
    with exact():
        return share_due(slices, elapsed_ns) * quantity

"""Lists in pages and in an order, the same way for every operation that lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from engine.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.control.requests_listing import ListRows

__all__ = ["listed"]

T = TypeVar("T")


def listed(rows: Sequence[T], request: ListRows) -> list[T]:
    """The page that was asked for, sorted by a field of the rows when that was asked; equal rows keep their order.

    Raises:
        ValidationError: The rows have no such field, or none that has an order.
    """
    found = list(rows)
    if request.sort and found:
        name, largest_first = request.sort.lstrip("-"), request.sort.startswith("-")
        fields: Sequence[str] = getattr(found[0], "__struct_fields__", ())
        if name not in fields:
            raise ValidationError(f"The rows have no field {name!r} to sort by; they have {', '.join(fields)}.")
        try:
            found.sort(key=lambda row: _order(getattr(row, name)), reverse=largest_first)
        except TypeError:
            raise ValidationError(f"Rows cannot be sorted by {name}, which has no order.") from None
        # What is not known comes last, whichever way the list runs.
        known = [row for row in found if getattr(row, name) is not None]
        found = known + [row for row in found if getattr(row, name) is None]
    first = (request.page - 1) * request.limit
    return found[first : first + request.limit]


def _order(value: Any) -> tuple[bool, Any]:
    return (value is None, 0 if value is None else value)

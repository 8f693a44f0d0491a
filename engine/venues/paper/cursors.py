"""Cursors of executions: a number, and the random name of the store within which the number means something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import StateConsistencyError, ValidationError

if TYPE_CHECKING:
    from engine.venues.paper.core import Core

__all__ = ["Cursors"]


class Cursors:
    """What `fills_since` takes and gives.

    Args:
        core: Knows the store's name and the last number.
    """

    def __init__(self, core: Core) -> None:
        self._core = core

    def of(self, number: int) -> str:
        """The cursor after the fill of that number."""
        store = self._core.store
        return f"{store}-{number}" if store else str(number)

    def payment(self, cursor: str) -> int:
        """The number in a cursor of funding payments. Raises as `number`."""
        return self._number(cursor, self._core.counters.payment)

    def number(self, cursor: str) -> int:
        """The number in a cursor of executions, which may be one from before stores had names.

        Raises:
            ValidationError: It is no cursor.
            StateConsistencyError: It is of another store, or of a later time than this one.
        """
        return self._number(cursor, self._core.counters.fill)

    def _number(self, cursor: str, last: int) -> int:
        if not cursor:
            return 0
        store, _, number = cursor.rpartition("-")
        if not number.isdecimal():
            raise ValidationError(f"The fill cursor {cursor[:40]!r} is not one of this venue's.")
        if (store and store != self._core.store) or int(number) > last:
            raise StateConsistencyError(
                "paper.db is missing or older than the journal, which knows executions up to "
                f"{cursor[:40]!r} while {self._core.venue} ends at {self.of(last)!r}; restore paper.db beside "
                "journal.db, or move journal.db away to begin anew.",
                error_code="history_unknown",
            )
        return int(number)

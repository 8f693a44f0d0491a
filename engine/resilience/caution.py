"""Trading with care while something it depends on is impaired: the one place that says so, to sizing and to the gate.

Entries are smaller everywhere (half as large by default), and nothing is opened at a venue that cannot be reached or on
a market that is not heard. Exits, cancels and protective orders never ask here.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from engine.model.ids import venue_of

if TYPE_CHECKING:
    from engine.model.ids import AccountId, InstrumentId, Owner, VenueId

__all__ = ["Caution", "Reductions"]

ONE = Decimal(1)


class Reductions(Protocol):
    """Where entries pass smaller for a reason of their own."""

    def factor(self, instrument: InstrumentId, account: AccountId, owner: Owner, careful: Decimal) -> Decimal:
        """What entries there are multiplied with, `careful` being that of trading with care; 1 for no reduction."""


class Caution:
    """What is impaired right now. Plain and synchronous.

    Args:
        size: Size of entries while trading with care, as a fraction of the usual, above 0 and at most 1.
    """

    def __init__(self, size: Decimal = Decimal("0.5")) -> None:
        self._size = size
        self._closed: dict[VenueId, str] = {}
        self._unheard: dict[InstrumentId, str] = {}
        self._careful: dict[str, str] = {}
        self.version = 0
        """Counts every change."""
        self.reductions: Reductions | None = None
        """Reductions in one place only; None where nobody keeps any."""

    def close(self, venue: VenueId, why: str) -> None:
        """Open nothing at a venue, until `reopen`."""
        self._closed[venue] = why
        self.version += 1

    def reopen(self, venue: VenueId) -> None:
        """The venue can be traded again."""
        if self._closed.pop(venue, None) is not None:
            self.version += 1

    def unheard(self, instrument: InstrumentId, why: str) -> None:
        """Open nothing on a market, until `heard`."""
        self._unheard[instrument] = why
        self.version += 1

    def heard(self, instrument: InstrumentId) -> None:
        """The market is heard again."""
        if self._unheard.pop(instrument, None) is not None:
            self.version += 1

    def careful(self, source: str, why: str) -> None:
        """Trade with care because of a source, until it is `well`."""
        self._careful[source] = why
        self.version += 1

    def well(self, source: str) -> None:
        """This source is no reason for care any more."""
        if self._careful.pop(source, None) is not None:
            self.version += 1

    def obstacle(self, instrument: InstrumentId) -> str:
        """Why nothing may be opened there now, as a sentence; empty when it may."""
        return self._closed.get(venue_of(instrument), "") or self._unheard.get(instrument, "")

    @property
    def conservative(self) -> bool:
        """Whether trading goes on with care."""
        return bool(self._careful)

    @property
    def factor(self) -> Decimal:
        """What entries and the largest position are multiplied with: 1 while all is well."""
        return self._size if self._careful else ONE

    def factor_of(self, instrument: InstrumentId, account: AccountId, owner: Owner) -> Decimal:
        """What entries and the largest position there are multiplied with: the smallest of all factors."""
        if self.reductions is None:
            return self.factor
        return min(self.factor, self.reductions.factor(instrument, account, owner, self._size))

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why trading goes on with care, and where nothing is opened; empty while all is well."""
        return tuple(dict.fromkeys((*self._closed.values(), *self._careful.values())))

    @property
    def words(self) -> str:
        """All of it in a line; empty while all is well."""
        if not self.reasons:
            return ""
        size = f" Entries are {self._size:.0%} of their usual size." if self.conservative else ""
        return " ".join(self.reasons) + size

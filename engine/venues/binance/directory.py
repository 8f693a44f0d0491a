"""Where orders are: the venue looks them up by symbol, and its lists of executions name only its own order numbers.

What is known comes from what was sent, from the private stream and from lists; it is bounded. What whoever keeps the
books knows beside that is asked for through `where`.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, NamedTuple

from engine.model.ids import ClientOrderId

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.model.ids import InstrumentId

__all__ = ["Directory", "Place"]

ORDERS = 50_000


class Place(NamedTuple):
    """Where one order is."""

    symbol: str
    number: int = 0
    """The venue's order number; 0 while it is not known."""
    conditional: bool = False
    """Whether it is one of USD-M's conditional ("algo") orders."""
    is_open: bool = True


class Directory:
    """Orders of one account; those of which nothing was heard the longest are forgotten first."""

    def __init__(self) -> None:
        self.symbols: dict[str, None] = {}
        """Symbols in which the account has or had orders, as far as is known."""
        self.where: Callable[[ClientOrderId], InstrumentId | None] | None = None
        self._places: OrderedDict[ClientOrderId, Place] = OrderedDict()
        self._open: Counter[tuple[str, bool]] = Counter()
        """How many open orders there are by symbol and kind (whether conditional)."""
        self._names: OrderedDict[tuple[str, int], ClientOrderId] = OrderedDict()

    def note(
        self, client_id: str, symbol: str, number: int = 0, *, conditional: bool = False, is_open: bool = True
    ) -> None:
        """An order is known to be there."""
        key = ClientOrderId(client_id)
        known = self._places.get(key)
        if known is not None:
            number = number or known.number
            conditional = conditional or known.conditional
        self._count(known, -1)
        place = self._places[key] = Place(symbol, number, conditional, is_open)
        self._count(place, 1)
        self._places.move_to_end(key)
        self.symbols[symbol] = None
        if number and not conditional:
            self.name(symbol, number, client_id)
        if len(self._places) > ORDERS:
            self._count(self._places.popitem(last=False)[1], -1)

    def _count(self, place: Place | None, by: int) -> None:
        if place is not None and place.is_open:
            key = place.symbol, place.conditional
            self._open[key] += by
            if not self._open[key]:
                del self._open[key]

    def name(self, symbol: str, number: int, client_id: str) -> None:
        """An order number belongs to a client id; what a conditional order became belongs to the id of that."""
        self._names[symbol, number] = ClientOrderId(client_id)
        if len(self._names) > ORDERS:
            self._names.popitem(last=False)

    def place(self, client_id: ClientOrderId) -> Place | None:
        """Where an order is; None when it is not known."""
        return self._places.get(client_id)

    def owner(self, symbol: str, number: int) -> ClientOrderId | None:
        """The client id of an order number; None when it is not known."""
        return self._names.get((symbol, number))

    @property
    def open_symbols(self) -> set[str]:
        """Symbols with orders that are open as far as is known, conditional ones left out."""
        return {symbol for symbol, conditional in self._open if not conditional}

    def has_open_conditional(self, symbol: str) -> bool:
        """Whether a conditional order waits there as far as is known."""
        return (symbol, True) in self._open

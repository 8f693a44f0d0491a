"""The instruments that the console knows; a look at one that it does not know has the list read again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from engine.control.views import InstrumentRow

__all__ = ["KnownInstruments"]

LATE_S = 1.0
"""After this an answer that has not come is not waited for any more."""
ASK_AGAIN_S = 10.0
"""How often the list is read again for one that it did not have."""


class KnownInstruments(Mapping[str, "InstrumentRow"]):
    """Id -> instrument, as the engine listed them last.

    Markets come and go without the console's doing: somebody else watches one, a venue comes online. Whoever looks up
    an instrument that is not here makes the list `due`.
    """

    def __init__(self) -> None:
        self.version = 0
        """Grows with every list."""
        self._rows: dict[str, InstrumentRow] = {}
        self._missed: set[str] = set()
        self._tried: dict[str, float] = {}
        self._asked: float | None = None

    def __getitem__(self, key: str) -> InstrumentRow:
        row = self._rows.get(key)
        if row is None:
            if key:
                self._missed.add(key)
            raise KeyError(key)
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, rows: Sequence[InstrumentRow]) -> None:
        """Know these, and no others."""
        self._rows = {row.id: row for row in rows}
        self._missed -= self._rows.keys()
        self._asked = None
        self.version += 1

    def compare(self, watched: Iterable[str]) -> None:
        """Make the list due where it differs from the markets that are kept at present."""
        self._missed |= self._rows.keys() ^ set(watched)

    def ask(self, steady: float) -> None:
        """Take down that the list is being asked for; steady seconds."""
        self._asked = steady
        self._tried |= dict.fromkeys(self._missed, steady)
        self._missed.clear()

    def due(self, steady: float) -> bool:
        """Tell whether the list should be asked for; steady seconds."""
        if self._asked is not None and steady - self._asked < LATE_S:
            return False
        return any(steady - self._tried.get(key, -ASK_AGAIN_S) >= ASK_AGAIN_S for key in self._missed)

"""Where a row belongs: its venue, and its account where a venue has several; said only where there is more than one.

    where = deck.where
    where.words(row.instrument, row.account)      # "", "OKX", "BINANCE/main", or "main" where one venue has them all
    f"Cancel {symbol}{where.on(row.instrument)}"  # "Cancel BTC/USDT on OKX"

Tables have a column with the key `where`, which has no width, and so is not there, until there is more than one place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.model.ids import InstrumentId, short_symbol, venue_of
from engine.model.places import place_name
from widgets.table_cells import Cell, Column
from widgets.text import clean

if TYPE_CHECKING:
    from engine.control.views import Place

__all__ = ["HERE", "WHERE", "Where", "short_symbol", "where_of"]

WHERE = Column("where", "Venue", 0)
"""The column of every table whose rows belong to a venue or an account."""
WIDEST = 14


@dataclass(frozen=True)
class Where:
    """The places of an engine, and how each is called.

    Args:
        places: Every account of every venue; none while they are not known.
    """

    places: tuple[Place, ...] = ()

    @property
    def several(self) -> bool:
        """Whether there is more than one place, so that a row must say its own."""
        return len(self.places) > 1

    @property
    def title(self) -> str:
        """What the column is called."""
        return "Venue" if len(self._venues) > 1 else "Account"

    @property
    def width(self) -> int:
        """Cells that the column needs; 0 where it is not needed."""
        if not self.several:
            return 0
        names = [self._name(place.venue, place.account) for place in self.places]
        return min(WIDEST, max(len(self.title), *(len(name) for name in names)))

    @property
    def unknown(self) -> str:
        """Names of the places of whose accounts nothing is known yet, as with locked keys; empty for none."""
        doubtful = [place for place in self.places if place.account and not place.known]
        known = {place.venue for place in self.places if place.account and place.known}
        names = [
            self._name(place.venue, place.account) if place.venue in known else str(place.venue) for place in doubtful
        ]
        return clean(", ".join(dict.fromkeys(names)))

    def none_of(self, what: str, usual: str) -> str:
        """Return what an empty table of the account says: that there is nothing, or that this is not known."""
        return f"Not known yet: {what} of {self.unknown}." if self.unknown else usual

    def heading(self, title: str, count: int) -> str:
        """Return a heading with how many rows there are, and of which places that is not known."""
        told = f"{title} {count}" if count else title
        return f"{told}, not known: {self.unknown}" if self.unknown else told

    def column(self) -> Column:
        """Return the column for a table that is made anew."""
        return replace(WHERE, title=self.title, width=self.width)

    def accounts(self, venue: str) -> tuple[str, ...]:
        """Return the accounts that a venue has."""
        return tuple(str(place.account) for place in self.places if place.venue == venue and place.account)

    def place(self, instrument: str, account: str = "") -> Place | None:
        """Return the place where an instrument is traded, in its venue's first account where none is named."""
        venue = venue_of(InstrumentId(instrument))
        return next((one for one in self.places if one.venue == venue and account in ("", one.account)), None)

    def words(self, instrument: str, account: str = "") -> str:
        """Return where an instrument's row belongs; empty where there is one place only.

        Args:
            instrument: Its id.
            account: Its account; empty for what belongs to a market and to no account.
        """
        return self._name(venue_of(InstrumentId(instrument)), account) if instrument else ""

    def of_account(self, account: str) -> str:
        """Return where what an account holds is; empty where there is one place only."""
        venue = next((place.venue for place in self.places if place.account == account), "")
        return self._name(venue, account) if account else ""

    def cell(self, instrument: str, account: str = "") -> Cell:
        """Return `words` as a cell of the column."""
        return Cell(clean(self.words(instrument, account)), "muted")

    def on(self, instrument: str, account: str = "") -> str:
        """Return the end of a sentence about a row: ` on OKX`; empty where there is one place only."""
        words = self.words(instrument, account)
        if not words:
            return ""
        return f" on {clean(words)}" if len(self._venues) > 1 else f" in {clean(words)}"

    def beside(self, instrument: str) -> str:
        """Return what stands behind the symbol in a heading: ` OKX`; empty where all markets are of one venue."""
        return f" {clean(venue_of(InstrumentId(instrument)))}" if len(self._venues) > 1 and instrument else ""

    @property
    def _venues(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(str(place.venue) for place in self.places))

    def _name(self, venue: str, account: str) -> str:
        return place_name([(str(place.venue), str(place.account)) for place in self.places], venue, account)


@lru_cache(maxsize=16)
def where_of(places: tuple[Place, ...]) -> Where:
    """Return the places of an engine; the same ones give the same object."""
    return Where(places)


HERE = Where()
"""One place only: nothing says where it is."""

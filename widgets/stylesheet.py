"""A stylesheet that parses each source once.

Textual's own keeps the rules of 64 sources, forgets them all whenever a source is added by a screen, and parses
everything again for it; a console has more sources than that, and parsing them takes a tenth of a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.cache import LRUCache
from textual.css.stylesheet import Stylesheet

if TYPE_CHECKING:
    from textual.css.model import RuleSet

__all__ = ["KeptStylesheet"]

SOURCES = 1024
"""Sources whose rules are kept."""


class KeptStylesheet(Stylesheet):
    """A stylesheet whose parsed rules live as long as the variables they were parsed with."""

    def __init__(self, *, variables: dict[str, str] | None = None) -> None:
        super().__init__(variables=variables)
        self._parse_cache: LRUCache[tuple[object, ...], list[RuleSet]] = LRUCache(SOURCES)

    def set_variables(self, variables: dict[str, str]) -> None:
        """Take other variables; the same ones again change nothing."""
        if variables != self._variables:
            super().set_variables(variables)

    def reparse(self) -> None:
        """Parse what has not been parsed with these variables.

        Raises:
            StylesheetError: A source cannot be read; the rules stay as they were.
            StylesheetParseError: A source is no valid CSS; the rules stay as they were.
        """
        self.parse()

    def copy(self) -> Stylesheet:
        """Return a stylesheet of the same sources and variables."""
        twin = KeptStylesheet(variables=self._variables.copy())
        twin.source = self.source.copy()
        return twin

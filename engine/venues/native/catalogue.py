"""The instruments of a venue by our id and by the venue's own symbol, with rules versioned as they change."""

from __future__ import annotations

import difflib
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from engine.errors import NotFoundError
from engine.model.ids import Currency, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from engine.model.ids import InstrumentId, VenueId

__all__ = ["Catalogue", "unlisted"]


class Catalogue:
    """Thousands of instruments; each look-up is one dict access.

    Args:
        venue: Whose they are.
    """

    def __init__(self, venue: VenueId) -> None:
        self._venue = venue
        self._by_id: dict[InstrumentId, Instrument] = {}
        self._by_symbol: dict[str, Instrument] = {}
        self._symbols: dict[InstrumentId, str] = {}
        self._foreign: frozenset[str] = frozenset()
        self.loaded = 0
        """UTC nanoseconds at which it was filled the last time; 0 for never."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_id.values())

    def __contains__(self, instrument: object) -> bool:
        return instrument in self._by_id

    def fill(self, listings: Iterable[tuple[str, Instrument]], now: int) -> list[Instrument]:
        """Take the present list as a whole; instruments that left it can still be looked up by symbol.

        Rules that differ from those known hold from now on, after the known ones.

        Returns:
            Instruments that are new, or whose rules are.
        """
        changed: list[Instrument] = []
        listed: dict[InstrumentId, Instrument] = {}
        for symbol, fresh in listings:
            known = self._by_id.get(fresh.id)
            instrument = fresh if known is None else _renewed(known, fresh, now)
            if instrument is not known:
                changed.append(instrument)
            listed[fresh.id] = instrument
            self._by_symbol[symbol] = instrument
            self._symbols[fresh.id] = symbol
        self._by_id = listed
        self.loaded = now
        return changed

    def remember(self, listings: Iterable[tuple[str, Instrument]], foreign: Iterable[str] = ()) -> None:
        """Know what is listed and not traded now: orders and executions in it are understood, nothing new is offered.

        Args:
            listings: Halted, suspended or delisted instruments with the venue's own symbols.
            foreign: Symbols of kinds that are never traded here; in place of those named before, unless empty.
        """
        for symbol, instrument in listings:
            self._by_symbol.setdefault(symbol, instrument)
            self._symbols.setdefault(instrument.id, symbol)
        self._foreign = frozenset(foreign) or self._foreign

    def is_foreign(self, symbol: str) -> bool:
        """Whether a symbol is of a kind that is never traded here, so that nothing of ours can be in it."""
        return symbol in self._foreign and symbol not in self._by_symbol

    def get(self, instrument: InstrumentId) -> Instrument:
        """Look an instrument up.

        Raises:
            NotFoundError: The venue does not list it; the message names near matches.
        """
        found = self._by_id.get(instrument)
        if found is None:
            near = difflib.get_close_matches(instrument, self._by_id, n=3, cutoff=0.8)
            hint = f" Did you mean {', '.join(near)}?" if near else ""
            raise NotFoundError(f"{self._venue} does not trade {instrument}.{hint}")
        return found

    def symbol(self, instrument: InstrumentId) -> str:
        """The venue's own symbol of an instrument. Raises NotFoundError."""
        return self._symbols[self.get(instrument).id]

    def symbol_of(self, instrument: InstrumentId) -> str | None:
        """As `symbol`, of an instrument that is not traded now as well; None for what was never listed."""
        return self._symbols.get(instrument)

    def by_symbol(self, symbol: str) -> Instrument | None:
        """What the venue calls so; None for what it never listed."""
        return self._by_symbol.get(symbol)


def unlisted(venue: VenueId, kind: InstrumentKind, base: str, quote: str) -> Instrument:
    """What a venue has delisted, as far as its name says; its rules and contract size are not known.

    It is for `Catalogue.remember`: rows about it name what the books know by the same id.
    """
    symbol = f"{base}/{quote}" if kind is InstrumentKind.SPOT else f"{base}/{quote}:{quote}"
    return Instrument(
        id=instrument_id(venue, symbol),
        venue=venue,
        symbol=symbol,
        kind=kind,
        base=Currency(base),
        quote=Currency(quote),
        settle=Currency(quote),
        rules=(InstrumentRules(valid_from=0, price_tick=Decimal("1e-8"), lot=Decimal("1e-8")),),
    )


def _renewed(known: Instrument, fresh: Instrument, now: int) -> Instrument:
    if _same(known.current_rules, fresh.current_rules):
        return known
    rules = replace(fresh.current_rules, valid_from=now)
    # Scales stay: integers in books and in the matching keep their meaning, unless the new step does not fit them.
    return replace(
        fresh,
        rules=(*known.rules, rules),
        price_scale=max(known.price_scale, fresh.price_scale),
        quantity_scale=max(known.quantity_scale, fresh.quantity_scale),
    )


def _same(one: InstrumentRules, other: InstrumentRules) -> bool:
    return replace(one, valid_from=other.valid_from) == other

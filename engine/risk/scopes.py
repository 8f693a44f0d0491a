"""Scopes of trading states: the engine, a venue, an instrument, an owner."""

from __future__ import annotations

import msgspec

from engine.model.ids import InstrumentId, Owner, VenueId, venue_of
from engine.state import ENGINE_SCOPE

__all__ = ["Scope"]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A part of trading that can be stopped; the whole engine when nothing is named, else exactly one thing."""

    venue: VenueId | None = None
    instrument: InstrumentId | None = None
    owner: Owner | None = None

    def __post_init__(self) -> None:
        if sum(part is not None for part in (self.venue, self.instrument, self.owner)) > 1:
            raise ValueError("a scope names a venue, an instrument or an owner, not several of them")

    @property
    def key(self) -> str:
        """The scope as facts and `EngineState.halts` write it: `engine`, `venue:…`, `instrument:…` or a bot's id."""
        if self.venue is not None:
            return f"venue:{self.venue}"
        if self.instrument is not None:
            return f"instrument:{self.instrument}"
        return self.owner if self.owner is not None else ENGINE_SCOPE

    @property
    def words(self) -> str:
        """The scope in a sentence."""
        if self.venue is not None:
            return f"all trading at {self.venue}"
        if self.instrument is not None:
            return f"all trading in {self.instrument}"
        return f"all trading of {self.owner}" if self.owner is not None else "all trading"

    def covers(self, instrument: InstrumentId, owner: Owner) -> bool:
        """True when an order or position of this instrument and owner is inside."""
        if self.venue is not None:
            return venue_of(instrument) == self.venue
        if self.instrument is not None:
            return instrument == self.instrument
        return self.owner is None or owner == self.owner

    @classmethod
    def parse(cls, key: str) -> Scope:
        """Read a `key`."""
        kind, _, name = key.partition(":")
        if key == ENGINE_SCOPE:
            return cls()
        if kind == "venue" and name:
            return cls(venue=VenueId(name))
        if kind == "instrument" and name:
            return cls(instrument=InstrumentId(name))
        return cls(owner=Owner(key))

    @staticmethod
    def keys_of(instrument: InstrumentId, owner: Owner) -> tuple[str, ...]:
        """Every scope that an order is inside, the widest first."""
        return ENGINE_SCOPE, f"venue:{venue_of(instrument)}", f"instrument:{instrument}", owner

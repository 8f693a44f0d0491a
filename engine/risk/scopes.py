"""Scopes of trading states: the engine, a venue, an account, a strategy, an instrument, a symbol, an owner."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.errors import NotFoundError, ValidationError
from engine.model.ids import MANUAL, AccountId, InstrumentId, Owner, VenueId, symbol_of, venue_of
from engine.state import ENGINE_SCOPE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.state import EngineState

__all__ = ["EVERYTHING", "Emergency", "Scope", "find_scope", "scope_kind", "scope_name", "strategy_of"]

EVERYTHING = "all"
"""What a person writes for the whole engine."""

NAMED = ("venue", "account", "strategy", "bot", "symbol")
"""Kinds of scopes that a person writes with a name."""


class Emergency(NamedTuple):
    """What an engine that is started to stop something is to stop from its first fact on."""

    reason: str
    scope: str = EVERYTHING
    """As a person writes it; see `find_scope`."""


class _Config(msgspec.Struct):
    """What is read of a bot's configuration here."""

    strategy: str = ""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """A part of trading that can be stopped; the whole engine when nothing is named, else exactly one thing."""

    venue: VenueId | None = None
    account: AccountId | None = None
    strategy: str | None = None
    """Every bot that runs it."""
    instrument: InstrumentId | None = None
    symbol: str | None = None
    """`BASE/QUOTE`, wherever it is traded."""
    owner: Owner | None = None

    def __post_init__(self) -> None:
        parts = (self.venue, self.account, self.strategy, self.instrument, self.symbol, self.owner)
        if sum(part is not None for part in parts) > 1:
            raise ValueError("a scope names one thing, not several of them")

    @property
    def key(self) -> str:
        """The scope as facts and `EngineState.halts` write it: `engine`, `venue:…`, …, `symbol:…` or a bot's id."""
        for kind in _KINDS:
            name = getattr(self, kind)
            if name is not None:
                return f"{kind}:{name}"
        return self.owner if self.owner is not None else ENGINE_SCOPE

    @property
    def words(self) -> str:
        """The scope in a sentence."""
        if self.venue is not None:
            return f"all trading at {self.venue}"
        if self.account is not None:
            return f"all trading in the account {self.account}"
        if self.strategy is not None:
            return f"all trading of the strategy {self.strategy}"
        if self.instrument is not None or self.symbol is not None:
            return f"all trading in {self.instrument or self.symbol}"
        return f"all trading of {self.owner}" if self.owner is not None else "all trading"

    def covers(self, state: EngineState, owner: Owner, account: AccountId, instrument: InstrumentId) -> bool:
        """True when an order or position of this owner, account and instrument is inside."""
        if self.venue is not None:
            return venue_of(instrument) == self.venue
        if self.account is not None:
            return account == self.account
        if self.strategy is not None:
            return strategy_of(state, owner) == self.strategy
        if self.instrument is not None:
            return instrument == self.instrument
        if self.symbol is not None:
            return symbol_of(instrument) == self.symbol
        return self.owner is None or owner == self.owner

    @classmethod
    def parse(cls, key: str) -> Scope:
        """Read a `key`."""
        kind, _, name = key.partition(":")
        if key == ENGINE_SCOPE:
            return cls()
        if kind in _KINDS and name:
            return msgspec.structs.replace(cls(), **{kind: name})
        return cls(owner=Owner(key))

    @staticmethod
    def keys_of(state: EngineState, owner: Owner, account: AccountId, instrument: InstrumentId) -> tuple[str, ...]:
        """Every scope that an order is inside, the widest first."""
        return (
            ENGINE_SCOPE,
            f"venue:{venue_of(instrument)}",
            f"account:{account}",
            f"strategy:{strategy_of(state, owner)}",
            f"symbol:{symbol_of(instrument)}",
            f"instrument:{instrument}",
            owner,
        )


_KINDS = ("venue", "account", "strategy", "instrument", "symbol")
"""Parts of a scope that are written with their kind."""


def strategy_of(state: EngineState, owner: Owner) -> str:
    """Name of the strategy that an owner runs; empty for a person, and for a bot that is gone."""
    entry = state.bots.get(owner)
    return "" if entry is None else _strategy_in(entry.config)


@lru_cache(maxsize=1024)
def _strategy_in(config: bytes) -> str:
    try:
        return msgspec.json.decode(config, type=_Config).strategy
    except msgspec.MsgspecError:
        # Of another release: its strategy cannot be told, and the scopes of bot and account are left.
        return ""


def scope_kind(text: str) -> tuple[str, str]:
    """Kind and name of a scope as a person writes it, such as `venue` and `OKX`; `all` has no name.

    Raises:
        ValidationError: It is no scope at all.
    """
    kind, _, name = text.strip().partition(":")
    if not name and kind in ("", EVERYTHING):
        return EVERYTHING, ""
    if kind not in NAMED:
        raise ValidationError(
            f"{text!r} names no part of trading. Write all, or one of {', '.join(f'{one}:' for one in NAMED)} with a "
            "name behind it."
        )
    return kind, name


def find_scope(text: str, state: EngineState, venues: Iterable[str] = (), accounts: Iterable[str] = ()) -> Scope:
    """The scope that a person names: `all`, `venue:OKX`, `account:main`, `strategy:grid`, `bot:trend-1`, `symbol:…`.

    A symbol is one market with its venue (`symbol:OKX:BTC/USDT`), or the same one everywhere (`symbol:BTC/USDT`).

    Args:
        text: As it was written.
        state: Knows bots, instruments and accounts.
        venues: Those of the engine, beside what the state has instruments of.
        accounts: Those of the engine, beside what the state knows.

    Raises:
        ValidationError: It is no scope at all.
        NotFoundError: There is nothing of that name.
    """
    kind, name = scope_kind(text)
    if kind == EVERYTHING:
        return Scope()
    known: dict[str, Scope]
    match kind:
        case "venue":
            found = {*venues, *(instrument.venue for instrument in state.instruments.values())}
            known = {venue: Scope(venue=VenueId(venue)) for venue in found}
            name = name.upper()
        case "account":
            known = {one: Scope(account=AccountId(one)) for one in (*state.accounts, *accounts)}
        case "strategy":
            known = {s: Scope(strategy=s) for s in (strategy_of(state, bot) for bot in state.bots) if s}
        case "bot":
            known = {MANUAL: Scope(owner=MANUAL)}
            known |= {entry.id: Scope(owner=entry.id) for entry in state.bots.values()}
            known |= {entry.name: Scope(owner=entry.id) for entry in state.bots.values()}
        case _:
            known = {symbol_of(one): Scope(symbol=symbol_of(one)) for one in state.instruments}
            known |= {one: Scope(instrument=one) for one in state.instruments}
            name = name.upper()
    if name not in known:
        some = ", ".join(sorted(known)[:8])
        raise NotFoundError(f"There is no {kind} {name or '?'} to stop; there is {some or 'none at all'}.")
    return known[name]


def scope_name(scope: Scope, state: EngineState) -> str:
    """A scope as `find_scope` reads it, and as it is shown."""
    if scope.owner is not None:
        entry = state.bots.get(scope.owner)
        return f"bot:{scope.owner if entry is None else entry.name}"
    if scope.instrument is not None:
        return f"symbol:{scope.instrument}"
    return EVERYTHING if scope == Scope() else scope.key

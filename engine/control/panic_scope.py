"""Which part of trading a panic without an engine is about: told before anything is killed for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.panic_venue import Part
from engine.errors import JournalError, StateConsistencyError, StateCorruptionError, ValidationError
from engine.model.ids import SIMULATED, AccountId
from engine.risk.scopes import EVERYTHING, find_scope, scope_kind
from engine.state import EngineState
from storage.journal.follower import Follower

if TYPE_CHECKING:
    from pathlib import Path

    from engine.config import Settings

__all__ = ["check_scope"]

PAPER = AccountId("paper")


def check_scope(home: Path, settings: Settings, scope: str, *, without_journal: bool) -> None:
    """Make sure that there is what a scope names, by the journal as it lies there; blocks while it is read.

    An engine that runs does not notice. Where the journal cannot be read, venues and accounts are known from the
    settings, and a symbol is taken as it is written.

    Args:
        home: Home folder.
        settings: Its settings.
        scope: As a person writes it; see `find_scope`.
        without_journal: Whether accounts are emptied at the venue itself when the journal cannot be used.

    Raises:
        ValidationError: It is no scope, or one that nobody can tell from others without a journal.
        NotFoundError: There is nothing of that name.
    """
    kind, name = scope_kind(scope)
    if kind == EVERYTHING:
        return
    state = _state(home)
    venues = [*([SIMULATED] if settings.simulated else []), *(venue.id for venue in settings.venues.values())]
    accounts = [
        *([PAPER] if settings.simulated else []),
        *(one for v in settings.venues.values() for one in v.account_ids),
    ]
    if state is not None:
        find_scope(scope, state, venues, accounts)
        return
    if without_journal:
        Part.of(scope)
    if kind in ("bot", "strategy"):
        raise ValidationError(
            f"The journal in {home} cannot be read, so nobody can tell what is of the {kind} {name}: name a venue, an "
            "account or a symbol. Nothing was done."
        )
    if kind != "symbol":
        find_scope(scope, EngineState(), venues, accounts)


def _state(home: Path) -> EngineState | None:
    """What the journal says; None when it cannot be read."""
    file = home / "journal.db"
    if not file.exists():
        return EngineState()
    try:
        follower = Follower.open(file)
    except (JournalError, StateCorruptionError, StateConsistencyError):
        return None
    follower.close()
    return follower.state

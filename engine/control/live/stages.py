"""How far an exchange without a network for trying things out is open: to look at, for the least, at last whole.

What takes a venue further is its check: one that only reads lets orders of the least size through, one that trades
lets everything through. It counts for the address at which it was passed.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from engine.control.live.consent import target_of
from engine.control.venue_check.report import last_passed
from engine.errors import AuthorizationError
from engine.venue_settings import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from engine.venue_settings import VenueSettings

__all__ = ["UNCHECKED", "Stage", "need_stage", "stage_of"]

UNCHECKED = "unchecked"
"""Error code of what a venue's check has to come before."""


class Stage(enum.IntEnum):
    """How far a venue is open for real money; what live trading needs besides (`gate`) is another question."""

    READ_ONLY = 0
    LEAST = 1
    """Orders of the least size that the venue takes, sent by a person."""
    OPEN = 2


def stage_of(home: Path, venue: VenueSettings) -> Stage:
    """How far a venue is open as it is set now. Reads a small file.

    A venue that has a testnet is tried there, and ccxt does not tell reliably which of its exchanges have one: those
    count as having none once real orders are meant.
    """
    has_testnet = KINDS[venue.kind].testnet and venue.kind != "ccxt"
    if venue.testnet or venue.on_loopback or has_testnet:
        return Stage.OPEN
    passed = last_passed(home, venue.id, target_of(venue))
    if any(check.traded for check in passed):
        return Stage.OPEN
    return Stage.LEAST if any(check.private for check in passed) else Stage.READ_ONLY


def need_stage(home: Path, venue: VenueSettings, wanted: Stage) -> Stage:
    """The stage of a venue, which must be at least one.

    Raises:
        AuthorizationError: It is not; `error_code` is `unchecked`.
    """
    stage = stage_of(home, venue)
    if stage >= wanted:
        return stage
    asked = f"quarterdeck venue check {venue.name}{'' if stage is Stage.READ_ONLY else ' --trade'}"
    raise AuthorizationError(
        f"{venue.id} has no network for trying things out, so it is opened step by step: first to look at, then for "
        f"orders of the least size, then whole. Run `{asked}` to take the next step.",
        error_code=UNCHECKED,
    )

"""How far an exchange is open for real money: to look at, for orders of the least size, at last whole.

What takes a venue further is its check: one that reads the account lets orders of the least size through, one that
trades lets everything through. It counts for the address at which it was passed; where there is a network for trying
things out, the orders may have been tried there. That network itself is open at once: nothing can be lost on it.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from engine.control.live.consent import target_of
from engine.control.venue_check.report import last_passed
from engine.errors import AuthorizationError
from engine.venue_settings import KINDS, is_loopback

if TYPE_CHECKING:
    from pathlib import Path

    from engine.venue_settings import VenueSettings

__all__ = ["UNCHECKED", "Stage", "need_stage", "next_check", "stage_of"]

UNCHECKED = "unchecked"
"""Error code of what a venue's check has to come before."""


class Stage(enum.IntEnum):
    """How far a venue is open for real money; consent and arming are other questions."""

    READ_ONLY = 0
    LEAST = 1
    """Orders of the least size that the venue takes, sent by a person."""
    OPEN = 2


def stage_of(home: Path, venue: VenueSettings) -> Stage:
    """How far a venue is open as it is set now. Reads a small file."""
    if venue.on_loopback or _nothing_to_lose(venue):
        return Stage.OPEN
    passed = last_passed(home, venue.id, target_of(venue))
    if any(check.traded for check in passed):
        return Stage.OPEN
    if not any(check.private for check in passed):
        return Stage.READ_ONLY
    return Stage.OPEN if _tried_elsewhere(home, venue) else Stage.LEAST


def _nothing_to_lose(venue: VenueSettings) -> bool:
    """Whether orders go to a network for trying things out; addresses of one's own elsewhere may be anything."""
    return venue.testnet and all(is_loopback(address) for address in venue.addresses.values())


def _tried_elsewhere(home: Path, venue: VenueSettings) -> bool:
    """Whether orders were tried on the venue's network for that.

    ccxt does not tell reliably which of its exchanges have one: those count as having none.
    """
    if venue.kind == "ccxt" or not KINDS[venue.kind].testnet or venue.addresses:
        return False
    testnet = venue.model_copy(update={"testnet": True})
    return any(check.traded for check in last_passed(home, venue.id, target_of(testnet)))


def need_stage(home: Path, venue: VenueSettings, wanted: Stage) -> Stage:
    """The stage of a venue, which must be at least one.

    Raises:
        AuthorizationError: It is not; `error_code` is `unchecked`.
    """
    stage = stage_of(home, venue)
    if stage >= wanted:
        return stage
    raise AuthorizationError(
        f"{target_of(venue)} is opened for {venue.id} step by step: first to look at, then for orders of the least "
        f"size, then whole. Run `{next_check(venue, stage)}` to take the next step.",
        error_code=UNCHECKED,
    )


def next_check(venue: VenueSettings, stage: Stage) -> str:
    """The command that takes a venue one step further."""
    return f"quarterdeck venue check {venue.name}{'' if stage is Stage.READ_ONLY else ' --trade'}"

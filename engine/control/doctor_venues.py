"""The doctor's look at exchanges: how each is traded, what it is reached with, its keys, its consent, and its clock."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from engine.control.finding import FAILED, OK, WARNING, Finding
from engine.control.live.consent import Consents, words_for
from engine.errors import QuarterdeckError, SecurityError
from engine.keys.entry import key_name
from engine.model.account import TradingMode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.config import Settings
    from engine.venue_settings import VenueSettings

__all__ = ["look_at_venues"]

ANSWER_S = 5.0
SKEW_MS = 1_000.0
"""Exchanges refuse requests that are dated further off; the adapters correct for it, other programs may not."""


def look_at_venues(home: Path, settings: Settings, *, running: bool) -> Iterator[Finding]:
    """Look at every exchange of the settings. Nothing is asked of the exchanges themselves; blocks.

    Args:
        home: The home folder.
        settings: Its settings.
        running: Whether an engine runs, which has measured the clocks of its venues.
    """
    if not settings.venues:
        yield Finding("venues", OK, "No exchange is named; trading is at the simulated market.")
        return
    kept = _kept_keys(home, settings)
    for venue in settings.venues.values():
        yield _way(venue)
        if venue.trading_mode is TradingMode.LIVE:
            yield from _permitted(home, venue, kept)
    if isinstance(kept, Finding):
        yield kept
    if running:
        yield from _clocks(home)


def _way(venue: VenueSettings) -> Finding:
    """How it is traded, and whether what it is reached with can be used."""
    if venue.mode == "paper":
        how = "on paper, at live prices"
    else:
        how = "live, at its testnet" if venue.testnet else "live, with real money"
    where = f" ({len(venue.addresses)} addresses of your own)" if venue.addresses else ""
    problem = _ca_problem(venue.ca_file) if venue.ca_file is not None else ""
    if problem:
        return Finding(
            "venue",
            FAILED,
            f"{venue.id}: its certificate authorities in {venue.ca_file} cannot be used: {problem}.",
            f"Mend the file, or take ca_file out of [venues.{venue.name}] to trust those of the system.",
        )
    return Finding("venue", OK, f"{venue.id} is traded {how}{where}: {', '.join(venue.account_ids)}.")


def _ca_problem(file: Path) -> str:
    try:
        ssl.create_default_context(cafile=str(file))
    except ssl.SSLError:
        return "it holds no certificate"
    except OSError as error:
        return error.strerror or "it cannot be read"
    return ""


def _permitted(home: Path, venue: VenueSettings, kept: frozenset[str] | Finding) -> Iterator[Finding]:
    """Whether its live accounts have keys, and a person's consent."""
    consents = Consents(home)
    for account in venue.account_ids:
        name = words_for(venue.id, account)
        if not isinstance(kept, Finding):
            if key_name(venue.id, account) in kept:
                yield Finding("keys", OK, f"There is a key for {name}.")
            else:
                advice = f"quarterdeck keys add {venue.name} {account}"
                yield Finding("keys", WARNING, f"There is no key for {name}; it cannot be traded.", advice)
        if consents.holds(venue, account):
            yield Finding("consent", OK, f"{name} may trade where it is set to.")
        else:
            advice = f"quarterdeck live consent {account}"
            yield Finding("consent", WARNING, f"Nobody has consented to {name} trading as it is set now.", advice)


def _kept_keys(home: Path, settings: Settings) -> frozenset[str] | Finding:
    """Names of the keys that are kept, or why they cannot be told. Nothing is unlocked."""
    if not any(venue.trading_mode is TradingMode.LIVE for venue in settings.venues.values()):
        return frozenset()
    from engine.keys.store import choose_store

    try:
        return frozenset(choose_store(home, settings.keys.place).names())
    except SecurityError as error:
        return Finding("keys", FAILED, error.message, "quarterdeck keys list")


def _clocks(home: Path) -> Iterator[Finding]:
    """How far the clocks of the exchanges are from this machine's, as the engine has measured them."""
    try:
        measured = asyncio.run(asyncio.wait_for(_ask_clocks(home), ANSWER_S))
    except (QuarterdeckError, TimeoutError, OSError):
        # That the engine does not answer is a finding already.
        return
    for venue, offset in measured.items():
        if abs(offset) > SKEW_MS:
            ahead = "behind" if offset > 0 else "ahead of"
            words = f"This machine's clock is {abs(offset) / 1e3:.1f} s {ahead} that of {venue}."
            yield Finding(
                "clock", WARNING, words, "Let the system keep its clock (NTP); requests are corrected for it."
            )
        else:
            yield Finding("clock", OK, f"The clock of {venue} is {offset:+.0f} ms from this machine's.")


async def _ask_clocks(home: Path) -> dict[str, float]:
    from engine.control.client import open_link

    async with open_link(home, read_only=True, client="doctor") as link:
        rows = await link.call("venues.list")
    return {row.id: row.clock_offset_ms for row in rows if row.clock_offset_ms is not None}

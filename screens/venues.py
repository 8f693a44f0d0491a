"""What a person sees of venues: a line for each with how the way to it is, and a finder for everything they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.finder import Choice, Finder
from screens.formats import age
from screens.where import short_symbol
from widgets.live_table import Cell, Column
from widgets.text import clean, fit

if TYPE_CHECKING:
    from textual.widgets import Input

    from engine.control.views_venues import FoundInstrument, VenueRow
    from screens.sheet import Line

__all__ = ["InstrumentFinder", "venue_lines", "waiting_words"]

COLUMNS = (
    Column("symbol", "Instrument", 18),
    Column("venue", "Venue", 14),
    Column("kind", "Kind", 18),
    Column("watched", "", 8),
)
INKS = {"online": "gain", "offline": "breach", "safe mode": "breach", "locked": "halt"}
"""How the state of a venue is drawn; every other one is a warning."""
FOUND = 200
"""Instruments that are asked for at once; more letters find the rest."""


def venue_lines(venues: list[VenueRow], now: int) -> list[Line]:
    """A line for each venue, and below it what is not as it should be."""
    lines: list[Line] = [[("Venues", "accent")]]
    for venue in venues:
        ink = INKS.get(venue.state, "warn")
        state = "LOCKED" if venue.state == "locked" else clean(venue.state)
        lines.append([
            (fit(clean(venue.id), 12), "text"), (fit(state, 11), ink), (_figures(venue), "text"),
        ])  # fmt: skip
        if venue.reason:
            lines.append([(" " * 14, "text"), (clean(venue.reason), "muted")])
        if venue.paused_until > now:
            lines.append([(" " * 14, "text"), (f"no requests for another {age(now, venue.paused_until)}", "warn")])
        lines += [
            [(" " * 14, "text"), (f"{clean(stream.name)} is down: {clean(stream.reason)}", "warn")]
            for stream in venue.streams
            if not stream.up
        ]
        lines += [
            [(" " * 14, "text"), (f"what is in {clean(account.id)} is not known", "warn")]
            for account in venue.accounts
            if not account.known
        ]
    return lines


def waiting_words(venues: list[VenueRow] | None, chosen: str, add: str) -> str:
    """Return what is waited for while no market is shown, and why.

    Args:
        venues: The engine's venues; None while they are not known.
        chosen: Id of the instrument that shall be shown; empty for none.
        add: The key that adds a market.
    """
    name = chosen.partition(":")[0]
    away = [venue for venue in venues or () if venue.state != "online" and name in ("", venue.id)]
    why = clean(" ".join(venue.reason or f"{venue.id} is {venue.state}." for venue in away))
    if chosen:
        return f"{clean(chosen)}: {why or 'waiting for its market.'}"
    if venues is None:
        return "No market yet. Waiting for the engine."
    return f"No market yet. {why or f'{add} adds one.'}"


def _figures(venue: VenueRow) -> str:
    parts = [f"{venue.live_markets}/{venue.markets} live"]
    if venue.heard_ms is not None:
        parts.append(f"age {venue.heard_ms / 1e3:.1f}s")
    if venue.latency_ms is not None:
        parts.append(f"{venue.latency_ms:.0f}ms")
    if venue.clock_offset_ms is not None:
        parts.append(f"clock {venue.clock_offset_ms:+.0f}ms")
    if venue.limits:
        parts.append(f"limits {max(venue.limits.values()):.0%}")
    return "  ".join(parts)


class InstrumentFinder(Finder):
    """Finds one of everything that the venues have; ends with its id."""

    def __init__(self) -> None:
        super().__init__("Add a market", COLUMNS, placeholder="a few letters, such as sol")

    def on_mount(self) -> None:
        """Ask for the usual ones."""
        self.fill()
        self._search("")

    def on_input_changed(self, event: Input.Changed) -> None:
        """Ask for what fits."""
        super().on_input_changed(event)
        self._search(event.value.strip())

    def _search(self, typed: str) -> None:
        self.deck.ask(self, "instruments.search", {"query": typed[:64], "limit": FOUND}, then=self._take)

    def _take(self, rows: list[FoundInstrument]) -> None:
        self.offer([
            Choice(
                row.id,
                (
                    Cell(row.symbol, "strong"),
                    Cell(row.venue, "muted"),
                    Cell(row.kind.replace("_", " "), "muted"),
                    Cell("watched" if row.watched else "", "muted"),
                ),
                clean(row.symbol),
                clean(f"{row.id} {short_symbol(row.id)}"),
            )
            for row in rows
        ])  # fmt: skip

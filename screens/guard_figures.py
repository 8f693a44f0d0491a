"""Breakers and locks as rows of tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.formats import DASH, age
from widgets.live_table import Cell, Column

if TYPE_CHECKING:
    from engine.control.views_guards import BreakerRow, LockRow
    from widgets.glyphs import Glyphs

__all__ = ["BREAKER_COLUMNS", "LOCK_COLUMNS", "breaker_cells", "lock_cells"]

WARN_AT = 0.75
"""The engine calls a limit high from here on."""
BREAKER_COLUMNS = (
    Column("label", "Breaker", 15, flex=True),
    Column("state", "State", 9),
    Column("value", "Now", 10, align="right"),
    Column("threshold", "Opens at", 10, align="right"),
    Column("ends", "Ends in", 8, align="right", priority=1),
    Column("share", "Used", 7, align="right", priority=4),
    Column("since", "Since", 7, align="right", priority=2),
    Column("reason", "Why", 18, priority=3),
)
LOCK_COLUMNS = (
    Column("scope", "Locked", 15, flex=True),
    Column("kind", "By", 11),
    Column("ends", "Ends in", 8, align="right"),
    Column("effect", "Bots", 11, priority=2),
    Column("since", "Since", 7, align="right", priority=3),
    Column("reason", "Why", 26, priority=1),
)
STATES = {
    "open": ("OPEN", "breach"),
    "held": ("HELD", "breach"),
    "half_open": ("TRIAL", "warn"),
    "reduced": ("REDUCED", "warn"),
    "closed": ("closed", "ok"),
}


def breaker_cells(row: BreakerRow, glyphs: Glyphs, now: int) -> tuple[Cell, ...]:
    """Return a breaker as a row of the table."""
    word, ink = STATES.get(row.state, ("OPEN", "breach") if row.open else ("closed", "ok"))
    sign = {"ok": glyphs.ok, "warn": glyphs.warn}.get(ink, glyphs.breach)
    share = DASH if row.share is None else f"{row.share * 100:.1f} %"
    near = row.share is not None and row.share >= WARN_AT
    begun = ink != "ok"
    return (
        Cell(row.label, "strong" if begun else "text"),
        Cell(f"{sign} {word}", ink),
        Cell(row.value, "breach" if row.open else "warn" if near else "text"),
        Cell(row.threshold, "muted"),
        Cell(left(row.ends, now), "text" if begun else "muted", value=row.ends),
        Cell(share, "warn" if near else "muted", value=row.share),
        Cell(age(row.since, now) if begun else DASH, "muted", value=row.since),
        Cell(row.reason or DASH, "text" if row.reason else "faint"),
    )


def lock_cells(row: LockRow, now: int) -> tuple[Cell, ...]:
    """Return a lock as a row of the table."""
    effect = ("smaller", "warn") if row.reduces else ("no entries", "breach")
    return (
        Cell(row.scope, "strong"),
        Cell(row.kind.replace("_", " "), "text"),
        Cell(left(row.until, now), "text", value=row.until),
        Cell(*effect),
        Cell(age(row.since, now), "muted", value=row.since),
        Cell(row.reason, "text"),
    )


def left(until: int, now: int) -> str:
    """Return how long it is until a time; a dash for none."""
    return age(now, until) if until > now else DASH

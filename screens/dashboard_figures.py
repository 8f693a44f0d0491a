"""What the doors say, made into the dashboard's rows: markets, bots and what happened. Pure functions only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from engine.model.entries import BotState
from screens.formats import DASH, MASK, age, clock, number, percent
from screens.market_figures import change_parts, price_text
from screens.where import HERE, WHERE, short_symbol
from widgets.activity_log import LogLine
from widgets.sparkline import spark
from widgets.table_cells import Cell, Column, place_columns, signed
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import tzinfo

    from engine.control.views import Activity, BotRow, InstrumentRow, TickerRow
    from screens.sheet import Line
    from screens.where import Where
    from widgets.glyphs import Glyphs

__all__ = [
    "BOT_STRIP",
    "MARKETS",
    "SILENT_NS",
    "activity_line",
    "bot_strip_cells",
    "market_strip_cells",
    "room_of",
    "state_cell",
    "told",
    "welcome",
]

SILENT_NS = 10_000_000_000
"""A market that was not heard of for so long is marked old."""
MARKETS = (
    Column("symbol", "Market", 8),
    WHERE,
    Column("last", "Last", 9, align="right"),
    Column("change", "24 h", 9, align="right", priority=1),
    Column("spark", "", 6, priority=2, flex=True),
    Column("range", "Low to high", 21, align="right", priority=3),
)
BOT_STRIP = (
    Column("name", "Bot", 11, flex=True),
    Column("state", "State", 10),
    Column("pnl", "P&L", 10, align="right"),
    Column("pct", "%", 9, align="right", priority=1),
    Column("symbol", "Market", 8, priority=2),
    replace(WHERE, priority=2),
    Column("position", "Holds", 8, align="right", priority=3),
)
CALM = {"gain": "depth-bid", "loss": "depth-ask"}
"""Ink of a direction -> the softer one of a small line, which lies beside figures that say the same."""
QUIET = frozenset({"OrderIntended", "OperatorActed", "EpochOpened"})
"""Facts that another fact beside them says better."""
WORDS = (
    ("OrderFilled", "fill"),
    ("order_filled", "fill"),
    ("Order", "order"),
    ("order", "order"),
    ("External", "order"),
    ("Bot", "bot"),
    ("bot", "bot"),
    ("Signal", "bot"),
    ("Trading", "risk"),
    ("Breaker", "risk"),
    ("Limits", "risk"),
    ("Position", "risk"),
    ("Engine", "core"),
    ("Recovery", "core"),
    ("State", "core"),
    ("HandedOver", "core"),
    ("Handover", "core"),
    ("Scenario", "care"),
)
"""Beginning of a fact's name -> the word for it."""
MONEY_WORD = "money"
UNKNOWN: Line = [("What you have there is not known yet.", "warn")]
WIDE = 54
SEVERITIES = {"info": "muted", "good": "gain", "warning": "warn", "critical": "breach"}


def room_of(columns: Sequence[Column], key: str, width: int) -> int:
    """Return how many cells a column gets in a table of so many cells; 0 when it is left out."""
    return next((place.width for place in place_columns(columns, width) if place.column.key == key), 0)


def market_strip_cells(
    row: TickerRow, instrument: InstrumentRow | None, glyphs: Glyphs, now: int, room: int, where: Where = HERE
) -> tuple[Cell, ...]:
    """Return a market as a row; `room` is the width of its small line. A silent market shows its age instead."""
    silent = bool(row.ts) and now - row.ts > SILENT_NS
    # A change too small for its decimals has no direction either.
    change, ink = change_parts(round(row.change_pct, 4) if row.change_pct is not None else None, glyphs)
    price = price_text(row.last if row.last is not None else row.bid, instrument)
    places = max(0, len(price.partition(".")[2]))
    return (
        Cell(short_symbol(row.instrument)),
        where.cell(row.instrument),
        Cell(price, "stale" if silent else "strong", value=row.last),
        Cell(f"{age(row.ts, now)} old", "warn") if silent else Cell(change, ink, value=row.change_pct),
        Cell(spark(row.spark, room, glyphs), "stale" if silent else CALM.get(ink, "volume")),
        Cell(f"{number(row.low, places)} to {number(row.high, places)}" if row.low else "", "muted", value=row.low),
    )


def state_cell(state: BotState, glyphs: Glyphs) -> Cell:
    """Return a bot's state as sign, word and ink."""
    signs = {
        BotState.RUNNING: (glyphs.dot, "ok"),
        BotState.PAUSED: ("‖" if glyphs.braille else "=", "warn"),
        BotState.STOPPED: ("○" if glyphs.braille else "-", "muted"),
        BotState.ERROR: (glyphs.breach, "breach"),
    }
    sign, ink = signs.get(state, (glyphs.follow, "warn"))
    word = "failed" if state is BotState.ERROR else state.value
    return Cell(f"{sign} {word}", ink, value=word)


def bot_strip_cells(row: BotRow, glyphs: Glyphs, *, private: bool = False, where: Where = HERE) -> tuple[Cell, ...]:
    """Return a bot as a row: who it is, how it is, what it made."""
    if row.pnl is None:
        profit = Cell(DASH, "muted")
    else:
        profit = signed(MASK if private else number(row.pnl, signed=True), row.pnl, glyphs)
    ink = "muted" if not row.pnl_pct else "gain" if row.pnl_pct > 0 else "loss"
    held = MASK if private else f"{row.position.normalize():f}"
    return (
        Cell(row.name),
        state_cell(row.state, glyphs),
        profit,
        Cell(percent(row.pnl_pct, signed=True), ink, value=row.pnl_pct),
        Cell(short_symbol(row.instrument), "muted"),
        where.cell(row.instrument, row.account),
        Cell(held if row.position else DASH, "text" if row.position else "muted", value=row.position),
    )


def told(facts: Iterable[Activity]) -> list[Activity]:
    """Return the facts worth a line on the dashboard."""
    return [fact for fact in facts if fact.kind not in QUIET]


def activity_line(fact: Activity, names: Mapping[str, str], glyphs: Glyphs, zone: tzinfo) -> LogLine:
    """Return a fact as a line of the log: time, sign and word of its kind, what happened, and to whom."""
    sign = {"good": glyphs.ok, "warning": "!", "critical": glyphs.breach}.get(fact.severity, glyphs.flat)
    word = next((word for beginning, word in WORDS if fact.kind.startswith(beginning)), MONEY_WORD)
    owner = clean(names.get(fact.owner, fact.owner))
    text = clean(fact.text)
    if owner and owner != "manual" and owner not in text:
        text = f"{owner}: {text}"
    return LogLine(clock(fact.ts, zone), f"{sign} {word}", text, SEVERITIES.get(fact.severity, "text"))


def welcome(
    money: str, keys: Sequence[tuple[str, str]], width: int, height: int, *, source: str = "", real: bool = False
) -> list[Line]:
    """Return the first run's words: what runs here, whether anything is real, and what to try.

    Args:
        money: The account's money with its currency.
        keys: Keys with what they do.
        width: Cells of a line; the longer sentences are said where they fit.
        height: Lines there are; with a blank line between words and keys where it fits.
        source: The exchange whose prices are shown; empty for the simulated market.
        real: Whether orders go there.
    """
    wide = width >= WIDE
    paper: Line = UNKNOWN if not money else [
        ("You have ", "text"), (money, "accent"), (" of paper money to try it." if wide else " of paper.", "text"),
    ]  # fmt: skip
    if real:
        lines: list[Line] = [
            [(f"Orders go to {source}" + (", and what they do is real there." if wide else "."), "strong")],
            [("You have ", "text"), (money, "accent"), (" there.", "text")] if money else UNKNOWN,
        ]
    elif source:
        lines = [
            [(f"The prices are those of {source}" + (", as they are now." if wide else "."), "strong")],
            [("Orders stay on paper" + (": nothing is ever sent there." if wide else ", nothing is sent."), "text")],
            paper,
        ]
    else:
        lines = [
            [("A simulated market trades here" + (", on this machine alone." if wide else "."), "strong")],
            [("Nothing is real" + (": no venue, no network, no risk." if wide else ", nothing is at risk."), "text")],
            paper,
        ]
    tries: list[Line] = [[(f" {key} ", "accent"), (f" {words}", "text")] for key, words in keys]
    if height > len(lines) + len(tries) + 1:
        return [[], *lines, [], *tries]
    return [*lines, *tries]

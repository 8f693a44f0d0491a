"""What the screen of settings says, as plain lines and cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from screens.formats import DASH, at, number
from screens.sheet import wrap
from widgets.live_table import Cell, Column
from widgets.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from engine.control.views_keys import KeyRow, KeysView, KeyTest
    from engine.control.views_live import ArmedRow, LiveAccountRow, LiveView
    from engine.control.views_records import ChannelRow
    from screens.sheet import Line

__all__ = [
    "CHANNEL_COLUMNS",
    "KEY_COLUMNS",
    "LIVE_COLUMNS",
    "channel_cells",
    "key_cells",
    "left_text",
    "live_rows",
    "ring_lines",
    "answer_lines",
]

S = 1_000_000_000
ARMED = "armed "
"""Before the keys of rows of consoles that are armed."""
WIDTH = 70
KEY_COLUMNS = (
    Column("venue", "Venue", 12),
    Column("account", "Account", 16, flex=True),
    Column("fingerprint", "Fingerprint", 12),
    Column("added", "Added", 16, priority=2),
    Column("rotated", "Rotated", 16, priority=1),
)
LIVE_COLUMNS = (
    Column("account", "Account", 22),
    Column("where", "Where", 16, priority=1),
    Column("state", "State", 12),
    Column("more", "", 38, flex=True),
)
CHANNEL_COLUMNS = (
    Column("name", "Channel", 14),
    Column("sent", "Sent", 6, align="right"),
    Column("waiting", "Waiting", 7, align="right"),
    Column("lost", "Given up", 8, align="right"),
    Column("problem", "Last problem", 14, flex=True),
)
STATES = {"open": "ok", "empty": "muted", "locked": "halt", "failed": "breach"}


def left_text(until: int, now: int) -> str:
    """Return the time that is left in a few cells: 14:59, 7:59:59; 0:00 when it is over."""
    # Of whole seconds of the clock: a table that is drawn once a second says the same as the line above it.
    seconds = max(0, until // S - now // S)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def ring_lines(view: KeysView) -> list[Line]:
    """The state of the keys in two lines: whether they can be had, and where they are or why not."""
    state = clean(view.state).upper()
    count = len(view.keys)
    words = f"{count} key{'' if count == 1 else 's'} in {clean(view.place)}"
    first: Line = [(f" {state} ", STATES.get(view.state, "muted")), (f"  {words}", "text")]
    if view.reason:
        return [first, [(clean(view.reason), "warn" if view.state == "locked" else "breach")]]
    return [first, [("Nothing of a key is shown anywhere but its fingerprint.", "muted")]]


def key_cells(row: KeyRow, zone: tzinfo) -> list[Cell]:
    """A key."""
    return [
        Cell(row.venue, "strong"),
        Cell(row.account),
        Cell(row.fingerprint or "locked", "text" if row.fingerprint else "muted"),
        Cell(at(row.added, zone) if row.added else DASH, "muted"),
        Cell(at(row.rotated, zone) if row.rotated else DASH, "muted"),
    ]


def live_rows(view: LiveView, now: int, *, hidden: bool) -> list[tuple[str, list[Cell]]]:
    """Every account that the settings want to be live, and below each the consoles that are armed for it."""
    rows = []
    for account in view.accounts:
        rows.append((str(account.account), _account_cells(account)))
        for number_, armed in enumerate(found for found in view.armed if found.account == account.account):
            rows.append((f"{ARMED}{account.account} {number_}", _armed_cells(armed, now, hidden=hidden)))
    return rows


def _account_cells(row: LiveAccountRow) -> list[Cell]:
    if not row.consented:
        state, more = Cell("not agreed", "warn"), "Nobody has agreed to its use here yet."
    elif row.refused:
        state, more = Cell("read only", "warn"), row.refused
    else:
        state, more = Cell("agreed", "ok"), "Orders need a console that is armed."
    return [Cell(row.words, "strong"), Cell(row.target, "muted"), state, Cell(more, "muted")]


def _armed_cells(row: ArmedRow, now: int, *, hidden: bool) -> list[Cell]:
    who = "  this console" if row.mine else f"  {clean(row.actor)}"
    money = (
        "amounts are hidden"
        if hidden
        else f"{number(row.used)} of {number(row.max_total)} {row.currency}, one {number(row.max_order)}"
    )
    left = f"ARMED {left_text(row.until, now)}"
    return [Cell(who), Cell("", "muted"), Cell(left, "live" if row.mine else "warn"), Cell(money)]


def channel_cells(row: ChannelRow) -> list[Cell]:
    """A channel of alerts."""
    return [
        Cell(row.name, "strong"),
        Cell(str(row.sent), value=row.sent),
        Cell(str(row.waiting), "warn" if row.waiting else "text", value=row.waiting),
        Cell(str(row.given_up), "breach" if row.given_up else "text", value=row.given_up),
        Cell(row.problem or "none", "breach" if row.problem else "muted"),
    ]


def answer_lines(told: KeyTest, zone: tzinfo) -> list[Line]:
    """What a venue says about a key."""
    words: Sequence[tuple[str, str, str]] = (
        ("Asked", told.target, "text"),
        ("May read", *_said(told.read, wanted=True)),
        ("May trade", *_said(told.trade, wanted=True)),
        ("May withdraw", *_said(told.withdraw, wanted=False)),
        ("Derivatives", *_said(told.derivatives)),
        ("Bound to addresses", *_said(told.ip_restricted, wanted=True)),
        ("Ends", at(told.expires, zone) if told.expires is not None else "unknown", "text"),
        ("Clock", "unknown" if told.clock_offset_ms is None else f"{told.clock_offset_ms:+.0f} ms from ours", "text"),
        ("Balances", "unknown" if told.balances is None else f"{told.balances} currencies", "text"),
    )
    lines: list[Line] = [[(f"{label:<20}", "muted"), (clean(text), ink)] for label, text, ink in words]
    for warning in told.warnings:
        lines += [[], *wrap(warning, WIDTH, "warn")]
    if told.note:
        lines += [[], *wrap(told.note, WIDTH, "muted")]
    return lines


def _said(value: bool | None, *, wanted: bool | None = None) -> tuple[str, str]:
    """What a venue says, in a word and its ink; what it does not say is unknown, and never no."""
    if value is None:
        return "unknown: the venue does not say", "stale"
    ink = "text" if wanted is None else "ok" if value is wanted else "warn"
    return ("yes" if value else "no"), ink

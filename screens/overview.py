"""The account in one strip of figures: equity, profit, exposure, drawdown, bots and risk, each with its note.

The strip is one widget of three lines. Tiles keep their places whatever the figures are, so that a moving price costs
the digits that moved; a figure too long for its tile loses its decimals before it loses its meaning.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from engine.model.entries import BotState, TradingState
from screens.formats import DASH, MASK, number, percent
from widgets.line_widget import LineBuilder, LineWidget
from widgets.status_line import StatusLine
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from textual.strip import Strip

    from engine.control.views import BotRow, PortfolioOverview, RiskView
    from screens.base import DeckScreen
    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = [
    "OverviewStrip",
    "Tile",
    "account_tiles",
    "bots_tile",
    "direction",
    "risk_tile",
    "show_account",
    "show_equity",
    "strip_rows",
]

DEEP = 0.1
"""A fall below the peak that deserves a warning."""
GAP = 2
"""Cells between two tiles: the rule and a blank."""
ACCOUNT = (
    (("Equity",), 10),
    (("Profit today", "Today"), 10),
    (("Profit in total", "Total"), 10),
    (("Exposure",), 10),
    (("Drawdown",), 8),
)
"""Names and least widths of the account's tiles."""
LEVEL_INKS = {"low": "ok", "medium": "text", "high": "warn", "critical": "breach"}


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure: its name, value and note, each as texts of which the first that fits is shown; its least width."""

    labels: tuple[str, ...]
    values: tuple[str, ...]
    ink: str = "strong"
    notes: tuple[str, ...] = ()
    note_ink: str = "muted"
    width: int = 10


def direction(value: Decimal | float | None, glyphs: Glyphs) -> tuple[str, str]:
    """Return the sign and the ink of a profit: a colour alone would say nothing to everyone."""
    if value is None or not value:
        return "", "strong"
    return (f"{glyphs.up} ", "gain") if value > 0 else (f"{glyphs.down} ", "loss")


def _profit(value: Decimal | None, glyphs: Glyphs, *, private: bool) -> tuple[tuple[str, ...], str]:
    sign, ink = direction(value, glyphs)
    if private:
        return (sign + MASK,), ink
    return tuple(sign + number(value, places, signed=True) for places in (2, 0)), ink


def account_tiles(view: PortfolioOverview | None, glyphs: Glyphs, *, private: bool = False) -> list[Tile]:
    """Return equity, profit of today and in total, exposure and drawdown; dashes before the engine has spoken."""
    if view is None:
        return [Tile(labels, (DASH,), width=width) for labels, width in ACCOUNT]

    def amount(value: Decimal | None) -> tuple[str, ...]:
        return (MASK,) if private else tuple(number(value, places) for places in (2, 0))

    notes, note_ink = (f"{view.currency}, {amount(view.cash)[0]} in cash", str(view.currency)), "muted"
    if view.unvalued:
        word = "not known" if any(one.startswith("the account ") for one in view.unvalued) else "no price"
        notes, note_ink = (f"{word}: {', '.join(view.unvalued)}", word), "warn"
    today, today_ink = _profit(view.day_change, glyphs, private=private)
    profit = view.equity - view.deposits if view.equity is not None else None
    total, total_ink = _profit(profit, glyphs, private=private)
    share = percent(profit / view.deposits, signed=True) if profit is not None and view.deposits > 0 else DASH
    fees = f"{share}, fees {amount(view.fees)[0]}"
    exposure = percent(view.exposure_pct, 1)
    held = f"{view.open_positions} open" if view.exposure is not None or view.open_positions else "not known"
    fall = view.drawdown_pct or 0
    told: tuple[tuple[tuple[str, ...], str, tuple[str, ...], str], ...] = (
        (amount(view.equity), "strong", tuple(clean(text) for text in notes), note_ink),
        (today, today_ink, (percent(view.day_change_pct, signed=True),), "muted"),
        (total, total_ink, (fees, share), "muted"),
        (amount(view.exposure), "strong", (f"{exposure}, {held}", exposure), "muted"),
        (
            (percent(view.drawdown_pct),),
            "warn" if fall >= DEEP else "strong",
            (f"peak {amount(view.peak)[0]}", "of peak"),
            "muted",
        ),
    )
    return [
        Tile(labels, values, ink, words, words_ink, width)
        for (labels, width), (values, ink, words, words_ink) in zip(ACCOUNT, told, strict=True)
    ]


def show_account(
    screen: DeckScreen, account: PortfolioOverview | None, bots: Sequence[BotRow] | None, risk: RiskView | None
) -> None:
    """Fill a screen's strip."""
    strip = screen.query_one(OverviewStrip)
    private = screen.deck.privacy
    strip.show([*account_tiles(account, strip.glyphs, private=private), bots_tile(bots), risk_tile(risk)])


def show_equity(screen: DeckScreen, account: PortfolioOverview | None) -> None:
    """Let the status line say the same equity as the strip: its own is half a second older."""
    if account is not None and account.equity is not None and screen.live:
        screen.query_one(StatusLine).show(equity=f"{screen.money(account.equity)} {account.currency}")


def bots_tile(rows: Sequence[BotRow] | None) -> Tile:
    """Return how many bots run, and how many stopped themselves."""
    if rows is None:
        return Tile(("Bots",), (DASH,), width=9)
    running = sum(row.state in {BotState.RUNNING, BotState.RECOVERING} for row in rows)
    failed = sum(row.state is BotState.ERROR for row in rows)
    paused = sum(row.state is BotState.PAUSED for row in rows)
    if failed:
        note, ink = f"{failed} failed", "breach"
    elif paused:
        note, ink = f"{paused} paused", "warn"
    else:
        note, ink = "running" if rows else "none yet", "muted"
    return Tile(("Bots running", "Bots"), (f"{running} of {len(rows)}" if rows else "0",), "strong", (note,), ink, 9)


def risk_tile(view: RiskView | None) -> Tile:
    """Return the risk level and whether orders may be sent."""
    if view is None:
        return Tile(("Risk",), (DASH,), width=8)
    states = {TradingState.ACTIVE: ("active", "muted"), TradingState.REDUCING: ("REDUCING", "warn")}
    word, ink = states.get(view.trading, (view.trading.value.upper(), "breach"))
    level = clean(view.level)
    notes = (f"trading {word}", word)
    return Tile(("Risk level", "Risk"), (level.upper(),), LEVEL_INKS.get(level, "strong"), notes, ink, 8)


def _choose(texts: Iterable[str], width: int) -> str:
    """Return the first text that fits, else the last; a text may touch the rule only when nothing shorter says it."""
    text = ""
    for text in texts:
        if width_of(text) <= width:
            return text
    return text


def tile_widths(tiles: Sequence[Tile], width: int) -> list[int]:
    """Return a width for every tile that depends on nothing that moves; the last tiles leave a line too short."""
    wanted = [tile.width for tile in tiles]
    while len(wanted) > 1 and sum(wanted) + GAP * (len(wanted) - 1) > width:
        wanted.pop()
    spare = max(0, width - sum(wanted) - GAP * (len(wanted) - 1))
    whole, rest = divmod(spare, max(1, len(wanted)))
    return [size + whole + (place < rest) for place, size in enumerate(wanted)]


def strip_rows(tiles: Sequence[Tile], width: int, palette: Palette, glyphs: Glyphs) -> list[Strip]:
    """Return the strip's three lines: names, figures, notes."""
    lines = [LineBuilder(palette) for _ in range(3)]
    for place, size in enumerate(tile_widths(tiles, width)):
        tile = tiles[place]
        parts = (
            (_choose(tile.labels, size - 1), "muted"),
            (_choose(tile.values, size - 1), tile.ink),
            (_choose(tile.notes, size - 1), tile.note_ink),
        )
        for line, (text, ink) in zip(lines, parts, strict=True):
            if place:
                line.add(f"{glyphs.axis} ", "faint")
            line.add(fit(text, size, "left", glyphs.ellipsis), ink)
    return [line.strip(width) for line in lines]


class OverviewStrip(LineWidget):
    """The strip; `show` takes the tiles."""

    DEFAULT_CSS: ClassVar[str] = """
    OverviewStrip { height: 3; padding: 0 1; }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tiles: tuple[Tile, ...] = ()

    def show(self, tiles: Sequence[Tile]) -> None:
        """Show these tiles."""
        fresh = tuple(tiles)
        if fresh != self._tiles:
            self._tiles = fresh
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the three lines."""
        return strip_rows(self._tiles, width, self.palette, self.glyphs)[:height]

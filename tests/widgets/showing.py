"""A small app around one widget, and ways to read what it shows."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from themes import DEFAULT_THEME, load_themes, variable_defaults
from widgets.candle_paint import Bar
from widgets.glyphs import ASCII, UNICODE
from widgets.palette import Palette
from widgets.shadow import ShadowedApp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.message import Message
    from textual.strip import Strip
    from textual.widget import Widget

    from widgets.line_widget import LineWidget

PLAIN = Palette.plain()
COLOURED = Palette.from_variables({})
__all__ = ["ASCII", "COLOURED", "MINUTE_NS", "PLAIN", "UNICODE", "Showing", "bars", "inks", "seen", "text"]

MINUTE_NS = 60_000_000_000


class Showing(ShadowedApp[None]):
    """Shows some widgets below each other and keeps the messages they send."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, *shown: Widget, theme: str = DEFAULT_THEME, ascii_glyphs: bool = False, css: str = "") -> None:
        super().__init__()
        self.shown = shown
        self.wanted = theme
        self.ascii_glyphs = ascii_glyphs
        self.messages: list[Message] = []
        self.copied: list[str] = []
        if css:
            self.stylesheet.add_source(css, is_default_css=False)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variable_defaults(dark=self.current_theme.dark)

    def compose(self) -> ComposeResult:
        yield from self.shown

    def on_mount(self) -> None:
        for theme in load_themes():
            self.register_theme(theme)
        self.theme = self.wanted

    def copy_to_clipboard(self, text: str) -> None:
        self.copied.append(text)
        super().copy_to_clipboard(text)


def text(strips: Sequence[Strip]) -> list[str]:
    """Return the characters of rendered lines."""
    return [strip.text for strip in strips]


def seen(widget: LineWidget) -> list[str]:
    """Return what a widget's content area shows now."""
    return [widget.render_line(y).text.rstrip() for y in range(widget.content_size.height)]


def inks(strip: Strip, palette: Palette) -> dict[str, str]:
    """Return text by ink of a line drawn with a palette whose inks differ; later parts of an ink are appended."""
    names: dict[str, str] = {}
    for segment in strip:
        for ink in (
            "gain",
            "loss",
            "warn",
            "breach",
            "live",
            "paper",
            "halt",
            "own",
            "last",
            "cursor",
            "muted",
            "stale",
            "ok",
        ):
            if segment.style == palette[ink]:
                names[ink] = names.get(ink, "") + segment.text
    return names


def bars(count: int = 120, seed: int = 3, start: float = 67_400.0, volatility: float = 25.0) -> list[Bar]:
    """Return a seeded run of one-minute candles beginning at a round hour."""
    rng = random.Random(seed)
    price, out = start, []
    for index in range(count):
        opened = price
        price = opened + rng.gauss(0, volatility)
        high = max(opened, price) + abs(rng.gauss(0, volatility / 2))
        low = min(opened, price) - abs(rng.gauss(0, volatility / 2))
        out.append(
            Bar(
                1_760_000_400 // 3600 * 3600 * 10**9 + index * MINUTE_NS,
                opened,
                high,
                low,
                price,
                abs(rng.gauss(20, 9)),
            )
        )
    return out

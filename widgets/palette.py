"""Names for inks: what a thing means on the screen, resolved to a terminal style by the theme in force.

Rendering code names inks ("gain", "muted", "cursor"), never colours. Without colour (NO_COLOR) an ink keeps its
weight, underline or reverse video, so a badge still stands out and the cursor can still be seen.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

from rich.style import Style
from textual.color import Color

from themes import OWN_VARIABLES, variable_defaults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import App

__all__ = ["INKS", "Ink", "Palette", "palette_of"]

Ink = Literal[
    "text",
    "strong",
    "muted",
    "faint",
    "title",
    "accent",
    "gain",
    "loss",
    "neutral",
    "bid",
    "ask",
    "depth-bid",
    "depth-ask",
    "own",
    "last",
    "stale",
    "ok",
    "warn",
    "breach",
    "live",
    "paper",
    "halt",
    "cursor",
    "cursor-blurred",
    "candle-up",
    "candle-down",
    "volume",
    "overlay-1",
    "overlay-2",
    "overlay-3",
    "crosshair",
    "drawdown",
]
INKS: tuple[Ink, ...] = get_args(Ink)

# theme variables of an ink: foreground, background (or None), weight.
_RECIPES: dict[str, tuple[str, str | None, str]] = {
    "text": ("foreground", None, ""),
    "strong": ("foreground", None, "bold"),
    "title": ("header", None, "bold"),
    "live": ("live-text", "live", "bold"),
    "paper": ("paper-text", "paper", "bold"),
    "halt": ("halt-text", "halt", "bold"),
    "cursor": ("row-cursor-text", "row-cursor", "bold"),
    "cursor-blurred": ("row-cursor-blurred-text", "row-cursor-blurred", ""),
    "own": ("own", None, "bold"),
    "last": ("last", None, "bold"),
    "warn": ("warn", None, "bold"),
    "breach": ("breach", None, "bold"),
    "stale": ("stale", None, ""),
    "accent": ("brass", None, "bold"),
}
# What each ink is when there is no colour to tell it by.
_COLOURLESS = {
    "live": "bold reverse",
    "paper": "reverse",
    "halt": "bold reverse",
    "breach": "bold reverse",
    "warn": "bold underline",
    "cursor": "reverse not dim",
    "cursor-blurred": "underline not dim",
    "strong": "bold",
    "title": "bold",
    "accent": "bold",
    "own": "bold",
    "last": "bold",
    "gain": "bold",
    "candle-up": "bold",
    "crosshair": "reverse",
    "muted": "dim",
    "faint": "dim",
    "stale": "dim italic",
}


class Palette:
    """Styles by ink.

    Args:
        styles: One style an ink; every name in :data:`INKS` must be there.
        colourless: Whether signs must say what colours cannot.
    """

    def __init__(self, styles: Mapping[str, Style], *, colourless: bool = False) -> None:
        missing = [ink for ink in INKS if ink not in styles]
        if missing:
            raise KeyError(f"the palette lacks {', '.join(missing)}")
        self._styles = dict(styles)
        self.colourless = colourless
        colours = [colour for style in styles.values() for colour in (style.color, style.bgcolor) if colour is not None]
        self.exact = not colourless and all(colour.triplet is not None for colour in colours)
        """Whether every colour is given by its components, so that no filter need look at what is drawn with it."""

    def __getitem__(self, ink: str) -> Style:
        """Return the style of ``ink``; raises KeyError for a name that is no ink."""
        return self._styles[ink]

    @classmethod
    def from_variables(cls, variables: Mapping[str, str], *, no_color: bool = False) -> Palette:
        """Build the palette from the variables of a theme.

        What a foreign theme lacks is taken from the default theme of the same darkness.
        """
        dark = Color.parse(_solid(variables.get("background", "black"))).brightness < 0.5
        own = {**variable_defaults(dark=dark), **variables}
        names = ["foreground", *OWN_VARIABLES]
        return _palette(tuple((name, own[name]) for name in names if name in own), no_color)

    @classmethod
    def plain(cls) -> Palette:
        """Return a palette without colours, as NO_COLOR has it."""
        return cls({ink: Style.parse(_COLOURLESS.get(ink, "")) for ink in INKS}, colourless=True)


def _solid(colour: str) -> str:
    # A theme may write "ansi_green 50%"; a cell cannot be half transparent, so the share is left out.
    return colour.split(" ")[0]


@lru_cache(maxsize=32)
def _palette(items: tuple[tuple[str, str], ...], no_color: bool) -> Palette:
    if no_color:
        return Palette.plain()
    variables = dict(items)
    styles: dict[str, Style] = {}
    for ink in INKS:
        front, back, weight = _RECIPES.get(ink, (ink, None, ""))
        foreground = Color.parse(_solid(variables.get(front, "ansi_default"))).rich_color
        background = Color.parse(_solid(variables[back])).rich_color if back else None
        styles[ink] = Style.parse(weight) + Style.from_color(foreground, background)
    return Palette(styles)


def palette_of(app: App[object]) -> Palette:
    """Return the palette of the theme ``app`` shows."""
    return Palette.from_variables(app.theme_variables, no_color=app.no_color)

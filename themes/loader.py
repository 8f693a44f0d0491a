"""Reads theme files: a TOML table of colours in, a checked Textual theme out."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from textual.theme import Theme

__all__ = ["DEFAULT_THEME", "OWN_VARIABLES", "load_theme", "load_themes", "variable_defaults"]

DEFAULT_THEME = "quarterdeck-dark"
LIGHT_THEME = "quarterdeck-light"
FOLDER = Path(__file__).resolve().parent

OWN_VARIABLES: dict[str, str] = {
    "gain": "a profit, a rise",
    "loss": "a loss, a fall",
    "neutral": "a figure without a direction",
    "bid": "the buying side of a book",
    "ask": "the selling side of a book",
    "depth-bid": "depth bars of the buying side",
    "depth-ask": "depth bars of the selling side",
    "own": "one's own orders",
    "last": "the last trade",
    "stale": "data too old to act on",
    "ok": "a check that passed",
    "warn": "attention wanted",
    "breach": "a limit broken",
    "live": "ground of the LIVE badge",
    "live-text": "letters of the LIVE badge",
    "paper": "ground of the PAPER badge",
    "paper-text": "letters of the PAPER badge",
    "halt": "ground of the HALTED badge",
    "halt-text": "letters of the HALTED badge",
    "header": "column titles and headings",
    "brass": "the accent: focused borders, keys, what is chosen",
    "muted": "labels and secondary figures, still readable",
    "faint": "rules, grids and empty tracks",
    "row-cursor": "ground of the cursor row in a focused table",
    "row-cursor-text": "letters of the cursor row in a focused table",
    "row-cursor-blurred": "ground of the cursor row elsewhere",
    "row-cursor-blurred-text": "letters of the cursor row elsewhere",
    "candle-up": "a candle that closed higher",
    "candle-down": "a candle that closed lower",
    "volume": "volume columns",
    "overlay-1": "first line over a chart",
    "overlay-2": "second line over a chart",
    "overlay-3": "third line over a chart",
    "crosshair": "the chart's crosshair",
    "drawdown": "the shade below an equity curve's peak",
}
"""Every variable a theme must define, with what it stands for; style sheets use them as ``$gain``."""


class Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Textual's own colours of a theme."""

    primary: str
    secondary: str
    accent: str
    warning: str
    error: str
    success: str
    foreground: str
    background: str
    surface: str
    panel: str


class ThemeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a theme file says."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9-]*$")]
    """How settings and the palette call it."""
    dark: bool
    """Whether the ground is darker than the letters."""
    ansi: bool = False
    """Whether the colours are the terminal's own sixteen (``ansi_red``), sent as such."""
    base: Base
    inks: dict[str, str]

    def __post_init__(self) -> None:
        missing = sorted(OWN_VARIABLES.keys() - self.inks.keys())
        unknown = sorted(self.inks.keys() - OWN_VARIABLES.keys())
        if missing or unknown:
            parts = [f"lacks {', '.join(missing)}"] if missing else []
            parts += [f"has unknown {', '.join(unknown)}"] if unknown else []
            raise ValueError("; ".join(parts))


def _read(path: Path) -> ThemeFile:
    from textual.color import Color, ColorParseError

    try:
        theme = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), ThemeFile)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"The theme file {path} could not be read: {error}. Correct or remove it.") from error
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"The theme file {path} was refused: {error}. Correct or remove it.") from error
    for key, colour in {**msgspec.structs.asdict(theme.base), **theme.inks}.items():
        try:
            Color.parse(colour)
        except ColorParseError as error:
            raise ConfigurationError(
                f"The theme file {path} was refused: {key} = {colour!r} is not a colour. Use #rrggbb or ansi_name."
            ) from error
    return theme


def load_theme(path: Path) -> Theme:
    """Read one theme file.

    Raises:
        ConfigurationError: The file cannot be read, lacks a variable, has an unknown one, or names no colour.
    """
    from textual.theme import BUILTIN_THEMES, Theme

    theme = _read(path)
    # Textual's style sheets refer to variables that only its own ANSI themes define.
    native = BUILTIN_THEMES["ansi-dark" if theme.dark else "ansi-light"].variables if theme.ansi else {}
    return Theme(
        name=theme.name,
        dark=theme.dark,
        ansi=theme.ansi,
        variables={**native, **theme.inks},
        **msgspec.structs.asdict(theme.base),
    )


def load_themes(folder: Path | None = None) -> list[Theme]:
    """Read every ``*.toml`` of a folder (the built-in themes when None), sorted by name.

    Raises:
        ConfigurationError: One of the files is not a theme.
    """
    return [load_theme(path) for path in sorted((folder or FOLDER).glob("*.toml"))]


@lru_cache(maxsize=2)
def _default_inks(dark: bool) -> dict[str, str]:
    return dict(_read(FOLDER / f"{DEFAULT_THEME if dark else LIGHT_THEME}.toml").inks)


def variable_defaults(*, dark: bool = True) -> dict[str, str]:
    """Return our variables for themes that do not define them, for ``App.get_theme_variable_defaults``."""
    return dict(_default_inks(dark))

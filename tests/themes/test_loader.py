"""Theme files are complete, readable by eye, and the only place where colours are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from textual.color import Color

from engine.errors import ConfigurationError
from themes import DEFAULT_THEME, OWN_VARIABLES, load_theme, load_themes, variable_defaults
from widgets.palette import INKS, Palette

if TYPE_CHECKING:
    from textual.theme import Theme

ROOT = Path(__file__).resolve().parents[2]
THEMES = load_themes()
NAMES = ["ansi-dark", "asia-reversed", "colour-blind", "high-contrast", "quarterdeck-dark", "quarterdeck-light"]
# What is read as text on the theme's ground; rules, bars and grids may be fainter.
TEXT_INKS = [
    "gain", "loss", "neutral", "bid", "ask", "own", "last", "stale", "ok", "warn", "breach", "header", "brass", "muted",
    "overlay-1", "overlay-2", "overlay-3", "crosshair", "candle-up", "candle-down",
]  # fmt: skip
BADGES = [("live-text", "live"), ("paper-text", "paper"), ("halt-text", "halt"), ("row-cursor-text", "row-cursor")]


def contrast(first: Color, second: Color) -> float:
    """Return the WCAG 2 contrast ratio of two colours."""

    def luminance(colour: Color) -> float:
        parts = [part / 255 for part in (colour.r, colour.g, colour.b)]
        red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_built_in_themes_are_these() -> None:
    assert [theme.name for theme in THEMES] == NAMES
    assert DEFAULT_THEME in NAMES


@pytest.mark.parametrize("theme", THEMES, ids=NAMES)
def test_a_theme_defines_every_variable_of_ours(theme: Theme) -> None:
    assert OWN_VARIABLES.keys() <= theme.variables.keys()


@pytest.mark.parametrize("theme", THEMES, ids=NAMES)
def test_a_theme_gives_every_ink_a_style(theme: Theme) -> None:
    palette = Palette.from_variables({**theme.to_color_system().generate(), **theme.variables})
    for ink in INKS:
        assert palette[ink].color is not None


@pytest.mark.parametrize("theme", [theme for theme in THEMES if not theme.ansi], ids=lambda theme: theme.name)
def test_text_can_be_read_on_the_ground_of_its_theme(theme: Theme) -> None:
    least = 7.0 if theme.name == "high-contrast" else 4.5
    ground = Color.parse(theme.background or "")
    weak = {ink: contrast(Color.parse(theme.variables[ink]), ground) for ink in TEXT_INKS}
    assert {ink: round(ratio, 2) for ink, ratio in weak.items() if ratio < least} == {}
    badges = {
        back: contrast(Color.parse(theme.variables[text]), Color.parse(theme.variables[back])) for text, back in BADGES
    }
    assert {badge: round(ratio, 2) for badge, ratio in badges.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", THEMES, ids=NAMES)
def test_opposites_and_modes_never_share_a_colour(theme: Theme) -> None:
    for one, other in (
        ("gain", "loss"),
        ("bid", "ask"),
        ("live", "paper"),
        ("candle-up", "candle-down"),
        ("ok", "breach"),
    ):
        assert theme.variables[one] != theme.variables[other], (one, other)


def test_asia_reversed_swaps_rise_and_fall() -> None:
    usual, asia = (next(theme for theme in THEMES if theme.name == name) for name in (DEFAULT_THEME, "asia-reversed"))
    assert asia.variables["gain"] == usual.variables["loss"]
    assert asia.variables["bid"] == usual.variables["ask"]


def test_themes_without_our_variables_borrow_them_by_darkness() -> None:
    assert variable_defaults(dark=True).keys() == OWN_VARIABLES.keys()
    assert variable_defaults(dark=True)["gain"] != variable_defaults(dark=False)["gain"]
    light = Palette.from_variables({"background": "#ffffff", "foreground": "#000000"})
    dark = Palette.from_variables({"background": "#000000", "foreground": "#ffffff"})
    assert light["gain"] != dark["gain"]


def _spoilt(tmp_path: Path, old: str, new: str) -> Path:
    text = (ROOT / "themes" / "quarterdeck-dark.toml").read_text()
    assert old in text
    path = tmp_path / "mine.toml"
    path.write_text(text.replace(old, new, 1))
    return path


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("gain = ", "profit = ", "lacks gain; has unknown profit"),
        ('loss = "#f0766b"', 'loss = "coraline"', "'coraline' is not a colour"),
        ('name = "quarterdeck-dark"', 'name = "Mine!"', "name"),
        ("dark = true", "dark = true\nmood = 1", "mood"),
        ("[base]", "[base", "could not be read"),
    ],
)
def test_a_faulty_theme_file_is_refused_with_its_path_and_fault(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = _spoilt(tmp_path, old, new)
    with pytest.raises(ConfigurationError) as caught:
        load_theme(path)
    assert str(path) in caught.value.message
    assert said in caught.value.message


def test_a_theme_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="could not be read"):
        load_theme(tmp_path / "none.toml")


def test_a_folder_of_own_themes_is_loaded_the_same_way(tmp_path: Path) -> None:
    path = _spoilt(tmp_path, "quarterdeck-dark", "mine")
    assert [theme.name for theme in load_themes(path.parent)] == ["mine"]


def test_colours_are_written_nowhere_but_in_theme_files() -> None:
    hexes = re.compile(r"#(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b")
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for room in ("widgets", "screens", "console", "themes")
        for path in sorted((ROOT / room).rglob("*"))
        if path.suffix in {".py", ".tcss"}
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if hexes.search(line)
    ]
    assert found == []

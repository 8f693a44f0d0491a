"""Inks follow the theme; without colour they keep weight, underline or reverse video."""

from __future__ import annotations

import pytest
from rich.style import Style

from tests.widgets.showing import Showing
from widgets.metric import Metric
from widgets.palette import INKS, Palette


def test_without_colour_no_ink_has_one() -> None:
    plain = Palette.plain()
    assert plain.colourless
    assert all(plain[ink].color is None and plain[ink].bgcolor is None for ink in INKS)


def test_without_colour_what_must_be_noticed_differs_from_text() -> None:
    plain = Palette.plain()
    for ink in ("live", "paper", "halt", "cursor", "warn", "breach", "crosshair"):
        assert plain[ink] != plain["text"], ink
    assert plain["live"] != plain["paper"]


def test_a_name_that_is_no_ink_is_an_error() -> None:
    with pytest.raises(KeyError):
        Palette.plain()["chartreuse"]


def test_a_palette_must_have_every_ink() -> None:
    with pytest.raises(KeyError, match="gain"):
        Palette({ink: Style() for ink in INKS if ink != "gain"})


async def test_a_change_of_theme_repaints_in_the_new_inks() -> None:
    tile = Metric("Equity")
    app = Showing(tile)
    async with app.run_test() as pilot:
        tile.show("1.00", "gain")
        tile.drain()
        await pilot.pause()
        before = next(iter(tile.render_line(1))).style
        app.theme = "asia-reversed"
        await pilot.pause()
        after = next(iter(tile.render_line(1))).style
    assert before is not None
    assert after is not None
    assert before.color != after.color


async def test_any_theme_of_textual_can_be_chosen() -> None:
    tile = Metric("Equity")
    app = Showing(tile)
    async with app.run_test() as pilot:
        for name in ("textual-light", "nord", "ansi-dark"):
            app.theme = name
            await pilot.pause()
            assert tile.palette["gain"].color is not None

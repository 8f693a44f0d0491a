"""Pictures of the dashboard and the portfolio: fixed data, a clock that stands still."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

import pytest

from tests.kit.deck import Console, FakeTime, make_app
from tests.kit.fake_link import FakeLink

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from console.app import QuarterdeckApp
    from console.ending import ExitIntent

Compare = Callable[..., bool]
SIZES = {"80x24": (80, 24), "120x40": (120, 40)}
SCREENS = ("dashboard", "portfolio")


def drawn(link: FakeLink, time: FakeTime, keys: str = "", *, lost: bool = False) -> Callable[..., Awaitable[None]]:
    """Return what is done before a picture: let everything arrive, press, draw."""

    async def before(pilot: Pilot[ExitIntent]) -> None:
        deck = Console(cast("QuarterdeckApp", pilot.app), pilot, link, time)
        for _ in range(4):
            await deck.settle()
        # The facts of before are asked for half a second after the start; a picture does not wait for that.
        deck.app.news._look_back()
        await deck.settle()
        for key in keys.split():
            await deck.press(key)
        if lost:
            link.lose()
        for _ in range(2):
            await deck.settle()
        await pilot.pause()

    return before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["full", "empty", "lost"])
@pytest.mark.parametrize("screen", SCREENS)
def test_the_screen(snap_compare: Compare, screen: str, kind: str, size: str) -> None:
    link, time = FakeLink("empty" if kind == "empty" else "full"), FakeTime()
    before = drawn(link, time, lost=kind == "lost")
    assert snap_compare(make_app(link, time, screen=screen), terminal_size=SIZES[size], run_before=before)


@pytest.mark.parametrize("screen", SCREENS)
def test_the_screen_on_a_large_terminal(snap_compare: Compare, screen: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen=screen)
    assert snap_compare(app, terminal_size=(200, 50), run_before=drawn(link, time))


def test_the_dashboard_without_colours(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time)
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time))


@pytest.mark.parametrize("theme", ["ansi-dark", "quarterdeck-light"])
def test_the_dashboard_in_another_theme(snap_compare: Compare, theme: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, theme=theme)
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time))


def test_the_dashboard_with_plain_signs_and_hidden_amounts(snap_compare: Compare) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, ascii_glyphs=True, privacy=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time))


@pytest.mark.parametrize("keys", ["v", "x", "down x"], ids=["fills", "close", "close a bot's"])
def test_the_portfolio_after_keys(snap_compare: Compare, keys: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen="portfolio")
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time, keys))

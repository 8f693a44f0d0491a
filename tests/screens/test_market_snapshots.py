"""Pictures of the market screen and its dialogs: fixed data, a clock that stands still."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from screens.ticket import TicketDialog
from tests.kit.deck import Console, FakeTime, make_app
from tests.kit.fake_link import FakeLink

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from console.app import QuarterdeckApp
    from console.ending import ExitIntent

Compare = Callable[..., bool]
SIZES = {"80x24": (80, 24), "120x40": (120, 40)}


def judged(deck: Console) -> bool:
    """Tell whether the ticket's verdict has come."""
    return isinstance(deck.app.screen, TicketDialog) and not deck.app.screen.pending


def drawn(link: FakeLink, time: FakeTime, keys: str = "", *, lost: bool = False) -> Callable[..., Awaitable[None]]:
    """Return what is done before a picture: let everything arrive, press, draw."""

    async def before(pilot: Pilot[ExitIntent]) -> None:
        deck = Console(cast("QuarterdeckApp", pilot.app), pilot, link, time)
        for _ in range(4):
            await deck.settle()
        for key in keys.split():
            if key == "@guard":
                deck.pass_guard()
            elif key == "@preview":
                await deck.until(partial(judged, deck))
                await deck.settle()
            else:
                await deck.press(key)
        if lost:
            link.lose()
        await deck.settle()
        await pilot.pause()

    return before


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", ["full", "empty", "lost"])
def test_the_market(snap_compare: Compare, kind: str, size: str) -> None:
    link, time = FakeLink("empty" if kind == "empty" else "full"), FakeTime()
    before = drawn(link, time, lost=kind == "lost")
    assert snap_compare(make_app(link, time, screen="market"), terminal_size=SIZES[size], run_before=before)


def test_the_market_on_a_large_terminal(snap_compare: Compare) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen="market")
    assert snap_compare(app, terminal_size=(200, 50), run_before=drawn(link, time))


def test_the_market_without_colours(snap_compare: Compare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen="market")
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time, "j j"))


@pytest.mark.parametrize("theme", ["ansi-dark", "quarterdeck-light"])
def test_the_market_in_another_theme(snap_compare: Compare, theme: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen="market", theme=theme)
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time))


def test_the_market_with_plain_signs(snap_compare: Compare) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen="market", ascii_glyphs=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time))


@pytest.mark.parametrize(
    "keys",
    [
        "b 0 . 0 1 5 @preview",
        "s 5 @preview",
        "b 0 . 0 1 5 @preview enter",
        "question_mark",
        "colon e t h",
        "q",
        "ctrl+x",
        "ctrl+x down",
    ],
    ids=["ticket", "refused", "question", "help", "palette", "leave", "emergency", "emergency part"],
)
def test_a_dialog_over_the_market(snap_compare: Compare, keys: str) -> None:
    link, time = FakeLink(), FakeTime()
    app = make_app(link, time, screen="market")
    assert snap_compare(app, terminal_size=(80, 24), run_before=drawn(link, time, keys))

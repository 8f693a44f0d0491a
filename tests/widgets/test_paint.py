"""One timer paints a screen, at its rate, and rests while the screen cannot be seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import App
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from tests.widgets.showing import seen
from themes import variable_defaults
from widgets.metric import Metric
from widgets.paint import PaintedScreen

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Board(PaintedScreen[None]):
    PAINT_HZ = 50.0

    def __init__(self) -> None:
        super().__init__()
        self.pulled: list[float] = []

    def compose(self) -> ComposeResult:
        yield Metric("Pulls")

    def pull(self, now: float) -> None:
        self.pulled.append(now)
        self.query_one(Metric).show(str(len(self.pulled)))


class Note(ModalScreen[None]):
    def compose(self) -> ComposeResult:
        yield Static("note")


class Other(Screen[None]):
    def compose(self) -> ComposeResult:
        yield Static("other")


class Boards(App[None]):
    def get_theme_variable_defaults(self) -> dict[str, str]:
        return variable_defaults()

    def on_mount(self) -> None:
        self.board = Board()
        self.push_screen(self.board)


async def test_the_timer_pulls_and_draws() -> None:
    app = Boards()
    async with app.run_test() as pilot:
        await pilot.pause(0.15)
        assert len(app.board.pulled) >= 2
        assert app.board.pulled == sorted(app.board.pulled)
        assert seen(app.board.query_one(Metric))[1].strip().isdigit()


async def test_a_screen_behind_a_dialog_goes_on_and_one_behind_another_screen_rests() -> None:
    app = Boards()
    async with app.run_test() as pilot:
        await pilot.pause(0.1)
        app.push_screen(Note())
        await pilot.pause(0.05)
        before = len(app.board.pulled)
        await pilot.pause(0.1)
        assert len(app.board.pulled) > before
        app.pop_screen()
        app.push_screen(Other())
        await pilot.pause(0.05)
        before = len(app.board.pulled)
        await pilot.pause(0.1)
        assert len(app.board.pulled) == before
        app.pop_screen()
        await pilot.pause(0.1)
        assert len(app.board.pulled) > before

"""Behind a dialog the screen below is seen, darker and alive, also through two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.strip import Strip
from textual.widgets import Static

from widgets.composing import SlicedScreen
from widgets.veil import VeiledScreen, veiled, veiled_style

if TYPE_CHECKING:
    from textual.app import ComposeResult

SIZE = (40, 12)
HALF_BLACK = Color(0, 0, 0, 0.5)


class Below(SlicedScreen[None]):
    DEFAULT_CSS = "Below { background: #204060; } #line { height: 1; color: #ffffff; background: #406080; }"

    def compose(self) -> ComposeResult:
        yield Static("below", id="line")


class Window(VeiledScreen[None]):
    DEFAULT_CSS = """
    Window { align: center middle; background: #000000 50%; }
    Window Static { width: 10; height: 3; background: red; }
    Window.-solid { background: #000000; }
    """

    def compose(self) -> ComposeResult:
        yield Static("window")


class Shown(App[None]):
    ENABLE_COMMAND_PALETTE = False

    def on_mount(self) -> None:
        self.push_screen(Below())


def top_line(app: App[None]) -> Strip:
    screen = app.screen
    assert isinstance(screen, SlicedScreen)
    return screen.compose_lines(screen.region)[0]


def colours(strip: Strip) -> tuple[str, str]:
    style = next(iter(strip)).style
    assert style is not None
    assert style.color is not None
    assert style.bgcolor is not None
    return style.color.name, style.bgcolor.name


def test_both_colours_are_mixed_and_meta_data_is_left_out() -> None:
    style = Style(color="#ffffff", bgcolor="#204060", bold=True, link="https://example.org", meta={"@click": "quit"})
    mixed = veiled_style(style, HALF_BLACK)
    assert (mixed.color, mixed.bgcolor) == (Style(color="#7f7f7f").color, Style(bgcolor="#102030").bgcolor)
    assert (mixed.bold, mixed.link, mixed.meta) == (True, None, {})


def test_what_has_no_colour_stays_without() -> None:
    assert veiled_style(None, HALF_BLACK) == Style()
    assert veiled_style(Style(bold=True), HALF_BLACK) == Style(bold=True)


def test_a_line_keeps_its_text_and_width() -> None:
    line = veiled(Strip([Segment("中文", Style(color="#ffffff")), Segment("ab")]), HALF_BLACK)
    assert (line.text, line.cell_length) == ("中文ab", 6)


async def test_the_screen_below_shows_darker() -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        plain = colours(top_line(pilot.app))
        await pilot.app.push_screen(Window())
        await pilot.pause()
        line = top_line(pilot.app)
        assert line.text.rstrip() == "below"
        assert plain == ("#ffffff", "#406080")
        assert colours(line) == ("#7f7f7f", "#203040")


async def test_two_veils_are_darker_than_one() -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        await pilot.app.push_screen(Window())
        await pilot.app.push_screen(Window())
        await pilot.pause()
        assert colours(top_line(pilot.app)) == ("#3f3f3f", "#101820")


async def test_an_opaque_dialog_hides_what_is_below() -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        window = Window()
        await pilot.app.push_screen(window)
        window.add_class("-solid")
        await pilot.pause()
        assert top_line(pilot.app).text.strip() == ""


async def test_what_changes_below_is_drawn_and_leaves_nothing_to_draw() -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        below, window = pilot.app.screen, Window()
        await pilot.app.push_screen(window)
        await pilot.pause()
        below.query_one("#line", Static).update("changed")
        await pilot.pause()
        assert isinstance(below, SlicedScreen)
        assert below.is_drawn
        assert window.is_drawn
        assert top_line(pilot.app).text.rstrip() == "changed"
        assert not window._repaint_required

"""Slices draw what a whole drawing draws, ask only for what shows, and let the loop turn between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual._compositor import ChopsUpdate
from textual.app import App
from textual.containers import Horizontal, Vertical
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Static

from widgets.composing import BAND_CELLS, SLICE_S, SlicedCompositor, SlicedScreen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import ComposeResult
    from textual.dom import DOMNode

SIZE = (100, 30)


class Counted(Static):
    """Counts the lines it is asked for."""

    asked = 0

    def render_lines(self, crop: Region) -> list[Strip]:
        self.asked += crop.height
        return super().render_lines(crop)


class Board(SlicedScreen[None]):
    DEFAULT_CSS = """
    #top { height: 1; background: blue; }
    #left { width: 30; border: round red; }
    #note { layer: above; width: 20; height: 5; offset: 25 8; background: green; border: solid white; }
    Board { layers: below above; }
    """

    def compose(self) -> ComposeResult:
        yield Static("a bar", id="top")
        with Horizontal(id="row"):
            yield Counted("\n".join(f"left {number}" for number in range(40)), id="left")
            with Vertical():
                yield Static("中文 wide signs " * 9, id="wide")
                yield Counted("x " * 600, id="text")
        yield Counted("a note\nabove the rest", id="note")


class Shown(App[None]):
    ENABLE_COMMAND_PALETTE = False

    def on_mount(self) -> None:
        self.push_screen(Board())


class Steps:
    """A clock that goes on by the same step at every look."""

    def __init__(self, step: float) -> None:
        self.now = 0.0
        self.step = step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def slow() -> Steps:
    """A clock by which every band takes the whole of a slice."""
    return Steps(SLICE_S)


def whole(screen: SlicedScreen[None]) -> list[Strip]:
    """The screen as Textual's own compositor composes it."""
    return [Strip(strip).simplify() for strip in screen._compositor.render_strips()]


def slices(compositor: SlicedCompositor) -> Iterator[ChopsUpdate]:
    """What is drawn until nothing is left to draw."""
    while (update := compositor.render_update()) is not None:
        assert isinstance(update, ChopsUpdate)
        yield update


async def test_lines_look_as_textual_composes_them() -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, Board)
        lines = screen.compose_lines(Region(0, 0, *SIZE))
        assert [line.simplify() for line in lines] == whole(screen)


@pytest.mark.parametrize(
    "region", [Region(3, 2, 50, 9), Region(31, 5, 40, 20), Region(26, 9, 4, 1), Region(0, 0, 1, 30)]
)
async def test_a_region_is_the_same_part_of_the_whole(region: Region) -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, Board)
        wanted = [line.crop(region.x, region.right).simplify() for line in whole(screen)[region.y : region.bottom]]
        assert [line.simplify() for line in screen.compose_lines(region)] == wanted


async def test_where_the_screen_does_not_reach_there_are_blanks() -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, Board)
        lines = screen.compose_lines(Region(90, 28, 20, 4))
        assert [line.cell_length for line in lines] == [20] * 4
        assert [line.text.strip() for line in lines[2:]] == ["", ""]


async def test_a_slow_screen_is_drawn_in_bands_that_together_cover_it_once(slow: Steps) -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        compositor = pilot.app.screen._compositor
        assert isinstance(compositor, SlicedCompositor)
        compositor._clock = slow
        compositor._dirty_regions.add(Region(0, 0, *SIZE))
        drawn = [span for update in slices(compositor) for span in update.spans]
        assert drawn == [(y, 0, SIZE[0]) for y in range(SIZE[1])]
        compositor._dirty_regions.add(Region(0, 0, *SIZE))
        first = compositor.render_update()
        assert isinstance(first, ChopsUpdate)
        assert len(first.spans) == BAND_CELLS // SIZE[0]
        assert compositor.pending


async def test_what_a_fast_machine_composes_in_time_is_one_slice() -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        compositor = pilot.app.screen._compositor
        assert isinstance(compositor, SlicedCompositor)
        compositor._clock = Steps(0.0)
        compositor._dirty_regions.add(Region(0, 0, *SIZE))
        assert [len(update.spans) for update in slices(compositor)] == [SIZE[1]]


async def test_what_becomes_dirty_meanwhile_is_drawn_with_the_rest(slow: Steps) -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        compositor = pilot.app.screen._compositor
        assert isinstance(compositor, SlicedCompositor)
        compositor._clock = slow
        compositor._dirty_regions.add(Region(0, 20, *SIZE))
        compositor.render_update()
        compositor._dirty_regions.add(Region(5, 0, 10, 1))
        update = compositor.render_update()
        assert isinstance(update, ChopsUpdate)
        assert update.spans[0] == (0, 5, 15)


async def test_only_the_lines_that_changed_are_asked_for_and_nothing_that_is_covered() -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        screen = pilot.app.screen
        compositor = screen._compositor
        left, note = screen.query_one("#left", Counted), screen.query_one("#note", Counted)
        while compositor._dirty_regions:
            compositor.render_update()
        left.asked = note.asked = 0
        # Entirely below the note.
        compositor._dirty_regions.add(Region(27, 9, 2, 2))
        assert compositor.render_update() is not None
        assert (left.asked, note.asked) == (0, 2)
        compositor._dirty_regions.add(Region(2, 20, 4, 1))
        assert compositor.render_update() is not None
        assert (left.asked, note.asked) == (1, 2)


async def test_while_drawing_is_held_nothing_is_lost() -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        screen = pilot.app.screen
        assert isinstance(screen, Board)
        with pilot.app.batch_update():
            screen._compositor._dirty_regions.add(Region(4, 4, 3, 3))
            screen._compositor_refresh()
            assert screen._repaint_regions
        screen.check_idle()
        await pilot.pause()
        assert screen.is_drawn
        assert not screen._repaint_regions


async def test_a_new_screen_counts_as_styled_and_is_not_styled_again_for_being_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Shown().run_test(size=SIZE) as pilot:
        styled: list[DOMNode] = []
        monkeypatch.setattr(pilot.app, "refresh_css", lambda animate=True: styled.append(pilot.app.screen))
        monkeypatch.setattr(pilot.app, "update_styles", lambda node, animate=True: styled.append(node))
        board = Board()
        await pilot.app.push_screen(board)
        await pilot.pause()
        assert board not in styled

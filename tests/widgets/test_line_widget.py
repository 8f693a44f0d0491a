"""A live widget draws when drained, only where it changed, and nothing when nothing did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from tests.widgets.showing import COLOURED, PLAIN, Showing, seen
from widgets.line_widget import LineBuilder, LineWidget, changed_stretch

if TYPE_CHECKING:
    from collections.abc import Sequence


class Words(LineWidget):
    """Shows words, one a line, in fixed columns."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[tuple[str, str]] = [("one", "1"), ("two", "2")]
        self.drawn = 0

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        self.drawn += 1
        return [
            LineBuilder(self.palette).add(f"{name:<10}", "muted").add(f"{value:<10}", "strong").strip(width)
            for name, value in self.words
        ]


def test_neighbours_of_one_ink_become_one_segment() -> None:
    strip = LineBuilder(COLOURED).add("a", "gain").add("b", "gain").add("c", "loss").strip(3)
    assert [segment.text for segment in strip] == ["ab", "c"]


def test_a_line_is_padded_and_cut_to_its_cells() -> None:
    assert LineBuilder(PLAIN).add("abc").strip(5).text == "abc  "
    assert LineBuilder(PLAIN).add("漢字").strip(3).cell_length == 3


def test_an_ink_may_keep_its_colour_under_a_laid_over_style() -> None:
    over = COLOURED["cursor"]
    plain, kept = LineBuilder(COLOURED, over).add("a", "gain").add("b", "gain", keep=True).strip(2)
    assert plain.style is not None
    assert kept.style is not None
    assert plain.style.color == over.color
    assert kept.style.color == COLOURED["gain"].color
    assert kept.style.bgcolor == over.bgcolor


def test_the_changed_stretch_spans_the_first_to_the_last_different_part() -> None:
    def line(*parts: str) -> Strip:
        return Strip([Segment(part) for part in parts])

    assert changed_stretch(line("abc", "def"), line("abc", "def")) is None
    assert changed_stretch(line("abc", "def", "ghi"), line("abc", "xyz", "ghi")) == (3, 6)
    assert changed_stretch(line("abc", "def"), line("abc", "xyz")) == (3, 6)
    assert changed_stretch(line("abc"), line("xyz")) == (0, 3)


async def test_only_the_changed_stretch_is_refreshed(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Words()
    async with Showing(words).run_test(size=(30, 5)) as pilot:
        await pilot.pause()
        asked: list[tuple[Region, ...]] = []
        monkeypatch.setattr(words, "refresh", lambda *regions, **_: asked.append(regions))
        words.words = [("one", "1"), ("two", "3")]
        words.mark()
        assert words.drain()
        assert asked == [(Region(10, 1, 10, 1),)]


FRAMES = {
    "bare": "",
    "padded": "Words { padding: 0 2; }",
    "framed": "Words { border: round $brass; }",
    "framed and padded": "Words { border: heavy red; padding: 1 2 0 1; background: $panel; }",
    "one side": "Words { border-left: thick $warn; }",
    "tinted": "Words { border: round $brass; tint: $background 45%; }",
    "faded": "Words { opacity: 50%; }",
    "hatched": "Words { hatch: cross $warn; }",
}


@pytest.mark.parametrize("css", FRAMES.values(), ids=FRAMES.keys())
@pytest.mark.parametrize("crop", [Region(0, 0, 30, 6), Region(4, 1, 9, 3)], ids=["whole", "part"])
async def test_lines_in_their_frame_look_as_textual_draws_them(css: str, crop: Region) -> None:
    words = Words()
    words.border_title = "Words"
    async with Showing(words, css=css).run_test(size=(30, 6)) as pilot:
        await pilot.pause()
        for _ in range(2):
            ours = [strip.simplify() for strip in words.render_lines(crop)]
            words._styles_cache.clear()
            assert ours == [strip.simplify() for strip in Widget.render_lines(words, crop)]


async def test_a_line_that_has_not_changed_is_the_same_object_and_follows_the_focus() -> None:
    words = Words()
    words.can_focus = True
    async with Showing(
        words, css="Words { border: round red; } Words:focus { border: round blue; }"
    ).run_test() as pilot:
        await pilot.pause()
        whole = Region(0, 0, *words.outer_size)
        before = words.render_lines(whole)
        words.words = [("one", "1"), ("two", "3")]
        words.mark()
        words.drain()
        after = words.render_lines(whole)
        assert after[1] is before[1]
        assert after[2] is not before[2]
        pilot.app.screen.set_focus(None)
        await pilot.pause()
        assert words.render_lines(whole)[1] != after[1]


async def test_many_changes_leave_nothing_behind() -> None:
    words = Words()
    async with Showing(words).run_test(size=(30, 5)) as pilot:
        await pilot.pause()
        for number in range(30):
            words.words = [("one", str(number)), ("two", "x" * (number % 9))]
            words.mark()
            words.drain()
        assert not words._dirty_regions


async def test_draining_without_a_mark_or_without_a_difference_draws_nothing() -> None:
    words = Words()
    async with Showing(words).run_test(size=(30, 5)) as pilot:
        await pilot.pause()
        drawn = words.drawn
        assert not words.drain()
        assert words.drawn == drawn
        words.mark()
        assert not words.drain()


async def test_a_widget_not_yet_shown_waits() -> None:
    assert not Words().drain()


async def test_redraw_draws_everything_again() -> None:
    words = Words()
    async with Showing(words).run_test(size=(30, 5)) as pilot:
        await pilot.pause()
        drawn = words.drawn
        words.redraw()
        await pilot.pause(0.05)
        assert words.drawn > drawn
        assert seen(words)[:2] == ["one       1", "two       2"]


async def test_lines_follow_a_new_size() -> None:
    words = Words()
    async with Showing(words).run_test(size=(30, 5)) as pilot:
        await pilot.resize_terminal(15, 3)
        await pilot.pause(0.05)
        assert words.render_line(0).cell_length == 15
        assert words.render_line(7).text.strip() == ""

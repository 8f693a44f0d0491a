"""What the shadow sends makes a real terminal show exactly what the compositor wanted, and no byte more than needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyte
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip
from textual.widgets import Static

from tests.widgets.counting import Counted
from widgets.shadow import Pen, ShadowedApp, TerminalShadow, pen_of, transition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

WIDTH, HEIGHT = 24, 6
CONSOLE = Console(color_system="truecolor", force_terminal=True)
CONSOLE_SYSTEM = ColorSystem.TRUECOLOR
STYLES = [
    Style(),
    Style(color="#5cc8a1", bgcolor="#0a1422"),
    Style(color="#f0766b", bgcolor="#0a1422"),
    Style(color="#f0766b", bgcolor="#0a1422", bold=True),
    Style(color="#ffffff", bgcolor="#24507c", bold=True),
    Style(color="#ffffff", bgcolor="#24507c", underline=True),
    Style(color="red", reverse=True),
    Style(dim=True),
    Style(italic=True, strike=True),
]
segments = st.tuples(st.text("ab1 漢字█", min_size=1, max_size=9), st.sampled_from(STYLES)).map(
    lambda pair: Segment(*pair)
)
lines = st.lists(segments, max_size=6).map(lambda parts: Strip(parts).adjust_cell_length(WIDTH, STYLES[1]))
frames = st.lists(st.lists(lines, min_size=HEIGHT, max_size=HEIGHT), min_size=1, max_size=4)


def whole(rows: Sequence[Strip]) -> LayoutUpdate:
    return LayoutUpdate([[row] for row in rows], Region(0, 0, WIDTH, HEIGHT))


def terminal() -> tuple[pyte.Screen, pyte.Stream]:
    screen = pyte.Screen(WIDTH, HEIGHT)
    return screen, pyte.Stream(screen)


def shown(screen: pyte.Screen) -> list[list[tuple[object, ...]]]:
    """Return what a person can see: characters and what is drawn on them; a blank has no letter colour."""
    rows = []
    for y in range(HEIGHT):
        row: list[tuple[object, ...]] = []
        for x in range(WIDTH):
            cell = screen.buffer[y][x]
            drawn = cell.reverse or cell.underscore or cell.strikethrough
            if cell.data in (" ", "") and not drawn:
                row.append((cell.data, cell.bg))
            else:
                row.append(
                    (
                        cell.data,
                        cell.fg,
                        cell.bg,
                        cell.bold,
                        cell.italics,
                        cell.underscore,
                        cell.strikethrough,
                        cell.reverse,
                    )
                )
        rows.append(row)
    return rows


@settings(deadline=None, max_examples=60)
@given(frames)
def test_any_sequence_of_frames_leaves_the_terminal_as_a_full_drawing_would(sequence: list[list[Strip]]) -> None:
    shadow = TerminalShadow(WIDTH, HEIGHT)
    screen, stream = terminal()
    for rows in sequence:
        stream.feed(shadow.difference(whole(rows), CONSOLE))
    fresh, fresh_stream = terminal()
    fresh_stream.feed(whole(sequence[-1]).render_segments(CONSOLE))
    assert shown(screen) == shown(fresh)


@settings(deadline=None, max_examples=60)
@given(frames, st.integers(0, WIDTH - 2), st.integers(1, WIDTH))
def test_a_partial_update_changes_only_its_span(sequence: list[list[Strip]], left: int, length: int) -> None:
    right = min(WIDTH, left + length)
    shadow = TerminalShadow(WIDTH, HEIGHT)
    screen, stream = terminal()
    stream.feed(shadow.difference(whole(sequence[0]), CONSOLE))
    expected = [row.crop(0, WIDTH) for row in sequence[0]]
    for rows in sequence[1:]:
        update = ChopsUpdate([{0: row} for row in rows], [(y, left, right) for y in range(HEIGHT)], [[WIDTH]] * HEIGHT)
        stream.feed(shadow.difference(update, CONSOLE))
        expected = [
            Strip.join([old.crop(0, left), new.crop(left, right), old.crop(right, WIDTH)])
            for old, new in zip(expected, rows, strict=True)
        ]
    fresh, fresh_stream = terminal()
    fresh_stream.feed(whole(expected).render_segments(CONSOLE))
    assert shown(screen) == shown(fresh)


def _rows(text: str, style: Style = STYLES[1]) -> list[Strip]:
    return [Strip([Segment(text.ljust(WIDTH), style)])] + [Strip([Segment(" " * WIDTH, style)])] * (HEIGHT - 1)


def test_a_frame_without_a_difference_costs_nothing() -> None:
    shadow = TerminalShadow(WIDTH, HEIGHT)
    assert shadow.difference(whole(_rows("67,431.10")), CONSOLE)
    assert shadow.difference(whole(_rows("67,431.10")), CONSOLE) == ""


def test_one_changed_digit_costs_a_move_a_colour_and_the_digit() -> None:
    shadow = TerminalShadow(WIDTH, HEIGHT)
    shadow.difference(whole(_rows("67,431.10")), CONSOLE)
    sent = shadow.difference(whole(_rows("67,431.15")), CONSOLE)
    assert sent == "\x1b[1;9H\x1b[38;2;92;200;161;48;2;10;20;34m5\x1b[m"


def test_a_blank_needs_no_letter_colour() -> None:
    shadow = TerminalShadow(WIDTH, HEIGHT)
    shadow.difference(whole(_rows("gain", STYLES[1])), CONSOLE)
    sent = shadow.difference(whole(_rows("    ", STYLES[2])), CONSOLE)
    assert sent == "\x1b[1H\x1b[48;2;10;20;34m    \x1b[m"


def test_after_forgetting_everything_is_sent_again() -> None:
    shadow = TerminalShadow(WIDTH, HEIGHT)
    first = shadow.difference(whole(_rows("x")), CONSOLE)
    shadow.forget()
    assert shadow.difference(whole(_rows("x")), CONSOLE) == first


def test_columns_of_one_colour_are_sent_together() -> None:
    def book(number: int) -> list[Strip]:
        return [
            Strip(
                [Segment(f"{number + y:>6}", STYLES[1]), Segment(f"{number * 3 + y:>8}", STYLES[2])]
            ).adjust_cell_length(WIDTH)
            for y in range(HEIGHT)
        ]

    shadow = TerminalShadow(WIDTH, HEIGHT)
    shadow.difference(whole(book(10)), CONSOLE)
    assert shadow.difference(whole(book(2000)), CONSOLE).count("38;2;") == 2


def test_a_transition_turns_off_what_is_no_longer_wanted() -> None:
    bold = pen_of(Style(bold=True, color="red"), CONSOLE_SYSTEM)
    dim = pen_of(Style(dim=True, color="red"), CONSOLE_SYSTEM)
    plain = pen_of(Style(color="red"), CONSOLE_SYSTEM)
    assert transition(bold, dim)[0] == "\x1b[22;2m"
    assert transition(bold, plain) == ("\x1b[22m", plain)
    assert transition(plain, Pen(frozenset(), "39", "49"))[0] == "\x1b[m"


def test_characters_that_join_are_sent_as_one_piece() -> None:
    shadow = TerminalShadow(WIDTH, HEIGHT)
    shadow.difference(whole(_rows("x")), CONSOLE)
    family = Strip([Segment("👩\u200d👩\u200d👧", STYLES[1])]).adjust_cell_length(WIDTH)
    assert "👩\u200d👩\u200d👧" in shadow.difference(whole([family, *_rows("x")[1:]]), CONSOLE)


class Demo(ShadowedApp[None]):
    def compose(self) -> ComposeResult:
        yield Static("one", id="one")
        yield Static("two", id="two")


class CountedDemo(Counted, Demo):
    pass


@pytest.fixture
def demo() -> CountedDemo:
    return CountedDemo()


async def test_the_app_sends_a_changed_widget_and_not_an_unchanged_one(demo: CountedDemo) -> None:
    async with demo.run_test(size=(40, 6)) as pilot:
        await pilot.pause(0.05)
        demo.counter.take()
        demo.query_one("#one", Static).update("one")
        await pilot.pause(0.05)
        assert demo.counter.take() == b""
        assert demo.frames_empty > 0
        demo.query_one("#two", Static).update("twa")
        await pilot.pause(0.05)
        sent = demo.counter.take()
        assert b"a" in sent
        assert b"tw" not in sent


async def test_the_app_draws_everything_again_when_the_terminal_was_lost(demo: CountedDemo) -> None:
    async with demo.run_test(size=(40, 6)) as pilot:
        await pilot.pause(0.05)
        demo.counter.take()
        demo.forget_terminal()
        await pilot.pause(0.05)
        assert b"one" in demo.counter.take()
        demo.action_redraw()
        await pilot.pause(0.05)
        assert b"two" in demo.counter.take()


async def test_what_is_held_back_in_a_batch_is_sent_after_it(demo: CountedDemo) -> None:
    async with demo.run_test(size=(40, 6)) as pilot:
        await pilot.pause(0.05)
        demo.counter.take()
        with demo.batch_update():
            demo.query_one("#one", Static).update("ONE")
            await pilot.pause(0.05)
            assert demo.counter.take() == b""
        await pilot.pause(0.05)
        assert b"ONE" in demo.counter.take()


async def test_a_new_size_is_drawn_whole(demo: CountedDemo) -> None:
    async with demo.run_test(size=(40, 6)) as pilot:
        await pilot.pause(0.05)
        demo.counter.take()
        await pilot.resize_terminal(50, 8)
        await pilot.pause(0.05)
        assert b"one" in demo.counter.take()

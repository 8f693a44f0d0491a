"""The canvas draws characters and dots, clipped to its cells."""

from __future__ import annotations

from tests.widgets.showing import COLOURED, PLAIN, text
from widgets.canvas import Canvas


def test_characters_are_clipped() -> None:
    canvas = Canvas(4, 2)
    canvas.write(2, 0, "abcd", "text")
    canvas.put(-1, 0, "x", "text")
    canvas.put(0, 9, "x", "text")
    assert text(canvas.strips(PLAIN)) == ["  ab", "    "]


def test_dots_become_braille_and_leave_characters_alone() -> None:
    canvas = Canvas(2, 1)
    canvas.line((0, 0), (3, 3), "gain")
    canvas.put(0, 0, "x", "text")
    first, second = tuple(canvas.strips(PLAIN)[0].text)
    assert first == "x"
    assert second == chr(0x2800 + 0x04 + 0x80)


def test_a_full_cell_has_all_eight_dots() -> None:
    canvas = Canvas(1, 1)
    for x in range(2):
        for y in range(4):
            canvas.dot(x, y, "gain")
    canvas.dot(9, 9, "gain")
    canvas.dot(-1, 0, "gain")
    assert text(canvas.strips(PLAIN)) == ["⣿"]


def test_without_braille_a_plain_sign_stands_for_dots() -> None:
    canvas = Canvas(3, 1, braille=False)
    canvas.line((0, 0), (5, 0), "gain")
    assert text(canvas.strips(PLAIN, "*")) == ["***"]


def test_shade_fills_only_empty_cells() -> None:
    canvas = Canvas(3, 1)
    canvas.put(0, 0, "a", "text")
    canvas.dot(4, 0, "gain")
    for x in range(3):
        canvas.shade(x, 0, "░", "drawdown")
    assert text(canvas.strips(PLAIN))[0][:2] == "a░"
    assert not canvas.is_blank(0, 0)
    assert not canvas.is_blank(9, 9)


def test_blanks_cost_no_change_of_ink() -> None:
    canvas = Canvas(9, 1)
    canvas.put(0, 0, "a", "gain")
    canvas.put(8, 0, "b", "gain")
    assert len(list(canvas.strips(COLOURED)[0])) == 1

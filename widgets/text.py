"""Text from outside, made safe to draw and cut to an exact number of terminal cells.

Venue symbols, order tags, log lines and error texts are written by others. Nothing here parses markup; what
could steer the terminal is taken out by `engine.model.text.clean`, and a wide character counts as the two cells it
takes.
"""

from __future__ import annotations

from typing import Literal

from rich.cells import cell_len, get_character_cell_size

from engine.model.text import clean

__all__ = ["Align", "clean", "fit", "fuzzy_match", "width_of"]

Align = Literal["left", "right", "center"]


def width_of(text: str) -> int:
    """Return how many terminal cells ``text`` takes."""
    return len(text) if text.isascii() else cell_len(text)


def _cut(text: str, width: int) -> str:
    """Return the longest head of ``text`` that fits ``width`` cells."""
    if text.isascii():
        return text[:width]
    used = 0
    for index, char in enumerate(text):
        used += get_character_cell_size(char)
        if used > width:
            return text[:index]
    return text


def fit(text: str, width: int, align: Align = "left", ellipsis: str = "…") -> str:
    """Return ``text`` padded or shortened to exactly ``width`` cells.

    A number that does not fit is replaced by ``ellipsis`` repeated rather than cut, when it is right-aligned: half a
    price reads as another price.

    Args:
        text: One clean line (see :func:`clean`).
        width: Cells to fill, zero or more.
        align: Where the padding goes.
        ellipsis: One-cell sign of a shortened text.
    """
    length = width_of(text)
    if length > width:
        if width <= 0:
            return ""
        if align == "right":
            return ellipsis * width
        head = _cut(text, width - 1)
        text = head + ellipsis
        length = width_of(text)
    blank = width - length
    if not blank:
        return text
    if align == "left":
        return text + " " * blank
    if align == "right":
        return " " * blank + text
    return " " * (blank // 2) + text + " " * (blank - blank // 2)


def fuzzy_match(pattern: str, text: str) -> bool:
    """Tell whether ``pattern`` occurs in ``text`` in order with gaps, ignoring case and the blanks of the pattern."""
    rest = iter(text.casefold())
    return all(char in rest for char in pattern.casefold() if not char.isspace())

"""A grid of cells to draw charts on, with braille dots for lines, turned into strips at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from widgets.line_widget import LineBuilder

if TYPE_CHECKING:
    from textual.strip import Strip

    from widgets.palette import Palette

__all__ = ["Canvas"]

# Braille dot bits by (row, column) inside a cell, row 0 on top.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


class Canvas:
    """A grid of ``width`` × ``height`` cells; each cell holds one character in one ink.

    Args:
        width: Columns.
        height: Rows, 0 on top.
        braille: Whether lines may use braille dots (2 × 4 a cell); otherwise one sign a cell.
    """

    def __init__(self, width: int, height: int, *, braille: bool = True) -> None:
        self.width = width
        self.height = height
        self._braille = braille
        self._chars = [[" "] * width for _ in range(height)]
        self._inks = [["text"] * width for _ in range(height)]
        self._dots: dict[tuple[int, int], tuple[int, str]] = {}

    def put(self, x: int, y: int, char: str, ink: str) -> None:
        """Put one one-cell character; places outside are ignored."""
        if 0 <= x < self.width and 0 <= y < self.height:
            self._chars[y][x] = char
            self._inks[y][x] = ink

    def write(self, x: int, y: int, text: str, ink: str) -> None:
        """Put the characters of a clean, narrow text side by side."""
        for offset, char in enumerate(text):
            self.put(x + offset, y, char, ink)

    def is_blank(self, x: int, y: int) -> bool:
        """Tell whether nothing was put at a place yet; outside is not blank."""
        return 0 <= x < self.width and 0 <= y < self.height and self._chars[y][x] == " "

    def shade(self, x: int, y: int, char: str, ink: str) -> None:
        """Put a character where neither a character nor a dot is."""
        if self.is_blank(x, y) and (x, y) not in self._dots:
            self.put(x, y, char, ink)

    def dot(self, x: int, y: int, ink: str) -> None:
        """Set the dot at ``x`` of 2 × width and ``y`` of 4 × height; the first ink in a cell stays."""
        place = (x // 2, y // 4)
        if x >= 0 and y >= 0 and place[0] < self.width and place[1] < self.height:
            bits, first = self._dots.get(place, (0, ink))
            self._dots[place] = (bits | _DOTS[y % 4][x % 2], first)

    def line(self, start: tuple[int, int], end: tuple[int, int], ink: str) -> None:
        """Set the dots of a straight line between two dots."""
        (x0, y0), (x1, y1) = start, end
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        for step in range(steps + 1):
            self.dot(round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps), ink)

    def strips(self, palette: Palette, plain_dot: str = "*") -> list[Strip]:
        """Return the rows; dots fill only cells in which nothing was put."""
        for (x, y), (bits, ink) in self._dots.items():
            if self._chars[y][x] == " ":
                self.put(x, y, chr(0x2800 + bits) if self._braille else plain_dot, ink)
        lines = []
        for chars, inks in zip(self._chars, self._inks, strict=True):
            line = LineBuilder(palette)
            for char, ink in zip(chars, inks, strict=True):
                # A blank takes its neighbour's ink: fewer segments, nothing to see.
                line.add(char, ink if char != " " else line.ink)
            lines.append(line.strip(self.width))
        return lines

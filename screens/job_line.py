"""What heavy work is under way, in one line: what, how far, how long still."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from widgets.ladder import depth_bar
from widgets.line_widget import LineBuilder, LineWidget
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from screens.backtest_figures import JobParts

__all__ = ["JobLine"]

LEAST_BAR = 8


class JobLine(LineWidget):
    """One job with its progress; empty when there is none."""

    DEFAULT_CSS: ClassVar[str] = """
    JobLine { height: 1; padding: 0 2; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._parts: JobParts | None = None

    def show(self, parts: JobParts | None) -> None:
        """Show this job; None for none."""
        if parts != self._parts:
            self._parts = parts
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the line; the bar takes what the words leave."""
        parts, line = self._parts, LineBuilder(self.palette)
        if parts is None:
            return [line.strip(width)]
        if parts.share is None:
            return [line.add(fit(clean(parts.head), width, "left", self.glyphs.ellipsis), parts.ink).strip(width)]
        share = f" {parts.share * 100:3.0f} %  "
        said = [clean(text) for text in parts.tail if text]
        room = width - width_of(parts.head) - 2 - width_of(share)
        while said and room - sum(width_of(text) + 2 for text in said) < LEAST_BAR:
            del said[0]
        tail = "  ".join(said)
        room = max(LEAST_BAR, room - width_of(tail))
        bar = depth_bar(parts.share, room, self.glyphs).rstrip()
        line.add(f"{clean(parts.head)}  ", "text").add(bar, parts.ink)
        line.add(self.glyphs.track * (room - width_of(bar)), "faint")
        return [line.add(share, "strong").add(tail, "muted").strip(width)]

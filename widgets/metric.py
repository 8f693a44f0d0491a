"""A figure with its name that changes in place: no layout, only the digits that differ.

tile = Metric("Equity")
tile.show("10,012.40", note="▲ +12.40 today", note_ink="gain")
tile.drain()
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from widgets.line_widget import LineBuilder, LineWidget
from widgets.text import Align, clean, fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = ["Metric", "MetricState", "metric_rows"]


@dataclass(frozen=True, slots=True)
class MetricState:
    """What a tile says; ``note`` is the line below the value."""

    label: str
    value: str = "–"
    ink: str = "strong"
    note: str = ""
    note_ink: str = "muted"
    align: Align = "left"


def metric_rows(state: MetricState, width: int, height: int, palette: Palette, glyphs: Glyphs) -> list[Strip]:
    """Return the tile's lines: label, value and, when there are three lines, the note; one line has all in a row."""

    def line(text: str, ink: str) -> Strip:
        shown = fit(clean(text), width, state.align, glyphs.ellipsis)
        return LineBuilder(palette).add(shown, ink).strip(width)

    if height <= 1:
        label = clean(state.label) + " "
        value = fit(clean(state.value), max(0, width - len(label)), "left", glyphs.ellipsis)
        return [LineBuilder(palette).add(label, "muted").add(value, state.ink).strip(width)]
    lines = [line(state.label, "muted"), line(state.value, state.ink), line(state.note, state.note_ink)]
    return lines[:height]


class Metric(LineWidget):
    """One figure.

    Args:
        label: The figure's name.
        align: Where label, value and note stand.
    """

    DEFAULT_CSS: ClassVar[str] = """
    Metric { height: 3; padding: 0 1; }
    """

    def __init__(
        self,
        label: str,
        *,
        align: Align = "left",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._state = MetricState(label, align=align)

    def show(self, value: str, ink: str = "strong", *, note: str = "", note_ink: str = "muted") -> None:
        """Show a formatted value and a note, each in its ink."""
        state = replace(self._state, value=value, ink=ink, note=note, note_ink=note_ink)
        if state != self._state:
            self._state = state
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the tile's lines."""
        return metric_rows(self._state, width, height, self.palette, self.glyphs)

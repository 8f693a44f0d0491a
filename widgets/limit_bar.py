"""How much of a limit is used: a bar, the figures and a word, because a colour alone says nothing to everyone.

bar = LimitBar("Daily loss")
bar.show(share=0.42, figures="210.00 / 500.00 USDT")
bar.drain()
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from widgets.ladder import depth_bar
from widgets.line_widget import LineBuilder, LineWidget
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = ["LimitBar", "LimitState", "limit_rows", "verdict"]


@dataclass(frozen=True, slots=True)
class LimitState:
    """A limit and its use: ``share`` is used ÷ allowed (above 1 is broken, None unknown), ``warn_at`` likewise."""

    label: str
    share: float | None = None
    figures: str = ""
    warn_at: float = 0.8
    label_width: int = 20


def verdict(state: LimitState) -> tuple[str, str]:
    """Return the word and the ink for the use of a limit."""
    if state.share is None or state.share != state.share:
        return "UNKNOWN", "stale"
    if state.share > 1:
        return "BREACH", "breach"
    if state.share == 1:
        return "FULL", "warn"
    return ("WARN", "warn") if state.share >= state.warn_at else ("OK", "ok")


def limit_rows(state: LimitState, width: int, palette: Palette, glyphs: Glyphs) -> list[Strip]:
    """Return the one line of a limit bar; the bar takes what label, figures and word leave."""
    word, ink = verdict(state)
    sign = {"OK": glyphs.ok, "WARN": glyphs.warn, "FULL": glyphs.warn, "BREACH": glyphs.breach}.get(word, "?")
    share = 0.0 if state.share is None or state.share != state.share else max(0.0, state.share)
    percent = f"{min(share, 9.999) * 100:5.1f} %" if word != "UNKNOWN" else "   — %"
    figures = clean(state.figures)
    ending = f" {percent}  {sign} {word:<7}"
    label_width = min(state.label_width, max(6, width // 3))
    room = width - label_width - 1 - width_of(ending)
    shown = width_of(figures) + 2
    if room - shown < 6:
        figures, shown = "", 0
    bar = max(0, room - shown)
    line = LineBuilder(palette).add(fit(clean(state.label), label_width, "left", glyphs.ellipsis) + " ", "text")
    filled = depth_bar(share, bar, glyphs)
    solid = filled.rstrip()
    line.add(solid, ink).add(glyphs.track * (bar - width_of(solid)), "faint")
    if figures:
        line.add("  " + figures, "muted")
    return [line.add(ending, ink).strip(width)]


class LimitBar(LineWidget):
    """One limit in one line.

    Args:
        label: What is limited.
        warn_at: Share from which on it warns.
        label_width: Cells of the label, the same for limits that stand below each other.
    """

    DEFAULT_CSS: ClassVar[str] = """
    LimitBar { height: 1; }
    """

    def __init__(
        self,
        label: str,
        *,
        warn_at: float = 0.8,
        label_width: int = 20,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._state = LimitState(label, warn_at=warn_at, label_width=label_width)

    def show(self, share: float | None, figures: str = "", *, warn_at: float | None = None) -> None:
        """Show the used share of the limit (1.0 is all of it; None is unknown) and the formatted figures."""
        warn_at = self._state.warn_at if warn_at is None else warn_at
        state = replace(self._state, share=share, figures=figures, warn_at=warn_at)
        if state != self._state:
            self._state = state
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the limit's line."""
        return limit_rows(self._state, width, self.palette, self.glyphs)

"""The bar that says where in the past the screens stand; hidden in the present."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from screens.formats import clock, day
from widgets.line_widget import LineBuilder, LineWidget
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.strip import Strip

    from console.app import QuarterdeckApp
    from engine.control.views_replay import ReplayView

__all__ = ["ReplayBar", "speed_text"]

KEYS = (
    ("replay.leave", "present", 2), ("replay.play", "play", 3), ("replay.go", "go to", 5), ("replay.next", "step", 6),
    ("replay.back", "back", 6),
)  # fmt: skip
"""Action, word, and how soon it gives way where there is little room."""


def speed_text(speed: float) -> str:
    """How many times as fast as it was: ×20, ×0.5."""
    return f"×{speed:g}"


class ReplayBar(LineWidget):
    """Where the replay stands; hidden in the present."""

    DEFAULT_CSS: ClassVar[str] = """
    ReplayBar { height: 1; padding: 0 1; background: $panel; display: none; }
    ReplayBar.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._view: ReplayView | None = None

    def show(self, view: ReplayView | None) -> None:
        """Show a place; None hides the bar."""
        self.set_class(view is not None, "-shown")
        if view != self._view:
            self._view = view
            self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the bar: what is less important leaves when it is short."""
        app: QuarterdeckApp = self.app  # type: ignore[assignment]  # the bar hangs in no other app
        view, line = self._view, LineBuilder(self.palette)
        if view is None:
            return [line.strip(width)]
        span = max(1, view.last_ts - view.first_ts)
        share = min(1.0, max(0.0, (view.ts - view.first_ts) / span))
        sign = self.glyphs.follow if view.playing else "="
        said = view.busy or view.note
        keys = [(app.keymap.label(action), word, rank) for action, word, rank in KEYS]
        parts = [
            (0, [(f"{sign} {speed_text(view.speed)} " if view.playing else f"{sign} ", "accent")]),
            (0, [(f"{day(view.ts, app.zone)} {clock(view.ts, app.zone)} {app.zone_name}", "strong")]),
            (4, [(f"fact {view.seq:,} of {view.last_seq:,}", "muted")]),
            (5, [(f"{share:4.0%}", "muted")]),
            (1, [(clean(said), "warn")]) if said else (4, [("– is not recorded", "faint")]),
        ]
        parts += [(rank, [(key, "accent"), (f" {word}", "muted")]) for key, word, rank in keys]

        def cells() -> int:
            return sum(sum(width_of(text) for text, _ in pieces) + 2 for _, pieces in parts)

        while cells() > width + 2 and max(rank for rank, _ in parts):
            parts.remove(max(reversed(parts), key=lambda part: part[0]))
        room = width
        for _, pieces in parts:
            for text, ink in pieces:
                shown = fit(text, min(room, width_of(text)), "left", self.glyphs.ellipsis)
                line.add(shown, ink)
                room -= width_of(shown)
            gap = min(2, room)
            line.add(" " * gap)
            room -= gap
        return [line.strip(width)]

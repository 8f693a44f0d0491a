"""What happened lately: a bounded ring of lines that follows its end until one looks back.

log = ActivityLog(title="Activity")
log.append(LogLine("14:03:22", "FILL", "BUY 0.5 BTC/USDT at 67,431.10", ink="gain"))
log.drain()
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.content import Content

from widgets.line_widget import LineBuilder
from widgets.navigation import VimNavigation
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.binding import BindingType
    from textual.strip import Strip

    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = ["ActivityLog", "LogLine", "log_rows"]


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line: formatted time, a short word for the kind, the text, and the ink of the word."""

    time: str
    kind: str
    text: str
    ink: str = "text"


def log_rows(
    entries: Sequence[LogLine], width: int, palette: Palette, glyphs: Glyphs, kind_width: int = 7
) -> list[Strip]:
    """Return one line an entry: time, kind, text; the time leaves when the line is narrow."""
    lines = []
    for entry in entries:
        line = LineBuilder(palette)
        used = 0
        if width >= 40:
            line.add(fit(clean(entry.time), 8) + " ", "muted")
            used = 9
        line.add(fit(clean(entry.kind), kind_width, "left", glyphs.ellipsis) + " ", entry.ink)
        used += kind_width + 1
        lines.append(
            line.add(fit(clean(entry.text), max(0, width - used), "left", glyphs.ellipsis), "text").strip(width)
        )
    return lines


class ActivityLog(VimNavigation):
    """A log that follows its end; moving up stops following, G resumes it.

    Args:
        title: Shown in the border.
        empty: Shown before the first line.
        capacity: Lines kept; older ones are dropped.
    """

    HELP = "k and ctrl+u look back and stop following, G returns to the newest line, y copies what is shown."
    FRAMED = True
    DEFAULT_CSS: ClassVar[str] = """
    ActivityLog { padding: 0 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("y", "copy", "Copy lines", show=False, id="log.copy")]

    def __init__(
        self,
        *,
        title: str = "Activity",
        empty: str = "Nothing has happened yet.",
        capacity: int = 1000,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.empty = empty
        self.border_title = Content(clean(title)) if title else None
        self._entries: deque[LogLine] = deque(maxlen=capacity)
        self._back = 0
        self._subtitle = ""

    @property
    def following(self) -> bool:
        """Whether the newest line is shown."""
        return self._back == 0

    def append(self, entry: LogLine) -> None:
        """Add a line at the end."""
        self.extend([entry])

    def extend(self, entries: Iterable[LogLine]) -> None:
        """Add lines at the end, oldest first."""
        count = 0
        for entry in entries:
            self._entries.append(entry)
            count += 1
        if count:
            # Looking back stays at the same lines while new ones arrive.
            self._back = min(self._back + count, max(0, len(self._entries) - 1)) if self._back else 0
            self.mark()

    def clear(self) -> None:
        """Forget all lines."""
        self._entries.clear()
        self._back = 0
        self.mark()

    def _shown(self, height: int) -> list[LogLine]:
        entries = list(self._entries)
        end = len(entries) - self._back
        return entries[max(0, end - height) : end]

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the visible lines."""
        self._back = min(self._back, max(0, len(self._entries) - height))
        self._label()
        if not self._entries:
            text = fit(clean(self.empty), width, "center", self.glyphs.ellipsis)
            blank = LineBuilder(self.palette).strip(width)
            return [*[blank] * (height // 2), LineBuilder(self.palette).add(text, "muted").strip(width)]
        return log_rows(self._shown(height), width, self.palette, self.glyphs)

    def _label(self) -> None:
        text = f"{self._back} newer below, G follows" if self._back else ""
        if text != self._subtitle:
            self._subtitle = text
            # Lines are asked for while the screen is being drawn: a border changed then would not be drawn again.
            self.call_next(self._show_label)

    def _show_label(self) -> None:
        self.border_subtitle = Content(self._subtitle) if self._subtitle else None

    def move_by(self, rows: int) -> None:
        """Look back (negative) or forward by so many lines."""
        self._back = max(0, min(self._back - rows, len(self._entries) - 1))
        self.mark()

    def move_to_end(self, direction: int) -> None:
        """Go to the oldest line, or to the newest and follow again."""
        self._back = 0 if direction > 0 else max(0, len(self._entries) - 1)
        self.mark()

    def action_copy(self) -> None:
        """Copy the visible lines to the terminal's clipboard."""
        shown = self._shown(self.content_size.height)
        text = "\n".join(f"{clean(line.time)} {clean(line.kind)} {clean(line.text)}" for line in shown)
        self.app.copy_to_clipboard(text)
        self.notify(f"{len(shown)} lines copied.", markup=False)

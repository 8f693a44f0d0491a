"""The base of everything that changes while one looks at it: lines in, only changed stretches drawn.

A live widget stores what it is told (cheap, as often as wanted) and draws when its screen's paint timer calls
:meth:`LineWidget.drain`. Drawing asks the subclass's pure rendering for its lines, compares them with those on the
screen and refreshes the stretches that differ. Nothing to draw costs nothing.

    class Depth(LineWidget):
        def update(self, levels): self._levels = levels; self.mark()
        def lines(self, width, height): return depth_rows(self._levels, width, height, self.palette)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

from rich.cells import cell_len
from rich.segment import Segment
from textual.filter import ANSIToTruecolor
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.palette import Palette, palette_of
from widgets.strips import LeanStrip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual.app import App

__all__ = ["LineBuilder", "LineWidget", "changed_stretch"]


class LineBuilder:
    """Builds one line of exactly ``width`` cells, joining neighbours of the same ink.

    Args:
        palette: Where inks become styles.
        over: A style laid over every part, such as the row cursor.
    """

    def __init__(self, palette: Palette, over: Style | None = None) -> None:
        self._palette = palette
        self._over = over
        self._segments: list[Segment] = []
        self._text: list[str] = []
        self._ink = ""
        self._keep = False

    @property
    def ink(self) -> str:
        """The ink of the last part."""
        return self._ink or "text"

    def add(self, text: str, ink: str = "text", *, keep: bool = False) -> LineBuilder:
        """Append clean text in an ink; returns the builder.

        ``keep`` lets the ink's own colour win over the laid-over style, as a bar under the cursor does.
        """
        if text:
            if ink != self._ink or keep is not self._keep:
                self._flush()
                self._ink, self._keep = ink, keep
            self._text.append(text)
        return self

    def _flush(self) -> None:
        if self._text:
            style = self._palette[self._ink]
            if self._over is not None:
                style = self._over + style if self._keep else style + self._over
            self._segments.append(Segment("".join(self._text), style))
            self._text.clear()

    def strip(self, width: int) -> Strip:
        """Return the line cut or padded to ``width`` cells."""
        self._flush()
        pad = self._palette["text"] if self._over is None else self._palette["text"] + self._over
        missing = width - sum(cell_len(segment.text) for segment in self._segments)
        if missing < 0:
            return LeanStrip(self._segments, width - missing).adjust_cell_length(width, pad)
        return LeanStrip([*self._segments, Segment(" " * missing, pad)] if missing else self._segments, width)


def changed_stretch(old: Strip, new: Strip) -> tuple[int, int] | None:
    """Return the columns (start, end) outside which two lines are equal, or None when they are equal."""
    before, after = list(old), list(new)
    if before == after:
        return None
    start = 0
    while before and after and before[0] == after[0]:
        start += before.pop(0).cell_length
        after.pop(0)
    tail = 0
    while before and after and before[-1] == after[-1]:
        tail += before.pop().cell_length
        after.pop()
    return start, max(old.cell_length, new.cell_length) - tail


class _Edges(NamedTuple):
    """What frames the lines of content."""

    top: int
    """The first line of content."""
    width: int
    left: tuple[Segment, ...]
    right: tuple[Segment, ...]


class LineWidget(Widget):
    """A widget made of whole lines that knows which stretches changed.

    Subclasses implement :meth:`lines` from their stored data and call :meth:`mark` whenever that data changes.
    ``FRAMED`` gives the class a border that shows the focus. ``ascii_glyphs`` (class or instance attribute) chooses
    the plain sign set; when None, the app's attribute of the same name decides.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS: ClassVar[str] = """
    LineWidget { width: 1fr; height: 1fr; }
    LineWidget.-framed { border: round $faint; border-title-color: $header; border-subtitle-color: $muted; }
    LineWidget.-framed:focus { border: round $brass; border-title-color: $brass; }
    LineWidget.-framed.-ascii { border: ascii $faint; }
    LineWidget.-framed.-ascii:focus { border: ascii $brass; }
    """

    FRAMED: ClassVar[bool] = False
    ascii_glyphs: bool | None = None

    def __init__(
        self,
        *,
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self._lines: list[Strip] = []
        self._lines_size = (-1, -1)
        self._marked = True
        self._palette: Palette | None = None
        self._base: Style | None = None
        self._edges: _Edges | None = None
        self._framed: dict[int, tuple[Strip, Strip]] = {}
        self.set_class(self.FRAMED, "-framed")

    def on_mount(self) -> None:
        """Choose the border that goes with the signs."""
        self.set_class(self.glyphs is ASCII, "-ascii")

    # ------------------------------------------------------------------------------------------------ for subclasses

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the widget's lines for a content area of the given cells; fewer than ``height`` leaves blanks."""
        raise NotImplementedError

    def mark(self) -> None:
        """Note that the stored data changed; the next :meth:`drain` draws."""
        self._marked = True

    @property
    def palette(self) -> Palette:
        """The inks of the theme in force."""
        if self._palette is None:
            self._palette = palette_of(cast("App[object]", self.app))
        return self._palette

    @property
    def glyphs(self) -> Glyphs:
        """The sign set in force."""
        plain = self.ascii_glyphs
        if plain is None:
            plain = bool(getattr(self.app, "ascii_glyphs", False))
        return ASCII if plain else UNICODE

    # ---------------------------------------------------------------------------------------------------- for screens

    def drain(self, now: float = 0.0) -> bool:
        """Draw what changed since the last call; called by the screen's paint timer.

        Args:
            now: Seconds on any steady scale, for work that is to happen at most so often.

        Returns:
            Whether anything on the screen changed.
        """
        if not self._marked or not self.is_mounted:
            return False
        width, height = self.content_size
        if not width or not height:
            return False
        if self._lines_size != (width, height):
            # The next paint of the compositor renders everything anyway.
            self.refresh()
            return True
        old = self._lines
        self._render_lines(width, height)
        regions = []
        for y, (before, after) in enumerate(zip(old, self._lines, strict=True)):
            if before is after:
                continue
            if stretch := changed_stretch(before, after):
                regions.append(Region(stretch[0], y, stretch[1] - stretch[0], 1))
            else:
                # The same line again: what was worked out for the old one holds.
                self._lines[y] = before
        if regions:
            self.refresh(*regions)
        return bool(regions)

    def redraw(self) -> None:
        """Forget what is drawn and draw everything at the next opportunity."""
        self._lines_size = (-1, -1)
        self._marked = True
        self.refresh()

    # ---------------------------------------------------------------------------------------------------- for Textual

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return lines of the whole widget for the compositor.

        Textual works out border, padding and effects for each line anew. Where there are no effects, a line of content
        only needs the edges that all of them have in common.
        """
        edges = self._find_edges()
        if edges is None:
            return super().render_lines(crop)
        content = range(edges.top, edges.top + len(self._lines))
        strips = []
        for y in crop.line_range:
            if y in content:
                strips.append(self._framed_line(y, edges))
            else:
                strips += super().render_lines(Region(0, y, edges.width, 1))
        if crop.column_span == (0, edges.width):
            return strips
        return [strip.crop(crop.x, crop.right) for strip in strips]

    def _framed_line(self, y: int, edges: _Edges) -> Strip:
        line = self._lines[y - edges.top]
        known = self._framed.get(y)
        if known is not None and known[0] is line:
            return known[1]
        content = Segment.apply_style(line, self._ground())
        framed = LeanStrip([*edges.left, *content, *edges.right], edges.width)
        self._framed[y] = line, framed
        return framed

    def _find_edges(self) -> _Edges | None:
        """Return what stands left and right of every line of content; None when lines need Textual's own care."""
        width, content = self.outer_size.width, self.content_size
        if not content:
            return None
        if self._lines_size != content:
            self._render_lines(*content)
            self._edges = None
        if self._edges is None or self._edges.width != width:
            self._framed.clear()
            self._edges = self._cut_edges(width) if self._is_simple() else None
        return self._edges

    def _cut_edges(self, width: int) -> _Edges:
        gutter = self.gutter
        sample = super().render_lines(Region(0, gutter.top, width, 1))[0]
        left, right = sample.crop(0, gutter.left), sample.crop(width - gutter.right, width)
        return _Edges(gutter.top, width, tuple(left), tuple(right))

    def _is_simple(self) -> bool:
        """Tell whether what is drawn is what the lines say, but for the edges."""
        styles = self.styles
        tinted = styles.tint.a or self.opacity != 1 or styles.text_opacity != 1
        covered = styles.hatch not in (None, "none") or any(kind for kind, _ in styles.outline)
        filtered = not all(isinstance(found, ANSIToTruecolor) for found in self.get_line_filters())
        return self.palette.exact and not (tinted or covered or filtered)

    def _set_dirty(self, *regions: Region) -> None:
        if not regions:
            self._edges = None
        super()._set_dirty(*regions)
        # Only widgets that render themselves whole use them up; here they would become ever more.
        self._dirty_regions.clear()

    def render_line(self, y: int) -> Strip:
        """Return one line of the content area."""
        width, height = self.content_size
        if self._lines_size != (width, height):
            self._render_lines(width, height)
        if y >= len(self._lines):
            return Strip.blank(width, self._ground())
        return self._lines[y].apply_style(self._ground())

    def _render_lines(self, width: int, height: int) -> None:
        lines = list(self.lines(width, height))[:height]
        lines += [Strip.blank(width, self.palette["text"])] * (height - len(lines))
        self._lines = lines
        self._lines_size = (width, height)
        self._marked = False

    def _ground(self) -> Style:
        # Textual does not lay a widget's background under line-API content.
        if self._base is None:
            self._base = self.rich_style
        return self._base

    def notify_style_update(self) -> None:
        """Follow a change of theme or style."""
        super().notify_style_update()
        self._palette = None
        self._base = None
        self._edges = None
        self._lines_size = (-1, -1)
        self._marked = True

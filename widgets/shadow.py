"""A shadow of what the terminal shows, so that a frame costs only the cells that differ.

Textual's compositor re-sends a widget's line from its left edge to the changed cell, with a full colour sequence and
a reset around every segment. Over a thin line that is ten times what is needed. :class:`TerminalShadow` keeps the
cells last sent, compares, and writes cursor moves, colour *changes* and the characters that differ; a frame in which
nothing differs costs no byte at all. :class:`ShadowedApp` puts it between the compositor and the driver.

The shadow is right only while the terminal has received every frame. Whoever drops one (a driver whose terminal
stopped reading) or lets another program draw must call :meth:`ShadowedApp.forget_terminal` before the next frame.
Hyperlink attributes (OSC 8) are not sent.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, NamedTuple

from rich.cells import cell_len, get_character_cell_size
from rich.console import COLOR_SYSTEMS
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.app import App, ReturnType

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from rich.color import ColorSystem
    from rich.console import Console, RenderableType
    from rich.style import Style
    from textual.screen import Screen
    from textual.strip import Strip

__all__ = ["ShadowedApp", "TerminalShadow"]

# SGR switches in the order of rich's attribute bits: on code, off code.
_SWITCHES = (
    ("bold", "1", "22"),
    ("dim", "2", "22"),
    ("italic", "3", "23"),
    ("underline", "4", "24"),
    ("blink", "5", "25"),
    ("blink2", "6", "25"),
    ("reverse", "7", "27"),
    ("conceal", "8", "28"),
    ("strike", "9", "29"),
    ("underline2", "21", "24"),
    ("frame", "51", "54"),
    ("encircle", "52", "54"),
    ("overline", "53", "55"),
)
# A blank shows nothing but its background unless one of these draws on it.
_DRAWS_ON_BLANK = frozenset({"4", "5", "6", "7", "9", "21", "51", "52", "53"})
_GAP = 4
"""Unchanged cells between two changes that are cheaper to send again than to jump over."""


class Pen(NamedTuple):
    """The graphic state of one cell as SGR parameters."""

    switches: frozenset[str]
    foreground: str
    background: str


_DEFAULT = Pen(frozenset(), "39", "49")


@lru_cache(maxsize=16384)
def pen_of(style: Style | None, system: ColorSystem) -> Pen:
    """Return the graphic state ``style`` asks for on a terminal of the given colours."""
    if style is None:
        return _DEFAULT
    switches = frozenset(on for name, on, _off in _SWITCHES if getattr(style, name))
    foreground, background = "39", "49"
    if style.color is not None:
        foreground = ";".join(style.color.downgrade(system).get_ansi_codes())
    if style.bgcolor is not None:
        background = ";".join(style.bgcolor.downgrade(system).get_ansi_codes(foreground=False))
    return Pen(switches, foreground, background)


@lru_cache(maxsize=16384)
def blank_pen(pen: Pen) -> Pen:
    """Return the part of ``pen`` that is visible on a space."""
    if pen.switches & _DRAWS_ON_BLANK:
        return pen
    return Pen(frozenset(), "", pen.background)


@lru_cache(maxsize=65536)
def transition(old: Pen, new: Pen) -> tuple[str, Pen]:
    """Return the shortest SGR sequence from ``old`` to ``new``, and the state the terminal is then in."""
    foreground = new.foreground or old.foreground
    keep = old.switches - _DRAWS_ON_BLANK if not new.foreground else frozenset()
    wanted = Pen(new.switches | keep, foreground, new.background)
    if wanted == old:
        return "", old
    off = {code: off for _name, code, off in _SWITCHES}
    removed = {off[code] for code in old.switches - wanted.switches}
    # An off code takes its partner along (bold and dim share 22), so the partner must be set again.
    kept = {code for code in wanted.switches if off[code] not in removed and code in old.switches}
    step = [*sorted(removed), *sorted(wanted.switches - kept)]
    if wanted.foreground != old.foreground:
        step.append(wanted.foreground)
    if wanted.background != old.background:
        step.append(wanted.background)
    fresh = ["", *sorted(wanted.switches)]
    fresh += [code for code, default in ((wanted.foreground, "39"), (wanted.background, "49")) if code != default]
    by_step, by_reset = ";".join(step), ";".join(fresh)
    return f"\x1b[{min(by_step, by_reset, key=len)}m", wanted


Cell = tuple[str, Pen]
_UNKNOWN: Cell = ("\0", _DEFAULT)


class _Signs(dict[str, Cell]):
    """The cells of single-width characters in one pen, each made once: equal cells are then the same object."""

    def __init__(self, pen: Pen) -> None:
        super().__init__({" ": (" ", blank_pen(pen))})
        self._pen = pen

    def __missing__(self, char: str) -> Cell:
        cell = self[char] = (char, self._pen)
        return cell


@lru_cache(maxsize=2048)
def _signs(pen: Pen) -> _Signs:
    return _Signs(pen)


@lru_cache(maxsize=8192)
def _cells(text: str, pen: Pen) -> tuple[Cell, ...]:
    """Split one segment into cells; the right half of a wide character is an empty string."""
    signs = _signs(pen)
    if text.isascii():
        return tuple(map(signs.__getitem__, text))
    cells: list[Cell] = []
    for char in text:
        width = get_character_cell_size(char)
        if width == 1:
            cells.append(signs[char])
        elif width == 2:
            cells += [(char, pen), ("", pen)]
        else:
            # A joiner or a combining mark: the whole segment is one unit that can only be sent as it is.
            return ((text, pen), *[("", pen)] * (cell_len(text) - 1))
    return tuple(cells)


def _cut(cells: list[Cell], start: int, end: int) -> list[Cell]:
    """Return the cells of a stretch; of a wide character that the cut goes through, blanks remain."""
    part = cells[start:end]
    for index, (sign, pen) in enumerate(part):
        if sign:
            break
        part[index] = (" ", blank_pen(pen))
    if part and end < len(cells) and not cells[end][0]:
        for index in range(len(part) - 1, -1, -1):
            sign, pen = part[index]
            part[index] = (" ", blank_pen(pen))
            if sign:
                break
    return part


class TerminalShadow:
    """The cells the terminal is known to show.

    Args:
        width: Columns of the terminal.
        height: Rows of the terminal.
    """

    def __init__(self, width: int = 0, height: int = 0) -> None:
        self._size = (width, height)
        self._rows: list[list[Cell]] = []
        self.forget()

    def forget(self) -> None:
        """Know nothing about the terminal: every cell of the next frame is sent."""
        width, height = self._size
        self._rows = [[_UNKNOWN] * width for _ in range(height)]

    def resize(self, width: int, height: int) -> None:
        """Follow the terminal to a new size; its content is unknown afterwards."""
        if self._size != (width, height):
            self._size = (width, height)
            self.forget()

    def difference(self, update: CompositorUpdate, console: Console) -> str:
        """Return what to write so that the terminal shows ``update``, and remember it as shown."""
        system = COLOR_SYSTEMS[console.color_system or "truecolor"]
        brush = _Brush()
        for y, x, strips, left, right in _placed(update):
            if y >= len(self._rows):
                continue
            fresh: list[Cell] = []
            for strip in strips:
                for text, style, control in strip:
                    if not control:
                        fresh += _cells(text, pen_of(style, system))
            if x < left or x + len(fresh) > right:
                fresh = _cut(fresh, max(0, left - x), right - x)
                x = max(x, left)
            self._paint(brush, y, x, fresh)
        return brush.finish()

    def _paint(self, brush: _Brush, y: int, x: int, fresh: list[Cell]) -> None:
        """Send the cells of one stretch that differ."""
        row = self._rows[y]
        del fresh[len(row) - x :]
        # A wide character that is cut in half is gone for the terminal: its other half is blank.
        while x and fresh and not row[x][0] and fresh[0][0]:
            x -= 1
            fresh.insert(0, (" ", blank_pen(row[x][1])))
        end = x + len(fresh)
        while end < len(row) and fresh and not row[end][0]:
            fresh.append((" ", blank_pen(row[end][1])))
            end += 1
        if row[x:end] == fresh:
            return
        # A dict keeps the order and answers membership.
        changed = {index: None for index, (old, new) in enumerate(zip(row[x:end], fresh, strict=True)) if old != new}
        row[x:end] = fresh
        start = last = next(iter(changed))
        for index in changed:
            if index - last > _GAP:
                brush.write(y, x, start, last, fresh, changed)
                start = index
            last = index
        brush.write(y, x, start, last, fresh, changed)


class _Run(NamedTuple):
    """Characters to write with one pen from one place on."""

    y: int
    x: int
    width: int
    text: str
    pen: Pen


class _Brush:
    """Collects the cells to write and puts them in the cheapest order.

    Line by line needs few cursor moves, colour by colour few colour changes. A truecolour change costs as much as
    three moves, so a ladder whose columns each have their colour is cheaper column-wise: both are tried.
    """

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    def write(self, y: int, offset: int, first: int, last: int, cells: list[Cell], changed: Container[int]) -> None:
        """Write ``cells[first..last]`` whose first element sits at column ``offset`` of row ``y``."""
        # The right half of a wide character cannot be written alone.
        while first and not cells[first][0]:
            first -= 1
        while last + 1 < len(cells) and not cells[last + 1][0]:
            last += 1
        for begin, stop, pen in _pieces(cells, first, last + 1):
            start, end = begin, stop
            # Unchanged cells at a change of pen were only there to save a jump that is made anyway.
            while start < end and start not in changed:
                start += 1
            while start < end and not cells[start][0]:
                start -= 1
            while end > start and end - 1 not in changed and cells[end - 1][0]:
                end -= 1
            if start < end:
                text = "".join([cell[0] for cell in cells[start:end]])
                self._runs.append(_Run(y, offset + start, end - start, text, pen))

    def finish(self) -> str:
        """Return the sequence; the terminal is left in its default graphic state."""
        if not self._runs:
            return ""
        by_pen: dict[Pen, list[_Run]] = {}
        for run in self._runs:
            by_pen.setdefault(run.pen, []).append(run)
        return min(_sequence(self._runs), _sequence(run for runs in by_pen.values() for run in runs), key=len)


def _pieces(cells: list[Cell], first: int, end: int) -> Iterator[tuple[int, int, Pen]]:
    """Split ``cells[first:end]`` where the pen must change; yields start, end and pen."""
    start, (_, pen) = first, cells[first]
    for index in range(first + 1, end):
        new = cells[index][1]
        if new is pen or not transition(pen, new)[0]:
            continue
        if not pen.foreground and not transition(new, pen)[0]:
            # Leading blanks had no pen of their own: they take the one that follows.
            pen = new
            continue
        yield start, index, pen
        start, pen = index, new
    yield start, end, pen


def _sequence(runs: Iterable[_Run]) -> str:
    parts: list[str] = []
    pen, row, column = _DEFAULT, -1, -1
    for run in runs:
        if (row, column) != (run.y, run.x):
            step = run.x - column
            # The column is known only within a row: a character in the last one leaves the cursor pending there.
            if row == run.y and step > 0:
                parts.append("\x1b[C" if step == 1 else f"\x1b[{step}C")
            else:
                parts.append(f"\x1b[{run.y + 1};{run.x + 1}H" if run.x else f"\x1b[{run.y + 1}H")
        if run.pen is not pen:
            sequence, pen = transition(pen, run.pen)
            parts.append(sequence)
        parts.append(run.text)
        row, column = run.y, run.x + run.width
    if pen != _DEFAULT:
        parts.append("\x1b[m")
    return "".join(parts)


def _placed(update: CompositorUpdate) -> Iterator[tuple[int, int, Iterable[Strip], int, int]]:
    """Yield row, column and strips of everything an update wants drawn, and the columns it is limited to."""
    if isinstance(update, LayoutUpdate):
        for y, strips in enumerate(update.strips, update.region.y):
            yield y, update.region.x, strips, update.region.x, update.region.right
    elif isinstance(update, ChopsUpdate):
        for y, left, right in update.spans:
            for end, (x, strip) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                if strip is not None and x < right and end > left:
                    yield y, x, [strip], left, right


class _Ready(CompositorUpdate):
    """A frame that is already a terminal sequence."""

    def __init__(self, sequence: str) -> None:
        self._sequence = sequence

    def render_segments(self, console: Console) -> str:
        """Return the sequence as it is."""
        return self._sequence


class ShadowedApp(App[ReturnType], Generic[ReturnType]):
    """A Textual app that sends the terminal only what differs from what it shows.

    ``frames_sent`` and ``frames_empty`` count frames with and without a difference.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._shadow = TerminalShadow()
        self.frames_sent = 0
        self.frames_empty = 0

    def forget_terminal(self) -> None:
        """Assume nothing about what the terminal shows, and draw the whole screen again.

        Call after frames were dropped, after a reconnect, and on the person's wish to redraw.
        """
        self._shadow.forget()
        if self._screen_stack:
            self.screen.refresh()

    @contextmanager
    def suspend(self) -> Iterator[None]:
        """Lend the terminal to another program for the length of the ``with`` block."""
        with super().suspend():
            yield
        self._shadow.forget()

    def action_redraw(self) -> None:
        """Draw the whole screen again, whatever the terminal shows."""
        self.forget_terminal()

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        drawable = isinstance(renderable, (LayoutUpdate, ChopsUpdate))
        driver = self._driver
        if not drawable or driver is None or driver.is_inline or self._will_not_draw():
            super()._display(screen, renderable)
            return
        assert isinstance(renderable, CompositorUpdate)
        self._shadow.resize(*self.size)
        sequence = self._shadow.difference(renderable, self.console)
        moved = self.screen.outer_size.clamp_offset(self.cursor_position) != self._previous_cursor_position
        if not sequence and not moved:
            self.frames_empty += 1
            self.post_display_hook()
            return
        self.frames_sent += 1
        super()._display(screen, _Ready(sequence))

    def _will_not_draw(self) -> bool:
        """Tell whether Textual is about to discard the frame, which the shadow must then not learn."""
        return bool(self._batch_count or not self._running or self._closed or self.is_headless)

"""The order book as a price ladder: asks over bids, depth bars, own orders and the last trade marked.

    ladder = OrderLadder(title="Book")
    ladder.update(bids, asks, own={6743110: "0.5"}, last=LastTrade(6743110, "67,431.10", True), spread="0.10 · 1.5 bp")
    ladder.drain()

Prices are keyed by a scaled integer (the instrument's fixed scale), so the cursor stays on its price while levels
come and go. Texts arrive formatted; the ladder compares, draws and reports, it computes nothing about money.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.binding import Binding
from textual.content import Content
from textual.message import Message

from widgets.line_widget import LineBuilder
from widgets.navigation import VimNavigation
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual import events
    from textual.binding import BindingType
    from textual.strip import Strip

    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = ["LadderState", "LastTrade", "Level", "OrderLadder", "depth_bar", "ladder_rows", "visible_levels"]

Side = Literal["bid", "ask"]
_MARKS = 2
"""Leading cells of a row: the cursor, then the sign of an own order or of the last trade."""


@dataclass(frozen=True, slots=True)
class Level:
    """One price of a book, formatted.

    ``key`` is the scaled price, ``total`` the cumulative size from the best price to here, ``depth`` the same as a
    share (0 to 1) of whatever the caller takes as full.
    """

    key: int
    price: str
    size: str
    total: str = ""
    depth: float = 0.0


@dataclass(frozen=True, slots=True)
class LastTrade:
    """The last trade: scaled price, formatted price, and whether a buyer took it."""

    key: int
    price: str
    buy: bool


@dataclass(frozen=True, slots=True)
class LadderState:
    """All a ladder shows. Bids and asks both run from the best price outwards; ``own`` maps scaled price to size."""

    bids: Sequence[Level] = ()
    asks: Sequence[Level] = ()
    own: Mapping[int, str] = field(default_factory=dict)
    last: LastTrade | None = None
    spread: str = ""
    cursor: int | None = None


def depth_bar(share: float, width: int, glyphs: Glyphs) -> str:
    """Return a bar of ``width`` cells filled from the left to ``share`` (0 to 1), in parts of a cell."""
    steps = len(glyphs.bar) - 1
    filled = round(max(0.0, min(1.0, share)) * width * steps)
    full, part = divmod(filled, steps)
    bar = glyphs.bar[-1] * full + (glyphs.bar[part] if part else "")
    return bar + " " * (width - len(bar))


def visible_levels(state: LadderState, height: int) -> list[tuple[Side, Level] | None]:
    """Return what the lines below the header show, from the farthest ask to the farthest bid.

    The spread line is the one entry between the sides; it and unfilled lines are None.
    """
    room = max(0, height - 2)
    above = room // 2
    asks: list[tuple[Side, Level] | None] = [("ask", level) for level in state.asks[:above]]
    bids: list[tuple[Side, Level] | None] = [("bid", level) for level in state.bids[: room - above]]
    blank: list[tuple[Side, Level] | None] = [None]
    return blank * (above - len(asks)) + asks[::-1] + blank + bids + blank * (room - above - len(bids))


@dataclass(frozen=True, slots=True)
class _Shape:
    """Cells of each part of a row; what does not fit is zero and left out."""

    price: int
    size: int
    total: int
    bar: int

    @classmethod
    def of(cls, state: LadderState, width: int) -> _Shape:
        levels = [*state.asks[:30], *state.bids[:30]]
        # Widths grow in steps so that one more digit does not move the whole ladder to and fro.
        price = max([9, *(width_of(level.price) for level in levels)])
        size = max([7, *(width_of(level.size) for level in levels)])
        total = max([7, *(width_of(level.total) for level in levels)]) if any(level.total for level in levels) else 0
        if _MARKS + price + 1 + size + 1 + total + 1 + 4 > width:
            total = 0
        used = _MARKS + price + 1 + size + (1 + total if total else 0) + 1
        return cls(price, size, total, max(0, width - used))


def _level_strip(
    side: Side,
    level: Level,
    state: LadderState,
    shape: _Shape,
    width: int,
    palette: Palette,
    glyphs: Glyphs,
    focused: bool,
) -> Strip:
    chosen = level.key == state.cursor
    over = palette["cursor" if focused else "cursor-blurred"] if chosen else None
    line = LineBuilder(palette, over)
    line.add(glyphs.cursor if chosen and focused else " ", "accent")
    own = state.own.get(level.key)
    if own is not None:
        line.add(glyphs.own, "own")
    elif state.last is not None and state.last.key == level.key:
        line.add(glyphs.last, "last")
    else:
        line.add(" ")
    line.add(fit(clean(level.price), shape.price, "right", glyphs.ellipsis), side)
    line.add(" " + fit(clean(level.size), shape.size, "right", glyphs.ellipsis), "text")
    if shape.total:
        line.add(" " + fit(clean(level.total), shape.total, "right", glyphs.ellipsis), "muted")
    tag = f" {glyphs.own}{clean(own)}" if own is not None else ""
    room = shape.bar - width_of(tag)
    if room < 0:
        tag, room = "", shape.bar
    line.add(" ")
    # Under the cursor the muted bar would drown in the cursor's ground.
    ink = side if chosen else f"depth-{side}"
    line.add(depth_bar(level.depth * shape.bar / max(1, room), room, glyphs), ink, keep=True)
    return line.add(tag, "own").strip(width)


def _spread_strip(state: LadderState, shape: _Shape, width: int, palette: Palette, glyphs: Glyphs) -> Strip:
    line = LineBuilder(palette).add(glyphs.rule * _MARKS, "faint")
    if state.last is not None:
        sign = glyphs.up if state.last.buy else glyphs.down
        price = fit(clean(state.last.price), shape.price, "right", glyphs.ellipsis)
        line.add(price, "last").add(" ").add(sign, "gain" if state.last.buy else "loss").add(" ")
    else:
        line.add(glyphs.rule * shape.price, "faint").add(" ")
    if state.spread:
        line.add("spread ", "muted").add(clean(state.spread), "text").add(" ")
    return line.add(glyphs.rule * width, "faint").strip(width)


def _header_strip(shape: _Shape, width: int, palette: Palette) -> Strip:
    text = " " * _MARKS + fit("Price", shape.price, "right") + " " + fit("Size", shape.size, "right")
    if shape.total:
        text += " " + fit("Total", shape.total, "right")
    return LineBuilder(palette).add(text + (" Depth" if shape.bar > 5 else ""), "title").strip(width)


def ladder_rows(
    state: LadderState, width: int, height: int, palette: Palette, glyphs: Glyphs, *, focused: bool = False
) -> list[Strip]:
    """Return the ladder's lines: header, asks downwards to the best, spread line, bids downwards from the best."""
    shape = _Shape.of(state, width)
    lines = [_header_strip(shape, width, palette)]
    middle = max(0, height - 2) // 2
    for index, entry in enumerate(visible_levels(state, height)):
        if entry is not None:
            lines.append(_level_strip(*entry, state, shape, width, palette, glyphs, focused))
        elif index == middle:
            lines.append(_spread_strip(state, shape, width, palette, glyphs))
        else:
            lines.append(LineBuilder(palette).strip(width))
    return lines


class OrderLadder(VimNavigation):
    """A live price ladder with a cursor.

    Args:
        title: Shown in the border.
        empty: Shown while there is no book; say what would fill it.
    """

    HELP = "j/k move through the levels, m returns to the spread, Enter takes the price into the order ticket."
    FRAMED = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Take price", show=False, id="ladder.take"),
        Binding("m", "centre", "To the spread", show=False, id="ladder.centre"),
    ]

    class LevelHighlighted(Message):
        """The cursor moved to another price (None: no cursor)."""

        def __init__(self, ladder: OrderLadder, level: Level | None, side: Side | None) -> None:
            super().__init__()
            self.ladder = ladder
            self.level = level
            self.side = side

        @property
        def control(self) -> OrderLadder:
            """The ladder."""
            return self.ladder

    class LevelSelected(Message):
        """Enter was pressed on a price."""

        def __init__(self, ladder: OrderLadder, level: Level, side: Side) -> None:
            super().__init__()
            self.ladder = ladder
            self.level = level
            self.side = side

        @property
        def control(self) -> OrderLadder:
            """The ladder."""
            return self.ladder

    def __init__(
        self,
        *,
        title: str = "Book",
        empty: str = "No book yet. Waiting for the feed.",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.empty = empty
        self._state = LadderState()
        self.set_title(title)

    def set_title(self, title: str) -> None:
        """Show another title, such as the symbol."""
        self.border_title = Content(clean(title)) if title else None

    def update(
        self,
        bids: Sequence[Level],
        asks: Sequence[Level],
        own: Mapping[int, str] | None = None,
        last: LastTrade | None = None,
        spread: str = "",
    ) -> None:
        """Show another book.

        Args:
            bids: Buying levels, best first.
            asks: Selling levels, best first.
            own: Open size of one's own orders by scaled price.
            last: The last trade.
            spread: Formatted spread.
        """
        state = LadderState(bids, asks, own or {}, last, spread, self._state.cursor)
        if state != self._state:
            self._state = state
            self.mark()

    def clear(self) -> None:
        """Show no book, for example when the instrument changes; the cursor is let go."""
        self._state = LadderState()
        self.mark()

    @property
    def cursor_level(self) -> tuple[Level, Side] | None:
        """The level under the cursor and its side; None when there is no cursor or its price left the book."""
        for entry in self._entries():
            if entry is not None and entry[1].key == self._state.cursor:
                return entry[1], entry[0]
        return None

    def _entries(self) -> list[tuple[Side, Level] | None]:
        return visible_levels(self._state, self.content_size.height or 24)

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the ladder's lines."""
        if not self._state.bids and not self._state.asks:
            blank = LineBuilder(self.palette).strip(width)
            text = fit(clean(self.empty), width, "center", self.glyphs.ellipsis)
            return [*[blank] * (height // 2), LineBuilder(self.palette).add(text, "muted").strip(width)]
        return ladder_rows(self._state, width, height, self.palette, self.glyphs, focused=self.has_focus)

    # -------------------------------------------------------------------------------------------------------- movement

    def _point(self, key: int | None) -> None:
        state = self._state
        self._state = LadderState(state.bids, state.asks, state.own, state.last, state.spread, key)
        self.mark()
        found = self.cursor_level
        self.post_message(self.LevelHighlighted(self, *(found or (None, None))))

    def move_by(self, rows: int) -> None:
        """Move the cursor through the prices shown; the first move puts it beside the spread."""
        levels = [entry[1] for entry in self._entries() if entry is not None]
        if not levels:
            return
        cursor = self._state.cursor
        if cursor is None:
            self.action_centre()
            return
        # The price may have left the book: go on from the nearest one that is there.
        here = min(range(len(levels)), key=lambda place: abs(levels[place].key - cursor))
        self._point(levels[max(0, min(len(levels) - 1, here + rows))].key)

    def move_to_end(self, direction: int) -> None:
        """Move to the highest (-1) or lowest (1) price shown."""
        levels = [entry[1] for entry in self._entries() if entry is not None]
        if levels:
            self._point(levels[0 if direction < 0 else -1].key)

    def action_centre(self) -> None:
        """Put the cursor on the best bid, or on the best ask when there is none."""
        best = self._state.bids or self._state.asks
        self._point(best[0].key if best else None)
        self.drain()

    def action_choose(self) -> None:
        """Report the price under the cursor."""
        found = self.cursor_level
        if found is not None:
            self.post_message(self.LevelSelected(self, *found))

    def on_click(self, event: events.Click) -> None:
        """Put the cursor on the price under the mouse."""
        offset = event.get_content_offset(self)
        entries = self._entries()
        if offset is not None and 0 < offset.y <= len(entries):
            entry = entries[offset.y - 1]
            if entry is not None:
                self._point(entry[1].key)
                self.drain()

    def on_focus(self) -> None:
        """Show the cursor as active."""
        self.mark()
        self.drain()

    def on_blur(self) -> None:
        """Show the cursor as resting."""
        self.mark()
        self.drain()

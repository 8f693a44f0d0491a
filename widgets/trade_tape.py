"""The tape: recent trades of one instrument, newest first, bounded and coalesced.

    tape = TradeTape(title="Trades")
    tape.push([Trade("14:03:22", "67,431.10", "0.4213", buy=True)])
    tape.drain()

However many trades arrive between two drawings, one drawing shows the newest that fit.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.content import Content

from widgets.line_widget import LineBuilder, LineWidget
from widgets.text import clean, fit, width_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from textual.strip import Strip

    from widgets.glyphs import Glyphs
    from widgets.palette import Palette

__all__ = ["Trade", "TradeTape", "tape_rows"]

KEPT = 200
"""Trades remembered; more than any terminal shows."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade, formatted; ``buy`` says that a buyer took it, ``own`` that it was ours."""

    time: str
    price: str
    size: str
    buy: bool
    own: bool = False


def tape_rows(trades: Sequence[Trade], width: int, height: int, palette: Palette, glyphs: Glyphs) -> list[Strip]:
    """Return the lines of a tape, newest trade first below the header; the time leaves first when it is narrow."""
    shown = trades[: max(0, height - 1)]
    price = max([9, *(width_of(trade.price) for trade in shown)])
    size = max([7, *(width_of(trade.size) for trade in shown)])
    time = 8 if 2 + price + 1 + size + 1 + 8 <= width else 0
    # The side's sign and ink lead the line, the rest is plain: few colour changes when the lines move down by one.
    title = (
        "  "
        + fit("Price", price, "right")
        + " "
        + fit("Size", size, "right")
        + (" " + fit("Time", time) if time else "")
    )
    lines = [LineBuilder(palette).add(title, "title").strip(width)]
    for trade in shown:
        sign = glyphs.own if trade.own else (glyphs.buy if trade.buy else glyphs.sell)
        line = LineBuilder(palette).add(
            sign + " " + fit(clean(trade.price), price, "right"), "bid" if trade.buy else "ask"
        )
        line.add(" " + fit(clean(trade.size), size, "right"), "own" if trade.own else "text")
        if time:
            line.add(" " + fit(clean(trade.time), time), "text")
        lines.append(line.strip(width))
    return lines


class TradeTape(LineWidget):
    """Recent trades.

    Args:
        title: Shown in the border.
        empty: Shown before the first trade.
    """

    FRAMED = True

    def __init__(
        self,
        *,
        title: str = "Trades",
        empty: str = "No trades yet.",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.empty = empty
        self._trades: deque[Trade] = deque(maxlen=KEPT)
        self.set_title(title)

    def set_title(self, title: str) -> None:
        """Show another title."""
        self.border_title = Content(clean(title)) if title else None

    def push(self, trades: Iterable[Trade]) -> None:
        """Add trades in the order they happened."""
        before = len(self._trades)
        for trade in trades:
            self._trades.appendleft(trade)
            before = -1
        if before < 0:
            self.mark()

    def show(self, trades: Sequence[Trade]) -> None:
        """Show exactly these trades, newest first."""
        fresh = list(trades[:KEPT])
        if fresh != list(self._trades):
            self._trades = deque(fresh, maxlen=KEPT)
            self.mark()

    def clear(self) -> None:
        """Forget all trades, for example when the instrument changes."""
        self._trades.clear()
        self.mark()

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the tape's lines."""
        if not self._trades:
            blank = LineBuilder(self.palette).strip(width)
            text = fit(clean(self.empty), width, "center", self.glyphs.ellipsis)
            return [*[blank] * (height // 2), LineBuilder(self.palette).add(text, "muted").strip(width)]
        return tape_rows(list(self._trades)[:height], width, height, self.palette, self.glyphs)

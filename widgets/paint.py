"""One paint timer a screen: data is pulled and drawn at a steady, bounded rate, and not at all on a hidden screen.

class Market(PaintedScreen):
    def pull(self, now): self.query_one(OrderLadder).update(*self.store.book())
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Generic

from textual.screen import ScreenResultType

from widgets.composing import SLICE_S, SlicedScreen
from widgets.line_widget import LineWidget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.timer import Timer

__all__ = ["PaintedScreen"]


class PaintedScreen(SlicedScreen[ScreenResultType], Generic[ScreenResultType]):
    """A screen whose live widgets are drained by one timer.

    ``PAINT_HZ`` is the rate, unless the app has a ``paint_hz``; 10 is the most that is useful over a thin line.
    Override :meth:`pull` to hand the store's changes to the widgets: it is called before each drawing, only while the
    screen is shown.
    """

    PAINT_HZ: ClassVar[float] = 5.0
    _paint_timer: Timer | None = None

    def pull(self, now: float) -> None:
        """Hand the widgets what changed; ``now`` is in seconds on a steady scale."""

    def paint(self) -> None:
        """Pull and draw once; an action that wants its result seen at once calls this."""
        for _ in self.paint_steps():
            pass

    def paint_steps(self) -> Iterator[None]:
        """Pull and draw, widget by widget."""
        now = asyncio.get_running_loop().time()
        self.pull(now)
        for widget in self.query(LineWidget):
            yield
            if widget.display and widget.is_attached:
                widget.drain(now)

    def on_mount(self) -> None:
        """Start the paint timer."""
        rate = float(getattr(self.app, "paint_hz", self.PAINT_HZ))
        self._paint_timer = self.set_interval(1 / rate, self._tick, name="paint")

    async def _tick(self) -> None:
        """Paint, and let the loop turn whenever it has been held for long."""
        if not self._is_seen():
            return
        loop = asyncio.get_running_loop()
        began = loop.time()
        for _ in self.paint_steps():
            if loop.time() - began > SLICE_S:
                await asyncio.sleep(0)
                began = loop.time()

    def _is_seen(self) -> bool:
        """Tell whether the screen is on top or shows behind dialogs only."""
        for screen in reversed(self.app.screen_stack):
            if screen is self:
                return True
            if not screen.is_modal:
                return False
        return False

    def on_screen_suspend(self) -> None:
        """Stop drawing while the screen is hidden, unless it still shows behind a modal."""
        if self._paint_timer is not None and not self._is_seen():
            self._paint_timer.pause()

    def on_screen_resume(self) -> None:
        """Draw at once what happened meanwhile, and go on."""
        if self._paint_timer is not None:
            self._paint_timer.resume()
        self.call_after_refresh(self._tick)

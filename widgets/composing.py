"""Composes a screen in slices: only the lines that changed, each cell once, a few milliseconds a turn of the loop.

Textual's compositor renders every widget whole for any change, those that others cover included, and the whole screen
in one go: at 200x50 this holds the loop for tens of milliseconds. :class:`SlicedCompositor` asks a widget only for the
lines that are dirty and not covered, and stops after :data:`SLICE_S`; the rest stays dirty and is drawn on the next
turns of the loop, with what has changed until then. :class:`SlicedScreen` is a screen that uses it.
"""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Generic

from textual._compositor import ChopsUpdate, Compositor
from textual._context import visible_screen_stack
from textual.geometry import Region
from textual.screen import Screen, ScreenResultType

from widgets.strips import LeanStrip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import RenderableType
    from textual.app import App
    from textual.events import ScreenResume
    from textual.message import Message
    from textual.strip import Strip
    from textual.widget import Widget

__all__ = ["SLICE_S", "SlicedCompositor", "SlicedScreen"]

SLICE_S = 0.003
"""Seconds of the loop that a slice may take before it stops; sending it to the terminal takes half as long again."""
BAND_CELLS = 600
"""Cells composed between two looks at the clock."""
_NEAR = 6
"""Clean lines between two dirty ones of a widget that cost less to ask for than a second question."""

Span = tuple[int, int, int]
Chops = dict[int, "Strip | None"]


class SlicedCompositor(Compositor):
    """A compositor whose updates are never larger than a slice."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock

    @property
    def pending(self) -> bool:
        """Whether something is still to be drawn."""
        return bool(self._dirty_regions)

    def render_update(
        self, full: bool = False, screen_stack: list[Screen[object]] | None = None, simplify: bool = False
    ) -> RenderableType | None:
        """Return the next slice, or None when nothing is to be drawn; ``full`` renders everything, for pictures."""
        if full or simplify:
            return super().render_update(full=full, screen_stack=screen_stack, simplify=simplify)
        visible_screen_stack.set([] if screen_stack is None else screen_stack)
        return self.render_partial_update()

    def render_partial_update(self) -> ChopsUpdate | None:
        """Return the next slice, or None when nothing is to be drawn."""
        end = self._clock() + SLICE_S
        screen = self.size.region
        spans = sorted(self._regions_to_spans(region.intersection(screen) for region in self._dirty_regions))
        self._dirty_regions.clear()
        chops: list[Chops] = [{} for _ in self.cuts]
        done = 0
        while done < len(spans):
            stop = _band_end(spans, done)
            self._compose(spans[done:stop], chops)
            done = stop
            if self._clock() >= end:
                break
        self._dirty_regions.update(Region(start, y, stop - start, 1) for y, start, stop in spans[done:])
        return ChopsUpdate(chops, spans[:done], [line[1:] for line in self.cuts]) if done else None

    def compose_lines(self, region: Region) -> list[Strip]:
        """Return the lines of a region as they look now, drawn or not; blank where the screen does not reach."""
        inside = region.intersection(self.size.region)
        chops: list[Chops] = [{} for _ in self.cuts]
        self._compose([(y, inside.x, inside.right) for y in inside.line_range], chops)
        lines: list[Strip] = []
        for y in region.line_range:
            pieces = {x: strip for x, strip in chops[y].items() if strip is not None} if y in inside.line_range else {}
            # The first piece may begin before the region.
            start = min(pieces, default=region.x)
            cells = sum(strip.cell_length for strip in pieces.values())
            line: Strip = LeanStrip((segment for strip in pieces.values() for segment in strip), cells)
            if start != region.x or cells != region.width:
                line = line.crop(region.x - start, region.right - start).adjust_cell_length(region.width)
            lines.append(line)
        return lines

    def _compose(self, spans: Sequence[Span], chops: list[Chops]) -> None:
        """Put the pieces of every line that the spans need into that line's mapping, by column."""
        cuts = self.cuts
        missing: dict[int, set[int]] = {}
        for y, start, end in spans:
            line = cuts[y]
            if y not in missing:
                chops[y] = dict.fromkeys(line[:-1])
                missing[y] = set()
            missing[y].update(cut for cut, stop in pairwise(line) if cut < end and stop > start)
        for widget, (region, clip) in self.visible_widgets.items():
            if not missing:
                break
            self._fill(widget, region, region.intersection(clip), chops, missing)

    def _fill(
        self, widget: Widget, region: Region, seen: Region, chops: list[Chops], missing: dict[int, set[int]]
    ) -> None:
        """Put a widget's lines where nothing in front of it stands."""
        left, right = seen.column_span
        lines = [y for y in missing if seen.y <= y < seen.bottom and any(left <= cut < right for cut in missing[y])]
        for first, last in _runs(lines):
            wanted = Region(left - region.x, first - region.y, seen.width, last - first + 1)
            for y, strip in enumerate(widget.render_lines(wanted), first):
                if y not in missing:
                    continue
                cuts = [cut for cut in self.cuts[y] if left <= cut <= right]
                for cut, piece in zip(cuts, strip.divide([cut - left for cut in cuts[1:]]), strict=False):
                    if cut in missing[y]:
                        chops[y][cut] = piece
                        missing[y].discard(cut)
                if not missing[y]:
                    del missing[y]


def _band_end(spans: Sequence[Span], first: int) -> int:
    """Return where the band that begins with a span ends; the spans of a line stay together."""
    room = BAND_CELLS
    for index in range(first, len(spans)):
        y, start, stop = spans[index]
        if room <= 0 and spans[index - 1][0] != y:
            return index
        room -= stop - start
    return len(spans)


def _runs(lines: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Join ascending lines that are near each other; yields first and last of each run."""
    first = last = None
    for y in lines:
        if first is None or last is None:
            first = y
        elif y - last > _NEAR:
            yield first, last
            first = y
        last = y
    if first is not None and last is not None:
        yield first, last


class SlicedScreen(Screen[ScreenResultType], Generic[ScreenResultType]):
    """A screen that is drawn in slices."""

    def __init__(self, name: str | None = None, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(name, id, classes)
        self._compositor: SlicedCompositor = SlicedCompositor()

    def _post_register(self, app: App[object]) -> None:
        super()._post_register(app)
        # Textual takes a new screen for one that missed a change of theme and styles the whole app anew, twice; but
        # each widget is styled when it is registered.
        self._css_update_count = app._css_update_count

    async def _dispatch_message(self, message: Message) -> None:
        began = time.monotonic()
        await super()._dispatch_message(message)
        if time.monotonic() - began > SLICE_S:
            await asyncio.sleep(0)

    def _on_screen_resume(self, event: ScreenResume) -> None:
        # Styles do not depend on whether the screen is shown, and a change of theme is noticed by its count.
        if self._css_update_count == self.app._css_update_count:
            event.refresh_styles = False

    def compose_lines(self, region: Region) -> list[Strip]:
        """Return lines of the screen as they look now, for another screen to show them."""
        return self._compositor.compose_lines(region)

    @property
    def is_drawn(self) -> bool:
        """Whether the terminal has been sent all that the screen shows."""
        return not self._compositor.pending

    def _compositor_refresh(self) -> None:
        """Draw a slice of the screen on top, or ask that one to draw what of this one shows behind it."""
        app, dirty = self.app, self._compositor._dirty_regions
        # Drawing takes every widget that changed for drawn; one that changed since the slice before must be in it.
        self._compositor.update_widgets(self._dirty_widgets)
        if app.screen is self and not app._batch_count:
            super()._compositor_refresh()
            if dirty:
                # Not at once: the messages of a screen are worked off without a turn of the loop between them.
                asyncio.get_running_loop().call_soon(self.call_later, self._compositor_refresh)
        elif dirty and (app.screen is self or self in app._background_screens):
            regions = list(dirty)
            dirty.clear()
            self._dirty_widgets.clear()
            app.screen.refresh(*regions)

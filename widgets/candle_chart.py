"""A live candle chart: the grid stands still, so that a tick redraws the last candle and its label only.

chart = CandleChart(title="BTC/USDT 1m", decimals=2)
chart.set_bars(bars)                       # rising by time
chart.tick(bar)                            # the forming bar again, or the next one
chart.set_overlays([Overlay("MA20", values)]); chart.set_markers([Marker(time_ns, "entry")])
chart.drain()
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding

from widgets.candle_paint import Bar, CandleView, Marker, Overlay, candle_rows, grid_of
from widgets.line_widget import LineBuilder
from widgets.navigation import VimNavigation
from widgets.text import clean, fit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from textual.binding import BindingType
    from textual.strip import Strip

__all__ = ["Bar", "CandleChart", "Marker", "Overlay"]

KEPT = 2000
"""Bars remembered; older ones leave at the left."""
_STEPS = (1, 2, 3)


class CandleChart(VimNavigation):
    """Candles with volume, overlays, trade markers and a crosshair.

    Args:
        title: Leads the readout line, such as symbol and timeframe.
        decimals: Decimals of a price.
        empty: Shown while there are no bars.
    """

    HELP = "h/l move the crosshair from candle to candle, g/G to the ends, + and - widen and narrow, Esc hides it."
    FRAMED = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("plus,equals_sign", "widen(1)", "Wider", show=False, id="chart.wider"),
        Binding("minus", "widen(-1)", "Narrower", show=False, id="chart.narrower"),
        Binding("escape", "hide_crosshair", "Hide crosshair", show=False, id="chart.hide_crosshair"),
    ]

    def __init__(
        self,
        *,
        title: str = "",
        decimals: int = 2,
        empty: str = "No candles yet.",
        name: str | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(name=name, id=id, classes=classes)
        self.empty = empty
        self._bars: list[Bar] = []
        self._view = CandleView(title=clean(title), decimals=decimals)

    # -------------------------------------------------------------------------------------------------------- the data

    def set_title(self, title: str, decimals: int | None = None) -> None:
        """Show another title and, for another instrument, other decimals."""
        decimals = self._view.decimals if decimals is None else decimals
        self._change(title=clean(title), decimals=decimals)

    def set_bars(self, bars: Sequence[Bar]) -> None:
        """Show these bars, rising by time; the grid and the crosshair start anew when they are another series."""
        fresh = list(bars[-KEPT:])
        if fresh == self._bars:
            return
        same = bool(self._bars and fresh) and self._bars[0].time_ns <= fresh[-1].time_ns and _overlap(self._bars, fresh)
        marked = self.crosshair_bar
        self._bars = fresh
        if same:
            # The crosshair belongs to an instant; its index moves when bars leave at the left.
            place = next((i for i, bar in enumerate(fresh) if marked and bar.time_ns == marked.time_ns), None)
            self._change(crosshair=place)
        else:
            self._change(scale=None, volume_top=0.0, crosshair=None)

    def tick(self, bar: Bar) -> None:
        """Replace the forming bar of the same instant, or begin the next one; an older one is ignored."""
        bars = self._bars
        if bars and bar.time_ns < bars[-1].time_ns:
            return
        if bars and bar.time_ns == bars[-1].time_ns:
            if bars[-1] == bar:
                return
            bars[-1] = bar
        else:
            bars.append(bar)
            if len(bars) > KEPT:
                del bars[0]
                if self._view.crosshair:
                    self._change(crosshair=self._view.crosshair - 1)
        self.mark()

    def set_overlays(self, overlays: Sequence[Overlay]) -> None:
        """Draw these lines; their values go with the bars by index."""
        self._change(overlays=tuple(overlays))

    def set_markers(self, markers: Sequence[Marker]) -> None:
        """Mark these trades."""
        self._change(markers=tuple(markers))

    def set_zone(self, zone: tzinfo) -> None:
        """Label times in this zone (UTC at first)."""
        self._change(zone=zone)

    def clear(self) -> None:
        """Show nothing, for example while another instrument loads."""
        self._bars = []
        self._change(overlays=(), markers=(), scale=None, volume_top=0.0, crosshair=None)

    def _change(self, **changes: object) -> None:
        self._view = replace(self._view, **changes)  # type: ignore[arg-type]  # fields by name, all set in this class
        self.mark()

    @property
    def crosshair_bar(self) -> Bar | None:
        """The bar under the crosshair, or None when it is hidden."""
        index = self._view.crosshair
        return self._bars[index] if index is not None and index < len(self._bars) else None

    # --------------------------------------------------------------------------------------------------------- drawing

    def lines(self, width: int, height: int) -> Sequence[Strip]:
        """Return the chart's lines."""
        if not self._bars:
            blank = LineBuilder(self.palette).strip(width)
            text = fit(clean(self.empty), width, "center", self.glyphs.ellipsis)
            return [*[blank] * (height // 2), LineBuilder(self.palette).add(text, "muted").strip(width)]
        view = replace(self._view, bars=self._bars)
        grid = grid_of(view, width, height)
        self._view = replace(self._view, scale=grid.scale, volume_top=grid.volume_top)
        return candle_rows(
            replace(view, scale=grid.scale, volume_top=grid.volume_top), width, height, self.palette, self.glyphs
        )

    # -------------------------------------------------------------------------------------------------------- movement

    def move_sideways(self, columns: int) -> None:
        """Move the crosshair; the first move puts it on the last candle."""
        if self._bars:
            last = len(self._bars) - 1
            here = self._view.crosshair
            first = grid_of(replace(self._view, bars=self._bars), *self.content_size).first
            self._change(crosshair=last if here is None else max(first, min(last, here + columns)))

    def move_by(self, rows: int) -> None:
        """Move the crosshair ten candles; down is later."""
        self.move_sideways(10 if rows > 0 else -10)

    def move_to_end(self, direction: int) -> None:
        """Move the crosshair to the first shown or the last candle."""
        self.move_sideways(0)
        self.move_sideways(direction * len(self._bars))

    def action_widen(self, direction: int) -> None:
        """Give each candle more or fewer columns."""
        place = _STEPS.index(self._view.step) + direction
        self._change(step=_STEPS[max(0, min(len(_STEPS) - 1, place))], scale=None)
        self.drain()

    def action_hide_crosshair(self) -> None:
        """Hide the crosshair."""
        self._change(crosshair=None)
        self.drain()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave Esc to others unless there is a crosshair to hide."""
        return self._view.crosshair is not None if action == "hide_crosshair" else True


def _overlap(old: Sequence[Bar], new: Sequence[Bar]) -> bool:
    """Tell whether two runs of bars are the same series a little later: equal where their closed bars meet."""
    known = {bar.time_ns: bar for bar in old[:-1]}
    met = [(known[bar.time_ns], bar) for bar in new[:-1] if bar.time_ns in known]
    return bool(met) and all(before == after for before, after in met[-3:])

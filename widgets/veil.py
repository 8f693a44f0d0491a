"""The screen behind a dialog, dimmed: only the lines that changed, each style mixed once.

Textual renders the whole screen below for every change of it and mixes the colours of each segment anew, a tenth of a
second at 200x50. :class:`VeiledScreen` asks the compositor below for the lines that are wanted and looks mixed styles
up.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Generic, cast

from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.screen import ModalScreen, ScreenResultType

from widgets.composing import SlicedScreen
from widgets.strips import LeanStrip

if TYPE_CHECKING:
    from textual.geometry import Region
    from textual.strip import Strip

__all__ = ["VeiledScreen", "veiled", "veiled_style"]


@lru_cache(maxsize=8192)
def veiled_style(style: Style | None, veil: Color) -> Style:
    """Return a style with both colours mixed with the veil by its alpha; links and meta data are left out."""
    if style is None:
        return Style()
    plain = style.clear_meta_and_links()
    front, back = (
        None if colour is None else Color.from_rich_color(colour) + veil for colour in (style.color, style.bgcolor)
    )
    return plain + Style.from_color(front and front.rich_color, back and back.rich_color)


def veiled(strip: Strip, veil: Color) -> Strip:
    """Return a line as it looks through the veil."""
    return LeanStrip(
        [Segment(text, veiled_style(style, veil), control) for text, style, control in strip], strip.cell_length
    )


class VeiledScreen(SlicedScreen[ScreenResultType], ModalScreen[ScreenResultType], Generic[ScreenResultType]):
    """A modal screen whose translucent background costs little; an opaque one hides what is below."""

    def render_lines(self, crop: Region) -> list[Strip]:
        """Return the background: the screen below through this one's colour."""
        below, veil = self._below(), self.styles.background
        if below is None or veil.a == 1:
            return super().render_lines(crop)
        # Never drawn by Textual, which would forget them.
        self._dirty_regions.clear()
        return [veiled(strip, veil) for strip in below.compose_lines(crop)]

    def _below(self) -> SlicedScreen[object] | None:
        """The screen that shows through this one."""
        stack = self.app.screen_stack
        place = stack.index(self) if self in stack else 0
        below = stack[place - 1] if place else None
        return cast("SlicedScreen[object]", below) if isinstance(below, SlicedScreen) else None

"""Style sheets read before they are needed: a screen's first showing must not hold the loop that also trades.

Textual parses a widget's style sheet when the first of its kind appears, tens of milliseconds for a screen. Here all of
them are parsed while the app starts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from textual.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from textual.app import App

__all__ = ["OURS", "warm_styles"]

OURS = frozenset({"console", "screens", "widgets"})
TEXTUALS = ("Static", "Input", "Toast", "ToastHolder", "ToastRack", "Vertical", "Horizontal", "Tooltip")


async def warm_styles(app: App[Any]) -> None:
    """Parse the style sheets of every widget class of ours that has been imported, and of Textual's that we use.

    One at a time: between two of them the loop is free for the engine.
    """
    sheet = app.stylesheet
    for kind in _kinds(Widget):
        ours = kind.__module__.partition(".")[0] in OURS
        if ours or kind.__name__ in TEXTUALS:
            # The style sheets hang on the class; no instance is made ready to do anything.
            for read_from, css, tie_breaker, scope in kind.__new__(kind)._get_default_css():
                sheet.add_source(css, read_from, is_default_css=True, tie_breaker=tie_breaker, scope=scope)
    for read_from, (css, is_default, tie_breaker, scope) in list(sheet.source.items()):
        sheet._parse_rules(css, read_from, is_default, tie_breaker, scope)
        await asyncio.sleep(0)
    sheet.parse()


def _kinds(kind: type[Widget]) -> Iterator[type[Widget]]:
    for child in kind.__subclasses__():
        yield child
        yield from _kinds(child)

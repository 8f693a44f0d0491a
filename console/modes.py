"""The six screens by name; each is imported when it is first shown."""

from __future__ import annotations

import importlib
import importlib.util
from typing import TYPE_CHECKING, Any

from console.actions import SCREENS

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.screen import Screen

__all__ = ["CLASSES", "modes"]

CLASSES = {name: f"screens.{name}:{name.capitalize()}Screen" for name in SCREENS}
"""Screen -> `module:class`."""


def modes() -> dict[str, str | Callable[[], Screen[Any]]]:
    """What Textual wants as the app's modes."""
    return {name: _maker(name) for name in SCREENS}


def _maker(name: str) -> Callable[[], Screen[Any]]:
    def make() -> Screen[Any]:
        module, _, attribute = CLASSES[name].partition(":")
        if importlib.util.find_spec(module) is None:
            from screens.placeholder import PlaceholderScreen

            return PlaceholderScreen(name)
        screen: Screen[Any] = getattr(importlib.import_module(module), attribute)()
        return screen

    return make

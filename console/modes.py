"""The six screens by name, imported together: importing one takes longer than a loop that trades may be held."""

from __future__ import annotations

import importlib
import importlib.util
from functools import partial
from typing import TYPE_CHECKING, Any

from console.actions import SCREENS
from screens.placeholder import PlaceholderScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.screen import Screen

__all__ = ["modes"]


def modes() -> dict[str, str | Callable[[], Screen[Any]]]:
    """Import the screens; what Textual wants as the app's modes."""
    found: dict[str, str | Callable[[], Screen[Any]]] = {}
    for name in SCREENS:
        if importlib.util.find_spec(f"screens.{name}") is None:
            found[name] = partial(PlaceholderScreen, name)
        else:
            found[name] = getattr(importlib.import_module(f"screens.{name}"), f"{name.capitalize()}Screen")
    return found

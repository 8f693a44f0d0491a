"""How a console can end, and what is to become of the engine then."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from console.launch_line import Why

__all__ = ["ConsoleEnded", "ExitIntent"]


class ExitIntent(Enum):
    """What the person chose on leaving: the result that the app exits with."""

    DETACH = "detach"
    """Close the console, leave the engine running."""
    STOP = "stop"
    """Close the console and stop the engine."""


@dataclass(frozen=True, slots=True)
class ConsoleEnded:
    """The fact that a console has ended; the engine is not affected by it."""

    why: Why
    """`left` by the person, `crashed`, or `lost` with its terminal."""
    detail: str
    """A sentence for the log; empty when there is nothing to add."""
    intent: ExitIntent
    """What is to become of the engine; a crash or a lost terminal never stops it."""

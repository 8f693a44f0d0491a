"""How a person wants the console: plain values, so that neither settings nor engine need be known here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from themes.loader import DEFAULT_THEME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Preferences"]


@dataclass(frozen=True, slots=True)
class Preferences:
    """The console's part of the settings; the defaults are those of a first start."""

    theme: str = DEFAULT_THEME
    """Name of a theme; one that does not exist is reported and the default shown."""
    frames_per_second: float = 5.0
    """How often live figures are redrawn, 1 to 10."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Action id -> keys that replace its default ones."""
    time_zone: str = "UTC"
    """IANA zone of the clock and of shown times."""
    ascii_glyphs: bool = False
    """Draw with plain ASCII signs only."""
    privacy: bool = False
    """Begin with amounts hidden."""
    screen: str = "dashboard"
    """The screen shown first."""
    home: Path | None = None
    """The home folder whose past can be replayed; without one there is no replay."""
    pictures: Path | None = None
    """Folder for screenshots; without one none can be saved."""
    attached: bool = False
    """Whether the engine runs in another process."""
    read_only: bool = False
    """Whether this console may only look; the engine enforces it."""
    greeting: str = ""
    """A sentence shown at the start."""
    timeframe: str = "1m"
    """The chart's timeframe at first."""

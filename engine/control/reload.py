"""Which settings an engine takes over while it runs, and which wait for its next start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.config import changes, shown

if TYPE_CHECKING:
    from engine.config import Settings
    from engine.engine import Engine

__all__ = ["LIVE", "merged", "take_over", "waiting"]

LIVE = ("logging", "risk", "strategies", "console")
"""Groups that can change while the engine runs; consoles take theirs when they are opened."""


def merged(running: Settings, fresh: Settings) -> Settings:
    """The settings that can be in force now: what may change taken from `fresh`, the rest as it runs."""
    return running.model_copy(update={group: getattr(fresh, group) for group in LIVE})


def waiting(running: Settings, fresh: Settings) -> list[str]:
    """What of the fresh settings needs a restart, `key: old -> new` each; secrets are masked."""
    return changes(shown(merged(running, fresh)), shown(fresh))


def take_over(engine: Engine, settings: Settings) -> None:
    """Let the departments use these settings from now on."""
    engine.settings = settings
    engine.risk.limits.take_settings(settings.risk)
    engine.bots.max_running = settings.strategies.max_concurrent_strategies

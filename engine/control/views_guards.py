"""Views of breakers, locks and the recovery procedure."""

from __future__ import annotations

import msgspec

__all__ = ["BreakerRow", "LockRow", "RecoveryStepRow", "StepTimeRow"]


class BreakerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One breaker."""

    name: str
    label: str
    open: bool
    value: str
    threshold: str
    share: float | None
    since: int
    reason: str
    account: str = ""
    """Whose loss it watches; empty for one of the engine, of a venue or of a store."""
    state: str = ""
    """closed, open, half_open (smaller entries on trial), reduced (smaller entries for a time) or held (by hand)."""
    scope: str = ""
    """What it is judged for: an account, an instrument or the engine; empty for a technical one."""
    ends: int = 0
    """UTC nanoseconds at which its period, its pause or its trial ends; 0 where nothing does."""


class LockRow(msgspec.Struct, frozen=True, kw_only=True):
    """Something that bots may not enter, or only in smaller size, until a time."""

    lock: str
    """Its id, by which it is lifted."""
    kind: str
    """cooldown, stop_guard, low_profit, equity, recovery or manual."""
    scope: str
    """What is locked, in words."""
    reduces: bool
    """Whether entries pass smaller instead of not at all, the operator's too."""
    since: int
    until: int
    """UTC nanoseconds."""
    reason: str
    actor: str
    """Who asked for it; empty when a protection placed it."""


class RecoveryStepRow(msgspec.Struct, frozen=True, kw_only=True):
    """A step of the recovery procedure."""

    step: str
    """connectivity, positions, balances, limits or breakers."""
    passed: bool
    problems: tuple[str, ...]


class StepTimeRow(msgspec.Struct, frozen=True, kw_only=True):
    """How long one kind of risk's calculations takes, since the engine began."""

    step: str
    """gate, size, breakers, limits or metrics."""
    count: int
    mean_ms: float
    last_ms: float
    longest_ms: float

"""Rate limits as venues count them: windows with a most, what was used of each, violations and bans."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

__all__ = ["Limits", "Window"]


@dataclass(frozen=True)
class Window:
    """One limit."""

    name: str
    most: float
    interval_ns: int
    rolling: bool = False
    """Tokens flow back all the time instead of all at once at the interval's start."""


@dataclass
class Limits:
    """What each caller (an address, a key, a key and an endpoint) has used of each window.

    Args:
        windows: By name.
        ban_after: That many violations without a pause of `forgive_ns` between them bring a ban.
        ban_ns: How long a ban lasts.
    """

    windows: dict[str, Window]
    ban_after: int = 10
    ban_ns: int = 120_000_000_000
    forgive_ns: int = 60_000_000_000
    violations: Counter[str] = field(default_factory=Counter)
    """How often a window was exceeded, by its name."""
    peaks: dict[str, float] = field(default_factory=dict)
    """The most that any caller has used of a window at once, by its name."""
    banned_until: int = 0
    _used: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)
    _strikes: list[int] = field(default_factory=list)

    def used(self, name: str, caller: str, now: int) -> float:
        """How much of a window a caller has used."""
        window = self.windows[name]
        start, used = self._used.get((name, caller), (0, 0.0))
        if window.rolling:
            return max(0.0, used - (now - start) * window.most / window.interval_ns)
        return used if start == now // window.interval_ns else 0.0

    def take(self, name: str, caller: str, amount: float, now: int) -> bool:
        """Use some of a window; False when that would be too much (counted as a violation, nothing is used then)."""
        window = self.windows[name]
        used = self.used(name, caller, now) + amount
        start = now if window.rolling else now // window.interval_ns
        if used > window.most:
            self.violations[name] += 1
            self._strikes = [s for s in self._strikes if now - s < self.forgive_ns] + [now]
            if len(self._strikes) >= self.ban_after:
                self.banned_until, self._strikes = now + self.ban_ns, []
            return False
        self._used[name, caller] = (start, used)
        self.peaks[name] = max(self.peaks.get(name, 0.0), used)
        return True

    def retry_after_s(self, name: str, now: int) -> int:
        """Whole seconds until a window begins anew."""
        interval = self.windows[name].interval_ns
        return max(1, -(-(interval - now % interval) // 1_000_000_000))

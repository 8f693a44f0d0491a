"""What a watchdog decides: when an engine hangs, whether it is started again, and when to give up.

Plain rules without input or output; times are passed in, in seconds on a scale that never goes back.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field

from engine.control.notify import SILENCE_S

__all__ = ["MOST_RESTARTS", "WINDOW_S", "Policy", "Step", "Verdict"]

MOST_RESTARTS = 5
WINDOW_S = 600.0
FIRST_BEAT_S = 60.0
"""How long an engine that we started may load before it beats; recovery itself does not stop the beat."""
LAST_WORDS_S = 5.0
"""Between the request for a traceback and the end by force."""
ASLEEP_S = 10.0
"""Who was not asked for so long was stopped itself, and may not hold the silence against the engine."""
LONGEST_PAUSE_S = 15.0


class Step(enum.Enum):
    """What to do about an engine that is still there."""

    NOTHING = enum.auto()
    ABORT = enum.auto()
    """Have it say where it hangs: SIGABRT, which leaves a traceback."""
    KILL = enum.auto()


class Verdict(enum.Enum):
    """What to do about an engine that has gone."""

    END = enum.auto()
    """It was told to stop, or never came up: nobody wants another one."""
    RESTART = enum.auto()
    GIVE_UP = enum.auto()


@dataclass
class Policy:
    """Follows one engine after the other in one home folder."""

    silence: float = SILENCE_S
    last_words: float = LAST_WORDS_S
    unit: float = 0.25
    """What the pauses before restarts are measured in, seconds."""
    pid: int = 0
    """The engine that is watched; 0 for none at present."""
    ours: bool = False
    """Whether we started it."""
    trades: bool = False
    """Whether an engine of ours, or one that was there before us, has been ready."""
    hung: bool = False
    """Whether the engine was ended by us because it hung."""
    _heard: bool = False
    _stopping: bool = False
    _last: float = 0.0
    _asked: float = 0.0
    _aborted: float | None = None
    _restarts: deque[float] = field(default_factory=deque)

    def follow(self, pid: int, now: float, *, ours: bool) -> None:
        """Watch this engine from now on."""
        self.pid, self.ours, self.trades = pid, ours, self.trades or not ours
        self._heard, self._stopping, self._aborted, self.hung = False, False, None, False
        self._last = self._asked = now

    def hear(self, words: dict[str, str], now: float) -> None:
        """Take in what the watched engine says."""
        self._heard, self._last = True, now
        self.trades = self.trades or "READY" in words
        self._stopping = self._stopping or "STOPPING" in words

    @property
    def stopping(self) -> bool:
        """Whether the engine was told to stop, so that nobody wants another one."""
        return self._stopping

    def judge(self, now: float) -> Step:
        """Say what to do about the watched engine; asked about every second."""
        slept, self._asked = now - self._asked > ASLEEP_S, now
        if slept:
            self._last = now
        if self._aborted is not None:
            return Step.KILL if now - self._aborted >= self.last_words else Step.NOTHING
        if not self._heard and not self.ours:
            # Somebody who never beats, such as another release, is not known to hang.
            return Step.NOTHING
        if now - self._last < (self.silence if self._heard else FIRST_BEAT_S):
            return Step.NOTHING
        self._aborted, self.hung = now, True
        return Step.ABORT

    def gone(self, now: float) -> Verdict:
        """Say what follows now that the watched engine has gone and nobody has taken its place."""
        self.pid = 0
        if self._stopping or not self.trades:
            return Verdict.END
        while self._restarts and now - self._restarts[0] >= WINDOW_S:
            self._restarts.popleft()
        if len(self._restarts) >= MOST_RESTARTS:
            return Verdict.GIVE_UP
        self._restarts.append(now)
        return Verdict.RESTART

    def pause(self) -> float:
        """Seconds to wait before the restart just decided on; longer each time."""
        return min(self.unit * float(2 ** len(self._restarts)), LONGEST_PAUSE_S)

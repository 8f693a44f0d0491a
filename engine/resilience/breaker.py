"""A technical circuit breaker: calls to something that keeps failing fail at once, until it has had time to recover.

One stands before each venue and each database, so that one failing dependency does not take others down. It holds back
questions that can wait. What protects money is never asked of it: cancels, changes, closing orders and questions about
orders go to the venue whatever the breaker says, and only let it know how they fared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from engine.errors import CircuitOpenError, QuarterdeckError
from engine.logs import get_logger
from engine.model.faults import BreakerState
from engine.resilience.severity import is_transient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.clock import Clock
    from engine.resilience.settings import BreakerSettings

__all__ = ["BreakerStanding", "CircuitBreaker"]

_T = TypeVar("_T")

log = get_logger(__name__)


class BreakerStanding(msgspec.Struct, frozen=True, kw_only=True):
    """How a breaker stands; what a successor process takes over."""

    name: str
    state: BreakerState
    failures: int
    """Failures in a row."""
    successes: int
    """Successes in a row since calls are tried again."""
    since: int
    """UTC nanoseconds of its last change; 0 when there was none."""
    reason: str = ""
    """The failure that opened it."""
    trips: int = 0
    """How often it opened."""


class CircuitBreaker:
    """Closed, open, half-open.

    Args:
        name: What stands behind it, such as `SIM api`.
        settings: Thresholds and times.
        clock: Gives the time.
        error: The type of error that a refused call raises.
        on_change: Hears about each new standing; must return at once.
    """

    def __init__(
        self,
        name: str,
        settings: BreakerSettings,
        clock: Clock,
        error: type[CircuitOpenError] = CircuitOpenError,
        on_change: Callable[[BreakerStanding], None] | None = None,
    ) -> None:
        self.name = name
        self.settings = settings
        self._clock = clock
        self._error = error
        self._on_change = on_change
        self._state = BreakerState.CLOSED
        self._failures = self._successes = self._under_way = 0
        self._since = 0
        self._trips = 0
        self._reason = ""

    @property
    def state(self) -> BreakerState:
        """Where it stands; an open one whose time is over is half-open with the next call."""
        return self._state

    @property
    def standing(self) -> BreakerStanding:
        """How it stands."""
        return BreakerStanding(
            name=self.name,
            state=self._state,
            failures=self._failures,
            successes=self._successes,
            since=self._since,
            reason=self._reason,
            trips=self._trips,
        )

    def take_over(self, standing: BreakerStanding) -> None:
        """Go on where another process's breaker stood."""
        self._state, self._failures, self._successes = standing.state, standing.failures, standing.successes
        self._since, self._reason, self._trips = standing.since, standing.reason, standing.trips

    @property
    def remaining_s(self) -> float:
        """Seconds until calls are tried again; 0 when it is not open."""
        if self._state is not BreakerState.OPEN:
            return 0.0
        return max(0.0, self.settings.recovery_timeout - (self._clock.now() - self._since) / 1e9)

    def admit(self) -> None:
        """Let a call through; whoever makes it tells its outcome.

        Raises:
            CircuitOpenError: Calls are held back; the message says for how long.
        """
        if self._state is BreakerState.OPEN:
            left = self.remaining_s
            if left > 0:
                raise self._refusal(f"it is tried again in {left:.0f} s")
            self._move(BreakerState.HALF_OPEN)
        if self._state is BreakerState.HALF_OPEN and self._under_way >= self.settings.success_threshold:
            raise self._refusal("it is being tried just now")

    async def run(
        self, call: Callable[[], Awaitable[_T]], *, counts: Callable[[BaseException], bool] = is_transient
    ) -> _T:
        """Make a call and count its outcome. A cancelled call proves nothing.

        Args:
            call: Makes the call.
            counts: Tells which errors speak against what stands behind the breaker.

        Raises:
            CircuitOpenError: Calls are held back; nothing was called.
            Exception: What the call raised.
        """
        self.admit()
        self._under_way += 1
        try:
            result = await call()
        except Exception as error:
            self.note(error, counts=counts)
            raise
        finally:
            self._under_way -= 1
        self.succeeded()
        return result

    def note(self, error: BaseException, *, counts: Callable[[BaseException], bool] = is_transient) -> None:
        """Take in what a call raised: a failure, or an answer all the same."""
        if counts(error):
            self.failed(error)
        elif isinstance(error, QuarterdeckError):
            self.succeeded()

    def succeeded(self) -> None:
        """A call was answered."""
        if self._state is BreakerState.CLOSED:
            self._failures = 0
        elif self._state is BreakerState.HALF_OPEN:
            self._successes += 1
            if self._successes >= self.settings.success_threshold:
                self._move(BreakerState.CLOSED)

    def failed(self, error: BaseException) -> None:
        """A call was not answered."""
        self._failures += 1
        opens = self._state is BreakerState.CLOSED and self._failures >= self.settings.failure_threshold
        if opens or self._state is BreakerState.HALF_OPEN:
            self._reason = error.message if isinstance(error, QuarterdeckError) else str(error) or type(error).__name__
            self._trips += 1
            self._move(BreakerState.OPEN)

    def reset(self) -> None:
        """What stands behind it is known to be well again."""
        if self._state is not BreakerState.CLOSED:
            self._move(BreakerState.CLOSED)
        self._failures = 0

    def _refusal(self, when: str) -> CircuitOpenError:
        return self._error(
            f"{self.name} has failed {self._failures} times in a row and is not asked for now; {when}.",
            details={"breaker": self.name, "remaining_s": round(self.remaining_s, 1)},
        )

    def _move(self, state: BreakerState) -> None:
        self._state, self._since, self._successes = state, self._clock.now(), 0
        if state is BreakerState.CLOSED:
            self._failures, self._reason = 0, ""
        log.warning("a breaker changed", breaker=self.name, state=state, problem=self._reason)
        if self._on_change is not None:
            self._on_change(self.standing)

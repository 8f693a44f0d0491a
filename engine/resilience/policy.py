"""When a failed call is made again: one small object, with the clock and chance passed in.

Only transient errors are tried again. An order is never sent anew because of one: what became of it is asked for.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

import tenacity

from engine.errors import ExchangeRateLimitError
from engine.resilience.severity import is_transient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.clock import Clock
    from engine.resilience.settings import RetrySettings

__all__ = ["RetryPolicy", "retry_after"]

_T = TypeVar("_T")


def retry_after(error: BaseException | None) -> float | None:
    """Seconds that the other side asks to wait; None when it does not say."""
    hint = error.details.get("retry_after_ms") if isinstance(error, ExchangeRateLimitError) else None
    return max(0.0, float(hint) / 1e3) if isinstance(hint, int | float) else None


class RetryPolicy:
    """Attempts and the pauses between them.

    Args:
        settings: Attempts and pauses.
        clock: Waits.
        chance: Draws the jitter; a seeded one makes pauses repeatable.
    """

    def __init__(self, settings: RetrySettings, clock: Clock, chance: random.Random | None = None) -> None:
        self.settings = settings
        self._clock = clock
        self._chance = chance or random.Random()

    @property
    def attempts(self) -> int:
        """Calls in all, the first one included."""
        return self.settings.max_attempts

    def full_pause(self, attempt: int) -> float:
        """Seconds after the failure of this attempt (from 1), before jitter."""
        one = self.settings
        # A power this large is beyond every longest pause, and would not fit a float for ever.
        factor = 2.0 ** min(attempt - 1, 40) if one.backoff_strategy == "exponential" else float(attempt)
        return min(one.base_delay * factor, one.max_delay)

    def pause(self, attempt: int, error: BaseException | None = None) -> float:
        """Seconds to wait after the failure of this attempt (from 1).

        With jitter it is drawn evenly between nothing and the full pause, so that many who failed together do not come
        back together. What the other side asks for comes first where the settings say so.
        """
        hint = retry_after(error) if self.settings.respect_retry_after else None
        if hint is not None:
            return hint
        full = self.full_pause(attempt)
        return self._chance.uniform(0.0, full) if self.settings.jitter else full

    async def run(
        self, call: Callable[[], Awaitable[_T]], *, again: Callable[[BaseException], bool] = is_transient
    ) -> _T:
        """Make a call, and again after a transient error.

        Args:
            call: Makes the call; it must be harmless to repeat.
            again: Tells which errors are tried again.

        Raises:
            Exception: What the last attempt raised, or the first error that is not tried again.
        """
        retrying = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            retry=tenacity.retry_if_exception(again),
            wait=self._wait,
            sleep=self._clock.sleep,
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                return await call()
        raise AssertionError("retrying either returns or raises")

    def _wait(self, state: tenacity.RetryCallState) -> float:
        outcome = state.outcome
        return self.pause(state.attempt_number, outcome.exception() if outcome is not None else None)

"""Retry policies: how often, with which pauses, after which errors."""

from __future__ import annotations

import random
from typing import Any

import pytest

from engine.errors import (
    ExchangeConnectionError,
    ExchangeRateLimitError,
    OrderRejectionError,
    UnknownOutcomeError,
    VenueCircuitOpenError,
)
from engine.resilience.policy import RetryPolicy
from engine.resilience.settings import ErrorHandlingSettings, RetrySettings
from engine.resilience.severity import is_transient

FIGURES = ErrorHandlingSettings()


class Watch:
    """A clock whose sleeps are only noted."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> int:
        return 0

    def monotonic(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Highest(random.Random):
    """Always draws the upper end."""

    def uniform(self, a: float, b: float) -> float:
        return b


async def fails(settings: RetrySettings, error: Exception, chance: random.Random | None = None) -> tuple[int, Any]:
    """Let every call fail; returns how many there were, and the pauses."""
    watch, calls = Watch(), 0

    async def call() -> None:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(type(error)):
        await RetryPolicy(settings, watch, chance or Highest()).run(call)
    return calls, watch.slept


async def test_network_errors_are_tried_five_times_with_doubling_pauses() -> None:
    assert await fails(FIGURES.network_errors, ExchangeConnectionError("away")) == (5, [1.0, 2.0, 4.0, 8.0])


async def test_database_errors_are_tried_three_times_from_half_a_second() -> None:
    assert await fails(FIGURES.database_errors, TimeoutError()) == (3, [0.5, 1.0])


async def test_rate_limits_wait_longer_by_the_same_step_unless_the_venue_says_how_long() -> None:
    assert await fails(FIGURES.api_rate_limits, ExchangeRateLimitError("slow down")) == (3, [5.0, 10.0])
    told = ExchangeRateLimitError("slow down", details={"retry_after_ms": 700})
    assert await fails(FIGURES.api_rate_limits, told) == (3, [0.7, 0.7])
    assert (await fails(FIGURES.network_errors, told))[1] == [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize(
    ("settings", "longest"), [(FIGURES.network_errors, 60.0), (FIGURES.database_errors, 10.0)], ids=["net", "db"]
)
def test_a_pause_never_grows_beyond_the_longest(settings: RetrySettings, longest: float) -> None:
    policy = RetryPolicy(settings, Watch())
    assert [policy.full_pause(attempt) for attempt in (8, 50, 5_000)] == [longest] * 3


def test_jitter_draws_from_the_whole_pause() -> None:
    policy = RetryPolicy(FIGURES.network_errors, Watch(), random.Random(1))
    drawn = [policy.pause(4) for _ in range(500)]
    assert 0 <= min(drawn) < 0.2
    assert 7.8 < max(drawn) <= 8
    assert 3.5 < sum(drawn) / 500 < 4.5


@pytest.mark.parametrize(
    "error",
    [OrderRejectionError("no"), UnknownOutcomeError("who knows"), VenueCircuitOpenError("open"), ValueError("bug")],
    ids=lambda error: type(error).__name__,
)
async def test_what_is_not_transient_is_raised_at_once(error: Exception) -> None:
    assert not is_transient(error)
    assert await fails(FIGURES.network_errors, error) == (1, [])


async def test_a_call_that_succeeds_later_gives_its_result() -> None:
    watch = Watch()
    faults: list[Exception] = [ConnectionError(), TimeoutError()]

    async def call() -> int:
        if faults:
            raise faults.pop(0)
        return 7

    assert await RetryPolicy(FIGURES.network_errors, watch, Highest()).run(call) == 7
    assert watch.slept == [1.0, 2.0]

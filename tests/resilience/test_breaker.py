"""The technical breaker: every move between closed, open and half-open."""

from __future__ import annotations

import asyncio

import pytest

from engine.clock import SimulatedClock
from engine.errors import (
    CircuitOpenError,
    ExchangeConnectionError,
    NotFoundError,
    StorageCircuitOpenError,
    VenueCircuitOpenError,
)
from engine.model.faults import BreakerState
from engine.resilience.breaker import BreakerStanding, CircuitBreaker
from engine.resilience.settings import ErrorHandlingSettings

FIGURES = ErrorHandlingSettings()
CLOSED, OPEN, HALF = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Bench:
    """A breaker with the spec's figures, and a dependency that does what it is told."""

    def __init__(self, *, database: bool = False) -> None:
        self.clock = SimulatedClock()
        self.told: list[BreakerStanding] = []
        settings = FIGURES.database_connections if database else FIGURES.api_calls
        error = StorageCircuitOpenError if database else VenueCircuitOpenError
        self.breaker = CircuitBreaker("SIM api", settings, self.clock, error, self.told.append)
        self.calls = 0
        self.well = False

    async def call(self) -> str:
        async def ask() -> str:
            self.calls += 1
            if not self.well:
                raise ExchangeConnectionError("No route to the venue.")
            return "answer"

        return await self.breaker.run(ask)

    async def fail(self, times: int) -> None:
        for _ in range(times):
            with pytest.raises(ExchangeConnectionError):
                await self.call()

    def later(self, seconds: float) -> None:
        self.clock.set(self.clock.now() + int(seconds * 1e9))

    @property
    def moves(self) -> list[BreakerState]:
        return [standing.state for standing in self.told]


@pytest.mark.parametrize(("database", "failures", "seconds", "successes"), [(False, 5, 30, 3), (True, 3, 15, 2)])
async def test_it_opens_waits_and_closes_by_the_figures(
    database: bool, failures: int, seconds: float, successes: int
) -> None:
    on = Bench(database=database)
    await on.fail(failures - 1)
    assert on.breaker.state is CLOSED
    await on.fail(1)
    assert on.breaker.state is OPEN
    on.later(seconds - 0.001)
    with pytest.raises(StorageCircuitOpenError if database else VenueCircuitOpenError, match="SIM api has failed"):
        await on.call()
    assert on.calls == failures
    on.later(0.001)
    on.well = True
    for number in range(successes):
        assert on.breaker.state is (HALF if number else OPEN)
        assert await on.call() == "answer"
    assert on.moves == [OPEN, HALF, CLOSED]
    assert on.told[0].reason == "No route to the venue."


async def test_a_failure_while_half_open_opens_it_again_for_the_whole_time() -> None:
    on = Bench()
    await on.fail(5)
    on.later(30)
    on.well = True
    await on.call()
    on.well = False
    await on.fail(1)
    assert on.moves == [OPEN, HALF, OPEN]
    on.later(29)
    with pytest.raises(CircuitOpenError):
        await on.call()
    assert on.breaker.standing.trips == 2


async def test_only_failures_in_a_row_count_and_only_those_of_the_dependency() -> None:
    on = Bench()
    await on.fail(4)
    on.well = True
    await on.call()
    on.well = False
    await on.fail(4)

    async def refuse() -> None:
        raise NotFoundError("No such instrument.")

    async def broken() -> None:
        raise ValueError("a bug of ours")

    with pytest.raises(NotFoundError):
        await on.breaker.run(refuse)
    await on.fail(4)
    with pytest.raises(ValueError, match="bug"):
        await on.breaker.run(broken)
    assert on.breaker.state is CLOSED
    await on.fail(1)
    assert on.breaker.state is OPEN


async def test_while_half_open_no_more_calls_are_under_way_than_close_it() -> None:
    on = Bench()
    await on.fail(5)
    on.later(30)
    go = asyncio.Event()

    async def slow() -> None:
        await go.wait()

    asked = [asyncio.ensure_future(on.breaker.run(slow)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(CircuitOpenError, match="being tried"):
        await on.breaker.run(slow)
    asked[0].cancel()
    await asyncio.gather(asked[0], return_exceptions=True)
    asked.append(asyncio.ensure_future(on.breaker.run(slow)))
    go.set()
    await asyncio.gather(*asked[1:])
    assert on.breaker.state is CLOSED


async def test_calls_that_pass_by_let_it_know_and_a_reset_closes_it() -> None:
    on = Bench()
    for _ in range(5):
        on.breaker.note(TimeoutError())
    assert on.breaker.state is OPEN
    on.breaker.succeeded()
    assert on.breaker.state is OPEN, "an answer to something else says nothing before the time is over"
    on.breaker.reset()
    assert on.moves == [OPEN, CLOSED]
    await on.fail(4)
    assert on.breaker.state is CLOSED


async def test_a_successor_goes_on_where_the_other_stood() -> None:
    on, next_one = Bench(), Bench()
    await on.fail(5)
    next_one.clock.set(on.clock.now())
    next_one.breaker.take_over(on.breaker.standing)
    next_one.later(10)
    assert next_one.breaker.remaining_s == 20
    with pytest.raises(CircuitOpenError):
        await next_one.call()

"""A simulated clock moves only when told, and sleepers wake in the order of their deadlines."""

from __future__ import annotations

import asyncio

from engine.clock import NS_PER_S, SimulatedClock, SystemClock


async def test_sleepers_wake_in_the_order_of_their_deadlines_at_their_own_time() -> None:
    clock = SimulatedClock(0)
    woken: list[tuple[str, int]] = []

    async def sleeper(name: str, *pauses: float) -> None:
        for pause in pauses:
            await clock.sleep(pause)
            woken.append((name, clock.now()))

    tasks = [asyncio.ensure_future(sleeper("slow", 3)), asyncio.ensure_future(sleeper("fast", 1, 1, 5))]
    await asyncio.sleep(0)
    await clock.advance(4)
    assert woken == [("fast", NS_PER_S), ("fast", 2 * NS_PER_S), ("slow", 3 * NS_PER_S)]
    assert clock.now() == clock.monotonic() == 4 * NS_PER_S
    await clock.advance(3)
    await asyncio.gather(*tasks)
    assert woken[-1] == ("fast", 7 * NS_PER_S)


async def test_a_cancelled_sleeper_is_passed_over() -> None:
    clock = SimulatedClock(0)
    task = asyncio.ensure_future(clock.sleep(1))
    await asyncio.sleep(0)
    task.cancel()
    await clock.advance(2)
    assert task.cancelled()


async def test_a_sleep_of_nothing_only_gives_others_a_turn() -> None:
    clock = SimulatedClock(5)
    await clock.sleep(0)
    assert clock.now() == 5


def test_a_simulated_clock_never_goes_back() -> None:
    clock = SimulatedClock(10)
    clock.set(5)
    assert clock.now() == 10
    clock.set(20)
    assert clock.now() == 20


async def test_the_systems_clock_goes_on_while_sleeping() -> None:
    clock = SystemClock()
    began, shown = clock.monotonic(), clock.now()
    await clock.sleep(0.001)
    assert clock.monotonic() - began >= 1_000_000
    assert clock.now() >= shown > 1_600_000_000 * NS_PER_S

"""The engine observes its own lag and memory."""

from __future__ import annotations

import asyncio

from engine.clock import SimulatedClock
from engine.health import LagMonitor, limit_arenas, resident_bytes


def test_memory_in_use_is_known_on_linux() -> None:
    assert resident_bytes() > 1_000_000


def test_nothing_was_late_before_the_first_measurement() -> None:
    monitor = LagMonitor(SimulatedClock())
    assert (monitor.last_second_ms, monitor.p99_ms, monitor.worst_ms) == (0.0, 0.0, 0.0)


def test_lag_is_told_for_a_second_for_a_minute_and_for_all_time() -> None:
    monitor = LagMonitor(SimulatedClock(), interval_s=0.05)
    monitor.note(500.0)
    for number in range(1200):
        monitor.note(100.0 if number == 0 else 1.0)
    assert monitor.worst_ms == 500.0
    assert monitor.last_second_ms == 1.0
    assert monitor.p99_ms == 1.0


async def test_it_measures_by_how_much_a_sleep_comes_late() -> None:
    clock = SimulatedClock()
    monitor = LagMonitor(clock, interval_s=0.05)
    task = asyncio.ensure_future(monitor.run())
    await asyncio.sleep(0)
    await clock.advance(0.05)
    assert monitor.worst_ms == 0.0
    clock.set(clock.now() + 130_000_000)
    await clock.advance(0)
    assert round(monitor.worst_ms) == 80
    task.cancel()


def test_limiting_the_pools_of_memory_does_no_harm_twice() -> None:
    limit_arenas()
    limit_arenas()
    assert resident_bytes() > 0

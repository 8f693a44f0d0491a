"""The rate coordinator: what asking it adds to a request."""

from __future__ import annotations

import asyncio
import time

from engine.clock import SystemClock
from engine.venues.limits.coordinator import Coordinator
from engine.venues.limits.rules import BINANCE_LIMITS, Limit, Reading
from engine.venues.native.request import Priority
from tests.bench.table import Row, percentile

REQUESTS = 20_000
LINE = 500
READINGS = (
    Reading(header="x-mbx-used-weight-1m", limit="weight_per_minute"),
    Reading(header="x-mbx-order-count-10s", limit="orders_per_10_seconds"),
)


def run() -> list[Row]:
    """Measure everything of this module."""
    alone = asyncio.run(_alone())
    crowded = asyncio.run(_crowded())
    typical, worst = percentile(alone, 50), percentile(alone, 99)
    return [
        Row("limiter, per request (ask, end, read the headers)", f"p50 {typical:.1f} µs", "≤ 50 µs", typical <= 50),
        Row(
            "  the slowest of a hundred, the machine's other work included",
            f"p99 {worst:.1f} µs",
            "≤ 50 µs",
            worst <= 50,
        ),
        Row(f"  with {LINE} others in the line", f"{crowded:.1f} µs"),
    ]


def _wide() -> tuple[Limit, ...]:
    """Binance's limits, so high that nothing waits."""
    return tuple(
        Limit(name=limit.name, unit=limit.unit, capacity=1e9, per_s=limit.per_s, scope=limit.scope)
        for limit in BINANCE_LIMITS
    )


async def _alone() -> list[float]:
    lane = Coordinator(SystemClock()).lane("example.org", "binance", _wide())
    cost, scope = {"weight": 1.0, "orders": 1.0}, {"account": "main"}
    headers = {"x-mbx-used-weight-1m": "17", "x-mbx-order-count-10s": "3"}
    times = []
    for _ in range(REQUESTS):
        began = time.perf_counter_ns()
        taken = await lane.acquire(cost, priority=Priority.ORDER, scope=scope)
        lane.heard(headers, READINGS, scope)
        taken.done()
        times.append((time.perf_counter_ns() - began) / 1e3)
    return times


async def _crowded() -> float:
    """Microseconds a request when many ask at once and go as others end."""
    limits = (*_wide(), Limit(name="at_once", unit="slot", capacity=100))
    lane = Coordinator(SystemClock()).lane("example.org", "binance", limits)
    cost, scope = {"weight": 1.0, "slot": 1.0}, {"account": "main"}

    async def request() -> None:
        with await lane.acquire(cost, priority=Priority.ORDER, scope=scope):
            await asyncio.sleep(0)

    began = time.perf_counter()
    await asyncio.gather(*(request() for _ in range(LINE)))
    return (time.perf_counter() - began) / LINE * 1e6

"""The way between engine and venue: latency with seeded jitter, order kept, and faults on the way."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import TYPE_CHECKING

from engine.venues.paper.faults import Faults

if TYPE_CHECKING:
    from engine.clock import Clock
    from engine.model.venue import EventSink
    from engine.venues.paper.orders import Report
    from engine.venues.paper.settings import LatencySettings

__all__ = ["Road"]


class Road:
    """Carries requests there and reports back, each in the order in which they left.

    Args:
        clock: Time in which things are under way.
        settings: Mean times and jitter.
    """

    def __init__(self, clock: Clock, settings: LatencySettings) -> None:
        self.faults = Faults()
        self._clock = clock
        self._settings = settings
        self._chance = random.Random(settings.seed)
        self._gate = asyncio.Lock()
        self._reports: deque[tuple[int, Report]] = deque()
        """Stored reports under way, with the time at which each arrives; bounded by what happens in that time."""
        self._sent = asyncio.Event()

    async def there(self, extra_s: float = 0.0) -> None:
        """Return when a request that leaves now arrives at the venue."""
        due = self._clock.now() + self._time(self._settings.request_ms) + int(extra_s * 1e9)
        # The lock is fair: who left first is first through, whatever the jitter.
        async with self._gate:
            await self._until(due)

    async def back(self) -> None:
        """Return when a reply that leaves now arrives at the engine."""
        await self._until(self._clock.now() + self._time(self._settings.report_ms))

    def send(self, reports: list[Report]) -> None:
        """Put reports on their way to the engine."""
        if not reports:
            return
        due = self._clock.now() + self._time(self._settings.report_ms)
        if self._reports:
            due = max(due, self._reports[-1][0])
        self._reports.extend((due, report) for report in reports)
        self._sent.set()

    async def deliver(self, sink: EventSink) -> None:
        """Hand reports over as they arrive, until cancelled."""
        while True:
            await self._sent.wait()
            self._sent.clear()
            while self._reports:
                await self._until(self._reports[0][0])
                _, (account, event) = self._reports.popleft()
                if not self.faults.loses_report():
                    sink(account, event)

    async def _until(self, due: int) -> None:
        wait = due - self._clock.now()
        if wait > 0:
            await self._clock.sleep(wait / 1e9)

    def _time(self, mean_ms: float) -> int:
        """One way's time in nanoseconds."""
        return int((mean_ms + self._chance.random() * self._settings.jitter_ms) * 1e6)

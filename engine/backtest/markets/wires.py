"""The way between engine and venues in a simulated run: at once, or with a latency of its own for each venue."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from engine.execution.effects import CancelEffect, PlaceEffect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.clock import SimulatedClock
    from engine.events import VenueEvent
    from engine.execution.desk import Desk
    from engine.execution.effects import Effect
    from engine.model.ids import AccountId, VenueId
    from engine.venues.paper.exchange import PaperExchange
    from engine.venues.paper.orders import Report

__all__ = ["Delay", "Wires"]

_NEVER = 1 << 62


class Delay:
    """How long something is under way, in nanoseconds."""

    __slots__ = ("report", "request")

    def __init__(self, request: int = 0, report: int = 0) -> None:
        self.request = request
        self.report = report


class Wires:
    """An outbox that reaches the exchanges, and brings their reports back.

    Args:
        exchanges: By venue.
        venue_of: Venue of each account.
        clock: Simulated time.
        delays: By venue; none for at once.
    """

    def __init__(
        self,
        exchanges: Mapping[VenueId, PaperExchange],
        venue_of: Mapping[AccountId, VenueId],
        clock: SimulatedClock,
        delays: Mapping[VenueId, Delay],
    ) -> None:
        self._exchanges = exchanges
        self._venue_of = venue_of
        self._clock = clock
        self._delays = delays
        self._queue: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0
        self.next_due = _NEVER
        """When the next thing that is under way arrives."""
        self.desk: Desk
        self.orders = 0

    def put(self, effect: Effect) -> None:
        """Send what the engine wants."""
        account = effect.command.account if isinstance(effect, PlaceEffect) else effect.account
        venue = self._venue_of[account]
        delay, now = self._delays.get(venue), self._clock.now()
        if isinstance(effect, PlaceEffect):
            self.orders += 1
            self.desk.submitted(effect.command.client_id)
        if delay is None:
            for owner, event in self._arrive(venue, effect, now):
                self.desk.on_event(owner, event)
        else:
            self._later(now + delay.request, lambda ts: self.report(venue, self._arrive(venue, effect, ts), ts))

    def report(self, venue: VenueId, reports: Sequence[Report], now: int) -> None:
        """Bring what an exchange has told to the desk, at once or after its time."""
        delay = self._delays.get(venue)
        for account, event in reports:
            if delay is None or not delay.report:
                self.desk.on_event(account, event)
            else:
                self._later(now + delay.report, self._telling(account, event))

    def advance(self, until: int) -> None:
        """Let everything arrive that is due at or before a time."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            due, _, arrive = heapq.heappop(queue)
            self._clock.set(max(due, self._clock.now()))
            arrive(due)
        self.next_due = queue[0][0] if queue else _NEVER

    def drain(self) -> int:
        """Let everything arrive that is still under way; gives when the last of it did."""
        last = self._clock.now()
        while self._queue:
            last = max(last, self._queue[0][0])
            self.advance(last)
        return last

    def _telling(self, account: AccountId, event: VenueEvent) -> Callable[[int], None]:
        return lambda _: self.desk.on_event(account, event)

    def _later(self, due: int, arrive: Callable[[int], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (due, self._count, arrive))
        self.next_due = self._queue[0][0]

    def _arrive(self, venue: VenueId, effect: Effect, now: int) -> Sequence[Report]:
        exchange = self._exchanges[venue]
        if isinstance(effect, PlaceEffect):
            return exchange.place(effect.command, now)
        if isinstance(effect, CancelEffect):
            return exchange.cancel(effect.account, effect.client_id, now)
        return exchange.amend(
            effect.account,
            effect.client_id,
            now,
            quantity=effect.quantity,
            price=effect.price,
            stop_price=effect.stop_price,
        )

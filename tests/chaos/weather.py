"""Bad weather between engine and venue: requests and replies that are late, lost or refused, and lost reports."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from engine.errors import ExchangeConnectionError, ExchangeError, UnknownOutcomeError

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable, Sequence

    from engine.events import VenueEvent
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, ClientOrderId
    from engine.model.venue import EventSink, MarketSink, OrderCommand, Venue, VenueOrder, VenueStatus
    from tests.chaos.records import Counts, Notes

__all__ = ["Weather"]

_T = TypeVar("_T")

REFUSED = 0.05
LATE_S, SOON_S = 0.25, 0.02
REPORTS_LOST, REPORTS_LATE = 0.08, 0.15


class Weather:
    """A venue (`engine.model.venue.Venue`) behind a bad line.

    An order that is sent a second time becomes a second order, as at a venue that does not know client order ids.

    Args:
        venue: The venue itself.
        chance: Decides what goes wrong.
        trouble: Share of replies that come late or not at all.
        sent: Notes every order before it leaves.
        counts: Counts replies.
    """

    def __init__(self, venue: Venue, chance: random.Random, trouble: float, sent: Notes, counts: Counts) -> None:
        self.venue = venue
        self.id = venue.id
        self._chance = chance
        self._trouble = trouble
        self._sent = sent
        self._counts = counts
        self._placed: set[str] = set()
        self._reports: deque[tuple[AccountId, VenueEvent]] = deque()
        self._late: asyncio.Task[None] | None = None
        self.trading = False
        """A start that cannot ask for executions ends with a sentence and is repeated; that is not what is tested."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.venue, name)

    @property
    def status(self) -> VenueStatus:
        return self.venue.status

    # --- reports -----------------------------------------------------------------------------------------------------

    async def start(self, events: EventSink, market: MarketSink) -> None:
        def hear(account: AccountId, event: VenueEvent) -> None:
            if self._chance.random() < REPORTS_LOST * self._strength:
                return
            if self._reports or self._chance.random() < REPORTS_LATE * self._strength:
                # The ones behind it wait, too: a stream keeps its order.
                self._reports.append((account, event))
                if self._late is None or self._late.done():
                    self._late = asyncio.get_running_loop().create_task(self._deliver(events), name="late reports")
                return
            events(account, event)

        await self.venue.start(hear, market)

    @property
    def _strength(self) -> float:
        return 1.0 if self._trouble else 0.0

    async def _deliver(self, events: EventSink) -> None:
        while self._reports:
            await asyncio.sleep(self._chance.uniform(0, SOON_S))
            events(*self._reports.popleft())

    async def close(self) -> None:
        await self.venue.close()

    # --- requests ----------------------------------------------------------------------------------------------------

    async def _through(self, call: Callable[[], Awaitable[_T]], *, changes: bool = False) -> _T:
        self._counts.add("replies")
        chance, fate = self._chance, self._chance.random()
        lost: ExchangeError = UnknownOutcomeError("no answer") if changes else ExchangeError("no answer")
        if self._strength and chance.random() < REFUSED:
            raise ExchangeConnectionError("The connection was refused.")
        if fate >= self._trouble:
            return await call()
        self._counts.add("troubled")
        share = fate / self._trouble
        if share < 0.2:
            raise lost
        if share < 0.5:
            with contextlib.suppress(ExchangeError):
                await call()
            raise lost
        if share < 0.75:
            await asyncio.sleep(chance.uniform(0, LATE_S))
            return await call()
        answer = await call()
        await asyncio.sleep(chance.uniform(0, LATE_S))
        return answer

    async def place(self, command: OrderCommand) -> None:
        self._sent.write(command.client_id)
        if command.client_id in self._placed:
            command = msgspec.structs.replace(command, client_id=command.client_id + "x")
        self._placed.add(command.client_id)
        await self._through(lambda: self.venue.place(command), changes=True)

    async def cancel(self, account: AccountId, client_id: ClientOrderId) -> None:
        await self._through(lambda: self.venue.cancel(account, client_id), changes=True)

    async def amend(self, account: AccountId, client_id: ClientOrderId, **more: Any) -> None:
        await self._through(lambda: self.venue.amend(account, client_id, **more), changes=True)

    async def order(self, account: AccountId, client_id: ClientOrderId) -> VenueOrder | None:
        return await self._through(lambda: self.venue.order(account, client_id))

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        if not self.trading:
            return await self.venue.fills_since(account, cursor)
        return await self._through(lambda: self.venue.fills_since(account, cursor))

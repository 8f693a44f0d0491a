"""A paper venue over any market, in simulated time, as the contract suite wants it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from engine.clock import SimulatedClock
from engine.model.ids import AccountId
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import LatencySettings, PaperSettings
from engine.venues.paper.store import PaperStore
from engine.venues.paper.venue import PAPER_ACCOUNT, PaperVenue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from decimal import Decimal
    from pathlib import Path

    from engine.events import VenueEvent
    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.venues.markets.contract import Market

T = TypeVar("T")

TURNS = 20_000
TWO = (PAPER_ACCOUNT, AccountId("second"))
"""Accounts of a venue that has two."""


class PaperHarness:
    """Starts a paper venue and lets simulated time go on while something is awaited."""

    def __init__(
        self,
        make_market: Callable[[int], Market],
        path: Path,
        instrument: InstrumentId,
        size: Decimal,
        *,
        start: int = 1_700_000_000_000_000_000,
        settings: PaperSettings | None = None,
        kind: FillKind = FillKind.BOOK,
        step_s: float = 0.005,
        accounts: tuple[AccountId, ...] = (PAPER_ACCOUNT,),
    ) -> None:
        self.clock = SimulatedClock(start)
        self.accounts = accounts
        self.account = accounts[0]
        self.second = accounts[1] if len(accounts) > 1 else None
        self.size = size
        self.perpetual: Instrument | None = None
        """What the suite trades as a derivative, if the market has one."""
        self.perpetual_size = size
        self.events: list[tuple[AccountId, VenueEvent]] = []
        self.market: list[MarketEvent] = []
        self.settings = settings or PaperSettings(latency=LatencySettings(request_ms=3, report_ms=2, jitter_ms=1))
        self.path = path
        self.kind = kind
        self.step_s = step_s
        self._make_market = make_market
        self.venue = self._make()
        self.instrument = next(i for i in self.paper_market.instruments() if i.id == instrument)

    def _make(self) -> PaperVenue:
        self.paper_market = self._make_market(self.clock.now())
        return self._paper()

    def _paper(self) -> PaperVenue:
        store = PaperStore(self.path)
        return PaperVenue(self.paper_market, store, self.clock, self.settings, kind=self.kind, accounts=self.accounts)

    async def start(self) -> PaperHarness:
        """Start the venue and wait until its market has a book."""
        await self.call(self.venue.start(self._hear, self.market.append))
        await self.until(lambda: self.paper_market.live(self.instrument.id))
        return self

    def _hear(self, account: AccountId, event: VenueEvent) -> None:
        self.events.append((account, event))

    async def call(self, request: Awaitable[T]) -> T:
        """Await a request while time goes on."""
        task = asyncio.ensure_future(request)
        await self.until(task.done)
        return await task

    async def until(self, true: Callable[[], object]) -> None:
        """Let time go on until a condition holds."""
        for _ in range(TURNS):
            if true():
                return
            await self.clock.advance(self.step_s)
            # Commits are made by a thread in real time.
            await asyncio.sleep(0.0005)
        raise AssertionError("waited in vain")

    async def restart(self) -> None:
        """Close the venue and open another over the same file."""
        await self.call(self.venue.close())
        self.venue = self._make()
        await self.start()

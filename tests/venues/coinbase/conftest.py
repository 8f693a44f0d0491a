"""Coinbase's adapter over the simulated exchange, on loopback TLS and in simulated time."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, cast

import pytest

from engine.clock import SimulatedClock
from engine.model.market import BookMoved
from engine.venues.coinbase import venue as module
from engine.venues.coinbase.venue import CoinbaseVenue
from engine.venues.limits.coordinator import Coordinator
from engine.venues.native.options import VenueOptions
from tests.wire.accounts import StaticCredentials
from tests.wire.certificates import make_authority
from tests.wire.coinbase import simulator as sim
from tests.wire.harness import START, WireHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.model.ids import AccountId
    from engine.model.market import MarketEvent
    from tests.wire.certificates import TestAuthority
    from tests.wire.coinbase.simulator import Coinbase


class CoinbaseHarness(WireHarness):
    """Gives tests the adapter and the exchange as what they are, and books as updates."""

    venue: CoinbaseVenue
    simulator: Coinbase

    async def start(self) -> CoinbaseHarness:
        """Start the adapter."""
        self.venue = cast("CoinbaseVenue", self._make())
        await self.call(self.venue.start(self._hear, self._see))
        listed = await self.call(self.venue.instruments())
        self.instrument = next(i for i in listed if i.id == self._wanted)
        return self

    def _see(self, event: MarketEvent) -> None:
        self.market.append(event.changes() if isinstance(event, BookMoved) else event)


@pytest.fixture(autouse=True)
def plain_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiling takes longer than any test here."""

    async def prepare() -> bool:
        await asyncio.sleep(0)
        return False

    monkeypatch.setattr(module, "prepare", prepare)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return make_authority(tmp_path_factory.mktemp("ca"))


def build(
    server: Coinbase,
    clock: SimulatedClock,
    authority: TestAuthority,
    *,
    accounts: tuple[AccountId, ...] = (sim.MAIN,),
    timeout_s: float = 5.0,
) -> CoinbaseVenue:
    """An adapter over a started simulator."""
    keys = StaticCredentials()
    for account in (sim.MAIN, sim.SECOND):
        keys.add(sim.VENUE, account, server.exchange.keys.of(account).credentials)
    options = VenueOptions(
        id=sim.VENUE,
        accounts=accounts,
        testnet=False,
        addresses=server.addresses,
        ca_file=authority.ca_file,
        timeout_s=timeout_s,
    )
    return CoinbaseVenue(options, keys, clock, coordinator=Coordinator(clock))


@pytest.fixture
async def harness(authority: TestAuthority) -> AsyncIterator[CoinbaseHarness]:
    clock = SimulatedClock(START)
    server = sim.make(clock, rate=10.0)
    await server.start(authority)
    instrument = sim.INSTRUMENTS[0][0].id
    h = CoinbaseHarness(server, lambda: build(server, clock, authority), clock, sim.MAIN, instrument, Decimal("0.005"))
    await h.start()
    yield h
    await h.close()

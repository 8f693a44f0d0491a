"""OKX's adapter over the simulated exchange, on loopback TLS and in simulated time."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from engine.clock import SimulatedClock
from engine.venues.limits.coordinator import Coordinator
from engine.venues.native.options import VenueOptions
from engine.venues.okx import venue as module
from engine.venues.okx.venue import OkxVenue
from engine.venues.paper.settings import FeeCurrency
from tests.wire.accounts import StaticCredentials
from tests.wire.certificates import make_authority
from tests.wire.harness import SECOND, START, WireHarness, open_second
from tests.wire.okx import simulator
from tests.wire.okx.simulator import MAIN, OkxSimulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.model.ids import AccountId
    from engine.model.instrument import Instrument
    from tests.wire.certificates import TestAuthority


class OkxHarness(WireHarness):
    """Gives tests the adapter and the exchange as what they are."""

    venue: OkxVenue
    simulator: OkxSimulator
    perpetual: Instrument
    perpetual_size: Decimal


@pytest.fixture(autouse=True)
def plain_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the compiling of books to the tests of books."""

    async def prepare() -> bool:
        return False

    monkeypatch.setattr(module, "prepare", prepare)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> TestAuthority:
    return make_authority(tmp_path_factory.mktemp("ca"))


def build(
    server: OkxSimulator,
    clock: SimulatedClock,
    authority: TestAuthority,
    *,
    demo: bool = False,
    accounts: tuple[AccountId, ...] = (MAIN,),
) -> OkxVenue:
    """An adapter over a started simulator."""
    keys = StaticCredentials()
    for account in accounts:
        keys.add(simulator.VENUE, account, server.exchange.keys.of(account).credentials)
    options = VenueOptions(
        id=simulator.VENUE,
        accounts=accounts,
        testnet=demo,
        addresses=server.addresses,
        ca_file=authority.ca_file,
        timeout_s=5.0,
    )
    return OkxVenue(options, keys, clock, coordinator=Coordinator(clock), chance=random.Random(5))


@asynccontextmanager
async def wired(
    authority: TestAuthority, *, start: int = START, demo: bool = False, hedged: bool = False, two: bool = False
) -> AsyncIterator[OkxHarness]:
    """A started adapter over a started simulator.

    Args:
        authority: Certificates of the server.
        start: When, in UTC nanoseconds.
        demo: Whether both mean demo trading.
        hedged: Whether the account is in long/short mode.
        two: Trade a second account beside the first.
    """
    clock = SimulatedClock(start)
    # Fees in quote: the suites sell what they have bought to the last unit.
    server = simulator.make(clock, rate=10.0, fees=FeeCurrency.QUOTE, hedged=hedged)
    server.demo = demo
    await server.start(authority)
    instrument, swap = simulator.INSTRUMENTS[0][0].id, simulator.INSTRUMENTS[3][0].id
    accounts = (MAIN, open_second(server)) if two else (MAIN,)
    make = partial(build, server, clock, authority, demo=demo, accounts=accounts)
    h = OkxHarness(server, make, clock, MAIN, instrument, Decimal("0.005"))
    h.second = SECOND if two else None
    await h.start()
    h.perpetual = h.venue.catalogue.get(swap)
    h.perpetual_size = Decimal(5)
    yield h
    await h.close()


@pytest.fixture
async def harness(authority: TestAuthority) -> AsyncIterator[OkxHarness]:
    async with wired(authority) as h:
        yield h

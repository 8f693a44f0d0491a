"""ccxt's classes behind the generic adapter, over the simulated exchanges, every request counted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.clock import SimulatedClock
from engine.model.ids import InstrumentId
from engine.venues.generic import GenericVenue
from engine.venues.limits.coordinator import Coordinator
from engine.venues.native.options import VenueOptions
from tests.wire.accounts import StaticCredentials
from tests.wire.harness import MAIN, SECOND, START, WireHarness, open_second
from tests.wire.venues import make_simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


SYMBOLS = {"binance": "BTC/USDT", "okx": "BTC/USDT", "coinbase": "BTC/USD"}


class GenericHarness(WireHarness):
    """Gives tests the adapter as what it is, and what its requests passed."""

    venue: GenericVenue
    coordinators: list[Coordinator]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What ccxt's own code warns of is not ours."""
    for item in items:
        if "venues/generic" in item.path.as_posix():
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@asynccontextmanager
async def generic(
    kind: str,
    *,
    two: bool = False,
    timeout_s: float = 30.0,
) -> AsyncIterator[GenericHarness]:
    """A started adapter over a simulator; at the end every request is held against the coordinator's count."""
    clock = SimulatedClock(START)
    server = make_simulator(kind, clock, rate=20.0)
    accounts = (MAIN, open_second(server)) if two else (MAIN,)
    await server.start()
    venue, keys = server.exchange.venue, StaticCredentials()
    for account in accounts:
        keys.add(venue, account, server.exchange.keys.of(account).credentials)
    options = VenueOptions(
        id=venue,
        accounts=accounts,
        addresses={"rest": server.rest, "ws": server.ws},
        timeout_s=timeout_s,
        testnet=False,
        exchange=kind,
    )
    coordinators: list[Coordinator] = []

    def make() -> GenericVenue:
        coordinators.append(Coordinator(clock))
        return GenericVenue(options, keys, clock, coordinator=coordinators[-1])

    instrument = InstrumentId(f"{venue}:{SYMBOLS[kind]}")
    h = GenericHarness(server, make, clock, accounts[0], instrument, Decimal("0.01"))
    h.coordinators = coordinators
    h.second = SECOND if two else None
    try:
        await h.start()
        yield h
        # One that is on its way is counted here before it is counted there.
        await h.until(lambda: sum(lane.requests for c in coordinators for lane in c.lanes) == len(server.requests))
    finally:
        await h.close()
        for coordinator in coordinators:
            coordinator.close()

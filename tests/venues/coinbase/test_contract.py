"""Coinbase's adapter passes the suite of all venues over the simulated exchange."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest

from engine.clock import SimulatedClock
from tests.kit.venue_contract import VenueContract
from tests.venues.coinbase.conftest import CoinbaseHarness, build
from tests.wire.coinbase import simulator as sim
from tests.wire.harness import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wire.certificates import TestAuthority


class TestCoinbaseOverTheWire(VenueContract):
    """Two accounts side by side."""

    @pytest.fixture
    async def harness(self, authority: TestAuthority) -> AsyncIterator[CoinbaseHarness]:
        clock = SimulatedClock(START)
        server = sim.make(clock, rate=10.0)
        await server.start(authority)
        make = partial(build, server, clock, authority, accounts=(sim.MAIN, sim.SECOND))
        h = CoinbaseHarness(server, make, clock, sim.MAIN, sim.INSTRUMENTS[0][0].id, Decimal("0.005"))
        h.second = sim.SECOND
        await h.start()
        yield h
        await h.close()

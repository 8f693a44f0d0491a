"""A venue in another process passes the suite of all venues."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.model.ids import InstrumentId
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from tests.kit.venue_contract import VenueContract
from tests.venues.remote.harness import RemoteHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class TestOverASocket(VenueContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[RemoteHarness]:
        def make(now: int) -> SimulatedMarket:
            return SimulatedMarket(SimulatedSettings(seed=7), now)

        h = RemoteHarness(make, tmp_path / "paper.db", InstrumentId("SIM:BTC/USDT"), Decimal("0.005"))
        await h.start()
        yield h
        await h.close()

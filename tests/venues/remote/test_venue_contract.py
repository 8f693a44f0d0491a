"""A venue in another process passes the suite of all venues."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.model.ids import InstrumentId
from engine.venues.markets.perpetuals import PerpetualMarket
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from tests.kit.venue_contract import VenueContract
from tests.venues.paper.harness import TWO
from tests.venues.remote.harness import RemoteHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class TestOverASocket(VenueContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[RemoteHarness]:
        def make(now: int) -> PerpetualMarket:
            return PerpetualMarket(SimulatedMarket(SimulatedSettings(seed=7), now), seed=7)

        h = RemoteHarness(make, tmp_path / "paper.db", InstrumentId("SIM:BTC/USDT"), Decimal("0.005"), accounts=TWO)
        h.perpetual = next(i for i in h.paper_market.instruments() if i.id == InstrumentId("SIM:BTC/USDT:USDT"))
        h.perpetual_size = Decimal(5)
        await h.start()
        yield h
        await h.close()

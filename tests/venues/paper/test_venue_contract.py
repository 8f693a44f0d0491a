"""The paper venue passes the suite of all venues, over the simulated market and over a recorded one."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.model.ids import InstrumentId
from engine.venues.markets.perpetuals import PerpetualMarket
from engine.venues.markets.replay import ReplayMarket
from engine.venues.markets.sim_profile import SimulatedSettings
from engine.venues.markets.simulated import SimulatedMarket
from tests.kit.venue_contract import VenueContract
from tests.venues.paper.harness import TWO, PaperHarness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

BTC = InstrumentId("SIM:BTC/USDT")


class TestOverTheSimulatedMarket(VenueContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[PaperHarness]:
        def make(now: int) -> SimulatedMarket:
            return SimulatedMarket(SimulatedSettings(seed=7), now)

        h = PaperHarness(make, tmp_path / "paper.db", BTC, Decimal("0.005"), accounts=TWO)
        await h.start()
        yield h
        await h.venue.close()


class TestWithPerpetuals(VenueContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path) -> AsyncIterator[PaperHarness]:
        def make(now: int) -> PerpetualMarket:
            return PerpetualMarket(SimulatedMarket(SimulatedSettings(seed=7), now), seed=7)

        h = PaperHarness(make, tmp_path / "paper.db", BTC, Decimal("0.005"), accounts=TWO)
        h.perpetual = next(i for i in h.paper_market.instruments() if i.id == InstrumentId("SIM:BTC/USDT:USDT"))
        h.perpetual_size = Decimal(5)
        await h.start()
        yield h
        await h.venue.close()


class TestOverARecordedCapture(VenueContract):
    @pytest.fixture
    async def harness(self, tmp_path: Path, shared_data: Path) -> AsyncIterator[PaperHarness]:
        from engine.venues.markets.capture import CaptureRecording

        path = shared_data / "captures" / "binance" / "spot_btcusdt_20240808.jsonl.gz"
        recording = CaptureRecording(path, "SIM")

        def make(now: int) -> ReplayMarket:
            return ReplayMarket(recording, begin=now)

        h = PaperHarness(make, tmp_path / "paper.db", BTC, Decimal("0.005"), accounts=TWO)
        await h.start()
        yield h
        await h.venue.close()

"""Binance spot's adapter over its simulator passes the suite of every venue."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.kit.venue_contract import VenueContract
from tests.wire.harness import adapter_harness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wire.harness import WireHarness


@pytest.fixture
async def harness() -> AsyncIterator[WireHarness]:
    h = await adapter_harness("binance", "BTC/USDT", Decimal("0.01"), two=True)
    yield h
    await h.close()


class TestBinanceSpot(VenueContract):
    pass

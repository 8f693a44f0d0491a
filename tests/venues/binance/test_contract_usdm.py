"""Binance USD-M's adapter over its simulator passes the suite of every venue."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.model.margin import MarginMode
from tests.kit.venue_contract import VenueContract
from tests.wire.harness import SECOND, adapter_harness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wire.harness import WireHarness


@pytest.fixture
async def harness() -> AsyncIterator[WireHarness]:
    h = await adapter_harness("binanceusdm", "BTC/USDT:USDT", Decimal("0.01"), two=True)
    h.perpetual, h.perpetual_size = h.instrument, h.size  # type: ignore[attr-defined]
    # Unlevered, so that an order locks what it is worth.
    for account in (h.account, SECOND):
        await h.call(h.venue.set_margin(account, h.instrument.id, Decimal(1), MarginMode.CROSS))
    yield h
    await h.close()


class TestBinanceUsdm(VenueContract):
    pass

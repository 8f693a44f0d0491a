"""OKX's adapter passes the suite of all venues over the simulated exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.events import OrderRejected
from engine.model.order import OrderSide
from tests.kit.venue_contract import VenueContract
from tests.venues.okx.conftest import wired

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.venue_contract import VenueHarness
    from tests.venues.okx.conftest import OkxHarness
    from tests.wire.certificates import TestAuthority


class TestOkxSpotOverTheWire(VenueContract):
    """Two accounts side by side."""

    @pytest.fixture
    async def harness(self, authority: TestAuthority) -> AsyncIterator[OkxHarness]:
        async with wired(authority, two=True) as h:
            yield h

    async def test_a_reduce_only_order_needs_a_position(self, harness: VenueHarness) -> None:
        """Spot has no such flag and no shorts: what is not held cannot be sold."""
        h = harness
        refused = self.order(h, OrderSide.SELL, reduce_only=True)
        await self.send(h, refused)
        assert isinstance(self.heard(h, refused.client_id)[-1], OrderRejected)
        await self.buy(h)
        command = self.order(h, OrderSide.SELL, reduce_only=True)
        await self.send(h, command)
        await h.until(lambda: sum(f.quantity for f in self.fills(h, command.client_id)) == h.size)
        assert h.instrument.base not in {c for c, (total, _) in (await self.money(h)).items() if total}

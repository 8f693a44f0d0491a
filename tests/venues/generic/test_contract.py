"""The contract suite over ccxt's classes, against the simulated exchanges; every request is counted on both sides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from engine.model.candle import Candle
from engine.model.fill import Fill
from engine.model.instrument import Instrument, InstrumentKind
from engine.model.market import MarketTrade, Ticker
from engine.model.order import OrderSide
from engine.model.venue import VenueBalance, VenueOrder
from engine.venues.generic.able import peculiar
from tests.kit.venue_contract import VenueContract
from tests.venues.generic.conftest import generic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.kit.venue_contract import VenueHarness
    from tests.venues.generic.conftest import GenericHarness


def floats(value: Any, path: str = "") -> list[str]:
    """Where floats are in what an adapter delivered; candles are computed with and hold them by design."""
    if isinstance(value, float):
        return [path]
    if isinstance(value, msgspec.Struct) and not isinstance(value, Candle):
        return [found for name in value.__struct_fields__ for found in floats(getattr(value, name), f"{path}.{name}")]
    if isinstance(value, list | tuple):
        return [found for one in value for found in floats(one, path)]
    return []


def wired(harness: VenueHarness) -> GenericHarness:
    """The harness as what it is."""
    return cast("GenericHarness", harness)


class GenericContract(VenueContract):
    """All of it, and what only ccxt could get wrong."""

    async def test_no_float_reaches_the_model(self, harness: VenueHarness) -> None:
        h = harness
        await h.call(h.venue.watch([h.instrument.id]))
        await self.rest(h)
        await self.buy(h)
        await h.until(lambda: any(isinstance(event, MarketTrade) for event in h.market))
        fills, _ = await h.call(h.venue.fills_since(h.account, ""))
        delivered: list[Any] = [
            *h.events,
            *h.market,
            *fills,
            *await h.call(h.venue.instruments()),
            *await h.call(h.venue.balances(h.account)),
            *await h.call(h.venue.open_orders(h.account)),
            *await h.call(h.venue.trades(h.instrument.id)),
            *await h.call(h.venue.tickers([h.instrument.id])),
            await h.call(h.venue.book(h.instrument.id, 20)),
        ]
        assert {type(one) for one in delivered} >= {Fill, Instrument, VenueBalance, VenueOrder, MarketTrade, Ticker}
        assert floats(delivered) == []

    async def test_its_health_tells_streams_limits_and_clock(self, harness: VenueHarness) -> None:
        health = harness.venue.health()
        assert {stream.name for stream in health.streams} == {"markets", "private main", "private second"}
        assert all(stream.up for stream in health.streams)
        assert 0 < health.limits["requests_per_minute"] < 1
        assert health.clock_offset_ms is not None
        assert not harness.venue.capabilities.verified_books

    async def test_every_order_carries_our_id(self, harness: VenueHarness) -> None:
        h, wire = harness, wired(harness)
        sent = [await self.rest(h), await self.buy(h)]
        assert [order.client_id for order in wire.exchange.ledger.orders(h.account)] == [c.client_id for c in sent]

    async def test_ccxt_neither_throttles_nor_repeats(self, harness: VenueHarness) -> None:
        venue = wired(harness).venue
        made = [venue._root.exchange, *(line.transport.exchange for line in venue.lines.values())]  # type: ignore[attr-defined, union-attr]
        assert [(ccxt.enableRateLimit, ccxt.options["maxRetriesOnFailure"]) for ccxt in made] == [(False, 0)] * 3

    async def test_derivatives_are_looked_at_and_not_traded(self, harness: VenueHarness) -> None:
        h = harness
        assert h.venue.capabilities.kinds == {InstrumentKind.SPOT}
        for other in [i for i in await h.call(h.venue.instruments()) if i.kind is not InstrumentKind.SPOT][:1]:
            command = msgspec.structs.replace(self.order(h, OrderSide.BUY), instrument=other.id)
            await self.send(h, command)
            (event,) = self.heard(h, command.client_id)
            assert "only spot is traded" in event.reason  # type: ignore[union-attr]


class TestBinance(GenericContract):
    """Orders are found by our id."""

    @pytest.fixture
    async def harness(self) -> AsyncIterator[GenericHarness]:
        async with generic("binance", two=True) as h:
            yield h


class TestOkx(GenericContract):
    """Orders are found by our id; fees are taken from what was bought."""

    @pytest.fixture
    async def harness(self) -> AsyncIterator[GenericHarness]:
        async with generic("okx", two=True) as h:
            yield h


class TestCoinbase(GenericContract):
    """Orders are looked for in listings; market buys are limit orders, now or never."""

    @pytest.fixture
    async def harness(self) -> AsyncIterator[GenericHarness]:
        async with generic("coinbase", two=True) as h:
            yield h

    def test_it_is_known_that_ccxt_does_not_hand_our_id_on(self) -> None:
        assert peculiar("coinbase").id_param == "client_order_id"

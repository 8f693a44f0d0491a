"""A spot and a USD-M server over a scripted market, in simulated time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import aiohttp
import pytest

from engine.clock import SimulatedClock
from engine.model.ids import InstrumentId
from tests.wire.binance import spot, usdm
from tests.wire.binance.raw_client import RawClient
from tests.wire.markets import ScriptedMarket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.wire.binance.spot import BinanceSpot
    from tests.wire.binance.usdm import BinanceUsdm

START = 1_790_000_000_000_000_000
BTC = InstrumentId("BINANCE:BTC/USDT")
BTC_PERP = InstrumentId("BINANCEUSDM:BTC/USDT:USDT")


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock(START)


@pytest.fixture
def spot_market(clock: SimulatedClock) -> ScriptedMarket:
    market = ScriptedMarket([i for i, _ in spot.INSTRUMENTS[:2]], clock.now())
    market.book(BTC, {"60000.00": "2", "59999.00": "3"}, {"60001.00": "0.5", "60002.00": "4"})
    eth = InstrumentId("BINANCE:ETH/USDT")
    market.book(eth, {"3000.00": "20"}, {"3001.00": "20"})
    return market


@pytest.fixture
async def server(spot_market: ScriptedMarket, clock: SimulatedClock) -> AsyncIterator[BinanceSpot]:
    made = spot.make(clock, market=spot_market)
    made.exchange.follow()
    # A raw client reads now and then only, and hours of the venue pass between: how long it is silent in real time says
    # how busy the machine is.
    made.patience_s = math.inf
    await made.start(follow=False)
    yield made
    await made.stop()


@pytest.fixture
async def client(server: BinanceSpot) -> AsyncIterator[RawClient]:
    async with aiohttp.ClientSession(server.rest) as session:
        yield RawClient(session, server.exchange, server.exchange.keys.of(spot.MAIN))


@pytest.fixture
def usdm_market(clock: SimulatedClock) -> ScriptedMarket:
    market = ScriptedMarket([i for i, _ in usdm.INSTRUMENTS[:2]], clock.now())
    market.book(BTC_PERP, {"60000.0": "2", "59999.0": "300"}, {"60001.0": "0.5", "60002.0": "400"})
    market.book(usdm.INSTRUMENTS[1][0].id, {"3000.00": "20"}, {"3001.00": "20"})
    return market


@pytest.fixture
async def usdm_server(usdm_market: ScriptedMarket, clock: SimulatedClock) -> AsyncIterator[BinanceUsdm]:
    made = usdm.make(clock, market=usdm_market)
    made.exchange.follow()
    # A raw client reads now and then only, and hours of the venue pass between: how long it is silent in real time says
    # how busy the machine is.
    made.patience_s = math.inf
    await made.start(follow=False)
    yield made
    await made.stop()


@pytest.fixture
async def usdm_client(usdm_server: BinanceUsdm) -> AsyncIterator[RawClient]:
    async with aiohttp.ClientSession(usdm_server.rest) as session:
        yield RawClient(session, usdm_server.exchange, usdm_server.exchange.keys.of(usdm.MAIN))

"""An adapter over a simulated venue, in simulated time, as the contract suite wants it (`VenueHarness`).

The sockets are real; the clock is simulated and runs at a multiple of real time while something is awaited. So waits of
the protocols (a book every 100 ms, pings, backoff) pass quickly, and nothing is ever hurried beyond what the machine
can do: simulated time follows real time.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from engine.clock import SimulatedClock
from engine.model.ids import AccountId, InstrumentId
from engine.model.market import BookMoved
from engine.venues.factory import make_adapter
from engine.venues.limits.coordinator import Coordinator
from engine.venues.native.options import VenueOptions
from tests.wire.accounts import StaticCredentials
from tests.wire.venues import make_simulator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from decimal import Decimal

    from engine.events import VenueEvent
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent
    from engine.model.venue import Venue
    from tests.wire.certificates import TestAuthority
    from tests.wire.simulator import Simulator

__all__ = ["MAIN", "SECOND", "START", "WireHarness", "adapter_harness", "open_second"]

T = TypeVar("T")

MAIN = AccountId("main")
"""The account that every simulated venue has."""
SECOND = AccountId("second")
START = 1_790_000_000_000_000_000
"""2026-09-21 14:13:20 UTC."""
_PATIENCE_S = 20.0
"""Real seconds after which waiting is in vain."""


class WireHarness:
    """Starts an adapter over a simulator and lets simulated time go on while something is awaited.

    Args:
        simulator: Started, over an exchange that lives in `clock`.
        make: Makes a new adapter over it; called again by `restart`.
        clock: The clock of both.
        account: Whose orders are traded.
        instrument: What is traded.
        size: See `VenueHarness`.
        speed: Simulated seconds per real second.
    """

    instrument: Instrument
    venue: Venue
    second: AccountId | None = None
    """Another account of the venue that is traded."""

    def __init__(
        self,
        simulator: Simulator,
        make: Callable[[], Venue],
        clock: SimulatedClock,
        account: AccountId,
        instrument: InstrumentId,
        size: Decimal,
        *,
        speed: float = 25.0,
    ) -> None:
        self.simulator = simulator
        self.exchange = simulator.exchange
        self.clock = clock
        self.account = account
        self.size = size
        self.speed = speed
        self.events: list[tuple[AccountId, VenueEvent]] = []
        self.market: list[MarketEvent] = []
        self._make = make
        self._wanted = instrument
        self._seen = time.perf_counter()

    async def start(self) -> WireHarness:
        """Start the adapter."""
        self.venue = self._make()
        await self.call(self.venue.start(self._hear, self._see))
        listed = await self.call(self.venue.instruments())
        # Halted meanwhile, it stays the one that is meant.
        self.instrument = next((i for i in listed if i.id == self._wanted), None) or self.instrument
        return self

    async def close(self) -> None:
        """Close the adapter and the simulator."""
        await self.call(self.venue.close())
        await self.simulator.stop()

    def _hear(self, account: AccountId, event: VenueEvent) -> None:
        self.events.append((account, event))

    def _see(self, event: MarketEvent) -> None:
        # What changed in a kept book can be asked for now only.
        self.market.append(event.changes() if isinstance(event, BookMoved) else event)

    async def call(self, request: Awaitable[T]) -> T:
        """Await a request while time goes on."""
        task = asyncio.ensure_future(request)
        await self.until(task.done)
        return await task

    async def until(self, true: Callable[[], object]) -> None:
        """Let time go on until a condition holds."""
        end = time.perf_counter() + _PATIENCE_S
        self._seen = time.perf_counter()
        while not true():
            if time.perf_counter() > end:
                raise AssertionError("waited in vain")
            await self._go_on()

    async def rest(self, seconds: float) -> None:
        """Let that much simulated time go by."""
        end = self.clock.now() + int(seconds * 1e9)
        await self.until(lambda: self.clock.now() >= end)

    async def _go_on(self) -> None:
        # A breath of real time: sockets and threads belong to the real world.
        await asyncio.sleep(0.0004)
        now = time.perf_counter()
        # A long pause of the machine is no reason to let seconds go by at once.
        elapsed, self._seen = min(now - self._seen, 0.005), now
        await self.clock.advance(elapsed * self.speed)

    async def restart(self) -> None:
        """Close the adapter and start another one over the same exchange."""
        await self.call(self.venue.close())
        await self.start()


def open_second(simulator: Simulator) -> AccountId:
    """Open a second account like the first at a simulated venue that has none."""
    exchange = simulator.exchange
    if all(key.account != SECOND for key in exchange.keys.all()):
        exchange.open_account(SECOND, {row.currency: row.total for row in exchange.balances(MAIN)})
    return SECOND


async def adapter_harness(
    kind: str,
    symbol: str,
    size: Decimal,
    *,
    simulator: Simulator | None = None,
    authority: TestAuthority | None = None,
    clock: SimulatedClock | None = None,
    testnet: bool = False,
    speed: float = 25.0,
    two: bool = False,
) -> WireHarness:
    """A started harness around one of our own adapters (`engine.venues.factory`) over the simulator of its venue.

    Args:
        kind: Adapter and simulator, such as `binance`.
        symbol: What is traded, such as `BTC/USDT`.
        size: See `VenueHarness`.
        simulator: Instead of a fresh one over the simulated market; not yet started, and living in `clock`.
        authority: Speak TLS with its certificate; plain without one.
        clock: The clock of both; a fresh one by default.
        testnet: As in the options of the venue.
        speed: Simulated seconds per real second.
        two: Trade a second account beside the first.
    """
    clock = clock or SimulatedClock(START)
    simulator = simulator or make_simulator(kind, clock, rate=20.0)
    await simulator.start(authority)
    venue, keys = simulator.exchange.venue, StaticCredentials()
    accounts = (MAIN, open_second(simulator)) if two else (MAIN,)
    for account in accounts:
        keys.add(venue, account, simulator.exchange.keys.of(account).credentials)
    options = VenueOptions(
        id=venue,
        accounts=accounts,
        testnet=testnet,
        addresses=simulator.addresses,
        ca_file=None if authority is None else authority.ca_file,
    )

    def make() -> Venue:
        return make_adapter(kind, options, keys, clock, coordinator=Coordinator(clock))

    h = WireHarness(simulator, make, clock, MAIN, InstrumentId(f"{venue}:{symbol}"), size, speed=speed)
    h.second = SECOND if two else None
    try:
        return await h.start()
    except BaseException:
        await simulator.stop()
        raise

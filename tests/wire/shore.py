"""A live engine at one simulated exchange with perpetuals, in real time, and the hands that tests have on both."""

from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.model.ids import InstrumentId
from engine.model.margin import MarginMode, MarginSetting
from tests.chaos.wire_hands import Hand
from tests.chaos.wire_world import Hurry, World
from tests.kit.waiting import eventually
from tests.wire.okx.simulator import OkxSimulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.engine import Engine
    from engine.model.order import Order

__all__ = ["ORDERS", "SETS", "SIZE", "Shore", "shore_at"]

SETS = {
    "binanceusdm": ("POST /fapi/v1/marginType", "POST /fapi/v1/leverage"),
    "okx": ("POST /api/v5/account/set-leverage",),
}
ORDERS = {"binanceusdm": "POST /fapi/v1/order", "okx": "POST /api/v5/trade/order"}
SIZE = {"binanceusdm": "0.01", "okx": "1"}


class Shore:
    """A live engine at one simulated exchange, and what is done to both."""

    def __init__(self, world: World) -> None:
        self.world = world
        (self.harbour,) = world.harbours
        self.kind = self.harbour.kind
        self.server: Any = self.harbour.simulator
        self.exchange = self.harbour.exchange
        self.key = self.harbour.account, InstrumentId(f"{self.harbour.venue}:BTC/USDT:USDT")
        self.facts: list[ev.Event] = []

    @property
    def engine(self) -> Engine:
        assert self.world.host.engine is not None
        return self.world.host.engine

    async def ready(self) -> None:
        """Armed, and hearing what is booked."""
        await eventually(lambda: self.world.online(self.harbour))
        await eventually(lambda: self.engine.mark(self.key[1]) is not None)
        await Hand(self.world, self.harbour, None, 0.0).arm()  # type: ignore[arg-type]
        self.engine.ledger.subscribe(lambda record: self.facts.append(record.event))

    async def restart(self) -> None:
        await self.world.host.stop()
        await self.world.start()
        await self.ready()

    async def place(self, side: str = "buy", size: str = "", **more: Any) -> Order:
        """An order with its fate, filled or refused."""
        row = await self.call(
            "orders.place", instrument=self.key[1], side=side, quantity=size or SIZE[self.kind], **more
        )
        # Longer than a question is repeated for.
        await eventually(lambda: not self.engine.state.order(row.client_id).is_open, seconds=40)  # type: ignore[union-attr]
        found = self.engine.state.order(row.client_id)
        assert found is not None
        return found

    async def call(self, operation: str, **params: Any) -> Any:
        return await self.world.host.link().call(operation, params)

    @property
    def booked(self) -> MarginSetting:
        return self.engine.state.margin(*self.key)

    @property
    def held(self) -> MarginSetting:
        """What the exchange holds the position in."""
        (position,) = self.exchange.positions(self.key[0])
        return MarginSetting(position.leverage, position.margin_mode)

    def move(self, leverage: int, mode: MarginMode) -> None:
        """Somebody sets something at the exchange, which tells nobody."""
        if isinstance(self.server, OkxSimulator):
            self.server.set_leverage(*self.key, mode, D(leverage))
        else:
            self.exchange.paper.set_margin(*self.key, D(leverage), mode)

    def sets(self) -> list[int]:
        """How often each request that sets something has come."""
        return [self.server.counts[place] for place in SETS[self.kind]]

    def reason(self, order: Order) -> str:
        return next(f.reason for f in self.facts if isinstance(f, ev.OrderRejected) and f.client_id == order.client_id)


@asynccontextmanager
async def shore_at(kind: str, home: Path) -> AsyncIterator[Shore]:
    # A request has time to wait for room in the limits, which count over two seconds.
    async with World(home, (kind,), 7, Hurry(timeout_s=3.0)).running() as world:
        found = Shore(world)
        await found.ready()
        yield found

"""A house whose venue stands behind an emulation, and what its tests look at."""

from __future__ import annotations

from contextlib import asynccontextmanager
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any, cast

import msgspec

from engine.clock import SimulatedClock
from engine.execution.emulation import EmulatingVenue, emulated, is_held
from engine.model.order import OrderType
from engine.resilience.handler import ErrorHandler
from tests.execution.house import (
    MARKET,
    SELL,
    House,
    ScriptedVenue,
    turns,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.model.order import Order
    from engine.model.venue import Venue

__all__ = ["LIMIT", "STOP", "TARGET", "Emulated", "alerts", "bracket", "plain", "stops"]

STOP, TARGET, LIMIT = OrderType.STOP_LOSS, OrderType.TAKE_PROFIT, OrderType.LIMIT


def plain(venue: ScriptedVenue, **more: Any) -> ScriptedVenue:
    """A venue that knows neither groups nor reduce-only, as a spot exchange."""
    lacking = {"oco": False, "reduce_only": False, **more}
    venue.capabilities = msgspec.structs.replace(venue.capabilities, **lacking)
    return venue


class Emulated(House):
    """A house whose venue stands behind an emulation."""

    def __init__(self, venue: ScriptedVenue | None = None, records: Any = (), **more: Any) -> None:
        venue = venue or plain(ScriptedVenue(SimulatedClock()), **more)
        super().__init__(venue, records, front=lambda inner: emulated(cast("Venue", inner), inner.clock))
        self.doubts = 0
        self.emergency = False
        self.errors = ErrorHandler(self.clock)
        self.allowed = True
        self.emulation = cast("EmulatingVenue", self.front)
        self.emulation.attach(
            self.desk,
            self.ledger,
            self,
            on_doubt=self._doubt,
            allowed=lambda: self.allowed,
            margins=self.dispatcher.margins,
            errors=self.errors,
            closing=lambda order: self.emergency,
        )

    def _doubt(self) -> None:
        self.doubts += 1

    def price(self, bid: str) -> None:
        """The market moves there."""
        self.bid, self.ask = D(bid), D(bid) + 2
        self.emulation.on_market(MARKET)

    async def pass_time(self, seconds: float = 1.0) -> None:
        for _ in range(int(seconds / 0.05)):
            await self.clock.advance(0.05)
            await turns(5)

    def exit(self, kind: OrderType, level: str, quantity: str = "1", **more: Any) -> Order:
        price = {"price": level} if kind is LIMIT else {"price": None, "stop_price": D(level)}
        return self.submit(SELL, quantity, type=kind, reduce_only=True, oco_group="exits", **price, **more)

    def placed(self) -> list[str]:
        return [sent[1] for sent in self.venue.requests("place")]


@asynccontextmanager
async def bracket(house: Emulated, second: OrderType = TARGET) -> AsyncIterator[tuple[Order, Order]]:
    async with house.running():
        stop = house.exit(STOP, "90")
        await turns()
        target = house.exit(second, "120")
        await turns()
        yield stop, target


def stops(house: Emulated) -> list[tuple[str, D, bool]]:
    """The stops that are open: price, quantity, and whether the engine holds them."""
    found = [order for order in house.state.orders.values() if order.type is STOP]
    return [(f"{order.stop_price:f}", order.remaining, is_held(order)) for order in found]


def alerts(house: Emulated) -> list[str]:
    """What somebody was told, with its severity."""
    return [f"{notice.severity}: {notice.text}" for notice in house.errors.notices]

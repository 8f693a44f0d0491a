"""A bot's entries by an algorithm: the configured one is followed, the position is protected as it grows."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from engine.bots.execution import Execution
from engine.execution.algos.planner import Planner
from engine.execution.algos.supervisor import Algos
from engine.execution.impact_desk import ImpactDesk
from engine.model.algos import ParentStatus, SchedulePlan, plan_name
from engine.model.order import OrderSide, OrderType
from engine.strategy.contract import Wish
from tests.bots.house import MARKET
from tests.bots.yard import Told, Yard


class Working(Yard):
    """A yard with parent orders."""

    def new_manager(self, most: int = 3) -> Any:
        self.impact = ImpactDesk(self.clock, lambda _: None, self._history, self.state.order)
        self.algos = Algos(self.ledger, self.desk, self.hub, self.hub)
        manager = super().new_manager(most)
        manager._builder._algos = self.algos
        manager._builder._planner = Planner(self.impact, self.clock)
        return manager

    async def entered(self, **execution: Any) -> Any:
        """A bot that has wished to buy 1 at 100, and what it opened."""
        entry = self.create(execution=Execution(**execution))
        await self.manager.start(entry)
        Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
        self.minute(100)
        (parent,) = self.state.parents.values()
        assert parent.owner == entry.id
        return entry, parent


async def test_an_entry_is_traded_by_the_configured_algorithm_and_protected_as_it_grows() -> None:
    yard = Working()
    entry, parent = await yard.entered(
        algorithm="twap", duration_s=240, slices=4, jitter=D(0), participation=D(1), max_slippage=D("0.05")
    )
    assert parent.max_slippage == D("0.05")
    assert isinstance(parent.plan, SchedulePlan)
    # Its cap counts what is heard of the market: nothing yet.
    assert yard.owned(entry) == 0
    yard.hub.volume = lambda instrument: D(1000)  # type: ignore[method-assign]
    yard.algos.tick(yard.clock.now())
    for bought in ("0.25", "0.5", "0.75", "1"):
        yard.algos.tick(yard.clock.now())
        yard.minute(100)
        assert yard.owned(entry) <= D(bought)
    for _ in range(4):
        yard.algos.tick(yard.clock.now())
        yard.minute(100)
    assert parent.status is ParentStatus.DONE
    assert yard.owned(entry) == 1
    stops = yard.orders(entry, OrderType.STOP_LOSS)
    assert sum(stop.quantity for stop in stops) == 1
    assert all(stop.side is OrderSide.SELL for stop in stops)


@pytest.mark.parametrize(
    ("algorithm", "opened"),
    [("vwap", "twap"), ("implementation_shortfall", "twap"), ("pov", "pov"), ("chase", "chase")],
)
async def test_before_its_market_is_known_a_schedule_has_equal_slices(algorithm: str, opened: str) -> None:
    yard = Working()
    yard.impact.look_soon = lambda instrument: None  # type: ignore[method-assign]
    _, parent = await yard.entered(algorithm=algorithm)
    assert plan_name(parent.plan) == opened


async def test_a_bot_of_one_order_opens_no_parent() -> None:
    yard = Working()
    entry = yard.create()
    await yard.manager.start(entry)
    Told.wishes.append(Wish.enter(1, 1.0, "go", stop=95.0))
    yard.minute(100)
    assert not yard.state.parents
    yard.minute(100)
    assert yard.owned(entry) == 1
    assert MARKET in yard.hub.markets

"""The dead-man's switch: fed in time, off where it would do harm, told when it cannot be fed."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from engine.errors import ExchangeConnectionError
from engine.execution.countdown import FEEDS, LOOK_S, Countdown
from engine.model.order import OrderType
from engine.resilience.handler import ErrorHandler
from engine.resilience.settings import ErrorHandlingSettings
from tests.execution.house import PAPER, SELL, House, turns

if TYPE_CHECKING:
    from engine.model.ids import AccountId
    from engine.model.venue import Venue


class Switch:
    """A house with a switch, and what it was told."""

    def __init__(self, *, spare: bool = True, spares: frozenset[OrderType] = frozenset()) -> None:
        self.house = House()
        venue = self.house.venue
        venue.capabilities = msgspec.structs.replace(venue.capabilities, countdown=True, countdown_spares=spares)
        self.heard: list[float] = []
        self.down = False
        venue.countdown = self._countdown  # type: ignore[method-assign]
        self.errors = ErrorHandler(self.house.clock, ErrorHandlingSettings())
        self.countdown = Countdown(
            cast("Venue", venue),
            PAPER,
            60.0,
            self.house.state.orders.values,
            self.house.clock,
            self.errors,
            spare=spare,
        )

    async def _countdown(self, account: AccountId, seconds: float) -> None:
        assert account == PAPER
        if self.down:
            raise ExchangeConnectionError("down")
        self.heard.append(seconds)


async def test_it_is_fed_several_times_within_its_time_and_turned_off_at_the_end() -> None:
    switch = Switch()
    allowed = True
    work = asyncio.ensure_future(switch.countdown.run(lambda: allowed))
    await turns()
    for _ in range(FEEDS):
        await switch.house.clock.advance(60 / FEEDS)
        await turns()
    assert switch.heard == [60.0] * (FEEDS + 1)
    allowed = False
    await switch.house.clock.advance(60)
    assert len(switch.heard) == FEEDS + 1
    work.cancel()
    await switch.countdown.release()
    await switch.countdown.release()
    assert switch.heard[-1] == 0
    assert switch.heard.count(0) == 1


@pytest.mark.parametrize("failure", [ExchangeConnectionError("down"), TimeoutError(), OSError("no route")])
async def test_that_it_cannot_be_turned_off_keeps_nobody_from_ending(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = Switch()
    await switch.countdown.feed()

    async def fails(*_: object) -> None:
        raise failure

    monkeypatch.setattr(switch.house.venue, "countdown", fails)
    await switch.countdown.release()
    assert switch.countdown.armed, "it is not known to be off"


async def test_it_is_off_while_it_would_take_protective_orders_along() -> None:
    switch = Switch()
    async with switch.house.running():
        await switch.countdown.feed()
        stop = switch.house.submit(SELL, "1", type=OrderType.STOP_LOSS, price=None, stop_price=D(90), reduce_only=True)
        await turns()
        await switch.countdown.feed()
        await switch.countdown.feed()
        assert switch.heard == [60.0, 0]
        assert "1 protective order" in switch.countdown.reason
        switch.house.desk.cancel(stop.client_id, "asked")
        await turns()
        await switch.countdown.feed()
        assert switch.heard == [60.0, 0, 60.0]
        assert switch.countdown.armed


async def test_a_protective_order_does_not_lie_under_it_until_the_next_feeding() -> None:
    switch = Switch()
    async with switch.house.running():
        work = asyncio.ensure_future(switch.countdown.run(lambda: True))
        await turns()
        switch.house.submit(SELL, "1", type=OrderType.STOP_LOSS, price=None, stop_price=D(90), reduce_only=True)
        await switch.house.clock.advance(LOOK_S)
        await turns()
        assert switch.heard == [60.0, 0]
        assert not switch.countdown.armed
        work.cancel()


async def test_what_it_leaves_alone_and_what_is_wanted_keep_it_on() -> None:
    for switch in (Switch(spare=False), Switch(spares=frozenset({OrderType.STOP_LOSS}))):
        async with switch.house.running():
            switch.house.submit(SELL, "1", type=OrderType.STOP_LOSS, price=None, stop_price=D(90), reduce_only=True)
            await turns()
            await switch.countdown.feed()
            assert switch.heard == [60.0]


async def test_one_that_is_not_wanted_any_more_is_turned_off_once_and_told_where_that_fails() -> None:
    switch = Switch()
    switch.countdown._seconds = 0
    switch.down = True
    work = asyncio.ensure_future(switch.countdown.run(lambda: True))
    for _ in range(3):
        await turns()
        await switch.house.clock.advance(1)
    assert ["turned off" in notice.text for notice in switch.errors.notices] == [True]
    switch.down = False
    await switch.house.clock.advance(1)
    await work
    assert switch.heard == [0]


async def test_that_it_cannot_be_fed_is_told_once() -> None:
    switch = Switch()
    switch.down = True
    work = asyncio.ensure_future(switch.countdown.run(lambda: True))
    await turns()
    for _ in range(4):
        await switch.house.clock.advance(20)
        await turns()
    told = [notice for notice in switch.errors.notices if "dead-man" in notice.text]
    assert len(told) == 1
    switch.down = False
    await switch.house.clock.advance(20)
    await turns()
    assert switch.heard == [60.0]
    work.cancel()

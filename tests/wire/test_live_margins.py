"""What a venue holds of leverage and margin mode, against what the books assume: a live engine at simulated exchanges.

The exchanges behave as theirs do: Binance opens every symbol at 20x in cross mode, OKX keeps 3x for each mode and lets
every order name its mode.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.model.margin import UNLEVERED, MarginMode, MarginSetting
from engine.model.order import OrderStatus
from tests.kit.waiting import eventually
from tests.wire.faults import Fault
from tests.wire.shore import ORDERS, SETS, Shore, shore_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CROSS = MarginMode.CROSS


@pytest.fixture(params=sorted(SETS))
async def shore(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shore]:
    async with shore_at(request.param, tmp_path) as found:
        yield found


async def test_first_orders_find_the_venues_default_and_set_what_is_wanted_once(shore: Shore) -> None:
    placed = await asyncio.gather(*(shore.place() for _ in range(4)))
    assert {order.status for order in placed} == {OrderStatus.FILLED}
    assert shore.held == shore.booked == UNLEVERED
    assert shore.sets() == [1] * len(SETS[shore.kind])
    assert not [fact for fact in shore.facts if isinstance(fact, ev.MarginSet)]


async def test_after_a_restart_what_a_person_has_set_is_set_again(shore: Shore) -> None:
    await shore.call("margin.set", instrument=shore.key[1], leverage="3", mode="cross")
    await shore.restart()
    shore.move(20, CROSS)
    shore.move(7, MarginMode.ISOLATED)
    assert shore.booked == MarginSetting(D(3), CROSS)
    assert (await shore.place()).status is OrderStatus.FILLED
    assert shore.held == shore.booked == MarginSetting(D(3), CROSS)


async def test_a_change_from_outside_under_a_position_is_taken_over_and_told(shore: Shore) -> None:
    await shore.place()
    shore.move(4, MarginMode.ISOLATED)
    await shore.restart()
    # The comparison of positions has found it; risk counts with it, and what is wanted is not forgotten.
    assert shore.booked == MarginSetting(D(4), MarginMode.ISOLATED)
    assert shore.engine.state.wanted_margin(*shore.key) == UNLEVERED
    before = shore.sets()
    assert (await shore.place()).status is OrderStatus.FILLED
    assert shore.sets() == before
    held = shore.engine.state.positions[shore.key].quantity
    assert (await shore.place("sell", f"{held:f}", reduce_only=True)).status is OrderStatus.FILLED
    # Flat again, the next order goes back to what is wanted; the first was judged at the other leverage.
    refused = await shore.place()
    assert refused.status is OrderStatus.REJECTED
    assert "1x isolated" in shore.reason(refused)
    assert (await shore.place()).status is OrderStatus.FILLED
    assert shore.held == shore.booked == UNLEVERED


async def test_a_change_while_flat_is_put_right_by_the_next_order_after_a_look(shore: Shore) -> None:
    await shore.place()
    await shore.place("sell", reduce_only=True)
    shore.move(20, CROSS)
    shore.move(20, MarginMode.ISOLATED)
    await shore.engine.dispatcher.margins.review(shore.engine.unit(shore.key[1]).guard, shore.key[0])
    await shore.place()
    assert shore.held == shore.booked == UNLEVERED


async def test_while_it_cannot_be_asked_nothing_is_opened_and_everything_can_be_closed(shore: Shore) -> None:
    await shore.place()
    shore.engine.dispatcher.margins.forget(shore.key[0])
    sent = shore.server.counts[ORDERS[shore.kind]]
    asked = "symbolConfig" if shore.kind == "binanceusdm" else "leverage-info"
    shore.exchange.faults.arm(Fault.LOST_REQUEST, None, where=asked)
    refused = await shore.place()
    assert refused.status is OrderStatus.REJECTED
    assert "Nothing is opened on an assumption" in shore.reason(refused)
    assert shore.server.counts[ORDERS[shore.kind]] == sent
    assert (await shore.place("sell", reduce_only=True)).status is OrderStatus.FILLED


@pytest.mark.parametrize("fault", [Fault.LOST_REQUEST, Fault.SERVER_ERROR])
async def test_while_it_cannot_be_set_nothing_is_opened(shore: Shore, fault: Fault) -> None:
    shore.exchange.faults.arm(fault, None, where=SETS[shore.kind][-1].split()[1])
    assert (await shore.place()).status is OrderStatus.REJECTED
    assert shore.exchange.positions(shore.key[0]) == []
    assert shore.server.counts[ORDERS[shore.kind]] == 0
    shore.exchange.faults.disarm()
    assert (await shore.place()).status is OrderStatus.FILLED
    assert shore.held == shore.booked == UNLEVERED


async def test_an_account_that_went_into_hedge_mode_opens_nothing(tmp_path: Path) -> None:
    async with shore_at("binanceusdm", tmp_path) as shore:
        shore.server.hedged.add(shore.key[0])
        refused = await shore.place()
        assert refused.status is OrderStatus.REJECTED
        assert "hedge" in shore.reason(refused).lower()
        assert shore.server.counts[ORDERS[shore.kind]] == 0
        shore.server.hedged.clear()
        assert (await shore.place()).status is OrderStatus.FILLED


async def test_a_change_that_binance_tells_is_heard_at_once(tmp_path: Path) -> None:
    async with shore_at("binanceusdm", tmp_path) as shore:
        await shore.place()
        await shore.place("sell", reduce_only=True)
        shore.exchange.paper.set_margin(*shore.key, D(9), MarginMode.ISOLATED)
        event = {**shore.server._head("ACCOUNT_CONFIG_UPDATE"), "ac": {"s": "BTCUSDT", "l": 9}}
        shore.server._tell_account(shore.key[0], event)
        margins = shore.engine.dispatcher.margins
        await eventually(lambda: shore.key not in margins._firm)
        await shore.place()
        assert shore.held == UNLEVERED


async def test_okx_in_long_short_mode_opens_no_swap(tmp_path: Path) -> None:
    async with shore_at("okx", tmp_path) as shore:
        await shore.place()
        await shore.place("sell", reduce_only=True)
        shore.server.hedged = True
        shore.engine.dispatcher.margins.forget(shore.key[0])
        refused = await shore.place()
        assert refused.status is OrderStatus.REJECTED
        assert "long/short mode" in shore.reason(refused)

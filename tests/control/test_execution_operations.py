"""Impact estimates, slippage limits and routes, over the door of a running engine."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine.errors import ConflictError, NotFoundError, SlippageError
from engine.model.ids import InstrumentId
from engine.model.order import OrderStatus, OrderType, TimeInForce
from tests.control.house import BTC, Deck, deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


async def test_an_estimate_tells_cost_and_algorithm(on: Deck) -> None:
    small = await on.call("orders.estimate", instrument=BTC, side="buy", quantity="0.01", urgency=0.95)
    assert small.estimate.walk == small.estimate.cost > 0
    assert small.estimate.scale > 0
    assert (small.algorithm, small.parts, small.expected) == ("market", 1, None)
    large = await on.call("orders.estimate", instrument=BTC, side="buy", quantity="2000")
    assert large.estimate.walk is None
    assert large.estimate.depth_share > 1
    assert large.algorithm == "implementation_shortfall"
    assert large.parts > 1
    assert 0 < large.expected < large.estimate.cost
    assert large.deviation > 0
    mark = on.engine.mark(large.instrument)
    assert large.cost == pytest.approx(large.estimate.cost * 2000 * float(mark or 0), rel=0.01)
    with pytest.raises(NotFoundError):
        await on.call("orders.estimate", instrument="SIM:NO/USDT", side="buy", quantity="1")


async def test_the_ticket_s_preview_and_the_order_s_decision_hold_the_estimate(on: Deck) -> None:
    asked = {"instrument": BTC, "side": "buy", "quantity": "2000"}
    await on.call("orders.estimate", **asked)
    preview = await on.call("orders.preview", type="market", **asked)
    assert preview.impact.cost > 0
    assert preview.advice.startswith("Better over ")
    calm = await on.call("orders.preview", type="market", **{**asked, "quantity": "0.01"})
    assert (calm.advice, calm.impact.depth_share < 1) == ("", True)
    assert (await on.call("orders.preview", type="limit", price="1", **asked)).impact is None
    row = await on.market()
    await on.reaches(row, OrderStatus.FILLED)
    order = on.engine.state.order(row.client_id)
    assert order is not None
    assert order.decision.impact is not None
    assert order.decision.impact.walk == pytest.approx(order.decision.impact.cost)
    await eventually(lambda: on.engine.impact.coefficients(InstrumentId(BTC)).seen == 1)


async def test_an_order_beyond_its_slippage_limit_is_refused_and_nothing_is_booked(on: Deck) -> None:
    with pytest.raises(SlippageError, match="half the spread alone"):
        await on.market(max_slippage="0.0000001")
    assert not on.engine.state.orders


async def test_a_market_order_within_its_limit_cannot_be_executed_beyond_it(on: Deck) -> None:
    row = await on.market(max_slippage="0.01")
    assert (row.type, row.tif) == (OrderType.LIMIT, TimeInForce.IOC)
    mark = on.engine.mark(row.instrument)
    assert mark is not None
    assert row.price is not None
    assert D("1.005") < row.price / mark < D("1.015")
    await on.reaches(row, OrderStatus.FILLED)


async def test_a_route_is_shown_and_sent(on: Deck) -> None:
    asked = {"symbol": "BTC/USDT", "side": "buy", "quantity": "0.01"}
    shown = await on.call("orders.route", **asked)
    (leg,) = shown.legs
    assert (leg.account, leg.instrument, leg.quantity, shown.unrouted) == ("paper", BTC, D("0.01"), 0)
    assert leg.fee > 0
    assert shown.price > leg.price
    (row,) = await on.call("orders.place_route", **asked)
    assert (row.type, row.tif, row.quantity) == (OrderType.LIMIT, TimeInForce.IOC, D("0.01"))
    assert row.price > leg.worst
    await on.reaches(row, OrderStatus.FILLED)


async def test_what_cannot_be_routed_is_not_sent(on: Deck) -> None:
    with pytest.raises(ConflictError, match=r"Only .* of it can be executed now"):
        await on.call("orders.place_route", symbol="BTC/USDT", side="buy", quantity="50")
    with pytest.raises(ConflictError, match="nothing is free"):
        await on.call("orders.place_route", symbol="BTC/USDT", side="sell", quantity="1")
    with pytest.raises(NotFoundError, match="No account"):
        await on.call("orders.route", symbol="NO/USDT", side="buy", quantity="1")
    with pytest.raises(NotFoundError, match="no account nobody"):
        await on.call("orders.route", symbol="BTC/USDT", side="buy", quantity="1", accounts=["nobody"])
    assert not on.engine.state.orders

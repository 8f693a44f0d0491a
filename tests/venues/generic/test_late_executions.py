"""An order's end is told after all executions that the exchange promises, however late it lists them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.errors import NotVisibleYetError
from engine.events import OrderAccepted, OrderCanceled, OrderFilled
from engine.model.ids import ClientOrderId
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import EXECUTIONS_MISSING, OrderCommand, VenueStatus
from engine.venues.native import witness
from tests.venues.generic.conftest import generic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from decimal import Decimal

    from engine.events import VenueEvent
    from tests.venues.generic.conftest import GenericHarness

WANTED = ClientOrderId("partly1")
NS = 10**9
NEVER_NS = 10**6 * NS


@pytest.fixture(params=["binance", "okx", "coinbase"])
async def h(request: pytest.FixtureRequest) -> AsyncIterator[GenericHarness]:
    async with generic(request.param) as made:
        # A market that stands: what is offered is still there when the order comes.
        made.exchange.market.advance = lambda to_ns: []  # type: ignore[method-assign]
        yield made


def heard(h: GenericHarness) -> list[VenueEvent]:
    """What was told about the order."""
    return [e for _, e in h.events if (e.fill.client_id if isinstance(e, OrderFilled) else e.client_id) == WANTED]


async def partly_executed(h: GenericHarness) -> Decimal:
    """A limit order that takes what the best offer holds, rests with the remainder, and is then cancelled."""
    book = await h.call(h.venue.book(h.instrument.id, 1))
    price, best = h.instrument.price_from_int(book.asks[0][0]), h.instrument.quantity_from_int(book.asks[0][1])
    quantity = best + h.size
    await h.call(
        h.venue.place(
            OrderCommand(
                client_id=WANTED,
                account=h.account,
                instrument=h.instrument.id,
                side=OrderSide.BUY,
                type=OrderType.LIMIT,
                quantity=quantity,
                price=price,
            )
        )
    )
    await h.call(h.venue.cancel(h.account, WANTED))
    order = h.exchange.ledger.find(h.account, WANTED)
    assert order is not None
    await h.until(lambda: not order.is_open)
    assert 0 < order.filled < quantity
    return order.filled


async def test_the_end_waits_for_executions_that_are_listed_late(h: GenericHarness) -> None:
    h.exchange.fills_late_ns = NEVER_NS
    executed = await partly_executed(h)
    await h.rest(5)
    assert [type(event) for event in heard(h)] == [OrderAccepted]
    assert h.venue.status is VenueStatus.ONLINE
    h.exchange.fills_late_ns = 0
    await h.until(lambda: isinstance(heard(h)[-1], OrderCanceled))
    first, *fills, last = heard(h)
    assert isinstance(first, OrderAccepted)
    assert isinstance(last, OrderCanceled)
    assert sum(e.fill.quantity for e in fills if isinstance(e, OrderFilled)) == executed
    assert all(isinstance(event, OrderFilled) for event in fills)


async def test_an_order_whose_executions_never_come_has_no_end_and_no_invented_ones(h: GenericHarness) -> None:
    h.exchange.fills_late_ns = NEVER_NS
    await partly_executed(h)
    await h.rest(2 * witness.GRACE_NS / NS)
    with pytest.raises(NotVisibleYetError, match="lists executions of 0") as caught:
        await h.call(h.venue.order(h.account, WANTED))
    assert caught.value.error_code == EXECUTIONS_MISSING
    assert [type(event) for event in heard(h)] == [OrderAccepted]
    assert h.venue.status is VenueStatus.ONLINE
    h.exchange.fills_late_ns = 0
    found = await h.call(h.venue.order(h.account, WANTED))
    assert found is not None
    assert found.status is OrderStatus.CANCELED
    await h.until(lambda: isinstance(heard(h)[-1], OrderCanceled))


async def test_an_execution_listed_below_newer_ones_is_still_told_and_given(h: GenericHarness) -> None:
    h.exchange.fills_late_ns = NEVER_NS
    executed = await partly_executed(h)
    _, cursor = await h.call(h.venue.fills_since(h.account, ""))
    h.exchange.fills_late_ns = 0
    hidden = h.exchange.latest_fills
    early = {fill.key for _, fill in hidden(h.account)}
    h.exchange.latest_fills = lambda account: (  # type: ignore[method-assign]
        (n, f) for n, f in hidden(account) if f.key not in early
    )
    await h.call(
        h.venue.place(
            OrderCommand(
                client_id=ClientOrderId("later1"),
                account=h.account,
                instrument=h.instrument.id,
                side=OrderSide.BUY,
                type=OrderType.MARKET,
                quantity=h.size,
            )
        )
    )
    await h.until(lambda: any(isinstance(e, OrderFilled) and e.fill.client_id == "later1" for _, e in h.events))
    given, cursor = await h.call(h.venue.fills_since(h.account, cursor))
    assert {fill.client_id for fill in given} == {"later1"}
    h.exchange.latest_fills = hidden  # type: ignore[method-assign]
    given, cursor = await h.call(h.venue.fills_since(h.account, cursor))
    assert {fill.client_id for fill in given} == {WANTED}
    assert sum(fill.quantity for fill in given) == executed
    assert (await h.call(h.venue.fills_since(h.account, cursor))) == ([], cursor)
    await h.until(lambda: isinstance(heard(h)[-1], OrderCanceled))


async def test_an_order_of_an_earlier_process_ends_after_executions_that_it_had_told(h: GenericHarness) -> None:
    book = await h.call(h.venue.book(h.instrument.id, 1))
    price = h.instrument.price_from_int(book.asks[0][0])
    quantity = h.instrument.quantity_from_int(book.asks[0][1]) + h.size
    command = OrderCommand(
        client_id=WANTED, account=h.account, instrument=h.instrument.id, side=OrderSide.BUY, type=OrderType.LIMIT,
        quantity=quantity, price=price,
    )  # fmt: skip
    await h.call(h.venue.place(command))
    await h.until(lambda: any(isinstance(event, OrderFilled) for event in heard(h)))
    await h.rest(90)
    await h.restart()
    h.events.clear()
    order = h.exchange.ledger.find(h.account, WANTED)
    assert order is not None
    await h.call(h.venue.cancel(h.account, WANTED))
    await h.until(lambda: heard(h) and isinstance(heard(h)[-1], OrderCanceled))
    assert sum(e.fill.quantity for e in heard(h) if isinstance(e, OrderFilled)) == order.filled

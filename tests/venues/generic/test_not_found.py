"""When an order that a ccxt exchange does not list counts as not found, and when nothing is proven by that."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.errors import NotVisibleYetError, UnknownOutcomeError
from engine.events import OrderRejected
from engine.model.ids import ClientOrderId
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import OrderCommand
from engine.venues.generic.able import PLAIN
from engine.venues.native.search import LISTING_CUT, NOT_YET, VISIBLE_AFTER_S
from tests.venues.generic.conftest import generic
from tests.wire.faults import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.venues.generic.conftest import GenericHarness

WANTED = ClientOrderId("wanted1")
TIMEOUT_S = 4.0
PLACE = "POST /api/v3/brokerage/orders"
LIST = "/orders/historical/batch"


@pytest.fixture
async def h() -> AsyncIterator[GenericHarness]:
    async with generic("coinbase", timeout_s=TIMEOUT_S) as made:
        yield made


def command(h: GenericHarness, client_id: str = WANTED) -> OrderCommand:
    """A limit order that rests far below the market."""
    return OrderCommand(
        client_id=ClientOrderId(client_id),
        account=h.account,
        instrument=h.instrument.id,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        quantity=Decimal("0.0001"),
        price=Decimal(30_000),
    )


def at_the_exchange(h: GenericHarness, client_id: str) -> None:
    """An order that somebody places there, not through the adapter."""
    asked = command(h, client_id)
    terms = {"limit_limit_gtc": {"base_size": "0.0001", "limit_price": "30000", "post_only": False}}
    assert h.exchange.place(asked, {"order_configuration": terms}).order is not None


async def lost(h: GenericHarness, fault: Fault) -> None:
    """An order whose answer never comes."""
    h.simulator.faults.arm(fault, where="POST")
    with pytest.raises(UnknownOutcomeError):
        await h.call(h.venue.place(command(h)))


async def not_yet(h: GenericHarness) -> str:
    """Why nothing is proven."""
    with pytest.raises(NotVisibleYetError) as caught:
        await h.call(h.venue.order(h.account, WANTED))
    assert caught.value.error_code is not None
    return caught.value.error_code


async def test_a_request_that_was_lost_is_not_found_after_two_whole_listings_the_later_one_late_enough(
    h: GenericHarness,
) -> None:
    await lost(h, Fault.LOST_REQUEST)
    began = h.clock.now()
    assert [await not_yet(h) for _ in range(3)] == [NOT_YET] * 3
    await h.rest(VISIBLE_AFTER_S - 10)
    assert await not_yet(h) == NOT_YET
    assert h.clock.now() - began < (TIMEOUT_S + VISIBLE_AFTER_S) * 1e9
    await h.rest(TIMEOUT_S + 15)
    assert await h.call(h.venue.order(h.account, WANTED)) is None
    assert h.exchange.ledger.find(h.account, WANTED) is None


async def test_an_order_that_shows_late_is_found_and_never_denied(h: GenericHarness) -> None:
    h.simulator.faults.arm(Fault.LATE_VISIBLE, delay_s=25.0)
    await lost(h, Fault.RESET_AFTER)
    answers: list[str] = []
    while h.clock.now() < h.exchange.ledger.find(h.account, WANTED).visible_from:  # type: ignore[union-attr]
        try:
            found = await h.call(h.venue.order(h.account, WANTED))
            assert found is not None
        except NotVisibleYetError:
            answers.append(NOT_YET)
        await h.rest(4)
    found = await h.call(h.venue.order(h.account, WANTED))
    assert answers
    assert found is not None
    assert (found.client_id, found.status) == (WANTED, OrderStatus.ACCEPTED)


async def test_a_listing_that_lacks_an_order_that_exists_proves_nothing(h: GenericHarness) -> None:
    await lost(h, Fault.LOST_REQUEST)
    for n in range(2):
        await h.call(h.venue.place(command(h, f"other{n}")))
    await h.rest(TIMEOUT_S + VISIBLE_AFTER_S + 1)
    h.simulator.faults.arm(Fault.CUT_LISTING, None, where=LIST)
    assert [await not_yet(h) for _ in range(3)] == [LISTING_CUT] * 3
    h.simulator.faults.disarm()
    assert await not_yet(h) == NOT_YET
    assert await h.call(h.venue.order(h.account, WANTED)) is None


async def test_more_orders_than_a_page_holds_are_all_looked_through(h: GenericHarness) -> None:
    h.exchange.max_open_orders = 1_000
    await lost(h, Fault.RESET_AFTER)
    for n in range(130):
        at_the_exchange(h, f"stranger{n}")
        if n % 10 == 0:
            await h.rest(0.01)
    found = await h.call(h.venue.order(h.account, WANTED))
    assert found is not None
    assert found.client_id == WANTED


async def test_more_orders_of_one_millisecond_than_a_page_holds_prove_nothing(h: GenericHarness) -> None:
    h.exchange.max_open_orders = 1_000
    await lost(h, Fault.LOST_REQUEST)
    for n in range(130):
        at_the_exchange(h, f"stranger{n}")
    await h.rest(TIMEOUT_S + VISIBLE_AFTER_S + 1)
    assert [await not_yet(h) for _ in range(3)] == [LISTING_CUT] * 3


async def test_where_ended_orders_cannot_be_listed_an_order_stays_unknown_and_the_person_is_told_what_to_do(
    h: GenericHarness,
) -> None:
    h.venue.ccxt.has = {**h.venue.ccxt.has, "fetchOrders": None, "fetchCanceledOrders": None}
    h.simulator.faults.arm(Fault.LOST_REQUEST, where="POST")
    with pytest.raises(UnknownOutcomeError, match=r"cannot list orders that have ended there. Look for it on the"):
        await h.call(h.venue.place(command(h)))
    await h.rest(TIMEOUT_S + VISIBLE_AFTER_S + 1)
    assert [await not_yet(h) for _ in range(3)] == [LISTING_CUT] * 3


async def test_a_list_that_reaches_back_too_short_proves_nothing(h: GenericHarness) -> None:
    features = h.venue.ccxt.features
    one_minute = {**features["spot"]["fetchOrders"], "daysBack": 1 / 1440}
    h.venue.ccxt.features = {**features, "spot": {**features["spot"], "fetchOrders": one_minute}}
    await lost(h, Fault.LOST_REQUEST)
    await h.rest(70)
    assert [await not_yet(h) for _ in range(3)] == [LISTING_CUT] * 3


async def test_an_exchange_that_was_never_seen_to_list_our_ids_is_not_believed(h: GenericHarness) -> None:
    questions = h.venue._questions[h.account]
    questions._echoes = PLAIN.echoes
    await lost(h, Fault.LOST_REQUEST)
    await h.rest(TIMEOUT_S + VISIBLE_AFTER_S + 1)
    assert [await not_yet(h) for _ in range(2)] == [LISTING_CUT] * 2
    await h.call(h.venue.place(command(h, "other")))
    assert await not_yet(h) == NOT_YET
    assert await h.call(h.venue.order(h.account, WANTED)) is None


async def test_no_order_leaves_without_our_id(h: GenericHarness) -> None:
    h.venue._peculiar = msgspec.structs.replace(h.venue._peculiar, id_param="")
    await h.call(h.venue.place(command(h)))
    ((_, event),) = h.events
    assert isinstance(event, OrderRejected)
    assert event.code == "no_client_id"
    assert h.simulator.counts[PLACE] == 0
    assert h.exchange.ledger.find(h.account, WANTED) is None


async def test_more_working_orders_than_a_page_holds_are_all_listed(h: GenericHarness) -> None:
    h.exchange.max_open_orders = 1_000
    for n in range(130):
        at_the_exchange(h, f"stranger{n}")
        if n % 10 == 0:
            await h.rest(0.01)
    assert len(await h.call(h.venue.open_orders(h.account))) == 130

"""An account at a ccxt exchange is followed through lost streams, and what is known of it outlives the connection."""

from __future__ import annotations

from decimal import Decimal, getcontext
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec
import pytest

from engine.errors import (
    ConfigurationError,
    DataValidationError,
    ExchangeRateLimitError,
    NotVisibleYetError,
    UnknownOutcomeError,
)
from engine.events import OrderAccepted, OrderFilled
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, VenueId
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.order import OrderSide, OrderStatus, OrderType, TimeInForce
from engine.model.venue import OrderCommand, VenueStatus
from engine.venues.generic import GenericVenue, parse
from engine.venues.generic.desk import Cursor, Mark
from engine.venues.generic.refusals import typed_error
from tests.venues.generic.conftest import generic
from tests.wire.accounts import StaticCredentials
from tests.wire.faults import Fault

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from typing import Any

    from tests.venues.generic.conftest import GenericHarness


class RateLimitExceeded(Exception):
    """As ccxt names it."""


MAIN = AccountId("main")
BTC = Instrument(
    id=InstrumentId("X:BTC/USDT"),
    venue=VenueId("X"),
    symbol="BTC/USDT",
    kind=InstrumentKind.SPOT,
    base=Currency("BTC"),
    quote=Currency("USDT"),
    settle=Currency("USDT"),
    rules=(InstrumentRules(valid_from=0, price_tick=Decimal("0.01"), lot=Decimal("0.001")),),
)


@pytest.fixture
async def h() -> AsyncIterator[GenericHarness]:
    async with generic("binance") as made:
        yield made


def command(h: GenericHarness, client_id: str, kind: OrderType = OrderType.LIMIT) -> OrderCommand:
    return OrderCommand(
        client_id=ClientOrderId(client_id),
        account=h.account,
        instrument=h.instrument.id,
        side=OrderSide.BUY,
        type=kind,
        quantity=h.size,
        price=Decimal(30_000) if kind is OrderType.LIMIT else None,
    )


async def test_a_stream_that_is_given_up_comes_back_when_everything_could_be_asked(h: GenericHarness) -> None:
    compared: list[None] = []
    h.venue.missed = lambda: compared.append(None)
    line = h.venue.lines[h.account]
    assert line.stream is not None
    line.stream.renew("it was silent")
    line.on_down("it was silent")
    assert h.venue.status is VenueStatus.OFFLINE
    assert line.stream.health().reason == "it was silent"
    await h.until(lambda: h.venue.status is VenueStatus.ONLINE)
    assert compared == [None]
    assert line.stream.health().reconnects == 1


async def test_an_order_without_an_answer_is_known_after_the_venue_was_closed_and_opened(h: GenericHarness) -> None:
    h.simulator.faults.arm(Fault.RESET_AFTER, where="POST /api/v3/order")
    with pytest.raises(UnknownOutcomeError):
        await h.call(h.venue.place(command(h, "asked1")))
    await h.call(h.venue.close())
    await h.call(h.venue.start(h._hear, h._see))
    with pytest.raises(UnknownOutcomeError):
        await h.call(h.venue.place(command(h, "asked1")))
    assert h.simulator.counts["POST /api/v3/order"] == 1
    await h.until(lambda: any(isinstance(e, OrderAccepted) and e.client_id == "asked1" for _, e in h.events))


@pytest.mark.parametrize("kind", ["binance", "coinbase"])
async def test_an_order_that_was_refused_for_too_many_requests_leaves_again_under_its_id(kind: str) -> None:
    async with generic(kind) as h:
        h.simulator.faults.arm(Fault.RATE_LIMIT, where="POST", delay_s=1.0)
        with pytest.raises(ExchangeRateLimitError) as caught:
            await h.call(h.venue.place(command(h, "again1")))
        # Coinbase answers with a page.
        assert "<" not in caught.value.message
        await h.rest(2)
        await h.call(h.venue.place(command(h, "again1")))
        assert h.exchange.ledger.find(h.account, "again1") is not None
        with pytest.raises(UnknownOutcomeError, match="is the order"):
            await h.call(h.venue.place(command(h, "again1")))


async def test_an_order_of_an_earlier_process_is_looked_for_where_the_books_have_it(h: GenericHarness) -> None:
    await h.call(h.venue.place(command(h, "bought1", OrderType.MARKET)))
    await h.until(lambda: any(isinstance(e, OrderFilled) for _, e in h.events))
    await h.restart()
    assert await h.call(h.venue.order(h.account, ClientOrderId("bought1"))) is None, "nobody says where it was"
    h.venue.where = {ClientOrderId("bought1"): h.instrument.id}.get
    found = await h.call(h.venue.order(h.account, ClientOrderId("bought1")))
    assert found is not None
    assert (found.status, found.filled) == (OrderStatus.FILLED, h.size)


async def test_an_order_that_was_taken_and_is_not_shown_is_not_denied(h: GenericHarness) -> None:
    h.simulator.faults.arm(Fault.LATE_VISIBLE, delay_s=20.0)
    await h.call(h.venue.place(command(h, "late1")))
    with pytest.raises(NotVisibleYetError, match="which it has taken"):
        await h.call(h.venue.order(h.account, ClientOrderId("late1")))
    await h.rest(21)
    found = await h.call(h.venue.order(h.account, ClientOrderId("late1")))
    assert found is not None


async def test_a_long_time_is_asked_for_in_spans_that_the_exchange_allows(h: GenericHarness) -> None:
    await h.call(h.venue.place(command(h, "bought1", OrderType.MARKET)))
    await h.until(lambda: any(isinstance(e, OrderFilled) for _, e in h.events))
    now, day = h.clock.now() // 10**6, 86_400_000
    before = len(h.simulator.requests)
    fills = await h.call(h.venue._questions[h.account].executions(h.instrument, now - 3 * day - 1))
    assert {fill.client_id for fill in fills} == {"bought1"}
    asked = [
        parse_qs(request.query) for request in list(h.simulator.requests)[before:] if request.path.endswith("/myTrades")
    ]
    spans = [(int(q["startTime"][0]), int(q["endTime"][0])) for q in asked if "endTime" in q]
    assert spans == [(now - n * day - 1, now - (n - 1) * day - 1) for n in (3, 2, 1)]


async def test_requests_and_streams_cannot_go_to_two_exchanges(h: GenericHarness) -> None:
    for some in ({"rest": h.simulator.rest}, {"rest": h.simulator.rest, "public": h.simulator.ws}):
        options = msgspec.structs.replace(h.venue.options, addresses=some)
        with pytest.raises(ConfigurationError, match="through ccxt a venue has rest and ws"):
            GenericVenue(options, StaticCredentials(), h.clock, coordinator=h.coordinators[0])


def test_a_page_is_told_in_words_and_a_comparison_is_no_markup() -> None:
    page = RateLimitExceeded(
        "coinbase POST https://x/orders 429 Too Many <html>\n <head><title>Slow down</title></head></html>"
    )
    told = typed_error(BTC.venue, page, "create order", changes=True)
    assert told.message == "X did not carry out create order: coinbase POST https://x/orders 429 Too Many Slow down"
    assert str(told.details["words"]) in told.message
    bounds = typed_error(BTC.venue, RuntimeError("size must be <= 5 and >= 1"), "create order", changes=True)
    assert "size must be <= 5 and >= 1" in bounds.message


def test_a_cursor_of_an_earlier_release_is_read_on_from() -> None:
    read = Cursor.read('{"markets":{"X:BTC/USDT":[1790000000000,["7"]]}}')
    assert read == Cursor({BTC.id: Mark(1_790_000_000_000, ["7"])})
    assert Cursor.read(read.text()) == read


# --- what ccxt tells -------------------------------------------------------------------------------------------------


def told(**fields: Any) -> dict[str, Any]:
    return {
        "id": "9", "clientOrderId": "a1", "symbol": "BTC/USDT", "side": "buy", "type": "limit", "amount": "2",
        "price": "100", "filled": "0", "status": "open", "timestamp": 1_790_000_000_000, **fields,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, OrderStatus.ACCEPTED),
        ({"filled": None}, OrderStatus.ACCEPTED),
        ({"filled": "1"}, OrderStatus.PARTIALLY_FILLED),
        ({"status": "closed", "filled": "2"}, OrderStatus.FILLED),
        ({"status": "closed", "filled": "1"}, OrderStatus.CANCELED),
        ({"status": "canceled", "filled": "1"}, OrderStatus.CANCELED),
        ({"status": "canceled", "filled": "2"}, OrderStatus.FILLED),
        ({"status": "canceled", "timeInForce": "IOC"}, OrderStatus.EXPIRED),
        ({"status": "canceled", "type": "market"}, OrderStatus.EXPIRED),
        ({"status": "rejected", "filled": None}, OrderStatus.REJECTED),
    ],
)
def test_an_order_is_where_its_executions_say(fields: dict[str, Any], status: OrderStatus) -> None:
    order = parse.order(told(**fields), MAIN, BTC)
    assert order is not None
    assert order.status is status


@pytest.mark.parametrize(
    "fields", [{"amount": None}, {"id": None}, {"side": None}, {"status": "closed", "filled": None}]
)
def test_an_order_of_which_the_essential_is_missing_is_not_read(fields: dict[str, Any]) -> None:
    assert parse.order(told(**fields), MAIN, BTC) is None


def test_what_is_missing_is_taken_from_what_was_asked() -> None:
    asked = OrderCommand(
        client_id=ClientOrderId("a1"), account=MAIN, instrument=BTC.id, side=OrderSide.SELL, type=OrderType.LIMIT,
        quantity=Decimal(3), price=Decimal(90), tif=TimeInForce.FOK,
    )  # fmt: skip
    order = parse.order(told(amount=None, side=None, status="canceled"), MAIN, BTC, asked)
    assert order is not None
    assert (order.quantity, order.side, order.status) == (Decimal(3), OrderSide.SELL, OrderStatus.EXPIRED)


@pytest.mark.parametrize("name", ["amount", "filled", "price"])
def test_a_float_is_refused(name: str) -> None:
    with pytest.raises(DataValidationError, match="as a float"):
        parse.order(told(**{name: 0.1}), MAIN, BTC)


async def test_what_ccxt_rounds_by_stays_its_own(h: GenericHarness) -> None:
    before = getcontext().rounding
    book = await h.call(h.venue.book(h.instrument.id, 1))
    command = OrderCommand(
        client_id=ClientOrderId("rounds1"), account=h.account, instrument=h.instrument.id, side=OrderSide.BUY,
        type=OrderType.LIMIT, quantity=h.size,
        price=h.instrument.round_price(h.instrument.price_from_int(book.bids[0][0]) * Decimal("0.9"), up=False),
    )  # fmt: skip
    await h.call(h.venue.place(command))
    assert getcontext().rounding == before

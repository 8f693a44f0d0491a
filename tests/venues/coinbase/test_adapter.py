"""What Coinbase does differently, against the simulated exchange with its faults."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.clock import SimulatedClock
from engine.errors import (
    AuthenticationError,
    ConfigurationError,
    ExchangeConnectionError,
    ExchangeRateLimitError,
    NotFoundError,
    NotVisibleYetError,
    UnknownOutcomeError,
)
from engine.model.ids import AccountId, ClientOrderId, InstrumentId
from engine.model.market import BookUpdate, FeedStatus, MarketTrade, OrderBook
from engine.model.order import OrderSide, OrderStatus, OrderType, TimeInForce
from engine.model.venue import AMEND_UNSUPPORTED, OrderCommand, VenueStatus
from engine.venues.coinbase import parse
from engine.venues.coinbase.venue import CoinbaseVenue
from engine.venues.limits.coordinator import Coordinator
from engine.venues.native import witness
from engine.venues.native.options import VenueOptions
from tests.venues.coinbase.conftest import CoinbaseHarness, build
from tests.wire.accounts import StaticCredentials
from tests.wire.coinbase import simulator as sim
from tests.wire.faults import Fault
from tests.wire.harness import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.events import VenueEvent
    from tests.wire.certificates import TestAuthority

D = Decimal
BTC, USDC = InstrumentId("COINBASE:BTC/USD"), InstrumentId("COINBASE:BTC/USDC")
PLACE, LIST = "POST /api/v3/brokerage/orders", "orders/historical/batch"


def order(client_id: str, side: str = "buy", type_: str = "limit", **more: Any) -> OrderCommand:
    fields: dict[str, Any] = {
        "client_id": ClientOrderId(client_id),
        "account": sim.MAIN,
        "instrument": BTC,
        "side": OrderSide(side),
        "type": OrderType(type_),
        "quantity": D("0.01"),
    }
    if type_ == "limit":
        fields["price"] = D("20000")
    return OrderCommand(**{**fields, **more})


def heard(h: CoinbaseHarness, client_id: str) -> list[VenueEvent]:
    return [e for _, e in h.events if (e.fill if isinstance(e, ev.OrderFilled) else e).client_id == client_id]


def kinds(h: CoinbaseHarness, client_id: str) -> list[str]:
    return [type(e).__name__ for e in heard(h, client_id)]


async def lost(h: CoinbaseHarness, command: OrderCommand) -> None:
    """Send an order whose answer never comes."""
    with pytest.raises(UnknownOutcomeError):
        await h.call(h.venue.place(command))


# --- an order whose answer is lost -----------------------------------------------------------------------------------


async def test_an_order_accepted_without_an_answer_is_reported_and_found(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.faults.arm(Fault.RESET_AFTER, where=PLACE)
    await lost(h, order("Qlost", type_="market"))
    found = await h.call(h.venue.order(sim.MAIN, ClientOrderId("Qlost")))
    assert found is not None
    assert (found.status, found.filled, found.type) == (OrderStatus.FILLED, D("0.01"), OrderType.MARKET)
    await h.until(lambda: sum(e.fill.quantity for e in heard(h, "Qlost") if isinstance(e, ev.OrderFilled)) == D("0.01"))
    assert kinds(h, "Qlost")[0] == "OrderAccepted"
    assert len(list(h.exchange.ledger.orders())) == 1


async def test_an_order_that_is_listed_late_is_not_taken_for_lost(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.faults.arm(Fault.LATE_VISIBLE, where=PLACE, delay_s=25)
    h.exchange.faults.arm(Fault.RESET_AFTER, where=PLACE)
    await lost(h, order("Qlate"))
    for _ in range(3):
        with pytest.raises(NotVisibleYetError) as caught:
            await h.call(h.venue.order(sim.MAIN, ClientOrderId("Qlate")))
        assert caught.value.error_code == "not_visible_yet"
    await h.rest(26)
    found = await h.call(h.venue.order(sim.MAIN, ClientOrderId("Qlate")))
    assert found is not None
    assert found.status is OrderStatus.ACCEPTED
    assert kinds(h, "Qlate") == ["OrderAccepted"]


async def test_a_request_that_never_arrived_is_not_found_30_s_after_its_deadline(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.faults.arm(Fault.LOST_REQUEST, where=PLACE)
    await lost(h, order("Qgone"))
    sent = h.clock.now()
    found: object = ""
    while found == "":
        try:
            found = await h.call(h.venue.order(sim.MAIN, ClientOrderId("Qgone")))
        except UnknownOutcomeError:
            await h.rest(4)
    assert found is None
    # The deadline is the timeout of 5 s from the sending.
    assert h.clock.now() - sent >= 35 * 10**9
    assert h.venue.capabilities.visibility_delay_s == 35


async def test_a_listing_that_ends_early_is_no_evidence(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.faults.arm(Fault.LOST_REQUEST, where=PLACE)
    await lost(h, order("Qgone"))
    await h.rest(1)
    await h.call(h.venue.place(order("Qone")))
    await h.call(h.venue.place(order("Qtwo")))
    await h.rest(60)
    h.exchange.faults.arm(Fault.CUT_LISTING, None, where=LIST)
    for _ in range(3):
        # It holds one of two orders that are known to exist, and says that it is whole.
        with pytest.raises(UnknownOutcomeError) as caught:
            await h.call(h.venue.order(sim.MAIN, ClientOrderId("Qgone")))
        assert caught.value.error_code == "listing_cut"
    h.exchange.faults.disarm(Fault.CUT_LISTING)
    with pytest.raises(UnknownOutcomeError) as caught:
        await h.call(h.venue.order(sim.MAIN, ClientOrderId("Qgone")))
    assert caught.value.error_code == "not_visible_yet"
    assert await h.call(h.venue.order(sim.MAIN, ClientOrderId("Qgone"))) is None


async def test_after_a_restart_orders_are_cancelled_and_looked_up_by_our_id(harness: CoinbaseHarness) -> None:
    h = harness
    await h.call(h.venue.place(order("Qrest")))
    await h.call(h.venue.place(order("Qdone", type_="market")))
    await h.until(lambda: "OrderFilled" in kinds(h, "Qdone"))
    await h.restart()
    done = await h.call(h.venue.order(sim.MAIN, ClientOrderId("Qdone")))
    assert done is not None
    assert done.status is OrderStatus.FILLED
    h.events.clear()
    await h.call(h.venue.cancel(sim.MAIN, ClientOrderId("Qrest")))
    await h.until(lambda: "OrderCanceled" in kinds(h, "Qrest"))
    fills, _ = await h.call(h.venue.fills_since(sim.MAIN, ""))
    assert {fill.client_id for fill in fills} == {"Qdone"}


async def test_a_late_order_blocks_the_cancel_until_it_is_known(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.faults.arm(Fault.LATE_VISIBLE, where=PLACE, delay_s=20)
    h.exchange.faults.arm(Fault.RESET_AFTER, where=PLACE)
    await lost(h, order("Qlate"))
    with pytest.raises(UnknownOutcomeError):
        await h.call(h.venue.cancel(sim.MAIN, ClientOrderId("Qlate")))
    assert heard(h, "Qlate") == []
    await h.rest(21)
    await h.call(h.venue.cancel(sim.MAIN, ClientOrderId("Qlate")))
    await h.until(lambda: "OrderCanceled" in kinds(h, "Qlate"))


# --- refusals --------------------------------------------------------------------------------------------------------


async def test_missing_funds_inside_http_200_are_a_rejection_with_the_raw_code(harness: CoinbaseHarness) -> None:
    h = harness
    await h.call(h.venue.place(order("Qpoor", quantity=D(100))))
    (event,) = heard(h, "Qpoor")
    assert isinstance(event, ev.OrderRejected)
    assert event.code == "PREVIEW_INSUFFICIENT_FUND"


async def test_too_many_requests_in_html_did_nothing_and_say_for_how_long(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.faults.arm(Fault.RATE_LIMIT, where=PLACE, delay_s=3)
    with pytest.raises(ExchangeRateLimitError) as caught:
        await h.call(h.venue.place(order("Qmany")))
    assert caught.value.details["retry_after_ms"] == 3000
    assert h.venue.health().paused_until > h.clock.now()
    assert list(h.exchange.ledger.orders()) == []
    await h.rest(4)
    await h.call(h.venue.place(order("Qmany")))
    assert kinds(h, "Qmany") == ["OrderAccepted"]


async def test_maintenance_leaves_the_outcome_open_and_shows_until_it_is_over(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.faults.arm(Fault.MAINTENANCE, 2)
    await lost(h, order("Qdown"))
    # A page of status 503 alone may be one server's bad moment: the second answer decides.
    await h.until(lambda: h.venue.status is VenueStatus.MAINTENANCE)
    await h.until(lambda: h.venue.status is VenueStatus.ONLINE)
    assert await h.call(h.venue.balances(sim.MAIN))


async def test_one_page_of_status_503_is_no_maintenance(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.faults.arm(Fault.MAINTENANCE)
    with pytest.raises(ExchangeConnectionError):
        await h.call(h.venue.balances(sim.MAIN))
    await h.rest(1)
    assert h.venue.status is VenueStatus.ONLINE
    assert await h.call(h.venue.balances(sim.MAIN))


async def test_a_key_that_has_expired_refuses_orders_and_says_so(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.keys.of(sim.MAIN).expired = True
    await h.call(h.venue.place(order("Qkey")))
    (event,) = heard(h, "Qkey")
    assert isinstance(event, ev.OrderRejected)
    assert "key" in event.reason
    with pytest.raises(AuthenticationError):
        await h.call(h.venue.permissions(sim.MAIN))
    h.simulator.cut()
    await h.until(lambda: h.venue.status is not VenueStatus.ONLINE)
    await h.rest(5)
    assert h.venue.status is VenueStatus.OFFLINE
    h.exchange.keys.of(sim.MAIN).expired = False
    await h.until(lambda: h.venue.status is VenueStatus.ONLINE)


async def test_a_clock_that_has_jumped_is_not_a_wrong_key(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.skew_ns = -300 * 10**9
    await h.call(h.venue.place(order("Qskew")))
    assert kinds(h, "Qskew") == ["OrderAccepted"]
    assert h.venue.health().clock_offset_ms == pytest.approx(-300_000, abs=2000)
    assert len(list(h.exchange.ledger.orders())) == 1
    h.exchange.faults.arm(Fault.CLOCK_SKEW, where=PLACE)
    await h.call(h.venue.place(order("Qonce")))
    assert kinds(h, "Qonce") == ["OrderRejected"]


async def test_a_market_connection_that_fails_again_and_again_is_left_in_peace(harness: CoinbaseHarness) -> None:
    h = harness
    await h.call(h.venue.watch([BTC]))
    await h.until(lambda: h.market)
    began, before = h.clock.now(), h.simulator.connections
    h.exchange.faults.arm(Fault.GAP, None, where="l2_data_update")
    await h.rest(60)
    assert h.clock.now() - began >= 60 * 10**9
    assert h.simulator.connections - before < 30
    h.exchange.faults.disarm()
    h.market.clear()
    await h.until(lambda: len([e for e in h.market if isinstance(e, BookUpdate)]) > 10)


async def test_a_wrong_key_is_told_at_the_start(authority: TestAuthority) -> None:
    clock = SimulatedClock(START)
    server = sim.make(clock)
    server.exchange.keys.of(sim.MAIN).expired = True
    await server.start(authority)
    h = CoinbaseHarness(server, lambda: build(server, clock, authority), clock, sim.MAIN, BTC, D("0.005"))
    try:
        with pytest.raises(AuthenticationError):
            await h.start()
    finally:
        await h.close()


async def test_a_product_that_only_cancels_refuses_new_orders(harness: CoinbaseHarness) -> None:
    h = harness
    h.simulator.flags["BTC-USD"] = {"cancel_only": True}
    h.venue.catalogue.loaded = 0
    await h.call(h.venue.instruments())
    await h.call(h.venue.place(order("Qclosed")))
    (event,) = heard(h, "Qclosed")
    assert isinstance(event, ev.OrderRejected)
    assert event.code == "closed"
    assert list(h.exchange.ledger.orders()) == []


# --- orders ----------------------------------------------------------------------------------------------------------


async def test_a_stop_without_a_price_rests_as_a_stop_limit_within_the_collar(harness: CoinbaseHarness) -> None:
    h = harness
    await h.call(h.venue.place(order("Qbuy", type_="market")))
    await h.until(lambda: "OrderFilled" in kinds(h, "Qbuy"))
    stop = order("Qstop", "sell", "stop_loss", stop_price=D("30000"))
    await h.call(h.venue.place(stop))
    there = h.exchange.ledger.find(sim.MAIN, "Qstop")
    assert there is not None
    assert (there.price, there.stop_price) == (D(28500), D(30000))
    found = await h.call(h.venue.order(sim.MAIN, ClientOrderId("Qstop")))
    assert found is not None
    assert (found.type, found.price, found.stop_price) == (OrderType.STOP_LOSS, None, D(30000))
    await h.call(h.venue.amend(sim.MAIN, ClientOrderId("Qstop"), quantity=D("0.005")))
    refused = heard(h, "Qstop")[-1]
    assert isinstance(refused, ev.OrderCancelRejected)
    assert refused.code == AMEND_UNSUPPORTED


async def test_a_change_is_told_once_and_one_from_elsewhere_too(harness: CoinbaseHarness) -> None:
    h = harness
    await h.call(h.venue.place(order("Qedit")))
    await h.until(lambda: h.simulator.sockets)
    await h.rest(1)
    await h.call(h.venue.amend(sim.MAIN, ClientOrderId("Qedit"), price=D("21000")))
    await h.rest(1)
    assert kinds(h, "Qedit") == ["OrderAccepted", "OrderAmended"]
    h.exchange.amend(sim.MAIN, "Qedit", quantity=D("0.02"))
    await h.until(lambda: len(heard(h, "Qedit")) == 3)
    changed = heard(h, "Qedit")[-1]
    assert isinstance(changed, ev.OrderAmended)
    assert (changed.quantity, changed.price) == (D("0.02"), D("21000"))


async def test_executions_come_before_the_end_of_their_order(
    harness: CoinbaseHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Simulated time runs ahead of a busy machine's sockets: a stream taken for dead would be renewed, and the end lost.
    monkeypatch.setattr(witness, "GRACE_NS", 3_600_000_000_000)
    h, name = harness, ""
    for number in range(20):
        name = f"Qioc{number}"
        book = await h.call(h.venue.book(BTC, 1))
        price = h.instrument.price_from_int(book.asks[0][0])
        # More than any price has room for; the market may have gone up since the look, and then nothing is executed.
        await h.call(h.venue.place(order(name, price=price, quantity=D("1.4"), tif=TimeInForce.IOC)))
        placed = h.exchange.ledger.find(sim.MAIN, name)
        assert placed is not None
        if placed.fills:
            break
    await h.until(lambda: "OrderExpired" in kinds(h, name))
    told = kinds(h, name)
    assert told[0] == "OrderAccepted"
    assert set(told[1:-1]) == {"OrderFilled"}
    assert told[-1] == "OrderExpired"


async def test_an_execution_that_cannot_be_read_keeps_no_other_waiting(
    harness: CoinbaseHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    h = harness
    row = parse.fill

    def fill(told: Any, *rest: Any) -> Any:
        if told.size == "0.002":
            raise ValueError("not understood")
        return row(told, *rest)

    monkeypatch.setattr(parse, "fill", fill)
    await h.call(h.venue.place(order("Qbad", type_="market", quantity=D("0.002"))))
    await h.call(h.venue.place(order("Qgood", type_="market", quantity=D("0.001"))))
    await h.until(lambda: "OrderFilled" in kinds(h, "Qgood"))
    assert "OrderFilled" not in kinds(h, "Qbad")


async def test_all_open_orders_are_told_when_the_stream_begins_in_pages(harness: CoinbaseHarness) -> None:
    h = harness
    for number in range(60):
        h.exchange.place(order(f"Q{number}", quantity=D("0.001")), {"order_configuration": {"limit_limit_gtc": {}}})
    h.simulator.cut()
    await h.until(lambda: len({e.client_id for _, e in h.events if isinstance(e, ev.OrderAccepted)}) == 60)
    assert len(await h.call(h.venue.open_orders(sim.MAIN))) == 60


# --- streams ---------------------------------------------------------------------------------------------------------


async def test_a_missing_private_message_makes_the_stream_begin_anew(harness: CoinbaseHarness) -> None:
    h = harness
    compared: list[int] = []
    h.venue.missed = lambda: compared.append(1)
    h.exchange.faults.arm(Fault.GAP, where="user_update")
    await h.call(h.venue.place(order("Qgap", type_="market")))
    await h.call(h.venue.place(order("Qnext")))
    await h.until(lambda: compared)
    await h.until(lambda: h.venue.status is VenueStatus.ONLINE)
    # What was missed is found by the comparison that was asked for.
    found = await h.call(h.venue.order(sim.MAIN, ClientOrderId("Qgap")))
    assert found is not None
    assert "OrderFilled" in kinds(h, "Qgap")


@pytest.mark.parametrize("kind", [Fault.DUPLICATE, Fault.REORDER, Fault.LATE])
async def test_a_message_twice_or_late_changes_nothing(harness: CoinbaseHarness, kind: Fault) -> None:
    h = harness
    h.exchange.faults.arm(kind, 2, where="user_update", delay_s=0.2)
    for number in range(3):
        await h.call(h.venue.place(order(f"Q{number}", type_="market", quantity=D("0.001"))))

    def filled(number: int) -> Decimal:
        return sum((e.fill.quantity for e in heard(h, f"Q{number}") if isinstance(e, ev.OrderFilled)), D(0))

    async def looked_up() -> None:
        # After a gap the engine compares; looking an order up tells its executions.
        for number in range(3):
            await h.call(h.venue.order(sim.MAIN, ClientOrderId(f"Q{number}")))

    await h.rest(3)
    await looked_up()
    assert [filled(number) for number in range(3)] == [D("0.001")] * 3
    keys = [e.fill.key for _, e in h.events if isinstance(e, ev.OrderFilled)]
    assert len(keys) == len(set(keys))


async def test_a_missing_market_message_brings_new_snapshots(harness: CoinbaseHarness) -> None:
    h = harness
    await h.call(h.venue.watch([BTC, InstrumentId("COINBASE:ETH/USD")]))
    await h.until(lambda: len(h.market) > 20)
    h.exchange.faults.arm(Fault.GAP, where="l2_data_update")
    await h.until(lambda: any(isinstance(e, FeedStatus) and not e.live for e in h.market))
    lost_at = len(h.market)
    await h.until(
        lambda: len({e.instrument for e in h.market[lost_at:] if isinstance(e, BookUpdate) and e.snapshot}) == 2
    )
    await h.rest(1)
    for name in (BTC, InstrumentId("COINBASE:ETH/USD")):
        books = [e for e in h.market[lost_at:] if isinstance(e, BookUpdate) and e.instrument == name]
        kept = OrderBook(name)
        assert books[0].snapshot
        assert all(kept.apply(update) for update in books)
    assert [e.live for e in h.market if isinstance(e, FeedStatus)] == [False, False, True, True]


async def test_dollar_and_stablecoin_markets_share_a_book_and_each_hears_of_it(harness: CoinbaseHarness) -> None:
    h = harness
    await h.call(h.venue.watch([BTC]))
    await h.until(lambda: len(h.market) > 5)
    await h.call(h.venue.watch([USDC]))

    def updates(name: InstrumentId) -> list[BookUpdate]:
        return [e for e in h.market if isinstance(e, BookUpdate) and e.instrument == name]

    await h.until(lambda: len(updates(USDC)) > 10)
    await h.until(lambda: any(isinstance(e, MarketTrade) and e.instrument == USDC for e in h.market))
    one, other = OrderBook(BTC), OrderBook(USDC)
    assert all(one.apply(update) for update in updates(BTC))
    assert all(other.apply(update) for update in updates(USDC))
    assert (one.bids, one.asks) == (other.bids, other.asks)
    await h.call(h.venue.unwatch([BTC]))
    seen = len(updates(USDC))
    h.market.clear()
    await h.until(lambda: len(updates(USDC)) > 3)
    assert updates(BTC) == []
    assert seen > 10


async def test_a_silent_private_stream_is_found_out(harness: CoinbaseHarness) -> None:
    h = harness
    h.exchange.faults.arm(Fault.PRIVATE_SILENT, where="user_update")
    before = h.simulator.connections
    await h.call(h.venue.place(order("Qquiet")))
    await h.until(lambda: h.simulator.connections > before)
    await h.until(lambda: h.venue.status is VenueStatus.ONLINE)


# --- the rest --------------------------------------------------------------------------------------------------------


async def test_candles_come_in_as_many_pages_as_it_takes(harness: CoinbaseHarness) -> None:
    h = harness
    found = await h.call(h.venue.candles(BTC, "1m", limit=500))
    assert len(found) == 500
    assert {b.ts - a.ts for a, b in pairwise(found)} == {60_000_000_000}
    assert h.simulator.counts["GET /api/v3/brokerage/market/products/{product_id}/candles"] == 2


async def test_prices_and_rights_are_told(harness: CoinbaseHarness) -> None:
    h = harness
    await h.until(lambda: h.exchange.tapes[BTC].trades)
    trades = await h.call(h.venue.trades(BTC, 10))
    assert [t.ts for t in trades] == sorted(t.ts for t in trades)
    (ticker,) = await h.call(h.venue.tickers([BTC]))
    assert ticker.last == h.instrument.price_from_int(h.exchange.tapes[BTC].trades[-1].price)
    rights = await h.call(h.venue.permissions(sim.MAIN))
    assert (rights.read, rights.trade, rights.withdraw) == (True, True, False)
    rules = h.instrument.current_rules
    assert (rules.maker_fee, rules.taker_fee) == (D("0.004"), D("0.006"))
    with pytest.raises(NotFoundError):
        await h.call(h.venue.candles(InstrumentId("COINBASE:NO/SUCH"), "1m"))
    health = h.venue.health()
    assert {stream.name for stream in health.streams} == {"private main 1"}
    assert health.clock_offset_ms is not None
    assert 0 < max(health.limits.values()) <= 1


async def test_two_accounts_trade_side_by_side_one_with_each_kind_of_key(authority: TestAuthority) -> None:
    clock = SimulatedClock(START)
    server = sim.make(clock)
    await server.start(authority)
    accounts = (sim.MAIN, sim.SECOND)
    h = CoinbaseHarness(
        server, lambda: build(server, clock, authority, accounts=accounts), clock, sim.MAIN, BTC, D("0.005")
    )
    await h.start()
    try:
        await h.call(h.venue.place(order("Qone")))
        await h.call(h.venue.place(order("Qtwo", account=sim.SECOND)))
        await h.rest(1)
        assert [(account, type(e).__name__) for account, e in h.events] == [
            (sim.MAIN, "OrderAccepted"),
            (sim.SECOND, "OrderAccepted"),
        ]
        assert [o.client_id for o in await h.call(h.venue.open_orders(sim.SECOND))] == ["Qtwo"]
        assert await h.call(h.venue.order(sim.SECOND, ClientOrderId("Qone"))) is None
    finally:
        await h.close()


@pytest.fixture
async def lookers(authority: TestAuthority) -> AsyncIterator[CoinbaseHarness]:
    clock = SimulatedClock(START)
    server = sim.make(clock)
    await server.start(authority)
    h = CoinbaseHarness(server, lambda: build(server, clock, authority, accounts=()), clock, sim.MAIN, BTC, D("0.005"))
    await h.start()
    yield h
    await h.close()


async def test_without_accounts_prices_need_no_key(lookers: CoinbaseHarness) -> None:
    h = lookers
    assert h.venue.status is VenueStatus.ONLINE
    await h.call(h.venue.watch([BTC]))
    await h.until(lambda: any(isinstance(e, BookUpdate) for e in h.market))
    assert all("orders" not in request.path for request in h.simulator.requests)
    with pytest.raises(NotFoundError):
        await h.call(h.venue.balances(sim.MAIN))


def test_a_testnet_is_refused_with_what_to_do_instead() -> None:
    clock = SimulatedClock(START)
    options = VenueOptions(id=sim.VENUE, accounts=(AccountId("main"),), testnet=True)
    with pytest.raises(ConfigurationError) as caught:
        CoinbaseVenue(options, StaticCredentials(), clock, coordinator=Coordinator(clock))
    assert "read-only session" in caught.value.message


async def test_no_secret_is_written_anywhere(harness: CoinbaseHarness, caplog: pytest.LogCaptureFixture) -> None:
    h = harness
    key = h.exchange.keys.of(sim.MAIN)
    with caplog.at_level(0):
        await h.restart()
        await h.call(h.venue.place(order("Qkey")))
        key.expired = True
        await h.call(h.venue.place(order("Qno")))
        await asyncio.sleep(0)
    said = caplog.text + repr(h.venue.health()) + repr(h.events)
    body = "".join(key.secret.split("\n")[1:-2])
    assert body[:20] not in said
    assert "Bearer" not in said
    assert "eyJ" not in said

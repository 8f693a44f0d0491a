"""Binance spot's adapter over its simulator: two accounts, lost lines, orders of an earlier life."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from engine.clock import SimulatedClock
from engine.errors import ExchangeConnectionError, NotVisibleYetError
from engine.events import OrderCancelRejected, OrderFilled
from engine.model.ids import AccountId, ClientOrderId, InstrumentId
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import OrderCommand, VenueStatus
from engine.venues.binance.spot import BinanceVenue
from engine.venues.limits.coordinator import Coordinator
from engine.venues.native.maintenance import LOOK_S
from engine.venues.native.options import VenueOptions
from tests.wire.faults import Fault
from tests.wire.harness import MAIN, START, WireHarness
from tests.wire.venues import make_simulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.model.credentials import Credentials
    from engine.model.ids import VenueId

SECOND = AccountId("second")
BTC = InstrumentId("BINANCE:BTC/USDT")


@pytest.fixture
async def h() -> AsyncIterator[WireHarness]:
    clock = SimulatedClock(START)
    simulator = make_simulator("binance", clock, rate=20.0)
    simulator.exchange.open_account(SECOND, {"USDT": Decimal(50_000)})
    await simulator.start()

    class Keys:
        def credentials(self, venue: VenueId, account: AccountId) -> Credentials | None:
            return simulator.exchange.keys.of(account).credentials

    options = VenueOptions(
        id=simulator.exchange.venue, accounts=(MAIN, SECOND), testnet=False, addresses=simulator.addresses
    )
    made = WireHarness(
        simulator,
        lambda: BinanceVenue(options, Keys(), clock, coordinator=Coordinator(clock)),
        clock,
        MAIN,
        BTC,
        Decimal("0.01"),
    )
    await made.start()
    yield made
    await made.close()


def venue_of(h: WireHarness) -> BinanceVenue:
    assert isinstance(h.venue, BinanceVenue)
    return h.venue


async def buy(h: WireHarness, client_id: str, account: AccountId = MAIN) -> None:
    command = OrderCommand(
        client_id=ClientOrderId(client_id),
        account=account,
        instrument=BTC,
        side=OrderSide.BUY,
        type=OrderType.MARKET,
        quantity=h.size,
    )
    await h.call(h.venue.place(command))
    await h.until(lambda: any(isinstance(e, OrderFilled) and e.fill.client_id == client_id for _, e in h.events))


async def test_two_accounts_of_one_venue_hear_of_their_own_orders_only(h: WireHarness) -> None:
    await buy(h, "mine", MAIN)
    await buy(h, "yours", SECOND)
    heard = {(account, e.fill.client_id) for account, e in h.events if isinstance(e, OrderFilled)}
    assert heard == {(MAIN, "mine"), (SECOND, "yours")}
    for account, client_id in ((MAIN, "mine"), (SECOND, "yours")):
        fills, _ = await h.call(h.venue.fills_since(account, ""))
        assert {(f.account, f.client_id) for f in fills} == {(account, client_id)}
    names = [s.name for s in h.venue.health().streams]
    assert names == ["private main 1", "private second 1"]


async def test_a_lost_private_line_is_offline_then_compared_then_online(h: WireHarness) -> None:
    states: list[VenueStatus] = []
    venue_of(h).missed = lambda: states.append(h.venue.status)
    for socket in [s for s in h.simulator.sockets if s.private]:
        socket.close()
    await h.until(lambda: len(states) == 2)
    await h.until(lambda: h.venue.status is VenueStatus.ONLINE)
    assert states == [VenueStatus.OFFLINE, VenueStatus.OFFLINE]
    await buy(h, "again")


async def test_an_ended_order_of_an_earlier_life_is_found_where_the_books_say_it_is(h: WireHarness) -> None:
    await buy(h, "old")
    await h.restart()
    venue_of(h).where = {ClientOrderId("old"): BTC}.get
    found = await h.call(h.venue.order(MAIN, ClientOrderId("old")))
    assert found is not None
    assert found.status is OrderStatus.FILLED


async def test_a_quantity_is_lowered_in_place_and_nothing_else(h: WireHarness) -> None:
    book = await h.call(h.venue.book(BTC, 1))
    price = h.instrument.round_price(h.instrument.price_from_int(book.bids[0][0]) * Decimal("0.9"), up=False)
    resting = OrderCommand(
        client_id=ClientOrderId("rest"), account=MAIN, instrument=BTC, side=OrderSide.BUY, type=OrderType.LIMIT,
        quantity=h.size, price=price,
    )  # fmt: skip
    await h.call(h.venue.place(resting))
    await h.call(h.venue.amend(MAIN, resting.client_id, price=price / 2))
    assert isinstance(h.events[-1][1], OrderCancelRejected)
    await h.call(h.venue.amend(MAIN, resting.client_id, quantity=h.size / 2))
    (found,) = await h.call(h.venue.open_orders(MAIN))
    assert [found.client_id, found.quantity] == [resting.client_id, h.size / 2]


async def test_a_market_orders_collar_is_kept(h: WireHarness) -> None:
    book = await h.call(h.venue.book(BTC, 1))
    bid = h.instrument.price_from_int(book.bids[0][0])
    far = OrderCommand(
        client_id=ClientOrderId("collared"), account=MAIN, instrument=BTC, side=OrderSide.BUY, type=OrderType.MARKET,
        quantity=h.size, price=h.instrument.round_price(bid * Decimal("0.9"), up=False),
    )  # fmt: skip
    await h.call(h.venue.place(far))
    found = await h.call(h.venue.order(MAIN, far.client_id))
    assert found is not None
    assert [found.status, found.filled] == [OrderStatus.EXPIRED, Decimal(0)]


async def test_permissions_candles_trades_and_tickers(h: WireHarness) -> None:
    allowed = await h.call(h.venue.permissions(MAIN))
    assert allowed.trade
    candles = await h.call(h.venue.candles(BTC, "1m", limit=30))
    assert len(candles) == 30
    assert [t.instrument for t in await h.call(h.venue.tickers([BTC]))] == [BTC]
    assert len(await h.call(h.venue.trades(BTC, 3))) <= 3
    health = h.venue.health()
    assert health.latency_ms is not None
    assert health.limits["weight_per_minute"] > 0


async def test_maintenance_shows_until_binance_answers_again(h: WireHarness) -> None:
    h.simulator.faults.arm(Fault.MAINTENANCE, where="GET /api/v3/openOrders")
    h.simulator.faults.arm(Fault.MAINTENANCE, where="GET /api/v3/time")
    with pytest.raises(ExchangeConnectionError):
        await h.call(h.venue.open_orders(MAIN))
    assert h.venue.status is VenueStatus.MAINTENANCE
    # The first look finds it still maintained.
    await h.rest(LOOK_S + 1)
    assert h.venue.status is VenueStatus.MAINTENANCE
    await h.until(lambda: h.venue.status is VenueStatus.ONLINE)


async def test_a_venue_that_was_closed_in_maintenance_knows_nothing_of_it_any_more(h: WireHarness) -> None:
    h.simulator.faults.arm(Fault.MAINTENANCE, where="GET /api/v3/openOrders")
    with pytest.raises(ExchangeConnectionError):
        await h.call(h.venue.open_orders(MAIN))
    await h.call(h.venue.close())
    await h.start()
    assert h.venue.status is VenueStatus.ONLINE


async def resting(h: WireHarness, client_id: str) -> None:
    book = await h.call(h.venue.book(BTC, 1))
    bid = h.instrument.price_from_int(book.bids[0][0])
    command = OrderCommand(
        client_id=ClientOrderId(client_id),
        account=MAIN,
        instrument=BTC,
        side=OrderSide.BUY,
        type=OrderType.LIMIT,
        quantity=h.size,
        price=h.instrument.round_price(bid * Decimal("0.9"), up=False),
    )
    await h.call(h.venue.place(command))


async def test_an_order_in_a_halted_market_is_found_after_a_restart(
    h: WireHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await buy(h, "done1")
    await resting(h, "halted1")
    plain = h.simulator._symbol_row  # type: ignore[attr-defined]
    monkeypatch.setattr(h.simulator, "_symbol_row", lambda details: plain(details) | {"status": "HALT"})
    await h.restart()
    venue = venue_of(h)
    venue.where = lambda client_id: BTC
    assert BTC not in {i.id for i in await h.call(venue.instruments())}
    assert [o.client_id for o in await h.call(venue.open_orders(MAIN))] == ["halted1"]
    found = await h.call(venue.order(MAIN, ClientOrderId("done1")))
    assert found is not None
    assert found.status is OrderStatus.FILLED
    assert {f.client_id for f in (await h.call(venue.fills_since(MAIN, "")))[0]} == {"done1"}
    await h.call(venue.cancel(MAIN, ClientOrderId("halted1")))
    assert await h.call(venue.open_orders(MAIN)) == []


async def test_an_order_in_a_market_that_is_not_listed_is_not_taken_for_gone(
    h: WireHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await resting(h, "lost1")
    plain = h.simulator._symbol_row  # type: ignore[attr-defined]
    monkeypatch.setattr(h.simulator, "_symbol_row", lambda details: plain(details) | {"filters": []})
    await h.restart()
    venue = venue_of(h)
    venue.where = lambda client_id: BTC
    with pytest.raises(NotVisibleYetError, match="BTCUSDT"):
        await h.call(venue.open_orders(MAIN))
    with pytest.raises(NotVisibleYetError, match="BTCUSDT"):
        await h.call(venue.order(MAIN, ClientOrderId("lost1")))


async def test_an_execution_that_is_shown_after_a_later_one_is_told_all_the_same(h: WireHarness) -> None:
    _, start = await h.call(h.venue.fills_since(MAIN, ""))
    h.exchange.faults.arm(Fault.LATE_VISIBLE, delay_s=20)
    late = OrderCommand(
        client_id=ClientOrderId("late1"), account=MAIN, instrument=BTC, side=OrderSide.BUY, type=OrderType.MARKET,
        quantity=h.size,
    )  # fmt: skip
    await h.call(h.venue.place(late))
    await buy(h, "next1")
    fills, cursor = await h.call(h.venue.fills_since(MAIN, start))
    assert {f.client_id for f in fills} == {"next1"}
    await h.rest(25)
    fills, cursor = await h.call(h.venue.fills_since(MAIN, cursor))
    assert {f.client_id for f in fills} == {"late1"}
    assert await h.call(h.venue.fills_since(MAIN, cursor)) == ([], cursor)

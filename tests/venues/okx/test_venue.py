"""What is OKX's own about its adapter, over the simulated exchange."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest

from engine.clock import SimulatedClock
from engine.errors import (
    AuthenticationError,
    ExchangeConnectionError,
    NotVisibleYetError,
    UnknownOutcomeError,
    ValidationError,
)
from engine.events import OrderAccepted, OrderCanceled, OrderExpired, OrderFilled, OrderRejected, OrderTriggered
from engine.model.fill import FillCause
from engine.model.ids import ClientOrderId
from engine.model.instrument import InstrumentKind
from engine.model.margin import MarginMode
from engine.model.market import FeedStatus
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import OrderCommand
from engine.venues.okx.account_data import HEDGED
from tests.venues.okx.conftest import OkxHarness, build, wired
from tests.wire.faults import Fault
from tests.wire.harness import START
from tests.wire.okx import market_requests, simulator
from tests.wire.okx.simulator import MAIN

if TYPE_CHECKING:
    from engine.events import VenueEvent
    from engine.model.instrument import Instrument
    from tests.wire.certificates import TestAuthority

_ids = count(1)
BUY, SELL = OrderSide.BUY, OrderSide.SELL


def order(instrument: Instrument, side: OrderSide, kind: OrderType, quantity: Decimal, **more: Any) -> OrderCommand:
    return OrderCommand(
        client_id=ClientOrderId(f"okx{next(_ids)}"),
        account=MAIN,
        instrument=instrument.id,
        side=side,
        type=kind,
        quantity=quantity,
        **more,
    )


def told(h: OkxHarness, command: OrderCommand) -> list[VenueEvent]:
    found = []
    for _, event in h.events:
        name = event.fill.client_id if isinstance(event, OrderFilled) else event.client_id
        if name == command.client_id:
            found.append(event)
    return found


async def send(h: OkxHarness, command: OrderCommand) -> None:
    await h.call(h.venue.place(command))
    await h.until(lambda: told(h, command))


async def buy(h: OkxHarness, instrument: Instrument, quantity: Decimal) -> OrderCommand:
    command = order(instrument, BUY, OrderType.MARKET, quantity)
    await send(h, command)
    await h.until(lambda: sum(e.fill.quantity for e in told(h, command) if isinstance(e, OrderFilled)) == quantity)
    return command


def bid(h: OkxHarness, instrument: Instrument, share: str = "1") -> Decimal:
    book = h.exchange.books[instrument.id]
    return instrument.round_price(instrument.price_from_int(book.best_bid or 0) * Decimal(share), up=False)


async def rest(h: OkxHarness, instrument: Instrument, quantity: Decimal) -> OrderCommand:
    command = order(instrument, BUY, OrderType.LIMIT, quantity, price=bid(h, instrument, "0.9"))
    await send(h, command)
    return command


async def triggered_stop(h: OkxHarness) -> OrderCommand:
    """A stop just below the market that has been triggered and filled."""
    await buy(h, h.instrument, h.size)
    command = order(h.instrument, SELL, OrderType.STOP_LOSS, h.size, stop_price=bid(h, h.instrument, "0.9999"))
    await send(h, command)
    await h.until(lambda: any(isinstance(e, OrderFilled) for e in told(h, command)))
    await h.until(lambda: sum(e.fill.quantity for e in told(h, command) if isinstance(e, OrderFilled)) == h.size)
    return command


# --- stops ------------------------------------------------------------------------------------------------------------


async def test_what_a_stop_becomes_is_told_and_found_under_our_id(harness: OkxHarness) -> None:
    h = harness
    command = await triggered_stop(h)
    reports = told(h, command)
    kinds = [type(event) for event in reports]
    assert kinds[0] is OrderAccepted
    assert kinds.count(OrderTriggered) == 1
    assert kinds.index(OrderTriggered) < kinds.index(OrderFilled)
    streamed = [e.fill for e in reports if isinstance(e, OrderFilled)]
    # The order that it became has another number, and the list of executions names neither of our ids.
    assert {f.venue_order_id for f in streamed} != {reports[0].venue_order_id}  # type: ignore[union-attr]
    found = await h.call(h.venue.order(MAIN, command.client_id))
    assert found is not None
    assert (found.status, found.filled, found.type) == (OrderStatus.FILLED, h.size, OrderType.STOP_LOSS)
    listed, _ = await h.call(h.venue.fills_since(MAIN, ""))
    assert [f.key for f in listed if f.client_id == command.client_id] == [f.key for f in streamed]


async def test_after_a_restart_everything_is_found_without_what_was_known_before(harness: OkxHarness) -> None:
    h = harness
    done = await triggered_stop(h)
    await buy(h, h.instrument, h.size)
    stop = order(h.instrument, SELL, OrderType.STOP_LOSS, h.size / 2, stop_price=bid(h, h.instrument, "0.9"))
    await send(h, stop)
    plain = await rest(h, h.instrument, h.size)
    await h.restart()
    for command, status in (
        (done, OrderStatus.FILLED),
        (stop, OrderStatus.ACCEPTED),
        (plain, OrderStatus.ACCEPTED),
    ):
        found = await h.call(h.venue.order(MAIN, command.client_id))
        assert found is not None
        assert (found.status, found.type) == (status, command.type)
    assert await h.call(h.venue.order(MAIN, ClientOrderId("neverWas"))) is None
    listed, _ = await h.call(h.venue.fills_since(MAIN, ""))
    assert done.client_id in {f.client_id for f in listed}
    for command in (stop, plain):
        await h.call(h.venue.cancel(MAIN, command.client_id))
        await h.until(lambda c=command: isinstance(told(h, c)[-1], OrderCanceled))  # type: ignore[misc]
    assert await h.call(h.venue.open_orders(MAIN)) == []


async def test_a_triggered_stop_that_rests_is_listed_as_the_stop_it_is_and_canceled(harness: OkxHarness) -> None:
    h = harness
    await buy(h, h.instrument, h.size)
    trigger, limit = bid(h, h.instrument, "0.9999"), bid(h, h.instrument, "1.05")
    stop = order(h.instrument, SELL, OrderType.STOP_LOSS, h.size, stop_price=trigger, price=limit)
    await send(h, stop)
    await h.until(lambda: any(isinstance(e, OrderTriggered) for e in told(h, stop)))
    (found,) = await h.call(h.venue.open_orders(MAIN))
    assert (found.client_id, found.type, found.status) == (stop.client_id, OrderType.STOP_LOSS, OrderStatus.ACCEPTED)
    assert found == await h.call(h.venue.order(MAIN, stop.client_id))
    await h.call(h.venue.cancel(MAIN, stop.client_id))
    await h.until(lambda: isinstance(told(h, stop)[-1], OrderCanceled))


async def test_a_stop_is_moved_in_place(harness: OkxHarness) -> None:
    h = harness
    await buy(h, h.instrument, h.size)
    stop = order(h.instrument, SELL, OrderType.STOP_LOSS, h.size, stop_price=bid(h, h.instrument, "0.9"))
    await send(h, stop)
    moved = bid(h, h.instrument, "0.95")
    await h.call(h.venue.amend(MAIN, stop.client_id, stop_price=moved, quantity=h.size / 2))
    await h.until(lambda: len(told(h, stop)) > 1)
    (found,) = await h.call(h.venue.open_orders(MAIN))
    assert (found.stop_price, found.quantity) == (moved, h.size / 2)


async def test_the_dead_mans_switch_spares_stops(harness: OkxHarness) -> None:
    h = harness
    await buy(h, h.instrument, h.size)
    stop = order(h.instrument, SELL, OrderType.STOP_LOSS, h.size, stop_price=bid(h, h.instrument, "0.8"))
    await send(h, stop)
    plain = await rest(h, h.instrument, h.size)
    await h.call(h.venue.countdown(MAIN, 3))
    await h.until(lambda: isinstance(told(h, plain)[-1], OrderCanceled))
    (left,) = await h.call(h.venue.open_orders(MAIN))
    assert left.client_id == stop.client_id


async def test_a_market_order_takes_no_more_than_its_collar_allows(harness: OkxHarness) -> None:
    h = harness
    command = order(h.instrument, BUY, OrderType.MARKET, h.size, price=bid(h, h.instrument, "0.99"))
    await h.call(h.venue.place(command))
    await h.until(lambda: any(isinstance(e, OrderExpired) for e in told(h, command)))
    assert not any(isinstance(e, OrderFilled) for e in told(h, command))


# --- outcomes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.RESET_AFTER, Fault.SERVER_ERROR])
async def test_an_order_without_an_answer_is_unknown_and_found(harness: OkxHarness, fault: Fault) -> None:
    h = harness
    h.simulator.faults.arm(fault, where="trade/order")
    command = order(h.instrument, BUY, OrderType.LIMIT, h.size, price=bid(h, h.instrument, "0.9"))
    with pytest.raises(UnknownOutcomeError):
        await h.call(h.venue.place(command))
    found = await h.call(h.venue.order(MAIN, command.client_id))
    assert found is not None
    assert found.status is OrderStatus.ACCEPTED
    assert h.simulator.counts["POST /api/v5/trade/order"] == 1


async def test_a_request_that_was_too_old_is_repeated_with_the_clock_set(harness: OkxHarness) -> None:
    h = harness
    h.exchange.skew_ns = 45_000_000_000
    command = await rest(h, h.instrument, h.size)
    assert isinstance(told(h, command)[0], OrderAccepted)
    assert len(h.exchange.open(MAIN)) == 1
    offset = h.venue.health().clock_offset_ms
    assert offset is not None
    assert 44_000 < offset < 46_000


async def test_an_order_is_not_carried_out_later_than_its_answer_is_awaited(harness: OkxHarness) -> None:
    h = harness
    # To OKX the order seems to have been under way for longer than the five seconds that it is good for.
    h.exchange.skew_ns = 6_000_000_000
    command = order(h.instrument, BUY, OrderType.LIMIT, h.size, price=bid(h, h.instrument, "0.9"))
    await send(h, command)
    # It was refused for that, and sent again once the clocks agreed.
    assert h.simulator.counts["POST /api/v5/trade/order"] == 2
    assert isinstance(told(h, command)[0], OrderAccepted)
    assert len(h.exchange.open(MAIN)) == 1


async def test_maintenance_shows_until_okx_says_that_it_is_over(harness: OkxHarness) -> None:
    h = harness
    h.simulator.faults.arm(Fault.MAINTENANCE, where="trade/order")
    command = order(h.instrument, BUY, OrderType.LIMIT, h.size, price=bid(h, h.instrument, "0.9"))
    with pytest.raises(ExchangeConnectionError):
        await h.call(h.venue.place(command))
    assert h.venue.status == "maintenance"
    assert h.exchange.open(MAIN) == []
    await h.until(lambda: h.venue.status == "online")
    assert h.simulator.counts["GET /api/v5/system/status"] == 1


async def test_without_the_private_stream_outcomes_are_asked_for(harness: OkxHarness) -> None:
    h = harness
    command = await rest(h, h.instrument, h.size)
    line = h.venue.line(MAIN)
    line.on_down("for the test")
    await h.call(h.venue.amend(MAIN, command.client_id, quantity=2 * h.size))
    await h.call(h.venue.cancel(MAIN, command.client_id))
    assert [type(event).__name__ for event in told(h, command)[1:]] == ["OrderAmended", "OrderCanceled"]


async def test_no_limit_is_exceeded(harness: OkxHarness) -> None:
    h = harness
    for _ in range(12):
        await rest(h, h.instrument, h.size)
        await h.call(h.venue.open_orders(MAIN))
        await h.call(h.venue.balances(MAIN))
    assert not h.simulator.limits.violations
    assert h.simulator.unknown == {}


# --- the account ------------------------------------------------------------------------------------------------------


async def test_the_funding_account_is_part_of_the_balance_and_locked(harness: OkxHarness) -> None:
    h = harness
    h.simulator.funding[MAIN] = {"USDT": Decimal(500), "SOL": Decimal(3)}
    found = {b.currency: (b.total, b.locked) for b in await h.call(h.venue.balances(MAIN))}
    assert found == {"USDT": (Decimal(100_500), Decimal(500)), "SOL": (Decimal(3), Decimal(3))}


async def test_orders_of_swaps_go_with_the_position_that_is_held(harness: OkxHarness) -> None:
    h = harness
    heard: list[tuple[str, str, MarginMode]] = []
    h.venue.mode_moved = lambda *moved: heard.append(moved)
    await h.call(h.venue.set_margin(MAIN, h.perpetual.id, Decimal(5), MarginMode.CROSS))
    command = order(h.perpetual, BUY, OrderType.MARKET, h.perpetual_size, margin_mode=MarginMode.CROSS)
    await send(h, command)
    await h.until(lambda: any(isinstance(e, OrderFilled) for e in told(h, command)))
    (position,) = await h.call(h.venue.positions(MAIN))
    assert (position.margin_mode, position.leverage) == (MarginMode.CROSS, Decimal(5))
    assert heard == [(MAIN, h.perpetual.id, MarginMode.CROSS)], "told once, by whatever shows it first"
    with pytest.raises(ValidationError, match="close it"):
        await h.call(h.venue.set_margin(MAIN, h.perpetual.id, Decimal(5), MarginMode.ISOLATED))
    await h.restart()
    closing = order(h.perpetual, SELL, OrderType.MARKET, h.perpetual_size, reduce_only=True)
    # Whatever it names, the position's own mode holds.
    assert h.venue.mode_of(closing) is MarginMode.CROSS
    await send(h, closing)
    await h.until(lambda: any(isinstance(e, OrderFilled) for e in told(h, closing)))
    assert await h.call(h.venue.positions(MAIN)) == []


async def test_margin_tiers_are_learnt_when_they_matter(harness: OkxHarness) -> None:
    h = harness
    assert h.venue.catalogue.get(h.perpetual.id).current_rules.margin == ()
    await h.call(h.venue.set_margin(MAIN, h.perpetual.id, Decimal(3), MarginMode.ISOLATED))
    tiers = h.venue.catalogue.get(h.perpetual.id).current_rules.margin
    assert [(t.from_quantity, t.max_leverage) for t in tiers] == [
        (Decimal(0), Decimal(100)),
        (Decimal(2001), Decimal(75)),
        (Decimal(6001), Decimal(50)),
    ]


async def test_a_liquidation_is_told_as_nobodys_order(harness: OkxHarness) -> None:
    h = harness
    await h.call(h.venue.set_margin(MAIN, h.perpetual.id, Decimal(50), MarginMode.ISOLATED))
    bought = await buy(h, h.perpetual, h.perpetual_size)
    mark = h.exchange.mark(h.perpetual.id)
    assert mark is not None
    h.exchange.mark_overrides[h.perpetual.id] = mark * Decimal("0.97")

    def forced() -> list[Any]:
        return [e.fill for _, e in h.events if isinstance(e, OrderFilled) and e.fill.cause is not FillCause.TRADE]

    await h.until(forced)
    assert {f.cause for f in forced()} == {FillCause.LIQUIDATION}
    assert bought.client_id not in {f.client_id for f in forced()}
    listed, _ = await h.call(h.venue.fills_since(MAIN, ""))
    assert [f.key for f in listed if f.cause is FillCause.LIQUIDATION] == [f.key for f in forced()]


async def test_funding_is_told_once_with_what_was_paid(authority: TestAuthority) -> None:
    eight = 8 * 3600 * 10**9
    async with wired(authority, start=(START // eight + 1) * eight - 20 * 10**9) as h:
        await buy(h, h.perpetual, h.perpetual_size)
        _, cursor = await h.call(h.venue.funding_since(MAIN, ""))
        paid: list[Any] = []
        h.exchange.funding.append(paid.append)
        await h.until(lambda: paid)
        payments, after = await h.call(h.venue.funding_since(MAIN, cursor))
        (payment,) = payments
        assert (payment.amount, payment.currency, payment.instrument) == (paid[0].amount, "USDT", h.perpetual.id)
        assert payment.amount > 0
        assert payment.ts == pytest.approx(paid[0].ts, abs=10**6)
        assert (await h.call(h.venue.funding_since(MAIN, after)))[0] == []


async def test_an_account_in_long_short_mode_is_refused_with_the_setting(authority: TestAuthority) -> None:
    async with wired(authority, hedged=True) as h:
        swap, server = h.perpetual, h.simulator
        command = order(swap, BUY, OrderType.MARKET, Decimal(1))
        await send(h, command)
        (event,) = told(h, command)
        assert isinstance(event, OrderRejected)
        assert event.reason == HEDGED
        assert server.counts["POST /api/v5/trade/order"] == 0
        assert (await h.call(h.venue.permissions(MAIN))).note == HEDGED
        with pytest.raises(ValidationError, match="posMode"):
            await h.call(h.venue.set_margin(MAIN, swap.id, Decimal(2), MarginMode.CROSS))
        await buy(h, h.instrument, h.size)


@pytest.mark.parametrize(
    ("field", "words"), [("secret", "signature"), ("passphrase", "passphrase"), ("expired", "key")]
)
async def test_a_wrong_key_is_told_at_the_start(authority: TestAuthority, field: str, words: str) -> None:
    clock = SimulatedClock(START)
    server = simulator.make(clock)
    await server.start(authority)
    venue = build(server, clock, authority)
    setattr(server.exchange.keys.of(MAIN), field, True if field == "expired" else "somethingElse")
    h = OkxHarness(server, lambda: venue, clock, MAIN, simulator.INSTRUMENTS[0][0].id, Decimal(1))
    try:
        with pytest.raises(AuthenticationError, match=words) as refused:
            await h.start()
        assert "somethingElse" not in str(refused.value)
    finally:
        await venue.close()
        await server.stop()


async def test_demo_trading_is_marked_on_every_request(authority: TestAuthority) -> None:
    async with wired(authority, demo=True) as h:
        await buy(h, h.instrument, h.size)


# --- streams ----------------------------------------------------------------------------------------------------------


async def test_a_gap_in_a_book_is_noticed_and_healed(harness: OkxHarness) -> None:
    h = harness
    await h.call(h.venue.watch([h.instrument.id]))
    await h.until(lambda: len(h.market) > 20)
    h.market.clear()
    h.simulator.faults.arm(Fault.GAP, where="books")

    def states() -> list[bool]:
        return [e.live for e in h.market if isinstance(e, FeedStatus)]

    await h.until(lambda: states() == [False, True])
    book = h.venue._feed._books.kept["BTC-USDT"]  # type: ignore[union-attr]
    await h.until(lambda: book.live)


async def test_an_upgrade_brings_successors_up_first(harness: OkxHarness) -> None:
    h = harness
    await h.call(h.venue.watch([h.instrument.id]))
    await h.until(lambda: len(h.simulator.sockets) == 4)

    def reconnects() -> int:
        return sum(s.reconnects for s in h.venue.health().streams if not s.name.startswith("candles"))

    before, once = h.simulator.connections, reconnects()
    seen = []
    h.venue.missed = lambda: seen.append("missed")
    h.simulator.upgrade()
    await h.until(lambda: h.simulator.connections == before + 4)
    await h.until(lambda: len(h.simulator.sockets) == 4)
    command = await rest(h, h.instrument, h.size)
    assert isinstance(told(h, command)[0], OrderAccepted)
    assert h.venue.status == "online"
    assert reconnects() == once
    assert seen == []


async def test_a_private_stream_that_breaks_comes_back_and_asks_to_compare(harness: OkxHarness) -> None:
    h = harness
    seen: list[str] = []
    h.venue.missed = lambda: seen.append("missed")
    h.simulator.cut()
    await h.until(lambda: h.venue.status != "online")
    await h.until(lambda: h.venue.status == "online")
    assert seen == ["missed"]
    command = await rest(h, h.instrument, h.size)
    await h.call(h.venue.cancel(MAIN, command.client_id))
    await h.until(lambda: isinstance(told(h, command)[-1], OrderCanceled))


async def test_tickers_and_trades_come_for_what_is_asked(harness: OkxHarness) -> None:
    h = harness
    (one,) = await h.call(h.venue.tickers([h.instrument.id]))
    assert one.instrument == h.instrument.id
    assert one.bid is not None
    assert one.ask is not None
    assert one.bid < one.ask
    every = {t.instrument for t in await h.call(h.venue.tickers())}
    assert every == {i.id for i in await h.call(h.venue.instruments())}
    swaps = [i.id for i in h.venue.catalogue if i.kind is InstrumentKind.LINEAR_PERPETUAL]
    assert {t.instrument for t in await h.call(h.venue.tickers(swaps))} == set(swaps)
    await h.call(h.venue.watch([h.instrument.id]))
    await h.until(lambda: len(h.exchange.tapes[h.instrument.id].trades) >= 3)
    trades = await h.call(h.venue.trades(h.instrument.id, 3))
    assert [t.ts for t in trades] == sorted(t.ts for t in trades)
    assert len(trades) == 3


# --- markets that are not open ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["suspend", "gone"])
async def test_orders_and_executions_in_a_market_that_is_not_open_are_found_after_a_restart(
    harness: OkxHarness, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    h = harness
    done = await buy(h, h.instrument, h.size)
    waiting = await rest(h, h.instrument, h.size)
    plain = market_requests.instrument_row  # type: ignore[attr-defined]

    def closed(*args: Any, **more: Any) -> dict[str, Any]:
        row = plain(*args, **more)
        # What is delisted is not in the list at all; here its row cannot be used.
        return row | ({"tickSz": ""} if state == "gone" else {"state": state})

    monkeypatch.setattr(market_requests, "instrument_row", closed)
    await h.restart()
    assert h.instrument.id not in {i.id for i in await h.call(h.venue.instruments())}
    assert [o.client_id for o in await h.call(h.venue.open_orders(MAIN))] == [waiting.client_id]
    found = await h.call(h.venue.order(MAIN, waiting.client_id))
    assert found is not None
    assert found.status is OrderStatus.ACCEPTED
    fills, _ = await h.call(h.venue.fills_since(MAIN, ""))
    assert {(f.client_id, f.instrument) for f in fills} == {(done.client_id, h.instrument.id)}


async def test_a_cursor_does_not_move_past_an_execution_that_is_not_understood(
    harness: OkxHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    h = harness
    done = await buy(h, h.instrument, h.size)
    with monkeypatch.context() as unknown:
        unknown.setattr(h.venue.catalogue, "by_symbol", lambda symbol: None)
        with pytest.raises(NotVisibleYetError, match="does not list"):
            await h.call(h.venue.fills_since(MAIN, ""))
    fills, _ = await h.call(h.venue.fills_since(MAIN, ""))
    assert [f.client_id for f in fills] == [done.client_id]


async def test_an_execution_that_is_listed_late_below_others_is_still_given_once(
    harness: OkxHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    h = harness
    _, start = await h.call(h.venue.fills_since(MAIN, ""))
    late, seen = await buy(h, h.instrument, h.size), await buy(h, h.instrument, h.size)
    plain = h.venue._pages

    async def cut(*args: Any, **more: Any) -> list[Any]:
        rows = await plain(*args, **more)
        return [row for row in rows if getattr(row, "cl_ord_id", "") != late.client_id]

    with monkeypatch.context() as hidden:
        hidden.setattr(h.venue, "_pages", cut)
        fills, cursor = await h.call(h.venue.fills_since(MAIN, start))
        assert {fill.client_id for fill in fills} == {seen.client_id}
    fills, cursor = await h.call(h.venue.fills_since(MAIN, cursor))
    assert {fill.client_id for fill in fills} == {late.client_id}
    assert await h.call(h.venue.fills_since(MAIN, cursor)) == ([], cursor)


async def test_an_execution_of_an_order_that_is_not_shown_yet_is_asked_for_again(
    harness: OkxHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    h = harness
    done = await triggered_stop(h)
    await h.restart()

    async def hidden(*_: Any) -> None:
        return None

    with monkeypatch.context() as late:
        late.setattr(h.venue, "_order_row", hidden)
        with pytest.raises(NotVisibleYetError, match="does not show yet"):
            await h.call(h.venue.fills_since(MAIN, ""))
    fills, _ = await h.call(h.venue.fills_since(MAIN, ""))
    assert done.client_id in {f.client_id for f in fills}
    assert h.venue.capabilities.visibility_delay_s == h.venue.options.timeout_s + 30

"""What became of orders is found out: by comparing now and then, and after a restart; nothing is booked twice."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.errors import ExchangeConnectionError, NotVisibleYetError, UnknownOutcomeError
from engine.execution.dispatcher import COMPARE_EVERY_S
from engine.execution.ids import ClientIds
from engine.model.ids import ClientOrderId, TradeId
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import EXECUTIONS_MISSING
from tests.execution.house import PAPER, USDT, House, command, fails, never_answers, takes_effect_then_fails, turns

if TYPE_CHECKING:
    from engine.execution.reconcile import Untracked

LOST = UnknownOutcomeError("The venue did not answer.")


@pytest.fixture
async def house() -> House:
    return House()


# --- comparing -------------------------------------------------------------------------------------------------------


async def test_an_execution_that_was_never_reported_is_found_by_comparing(house: House) -> None:
    async with house.running():
        order = house.submit(quantity="2")
        await turns()
        house.venue.silent = True
        house.venue.execute(order.client_id, "0.5")
        await house.clock.advance(COMPARE_EVERY_S)
        assert order.filled == D("0.5")


async def test_an_end_that_was_never_reported_is_found_by_comparing(house: House) -> None:
    async with house.running():
        order = house.submit()
        await turns()
        house.venue.silent = True
        house.venue.end(order.client_id, "by the venue")
        await house.clock.advance(2 * COMPARE_EVERY_S)
        assert (house.status(order), order.reason) == (OrderStatus.CANCELED, "by the venue")


async def test_an_order_whose_executions_are_not_all_listed_is_unknown_until_they_are(house: House) -> None:
    async with house.running():
        order = house.submit(quantity="2")
        await turns()
        house.venue.silent = True
        house.venue.execute(order.client_id, "0.5")
        house.venue.end(order.client_id, "by the venue")
        (fill,) = house.venue.fills
        house.venue.fills.clear()
        why = "SIM says that 0.5 were executed and lists executions of 0."
        missing = fails(NotVisibleYetError(why, error_code=EXECUTIONS_MISSING))
        house.venue.on("order", *[missing] * 3)
        await house.clock.advance(2 * COMPARE_EVERY_S)
        assert (house.status(order), order.reason, order.filled) == (OrderStatus.UNKNOWN, why, D(0))
        house.venue.fills.append(fill)
        await house.clock.advance(2 * COMPARE_EVERY_S)
        assert (house.status(order), order.filled) == (OrderStatus.CANCELED, D("0.5"))


async def test_an_order_that_the_venue_forgot_is_over(house: House) -> None:
    async with house.running():
        order = house.submit()
        await turns()
        house.venue.orders.clear()
        await house.clock.advance(3 * COMPARE_EVERY_S)
        assert house.status(order) is OrderStatus.CANCELED
        assert order.reason == "The venue does not know this order."


async def test_a_comparison_judges_nothing_that_changed_meanwhile(house: House) -> None:
    async with house.running():
        house.venue.silent = True
        await house.clock.advance(COMPARE_EVERY_S - 10)
        order = house.submit()
        house.venue.on("place", takes_effect_then_fails(LOST))
        await turns()
        house.venue.orders.clear()
        await house.clock.advance(10)
        assert order.is_open, "it was placed 10 s before, within the visibility delay"


async def test_a_comparison_that_fails_is_made_again(house: House) -> None:
    async with house.running():
        order = house.submit(quantity="2")
        await turns()
        house.venue.silent = True
        house.venue.on("open_orders", fails(OSError("down")))
        house.venue.execute(order.client_id, "0.5")
        await house.clock.advance(COMPARE_EVERY_S)
        assert order.filled == 0
        await house.clock.advance(COMPARE_EVERY_S)
        assert order.filled == D("0.5")


async def test_orders_of_others_are_shown_while_they_work(house: House) -> None:
    async with house.running():
        stranger = command("web-1")
        house.venue.accept(stranger)
        await house.clock.advance(COMPARE_EVERY_S)
        assert [order.client_id for order in house.state.external_orders.values()] == ["web-1"]
        await house.clock.advance(COMPARE_EVERY_S)
        assert len(house.facts(ev.ExternalOrderSeen)) == 1
        house.venue.end(stranger.client_id)
        await house.clock.advance(COMPARE_EVERY_S)
        assert house.state.external_orders == {}
        assert house.venue.requests("cancel") == []


async def test_an_order_of_ours_that_was_given_up_too_early_is_taken_back(house: House) -> None:
    async with house.running():
        house.venue.on("place", fails(LOST))
        order = house.submit()
        await turns()
        await house.clock.advance(70)
        assert house.status(order) is OrderStatus.REJECTED
        house.venue.silent = True
        house.venue.accept(command(order.client_id))
        await house.clock.advance(COMPARE_EVERY_S)
        assert house.status(order) is OrderStatus.ACCEPTED


# --- after a restart -------------------------------------------------------------------------------------------------


async def restarted(house: House, durable: int | None = None) -> House:
    again = house.crashed(durable)
    await again.dispatcher.recover(again.venue, PAPER)
    return again


async def test_an_intent_that_never_left_is_given_up_after_a_restart(house: House) -> None:
    order = house.submit()
    house.clock.set(house.clock.now() + 40 * 10**9)
    again = await restarted(house)
    assert again.names(order)[-2:] == ["OutcomeUnknown", "Rejected"]
    assert again.state.balance(PAPER, USDT).reserved == 0
    assert again.venue.requests("place") == []


async def test_a_change_whose_answer_was_lost_in_a_crash_holds_funds_only_until_the_venue_is_asked(
    house: House,
) -> None:
    async with house.running():
        order = house.submit(quantity="2", price="90")
        await turns()
    house.desk.amend(order.client_id, quantity=order.quantity * 2)
    again = await restarted(house)
    found = again.state.orders[order.client_id]
    assert (found.quantity, found.pending_amends, found.pending_quantity) == (order.quantity, 0, None)
    assert again.state.balance(PAPER, USDT).reserved == found.reserve_unit * found.quantity


async def test_an_intent_of_which_nobody_knows_whether_it_left_waits_for_the_visibility_delay(house: House) -> None:
    order = house.submit()
    again = house.crashed()
    recovering = asyncio.ensure_future(again.dispatcher.recover(again.venue, PAPER))
    await turns()
    await again.clock.advance(20)
    assert not recovering.done()
    again.venue.silent = True
    again.venue.accept(command(order.client_id))
    await again.clock.advance(31)
    await recovering
    assert again.status(order) is OrderStatus.ACCEPTED
    assert again.venue.requests("place") == []


async def test_everything_that_happened_while_the_engine_was_away_is_booked(house: House) -> None:
    async with house.running():
        rests, fills_up, partly, ends = (house.submit(quantity="2", price=str(90 + n)) for n in range(4))
        await turns()
    venue = house.venue
    venue.silent = True
    venue.execute(fills_up.client_id, "2")
    venue.execute(partly.client_id, "0.5")
    venue.end(ends.client_id, "by the venue")
    again = await restarted(house)
    assert again.status(rests) is OrderStatus.ACCEPTED
    assert again.status(fills_up) is OrderStatus.FILLED
    assert again.status(partly) is OrderStatus.PARTIALLY_FILLED
    assert again.status(ends) is OrderStatus.CANCELED
    position = again.state.position(PAPER, rests.instrument)
    assert position is not None
    assert position.quantity == D("2.5")
    assert again.venue.requests("place") == house.venue.requests("place")


async def test_executions_are_asked_for_once_and_never_booked_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even those of orders that were forgotten since: the venue keeps them longer than we do."""
    monkeypatch.setattr("engine.state.orders.RECENT_ORDERS", 2)
    async with house.running():
        for _ in range(6):
            order = house.submit()
            await turns()
            house.venue.execute(order.client_id, "1")
            await house.clock.advance(COMPARE_EVERY_S)
        held = house.state.balance(PAPER, USDT).total
        again = await restarted(house)
    assert again.state.balance(PAPER, USDT).total == held
    assert again.facts(ev.ExternalFillSeen) == []
    assert again.venue.requests("fills")[-1] == ("fills", "6")


async def test_executions_without_names_that_say_the_same_are_all_booked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.execution.inquiry.PIECE", 1)
    async with house.running():
        order = house.submit()
        await turns()
        house.venue.silent = True
        for _ in range(2):
            house.venue.execute(order.client_id, "0.25")
        house.venue.fills = [msgspec.structs.replace(fill, trade_id=TradeId("")) for fill in house.venue.fills]
        for _ in range(2):
            await house.dispatcher.inquiry.catch_up(house.venue, PAPER)
            assert house.state.orders[order.client_id].filled == D("0.5")


async def test_executions_of_orders_that_were_forgotten_before_the_venue_was_asked_are_not_booked_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many orders may end between two comparisons that the first ones are not remembered at the second."""
    monkeypatch.setattr("engine.state.orders.RECENT_ORDERS", 2)
    async with house.running():
        for _ in range(6):
            order = house.submit()
            await turns()
            house.venue.execute(order.client_id, "1")
            await house.clock.advance(1)
        held = house.state.balance(PAPER, USDT).total
        again = await restarted(house)
        assert again.state.balance(PAPER, USDT).total == held
        assert again.facts(ev.ExternalFillSeen) == []
        # The stream, too, may repeat what happened before a line broke.
        again.venue.sink(PAPER, ev.OrderFilled(fill=house.venue.fills[0]))
        assert again.facts(ev.ExternalFillSeen) == []
        stranger = msgspec.structs.replace(house.venue.fills[0], client_id=ClientOrderId("web-1"), trade_id="T99")
        again.venue.sink(PAPER, ev.OrderFilled(fill=stranger))
        assert len(again.facts(ev.ExternalFillSeen)) == 1


async def test_after_many_executions_the_venue_is_asked_before_the_minute_is_over(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.execution.dispatcher.ASK_AFTER_FILLS", 3)
    async with house.running():
        for _ in range(3):
            order = house.submit()
            await turns()
            house.venue.execute(order.client_id, "1")
        await turns()
        assert house.state.cursors[PAPER] == "3"


async def test_a_cancel_asked_for_before_the_crash_is_sent_after_it(house: House) -> None:
    async with house.running():
        order = house.submit()
        await turns()
        house.venue.on("cancel", never_answers)
        house.desk.cancel(order.client_id, "no more")
        await turns()
    again = await restarted(house)
    assert again.status(order) is OrderStatus.ACCEPTED
    async with again.running():
        await turns()
        assert again.status(order) is OrderStatus.CANCELED


async def test_in_an_emergency_an_order_without_an_answer_keeps_no_other_from_being_cancelled() -> None:
    house = House(timeout_s=0.05)
    async with house.running():
        rests = house.submit()
        await turns()
        house.venue.on("place", takes_effect_then_fails(LOST))
        house.venue.silent = True
        lost = house.submit()
        await turns(1)
    again = house.crashed()
    again.venue.orders.pop(lost.client_id)
    again.venue.silent = False
    async with again.running():
        tally = await again.dispatcher.recover(again.venue, PAPER, patient=False)
        assert list(tally.asks) == [lost.client_id]
        assert again.status(lost) is OrderStatus.UNKNOWN
        again.desk.cancel(rests.client_id, "panic")
        await turns()
        assert again.status(rests) is OrderStatus.CANCELED
        await again.clock.advance(60)
        assert again.status(lost) is OrderStatus.REJECTED, "it is asked for until its fate is known"
    assert again.venue.requests("place") == house.venue.requests("place")


@pytest.mark.parametrize("policy", ["adopt", "cancel"])
async def test_an_order_that_the_journal_does_not_know_is_taken_over_or_ended_by_policy(
    house: House, policy: Untracked
) -> None:
    """Nothing leaves before it is durable, so no crash leaves one; a journal put back from an older copy does."""
    async with house.running():
        kept = house.ledger.seq
        order = house.submit(quantity="2")
        await turns()
        house.venue.execute(order.client_id, "0.5")
    again = house.crashed(kept)
    again.dispatcher.inquiry._untracked = policy
    async with again.running():
        tally = await again.dispatcher.recover(again.venue, PAPER)
        (adopted,) = again.facts(ev.OrderAdopted)
        assert (adopted.client_id, adopted.owner, adopted.executed_before) == (order.client_id, "manual", 0)
        found = again.state.order(order.client_id)
        assert found is not None
        assert found.filled == D("0.5")
        await turns()
        ended = policy == "cancel"
        assert again.venue.requests("cancel") == ([("cancel", order.client_id)] if ended else [])
        assert again.status(order) is (OrderStatus.CANCELED if ended else OrderStatus.PARTIALLY_FILLED)
        assert tally.canceled == ([order.client_id] if ended else [])
    assert again.facts(ev.OrderFilled)
    assert again.facts(ev.ExternalFillSeen, ev.OrderIntended) == []


async def test_an_order_that_was_thought_to_be_over_and_works_is_taken_over(house: House) -> None:
    async with house.running():
        order = house.submit()
        await turns()
        house.desk.cancel(order.client_id, "no more")
        await turns()
        assert house.status(order) is OrderStatus.CANCELED
        house.venue.change(order.client_id, status=OrderStatus.ACCEPTED)
        await house.clock.advance(COMPARE_EVERY_S)
        assert house.status(order) is OrderStatus.ACCEPTED
        assert not house.state.orders[order.client_id].cancel_requested


async def test_hundreds_of_orders_that_ended_meanwhile_are_asked_for_together(house: House) -> None:
    async with house.running():
        orders = [house.submit(quantity="0.01") for _ in range(100)]
        await turns()
    house.venue.silent = True
    for order in orders:
        house.venue.execute(order.client_id, "0.01")
    for order in orders[50:]:
        house.venue.fills.pop()
        house.venue.change(order.client_id, status=OrderStatus.CANCELED, filled=D(0))
    house.venue.sent.clear()
    again = await restarted(house)
    assert [again.status(order) for order in orders] == [OrderStatus.FILLED] * 50 + [OrderStatus.CANCELED] * 50
    assert len(house.venue.requests("order")) == 50, "those whose executions were found need no question"
    assert len(house.venue.requests("fills")) < 60, "two a page, and not once for every order"


async def test_executions_that_the_venue_does_not_keep_any_more_are_booked_from_its_word_on_the_order(
    house: House,
) -> None:
    async with house.running():
        order = house.submit(quantity="2")
        await turns()
    house.venue.silent = True
    house.venue.execute(order.client_id, "0.5")
    house.venue.fills.clear()
    house.venue.capabilities = msgspec.structs.replace(house.venue.capabilities, fills_kept_s=3600.0)
    house.clock.set(house.clock.now() + 7200 * 10**9)
    again = await restarted(house)
    (booked,) = again.facts(ev.OrderFilled)
    assert (booked.fill.quantity, booked.fill.price) == (D("0.5"), D(90))
    assert booked.fill.trade_id.startswith("inferred-")
    once_more = again.crashed()
    await once_more.dispatcher.recover(once_more.venue, PAPER)
    assert len(once_more.facts(ev.OrderFilled)) == 1


async def test_after_a_restored_journal_its_orders_are_ours_under_a_former_instance_too(
    house: House,
) -> None:
    async with house.running():
        order = house.submit()
        await turns()
    again = house.crashed()
    again.desk._ids = ClientIds("zzzzzzzz", 2)
    await again.dispatcher.recover(again.venue, PAPER)
    assert again.status(order) is OrderStatus.ACCEPTED
    assert again.state.external_orders == {}


@pytest.mark.parametrize("wrong", [{"side": OrderSide.SELL}, {"quantity": D(3)}, {"type": OrderType.STOP_LOSS}])
async def test_another_order_under_our_id_is_not_taken_over_and_trading_halts(house: House, wrong: Any) -> None:
    async with house.running():
        house.venue.on("place", fails(LOST))
        order = house.submit()
        house.venue.silent = True
        house.venue.accept(msgspec.structs.replace(command(order.client_id), **wrong))
        await turns()
        await house.clock.advance(2)
        assert house.status(order) is OrderStatus.UNKNOWN
        assert house.facts(ev.OrderAccepted) == house.facts(ev.OrderAmended) == []
        (halted,) = house.facts(ev.TradingStateChanged)
        assert (halted.state, halted.actor) == ("halted", "recovery")
        assert order.client_id in halted.reason


async def test_a_venue_that_cannot_be_asked_stops_the_start(house: House) -> None:
    house.venue.on("open_orders", fails(ExchangeConnectionError("down")))
    with pytest.raises(ExchangeConnectionError):
        await house.dispatcher.recover(house.venue, PAPER)

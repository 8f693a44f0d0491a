"""Nothing leaves before it is durable, nothing is sent twice, no failure of one request reaches another."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine import events as ev
from engine.errors import (
    ExchangeConnectionError,
    ExchangeError,
    ExchangeInsufficientFundsError,
    ExchangeRateLimitError,
    JournalError,
    OrderRejectionError,
    UnknownOutcomeError,
)
from engine.execution.dispatcher import Dispatcher
from engine.logs import operation
from engine.model.account import Account, TradingMode
from engine.model.ids import AccountId, VenueId
from engine.model.order import OrderStatus
from tests.execution.house import (
    PAPER,
    SELL,
    USDT,
    House,
    ScriptedVenue,
    command,
    fails,
    never_answers,
    takes_effect_then_fails,
    turns,
    waits_for,
)
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from engine.model.venue import VenueOrder

LOST = UnknownOutcomeError("The venue did not answer.")


@pytest.fixture
async def house() -> House:
    return House()


# --- durability ------------------------------------------------------------------------------------------------------


async def test_an_order_leaves_only_when_its_intent_is_durable(house: House) -> None:
    async with house.running():
        house.journal.hold()
        order = house.submit()
        await turns()
        assert house.venue.sent == []
        assert house.status(order) is OrderStatus.PENDING
        house.journal.release()
        await turns()
        assert house.venue.sent == [("place", order.client_id)]
        assert house.names(order) == ["Intended", "Submitted", "Accepted"]


async def test_a_cancel_leaves_only_when_its_request_is_durable(house: House) -> None:
    async with house.running():
        order = house.submit()
        await turns()
        house.journal.hold()
        house.desk.cancel(order.client_id, "no more")
        await turns()
        assert house.venue.requests("cancel") == []
        house.journal.release()
        await turns()
        assert house.status(order) is OrderStatus.CANCELED


async def test_a_journal_that_fails_lets_nothing_more_leave(house: House) -> None:
    async with house.running():
        first = house.submit()
        await turns()
        house.journal.hold()
        house.submit()
        house.desk.cancel(first.client_id, "no more")
        await turns()
        house.journal.fail()
        await turns()
        assert house.venue.sent == [("place", first.client_id)]


async def test_a_journal_that_fails_at_the_last_moment_keeps_the_order_here(house: House) -> None:
    async with house.running():
        house.submit()
        house.journal.broken = True  # the intent was durable, that it leaves cannot be booked
        house.journal.release()
        await turns()
        assert house.venue.sent == []


async def test_an_answer_that_cannot_be_booked_ends_quietly(house: House) -> None:
    async with house.running():
        house.venue.on("place", fails(LOST))
        order = house.submit()
        await turns(3)
        house.journal.fail()
        await turns()
        await house.clock.advance(60)
        assert house.venue.requests("place") == [("place", order.client_id)]


# --- lost answers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        LOST,
        TimeoutError(),
        ConnectionResetError("peer"),
        ExchangeError("502"),
        OrderRejectionError("used before", error_code="duplicate_client_id"),
        KeyError("a bug in the adapter"),
    ],
)
async def test_no_error_is_evidence_so_the_order_is_asked_for_and_never_sent_again(
    house: House, error: Exception
) -> None:
    async with house.running():
        house.venue.on("place", takes_effect_then_fails(error))
        house.venue.silent = True
        order = house.submit()
        await turns()
        assert "OutcomeUnknown" in house.names(order)
        assert house.status(order) is OrderStatus.ACCEPTED
        assert order.venue_order_id is not None
        await house.clock.advance(200)
        assert len(house.venue.requests("place")) == 1


async def test_a_venue_that_never_answers_is_given_up_and_asked() -> None:
    house = House(timeout_s=0.005)
    async with house.running():
        house.venue.on("place", never_answers)
        order = house.submit()
        await eventually(lambda: house.venue.requests("order"))
        assert "Submitted" in house.names(order)
        assert house.status(order) is OrderStatus.UNKNOWN
        assert house.state.balance(PAPER, USDT).reserved > 0, "the funds stay held"
        assert house.venue.requests("order") == [("order", order.client_id)]


async def test_not_found_counts_only_after_the_visibility_delay(house: House) -> None:
    async with house.running():
        house.venue.on("place", fails(LOST))
        order = house.submit()
        await turns()
        await house.clock.advance(29)
        assert house.status(order) is OrderStatus.UNKNOWN
        assert len(house.venue.requests("order")) >= 5
        await house.clock.advance(31)
        assert house.status(order) is OrderStatus.REJECTED
        assert [fact.code for fact in house.facts(ev.OrderRejected)] == ["not_found"]
        assert house.state.balance(PAPER, USDT).reserved == 0


async def test_an_order_that_appears_late_is_found(house: House) -> None:
    async with house.running():
        house.venue.on("place", fails(LOST))
        house.venue.silent = True
        order = house.submit()
        await turns()
        await house.clock.advance(5)
        assert house.status(order) is OrderStatus.UNKNOWN
        house.venue.accept(command(order.client_id))
        await house.clock.advance(10)
        assert house.status(order) is OrderStatus.ACCEPTED


async def test_questions_that_fail_are_asked_again() -> None:
    house = House(timeout_s=0.005)
    async with house.running():
        house.venue.on("place", takes_effect_then_fails(LOST))
        house.venue.on("order", fails(ExchangeConnectionError("down")), fails(OSError("reset")), never_answers)
        house.venue.silent = True
        order = house.submit()
        await turns()
        assert house.status(order) is OrderStatus.UNKNOWN
        await house.clock.advance(1)
        await house.clock.advance(2)
        assert house.status(order) is OrderStatus.UNKNOWN
        assert len(house.venue.requests("order")) == 3
        # The third question is given up in real time, the fourth follows 4 s later in the clock's.
        while house.status(order) is OrderStatus.UNKNOWN:
            await asyncio.sleep(0.001)
            await house.clock.advance(0.2)
        assert house.status(order) is OrderStatus.ACCEPTED
        assert len(house.venue.requests("order")) == 4


async def test_executions_of_an_unknown_order_are_fetched_before_it_is_judged(house: House) -> None:
    async with house.running():
        house.venue.silent = True
        gate = asyncio.Event()

        async def fills_and_loses(usual: object) -> None:
            await gate.wait()
            assert callable(usual)
            usual()
            house.venue.execute(order.client_id, "0.3")
            house.venue.execute(order.client_id, "0.2")
            house.venue.execute(order.client_id, "0.1")
            house.venue.end(order.client_id, "the rest was not there")
            raise LOST

        house.venue.on("place", fills_and_loses)
        order = house.submit()
        gate.set()
        await turns()
        assert house.status(order) is OrderStatus.CANCELED
        assert order.filled == D("0.6")
        assert house.state.cursors[PAPER] == "3"


async def test_a_filled_order_is_asked_for_until_its_executions_are_there(house: House) -> None:
    async with house.running():
        house.venue.silent = True
        house.venue.on("place", takes_effect_then_fails(LOST))
        house.venue.on("order", fails(LOST))
        order = house.submit()
        await turns()
        house.venue.change(order.client_id, status=OrderStatus.FILLED, filled=D(1))
        await house.clock.advance(3)
        assert house.status(order) is not OrderStatus.FILLED
        house.venue.execute(order.client_id, "1")
        await house.clock.advance(10)
        assert house.status(order) is OrderStatus.FILLED


@pytest.mark.parametrize("status", [OrderStatus.EXPIRED, OrderStatus.REJECTED, OrderStatus.CANCELED])
async def test_an_unknown_order_ends_as_the_venue_says(house: House, status: OrderStatus) -> None:
    async with house.running():
        house.venue.silent = True
        house.venue.on("place", takes_effect_then_fails(LOST))
        house.venue.on("order", fails(LOST))
        order = house.submit()
        await turns()
        house.venue.change(order.client_id, status=status, reason="because")
        await house.clock.advance(2)
        assert (house.status(order), order.reason) == (status, "because")


@pytest.mark.parametrize(
    "error",
    [ExchangeConnectionError("refused"), ExchangeInsufficientFundsError("too little")],
)
async def test_an_order_that_certainly_did_not_arrive_is_rejected_with_the_reason(
    house: House, error: ExchangeError
) -> None:
    async with house.running():
        house.venue.on("place", fails(error))
        order = house.submit()
        await turns()
        assert (house.status(order), order.reason) == (OrderStatus.REJECTED, error.message)
        assert house.state.balance(PAPER, USDT).reserved == 0


async def test_an_order_that_the_venue_has_reported_lives_whatever_the_request_says(house: House) -> None:
    async with house.running():
        house.venue.on("place", takes_effect_then_fails(ExchangeConnectionError("refused")))
        order = house.submit()
        await turns()
        assert house.status(order) is OrderStatus.ACCEPTED


# --- cancels ---------------------------------------------------------------------------------------------------------


async def test_an_order_cancelled_before_it_left_is_never_sent(house: House) -> None:
    order = house.submit()
    house.desk.cancel(order.client_id, "changed my mind")
    async with house.running():
        assert house.venue.sent == []
        assert (house.status(order), order.reason) == (OrderStatus.CANCELED, "not sent")


async def test_a_cancel_overtakes_orders_that_are_not_sent_yet(house: House) -> None:
    async with house.running():
        old = house.submit()
        await turns()
        house.journal.hold()
        waiting = [house.submit() for _ in range(3)]
        await turns()
        house.desk.cancel(old.client_id, "quick")
        house.journal.release()
        await turns()
        sent = [entry[:2] for entry in house.venue.sent[1:]]
        assert sent.index(("cancel", old.client_id)) <= 1, "only what was already on its way comes before"
        assert len(house.venue.requests("place")) == 1 + len(waiting)


async def test_a_cancel_waits_for_its_order_to_have_arrived(house: House) -> None:
    async with house.running():
        arrived = asyncio.Event()
        house.venue.on("place", waits_for(arrived))
        order = house.submit()
        await turns()
        house.desk.cancel(order.client_id, "no more")
        await turns()
        assert house.venue.requests("cancel") == []
        arrived.set()
        await turns()
        assert house.status(order) is OrderStatus.CANCELED


@pytest.mark.parametrize("error", [LOST, ExchangeConnectionError("down"), ExchangeRateLimitError("429"), KeyError("x")])
async def test_a_cancel_without_an_answer_is_sent_until_it_is_answered(house: House, error: Exception) -> None:
    async with house.running():
        order = house.submit()
        await turns()
        house.venue.on("cancel", fails(error), fails(error), fails(error))
        house.desk.cancel(order.client_id, "no more")
        await turns()
        assert order.cancel_requested
        await house.clock.advance(4)
        assert house.status(order) is OrderStatus.CANCELED
        assert len(house.venue.requests("cancel")) == 4


async def test_a_cancel_asked_for_again_is_sent_at_once_while_another_waits(house: House) -> None:
    async with house.running():
        order = house.submit()
        await turns()
        house.venue.on("cancel", fails(LOST))
        house.desk.cancel(order.client_id, "no more")
        await turns()
        house.desk.cancel(order.client_id, "now!")
        await turns()
        assert house.status(order) is OrderStatus.CANCELED
        await house.clock.advance(10)
        assert len(house.venue.requests("cancel")) == 2


async def test_a_cancel_that_waits_for_its_order_is_carried_to_the_process_that_goes_on(house: House) -> None:
    async with house.running():
        house.venue.on("place", never_answers)
        order = house.submit()
        await turns()
        house.desk.cancel(order.client_id, "no more")
        await turns()
        house.dispatcher.hold()
        assert house.dispatcher.carry().canceling == [order.client_id]


async def test_a_cancel_that_was_stopped_on_its_way_is_carried_and_one_that_was_answered_is_not(house: House) -> None:
    async with house.running():
        first, second = house.submit(), house.submit()
        await turns()
        house.venue.silent = True
        house.desk.cancel(first.client_id, "no more")
        await turns()
        assert len(house.venue.requests("cancel")) == 1
        house.dispatcher.hold()
        house.desk.cancel(second.client_id, "no more")
        await turns()
        assert len(house.venue.requests("cancel")) == 1
        assert house.dispatcher.carry().canceling == [second.client_id]
        house.dispatcher.go_on()
        await turns()
        assert house.dispatcher.carry().canceling == []
        assert len(house.venue.requests("cancel")) == 2


async def test_a_refused_cancel_means_that_the_end_may_have_been_missed_so_the_order_is_asked_for(
    house: House,
) -> None:
    async with house.running():
        order = house.submit()
        await turns()
        house.venue.silent = True
        house.venue.execute(order.client_id, "1")
        house.venue.silent = False
        house.desk.cancel(order.client_id, "no more")
        await turns()
        assert house.names(order)[-3:] == ["CancelRequested", "CancelRejected", "Filled"]
        assert house.status(order) is OrderStatus.FILLED


async def test_a_fill_may_win_against_a_cancel(house: House) -> None:
    async with house.running():
        order = house.submit()
        await turns()

        async def fills_first(usual: object) -> None:
            house.venue.execute(order.client_id, "1")
            assert callable(usual)
            usual()

        house.venue.on("cancel", fills_first)
        house.desk.cancel(order.client_id, "no more")
        await turns()
        assert (house.status(order), order.filled) == (OrderStatus.FILLED, D(1))


# --- amendments ------------------------------------------------------------------------------------------------------


async def test_amendments_of_one_order_keep_their_order_behind_its_placing(house: House) -> None:
    async with house.running():
        arrived, first = asyncio.Event(), asyncio.Event()
        house.venue.on("place", waits_for(arrived))
        house.venue.on("amend", waits_for(first))
        order = house.submit()
        await turns()
        house.desk.amend(order.client_id, price=D(91))
        house.desk.amend(order.client_id, price=D(92))
        await turns()
        assert house.venue.requests("amend") == []
        arrived.set()
        await turns()
        assert len(house.venue.requests("amend")) == 1
        first.set()
        await turns()
        assert (order.price, len(house.venue.requests("amend"))) == (D(92), 2)
        assert len(house.dispatcher._amending) == 0


async def test_a_change_that_waits_for_its_order_counts_as_not_sent_so_that_no_hand_over_drops_it(
    house: House,
) -> None:
    async with house.running():
        house.venue.on("place", never_answers)
        order = house.submit()
        await turns()
        assert house.dispatcher.waiting == 0
        house.desk.amend(order.client_id, price=D(91))
        await turns()
        assert house.dispatcher.waiting == 1
        assert house.venue.requests("amend") == []


async def test_what_became_of_an_amendment_is_asked_for_and_booked_either_way(house: House) -> None:
    async with house.running():
        house.venue.silent = True
        order = house.submit()
        await turns()
        house.venue.on("amend", takes_effect_then_fails(LOST), fails(LOST))
        house.desk.amend(order.client_id, price=D(91))
        await turns()
        assert order.price == 91
        house.desk.amend(order.client_id, price=D(93))
        await turns()
        assert order.price == 91
        assert len(house.facts(ev.OrderAmended)) == 2, "whoever waits for the outcome hears it"


async def test_an_amendment_that_certainly_did_not_arrive_is_refused(house: House) -> None:
    async with house.running():
        order = house.submit()
        await turns()
        house.venue.on("amend", fails(ExchangeConnectionError("down")))
        house.desk.amend(order.client_id, price=D(91))
        await turns()
        assert "CancelRejected" in house.names(order)
        assert order.price == 90


async def test_an_amendment_of_an_order_that_has_ended_meanwhile_is_not_sent(house: House) -> None:
    async with house.running():
        arrived = asyncio.Event()
        house.venue.on("place", waits_for(arrived))
        order = house.submit()
        await turns()
        house.desk.amend(order.client_id, price=D(91))
        await turns()
        house.desk.on_event(PAPER, ev.OrderCanceled(client_id=order.client_id, reason="closed", ts=1))
        arrived.set()
        await turns()
        assert house.venue.requests("amend") == []


# --- one another -----------------------------------------------------------------------------------------------------


async def test_a_fault_of_ours_about_one_order_does_not_stop_the_others(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.running():
        real, bad = house.desk.submitted, house.submit()
        good = house.submit(SELL, price="110")

        def breaks(client_id: object, durable: int = 0) -> None:
            if client_id == bad.client_id:
                raise ZeroDivisionError
            real(client_id, durable)  # type: ignore[arg-type]

        monkeypatch.setattr(house.desk, "submitted", breaks)
        await turns()
        assert house.status(good) is OrderStatus.ACCEPTED
        assert house.status(bad) is OrderStatus.PENDING


async def test_what_a_request_leads_to_carries_the_operation_behind_it(house: House) -> None:
    async with house.running():
        with operation("orders.place-7"):
            house.submit()
        await turns()
        booked = {type(record.event).__name__: record.correlation for record in house.journal.records[-3:]}
        assert booked["OrderIntended"] == booked["OrderSubmitted"] == "orders.place-7"


async def test_without_a_desk_nothing_is_sent(house: House) -> None:
    house.dispatcher._desk = house.dispatcher.inquiry._desk = None
    order = house.submit()
    async with house.running():
        assert house.venue.sent == []
        assert house.status(order) is OrderStatus.PENDING
    with pytest.raises(JournalError, match="attach a desk"):
        await house.dispatcher.recover(house.venue, PAPER)


# --- comparing -------------------------------------------------------------------------------------------------------


async def test_a_venue_that_never_answers_keeps_no_other_from_being_compared(house: House) -> None:
    asked: list[str] = []

    class Slow(ScriptedVenue):
        async def open_orders(self, account: AccountId) -> list[VenueOrder]:
            asked.append(self.id)
            if self.id == "DEAD":
                await asyncio.Event().wait()
            return []

    dead, well = Slow(house.clock), Slow(house.clock)
    dead.id = VenueId("DEAD")
    account = Account(id=AccountId("a"), venue=dead.id, mode=TradingMode.PAPER, base_currency=USDT)
    house.ledger.record(ev.AccountOpened(account=account))
    house.ledger.record(ev.FillsCaughtUp(account=account.id, cursor=""))
    dispatcher = Dispatcher(house.ledger, {dead.id: dead, well.id: well}, house.clock)
    dispatcher.attach(house.desk)
    running = asyncio.create_task(dispatcher.run())
    for _ in range(3):
        dispatcher.compare_soon()
        await turns()
    assert asked.count("DEAD") == 1
    assert asked.count(well.id) == 3
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

"""The guard before a venue: what waits and is asked again, what is never held back, and how a rate limit is obeyed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import (
    ExchangeConnectionError,
    ExchangeRateLimitError,
    NotFoundError,
    NotVisibleYetError,
    UnknownOutcomeError,
    VenueCircuitOpenError,
)
from engine.execution.guard import VenueGuard
from engine.model.faults import BreakerState, Severity
from engine.model.ids import ClientOrderId
from engine.model.order import OrderStatus
from engine.resilience.handler import ErrorHandler
from engine.resilience.scenario import Scenarios
from tests.execution.house import MARKET, PAPER, SELL, House, ScriptedVenue, fails, turns

if TYPE_CHECKING:
    from engine.model.order import Order

TOO_MANY = ExchangeRateLimitError("Slow down.")
AWAY = ExchangeConnectionError("No route.")


class Quay(ScriptedVenue):
    """A venue whose candles fail as often as told."""

    faults: list[Exception]
    asked = 0

    async def candles(self, *args: Any, **more: Any) -> list[Any]:
        self.asked += 1
        if self.faults:
            raise self.faults.pop(0)
        return []


class Guarded(House):
    """A house whose venue has a guard that the test holds."""

    def __init__(self) -> None:
        super().__init__()
        self.errors = ErrorHandler(self.clock)
        self.facts_of_recovery: list[Any] = []
        self.scenarios = Scenarios(self.clock, self.facts_of_recovery.append, self.errors)
        (self.guard,) = self.dispatcher._venues.values()
        self.guard._scenarios = self.scenarios

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await turns()


def guarded(*faults: Exception) -> tuple[Quay, VenueGuard, Guarded]:
    house = Guarded()
    quay = Quay(house.clock)
    quay.faults = list(faults)
    return quay, VenueGuard(quay, house.clock, house.errors, house.scenarios, random.Random(7)), house


async def ask(guard: VenueGuard, house: Guarded) -> Any:
    """Ask for candles, letting time pass as long as it takes."""
    import asyncio

    task = asyncio.ensure_future(guard.candles(MARKET, "1m"))
    for _ in range(400):
        if task.done():
            break
        await house.pass_time(0.5)
    return await task


# --- questions that can wait -----------------------------------------------------------------------------------------


async def test_a_question_is_asked_again_after_a_transient_error() -> None:
    quay, guard, house = guarded(AWAY, TimeoutError())
    assert await ask(guard, house) == []
    assert quay.asked == 3


async def test_a_question_that_the_venue_refuses_is_not_asked_again() -> None:
    quay, guard, house = guarded(NotFoundError("No such market."))
    with pytest.raises(NotFoundError):
        await ask(guard, house)
    assert quay.asked == 1


async def test_after_five_failures_in_a_row_questions_fail_at_once_and_a_person_is_told() -> None:
    quay, guard, house = guarded(*[AWAY] * 5)
    with pytest.raises(ExchangeConnectionError):
        await ask(guard, house)
    assert guard.breaker.state is BreakerState.OPEN
    with pytest.raises(VenueCircuitOpenError, match="is tried again in"):
        await guard.candles(MARKET, "1m")
    assert quay.asked == 5
    notice = house.errors.notices[-1]
    assert (notice.severity, "orders and cancels still go there" in notice.text) == (Severity.HIGH, True)


async def test_a_rate_limited_question_waits_as_long_as_the_venue_says_and_is_written_down() -> None:
    told = ExchangeRateLimitError("Slow down.", details={"retry_after_ms": 3000})
    quay, guard, house = guarded(told)
    began = house.clock.now()
    await ask(guard, house)
    assert quay.asked == 2
    assert 3.0 <= (house.clock.now() - began) / 1e9 <= 3.5
    guard.look()
    scenario = house.scenarios.history[-1]
    assert (scenario.kind, scenario.succeeded) == ("rate_limit", True)
    assert 3000 <= scenario.duration_ms <= 3500
    assert [type(fact).__name__ for fact in house.facts_of_recovery] == ["ScenarioBegan", "ScenarioEnded"]


# --- money -----------------------------------------------------------------------------------------------------------


def open_breaker(house: Guarded) -> None:
    for _ in range(5):
        house.guard.breaker.failed(AWAY)
    assert house.guard.breaker.state is BreakerState.OPEN


async def test_orders_cancels_and_questions_about_money_pass_an_open_breaker() -> None:
    house = Guarded()
    async with house.running():
        rests = house.submit()
        await turns()
        open_breaker(house)
        panic = house.submit(SELL, "1", price=None, reduce_only=True)
        house.desk.cancel(rests.client_id, "panic")
        await turns()
        assert house.status(rests) is OrderStatus.CANCELED
        assert ("place", panic.client_id) in house.venue.sent
        await house.guard.open_orders(PAPER)
        await house.guard.order(PAPER, rests.client_id)
        await house.guard.fills_since(PAPER, "")
        await house.guard.balances(PAPER)
        await house.guard.server_time()
        with pytest.raises(VenueCircuitOpenError):
            await house.guard.trades(MARKET)
    assert house.guard.breaker.state is BreakerState.OPEN, "and they do not shorten its time"


async def test_an_order_without_an_answer_is_asked_for_though_the_breaker_is_open() -> None:
    house = Guarded()
    open_breaker(house)
    house.venue.on("place", fails(UnknownOutcomeError("?")))
    async with house.running():
        order = house.submit()
        await turns()
        assert house.status(order) is OrderStatus.UNKNOWN
        assert house.venue.requests("order") == [("order", order.client_id)]
        assert house.venue.requests("place") == [("place", order.client_id)]


async def test_what_is_not_answered_about_money_opens_the_breaker_for_questions() -> None:
    house = Guarded()
    house.venue.on("open_orders", *[fails(AWAY)] * 5)
    for _ in range(5):
        with pytest.raises(ExchangeConnectionError):
            await house.guard.open_orders(PAPER)
    with pytest.raises(VenueCircuitOpenError):
        await house.guard.instruments()


async def test_an_order_that_is_not_visible_yet_says_nothing_against_the_venue() -> None:
    house = Guarded()
    house.venue.on("order", *[fails(NotVisibleYetError("It is not listed yet."))] * 9)
    for _ in range(9):
        with pytest.raises(NotVisibleYetError):
            await house.guard.order(PAPER, ClientOrderId("Qlate"))
    assert house.guard.breaker.state is BreakerState.CLOSED


# --- an order and a rate limit ---------------------------------------------------------------------------------------


def sent(house: Guarded, order: Order) -> list[str]:
    return [kind for kind, *rest in house.venue.sent if rest[:1] == [order.client_id]]


async def test_an_order_that_the_venue_had_no_room_for_leaves_again_under_its_id() -> None:
    house = Guarded()
    house.venue.on("place", fails(TOO_MANY))
    async with house.running():
        order = house.submit()
        await turns()
        assert (house.status(order), sent(house, order)) == (OrderStatus.SUBMITTED, ["too many"])
        await house.pass_time(4.9)
        assert sent(house, order) == ["too many"]
        await house.pass_time(0.2)
        assert (house.status(order), sent(house, order)) == (OrderStatus.ACCEPTED, ["too many", "place"])


async def test_after_three_attempts_it_is_rejected_with_the_venues_words() -> None:
    house = Guarded()
    house.venue.on("place", *[fails(TOO_MANY)] * 3)
    async with house.running():
        order = house.submit()
        await turns()
        await house.pass_time(5.1)
        await house.pass_time(10.1)
        assert (house.status(order), order.reason) == (OrderStatus.REJECTED, "Slow down.")
        assert sent(house, order) == ["too many"] * 3


async def test_an_order_cancelled_while_it_waits_never_leaves() -> None:
    house = Guarded()
    house.venue.on("place", fails(TOO_MANY))
    async with house.running():
        order = house.submit()
        await turns()
        house.desk.cancel(order.client_id, "no more")
        await house.pass_time(5.1)
        assert house.status(order) is OrderStatus.REJECTED
        assert "place" not in sent(house, order)


async def test_an_entry_that_risk_refuses_meanwhile_never_leaves() -> None:
    house = Guarded()
    house.venue.on("place", fails(TOO_MANY))
    async with house.running():
        order = house.submit()
        await turns()
        house.gate.forbids = True
        await house.pass_time(5.1)
        assert house.status(order) is OrderStatus.REJECTED
        assert "Trading is halted" in order.reason
        assert "place" not in sent(house, order)


async def test_the_next_orders_wait_unsent_and_can_be_withdrawn_without_a_trace_at_the_venue() -> None:
    house = Guarded()
    house.venue.on("place", fails(TOO_MANY))
    async with house.running():
        first = house.submit()
        await turns()
        second, third = house.submit(), house.submit()
        await turns()
        assert house.status(second) is OrderStatus.PENDING
        house.desk.cancel(second.client_id, "no more")
        await turns()
        assert house.status(second) is OrderStatus.CANCELED
        await house.pass_time(5.1)
        assert sent(house, second) == []
        assert [house.status(order) for order in (first, third)] == [OrderStatus.ACCEPTED] * 2


async def test_a_cancel_does_not_wait_for_the_end_of_a_pause() -> None:
    house = Guarded()
    async with house.running():
        rests = house.submit()
        await turns()
        house.guard.throttle.pause(30)
        house.desk.cancel(rests.client_id, "panic")
        await turns()
        assert house.status(rests) is OrderStatus.CANCELED


async def test_an_order_that_waits_when_sending_stops_is_sent_when_it_begins_again() -> None:
    house = Guarded()
    house.guard.throttle.pause(30)
    async with house.running():
        order = house.submit()
        await turns()
    assert (house.status(order), house.dispatcher.waiting) == (OrderStatus.PENDING, 1)
    async with house.running():
        await house.pass_time(30.1)
        assert house.status(order) is OrderStatus.ACCEPTED


async def test_a_venue_that_was_let_go_does_not_open_the_breaker() -> None:
    quay, guard, _ = guarded()
    guard.let_go = True
    for _ in range(20):
        quay.on("order", fails(AWAY))
        with pytest.raises(ExchangeConnectionError):
            await guard.order(PAPER, ClientOrderId("Q1"))
    assert guard.breaker.standing.state is BreakerState.CLOSED
    assert guard.breaker.standing.failures == 0

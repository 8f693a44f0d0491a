"""A hand-over between two real engines: same bots, same orders, one journal, and nothing that is done twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from engine import crash_points
from engine import events as ev
from engine.control.client import open_link
from engine.control.handover.successor import take_over
from engine.control.lock import EngineLock, find_holder
from engine.control.present.activity import activity
from engine.errors import (
    EngineAlreadyRunningError,
    EngineNotRunningError,
    HandoverError,
    OrderRejectionError,
    ValidationError,
)
from engine.model.entries import BotState, BreakerEntry
from engine.model.faults import BreakerState
from engine.model.ids import MANUAL, AccountId
from engine.model.order import OrderStatus
from engine.venues.paper.faults import Operation
from engine.venues.paper.venue import PaperVenue
from storage.journal import Reader, replay
from tests.control.handover.house import QUICK, build, running, succeeding
from tests.control.house import BTC, Deck
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.control.link import Delta
    from engine.control.views import Activity

TREND = {"name": "trend", "strategy": "trend_following", "instrument": BTC, "timeframe": "1m", "capital": "2000"}
PAPER = AccountId("paper")


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    crash_points.arm(None)


def facts(home: Path) -> list[ev.Record]:
    """Everything in a journal that nobody writes."""
    reader = Reader(home / "journal.db")
    try:
        reader.verify()
        return list(reader.records())
    finally:
        reader.close()


def at(point: str, act: Any) -> None:
    """Do something once when a point is passed."""

    def hook(name: str) -> None:
        if name == point:
            crash_points.arm(None)
            act()

    crash_points.arm(hook)


async def test_bots_orders_and_answers_go_on_and_nothing_is_touched(tmp_path: Path) -> None:
    async with running(tmp_path) as old:
        rests = await old.limit()
        await old.reaches(rests, OrderStatus.ACCEPTED)
        await old.call("bots.create", **TREND)
        await old.call("bots.start", bot="trend")
        order = {"instrument": BTC, "side": "buy", "quantity": "0.001"}
        first = await old.call("orders.place", "same-id", **order)
        await old.reaches(first, OrderStatus.FILLED)
        with pytest.raises(OrderRejectionError) as refused:
            await old.call("orders.place", "refused-id", **{**order, "quantity": "50"})
        owner = old.engine.bots.find("trend").id
        memory = old.engine.bots.running[owner].save()
        venue_ids = {order.venue_order_id for order in old.engine.state.orders.values()}
        async with succeeding(tmp_path) as new:
            assert old.host.successor
            state = new.engine.state
            assert new.engine.journal.epoch == 2
            assert {order.venue_order_id for order in state.orders.values()} == venue_ids
            assert state.bots[owner].state is BotState.RUNNING
            assert new.engine.bots.running[owner].save() == memory
            # A repeat gets the first answer, a refusal included, and does nothing more.
            again = await new.call("orders.place", "same-id", **order)
            assert again.client_id == first.client_id
            with pytest.raises(OrderRejectionError) as repeated:
                await new.call("orders.place", "refused-id", **{**order, "quantity": "50"})
            assert repeated.value.message == refused.value.message
            with pytest.raises(ValidationError, match="was used for another request"):
                await new.call("orders.cancel_all", "same-id")
            holder = find_holder(tmp_path)
            assert holder is not None
            with pytest.raises(EngineAlreadyRunningError):
                EngineLock.acquire(tmp_path, release="other")
            # The one before may not change anything any more.
            with pytest.raises(HandoverError, match="goes on in process"):
                await old.call("orders.cancel_all")
            with pytest.raises(HandoverError):
                old.engine.desk.cancel(rests.client_id, "too late")
            await new.market()
    booked = facts(tmp_path)
    handed = next(record.seq for record in booked if isinstance(record.event, ev.HandedOver))
    after = [record for record in booked if record.seq > handed]
    assert {record.epoch for record in after} == {2}
    assert not [r for r in after if getattr(r.event, "client_id", None) == rests.client_id]
    intents = [r.event.client_id for r in booked if isinstance(r.event, ev.OrderIntended)]
    assert len(set(intents)) == len(intents) == 3
    assert replay(tmp_path / "journal.db").seq == len(booked)


async def test_budgets_breakers_and_pauses_travel(tmp_path: Path) -> None:
    async with running(tmp_path) as old:
        await old.reaches(await old.limit(), OrderStatus.ACCEPTED)
        engine = old.engine
        engine.ledger.record(ev.BreakerTripped(breaker="drawdown", scope=PAPER, value="1", threshold="1", reason="x"))
        engine.guard.breaker.take_over(
            type(engine.guard.breaker.standing)(
                name="x", state=BreakerState.OPEN, failures=5, successes=0, since=engine.clock.now(), reason="down"
            )
        )
        engine.guard.throttle.pause(50)
        used = engine.risk.gate.throttle.used(MANUAL, engine.clock.now())
        async with succeeding(tmp_path) as new:
            now = new.engine.clock.now()
            assert new.engine.risk.gate.throttle.used(MANUAL, now)[1] == used[1] == 1
            assert isinstance(new.engine.state.breakers["drawdown", PAPER], BreakerEntry)
            assert new.engine.guard.breaker.state is BreakerState.OPEN
            assert 40 < new.engine.guard.throttle.left_s <= 50


async def test_an_order_that_the_venue_has_not_answered_is_asked_for(tmp_path: Path) -> None:
    async with running(tmp_path) as old:
        venue = old.engine.venue
        assert isinstance(venue, PaperVenue)
        venue.faults.delay(Operation.PLACE, 30.0)
        row = await old.call("orders.place", instrument=BTC, side="buy", quantity="0.001")
        async with succeeding(tmp_path) as new:
            order = new.engine.state.order(row.client_id)
            assert order is not None
            # It had not reached the venue, and nobody sends it again.
            assert order.status is OrderStatus.REJECTED
    told = [r.event for r in facts(tmp_path) if getattr(r.event, "client_id", None) == row.client_id]
    assert [type(event).__name__ for event in told][-2:] == ["OrderOutcomeUnknown", "OrderRejected"]
    (handed,) = [r.event for r in facts(tmp_path) if isinstance(r.event, ev.HandedOver)]
    assert handed.unknown == 1


async def test_what_came_in_while_the_engine_stood_still_is_heard_when_it_goes_on(tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("planted")

    async with running(tmp_path) as old:
        await old.call("bots.create", **TREND)
        await old.call("bots.start", bot="trend")
        rests = await old.limit()
        await old.reaches(rests, OrderStatus.ACCEPTED)
        at("handover.let_go", fail)
        with pytest.raises(HandoverError, match="planted"):
            await take_over(build(tmp_path), QUICK)
        await eventually(lambda: not old.engine.standstill.frozen)
        assert old.host.door is not None
        assert "planted" in old.host.door.standing.words
        await old.market()
        await old.call("orders.cancel", client_id=rests.client_id)
        await old.reaches(rests, OrderStatus.CANCELED)
        assert (await old.call("engine.handover")).state == "failed"
        # And it can be handed over after all.
        async with succeeding(tmp_path) as new:
            assert new.engine.journal.epoch == 2
    kinds = [type(record.event) for record in facts(tmp_path)]
    assert kinds.count(ev.HandoverAbandoned) == 1
    assert kinds.count(ev.HandedOver) == 2


async def test_calls_during_the_standstill_wait_and_are_done_once_by_whoever_trades(tmp_path: Path) -> None:
    async with running(tmp_path) as old:
        waiting: list[asyncio.Task[Any]] = []

        def ask() -> None:
            order = {"instrument": BTC, "side": "buy", "quantity": "0.001"}
            waiting.append(asyncio.ensure_future(old.call("orders.place", "in-between", **order)))

        at("handover.frozen", ask)
        async with succeeding(tmp_path) as new:
            with pytest.raises(HandoverError):
                await waiting[0]
            row = await new.call("orders.place", "in-between", instrument=BTC, side="buy", quantity="0.001")
            await new.reaches(row, OrderStatus.FILLED)
    intents = [r for r in facts(tmp_path) if isinstance(r.event, ev.OrderIntended)]
    assert len(intents) == 1


async def test_a_state_that_differs_is_not_taken_over_and_the_engine_never_stands_still(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(tmp_path) as old:
        await old.limit()
        digests = iter(("mine", "another"))
        monkeypatch.setattr("engine.state.proof.StateProof.digest", lambda self: next(digests))
        frozen: list[str] = []
        at("handover.frozen", lambda: frozen.append("frozen"))
        with pytest.raises(HandoverError, match="comes to another state"):
            await take_over(build(tmp_path), QUICK)
        assert frozen == []
        await old.market()


async def test_without_an_engine_there_is_nothing_to_take_over(tmp_path: Path) -> None:
    with pytest.raises(EngineNotRunningError, match="No engine is running"):
        await take_over(build(tmp_path), QUICK)


async def test_several_restarts_in_a_row_keep_one_journal(tmp_path: Path) -> None:
    async with running(tmp_path) as first:
        rests = await first.limit()
        await first.reaches(rests, OrderStatus.ACCEPTED)
        async with succeeding(tmp_path) as second, succeeding(tmp_path) as third:
            assert second.host.successor
            assert third.engine.journal.epoch == 3
            assert third.engine.state.orders[rests.client_id].status is OrderStatus.ACCEPTED
            await cancel(third, rests.client_id)
    assert [r.event.epoch for r in facts(tmp_path) if isinstance(r.event, ev.EpochOpened)] == [1, 2, 3]


async def cancel(on: Deck, client_id: str) -> None:
    row = await on.call("orders.cancel", client_id=client_id)
    await on.reaches(row, OrderStatus.CANCELED)


async def test_an_attached_console_goes_on_with_the_successor_and_misses_no_fact(tmp_path: Path) -> None:
    heard: list[Delta] = []
    async with running(tmp_path) as old, open_link(tmp_path) as link:
        watching = link.subscribe("facts.activity", heard.append)
        await old.market()
        await eventually(lambda: any("Bought" in row.text for row in told(heard)))
        async with succeeding(tmp_path) as new:
            await old.host.stop()
            await eventually(lambda: told(heard)[-1].seq > old.engine.ledger.seq)
            row = await link.call("orders.place", {"instrument": BTC, "side": "buy", "quantity": "0.001"})
            await new.reaches(row, OrderStatus.FILLED)
            await eventually(lambda: told(heard)[-1].seq >= new.engine.ledger.seq - 20 and len(bought(heard)) == 2)
            watching.close()
    seqs = [row.seq for row in told(heard)]
    assert seqs == sorted(set(seqs))
    state = replay(tmp_path / "journal.db")
    expected = [r.seq for r in facts(tmp_path) if seqs[0] <= r.seq <= seqs[-1] and activity(state, r) is not None]
    assert seqs == expected


def told(heard: list[Delta]) -> list[Activity]:
    """Everything that was told, snapshots included, in the order in which it came."""
    return [row for delta in heard for row in (delta.data if isinstance(delta.data, tuple | list) else (delta.data,))]


def bought(heard: list[Delta]) -> list[Activity]:
    return [row for row in told(heard) if "Bought" in row.text]


async def test_nobody_lets_go_of_a_venue_that_the_successor_could_not_open(tmp_path: Path) -> None:
    async with running(tmp_path) as old:
        with pytest.raises(HandoverError, match="would be another"):
            async with succeeding(tmp_path, paper__seed=8):
                pass
        assert not old.host.successor
        await old.market()

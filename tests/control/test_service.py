"""The one way in: done once, answered when durable, refused in words."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest
from structlog.testing import capture_logs

from engine import events as ev
from engine.control import host as host_module
from engine.control import service as service_module
from engine.control.registry import OPERATIONS, Role, operation
from engine.control.requests import BotName, Empty, PlaceOrder, exact_amount
from engine.errors import (
    AuthorizationError,
    ConflictError,
    JournalError,
    NotFoundError,
    OrderRejectionError,
    QuarterdeckError,
    ValidationError,
)
from engine.model.order import OrderStatus
from storage.journal import Query
from tests.control.house import BTC, Deck, deck, fail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from engine.control.context import Context

MARKET_BUY = {"instrument": BTC, "side": "buy", "quantity": "0.001"}


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


@pytest.fixture
async def facts(on: Deck) -> list[ev.Event]:
    heard: list[ev.Event] = []
    on.engine.ledger.subscribe(lambda record: heard.append(record.event))
    return heard


@pytest.fixture
def extra() -> Iterator[dict[str, Any]]:
    """An operation of the test's own, which does what `do` says."""
    box: dict[str, Any] = {}

    async def run(context: Context, _: Empty) -> Any:
        """Do what the test says."""
        return await box["do"](context)

    operation("test.read", Empty)(run)
    operation("test.change", Empty, Role.TRADER, mutates=True)(run)
    operation("test.admin", Empty, Role.ADMIN, mutates=True)(run)
    yield box
    for name in ("test.read", "test.change", "test.admin"):
        del OPERATIONS[name]


# --- once ------------------------------------------------------------------------------------------------------------


async def test_one_request_asked_for_twice_at_once_is_one_order_and_one_answer(on: Deck, facts: list[ev.Event]) -> None:
    first, second = await asyncio.gather(*(on.call("orders.place", "r1", **MARKET_BUY) for _ in range(2)))
    assert first == second
    again = await on.call("orders.place", "r1", **MARKET_BUY)
    assert again == first
    assert sum(isinstance(fact, ev.OrderIntended) for fact in facts) == 1
    assert sum(isinstance(fact, ev.OperatorActed) for fact in facts) == 1


async def test_a_refusal_is_repeated_and_not_tried_again(on: Deck, facts: list[ev.Event]) -> None:
    too_much = {**MARKET_BUY, "quantity": "100"}
    words = set()
    for _ in range(3):
        with pytest.raises(OrderRejectionError) as caught:
            await on.call("orders.place", "r1", **too_much)
        words.add(caught.value.message)
    assert len(words) == 1
    assert sum(isinstance(fact, ev.OrderRefused) for fact in facts) == 1


async def test_requests_without_an_id_are_all_done(on: Deck, facts: list[ev.Event]) -> None:
    await asyncio.gather(*(on.call("orders.place", **MARKET_BUY) for _ in range(2)))
    assert sum(isinstance(fact, ev.OrderIntended) for fact in facts) == 2


async def test_an_id_stands_for_one_request_only(on: Deck) -> None:
    await on.call("orders.place", "r1", **MARKET_BUY)
    with pytest.raises(ValidationError, match="used for another request"):
        await on.call("orders.place", "r1", **{**MARKET_BUY, "quantity": "0.002"})
    with pytest.raises(ValidationError, match="used for another request"):
        await on.call("risk.halt", "r1", reason="x")


async def test_what_was_begun_is_finished_although_the_caller_has_gone(on: Deck, facts: list[ev.Event]) -> None:
    caller = asyncio.ensure_future(on.call("orders.place", "r1", **MARKET_BUY))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    row = await on.call("orders.place", "r1", **MARKET_BUY)
    assert row.status in (OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.ACCEPTED, OrderStatus.FILLED)
    assert sum(isinstance(fact, ev.OrderIntended) for fact in facts) == 1


async def test_a_request_begun_before_a_restart_is_not_done_again(tmp_path: Path) -> None:
    async with deck(tmp_path) as on:
        await on.call("orders.place", "r1", **MARKET_BUY)
    async with deck(tmp_path) as on:
        with pytest.raises(ConflictError, match="before the engine restarted") as caught:
            await on.call("orders.place", "r1", **MARKET_BUY)
        assert caught.value.error_code == "request_known"
        position = on.engine.state.position(on.engine.account, BTC)  # type: ignore[arg-type]
        assert position is not None
        assert position.quantity == D("0.001")


async def test_only_so_many_outcomes_are_kept(on: Deck, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "REMEMBERED", 2)
    for number in range(4):
        await on.call("orders.cancel_all", f"r{number}")
    assert on.host.service is not None
    assert list(on.host.service._outcomes) == ["r2", "r3"]


async def test_an_outcome_is_forgotten_after_a_day_and_the_request_is_still_not_done_again(
    on: Deck, monkeypatch: pytest.MonkeyPatch, facts: list[ev.Event]
) -> None:
    await on.call("orders.cancel_all", "r1")
    monkeypatch.setattr(service_module, "REMEMBERED_NS", -1)
    await on.call("orders.cancel_all", "r2")
    monkeypatch.undo()
    with pytest.raises(ConflictError, match="more than a day ago, and is not done again"):
        await on.call("orders.cancel_all", "r1")
    assert sum(isinstance(fact, ev.OperatorActed) for fact in facts) == 2


# --- one at a time ---------------------------------------------------------------------------------------------------


@pytest.fixture
def slow() -> Iterator[dict[str, Any]]:
    """Two operations on a bot that take several turns, the second of them an emergency."""
    box: dict[str, Any] = {"log": [], "gate": asyncio.Event()}

    async def run(context: Context, request: BotName) -> str:
        """Begin, wait, end."""
        box["log"].append(f"{context.actor} begins")
        await box["gate"].wait()
        box["log"].append(f"{context.actor} ends")
        return context.actor

    operation("test.slow", BotName, Role.TRADER, mutates=True)(run)
    operation("test.urgent", BotName, Role.TRADER, mutates=True, emergency=True)(run)
    yield box
    del OPERATIONS["test.slow"], OPERATIONS["test.urgent"]


async def test_two_consoles_change_the_same_bot_one_after_the_other(on: Deck, slow: dict[str, Any]) -> None:
    strategy = {"strategy": "trend_following", "instrument": BTC, "capital": "500"}
    one, two = [await on.call("bots.create", name=name, **strategy) for name in ("one", "two")]
    service = on.host.service
    assert service is not None

    def change(bot: str, actor: str, name: str = "test.slow") -> asyncio.Future[Any]:
        return asyncio.ensure_future(service.call(name, {"bot": bot}, actor=actor))

    first = change("one", "console")
    second = change(one.id, "console 2")
    other = change("two", "console 3")
    await asyncio.sleep(0.01)
    assert slow["log"] == ["console begins", "console 3 begins"]
    urgent = change("one", "console 4", "test.urgent")
    await asyncio.sleep(0.01)
    assert slow["log"][-1] == "console 4 begins", "an emergency waits for nobody"
    slow["gate"].set()
    assert list(await asyncio.gather(first, second, other, urgent)) == [
        "console",
        "console 2",
        "console 3",
        "console 4",
    ]
    assert slow["log"].index("console ends") < slow["log"].index("console 2 begins")
    assert service._turns._locks == {}
    assert two.name == "two"


# --- durable ---------------------------------------------------------------------------------------------------------


async def test_a_reply_comes_when_everything_booked_is_durable(on: Deck) -> None:
    row = await on.call("orders.place", **MARKET_BUY)
    reader = on.host.context.reader  # type: ignore[union-attr]
    assert reader is not None
    history = await reader.order_history(row.client_id)
    assert history
    assert on.engine.journal.durable_seq >= history[0].seq
    audits = await reader.latest(5, Query(kinds=("OperatorActed",)))
    assert audits[0].seq < history[0].seq
    assert audits[0].correlation == history[0].correlation != ""


async def test_a_refusal_is_durable_too(on: Deck) -> None:
    with pytest.raises(OrderRejectionError):
        await on.call("orders.place", **{**MARKET_BUY, "quantity": "100"})
    reader = on.host.context.reader  # type: ignore[union-attr]
    assert reader is not None
    assert len(await reader.latest(5, Query(kinds=("OrderRefused",)))) == 1


async def test_a_journal_that_fails_under_a_request_is_never_answered_with_success(
    on: Deck, extra: dict[str, Any]
) -> None:
    async def books_and_loses(context: Context) -> str:
        engine = context.need_engine()
        engine.ledger.record(ev.OperatorActed(actor="test", operation="x", summary=""))
        fail(engine.journal)
        await asyncio.sleep(0.005)
        return "done"

    extra["do"] = books_and_loses
    with pytest.raises(JournalError, match="disk is full"):
        await on.call("test.change")
    assert "disk is full" in (await on.call("engine.status")).failure
    with pytest.raises(JournalError):
        await on.call("orders.place", **MARKET_BUY)
    with pytest.raises(JournalError):
        await on.call("risk.emergency_stop", reason="now")


async def test_a_call_under_way_at_the_end_is_waited_for_and_one_that_comes_too_late_gets_an_error(
    tmp_path: Path, extra: dict[str, Any]
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def waits_and_books(context: Context) -> int:
        begun.set()
        await go.wait()
        return context.need_engine().ledger.record(ev.OperatorActed(actor="test", operation="x", summary=""))

    extra["do"] = waits_and_books
    async with deck(tmp_path) as on:
        call = asyncio.ensure_future(on.call("test.change"))
        await begun.wait()
        ending = asyncio.ensure_future(on.host.stop())
        await asyncio.sleep(0.01)
        go.set()
        booked = await call
        await ending
        assert on.engine.journal.durable_seq >= booked
        assert on.host.service is not None
        with pytest.raises(JournalError):
            await on.host.service.call("orders.cancel_all")


async def test_a_call_that_books_while_the_journal_closes_is_not_answered_with_success(
    tmp_path: Path, extra: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def waits_and_books(context: Context) -> int:
        begun.set()
        await go.wait()
        return context.need_engine().ledger.record(ev.OperatorActed(actor="test", operation="x", summary=""))

    extra["do"] = waits_and_books
    monkeypatch.setattr(host_module, "ANSWERS_S", 0.01)
    async with deck(tmp_path) as on:
        call = asyncio.ensure_future(on.call("test.change"))
        await begun.wait()
        await on.host.stop()
        go.set()
        with pytest.raises(JournalError):
            await call


# --- refused ---------------------------------------------------------------------------------------------------------


async def test_a_role_may_do_what_it_may_and_is_told_what_it_would_need(on: Deck, facts: list[ev.Event]) -> None:
    service = on.host.service
    assert service is not None
    assert await service.call("engine.status", role=Role.VIEWER)
    with pytest.raises(AuthorizationError, match="needs the role trader; this connection has the role viewer"):
        await service.call("orders.place", MARKET_BUY, role=Role.VIEWER)
    with pytest.raises(AuthorizationError, match="needs the role admin; this connection has the role trader"):
        await service.call("risk.set_limits", {"limits": {}}, role=Role.TRADER)
    assert facts == []


@pytest.mark.parametrize("name", sorted(OPERATIONS))
async def test_a_viewer_changes_nothing(name: str) -> None:
    entry = OPERATIONS[name]
    assert entry.role is not Role.VIEWER or not entry.mutates


async def test_an_unknown_operation_names_the_nearest(on: Deck) -> None:
    with pytest.raises(NotFoundError, match=r"no operation 'orders.plaice'. Did you mean orders.place"):
        await on.call("orders.plaice")
    with pytest.raises(NotFoundError, match=r"There is no operation 'zzz'\.$"):
        await on.call("zzz")


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, ["instrument: Field required", "side: Field required", "quantity: Field required"]),
        ({**MARKET_BUY, "colour": "red"}, ["colour: Extra inputs are not permitted"]),
        ({**MARKET_BUY, "side": "up"}, ["side: Input should be 'buy' or 'sell'"]),
        ({**MARKET_BUY, "quantity": 0.1}, ["quantity: an amount must be an exact decimal, not the binary float 0.1"]),
        ({**MARKET_BUY, "quantity": "many"}, ["quantity: an amount must be a number, not 'many'"]),
        ({**MARKET_BUY, "quantity": "-1"}, ["quantity: Input should be greater than 0"]),
        ({**MARKET_BUY, "quantity": "NaN"}, ["quantity: an amount must be a finite number"]),
        ({**MARKET_BUY, "quantity": "1e300"}, ["quantity: an amount has at most 18 digits"]),
        ({**MARKET_BUY, "quantity": "1e-30"}, ["quantity: an amount has at most 18 digits"]),
    ],
)
async def test_every_fault_of_a_request_is_told_with_its_field(
    on: Deck, params: dict[str, Any], said: list[str], facts: list[ev.Event]
) -> None:
    with pytest.raises(ValidationError) as caught:
        await on.call("orders.place", **params)
    assert caught.value.message.startswith("orders.place: ")
    for sentence in said:
        assert sentence in caught.value.message
    assert facts == [], "nothing was begun"


def test_amounts_are_what_was_written() -> None:
    assert exact_amount("1_000.50") == D("1000.50")
    assert exact_amount(None) is exact_amount("") is None
    with pytest.raises(ValueError, match="at most 18 digits"):
        exact_amount(D("0." + "1" * 19))


async def test_a_request_may_come_as_an_object_of_its_kind_or_of_another(on: Deck) -> None:
    row = await on.link.call("orders.place", PlaceOrder.model_validate(MARKET_BUY))
    assert row.quantity == D("0.001")
    with pytest.raises(ValidationError, match="bot"):
        await on.link.call("orders.place", BotName(bot="x"))


async def test_a_fault_of_ours_becomes_a_sentence(on: Deck, extra: dict[str, Any]) -> None:
    async def breaks(_: Context) -> None:
        raise ZeroDivisionError("secret details")

    extra["do"] = breaks
    for name in ("test.read", "test.change"):
        with pytest.raises(QuarterdeckError, match=rf"{name} failed unexpectedly \(ZeroDivisionError\)") as caught:
            await on.call(name)
        assert "secret details" not in caught.value.message


# --- recorded --------------------------------------------------------------------------------------------------------


async def test_what_changes_something_is_booked_with_who_and_what_and_nothing_secret(
    on: Deck, facts: list[ev.Event]
) -> None:
    await on.call("engine.status")
    assert facts == [], "looking is not recorded"
    await on.call("risk.halt", "r9", reason="password=hunter2-long")
    (audit,) = [fact for fact in facts if isinstance(fact, ev.OperatorActed)]
    assert (audit.actor, audit.operation, audit.request_id) == ("console", "risk.halt", "r9")
    assert audit.summary == "reason=password=***"


async def test_what_follows_from_an_operation_carries_its_id(on: Deck) -> None:
    records: list[ev.Record] = []
    on.engine.ledger.subscribe(records.append)
    await on.call("risk.halt", "r9", reason="a look")
    assert {record.correlation for record in records} == {"risk.halt-r9"}


async def test_every_call_is_logged_with_who_how_long_and_what_came_of_it(on: Deck) -> None:
    service = on.host.service
    assert service is not None
    with capture_logs() as logs:
        await service.call("engine.status", actor="console 2")
        with pytest.raises(NotFoundError) as caught:
            await service.call("orders.cancel", {"client_id": "no-such"}, request_id="r1", actor="command line")
    calls = [(entry["operation"], entry["actor"], entry["result"]) for entry in logs if entry["event"] == "call"]
    assert calls == [("engine.status", "console 2", "done"), ("orders.cancel", "command line", "not_found")]
    assert all(entry["ms"] >= 0 for entry in logs if entry["event"] == "call")
    assert caught.value.correlation == "orders.cancel-r1"


async def test_a_refusal_that_is_kept_holds_nothing_of_who_asked(on: Deck) -> None:
    asked = {"instrument": BTC, "side": "buy", "quantity": "500"}
    refused = []
    for _ in range(2):
        with pytest.raises(OrderRejectionError) as found:
            await on.link.call("orders.place", asked, request_id="too-much")
        refused.append(found.value)
    first, second = refused
    assert first is not second
    assert (first.message, first.error_code, first.details) == (second.message, second.error_code, second.details)
    assert on.host.service is not None
    kept = on.host.service._outcomes["too-much"].result.exception()
    assert kept is not None
    assert (kept.__traceback__, kept.__context__) == (None, None)

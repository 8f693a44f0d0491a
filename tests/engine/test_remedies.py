"""What a running engine does about failures outside, on the paper venue: nothing is lost, nothing is opened blindly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.errors import OrderRejectionError
from engine.execution.connection import ConnectionState
from engine.model.entries import BotState, TradingState
from engine.model.faults import Severity
from engine.model.order import OrderStatus
from engine.resilience.rules import RuleSettings
from engine.venues.paper.faults import Fault, Operation
from engine.venues.paper.venue import PaperVenue
from tests.control.house import BTC, Deck, deck
from tests.engine.test_engine import MARKET, TREND, agrees_with_the_venue, facts
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.venues.paper.faults import Faults


@pytest.fixture
async def on(tmp_path: Path) -> AsyncIterator[Deck]:
    async with deck(tmp_path) as found:
        yield found


def faults(on: Deck) -> Faults:
    assert isinstance(on.engine.venue, PaperVenue)
    return on.engine.venue.faults


def line(on: Deck) -> ConnectionState:
    return on.engine.remedies.connection.state


async def test_a_venue_that_is_lost_and_comes_back_is_compared_before_anything_is_opened(on: Deck) -> None:
    rests = await on.limit()
    await on.reaches(rests, OrderStatus.ACCEPTED)
    venue = on.engine.venue
    assert isinstance(venue, PaperVenue)
    faults(on).away = True
    # Filled there while nobody here hears of it.
    missed = await on.call("orders.place", instrument=BTC, side="buy", quantity="0.001")
    await on.reaches(missed, OrderStatus.REJECTED)
    await eventually(lambda: line(on) is ConnectionState.OFFLINE)
    with pytest.raises(OrderRejectionError, match="SIM cannot be reached"):
        await on.call("orders.place", instrument=BTC, side="buy", quantity="0.001")
    assert "SIM cannot be reached" in (await on.call("engine.status")).care
    health = {row.component: row for row in await on.call("health.components")}
    assert health["venue"].state == "failed"
    venue._keep(venue._exchange.cancel(on.engine.account, rests.client_id, on.engine.clock.now()))
    faults(on).away = False
    await eventually(lambda: line(on) is ConnectionState.ONLINE)
    await on.reaches(rests, OrderStatus.CANCELED)
    await agrees_with_the_venue(on)
    assert (await on.call("engine.status")).care == ""
    await eventually(lambda: all(market.live for market in on.engine.hub.markets.values()))
    await on.market(quantity="0.001")
    (row, *_) = await on.call("errors.recoveries")
    assert (row.scenario, row.succeeded) == ("network_disconnection", True)
    assert row.steps[-3:] == ("positions compared", "orders compared", "balances compared")
    told = await on.call("facts.since", limit=200)
    assert any("Connection (SIM): Online again." in one.text for one in told)


async def test_a_venue_that_stays_away_ends_in_safe_mode_that_only_a_person_ends(tmp_path: Path) -> None:
    short = {"max_offline_duration": 0.3}
    async with deck(tmp_path, error_handling__network_disconnection=short) as on:
        faults(on).away = True
        await eventually(lambda: line(on) is ConnectionState.SAFE)
        assert on.engine.state.trading_state() is TradingState.HALTED
        (notice, *_) = [one for one in on.engine.errors.notices if one.severity is Severity.CRITICAL]
        assert "Safe mode" in notice.text
        (halt,) = await facts(on, ev.TradingStateChanged)
        assert (halt.actor, "resume on Risk" in halt.reason) == ("connection", True)


async def test_maintenance_pauses_entries_and_reductions_are_still_tried(on: Deck) -> None:
    await on.market(quantity="0.002")
    faults(on).maintained = True
    await eventually(lambda: line(on) is ConnectionState.MAINTENANCE)
    with pytest.raises(OrderRejectionError, match="is being maintained"):
        await on.call("orders.place", instrument=BTC, side="buy", quantity="0.001")
    await on.call("orders.place", instrument=BTC, side="sell", quantity="0.001", reduce_only=True)
    faults(on).maintained = False
    await eventually(lambda: line(on) is ConnectionState.ONLINE)
    await agrees_with_the_venue(on)


async def test_an_order_that_there_was_no_room_for_is_sent_once_more_and_filled_once(on: Deck) -> None:
    faults(on).retry_after_ms = 20
    faults(on).plan(Operation.PLACE, Fault.RATE_LIMIT, Fault.RATE_LIMIT)
    await on.market(quantity="0.001")
    await agrees_with_the_venue(on)
    assert len(await facts(on, ev.OrderIntended)) == 1
    await eventually(lambda: any(one.kind == "rate_limit" for one in on.engine.scenarios.history))


async def test_questions_that_fail_are_asked_again_and_told(on: Deck) -> None:
    on.engine.guard._network._chance.seed(1)
    faults(on).plan(Operation.QUERY, Fault.LOSE_REPLY)
    on.engine.hub.needs_snapshot.add(MARKET)
    await eventually(lambda: any(group.component == "feeds" for group in on.engine.errors.groups()))
    await eventually(lambda: not on.engine.hub.needs_snapshot)


def rule(**more: Any) -> dict[str, Any]:
    return RuleSettings.model_validate(more).model_dump(mode="json")


async def test_rules_alert_pause_and_halt(tmp_path: Path) -> None:
    rules = [
        rule(name="tell", on="LimitsChanged", action="alert", severity="medium"),
        rule(name="pause", on="OrderRefused", action="pause_bot", bot="trend", where={"owner": "manual"}),
        rule(name="stop", on="BotStateChanged", action="halt", where={"state": "paused"}),
        rule(name="keep", on="LimitsChanged", action="start_backup"),
    ]
    made: list[str] = []
    async with deck(tmp_path, rules=rules) as on:

        async def backup() -> None:
            made.append("backup")

        on.engine.remedies.backup = backup
        await on.call("bots.create", **TREND)
        await on.call("bots.start", bot="trend")
        await on.call("risk.set_limits", limits={"max_orders_per_second": 9})
        await eventually(lambda: made)
        assert any("Rule 'tell'" in notice.text for notice in on.engine.errors.notices)
        with pytest.raises(OrderRejectionError):
            await on.call("orders.place", instrument=BTC, side="buy", quantity="1000")
        await eventually(lambda: on.engine.bots.find("trend").state is BotState.PAUSED)
        await eventually(lambda: on.engine.state.trading_state() is TradingState.HALTED)
        (halt,) = await facts(on, ev.TradingStateChanged)
        assert (halt.actor, halt.reason.startswith("Rule 'stop': BotStateChanged at fact")) == ("rule stop", True)
        acted = [fact for fact in await facts(on, ev.OperatorActed) if fact.actor.startswith("rule ")]
        assert [(fact.actor, fact.operation) for fact in acted] == [
            ("rule keep", "engine.backup"),
            ("rule pause", "bots.pause"),
        ]


async def test_errors_can_be_asked_for_with_what_is_needed_to_find_the_cause(on: Deck) -> None:
    faults(on).plan(Operation.PLACE, Fault.LOSE_REPLY)
    heard, watcher = on.watch("errors.notices")
    await on.market(quantity="0.001")
    page = await on.call("errors.list", component="dispatcher")
    assert page.stored
    (row,) = page.rows
    assert (row.severity, row.kind, row.operation) == ("medium", "unknown_outcome", "outcome unknown")
    assert row.context["order"]
    assert row.correlation.startswith("orders.place-")
    assert row.context["stack"]
    await eventually(lambda: heard and heard[-1].data and "did not answer" in heard[-1].data[-1].text)
    watcher.close()
    assert await on.call("errors.patterns") == []
    assert await on.call("errors.reports", kind="daily") == []


async def test_a_technical_breaker_stands_beside_the_others_and_can_be_reset(on: Deck) -> None:
    for _ in range(5):
        on.engine.guard.breaker.failed(TimeoutError())
    rows = {row.name: row for row in (await on.call("risk.overview")).breakers}
    assert (rows["SIM api"].open, rows["SIM api"].value, rows["SIM api"].threshold) == (True, "5 failed", "5 in a row")
    assert not rows["report database"].open
    view = await on.call("risk.reset_breaker", breaker="SIM api", reason="the line was mended")
    assert not {row.name: row for row in view.breakers}["SIM api"].open

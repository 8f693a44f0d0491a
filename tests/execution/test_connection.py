"""A venue that is lost or maintained, and comes back: in order, in time, or safely not at all."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from engine import events as ev
from engine.errors import AuthenticationError, ExchangeConnectionError, JournalError
from engine.execution.connection import ConnectionState, VenueConnection
from engine.execution.guard import VenueGuard
from engine.model.credentials import KEYS_LOCKED
from engine.model.faults import Severity
from engine.model.venue import VenueStatus
from engine.resilience.caution import Caution
from engine.resilience.handler import ErrorHandler
from engine.resilience.scenario import Scenario, Scenarios
from engine.resilience.settings import ErrorHandlingSettings
from tests.execution.house import MARKET, House, ScriptedVenue, turns

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ONLINE, OFFLINE, MAINTENANCE = VenueStatus.ONLINE, VenueStatus.OFFLINE, VenueStatus.MAINTENANCE


class Harbour(ScriptedVenue):
    """A venue that is as the test says."""

    now_is = ONLINE

    @property
    def status(self) -> VenueStatus:
        return self.now_is


class Line:
    """A connection to a venue whose steps the test lets succeed, fail or take for ever."""

    def __init__(self, **settings: Any) -> None:
        house = House()
        self.clock = house.clock
        self.house = house
        self.venue = Harbour(house.clock)
        figures = ErrorHandlingSettings.model_validate(settings)
        self.errors = ErrorHandler(self.clock, figures)
        self.caution = Caution()
        self.scenarios = Scenarios(self.clock, house.ledger.record, self.errors)
        self.dials: list[float] = []
        self.done: list[str] = []
        self.failing: dict[str, list[Exception]] = {}
        self.hangs = ""
        self.held: list[str] = []
        self.began = self.clock.now()
        self.states: list[ConnectionState] = []
        self.line = VenueConnection(
            VenueGuard(self.venue, self.clock, self.errors, self.scenarios),
            self.clock,
            self.errors,
            self.scenarios,
            self.caution,
            connect=self.dial,
            steps=[(name, self.step(name)) for name in ("positions", "orders", "balances")],
            hold=self.held.append,
            pending=lambda: 3,
            on_change=self.states.append,
        )
        self.comes_back = True

    async def dial(self) -> None:
        self.dials.append(self.seconds)
        if self.venue.now_is is not ONLINE:
            raise ExchangeConnectionError("Nobody answers.")

    def step(self, name: str) -> Any:
        async def run() -> None:
            if self.failing.get(name):
                raise self.failing[name].pop(0)
            if self.hangs == name:
                await asyncio.Event().wait()
            self.done.append(name)

        return run

    @property
    def seconds(self) -> float:
        return round((self.clock.now() - self.began) / 1e9, 2)

    async def later(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await turns(10)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.line.run())
        try:
            await turns()
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def last(self) -> Scenario:
        return self.scenarios.history[-1]


async def test_lost_it_is_dialled_after_one_two_four_and_eight_seconds() -> None:
    on = Line()
    on.venue.now_is = OFFLINE
    async with on.running():
        await on.later(35)
        assert on.line.state is ConnectionState.OFFLINE
        assert [round(b - a) for a, b in zip(on.dials, on.dials[1:], strict=False)] == [1, 2, 4, 8, 16]
        assert on.caution.obstacle(MARKET) == "SIM cannot be reached."
        assert on.caution.conservative


async def test_back_it_compares_positions_orders_and_balances_before_anything_is_opened() -> None:
    on = Line()
    on.venue.now_is = OFFLINE
    async with on.running():
        await on.later(2)
        on.hangs = "orders"
        on.venue.now_is = ONLINE
        await on.later(5)
        assert (on.line.state, on.done) == (ConnectionState.SYNCING, ["positions"])
        assert on.caution.obstacle(MARKET)
        on.venue.now_is = OFFLINE
        await on.later(1)
        on.hangs, on.done = "", []
        on.venue.now_is = ONLINE
        await on.later(10)
        assert (on.line.state, on.done) == (ConnectionState.ONLINE, ["positions", "orders", "balances"])
    assert not on.caution.reasons
    assert on.last.outcome == "Online again."
    assert on.last.steps[0] == "3 orders await an answer; their intents are in the journal"
    assert "the connection was lost again while comparing" in on.last.steps
    assert on.last.steps[-3:] == ["positions compared", "orders compared", "balances compared"]
    assert on.states[-2:] == [ConnectionState.SYNCING, ConnectionState.ONLINE]
    (began,), (ended,) = on.house.facts(ev.ScenarioBegan), on.house.facts(ev.ScenarioEnded)
    assert (began.subject, ended.succeeded, ended.steps) == ("SIM", True, tuple(on.last.steps))


async def test_a_step_that_fails_is_tried_again_and_nothing_is_opened_until_all_have_succeeded() -> None:
    on = Line()
    on.failing["balances"] = [ExchangeConnectionError("reset")]
    on.venue.now_is = OFFLINE
    async with on.running():
        await on.later(0.5)
        on.venue.now_is = ONLINE
        await on.later(1)
        assert on.done == ["positions", "orders"]
        assert on.caution.obstacle(MARKET)
        await on.later(5)
        assert on.done == ["positions", "orders", "positions", "orders", "balances"]
    assert on.line.state is ConnectionState.ONLINE


async def test_after_five_minutes_it_is_in_safe_mode_until_it_is_back_and_a_person_resumes() -> None:
    on = Line()
    on.venue.now_is = OFFLINE
    async with on.running():
        await on.later(299)
        assert on.held == []
        await on.later(2)
        assert on.line.state is ConnectionState.SAFE
        assert len(on.held) == 1
        assert "away for 5 min" in on.held[0]
        assert (on.last.succeeded, on.last.duration_ms // 1000) == (False, 300)
        assert on.errors.notices[-1].severity is Severity.CRITICAL
        dials = len(on.dials)
        await on.later(600)
        assert 9 <= len(on.dials) - dials <= 11, "it goes on trying, once a minute"
        on.venue.now_is = ONLINE
        await on.later(61)
        assert (on.line.state, on.done) == (ConnectionState.ONLINE, ["positions", "orders", "balances"])
    assert "a person has to resume" in on.last.outcome
    assert len(on.held) == 1, "nobody but a person lets go again"


async def test_comparing_that_takes_for_ever_ends_in_safe_mode_in_time() -> None:
    on = Line()
    on.hangs = "orders"
    on.venue.now_is = OFFLINE
    async with on.running():
        await on.later(5)
        on.venue.now_is = ONLINE
        await on.later(296)
        assert on.line.state is ConnectionState.SAFE
    assert "comparing takes too long" in on.last.steps


async def test_a_venue_that_was_let_go_is_neither_missed_nor_dialled_until_it_is_taken_back() -> None:
    on = Line()
    on.venue.now_is = OFFLINE
    async with on.running():
        await on.later(0.3)
        assert on.dials == [0.25]
        on.line.venue.let_go = True
        await on.later(20)
        assert on.dials == [0.25]
        on.line.venue.let_go = False
        on.venue.now_is = ONLINE
        await on.later(20)
    assert on.line.state is ConnectionState.ONLINE

    on = Line()
    on.line.venue.let_go, on.venue.now_is = True, OFFLINE
    async with on.running():
        await on.later(20)
    assert (on.states, on.dials) == ([], [])


async def test_figures_of_the_settings_hold() -> None:
    on = Line(
        network_disconnection={"max_offline_duration": 20, "sync_on_reconnect": False, "conservative_mode": False}
    )
    on.venue.now_is = OFFLINE
    async with on.running():
        await on.later(10)
        assert not on.caution.conservative
        on.venue.now_is = ONLINE
        await on.later(10)
        assert (on.line.state, on.done) == (ConnectionState.ONLINE, [])
        on.venue.now_is = OFFLINE
        await on.later(21)
        assert on.line.state is ConnectionState.SAFE


async def test_reports_that_were_lost_without_a_loss_of_the_line_are_caught_up() -> None:
    on = Line()
    async with on.running():
        await on.later(1)
        assert on.done == []
        on.line.sync_soon()
        await on.later(1)
        assert on.done == ["positions", "orders", "balances"]
        await on.later(10)
        assert len(on.done) == 3
    assert on.line.state is ConnectionState.ONLINE


async def test_maintenance_pauses_new_orders_and_ends_with_comparing() -> None:
    on = Line()
    on.venue.now_is = MAINTENANCE
    async with on.running():
        await on.later(1000)
        assert on.line.state is ConnectionState.MAINTENANCE
        assert on.caution.obstacle(MARKET) == "SIM is being maintained."
        assert on.dials == []
        on.venue.now_is = ONLINE
        await on.later(2)
        assert (on.line.state, on.done) == (ConnectionState.ONLINE, ["positions", "orders", "balances"])
    assert on.last.kind == "exchange_maintenance"
    assert "its capital stays: there is no other venue to shift it to" in on.last.steps
    assert not on.caution.reasons
    assert on.held == []


async def test_maintenance_that_is_not_to_be_noticed_or_not_to_pause_changes_nothing() -> None:
    deaf = Line(exchange_maintenance={"detect_maintenance": False})
    deaf.venue.now_is = MAINTENANCE
    async with deaf.running():
        await deaf.later(5)
        assert deaf.states == []
    open_ = Line(exchange_maintenance={"pause_new_orders": False})
    open_.venue.now_is = MAINTENANCE
    async with open_.running():
        await open_.later(5)
        assert open_.line.state is ConnectionState.MAINTENANCE
        assert open_.caution.obstacle(MARKET) == ""


async def test_a_journal_that_failed_ends_it_quietly_and_a_fault_of_ours_does_not() -> None:
    on = Line()
    on.failing["positions"] = [JournalError("The disk is full.")]
    on.venue.now_is = OFFLINE
    task = asyncio.ensure_future(on.line.run())
    await turns()
    await on.later(1)
    on.venue.now_is = ONLINE
    await on.later(3)
    assert task.done()
    task.result()
    bug = Line()
    bug.line._pending = lambda: 1 // 0
    bug.venue.now_is = OFFLINE
    async with bug.running():
        await bug.later(1)
        assert bug.errors.groups()[0].component == "connection"
        bug.line._pending = lambda: 0
        bug.venue.now_is = ONLINE
        await bug.later(1)
        bug.venue.now_is = OFFLINE
        await bug.later(1)
        bug.venue.now_is = ONLINE
        await bug.later(3)
        assert bug.line.state is ConnectionState.ONLINE


async def test_locked_keys_are_a_state_of_their_own_and_it_goes_on_once_they_are_unlocked() -> None:
    on = Line()
    locked = AuthenticationError("The keys are locked.", error_code=KEYS_LOCKED)

    async def dial() -> None:
        on.dials.append(on.seconds)
        if shut:
            raise locked

    shut = [True]
    on.line._connect = dial
    on.line.lose("The keys are locked.", locked=True)
    async with on.running():
        # Long after it is still the same: no safe mode that a person would have to end.
        await on.later(900)
        assert (on.line.state, on.held) == (ConnectionState.LOCKED, [])
        assert on.caution.obstacle(MARKET) == "The keys are locked."
        before = len(on.dials)
        shut.clear()
        on.line.try_soon()
        await on.later(1)
        assert len(on.dials) == before + 1
        assert on.line.state is ConnectionState.ONLINE
    assert [step for step in on.last.steps if "keys are locked" in step] == [
        "its keys are locked: The keys are locked."
    ]
    assert ConnectionState.SAFE not in on.states

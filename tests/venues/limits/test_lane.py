"""The line in front of a host: no window is ever exceeded, the urgent go first, and the venue's word counts."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.clock import NS_PER_S, SimulatedClock
from engine.errors import (
    ConfigurationError,
    ExchangeBannedError,
    ExchangeConnectionError,
    ExchangeRateLimitError,
    ValidationError,
)
from engine.model.requester import REQUESTER, Requester
from engine.venues.limits.coordinator import Coordinator, CoordinatorCarried
from engine.venues.limits.rules import BINANCE_LIMITS, COINBASE_LIMITS, OKX_LIMITS, Limit, Meter, Reading, lowered
from engine.venues.native.request import Priority

if TYPE_CHECKING:
    from engine.venues.limits.lane import Lane, Pass

WEIGHT = Limit(name="weight", unit="weight", capacity=100, per_s=60)
ORDERS = Limit(name="orders", unit="orders", capacity=10, per_s=10, scope=("account",))


def made(*limits: Limit, clock: SimulatedClock | None = None) -> tuple[SimulatedClock, Lane]:
    clock = clock or SimulatedClock()
    return clock, Coordinator(clock).lane("example.org", "test", limits)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def fill(lane: Lane, unit: str, amount: float, **scope: str) -> None:
    """Use that much, as the most urgent may."""
    (await lane.acquire({unit: amount}, priority=Priority.EMERGENCY, scope=scope)).done()


# --- no window is ever exceeded, whatever comes -----------------------------------------------------------------------


class Counted:
    """Requests as a venue counts them: somewhere between leaving and answer."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock, self.lane = made(
            Limit(name="weight", unit="weight", capacity=40, per_s=6),
            Limit(name="orders", unit="orders", capacity=8, per_s=1, scope=("account",)),
            Limit(name="long", unit="orders", capacity=30, per_s=20, scope=("account",)),
            Limit(name="requests", unit="requests", capacity=25, per_s=2),
            Limit(name="held", unit="connection", capacity=3),
        )
        self.counted: dict[tuple[str, ...], list[tuple[int, float]]] = defaultdict(list)
        self.log: list[tuple[int, int, int]] = []
        self.waits: dict[Priority, list[float]] = defaultdict(list)
        self.held = self.most_held = 0

    async def request(self, number: int, at: float, priority: Priority, cost: dict[str, float], account: str) -> None:
        await self.clock.sleep(at)
        asked = self.clock.now()
        taken = await self.lane.acquire(cost, priority=priority, scope={"account": account})
        self.log.append((number, int(priority), self.clock.now()))
        self.waits[priority].append((self.clock.now() - asked) / NS_PER_S)
        self.held += "connection" in cost
        self.most_held = max(self.held, self.most_held)
        before, after = self.random.random(), self.random.random()
        await self.clock.sleep(before)
        now = self.clock.now()
        self.counted["requests",].append((now, 1))
        for unit, amount in cost.items():
            self.counted[(unit, account) if unit == "orders" else (unit,)].append((now, amount))
        await self.clock.sleep(after)
        self.held -= "connection" in cost
        taken.done()

    def most(self, key: tuple[str, ...], per_s: float) -> float:
        """The most that any stretch held."""
        times = sorted(self.counted[key])
        return max((sum(a for t, a in times if at <= t < at + per_s * NS_PER_S) for at, _ in times), default=0)


async def burst(seed: int, requests: int) -> Counted:
    world = Counted(seed)
    tasks = []
    for number in range(requests):
        cost: dict[str, float] = {"weight": world.random.choice([1, 1, 2, 5, 10])}
        if world.random.random() < 0.4:
            cost["orders"] = 1
        if world.random.random() < 0.1:
            cost["connection"] = 1
        at, priority = world.random.random() * 3, world.random.choice(list(Priority))
        account = world.random.choice("ab")
        tasks.append(asyncio.ensure_future(world.request(number, at, priority, cost, account)))
    await settle()
    for _ in range(4000):
        if all(task.done() for task in tasks):
            break
        await world.clock.advance(0.25)
    await asyncio.gather(*tasks)
    world.lane.close()
    return world


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32), st.integers(20, 120))
def test_no_window_is_exceeded_in_any_burst(seed: int, requests: int) -> None:
    world = asyncio.run(burst(seed, requests))
    assert len(world.log) == requests
    assert world.most(("weight",), 6) <= 40
    assert world.most(("requests",), 2) <= 25
    assert world.most_held <= 3
    for account in "ab":
        assert world.most(("orders", account), 1) <= 8
        assert world.most(("orders", account), 20) <= 30


def test_the_same_requests_take_the_same_way_each_time() -> None:
    first, second = (asyncio.run(burst(7, 100)) for _ in range(2))
    assert first.log == second.log


async def test_an_emergency_never_waits_while_others_crowd() -> None:
    clock, lane = made(WEIGHT)
    crowd = [
        asyncio.ensure_future(lane.acquire({"weight": 5}, priority=priority))
        for priority in (Priority.DATA, Priority.QUERY, Priority.ORDER)
        for _ in range(50)
    ]
    await settle()
    for _ in range(3):
        (await asyncio.wait_for(lane.acquire({"weight": 5}, priority=Priority.EMERGENCY), 1)).done()
        await clock.advance(70)
        for task in crowd:
            if task.done():
                task.result().done()
    lane.close()
    await asyncio.gather(*crowd, return_exceptions=True)


# --- order of the line ------------------------------------------------------------------------------------------------


async def test_the_urgent_go_first_and_equals_in_their_order() -> None:
    clock, lane = made(Limit(name="weight", unit="weight", capacity=10, per_s=1))
    await fill(lane, "weight", 10)
    went: list[str] = []

    async def go(name: str, priority: Priority) -> None:
        with await lane.acquire({"weight": 6}, priority=priority):
            went.append(name)

    names = {"d1": Priority.DATA, "d2": Priority.DATA, "o": Priority.ORDER, "e": Priority.EMERGENCY}
    tasks = [asyncio.ensure_future(go(name, priority)) for name, priority in names.items()]
    await settle()
    for _ in range(12):
        await clock.advance(0.5)
    await asyncio.gather(*tasks)
    assert went == ["e", "o", "d1", "d2"]


async def test_of_several_owners_none_has_more_turns_than_its_weight() -> None:
    clock, lane = made(Limit(name="weight", unit="weight", capacity=10, per_s=1))
    await fill(lane, "weight", 10)
    went: list[str] = []

    async def go(owner: str, weight: int) -> None:
        REQUESTER.set(Requester(owner, weight))
        with await lane.acquire({"weight": 6}, priority=Priority.ORDER):
            went.append(owner)

    # One floods the line before the others come; c has twice the weight of b.
    wanted = [("a", 5)] * 6 + [("b", 5)] * 3 + [("c", 10)] * 4
    tasks = [asyncio.ensure_future(go(*one)) for one in wanted]
    await settle()
    for _ in range(40):
        await clock.advance(0.5)
    await asyncio.gather(*tasks)
    assert went == ["a", "b", "c", "c", "a", "b", "c", "c", "a", "b", "a", "a", "a"]


async def test_a_small_request_does_not_overtake_a_large_one_that_waits_for_the_same_limit() -> None:
    clock, lane = made(WEIGHT)
    await fill(lane, "weight", 60)
    large = asyncio.ensure_future(lane.acquire({"weight": 50}, priority=Priority.ORDER))
    await settle()
    small = asyncio.ensure_future(lane.acquire({"weight": 1}, priority=Priority.QUERY))
    await settle()
    assert not large.done()
    assert not small.done()
    await clock.advance(62)
    assert large.done()
    assert small.done()
    lane.close()


async def test_who_waits_for_one_account_does_not_hold_up_another() -> None:
    _, lane = made(WEIGHT, ORDERS)
    await fill(lane, "orders", 10, account="a")
    stuck = asyncio.ensure_future(
        lane.acquire({"weight": 1, "orders": 1}, priority=Priority.ORDER, scope={"account": "a"})
    )
    await settle()
    await asyncio.wait_for(lane.acquire({"weight": 1, "orders": 1}, priority=Priority.ORDER, scope={"account": "b"}), 1)
    assert not stuck.done()
    lane.close()
    with pytest.raises(ExchangeConnectionError):
        await stuck


async def test_data_is_slowed_before_the_limit_and_a_part_is_kept_back() -> None:
    clock, lane = made(WEIGHT)
    went = 0

    async def ask() -> None:
        nonlocal went
        (await lane.acquire({"weight": 1}, priority=Priority.DATA)).done()
        went += 1

    tasks = [asyncio.ensure_future(ask()) for _ in range(100)]
    await settle()
    assert 30 <= went <= 36, "half of its part goes in one burst"
    await clock.advance(30)
    assert 60 <= went <= 65, "the rest is spaced out and stops at its part"
    await clock.advance(20)
    assert went <= 65
    (await asyncio.wait_for(lane.acquire({"weight": 30}, priority=Priority.EMERGENCY), 1)).done()
    lane.close()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_request_that_is_withdrawn_costs_nothing() -> None:
    clock, lane = made(Limit(name="held", unit="connection", capacity=1))
    first = await lane.acquire({"connection": 1}, priority=Priority.DATA)
    second = asyncio.ensure_future(lane.acquire({"connection": 1}, priority=Priority.DATA))
    third = asyncio.ensure_future(lane.acquire({"connection": 1}, priority=Priority.DATA))
    await settle()
    assert lane.waiting == 2
    first.done()
    second.cancel()
    await settle()
    assert third.done()
    assert lane.usage() == {"held": 1.0}
    third.result().unsent()
    third.result().done()
    assert lane.usage() == {"held": 0.0}
    assert clock.now() == SimulatedClock().now()


async def test_what_did_not_leave_is_given_back() -> None:
    _, lane = made(WEIGHT)
    taken = await lane.acquire({"weight": 40}, priority=Priority.ORDER)
    taken.unsent()
    taken.done()
    assert lane.usage() == {"weight": 0.0}


# --- no room ----------------------------------------------------------------------------------------------------------


async def test_without_room_in_time_it_is_said_at_once_when_there_will_be() -> None:
    _, lane = made(WEIGHT)
    await fill(lane, "weight", 90)
    ours = r"The limit .* kept to for .* is used up; nothing was sent\. There is room again in 1 min"
    with pytest.raises(ExchangeRateLimitError, match=ours) as failed:
        await lane.acquire({"weight": 20}, priority=Priority.QUERY, within_s=5)
    after = failed.value.details["retry_after_ms"]
    assert isinstance(after, int)
    assert 59_000 < after < 62_000


async def test_whose_time_is_over_in_the_line_is_told() -> None:
    clock, lane = made(Limit(name="held", unit="connection", capacity=1))
    await lane.acquire({"connection": 1}, priority=Priority.DATA)
    late = asyncio.ensure_future(lane.acquire({"connection": 1}, priority=Priority.DATA, within_s=5))
    await settle()
    await clock.advance(5.1)
    with pytest.raises(ExchangeRateLimitError):
        await late


async def test_what_can_never_be_sent_is_refused() -> None:
    _, lane = made(WEIGHT)
    with pytest.raises(ValidationError, match="can never be sent"):
        await lane.acquire({"weight": 101}, priority=Priority.EMERGENCY)


# --- what the venue says ----------------------------------------------------------------------------------------------


async def test_a_pause_holds_the_whole_host_and_then_lets_go() -> None:
    clock = SimulatedClock()
    coordinator = Coordinator(clock)
    spot, other = coordinator.lane("h", "spot", [WEIGHT]), coordinator.lane("h", "other", [WEIGHT])
    elsewhere = coordinator.lane("elsewhere", "spot", [WEIGHT])
    spot.pause(10)
    spot.pause(2)
    assert other.paused_until == clock.now() + 10 * NS_PER_S
    waits = asyncio.ensure_future(other.acquire({"weight": 1}, priority=Priority.EMERGENCY))
    await elsewhere.acquire({"weight": 1}, priority=Priority.DATA)
    await clock.advance(9)
    assert not waits.done()
    await clock.advance(1.5)
    assert (await waits) is not None
    assert spot.paused_until == 0


async def test_a_ban_says_until_when_and_ends_every_wait() -> None:
    clock = SimulatedClock(1_700_000_000 * NS_PER_S)
    lane = Coordinator(clock).lane("api.example.org", "x", [WEIGHT])
    await fill(lane, "weight", 100)
    waits = asyncio.ensure_future(lane.acquire({"weight": 1}, priority=Priority.ORDER))
    await settle()
    lane.pause(3600, banned=True)
    with pytest.raises(ExchangeBannedError):
        await waits
    with pytest.raises(ExchangeBannedError, match=r"until 2023-11-14 23:13:20 UTC \(1 h 0 min from now\)") as failed:
        await lane.acquire({"weight": 1}, priority=Priority.EMERGENCY)
    assert failed.value.details["retry_after_ms"] == 3_600_000
    assert failed.value.details["until"] == "2023-11-14T23:13:20+00:00"
    assert lane.banned
    await clock.advance(3601)
    assert not lane.banned
    await lane.acquire({"weight": 1}, priority=Priority.DATA)


async def test_one_paused_limit_stops_only_what_needs_it() -> None:
    clock, lane = made(WEIGHT, ORDERS)
    lane.pause_limits(3, ["orders"], {"account": "a"})
    waits = asyncio.ensure_future(lane.acquire({"orders": 1}, priority=Priority.ORDER, scope={"account": "a"}))
    await lane.acquire({"orders": 1}, priority=Priority.ORDER, scope={"account": "b"})
    await lane.acquire({"weight": 1}, priority=Priority.DATA)
    await settle()
    assert not waits.done()
    assert lane.usage()["orders"] == 1.0
    await clock.advance(3.1)
    assert waits.done()


async def test_what_the_venue_counts_beyond_ours_was_spent_by_others() -> None:
    _, lane = made(WEIGHT, ORDERS)
    readings = [
        Reading(header="x-used", limit="weight"),
        Reading(header="x-left", limit="orders", meter=Meter.REMAINING),
        Reading(header="x-odd", limit="orders"),
    ]
    await fill(lane, "weight", 10)
    lane.heard({"x-used": "80", "x-left": "4", "x-odd": "many"}, readings, {"account": "a"})
    assert lane.usage() == {"weight": 0.8, "orders": 0.6}
    lane.heard({"x-used": "20"}, readings, {})
    assert lane.usage()["weight"] == 0.8
    with pytest.raises(ExchangeRateLimitError):
        await lane.acquire({"weight": 1}, priority=Priority.DATA, within_s=1)


async def test_the_venue_may_only_tighten() -> None:
    _, lane = made(WEIGHT)
    lane.tighten("weight", 6000)
    assert lane.limits["weight"].capacity == 100
    await fill(lane, "weight", 30)
    lane.tighten("weight", 60)
    lane.tighten("unheard", 5)
    assert lane.usage() == {"weight": 0.5}


def test_settings_may_only_lower() -> None:
    assert {limit.name: limit.capacity for limit in lowered(BINANCE_LIMITS, {"weight_per_minute": 600})}[
        "weight_per_minute"
    ] == 600
    with pytest.raises(ConfigurationError, match="can only be lowered"):
        lowered(BINANCE_LIMITS, {"weight_per_minute": 6000})
    with pytest.raises(ConfigurationError, match="above 0"):
        lowered(BINANCE_LIMITS, {"weight_per_minute": 0})
    with pytest.raises(ConfigurationError, match="no rate limit called wieght"):
        lowered(BINANCE_LIMITS, {"wieght": 5})


@pytest.mark.parametrize(
    ("limits", "figures"),
    [
        (
            BINANCE_LIMITS,
            {
                "requests_per_minute": (1200, 60),
                "orders_per_second": (10, 1),
                "websocket_connections": (5, 0),
                "weight_per_minute": (1200, 60),
                "orders_per_10_seconds": (50, 10),
                "orders_per_24_hours": (160_000, 86_400),
                "websocket_messages_per_second": (5, 1),
                "websocket_connections_per_5_minutes": (300, 300),
            },
        ),
        (
            OKX_LIMITS,
            {
                "requests_per_minute": (600, 60),
                "orders_per_second": (20, 1),
                "websocket_connections": (3, 0),
                "requests_per_2_seconds": (60, 2),
            },
        ),
        (
            COINBASE_LIMITS,
            {
                "requests_per_minute": (600, 60),
                "orders_per_second": (15, 1),
                "websocket_connections": (4, 0),
                "points_per_minute": (8000, 60),
            },
        ),
    ],
    ids=["binance", "okx", "coinbase"],
)
def test_the_defaults_are_the_agreed_ones(limits: tuple[Limit, ...], figures: dict[str, tuple[float, float]]) -> None:
    table = {limit.name: (limit.capacity, limit.per_s) for limit in limits}
    assert figures.items() <= table.items()


# --- sharing and travelling -------------------------------------------------------------------------------------------


async def test_everybody_shares_one_lane_of_a_host_and_the_lower_limit_holds() -> None:
    coordinator = Coordinator(SimulatedClock())
    first = coordinator.lane("h", "x", [WEIGHT])
    second = coordinator.lane("h", "x", lowered((WEIGHT,), {"weight": 50}))
    assert first is second
    assert coordinator.lane("h", "x", [WEIGHT]).limits["weight"].capacity == 50
    await fill(first, "weight", 25)
    assert coordinator.usage() == {"h x": {"weight": 0.5}}


@pytest.mark.parametrize(("told", "used"), [((60, 64), 0.64), ((60, 50), 0.6), ((60, None), 0.8), ((None, None), 0.7)])
async def test_what_the_venue_has_counted_of_both_processes_counts_once_after_a_hand_over(
    told: tuple[int | None, int | None], used: float
) -> None:
    clock = SimulatedClock(1_700_000_000 * NS_PER_S)
    old, new = Coordinator(clock), Coordinator(clock)
    for coordinator, spent, count in zip((old, new), (50, 20), told, strict=True):
        lane = coordinator.lane("h", "x", [WEIGHT])
        await fill(lane, "weight", spent)
        if count is not None:
            lane.used("weight", count)
    new.take(old.standing())
    assert new.lane("h", "x", [WEIGHT]).usage() == {"weight": used}


async def test_budgets_and_pauses_travel_to_the_process_that_takes_over() -> None:
    before = SimulatedClock(1_700_000_000 * NS_PER_S)
    old = Coordinator(before)
    lane = old.lane("h", "x", [WEIGHT, ORDERS])
    await fill(lane, "weight", 70)
    under_way: Pass = await lane.acquire({"orders": 4}, priority=Priority.ORDER, scope={"account": "a"})
    lane.pause_limits(5, ["orders"], {"account": "b"})
    old.lane("banned", "x", []).pause(100, banned=True)
    carried = old.standing()
    under_way.done()

    after = SimulatedClock(before.now() + 2 * NS_PER_S)
    new = Coordinator(after)
    early = new.lane("banned", "x", [])
    import msgspec

    new.take(msgspec.json.decode(msgspec.json.encode(carried), type=CoordinatorCarried))
    late = new.lane("h", "x", [WEIGHT, ORDERS])
    assert late.usage() == {"weight": 0.7, "orders": 1.0}
    assert early.banned
    assert early.paused_until == before.now() + 100 * NS_PER_S
    await after.advance(4)
    assert late.usage() == {"weight": 0.7, "orders": 0.4}
    await after.advance(58)
    assert late.usage() == {"weight": 0.0, "orders": 0.0}


async def test_while_everything_is_closed_questions_may_use_what_is_kept_for_what_protects() -> None:
    closing = False
    lane = Coordinator(SimulatedClock(), lambda: closing).lane("example.org", "test", [WEIGHT])
    await fill(lane, "weight", 80)
    with pytest.raises(ExchangeRateLimitError):
        await lane.acquire({"weight": 10}, priority=Priority.QUERY, within_s=1)
    closing = True
    with await lane.acquire({"weight": 10}, priority=Priority.QUERY, within_s=1):
        pass
    with pytest.raises(ExchangeRateLimitError):
        await lane.acquire({"weight": 1}, priority=Priority.DATA, within_s=1)
    with pytest.raises(ExchangeRateLimitError):
        await lane.acquire({"weight": 6}, priority=Priority.QUERY, within_s=1)
    with await lane.acquire({"weight": 6}, priority=Priority.EMERGENCY, within_s=1):
        pass

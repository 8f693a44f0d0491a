"""The wire chaos test in its short form: three exchanges at once, and each planted defect is found out."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest

from engine.model.order import OrderStatus
from tests.chaos.wire import Wanted, sail
from tests.chaos.wire_defects import DEFECTS, planted
from tests.chaos.wire_hands import Hand
from tests.chaos.wire_oracle import WireVerdict, judge
from tests.chaos.wire_storm import KINDS, PRIVATE
from tests.chaos.wire_world import Hurry, World
from tests.wire.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from engine.model.ids import ClientOrderId
    from tests.wire.ledger import WireOrder

SHORT = Wanted(
    seed=7,
    orders=150,
    each=1,
    seconds=10.0,
    longest_s=45.0,
    hands=2,
    pause_s=0.15,
    patience_s=60.0,
    hurry=Hurry(compare_s=4.0),
)
BRISK = Hurry(timeout_s=1.0, visible_s=1.5, grace_s=1.0, compare_s=2.5)


async def _unanswered(world: World, hand: Hand, _: float) -> None:
    """An order takes effect and has no answer."""
    world.harbours[0].simulator.faults.arm(Fault.RESET_AFTER)
    await _arrived(world, await hand.place("rest"))


async def _invisible(world: World, hand: Hand, seconds: float) -> None:
    """An order without an answer is not shown for a while."""
    faults = world.harbours[0].simulator.faults
    faults.arm(Fault.RESET_AFTER)
    faults.arm(Fault.LATE_VISIBLE, delay_s=seconds)
    await _arrived(world, await hand.place("rest"))


async def _plain(world: World, hand: Hand, _: float) -> None:
    """Orders are executed as usual."""
    for side in ("buy", "sell"):
        await _arrived(world, await hand.place("market", side))


async def _unheard(world: World, hand: Hand, _: float) -> None:
    """A stream is lost, and what happened shortly before it was never told."""
    harbour = world.harbours[0]
    client_id = await hand.place("rest", "buy")
    resting = await _arrived(world, client_id)
    assert await world.until(lambda: world.engine.state.orders[client_id].status is OrderStatus.ACCEPTED)
    assert resting.price is not None
    details = harbour.exchange.instruments[resting.command.instrument]
    harbour.simulator.faults.arm(Fault.GAP, None, where=lambda name: name in PRIVATE["binance"])
    harbour.exchange.amend(harbour.account, client_id, price=details.round_price(resting.price * D("1.05")))
    assert await world.until(lambda: bool(resting.fills))
    harbour.simulator.faults.disarm()
    harbour.break_private()


async def _limited(world: World, hand: Hand, seconds: float) -> None:
    """The exchange wants a pause, and there is much to do until it is over or was ignored."""
    (harbour,) = world.harbours
    harbour.simulator.faults.arm(Fault.RATE_LIMIT, delay_s=seconds)
    await hand.place("rest")
    assert await world.until(lambda: harbour.pauses > 0)
    for _ in range(40):
        await hand.place("rest")
        if await world.until(lambda: not harbour.pausing or bool(harbour.breaches), turns=2):
            break


async def _arrived(world: World, client_id: ClientOrderId) -> WireOrder:
    """The exchange's order of an id, once it has it."""
    (harbour,) = world.harbours
    ledger, account = harbour.exchange.ledger, harbour.account
    assert await world.until(lambda: ledger.find(account, client_id) is not None)
    order = ledger.find(account, client_id)
    assert order is not None
    return order


@dataclass(frozen=True)
class Case:
    """What has to happen for a defect to show, and how it shows."""

    defect: str
    happens: Callable[[World, Hand, float], Awaitable[None]]
    shows: str
    long_s: float = 0.0
    """How long it lasts where it may last: so long that the slowest machine gets to do the wrong thing meanwhile."""
    short_s: float = 0.0
    """And where nothing wrong is to be seen."""


CASES = (
    Case("order sent again without an answer", _unanswered, "was sent"),
    Case("not found believed at once", _invisible, "was given up while", 120.0, 0.8),
    Case("executions without their natural key", _plain, "is booked and never was"),
    Case("lost stream not followed by reconciling", _unheard, "is not booked"),
    Case("pauses of the venue ignored", _limited, "while it had asked for a pause", 120.0, 2.0),
)


async def _session(home: Path, happens: Callable[[World, Hand], Awaitable[None]], patience_s: float) -> WireVerdict:
    world = World(home, ("binance",), 11, BRISK)
    async with world.running():
        (harbour,) = world.harbours
        hand = Hand(world, harbour, random.Random(3), 0.1)
        await hand.arm()
        await happens(world, hand)
        unrest = await world.settle(patience_s)
    verdict = judge(home, world.harbours)
    verdict.differs += [unrest] if unrest else []
    return verdict


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.defect)
async def test_a_planted_defect_is_found_out(case: Case, tmp_path: Path) -> None:
    with planted(case.defect):
        # Whoever has such a defect may never come to rest.
        verdict = await _session(tmp_path, lambda world, hand: case.happens(world, hand, case.long_s), 10.0)
    assert any(case.shows in problem for problem in verdict.problems), verdict.problems


def test_every_planted_defect_is_tried() -> None:
    assert [case.defect for case in CASES] == list(DEFECTS)


async def test_the_same_without_a_defect_finds_nothing(tmp_path: Path) -> None:
    async def all_of_it(world: World, hand: Hand) -> None:
        for case in CASES:
            await case.happens(world, hand, case.short_s)
            assert await world.until(lambda: world.engine.dispatcher.quiet)

    verdict = await _session(tmp_path, all_of_it, 60.0)
    assert verdict.problems == []
    assert verdict.orders.total() > len(CASES)


def test_three_exchanges_at_once_lose_double_and_misstate_nothing(tmp_path: Path) -> None:
    voyage = asyncio.run(sail(SHORT, tmp_path))
    assert voyage.verdict.problems == [], voyage.table()
    # How much happens within the time depends on the machine; that everything happens somewhere does not.
    struck = sum(voyage.struck.values(), Counter())
    assert {kind for kind in KINDS if not struck[kind]} == set(), voyage.table()
    assert min(voyage.verdict.orders.values()) > 0, voyage.table()

"""An engine that trades at exchanges dies or is handed over with orders in flight; the books stay the exchanges'."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal as D
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from engine import crash_points
from engine.control.client import open_link
from engine.errors import QuarterdeckError
from engine.execution.dispatcher import Dispatcher
from engine.execution.emulation.held import command_of
from tests.chaos.wire_defects import planted
from tests.chaos.wire_hands import Hand
from tests.chaos.wire_life import Life
from tests.chaos.wire_oracle import judge
from tests.chaos.wire_world import Harbour, Hurry, World
from tests.kit.waiting import eventually
from tests.wire.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from engine.control.link import EngineLink
    from engine.execution.inquiry import Tally
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.venue import Venue

BRISK = Hurry(timeout_s=1.0, visible_s=1.0, grace_s=0.5, compare_s=0.7)
CALM = Hurry(timeout_s=1.0, visible_s=1.0, grace_s=0.5, compare_s=1.2)
"""Two engines ask within one minute."""
LARGE = D(86_000)
"""Worth of an order that no single price has room for."""
BOT = {"name": "b1", "strategy": "trend_following", "timeframe": "1h", "capital": "300000"}


@dataclass
class Scene:
    """Who trades where."""

    world: World
    harbour: Harbour
    link: EngineLink
    hand: Hand

    @property
    def instrument(self) -> InstrumentId:
        """What is traded: a perpetual where there is one."""
        return self.harbour.instruments[-1].id


async def unanswered(on: Scene) -> None:
    """An order is accepted and nobody reads the answer."""
    on.harbour.simulator.faults.arm(Fault.TIMEOUT_AFTER)
    await on.hand.place("rest", "buy")
    await eventually(lambda: on.harbour.arrivals)


async def executed(on: Scene) -> None:
    """An order is executed at once."""
    await on.hand.place("market", "buy")


async def rests(on: Scene) -> None:
    """A large order works, below the market."""
    book, details = on.harbour.exchange.books[on.instrument], on.harbour.exchange.instruments[on.instrument]
    assert book.best_bid is not None
    price = details.round_price(details.price_from_int(book.best_bid) * D("0.95"))
    quantity = details.floor_quantity(LARGE / price / details.multiplier)
    order = {"instrument": on.instrument, "side": "buy", "type": "limit"}
    row = await on.link.call("orders.place", {**order, "quantity": f"{quantity:f}", "price": f"{price:f}"})
    await eventually(lambda: working(on.harbour, row.client_id))


async def entered(on: Scene) -> None:
    """A bot buys in several pieces, and its stop grows with each."""
    await on.link.call("bots.create", {**BOT, "instrument": on.instrument, "mode": "live"})
    await on.link.call("bots.start", {"bot": "b1"})


def working(harbour: Harbour, client_id: str) -> bool:
    return any(o.client_id == client_id and o.is_open for o in harbour.exchange.ledger.open_orders(harbour.account))


def protected(world: World, harbour: Harbour) -> bool:
    """Whether the stop at the exchange is as large as the bot's position, and alone."""
    assert world.host.engine is not None
    (bot,) = world.host.engine.bots.running.values()
    stops = list(harbour.exchange.ledger.open_orders(harbour.account))
    return bool(bot.quantity) and [stop.quantity - stop.filled for stop in stops] == [bot.quantity]


async def nothing(harbour: Harbour) -> None:
    pass


def bring_to_market(harbour: Harbour) -> None:
    """The oldest order that rests costs as much as the market wants."""
    order = next(iter(harbour.exchange.ledger.open_orders(harbour.account)))
    details = harbour.exchange.instruments[order.command.instrument]
    best = harbour.exchange.books[order.command.instrument].best_ask
    assert best is not None
    harbour.exchange.amend(harbour.account, order.client_id, price=details.price_from_int(best))


async def partly_filled(harbour: Harbour) -> None:
    """What rests is executed in part: the best price has no room for more."""
    order = next(iter(harbour.exchange.ledger.open_orders(harbour.account)))
    bring_to_market(harbour)
    assert order.fills
    assert order.is_open


@dataclass(frozen=True)
class Death:
    """How an engine dies."""

    happens: Callable[[Scene], Awaitable[None]]
    point: str = ""
    """Where it kills itself; empty when it is killed once everything has happened."""
    meanwhile: Callable[[Harbour], Awaitable[None]] = nothing
    """What happens while it is dead."""


DEATHS = {
    "the answer is never read": Death(unanswered),
    "the order never leaves": Death(executed, "order.leaving:1"),
    "the answer is read and not booked": Death(executed, "order.sent:1"),
    "an execution is read and not booked": Death(executed, "fill.received:1"),
    "an order is executed in part meanwhile": Death(rests, meanwhile=partly_filled),
    "a stop is about to grow": Death(entered, "fill.applied:2"),
    "a stop is being replaced by a larger one": Death(entered, "cancel.sent:1"),
}


WITH_DERIVATIVES = (
    "the answer is never read",
    "an order is executed in part meanwhile",
    "a stop is about to grow",
)
"""Deaths at an exchange for derivatives too."""


async def dies(world: World, death: Death) -> None:
    """An engine lives, trades and dies."""
    (harbour,) = world.harbours
    life = Life(world, death.point)
    try:
        await life.ready()
        async with open_link(world.home) as link:
            hand = Hand(world, harbour, random.Random(4), 0.1, link)
            await hand.arm()
            work = asyncio.ensure_future(death.happens(Scene(world, harbour, link, hand)))
            if not death.point or death.happens is entered:
                await work
            for _ in range(20 if death.happens is entered else 0):
                if life.dead:
                    break
                life.let_bots_enter()
                await asyncio.sleep(0.2)
            if not death.point:
                life.kill()
            await life.over()
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
    finally:
        life.kill()
    await death.meanwhile(harbour)


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "binance") for name in DEATHS), *((name, "okx") for name in WITH_DERIVATIVES)]
)
async def test_a_killed_engine_finds_at_its_exchange_what_it_had_in_flight(
    name: str, kind: str, tmp_path: Path
) -> None:
    death = DEATHS[name]
    world = World(tmp_path, (kind,), 5, BRISK)
    (harbour,) = world.harbours
    async with world.waiting():
        await dies(world, death)
        async with world.holding():
            await eventually(lambda: world.online(harbour))
            if death.happens is entered:
                await eventually(lambda: protected(world, harbour))
                await world.host.link().call("bots.stop", {"bot": "b1"})
            assert await world.settle(12) == ""
    verdict = judge(tmp_path, world.harbours)
    assert verdict.problems == []


# --- the test itself can fail ----------------------------------------------------------------------------------------


def sent_again() -> AbstractContextManager[object]:
    """A start sends every open order anew: whether the stream had told of it before is a matter of moments."""
    recover = Dispatcher.recover

    async def insist(self: Dispatcher, venue: Venue, account: AccountId, **more: bool) -> Tally:
        for order in self.inquiry.orders_at(venue, account):
            if order.is_open:
                with suppress(QuarterdeckError):
                    await venue.place(command_of(order))
        return await recover(self, venue, account, **more)

    return patch.object(Dispatcher, "recover", insist)


@pytest.mark.parametrize(
    ("defect", "death", "shows"),
    [
        (sent_again, DEATHS["the answer is never read"], "was sent"),
        (
            lambda: planted("lost stream not followed by reconciling"),
            DEATHS["an order is executed in part meanwhile"],
            "is not booked",
        ),
    ],
    ids=["sent again", "not asked for"],
)
async def test_a_defect_of_the_next_engine_is_found_out(
    defect: Callable[[], AbstractContextManager[object]], death: Death, shows: str, tmp_path: Path
) -> None:
    world = World(tmp_path, ("binance",), 5, BRISK)
    (harbour,) = world.harbours
    async with world.waiting():
        await dies(world, death)
        with defect():
            async with world.holding():
                await eventually(lambda: world.online(harbour))
                await world.settle(3)
    problems = judge(tmp_path, world.harbours).problems
    assert any(shows in problem for problem in problems), problems


# --- handing over ----------------------------------------------------------------------------------------------------


@pytest.fixture
def _disarmed() -> Iterator[None]:
    yield
    crash_points.arm(None)


def at(point: str, act: Callable[[], object]) -> None:
    """Do something once when a point is passed."""

    def hook(name: str) -> None:
        if name == point:
            crash_points.arm(None)
            act()

    crash_points.arm(hook)


@pytest.mark.usefixtures("_disarmed")
@pytest.mark.parametrize(("kind", "point"), [("binance", "booked"), ("okx", "frozen"), ("okx", "taken")])
async def test_orders_in_flight_go_over_to_the_next_engine(kind: str, point: str, tmp_path: Path) -> None:
    world = World(tmp_path, (kind,), 5, CALM)
    (harbour,) = world.harbours
    async with world.waiting(), world.holding() as old:
        assert old.engine is not None
        await eventually(lambda: world.online(harbour))
        link = old.link()
        hand = Hand(world, harbour, random.Random(4), 0.1)
        await hand.arm()
        await rests(Scene(world, harbour, link, hand))
        (resting,) = harbour.exchange.ledger.open_orders(harbour.account)
        # One whose answer never comes, one that never arrives, and one that is executed while the engine changes.
        harbour.simulator.faults.arm(Fault.TIMEOUT_AFTER)
        accepted = await hand.place("rest", "buy")
        await eventually(lambda: harbour.arrivals[accepted])
        harbour.simulator.faults.arm(Fault.LOST_REQUEST, where=lambda place: place.startswith("POST"))
        assert await hand.place("rest", "sell")
        at(f"handover.{point}", lambda: bring_to_market(harbour))
        async with world.succeeding() as new:
            assert old.successor
            assert new.engine is not None
            assert resting.fills
            assert await world.settle(12) == ""
    verdict = judge(tmp_path, world.harbours)
    assert verdict.problems == []
    assert verdict.orders.total() == 2

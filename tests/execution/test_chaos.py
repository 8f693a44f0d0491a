"""Whatever is lost, late, refused or killed: each order is sent once, and in the end both sides tell the same."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import (
    ConflictError,
    ExchangeConnectionError,
    ExchangeError,
    ExchangeRateLimitError,
    UnknownOutcomeError,
)
from engine.execution.dispatcher import COMPARE_EVERY_S
from engine.model.order import OPEN_STATUSES, OrderStatus
from tests.execution.house import (
    BTC,
    BUY,
    PAPER,
    SELL,
    USDT,
    House,
    ScriptedVenue,
    fails,
    takes_effect_then_fails,
    turns,
    waits_for,
)

if TYPE_CHECKING:
    from engine.model.ids import ClientOrderId

WORKING = (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED)
LOST: tuple[Exception, ...] = (UnknownOutcomeError("?"), TimeoutError(), OSError("reset"), ExchangeError("502"))
REFUSED: tuple[Exception, ...] = (ExchangeConnectionError("refused"), ExchangeRateLimitError("429"))


class Chaos:
    """A trader, a venue and bad luck."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.house = House()
        self.held_up: list[asyncio.Event] = []

    @property
    def venue(self) -> ScriptedVenue:
        return self.house.venue

    def mischief(self) -> None:
        """Something goes wrong with one of the next requests, or with the stream."""
        kind = self.rng.choice(("place", "place", "cancel", "amend", "order", "open_orders"))
        match self.rng.randrange(5):
            case 0:
                self.venue.on(kind, fails(self.rng.choice(LOST)))
            case 1 if kind in ("place", "cancel", "amend"):
                self.venue.on(kind, takes_effect_then_fails(self.rng.choice(LOST)))
            case 2:
                self.venue.on(kind, fails(self.rng.choice(REFUSED)))
            case 3 if kind in ("place", "cancel", "amend"):
                event = asyncio.Event()
                self.held_up.append(event)
                self.venue.on(kind, waits_for(event))
            case _:
                self.venue.silent = not self.venue.silent

    def trade(self) -> None:
        """The trader wants something."""
        house, rng = self.house, self.rng
        orders = list(house.state.orders.values())
        try:
            match rng.randrange(4):
                case 0 if orders:
                    house.desk.cancel(rng.choice(orders).client_id, "no more")
                case 1 if orders:
                    house.desk.amend(rng.choice(orders).client_id, price=D(rng.randrange(80, 120)))
                case _:
                    house.submit(rng.choice((BUY, SELL)), str(rng.randrange(1, 9)), price=str(rng.randrange(80, 120)))
        except ConflictError:
            return

    def market(self) -> None:
        """The venue's market moves."""
        working = [order.client_id for order in self.venue.orders.values() if order.status in WORKING]
        if not working:
            return
        client_id = self.rng.choice(working)
        left = self.venue.orders[client_id].quantity - self.venue.orders[client_id].filled
        if self.rng.random() < 0.2:
            self.venue.end(client_id, "by the venue")
        else:
            part = left if self.rng.random() < 0.5 else min(left, D("0.5"))
            self.venue.execute(client_id, part, str(self.rng.randrange(80, 120)))

    async def live(self, steps: int) -> None:
        """Some minutes of this, with the engine at work."""
        async with self.house.running():
            for _ in range(steps):
                self.rng.choice((self.trade, self.trade, self.market, self.mischief))()
                if self.held_up and self.rng.random() < 0.4:
                    self.held_up.pop(0).set()
                await turns(self.rng.randrange(1, 12))
                journal = self.house.journal
                if not journal.held and self.rng.random() < 0.15:
                    journal.hold()
                elif journal.held and self.rng.random() < 0.5:
                    journal.release()
                    journal.held = False
                if self.rng.random() < 0.3:
                    await self.house.clock.advance(self.rng.choice((0.3, 1, 5, 20)))

    def crash(self) -> None:
        """The engine is killed; some of its last facts may not have been durable."""
        for event in self.held_up:
            event.set()
        self.house = self.house.crashed(self.house.journal.durable_seq)

    async def calm(self) -> None:
        """Everything works again, and there is time."""
        self.venue._script.clear()
        self.venue.silent = False
        self.house.journal.release()
        self.house.journal.held = False
        for event in self.held_up:
            event.set()
        for _ in range(6):
            await turns()
            await self.house.clock.advance(COMPARE_EVERY_S)
            await asyncio.sleep(0.002)

    def check(self) -> None:
        """Both sides tell the same, to the last unit."""
        state, venue = self.house.state, self.venue
        placed: list[ClientOrderId] = [sent[1] for sent in venue.requests("place")]
        assert len(placed) == len(set(placed)), "nothing is ever sent twice"
        for order in (*state.orders.values(), *state.recent.values()):
            there = venue.orders.get(order.client_id)
            if there is None:
                assert order.status in (OrderStatus.REJECTED, OrderStatus.CANCELED)
                assert not order.filled
                continue
            assert order.filled == there.filled
            assert (order.status in OPEN_STATUSES) == (there.status in WORKING), (order.status, there.status)
            if order.is_open:
                assert (order.price, order.quantity) == (there.price, there.quantity)
        assert {*venue.orders} <= {*state.orders, *state.recent}
        bought = sum((f.quantity * f.side.sign for f in venue.fills), D(0))
        paid = sum((f.quantity * f.price * f.side.sign for f in venue.fills), D(0))
        assert state.balance(PAPER, BTC).total == 10 + bought
        assert state.balance(PAPER, USDT).total == 100_000 - paid
        for currency in (BTC, USDT):
            held = [o.reserved for o in state.orders.values() if o.reserve_currency == currency]
            assert state.balance(PAPER, currency).reserved == sum(held, D(0))


@pytest.mark.parametrize("seed", range(40))
async def test_bad_luck_changes_nothing_in_the_end(seed: int) -> None:
    chaos = Chaos(seed)
    await chaos.live(60)
    async with chaos.house.running():
        await chaos.calm()
    chaos.check()


@pytest.mark.parametrize("seed", range(100, 120))
async def test_being_killed_in_the_middle_changes_nothing_either(seed: int) -> None:
    chaos = Chaos(seed)
    for _ in range(3):
        await chaos.live(25)
        chaos.crash()
        await recovered(chaos)
    async with chaos.house.running():
        await chaos.calm()
    chaos.check()


async def recovered(chaos: Chaos) -> None:
    """Start again, in spite of all that still goes wrong."""
    house: Any = chaos.house
    while True:
        recovering = asyncio.ensure_future(house.dispatcher.recover(house.venue, PAPER))
        while not recovering.done():
            await turns(5)
            await house.clock.advance(5)
            await asyncio.sleep(0.001)
        try:
            recovering.result()
        except (ExchangeError, OSError, TimeoutError):
            # The venue was away: the next start tries again.
            chaos.house = house = house.crashed()
            continue
        return

"""A start at a simulated exchange that is late with what it tells: nothing is decided before it had its time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine import venue_unit
from engine.errors import OrderRejectionError
from engine.model.entries import TradingState
from engine.model.ids import ClientOrderId
from engine.model.order import OrderSide, OrderStatus, OrderType
from engine.model.venue import OrderCommand
from engine.venues.binance import adapter, executions
from engine.venues.binance.usdm import BinanceUsdmVenue
from engine.venues.okx import orders
from engine.venues.okx.venue import OkxVenue
from tests.chaos import wire_world
from tests.chaos.wire_hands import Hand
from tests.chaos.wire_world import Hurry, World
from tests.kit.waiting import eventually
from tests.wire.faults import Fault
from tests.wire.shore import SETS, Shore, shore_at

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from engine.model.fill import Fill
    from engine.model.ids import AccountId
    from engine.model.venue import Venue


def trade_elsewhere(shore: Shore, *, late_s: float) -> None:
    """Somebody trades the account from elsewhere; the position shows at once, the execution later."""
    if late_s:
        shore.exchange.faults.arm(Fault.LATE_VISIBLE, delay_s=late_s)
    held = shore.exchange.positions(shore.key[0])[0].quantity
    command = OrderCommand(
        client_id=ClientOrderId("elsewhere1"),
        account=shore.key[0],
        instrument=shore.key[1],
        side=OrderSide.BUY,
        type=OrderType.MARKET,
        quantity=held,
    )
    outcome = shore.exchange.place(command, {})
    assert outcome.order is not None, outcome
    assert shore.exchange.positions(shore.key[0])[0].quantity == 2 * held


@pytest.mark.parametrize("kind", sorted(SETS))
async def test_an_execution_that_is_listed_late_is_booked_as_such_and_halts_nothing(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two starts and their comparisons are pressed into seconds, where a venue's minute would have to hold them all.
    monkeypatch.setitem(wire_world.USDM_ROOM, "weight_per_minute", 20_000.0)
    async with shore_at(kind, tmp_path) as shore:
        windows = shore.harbour.simulator.limits.windows
        windows |= {name: replace(window, most=10 * window.most) for name, window in windows.items()}
        await shore.place()
        await shore.world.host.stop()
        trade_elsewhere(shore, late_s=3.0)
        await shore.world.start()
        unit = shore.engine.unit(shore.key[1])
        assert unit.connection.lost, "nothing is opened before it was compared again"
        assert not shore.engine.knows(shore.key[0])
        facts: list[ev.Event] = []
        shore.engine.ledger.subscribe(lambda record: facts.append(record.event))
        await eventually(lambda: shore.world.online(shore.harbour), seconds=20)
        there = shore.exchange.positions(shore.key[0])[0].quantity
        assert shore.engine.state.positions[shore.key].quantity == there
        assert not [fact for fact in facts if isinstance(fact, ev.PositionAdopted | ev.BalanceAdjusted)]
        assert shore.engine.state.trading_state() is TradingState.ACTIVE


MANY = 100
ADAPTERS: dict[str, Any] = {"binanceusdm": BinanceUsdmVenue, "okx": OkxVenue}


def live_long(world: World) -> None:
    """Thousands of executions of before the engine's first start, at the price of the book."""
    (harbour,) = world.harbours
    exchange, account = harbour.exchange, harbour.account
    instrument = next(i for i in harbour.instruments if i.symbol == "BTC/USDT:USDT")
    for number in range(MANY):
        command = OrderCommand(
            client_id=ClientOrderId(f"before{number}"),
            account=account,
            instrument=instrument.id,
            side=OrderSide.BUY if number % 2 == 0 else OrderSide.SELL,
            type=OrderType.MARKET,
            quantity=instrument.current_rules.lot,
        )
        assert exchange.place(command, {}).order is not None
    assert len(exchange.fills(account)) >= MANY


@pytest.mark.parametrize("kind", sorted(SETS))
async def test_a_long_history_is_read_beside_the_start_and_nothing_is_traded_before(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Small pages, the second of which comes after the patience of a start, stand for a history that is long.
    monkeypatch.setattr(venue_unit, "OPEN_S", 4.0)
    monkeypatch.setattr(adapter, "PAGE", 20)
    monkeypatch.setattr(executions, "PAGE", 20)
    # Of a history that took months, little is listed twice.
    monkeypatch.setattr(executions, "OVERLAP_MS", 1)
    monkeypatch.setattr(orders, "PAGE", 20)
    found, asked = asyncio.Event(), 0
    listed = ADAPTERS[kind].fills_since

    async def slowly(self: Venue, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        nonlocal asked
        asked += 1
        if asked > 1:
            await found.wait()
        page: tuple[Sequence[Fill], str] = await listed(self, account, cursor)
        return page

    monkeypatch.setattr(ADAPTERS[kind], "fills_since", slowly)
    # Each page has time to wait for room in the limits.
    world = World(tmp_path, (kind,), 7, Hurry(timeout_s=10.0))
    live_long(world)
    (harbour,) = world.harbours
    async with world.running():
        shore = Shore(world)
        unit = shore.engine.unit(shore.key[1])
        assert shore.engine.ready
        assert unit.connection.lost
        assert "much to tell" in unit.connection.reason
        assert not shore.engine.knows(harbour.account)
        assert harbour.account in shore.engine.state.accounts
        await Hand(world, harbour, Random(1), 0.0).arm()
        with pytest.raises(OrderRejectionError):
            await shore.call("orders.place", instrument=shore.key[1], side="buy", quantity="1")
        if kind == "binanceusdm":
            await eventually(lambda: "executions of before the first start" in unit.connection.reason, seconds=20)
        found.set()
        await eventually(lambda: world.online(harbour), seconds=30)
        await shore.ready()
        there = {b.currency: b.total for b in shore.exchange.balances(harbour.account)}
        booked = {c: b.total for c, b in shore.engine.state.balances[harbour.account].items()}
        assert booked == there
        assert shore.engine.state.external_fills == {}
        assert shore.engine.state.trading_state() is TradingState.ACTIVE
        assert (await shore.place()).status is OrderStatus.FILLED

"""Balances against their venue, which may show money before the execution that moved it."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine import events as ev
from engine.clock import SimulatedClock
from engine.execution.accounts import Accounts
from engine.model.ids import ClientOrderId
from engine.model.venue import VenueBalance
from tests.execution.house import BTC, PAPER, USDT, House, ScriptedVenue, command, turns

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.execution.accounts import Difference
    from engine.model.fill import Fill
    from engine.model.ids import AccountId


class Ahead(ScriptedVenue):
    """Shows what is in the account at once, and executions later."""

    hidden = 0
    """Newest executions that it does not show yet."""
    deposited = D(0)

    async def balances(self, account: AccountId) -> Sequence[VenueBalance]:
        bought = sum((fill.quantity for fill in self.fills), D(0))
        paid = sum((fill.quantity * fill.price for fill in self.fills), D(0))
        held = {USDT: D(100_000) - paid + self.deposited, BTC: D(10) + bought}
        return [VenueBalance(currency=currency, total=total, locked=D(0)) for currency, total in held.items()]

    async def fills_since(self, account: AccountId, cursor: str) -> tuple[Sequence[Fill], str]:
        shown, after = self.fills[: len(self.fills) - self.hidden], int(cursor or 0)
        page = shown[after : after + 2]
        return page, str(after + len(page))


@pytest.fixture
def venue() -> Ahead:
    return Ahead(SimulatedClock())


@pytest.fixture
def house(venue: Ahead) -> House:
    return House(venue)


async def comparing(house: House) -> asyncio.Task[tuple[Difference, ...] | None]:
    accounts = Accounts(house.ledger, house.dispatcher.inquiry)
    task = asyncio.ensure_future(accounts.settle(house.venue, PAPER))
    await turns()
    return task


async def passes(house: House, seconds: int) -> None:
    for _ in range(seconds):
        await house.clock.advance(1)
        await turns()


async def test_money_that_is_shown_before_its_execution_is_no_difference(house: House, venue: Ahead) -> None:
    async with house.running():
        order = house.submit()
        await turns()
        venue.silent, venue.hidden = True, 1
        venue.execute(order.client_id, "1")
        comparison = await comparing(house)
        await passes(house, 20)
        assert not comparison.done()
        venue.hidden = 0
        await passes(house, 20)
        assert await comparison == ()
        assert house.state.balance(PAPER, BTC).total == 11
        assert house.facts(ev.BalanceAdjusted) == []


async def test_what_lasts_longer_than_an_execution_may_be_hidden_is_a_difference(house: House, venue: Ahead) -> None:
    async with house.running():
        house.submit()
        await turns()
        venue.deposited = D(5)
        comparison = await comparing(house)
        await passes(house, 29)
        assert not comparison.done()
        await passes(house, 2)
        found = await comparison
        assert found is not None
        assert [(one.currency, one.amount) for one in found] == [(USDT, D(5))]


async def test_an_execution_of_somebody_else_may_be_hidden_as_long_though_none_of_our_orders_works(
    house: House, venue: Ahead
) -> None:
    """A person's market order on the exchange's own page."""
    async with house.running():
        venue.accept(command("theirs"))
        venue.silent, venue.hidden = True, 1
        fill = venue.execute(ClientOrderId("theirs"), "1")
        comparison = await comparing(house)
        await passes(house, 20)
        assert not comparison.done()
        venue.hidden = 0
        await passes(house, 20)
        assert await comparison == ()
        assert [fact.fill.trade_id for fact in house.facts(ev.ExternalFillSeen)] == [fill.trade_id]
        assert house.facts(ev.BalanceAdjusted) == []
        assert house.state.balance(PAPER, BTC).total == 11


async def test_what_is_looked_at_now_and_then_counts_as_late(house: House, venue: Ahead) -> None:
    accounts = Accounts(house.ledger, house.dispatcher.inquiry)
    venue.deposited = D(5)
    for _ in range(3):
        assert await accounts.compare(venue, PAPER) == ()
        assert accounts.young(PAPER) == ((USDT, D(5)),)
    await house.clock.advance(29)
    assert await accounts.compare(venue, PAPER) == ()
    venue.deposited = D(6)
    await house.clock.advance(29)
    assert await accounts.compare(venue, PAPER) == (), "another difference has to last anew"
    await house.clock.advance(30)
    found = await accounts.compare(venue, PAPER)
    assert found is not None
    assert [one.amount for one in found] == [D(6)]
    accounts.take_over(PAPER, found[0], "test")
    venue.deposited = D(12)
    assert await accounts.compare(venue, PAPER) == (), "the same once more has to last as well"


async def test_a_start_that_cannot_wait_knows_that_it_does_not_know(house: House, venue: Ahead) -> None:
    accounts = Accounts(house.ledger, house.dispatcher.inquiry)
    venue.deposited = D(5)
    assert await accounts.settle(venue, PAPER, patient=False) is None
    await house.clock.advance(30)
    found = await accounts.settle(venue, PAPER, patient=False)
    assert [one.amount for one in found or ()] == [D(5)]


async def test_while_too_much_is_executed_to_tell_nothing_is_known(
    house: House, venue: Ahead, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts, said = Accounts(house.ledger, house.dispatcher.inquiry), venue.balances
    venue.accept(command("theirs"))

    async def busy(account: AccountId) -> Sequence[VenueBalance]:
        venue.execute(ClientOrderId("theirs"), "0.001")
        return await said(account)

    venue.silent = True
    monkeypatch.setattr(venue, "balances", busy)
    assert await accounts.compare(venue, PAPER) is None
    assert await accounts.settle(venue, PAPER, patient=False) is None


async def test_where_nothing_can_be_hidden_a_difference_is_told_at_once(house: House, venue: Ahead) -> None:
    venue.capabilities = msgspec.structs.replace(venue.capabilities, visibility_delay_s=0.0)
    venue.deposited = D(5)
    comparison = await comparing(house)
    assert comparison.done()
    assert len(await comparison or ()) == 1

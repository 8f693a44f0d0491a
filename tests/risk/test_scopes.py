"""Scopes: how they are written, and that a stop of one closes exactly what is inside it."""

from __future__ import annotations

import itertools
from decimal import Decimal as D

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import events as ev
from engine.errors import NotFoundError, ValidationError
from engine.model.account import Account, TradingMode
from engine.model.entries import TradingState
from engine.model.ids import MANUAL, AccountId, VenueId
from engine.model.limits import RiskLimits
from engine.model.order import OrderType
from engine.model.risk import RefusalCode
from engine.risk.scopes import Scope, find_scope, scope_name
from tests.risk.house import BOT, BTC, BUY, ETH, OTHER_BOT, PAPER, PERP, SOL, USDT, VENUE, House

SECOND = AccountId("second")
WIDE = RiskLimits(
    max_position_size_pct=D(1),
    max_portfolio_exposure=D(1),
    allow_short=True,
    max_total_positions=100,
    max_positions_per_symbol=100,
    max_orders_per_second=1000,
)


def house_of_two() -> House:
    """A house with a second account, and bots of two strategies."""
    house = House(WIDE, funds="100000")
    account = Account(id=SECOND, venue=VENUE, mode=TradingMode.PAPER, base_currency=USDT)
    house.ledger.record(ev.AccountOpened(account=account))
    house.ledger.record(ev.Deposited(account=SECOND, currency=USDT, amount=D(100_000)))
    for bot, strategy in ((BOT, "grid"), (OTHER_BOT, "trend")):
        config = f'{{"strategy":"{strategy}","instrument":"SIM:BTC/USDT"}}'.encode()
        house.ledger.record(ev.BotConfigured(bot=bot, config=config, capital=D(20_000)))
    return house


SCOPES = [
    (Scope(), "engine", "all"),
    (Scope(venue=VENUE), "venue:SIM", "venue:SIM"),
    (Scope(account=PAPER), "account:paper", "account:paper"),
    (Scope(strategy="grid"), "strategy:grid", "strategy:grid"),
    (Scope(instrument=BTC), "instrument:SIM:BTC/USDT", "symbol:SIM:BTC/USDT"),
    (Scope(symbol="BTC/USDT"), "symbol:BTC/USDT", "symbol:BTC/USDT"),
    (Scope(owner=BOT), "bot1", "bot:bot1"),
]


@pytest.mark.parametrize(("scope", "key", "name"), SCOPES)
def test_a_scope_is_read_as_it_is_written(scope: Scope, key: str, name: str) -> None:
    state = house_of_two().state
    assert scope.key == key
    assert Scope.parse(key) == scope
    assert key in Scope.keys_of(state, BOT, PAPER, BTC)
    assert scope.covers(state, BOT, PAPER, BTC)
    assert scope_name(scope, state) == name
    assert find_scope(name, state) == scope


def test_what_is_not_there_cannot_be_stopped_and_the_names_are_told() -> None:
    state = house_of_two().state
    with pytest.raises(ValidationError, match="names no part of trading"):
        find_scope("everything", state)
    with pytest.raises(NotFoundError, match="no venue MARS to stop; there is OKX, SIM"):
        find_scope("venue:mars", state, venues=["OKX"])
    for text in ("bot:nobody", "strategy:none", "account:x", "symbol:SIM:DOGE/USDT", "bot:"):
        with pytest.raises(NotFoundError):
            find_scope(text, state)
    assert find_scope("bot:manual", state) == Scope(owner=MANUAL)
    assert find_scope("venue:okx", state, venues=["OKX"]) == Scope(venue=VenueId("OKX"))


def test_a_scope_covers_only_its_own() -> None:
    state = house_of_two().state
    assert not Scope(instrument=BTC).covers(state, BOT, PAPER, ETH)
    assert not Scope(owner=BOT).covers(state, OTHER_BOT, PAPER, BTC)
    assert not Scope(account=SECOND).covers(state, BOT, PAPER, BTC)
    assert not Scope(strategy="grid").covers(state, OTHER_BOT, PAPER, BTC)
    assert not Scope(strategy="grid").covers(state, MANUAL, PAPER, BTC)
    assert not Scope.parse("venue:OTHER").covers(state, BOT, PAPER, BTC)


def test_a_scope_names_one_thing() -> None:
    with pytest.raises(ValueError, match="not several"):
        Scope(venue=VENUE, owner=BOT)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([scope for scope, *_ in SCOPES]),
    st.lists(
        st.tuples(
            st.sampled_from([MANUAL, BOT, OTHER_BOT]),
            st.sampled_from([PAPER, SECOND]),
            st.sampled_from([BTC, ETH, SOL, PERP]),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
        unique=True,
    ),
)
def test_a_stop_closes_exactly_what_it_covers_and_nothing_else(scope: Scope, parts: list[tuple]) -> None:  # type: ignore[type-arg]
    house = house_of_two()
    size = {BTC: "0.01", ETH: "0.2", SOL: "5", PERP: "0.01"}
    for owner, account, key, resting in parts:
        if resting:
            price = house.markets[key].mark * D("0.95")  # type: ignore[operator]
            house.submit(BUY, size[key], key, owner=owner, account=account, price=price)
        else:
            order = house.submit(BUY, size[key], key, owner=owner, account=account)
            house.fill(order)
    inside = {key for key in house.state.owned if scope.covers(house.state, *key)}
    outside = {key: p.quantity for key, p in house.state.owned.items() if key not in inside}
    others = {
        o.client_id
        for o in house.state.orders.values()
        if not scope.covers(house.state, o.owner, o.account, o.instrument)
    }
    house.risk.emergency("anna", "part", scope)
    for _ in range(3):
        for order in list(house.state.orders.values()):
            if order.cancel_requested:
                house.cancelled(order)
            elif order.type is OrderType.MARKET:
                house.fill(order)
        house.later(0.25)
        house.refresh()
        house.risk.tick(house.now)
    assert set(house.state.orders) == others
    held = {key: p.quantity for key, p in house.state.owned.items() if p.quantity}
    assert held == {key: quantity for key, quantity in outside.items() if quantity}
    (stop,) = house.risk.stops
    assert (stop.done, stop.left) == (True, ())
    # again is nothing, and what is outside trades on
    before = len(house.journal.records)
    house.risk.emergency("anna", "part", scope)
    assert len(house.journal.records) == before
    for owner, account, key in itertools.product((MANUAL, BOT, OTHER_BOT), (PAPER, SECOND), (BTC, ETH)):
        codes = house.codes(BUY, size[key], key, owner=owner, account=account)
        assert (RefusalCode.HALTED in codes) == scope.covers(house.state, owner, account, key)


def test_a_part_is_held_and_released_by_itself() -> None:
    house = house_of_two()
    scope = Scope(strategy="grid")
    house.risk.hold("anna", "looking", state=TradingState.HALTED, scope=scope)
    assert RefusalCode.HALTED in house.codes(BUY, "0.01", owner=BOT)
    assert house.codes(BUY, "0.01", owner=OTHER_BOT) == []
    house.risk.release("anna", "seen", scope)
    assert house.codes(BUY, "0.01", owner=BOT) == []

"""Locks: what places each, whom it binds, how it ends, and that it survives a restart."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import pytest

from engine import events as ev
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.model.ids import MANUAL, InstrumentId, Owner
from engine.model.order import OrderType
from engine.model.risk import RefusalCode
from engine.risk.scopes import Scope
from tests.kit.limits import loose
from tests.risk.guarded import Guarded
from tests.risk.house import BOT, BTC, BUY, ETH, OTHER_BOT, PAPER, SECOND, SELL

OFF: dict[str, Any] = {"frozen_price_s": 604_800, "stale_feed_s": 604_800, "price_shock_pct": 1}
LOCKED = [RefusalCode.LOCKED]


def stopped(house: Guarded, owner: Owner = BOT, key: InstrumentId = BTC, price: str = "49900") -> None:
    """A bot enters and is stopped out."""
    quantity = "0.002" if key == BTC else "0.05"
    house.trade(BUY, quantity, key, owner=owner)
    order = house.submit(SELL, quantity, key, owner=owner, type=OrderType.STOP_LOSS, stop_price=price)
    house.fill(order, price=price)


def won(house: Guarded, profit: str, owner: Owner = BOT, key: InstrumentId = BTC) -> None:
    """A bot makes a trade of 0.01 units with this profit."""
    mark = house.markets[key].mark
    assert mark is not None
    house.trade(BUY, "0.01", key, owner=owner)
    order = house.submit(SELL, "0.01", key, owner=owner)
    house.fill(order, price=mark + D(profit) * 100)


def placed(house: Guarded) -> list[tuple[str, str]]:
    """Locks in order: kind and scope."""
    return [(fact.kind, fact.scope) for fact in house.facts(ev.LockPlaced)]


# --- ended trades --------------------------------------------------------------------------------------------------


def test_a_trade_ends_when_nothing_is_held_and_its_profit_is_after_fees() -> None:
    house = Guarded(**OFF)
    house.trade(BUY, "0.002", owner=BOT)
    first = house.submit(SELL, "0.001", owner=BOT)
    house.fill(first, price="50500", fee="0.1")
    assert house.facts(ev.TradeEnded) == []
    second = house.submit(SELL, "0.001", owner=BOT)
    house.fill(second, price="50000", fee="0.2")
    (ended,) = house.facts(ev.TradeEnded)
    assert (ended.owner, ended.instrument, ended.profit, ended.stopped) == (BOT, BTC, D("0.2"), False)
    won(house, "-3")
    assert [fact.profit for fact in house.facts(ev.TradeEnded)] == [D("0.2"), D(-3)]
    assert house.state.trade_totals[BOT, PAPER, BTC] == D("-2.8")


def test_a_fee_that_is_taken_of_what_was_bought_ends_no_trade() -> None:
    house = Guarded(cooldown_s=300, **OFF)
    house.fill(house.submit(BUY, "0.01", owner=BOT), fee="0.001", in_units=True)
    assert house.facts(ev.TradeEnded) == []
    assert placed(house) == []
    house.fill(house.submit(SELL, "0.009", owner=BOT), price="50500")
    (ended,) = house.facts(ev.TradeEnded)
    assert ended.profit == D("0.009") * 500 - D(50)


def test_orders_by_hand_end_no_trades_of_bots() -> None:
    house = Guarded(cooldown_s=60, **OFF)
    house.trade(BUY, "0.002")
    house.trade(SELL, "0.002")
    assert house.facts(ev.TradeEnded) == []


def test_a_trade_that_ended_while_nobody_looked_is_made_up_for() -> None:
    house = Guarded(cooldown_s=600, **OFF)
    won(house, "1")
    house.later(700)
    house.step()
    house.trade(BUY, "0.002", owner=BOT)
    # The process dies between the fill and what follows from it.
    for known in tuple(house.ledger._subscribers):
        house.ledger.unsubscribe(known)
    order = house.submit(SELL, "0.002", owner=BOT)
    house.fill(order, price="50500")
    assert len(house.facts(ev.TradeEnded)) == 1
    house.begin_anew(from_journal=True)
    house.step()
    assert [fact.profit for fact in house.facts(ev.TradeEnded)] == [D(1), D(1)]
    assert house.codes(BUY, "0.002", owner=BOT) == LOCKED


# --- cooldown ------------------------------------------------------------------------------------------------------


def test_after_an_exit_the_bot_waits_there_and_nobody_else() -> None:
    house = Guarded(cooldown_s=300, **OFF)
    won(house, "1")
    assert placed(house) == [("cooldown", BOT)]
    assert house.codes(BUY, "0.002", owner=BOT) == LOCKED
    assert house.codes(BUY, "0.05", ETH, owner=BOT) == []
    assert house.codes(BUY, "0.002", owner=OTHER_BOT) == []
    assert house.codes(BUY, "0.002", owner=MANUAL) == []
    house.later(299.9)
    house.refresh()
    assert house.codes(BUY, "0.002", owner=BOT) == LOCKED
    assert "Locked for another 0 s" in house.check(BUY, "0.002", owner=BOT).message
    house.later(0.1)
    house.refresh()
    assert house.codes(BUY, "0.002", owner=BOT) == []
    house.step()
    (ended,) = house.facts(ev.LockEnded)
    assert (ended.lock, ended.actor) == (f"cooldown:{BOT}:{BTC}", "")
    assert house.state.locks == {}


def test_without_a_cooldown_a_bot_may_turn_at_once() -> None:
    house = Guarded(**OFF)
    won(house, "1")
    assert house.codes(BUY, "0.002", owner=BOT) == []


# --- stop guard ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stops", "locks"), [(3, 0), (4, 1)])
def test_four_losing_stops_in_a_day_lock_their_instrument(stops: int, locks: int) -> None:
    house = Guarded(**OFF)
    for number in range(stops):
        stopped(house, (BOT, OTHER_BOT)[number % 2])
        house.later(60)
        house.refresh()
    assert placed(house) == [("stop_guard", f"instrument:{BTC}")] * locks
    for owner in (BOT, OTHER_BOT):
        assert house.codes(BUY, "0.002", owner=owner) == LOCKED * locks
    assert house.codes(BUY, "0.05", ETH, owner=BOT) == []
    if locks:
        house.trade(BUY, "0.002")
        assert house.check(SELL, "0.002").passed
        assert house.state.locks[f"stop_guard:{BTC}"].reason == "4 losing stops in SIM:BTC/USDT within 24.0 h."


def test_stops_that_won_and_stops_of_yesterday_do_not_count() -> None:
    house = Guarded(**OFF)
    for _ in range(3):
        stopped(house)
    stopped(house, price="50100")
    won(house, "-5")
    assert placed(house) == []
    house.later(86_400)
    house.refresh()
    stopped(house)
    assert placed(house) == []


def test_many_losing_stops_anywhere_lock_everything() -> None:
    house = Guarded(stop_guard_stops=0, stop_guard_global_stops=3, **OFF)
    stopped(house)
    stopped(house, key=ETH, price="2490")
    assert placed(house) == []
    stopped(house, OTHER_BOT)
    assert placed(house) == [("stop_guard", "engine")]
    assert house.codes(BUY, "0.05", ETH, owner=OTHER_BOT) == LOCKED
    house.later(14_400)
    house.refresh()
    assert house.codes(BUY, "0.05", ETH, owner=OTHER_BOT) == []


# --- low profit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("last", "locks"), [("15", 0), ("14.9", 1)])
def test_trades_that_lost_on_balance_lock_their_instrument(last: str, locks: int) -> None:
    house = Guarded(low_profit_trades=3, **OFF)
    house.step()
    won(house, "-10")
    won(house, "-5", OTHER_BOT)
    assert placed(house) == []
    won(house, last)
    assert placed(house) == [("low_profit", f"instrument:{BTC}")] * locks
    assert house.codes(BUY, "0.05", ETH, owner=BOT) == []


def test_what_is_required_is_a_share_of_equity() -> None:
    house = Guarded(low_profit_trades=1, low_profit_required="0.01", **OFF)
    house.step()
    won(house, "99")
    assert len(placed(house)) == 1
    house = Guarded(low_profit_trades=1, low_profit_required="0.01", **OFF)
    house.step()
    won(house, "101")
    assert placed(house) == []


# --- equity --------------------------------------------------------------------------------------------------------


def holding() -> Guarded:
    """A house that holds 0.02 BTC at 50,000: 5,000 in the price are 1 % of equity."""
    house = Guarded(limits=loose(max_position_size_pct="0.11"), equity_lock_pct="0.01", volatility_spike=100, **OFF)
    house.step()
    house.trade(BUY, "0.02")
    house.step()
    return house


@pytest.mark.parametrize(("price", "locks"), [("45000.5", 0), ("45000", 1)])
def test_a_fall_of_equity_with_open_positions_counted_locks_the_account(price: str, locks: int) -> None:
    house = holding()
    house.price(BTC, price)
    house.step()
    assert placed(house) == [("equity", PAPER)] * locks
    assert house.codes(BUY, "0.05", ETH, owner=BOT) == LOCKED * locks
    assert house.codes(BUY, "0.05", ETH) == []


def test_the_highest_equity_is_remembered_over_a_restart_and_forgotten_after_its_window() -> None:
    house = holding()
    house.price(BTC, "55000")
    house.step()
    house.run(3_700)
    house.price(BTC, "51000")
    house.begin_anew(from_journal=True)
    house.step()
    assert placed(house) == []
    house.price(BTC, "49000")
    house.step()
    assert placed(house) == [("equity", PAPER)]
    house.run(14_500)
    # Still below: locked again for as long as the fall is within the window.
    assert placed(house) == [("equity", PAPER)] * 2
    house.run(180_000, 300)
    assert len(house.facts(ev.LockPlaced)) < 14
    assert house.state.locks == {}


def test_money_that_is_moved_is_no_fall() -> None:
    house = holding()
    house.run(3_700)
    house.ledger.record(ev.Withdrawn(account=PAPER, currency=house.state.accounts[PAPER].base_currency, amount=D(500)))
    house.step()
    house.begin_anew(from_journal=True)
    house.step()
    assert placed(house) == []


# --- by hand, and restarts -----------------------------------------------------------------------------------------


def test_a_lock_survives_a_restart_and_is_lifted_with_a_reason() -> None:
    house = Guarded(cooldown_s=300, **OFF)
    won(house, "1")
    house.begin_anew(from_journal=True)
    house.refresh()
    assert house.codes(BUY, "0.002", owner=BOT) == LOCKED
    lock = f"cooldown:{BOT}:{BTC}"
    with pytest.raises(ValidationError, match="reason"):
        house.risk.lift_lock("anna", "", lock)
    with pytest.raises(NotFoundError, match="There is no lock cool"):
        house.risk.lift_lock("anna", "why not", "cool")
    house.risk.lift_lock("anna", "checked", lock)
    assert house.codes(BUY, "0.002", owner=BOT) == []
    (ended,) = house.facts(ev.LockEnded)
    assert (ended.actor, ended.reason) == ("anna", "checked")


@pytest.mark.parametrize(
    ("scope", "bound"),
    [
        (Scope(), {(BOT, BTC), (BOT, ETH), (OTHER_BOT, BTC)}),
        (Scope(instrument=BTC), {(BOT, BTC), (OTHER_BOT, BTC)}),
        (Scope(owner=BOT), {(BOT, BTC), (BOT, ETH)}),
    ],
)
def test_a_lock_by_hand_binds_the_bots_of_its_scope(scope: Scope, bound: set[tuple[Owner, InstrumentId]]) -> None:
    house = Guarded(**OFF)
    house.risk.place_lock("anna", "news at noon", scope, 600)
    for owner, key, quantity in ((BOT, BTC, "0.002"), (BOT, ETH, "0.05"), (OTHER_BOT, BTC, "0.002")):
        assert house.codes(BUY, quantity, key, owner=owner) == (LOCKED if (owner, key) in bound else [])
    with pytest.raises(ConflictError, match="locked by anna"):
        house.risk.place_lock("ben", "shorter", scope, 60)
    house.risk.place_lock("ben", "longer", scope, 1_200)
    assert house.state.locks[f"manual:{scope.key}"].until == house.now + 1_200 * SECOND


def test_a_follower_of_another_journal_books_nothing() -> None:
    house = Guarded(cooldown_s=300, **OFF)
    won(house, "1")
    follower = Guarded(cooldown_s=300, **OFF)
    begun = follower.state.seq
    for record in house.journal.records:
        if record.seq > begun:
            follower.ledger.follow(record)
    assert follower.state.state_hash() == house.state.state_hash()

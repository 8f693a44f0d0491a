"""Breakers at and around their thresholds, their failure, and what a reset asks for."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import msgspec
import pytest

from engine import events as ev
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.model.entries import TradingState
from engine.model.risk import RefusalCode
from engine.risk.breakers import BREAKERS, Breakers
from engine.state import EngineState
from tests.kit.limits import loose
from tests.risk.house import BTC, BUY, PAPER, SELL, USDT, House

if TYPE_CHECKING:
    from engine.model.limits import RiskLimits
    from engine.risk.breakers import Measured

DAY = 86_400
WIDE = loose(max_position_size_pct=D(1))


def exposed(limits: RiskLimits = WIDE) -> House:
    """A house that holds 0.1 BTC bought at 50,000: a move of the price by 1,000 moves equity by 1 %."""
    house = House(limits)
    house.risk.tick(house.now)
    house.trade(BUY, "0.1", price="50000")
    house.risk.tick(house.now)
    return house


def move(house: House, price: str, seconds: float = 1) -> None:
    house.later(seconds)
    house.refresh()
    house.price(BTC, price)
    house.risk.tick(house.now)


def tripped(house: House) -> list[str]:
    return [fact.breaker for fact in house.facts(ev.BreakerTripped)]


@pytest.mark.parametrize(("price", "trips"), [("45000.01", []), ("45000", ["daily_loss"]), ("44999", ["daily_loss"])])
def test_five_percent_lost_in_a_day_stop_entries(price: str, trips: list[str]) -> None:
    house = exposed()
    move(house, price)
    assert tripped(house) == trips
    assert house.state.trading_state() is (TradingState.REDUCING if trips else TradingState.ACTIVE)
    codes = house.codes(BUY, "0.001")
    assert codes == ([RefusalCode.REDUCING, RefusalCode.HALTED] if trips else [])
    assert house.check(SELL, "0.1").passed


def test_the_fact_says_what_happened_and_the_marks_of_the_decision_are_journalled() -> None:
    house = exposed()
    before = len(house.journal.records)
    move(house, "45000")
    mark, equity, trip, state = [record.event for record in house.journal.records[before:]]
    assert mark == ev.MarkRecorded(instrument=BTC, price=D(45000), ts=house.now)
    assert equity == ev.EquityRecorded(account=PAPER, equity=D(9500), ts=house.now)
    assert isinstance(trip, ev.BreakerTripped)
    assert (trip.value, trip.threshold, trip.scope) == ("0.0500", "0.05", PAPER)
    assert trip.reason == (
        "Loss of the day of paper: equity is 9,500.00 USDT, 5 % below 10,000.00 USDT; the limit is 5 %."
    )
    assert state == ev.TradingStateChanged(
        scope="engine", state="reducing", reason=trip.reason, actor="breaker:daily_loss"
    )


def test_a_breaker_trips_once() -> None:
    house = exposed()
    for price in ("45000", "44900", "44800"):
        move(house, price, 20)
    assert tripped(house) == ["daily_loss"]
    assert len(house.facts(ev.TradingStateChanged)) == 1


@pytest.mark.parametrize(("price", "trips"), [("40000.01", False), ("40000", True)])
def test_ten_percent_below_the_peak_stop_entries(price: str, trips: bool) -> None:
    house = exposed(loose(max_position_size_pct=D(1), max_daily_loss_pct=D(1), max_weekly_loss_pct=D(1)))
    move(house, "47000", DAY)
    move(house, price, DAY)
    assert tripped(house) == (["drawdown"] if trips else [])
    assert house.state.trading_state() is (TradingState.REDUCING if trips else TradingState.ACTIVE)


@pytest.mark.parametrize(("price", "hard"), [("35000.01", False), ("35000", True)])
def test_fifteen_percent_below_the_peak_call_the_emergency_stop(price: str, hard: bool) -> None:
    house = exposed()
    move(house, price)
    hard_ones = ["monthly_loss", "drawdown", "max_drawdown"] if hard else ["drawdown"]
    assert tripped(house) == ["daily_loss", "weekly_loss", *hard_ones]
    assert house.state.trading_state() is (TradingState.HALTED if hard else TradingState.REDUCING)
    closing = [order for order in house.state.orders.values() if order.decision.reason.startswith("emergency stop")]
    assert len(closing) == hard
    if hard:
        house.fill(closing[0])
        assert house.held() == 0
        assert house.state.halts["engine"].actor == "emergency:breaker"


def test_the_peak_is_the_highest_equity_and_the_day_starts_with_the_last_of_the_day_before() -> None:
    house = exposed()
    move(house, "55000", 60)
    move(house, "53000", 60)
    entry = house.state.equity[PAPER]
    assert (entry.peak, entry.day_start) == (D(10500), D(10000))
    move(house, "52000", DAY)
    assert house.state.equity[PAPER].day_start == 10300
    # 5 % below 10,300 is 9,785
    move(house, "47850.01", 60)
    assert tripped(house) == []
    move(house, "47850", 60)
    assert tripped(house) == ["daily_loss"]


def test_moving_money_is_no_loss() -> None:
    house = exposed()
    house.ledger.record(ev.Withdrawn(account=PAPER, currency=USDT, amount=D(4000)))
    move(house, "50000", 60)
    assert tripped(house) == []
    assert house.state.equity[PAPER].peak == 6000


def test_equity_is_journalled_at_most_every_ten_seconds_and_never_while_nothing_changes() -> None:
    house = exposed()
    start = len(house.facts(ev.EquityRecorded))
    for second in range(1, 41):
        move(house, str(50000 + second))
    assert len(house.facts(ev.EquityRecorded)) - start == 4
    for _ in range(40):
        move(house, "50040")
    assert len(house.facts(ev.EquityRecorded)) - start == 4


def test_a_new_peak_is_journalled_at_once() -> None:
    house = exposed()
    move(house, "50100.00")
    assert house.state.equity[PAPER].peak == 10000
    move(house, "50101")
    assert house.state.equity[PAPER].peak == D("10010.1")


def test_what_a_closed_position_leaves_behind_is_journalled_at_once() -> None:
    house = exposed()
    move(house, "49000")
    assert house.state.equity[PAPER].equity == 10000
    house.trade(SELL, "0.1")
    house.risk.tick(house.now)
    assert house.state.equity[PAPER].equity == 9900


def test_a_new_day_begins_though_nothing_is_held() -> None:
    house = exposed()
    move(house, "49000", 60)
    house.trade(SELL, "0.1")
    house.risk.tick(house.now)
    for _ in range(3):
        move(house, "49000")
    assert house.state.equity[PAPER].day_start == 10000
    facts = len(house.journal.records)
    move(house, "40000", DAY)
    assert house.state.equity[PAPER].day_start == 9900
    for _ in range(3):
        move(house, "39000")
    assert len(house.journal.records) == facts + 2


def test_a_day_begins_with_the_last_equity_seen_although_that_was_not_journalled() -> None:
    house = exposed()
    move(house, "49000", 60)
    move(house, "48500")
    house.ledger.record(ev.Withdrawn(account=PAPER, currency=USDT, amount=D(1000)))
    assert house.state.equity[PAPER].equity == 8900
    # 8,850 after the withdrawal; 5 % below that is 8,407.5
    move(house, "44075.1", DAY)
    assert tripped(house) == []
    assert house.state.equity[PAPER].day_start == 8850
    move(house, "44075")
    assert tripped(house)[0] == "daily_loss"


def test_an_account_that_cannot_be_valued_is_no_loss_and_no_failure() -> None:
    house = exposed()
    quotes = dict(house.markets)
    house.markets.clear()
    house.later(5)
    house.risk.tick(house.now)
    assert tripped(house) == []
    assert house.risk.breakers.unknown == {PAPER: ("BTC",)}
    assert RefusalCode.STALE_MARKET in house.codes(BUY, "0.001")
    house.markets.update(quotes)
    move(house, "45000")
    assert tripped(house) == ["daily_loss"]


# --- failure --------------------------------------------------------------------------------------------------------


def boom(_: Measured) -> D:
    raise AttributeError("no such thing")


def break_one(house: House, name: str) -> None:
    """Let one breaker's own computation raise."""
    broken = tuple(msgspec.structs.replace(b, measure=boom) if b.name == name else b for b in BREAKERS)
    house.risk.breakers._breakers = broken


@pytest.mark.parametrize("name", [breaker.name for breaker in BREAKERS])
def test_a_breaker_that_cannot_be_evaluated_halts_trading(name: str) -> None:
    house = exposed()
    break_one(house, name)
    move(house, "49999")
    assert tripped(house) == [name]
    assert house.state.trading_state() is TradingState.HALTED
    assert house.codes(BUY, "0.001") == [RefusalCode.HALTED, RefusalCode.BREAKER_FAILED]
    assert house.check(SELL, "0.1").passed
    assert "AttributeError" in house.state.halts["engine"].reason
    # it is told once, the others go on working, and nothing is closed by force
    move(house, "44000", 20)
    assert tripped(house) == ([name] if name == "daily_loss" else [name, "daily_loss"])
    assert not house.state.orders


def test_a_failure_outside_any_breaker_halts_trading_too() -> None:
    house = exposed()
    house.ledger.record(ev.LimitsChanged(limits=b"not json", actor="test"))
    for _ in range(3):
        house.later(1)
        house.risk.tick(house.now)
    assert tripped(house) == ["evaluation"]
    assert house.state.trading_state() is TradingState.HALTED
    with pytest.raises(ConflictError, match="still cannot be evaluated"):
        house.risk.reset_breaker("anna", "try", "evaluation", "engine", force=True)
    house.ledger.record(ev.LimitsChanged(limits=loose().encode(), actor="test"))
    house.risk.reset_breaker("anna", "limits repaired", "evaluation")
    assert house.state.trading_state() is TradingState.ACTIVE
    assert house.codes(BUY, "0.001", price="50000") == [RefusalCode.POSITION_SIZE]


def test_a_failed_breaker_cannot_be_forced_while_it_fails() -> None:
    house = exposed()
    break_one(house, "drawdown")
    move(house, "49999")
    with pytest.raises(ConflictError, match="still cannot be evaluated"):
        house.risk.reset_breaker("anna", "try", "drawdown", force=True)
    house.risk.breakers._breakers = BREAKERS
    house.risk.reset_breaker("anna", "repaired", "drawdown")
    assert house.state.trading_state() is TradingState.ACTIVE


# --- reset ------------------------------------------------------------------------------------------------------------


def test_a_reset_is_refused_while_the_condition_persists() -> None:
    house = exposed()
    move(house, "45000")
    with pytest.raises(ConflictError, match=r"still 5 %, the limit is 5 %\. Wait, or force"):
        house.risk.reset_breaker("anna", "it will be fine", "daily_loss")
    assert house.state.breakers


def test_a_daily_loss_pauses_trading_for_24_hours() -> None:
    house = exposed()
    move(house, "45000")
    move(house, "50000", 23 * 3600)
    with pytest.raises(ConflictError, match=r"1\.0 hours are left"):
        house.risk.reset_breaker("anna", "recovered", "daily_loss")
    move(house, "50000", 3600)
    house.risk.reset_breaker("anna", "recovered", "daily_loss")
    assert not house.state.breakers
    assert house.state.trading_state() is TradingState.ACTIVE
    reset = house.facts(ev.BreakerReset)[-1]
    assert (reset.actor, reset.reason, reset.peak, reset.day_start) == ("anna", "recovered", None, None)


def test_forcing_begins_the_comparison_anew() -> None:
    house = exposed(loose(max_position_size_pct=D(1), max_weekly_loss_pct=D(1), max_monthly_loss_pct=D(1)))
    move(house, "39000")
    assert tripped(house) == ["daily_loss", "drawdown"]
    house.risk.reset_breaker("anna", "accepted", "daily_loss", force=True)
    assert house.state.trading_state() is TradingState.REDUCING
    house.risk.reset_breaker("anna", "accepted", "drawdown", force=True)
    assert house.state.trading_state() is TradingState.ACTIVE
    entry = house.state.equity[PAPER]
    assert (entry.equity, entry.peak, entry.day_start) == (D(8900), D(8900), D(8900))
    move(house, "39000", 30)
    assert house.state.trading_state() is TradingState.ACTIVE
    # 5 % below 8,900 is 8,455
    move(house, "34550", 30)
    assert tripped(house) == ["daily_loss", "drawdown", "daily_loss"]


def test_a_reset_needs_an_open_breaker_a_reason_and_known_prices() -> None:
    house = exposed()
    with pytest.raises(NotFoundError, match="not open for paper; open are: none"):
        house.risk.reset_breaker("anna", "why not", "drawdown")
    move(house, "45000")
    with pytest.raises(ValidationError, match="reason"):
        house.risk.reset_breaker("anna", " ", "daily_loss", force=True)
    house.markets.clear()
    with pytest.raises(ConflictError, match="no price is known for BTC"):
        house.risk.reset_breaker("anna", "please", "daily_loss", force=True)


def test_a_halt_of_the_operator_outlives_the_reset_of_breakers() -> None:
    house = exposed()
    house.risk.hold("anna", "lunch", TradingState.HALTED)
    move(house, "45000")
    assert house.state.halts["engine"].actor == "anna"
    house.risk.reset_breaker("anna", "accepted", "daily_loss", force=True)
    assert house.state.trading_state() is TradingState.HALTED


def test_open_breakers_survive_a_restart() -> None:
    house = exposed()
    move(house, "45000")
    again = EngineState.from_sections(house.state.sections())
    assert ("daily_loss", PAPER) in again.breakers
    assert again.trading_state() is TradingState.REDUCING
    breakers = Breakers(again, house.risk.picture, house.risk.limits)
    house.risk.picture.state = again
    house.later(60)
    assert [type(fact) for fact in breakers.evaluate(house.now) if not isinstance(fact, ev.MarkRecorded)] == []


def test_standings_show_every_breaker_with_value_and_threshold() -> None:
    house = exposed()
    move(house, "44000")
    rows = {row.name: row for row in house.risk.standings()}
    assert set(rows) == {"daily_loss", "weekly_loss", "monthly_loss", "drawdown", "max_drawdown"}
    assert rows["daily_loss"].open is not None
    assert rows["drawdown"].open is None
    assert (rows["drawdown"].value, rows["drawdown"].threshold) == (D("0.06"), D("0.1"))
    house.markets.clear()
    assert house.risk.standings()[0].value is None


def test_a_quiet_account_costs_nothing() -> None:
    house = House()
    house.risk.tick(house.now)
    house.risk.tick(house.now)
    house.risk.picture.commitments = None  # type: ignore[assignment]
    house.later(5)
    assert house.risk.breakers.evaluate(house.now) == ()


def test_positions_without_a_price_halt_trading_after_half_a_minute() -> None:
    house = exposed()
    move(house, "50000")
    gone = dict(house.markets)
    house.markets.clear()
    for _ in range(30):
        house.risk.tick(house.now)
        house.later(1)
    assert tripped(house) == []
    house.risk.tick(house.now)
    (trip,) = house.facts(ev.BreakerTripped)
    assert (trip.breaker, trip.scope) == ("evaluation", PAPER)
    assert "no price is known for" in trip.reason
    assert house.state.trading_state() is TradingState.HALTED
    house.later(1)
    house.risk.tick(house.now)
    assert len(house.facts(ev.BreakerTripped)) == 1
    with pytest.raises(ConflictError, match="cannot be valued"):
        house.risk.reset_breaker("anna", "try", "evaluation")
    house.markets.update(gone)
    house.refresh()
    house.risk.reset_breaker("anna", "prices are back", "evaluation")
    assert house.state.trading_state() is TradingState.ACTIVE


def test_a_gap_of_prices_that_ends_in_time_halts_nothing() -> None:
    house = exposed()
    for _ in range(4):
        gone = dict(house.markets)
        house.markets.clear()
        house.risk.tick(house.now)
        house.later(20)
        house.risk.tick(house.now)
        house.markets.update(gone)
        move(house, "50000")
    assert tripped(house) == []


def test_a_reset_gives_a_hold_that_the_breaker_covered_back_to_its_operator() -> None:
    house = exposed()
    house.risk.hold("anna", "only reduce today", TradingState.REDUCING)
    house.markets.clear()
    house.risk.tick(house.now)
    house.later(31)
    house.risk.tick(house.now)
    assert house.state.trading_state() is TradingState.HALTED
    house.price(BTC, "50000")
    house.risk.reset_breaker("ben", "prices are back", "evaluation")
    halt = house.state.halts["engine"]
    assert (halt.state, halt.actor, halt.reason) == (TradingState.REDUCING, "anna", "only reduce today")
    assert halt.beneath is None

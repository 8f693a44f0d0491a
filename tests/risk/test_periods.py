"""Losses of day, week and month: where periods begin, what each loss does, and how it ends."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D

import pytest

from engine import events as ev
from engine.errors import ConflictError
from engine.model.entries import TradingState
from engine.model.protections import ProtectionSettings
from engine.model.risk import RefusalCode
from engine.risk.periods import Period, bounds
from tests.kit.limits import loose
from tests.risk.guarded import Guarded, shown
from tests.risk.house import BTC, BUY, PAPER, SECOND, SELL, USDT, House

DAY, HOUR = 86_400, 3_600


def ns(*parts: int) -> int:
    """UTC nanoseconds of a date."""
    year, month, day, hour, minute = (*parts, 0, 0)[:5]
    return int(datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("period", "at", "begin", "end"),
    [
        ("day", ns(2024, 5, 8, 0), ns(2024, 5, 8), ns(2024, 5, 9)),
        ("day", ns(2024, 5, 8) - 1, ns(2024, 5, 7), ns(2024, 5, 8)),
        ("week", ns(2024, 5, 8, 12), ns(2024, 5, 6), ns(2024, 5, 13)),
        ("week", ns(2024, 5, 13) - 1, ns(2024, 5, 6), ns(2024, 5, 13)),
        ("week", ns(2024, 5, 13), ns(2024, 5, 13), ns(2024, 5, 20)),
        ("month", ns(2024, 2, 29, 23), ns(2024, 2, 1), ns(2024, 3, 1)),
        ("month", ns(2024, 12, 31, 23), ns(2024, 12, 1), ns(2025, 1, 1)),
        ("month", ns(2024, 3, 1), ns(2024, 3, 1), ns(2024, 4, 1)),
    ],
)
def test_periods_are_those_of_the_calendar_in_utc(period: Period, at: int, begin: int, end: int) -> None:
    assert bounds(period, at) == (begin, end)


def test_periods_begin_where_the_settings_say() -> None:
    # 17:00 in New York is 21:00 UTC in summer and 22:00 in winter.
    assert bounds("day", ns(2024, 7, 1, 20, 59), "America/New_York", 17) == (ns(2024, 6, 30, 21), ns(2024, 7, 1, 21))
    assert bounds("day", ns(2024, 7, 1, 21), "America/New_York", 17) == (ns(2024, 7, 1, 21), ns(2024, 7, 2, 21))
    # The clocks go forward on Sunday the 10th of March: that day has 23 hours, its week 167.
    begin, end = bounds("day", ns(2024, 3, 10, 12), "America/New_York", 0)
    assert end - begin == 23 * HOUR * SECOND
    begin, end = bounds("week", ns(2024, 3, 10, 12), "America/New_York", 0)
    assert end - begin == 167 * HOUR * SECOND


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        ProtectionSettings(day_zone="Middle/Earth")


LIMITS = loose(max_position_size_pct=D(1), breaker_drawdown_pct=D(1), max_drawdown_pct=D(1), stale_market_s=86_400)


def begun(at: int = ns(2024, 5, 8, 12), **limits: object) -> House:
    """A house that holds 0.1 BTC bought at 50,000 on a Wednesday: 1,000 in the price are 1 % of equity."""
    house = House(LIMITS.changed(limits))
    house.clock.set(at)
    house.refresh()
    house.risk.tick(house.now)
    house.trade(BUY, "0.1", price="50000")
    house.risk.tick(house.now)
    return house


def move(house: House, price: str, seconds: float = 60) -> None:
    """The price of BTC after a while."""
    house.later(seconds)
    house.refresh()
    house.price(BTC, price)
    house.risk.tick(house.now)


def became(house: House) -> list[tuple[str, str]]:
    """What became of breakers, in order."""
    kinds = (ev.BreakerTripped, ev.BreakerHalfOpened, ev.BreakerReset)
    return [(type(fact).__name__.removeprefix("Breaker"), fact.breaker) for fact in house.facts(*kinds)]


# --- day: a pause of 24 hours --------------------------------------------------------------------------------------


def test_the_loss_of_a_day_pauses_for_24_hours_then_trades_smaller_and_then_as_ever() -> None:
    house = begun()
    move(house, "45000")
    assert house.state.trading_state() is TradingState.REDUCING
    assert house.codes(BUY, "0.001") == [RefusalCode.REDUCING, RefusalCode.HALTED]
    assert house.check(SELL, "0.1").passed
    assert shown(house, "daily_loss").ends == house.now + DAY * SECOND
    move(house, "45000", DAY - 1)
    assert became(house) == [("Tripped", "daily_loss")]
    move(house, "45000", 1)
    assert became(house) == [("Tripped", "daily_loss"), ("HalfOpened", "daily_loss")]
    assert house.state.trading_state() is TradingState.ACTIVE
    assert house.codes(BUY, "0.001") == []
    assert house.risk.caution.factor_of(BTC, PAPER, "bot1") == D("0.5")  # type: ignore[arg-type]
    move(house, "45000", 899)
    assert became(house)[-1] == ("HalfOpened", "daily_loss")
    move(house, "45000", 1)
    assert became(house)[-1] == ("Reset", "daily_loss")
    assert house.risk.caution.factor_of(BTC, PAPER, "bot1") == 1  # type: ignore[arg-type]


def test_the_pause_goes_on_while_the_next_day_loses_as_much() -> None:
    house = begun(max_weekly_loss_pct=D(1), max_monthly_loss_pct=D(1))
    move(house, "45000")
    move(house, "44900", DAY // 2 + 60)
    move(house, "40000", DAY // 2)
    assert became(house) == [("Tripped", "daily_loss")]
    move(house, "41000", 60)
    assert became(house)[-1] == ("HalfOpened", "daily_loss")


def test_a_loss_on_trial_pauses_again_for_24_hours() -> None:
    house = begun(max_weekly_loss_pct=D(1), max_monthly_loss_pct=D(1))
    move(house, "45000")
    move(house, "45000", DAY)
    move(house, "40000")
    assert became(house)[-1] == ("Tripped", "daily_loss")
    assert house.state.trading_state() is TradingState.REDUCING
    assert shown(house, "daily_loss").ends == house.now + DAY * SECOND


# --- week: half of the size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "trips"), [("40000.01", False), ("40000", True)])
def test_ten_percent_lost_in_a_week_halve_entries_until_monday(price: str, trips: bool) -> None:
    house = begun(max_daily_loss_pct=D(1))
    move(house, price)
    assert became(house) == ([("Tripped", "weekly_loss")] if trips else [])
    assert house.state.trading_state() is TradingState.ACTIVE
    assert house.codes(BUY, "0.001") == []
    assert house.risk.caution.factor_of(BTC, PAPER, "bot1") == (D("0.5") if trips else 1)  # type: ignore[arg-type]
    if trips:
        monday = ns(2024, 5, 13)
        assert shown(house, "weekly_loss").ends == monday
        house.clock.set(monday - SECOND)
        move(house, price, 0)
        assert became(house)[-1] == ("Tripped", "weekly_loss")
        move(house, price, 1)
        assert became(house)[-1] == ("Reset", "weekly_loss")
        assert house.risk.caution.factor_of(BTC, PAPER, "bot1") == 1  # type: ignore[arg-type]


def test_a_reduced_week_keeps_nobody_from_resuming() -> None:
    house = begun(max_daily_loss_pct=D(1))
    move(house, "40000")
    house.risk.hold("anna", "a look", TradingState.HALTED)
    house.risk.release("anna", "seen")
    assert house.state.trading_state() is TradingState.ACTIVE


# --- month: until a person resumes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "trips"), [("35000.01", False), ("35000", True)])
def test_fifteen_percent_lost_in_a_month_end_trading_until_somebody_resumes(price: str, trips: bool) -> None:
    house = begun(max_daily_loss_pct=D(1), max_weekly_loss_pct=D(1))
    move(house, price)
    assert became(house) == ([("Tripped", "monthly_loss")] if trips else [])
    if not trips:
        return
    assert "Review the strategies" in house.state.breakers["monthly_loss", PAPER].reason
    move(house, price, 40 * DAY)
    assert house.state.trading_state() is TradingState.REDUCING
    with pytest.raises(ConflictError, match="monthly_loss is open"):
        house.risk.release("anna", "go on")
    house.risk.reset_breaker("anna", "strategies reviewed", "monthly_loss")
    assert house.state.trading_state() is TradingState.ACTIVE
    (reset,) = house.facts(ev.BreakerReset)
    assert (reset.actor, reset.reason) == ("anna", "strategies reviewed")


def test_within_the_month_resuming_has_to_be_forced_and_measures_anew() -> None:
    house = begun(max_daily_loss_pct=D(1), max_weekly_loss_pct=D(1))
    move(house, "35000")
    with pytest.raises(ConflictError, match="still 15 %"):
        house.risk.reset_breaker("anna", "reviewed", "monthly_loss")
    house.risk.reset_breaker("anna", "reviewed", "monthly_loss", force=True)
    move(house, "35000")
    assert house.state.periods[PAPER, "month"].equity == 8_500
    assert became(house) == [("Tripped", "monthly_loss"), ("Reset", "monthly_loss")]


# --- all of them ---------------------------------------------------------------------------------------------------


def test_money_that_is_moved_is_no_loss_of_any_period() -> None:
    house = begun()
    house.ledger.record(ev.Withdrawn(account=PAPER, currency=USDT, amount=D(4_000)))
    move(house, "50000")
    assert became(house) == []
    assert {period.equity for period in house.state.periods.values()} == {D(6_000)}


def test_a_period_begins_with_what_the_one_before_ended_with_also_over_a_gap() -> None:
    house = begun(max_daily_loss_pct=D(1))
    move(house, "51000")
    # Nobody looked over the weekend, and the price has fallen since: that is a loss of the new week.
    house.clock.set(ns(2024, 5, 14))
    move(house, "40000", 0)
    assert house.state.periods[PAPER, "week"].equity == 10_100
    assert became(house) == [("Tripped", "weekly_loss")]


def test_every_state_survives_a_restart_with_its_end() -> None:
    house = Guarded(limits=LIMITS, frozen_price_s=604_800, price_shock_pct=1, stale_feed_s=604_800)
    house.clock.set(ns(2024, 5, 8, 12))
    house.refresh()
    house.risk.tick(house.now)
    house.trade(BUY, "0.1", price="50000")
    move(house, "40000")
    until = shown(house, "daily_loss").ends, shown(house, "weekly_loss").ends
    house.begin_anew(from_journal=True)
    house.refresh()
    assert house.state.trading_state() is TradingState.REDUCING
    assert (shown(house, "daily_loss").ends, shown(house, "weekly_loss").ends) == until
    move(house, "40000", DAY)
    assert ("daily_loss", PAPER) in house.state.breakers
    assert house.state.breakers["daily_loss", PAPER].reduces
    house.begin_anew(from_journal=True)
    house.refresh()
    house.price(BTC, "40000")
    assert house.risk.caution.factor_of(BTC, PAPER, "bot1") == D("0.5")  # type: ignore[arg-type]


def test_closed_breakers_of_periods_show_when_their_period_ends() -> None:
    house = begun()
    assert [shown(house, name).ends for name in ("daily_loss", "weekly_loss", "monthly_loss", "drawdown")] == [
        ns(2024, 5, 9), ns(2024, 5, 13), ns(2024, 6, 1), 0,
    ]  # fmt: skip


def test_the_day_of_another_zone_is_measured_from_its_own_boundary() -> None:
    house = Guarded(
        limits=LIMITS, day_zone="Asia/Tokyo", day_hour=0, frozen_price_s=604_800, price_shock_pct=1,
        stale_feed_s=604_800, volatility_spike=100,
    )  # fmt: skip
    # Midnight in Tokyo is 15:00 UTC.
    house.clock.set(ns(2024, 5, 8, 14))
    house.refresh()
    house.risk.tick(house.now)
    house.trade(BUY, "0.1", price="50000")
    move(house, "47000")
    house.clock.set(ns(2024, 5, 8, 15, 1))
    move(house, "46000", 0)
    assert house.state.periods[PAPER, "day"].equity == 9_700
    assert became(house) == []
    move(house, "42150")
    assert became(house) == [("Tripped", "daily_loss")]

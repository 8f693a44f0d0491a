"""Breakers of markets, errors and models: at and around each threshold, their trial, restarts and hand-over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine import events as ev
from engine.errors import ConflictError, NotFoundError, ValidationError
from engine.model.adaptation import Assessment
from engine.model.candle import Candle
from engine.model.entries import TradingState
from engine.model.risk import RefusalCode
from engine.risk.breakers import MANUAL_TRIP
from engine.risk.department import RiskCarried
from tests.kit.limits import loose
from tests.risk.guarded import Guarded, Model, shown
from tests.risk.house import BTC, BUY, ETH, SECOND, SELL

if TYPE_CHECKING:
    from engine.model.ids import InstrumentId

FROZEN_OFF: dict[str, Any] = {"frozen_price_s": 604_800}
MARKET = f"instrument:{BTC}"
MINUTE = 60_000_000_000


class Unsure:
    """A model that is sure of nothing."""

    name = "unsure"

    def assess(self, instrument: InstrumentId, now: int) -> Assessment | None:
        return Assessment(confidence=0.1, risk=0.5, ts=now)


def waving(house: Guarded, bars: int, size: float, price: float = 50_000.0) -> None:
    """Minutes that end above and below a price in turn."""
    for number in range(bars):
        house.later(60)
        house.refresh()
        house.price(BTC, f"{price * (1 + size * (-1) ** number):.2f}")
        house.risk.tick(house.now)


# --- the past of a market ------------------------------------------------------------------------------------------


def past(house: Guarded, count: int, size: float, *, gap: int = 0) -> list[Candle]:
    """Closed minutes that end with the last whole one before now, `gap` of them left out before the newest."""
    last = house.now // MINUTE - 1
    bars = []
    for back in range(count, 0, -1):
        close = 50_000 * (1 + size * (-1) ** back)
        if back != gap:
            bars.append(Candle(BTC, "1m", (last - back + 1) * MINUTE, close, close, close, close, 1.0))
    return bars


def test_after_a_start_volatility_is_known_from_the_past_of_the_market() -> None:
    house = Guarded(**FROZEN_OFF)
    house.step()
    manager = house.risk.manager
    assert manager.wants_past(BTC) == 42
    manager.take_past(BTC, past(house, 42, 0.0004), house.now)
    assert manager.wants_past(BTC) == 0
    # Twenty-five times as much as before, for three minutes.
    waving(house, 4, 0.01)
    assert ("Tripped", "volatility_spike") in house.told()


@pytest.mark.parametrize(("count", "gap"), [(39, 0), (42, 1), (42, 20)])
def test_a_past_that_is_too_short_or_has_a_gap_says_nothing(count: int, gap: int) -> None:
    house = Guarded(**FROZEN_OFF)
    house.step()
    house.risk.manager.take_past(BTC, past(house, count, 0.0004, gap=gap), house.now)
    assert house.risk.manager.wants_past(BTC) == 42


def test_a_fall_before_a_start_counts_within_its_window() -> None:
    house = Guarded()
    house.step()
    high = 55_000.0
    bars = [Candle(BTC, "1m", (house.now // MINUTE - 2) * MINUTE, high, high, high, high, 1.0)]
    house.risk.manager.take_past(BTC, bars, house.now)
    house.step()
    assert house.told() == [("Tripped", "price_shock")]


def test_a_market_that_is_not_heard_wants_no_past() -> None:
    house = Guarded()
    assert house.risk.manager.wants_past(BTC) == 0
    house.risk.manager.take_past(BTC, [], house.now)


# --- price shock ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("price", "trips"), [("52500", False), ("52500.01", True), ("47500", False), ("47499", True)])
def test_a_price_that_moves_more_than_five_percent_in_five_minutes_stops_its_market(price: str, trips: bool) -> None:
    house = Guarded()
    house.step()
    house.later(200)
    house.refresh()
    house.price(BTC, price)
    house.risk.tick(house.now)
    assert house.told() == ([("Tripped", "price_shock")] if trips else [])
    assert house.codes(BUY, "0.001", BTC) == ([RefusalCode.HALTED] if trips else [])
    assert house.codes(BUY, "0.1", ETH) == []
    assert house.state.trading_state() is TradingState.ACTIVE


def test_the_same_move_over_a_longer_time_is_no_shock() -> None:
    house = Guarded(volatility_spike=100, **FROZEN_OFF)
    for number in range(40):
        house.later(30)
        house.refresh()
        house.price(BTC, str(50_000 + number * 200))
        house.risk.tick(house.now)
    assert house.told() == []


def test_exits_pass_an_open_breaker_and_the_reason_names_market_value_and_limit() -> None:
    house = Guarded()
    house.trade(BUY, "0.01")
    house.step()
    house.price(BTC, "45000")
    house.risk.tick(house.now)
    assert house.check(SELL, "0.01").passed
    (trip,) = house.facts(ev.BreakerTripped)
    assert (trip.scope, trip.value, trip.threshold) == (MARKET, "10.00 %", "5.00 %")
    assert trip.reason == "SIM:BTC/USDT: the price moved 10.00 % within 300 s, more than 5.00 %."


# --- stale feed ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "trips"), [(59, False), (60, False), (61, True)])
def test_a_market_that_is_not_heard_for_a_minute_stops(seconds: int, trips: bool) -> None:
    house = Guarded()
    house.step()
    house.quiet(BTC, seconds, 1)
    assert house.told() == ([("Tripped", "stale_feed")] if trips else [])
    assert house.codes(BUY, "0.1", ETH) == []


# --- frozen price --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seconds", "trips"), [(600, False), (610, True)])
def test_quotes_that_never_change_while_the_feed_delivers_are_frozen(seconds: int, trips: bool) -> None:
    house = Guarded()
    house.step()
    house.run(seconds)
    assert [name for _, name in house.told()] == (["frozen_price"] * len(house.markets) if trips else [])


def test_a_trade_at_the_same_price_is_no_standstill() -> None:
    house = Guarded()
    house.step()
    for _ in range(100):
        for key in house.markets:
            house.traded_at[key] = house.now
        house.step(10)
    assert house.told() == []


def test_a_silent_market_is_stale_and_not_frozen() -> None:
    house = Guarded(frozen_price_s=100)
    house.step()
    house.run(1_000, heard=False)
    assert {name for _, name in house.told()} == {"stale_feed"}


# --- volatility ----------------------------------------------------------------------------------------------------


def test_volatility_needs_twice_its_periods_before_it_is_judged() -> None:
    house = Guarded(**FROZEN_OFF)
    waving(house, 41, 0.0005)
    assert shown(house, "volatility_spike").words == "warming up"
    waving(house, 1, 0.0005)
    assert shown(house, "volatility_spike").words == "1.00x"


@pytest.mark.parametrize(("size", "trips"), [(0.004, False), (0.02, True)])
def test_volatility_far_above_its_average_stops_the_market(size: float, trips: bool) -> None:
    house = Guarded(price_shock_pct=1, **FROZEN_OFF)
    waving(house, 45, 0.001)
    assert house.told() == []
    waving(house, 12, size)
    assert house.told() == ([("Tripped", "volatility_spike")] if trips else [])


def test_the_spike_is_the_standard_deviation_over_its_own_average() -> None:
    house = Guarded(volatility_periods=5, price_shock_pct=1, volatility_floor=0, **FROZEN_OFF)
    waving(house, 12, 0.001)
    memory = house.risk.manager._memory
    assert memory is not None
    market = memory.known[BTC]
    market.closes.clear()
    # Five returns of 1 % up and down, then five of 4 %: the average of the windows in between is known by hand.
    prices, price = [100.0], 100.0
    for size in (0.01, -0.01, 0.01, -0.01, 0.01, 0.04, -0.04, 0.04, -0.04, 0.04):
        price *= 2.718281828459045**size
        prices.append(price)
    market.closes.extend(prices)
    now, average = market.volatility() or (0.0, 0.0)

    def spread(values: list[float]) -> float:
        mean = sum(values) / len(values)
        return float((sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5)

    returns = [0.01, -0.01, 0.01, -0.01, 0.01, 0.04, -0.04, 0.04, -0.04, 0.04]
    spans = [spread(returns[i : i + 5]) for i in range(6)]
    assert now == pytest.approx(spans[-1], rel=1e-9)
    assert average == pytest.approx(sum(spans[:-1]) / 5, rel=1e-9)


def test_a_calm_market_that_only_stirs_is_no_spike() -> None:
    house = Guarded(**FROZEN_OFF)
    waving(house, 45, 0.0)
    waving(house, 5, 0.0001)
    assert house.told() == []


# --- errors and models ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "trips"), [(10, False), (11, True)])
def test_more_than_ten_grave_errors_a_minute_stop_everything(count: int, trips: bool) -> None:
    house = Guarded()
    house.step()
    house.errors.times += [house.now] * count
    house.risk.tick(house.now)
    assert house.told() == ([("Tripped", "error_rate")] if trips else [])
    for key, quantity in ((BTC, "0.001"), (ETH, "0.1")):
        assert house.codes(BUY, quantity, key) == ([RefusalCode.HALTED] if trips else [])


@pytest.mark.parametrize(("mean", "trips"), [(0.61, False), (0.6, False), (0.59, True), (float("nan"), True)])
def test_a_model_that_is_not_sure_stops_everything(mean: float, trips: bool) -> None:
    house = Guarded(Model(*[mean] * 20))
    house.step()
    assert house.told() == ([("Tripped", "model_confidence")] if trips else [])


def test_too_few_predictions_and_no_model_are_said_and_stop_nothing() -> None:
    assert shown(Guarded(), "model_confidence").words == "no model"
    house = Guarded(Model(*[0.1] * 19))
    house.step()
    assert house.told() == []
    assert shown(house, "model_confidence").words == "fewer than 20"


def test_the_model_that_sizes_follow_is_the_one_that_is_judged() -> None:
    house = Guarded(limits=loose().changed({"risk_mode": "ai"}), model_predictions=2)
    house.risk.adaptation.model = Unsure()
    for _ in range(2):
        assert shown(house, "model_confidence").words == "fewer than 2"
        house.step()
        house.risk.adaptation.size_factor(BTC)
    house.step()
    assert house.told() == [("Tripped", "model_confidence")]
    assert "unsure was sure of its last 2 predictions by 0.10" in house.facts(ev.BreakerTripped)[0].reason


# --- open, half-open, closed ---------------------------------------------------------------------------------------


def shocked() -> Guarded:
    """A house whose BTC has just fallen by a tenth."""
    house = Guarded(price_shock_window_s=60, volatility_spike=100, **FROZEN_OFF)
    house.step()
    house.price(BTC, "45000")
    house.risk.tick(house.now)
    return house


def test_it_is_tried_after_its_condition_was_gone_for_five_minutes_and_closes_after_the_trial() -> None:
    house = shocked()
    house.run(70)
    since = house.now
    house.run(290)
    assert house.told() == [("Tripped", "price_shock")]
    house.run(20)
    assert house.told() == [("Tripped", "price_shock"), ("HalfOpened", "price_shock")]
    entry = house.state.breakers["price_shock", MARKET]
    assert entry.reduces
    assert entry.until - since == pytest.approx((290 + 900) * SECOND, abs=30 * SECOND)
    assert house.codes(BUY, "0.001") == []
    house.run(870)
    assert house.told()[-1] == ("HalfOpened", "price_shock")
    house.run(40)
    assert house.told()[-1] == ("Reset", "price_shock")
    assert not house.state.breakers
    (reset,) = house.facts(ev.BreakerReset)
    assert reset.actor == "breaker:price_shock"


def test_entries_on_trial_are_half_as_large_in_that_market_only() -> None:
    house = shocked()
    house.run(400)
    assert house.told()[-1] == ("HalfOpened", "price_shock")
    # 10 % of 10,000 USDT is 1,000: half of it on trial.
    assert house.codes(BUY, "0.0108") == []
    assert house.codes(BUY, "0.0109") == [RefusalCode.POSITION_SIZE]
    assert house.codes(BUY, "0.39", ETH) == []
    assert "trading with care" in house.check(BUY, "0.0109").message


def test_a_relapse_on_trial_opens_it_again() -> None:
    house = shocked()
    house.run(400)
    house.price(BTC, "40000")
    house.risk.tick(house.now)
    assert house.told() == [("Tripped", "price_shock"), ("HalfOpened", "price_shock"), ("Tripped", "price_shock")]
    assert house.codes(BUY, "0.001") == [RefusalCode.HALTED]


def test_a_condition_that_comes_back_begins_the_waiting_anew() -> None:
    house = shocked()
    house.run(250)
    house.price(BTC, "42000")
    house.run(340)
    assert house.told() == [("Tripped", "price_shock")]
    house.run(40)
    assert house.told()[-1] == ("HalfOpened", "price_shock")


# --- restart and hand-over -----------------------------------------------------------------------------------------


def test_an_open_breaker_and_a_trial_survive_a_restart() -> None:
    house = shocked()
    house.run(300)
    house.begin_anew(from_journal=True)
    house.refresh()
    assert house.codes(BUY, "0.001") == [RefusalCode.HALTED]
    # What was counted of the condition being gone is not known any more: it is counted anew.
    house.run(290)
    assert house.told() == [("Tripped", "price_shock")]
    house.run(30)
    assert house.told()[-1] == ("HalfOpened", "price_shock")
    house.begin_anew(from_journal=True)
    house.refresh()
    assert house.codes(BUY, "0.0109") == [RefusalCode.POSITION_SIZE]
    house.run(920)
    assert house.told()[-1] == ("Reset", "price_shock")


def test_a_successor_goes_on_with_what_the_predecessor_had_measured() -> None:
    house = Guarded(price_shock_pct=1, **FROZEN_OFF)
    waving(house, 45, 0.001)
    before = shown(house, "volatility_spike").words
    carried = msgspec.msgpack.decode(msgspec.msgpack.encode(house.risk.carry()), type=RiskCarried)
    house.begin_anew(from_journal=True)
    house.risk.take(carried)
    assert shown(house, "volatility_spike").words == before
    house = shocked()
    house.run(300)
    carried = msgspec.msgpack.decode(msgspec.msgpack.encode(house.risk.carry()), type=RiskCarried)
    house.begin_anew(from_journal=True)
    house.risk.take(carried)
    house.run(80)
    assert house.told()[-1] == ("HalfOpened", "price_shock")


def test_a_standstill_is_counted_on_over_a_hand_over() -> None:
    house = Guarded()
    house.step()
    house.run(400)
    carried = house.risk.carry()
    house.begin_anew()
    house.risk.take(carried)
    house.run(220)
    assert {name for _, name in house.told()} == {"frozen_price"}


# --- failing and the operator --------------------------------------------------------------------------------------


def test_a_breaker_that_cannot_be_evaluated_stops_its_scope_and_recovers_by_the_same_way() -> None:
    house = Guarded(**FROZEN_OFF)
    house.step()
    within = house.errors.within
    house.errors.within = lambda now, span: 1 // 0  # type: ignore[method-assign]
    house.step()
    house.step()
    assert house.told() == [("Tripped", "error_rate")]
    assert house.codes(BUY, "0.001") == [RefusalCode.BREAKER_FAILED]
    with pytest.raises(ConflictError, match="still cannot be evaluated"):
        house.risk.reset_breaker("anna", "try", "error_rate", "engine")
    house.errors.within = within  # type: ignore[method-assign]
    house.run(330)
    assert house.told()[-1] == ("HalfOpened", "error_rate")


def test_an_operator_opens_a_breaker_and_only_an_operator_closes_it() -> None:
    house = Guarded(**FROZEN_OFF)
    house.step()
    house.risk.trip_breaker("anna", "rumours", "price_shock", BTC)
    (trip,) = house.facts(ev.BreakerTripped)
    assert (trip.scope, trip.value, trip.held, trip.reason) == (
        MARKET, MANUAL_TRIP, "anna", "Opened by hand: rumours",
    )  # fmt: skip
    house.run(2_000)
    assert house.codes(BUY, "0.001") == [RefusalCode.HALTED]
    house.begin_anew(from_journal=True)
    house.run(1_000)
    assert house.codes(BUY, "0.001") == [RefusalCode.HALTED]
    with pytest.raises(ConflictError, match=r"held open for .* by anna"):
        house.risk.trip_breaker("ben", "me too", "price_shock", BTC)
    with pytest.raises(ValidationError, match="Say why"):
        house.risk.reset_breaker("ben", " ", "price_shock", MARKET)
    house.risk.reset_breaker("ben", "nothing in it", "price_shock", MARKET)
    assert house.codes(BUY, "0.001") == []


def test_holding_an_open_breaker_ends_its_way_back() -> None:
    house = shocked()
    house.run(400)
    house.risk.trip_breaker("anna", "I do not trust it", "price_shock", BTC)
    assert house.told()[-1] == ("Held", "price_shock")
    house.run(2_000)
    assert house.told()[-1] == ("Held", "price_shock")
    assert house.codes(BUY, "0.001") == [RefusalCode.HALTED]


def test_a_money_breaker_opened_by_hand_holds_trading_and_closes_nothing() -> None:
    house = Guarded(**FROZEN_OFF)
    house.trade(BUY, "0.01")
    house.step()
    house.risk.trip_breaker("anna", "drill", "max_drawdown")
    house.step()
    assert house.state.trading_state() is TradingState.HALTED
    assert house.state.orders == {}
    house.risk.reset_breaker("anna", "drill is over", "max_drawdown")
    assert house.state.trading_state() is TradingState.ACTIVE


@pytest.mark.parametrize(
    ("name", "scope", "words"),
    [
        ("nonsense", "", "There is no breaker nonsense; there are daily_loss, .*price_shock"),
        ("price_shock", "SIM:DOGE/USDT", "is not judged for SIM:DOGE/USDT"),
        ("price_shock", "", "judged for several things"),
    ],
)
def test_what_is_not_there_cannot_be_opened(name: str, scope: str, words: str) -> None:
    house = Guarded()
    house.step()
    before = house.state.seq
    with pytest.raises(NotFoundError, match=words):
        house.risk.trip_breaker("anna", "why not", name, scope)
    assert house.state.seq == before


def test_a_reset_is_refused_while_the_condition_persists_and_force_measures_anew() -> None:
    house = shocked()
    with pytest.raises(ConflictError, match=r"still 10\.00 %"):
        house.risk.reset_breaker("anna", "looks fine", "price_shock", MARKET)
    house.risk.reset_breaker("anna", "that is the price now", "price_shock", MARKET, force=True)
    house.step()
    assert house.state.breakers == {}
    house.errors.times += [house.now] * 11
    house.risk.tick(house.now)
    with pytest.raises(ConflictError, match="that cannot be forced"):
        house.risk.reset_breaker("anna", "never mind", "error_rate", "engine", force=True)


def test_the_nearest_market_stands_for_its_kind_and_all_open_ones_are_listed() -> None:
    house = Guarded(**FROZEN_OFF)
    house.step()
    house.price(BTC, "45000")
    house.price(ETH, "2200")
    house.risk.tick(house.now)
    rows = [row for row in house.risk.standings() if row.name == "price_shock"]
    assert [(row.scope, row.words) for row in rows] == [(f"instrument:{ETH}", "12.00 %"), (MARKET, "10.00 %")]
    assert all(row.open is not None and row.share is not None and row.share > 1 for row in rows)

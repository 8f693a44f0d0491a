"""Regimes out of recorded candles, at and around the thresholds, and what flapping does not do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import talib

from engine import events as ev
from engine.errors import RegimeError, RiskManagementError
from engine.model.adaptation import AdaptiveSettings
from engine.model.candle import Bars
from engine.model.ids import InstrumentId
from engine.model.regime import PORTFOLIO, CorrelationRegime, TrendRegime, VolatilityRegime
from engine.risk.regimes import Reading, RegimeWatch, directional, read, rolling_volatility
from engine.state import EngineState
from tests.kit.candles import recorded_bars, walk_bars

if TYPE_CHECKING:
    from pathlib import Path

BTC = InstrumentId("SIM:BTC/USDT")
HOUR = 3_600_000_000_000
SETTINGS = AdaptiveSettings()
START = 1_700_000_000_000_000_000 // HOUR * HOUR


def reading(hour: int, volatility: str = "medium", trend: str = "ranging", momentum: int = 0) -> Reading:
    return Reading(BTC, START + hour * HOUR, VolatilityRegime(volatility), 50.0, TrendRegime(trend), 20.0, momentum)


class Watch:
    """A watch whose facts are folded at once."""

    def __init__(self, settings: AdaptiveSettings = SETTINGS, state: EngineState | None = None) -> None:
        self.state = state or EngineState()
        self.regimes = RegimeWatch(self.state, settings)
        self.facts: list[ev.RegimeChanged] = []

    def book(self, facts: list[ev.RegimeChanged]) -> list[tuple[str, str, str]]:
        for fact in facts:
            self.state.apply(ev.Record(self.state.seq + 1, fact.ts, 0, fact))
        self.facts += facts
        return [(fact.kind, fact.before, fact.after) for fact in facts]

    def hear(
        self, hour: int, volatility: str = "medium", trend: str = "ranging", momentum: int = 0
    ) -> list[tuple[str, str, str]]:
        return self.book(self.regimes.take(reading(hour, volatility, trend, momentum)))

    def correlated(self, hour: int, mean: float | None) -> list[tuple[str, str, str]]:
        return self.book(self.regimes.take_correlation(mean, START + hour * HOUR))


# --- readings --------------------------------------------------------------------------------------------------------


def test_trend_strength_is_wilders(shared_data: Path) -> None:
    for name in ("binance_BTCUSDT_1h", "binance_ETHUSDT_4h"):
        bars = recorded_bars(shared_data, name, 1000, 800)
        index, plus, minus = directional(bars.high, bars.low, bars.close, 14)
        assert index == pytest.approx(talib.ADX(bars.high, bars.low, bars.close, 14)[-1], abs=1e-6)
        assert plus == pytest.approx(talib.PLUS_DI(bars.high, bars.low, bars.close, 14)[-1], abs=1e-6)
        assert minus == pytest.approx(talib.MINUS_DI(bars.high, bars.low, bars.close, 14)[-1], abs=1e-6)


def test_recorded_markets_are_in_each_regime_about_as_often_as_the_percentiles_say(shared_data: Path) -> None:
    bars = recorded_bars(shared_data, "binance_BTCUSDT_1h", 0, 6_000)
    found = [read(BTC, bars.slice(end - 745, end), SETTINGS) for end in range(745, len(bars), 25)]
    share = {level: sum(one.volatility is level for one in found) / len(found) for level in VolatilityRegime}
    # Percentiles of a market's own past: each third comes about as often, however volatile the market is as a whole.
    assert all(0.15 < part < 0.55 for part in share.values()), share
    trends = sum(one.trend is TrendRegime.TRENDING for one in found) / len(found)
    assert 0.2 < trends < 0.8
    for one in found:
        assert (one.momentum != 0) <= (one.trend is TrendRegime.TRENDING)
        assert (one.strength >= 25.0) is (one.trend is TrendRegime.TRENDING)
        assert (one.percentile <= 33.0) is (one.volatility is VolatilityRegime.LOW)
        assert (one.percentile > 67.0) is (one.volatility is VolatilityRegime.HIGH)


def test_damping_takes_most_of_the_flapping_out_of_a_recorded_market(shared_data: Path) -> None:
    bars = recorded_bars(shared_data, "binance_BTCUSDT_1h", 0, 1_300)
    watch, raw, before = Watch(), 0, ""
    for end in range(745, len(bars)):
        found = read(BTC, bars.slice(end - 745, end), SETTINGS)
        raw += before not in ("", found.volatility)
        before = found.volatility
        watch.book(watch.regimes.take(found))
    confirmed = sum(fact.kind == "volatility" for fact in watch.facts) - 1
    assert 0 < confirmed < raw


@pytest.mark.parametrize(("factor", "expected"), [(3.0, "high"), (1.0, None), (0.2, "low")])
def test_a_market_that_moves_more_or_less_than_it_used_to(factor: float, expected: str | None) -> None:
    rng = np.random.default_rng(5)
    steps = rng.normal(0.0, 0.005, 800)
    steps[-24:] *= factor
    close = 100.0 * np.exp(np.cumsum(steps))
    bars = Bars("1h", START + np.arange(800) * HOUR, close, close * 1.001, close * 0.999, close, np.ones(800))
    found = read(BTC, bars, SETTINGS)
    if expected is not None:
        assert found.volatility == expected
    assert found.ts == START + 800 * HOUR
    past = rolling_volatility(close, 24)
    assert len(past) == 800 - 24
    assert past[-1] == pytest.approx(np.diff(np.log(close))[-24:].std(ddof=1))


def test_a_market_that_never_moved_is_in_the_middle_and_does_not_trend() -> None:
    flat = np.full(800, 100.0)
    found = read(BTC, Bars("1h", START + np.arange(800) * HOUR, flat, flat, flat, flat, flat), SETTINGS)
    assert (found.volatility, found.percentile) == (VolatilityRegime.MEDIUM, 50.0)
    assert (found.trend, found.strength, found.momentum) == (TrendRegime.RANGING, 0.0, 0)


@pytest.mark.parametrize("sign", [1, -1])
def test_momentum_has_the_direction_of_the_trend(sign: int) -> None:
    close = 100.0 * np.exp(sign * 0.004 * np.arange(200))
    bars = Bars("1h", START + np.arange(200) * HOUR, close, close * 1.001, close * 0.999, close, np.ones(200))
    found = read(BTC, bars, SETTINGS)
    assert (found.trend, found.momentum) == (TrendRegime.TRENDING, sign)
    assert found.strength > 90


@pytest.mark.parametrize("count", [0, 73, 74])
def test_too_few_bars_are_a_product_error(count: int) -> None:
    bars = walk_bars(1, count, "1h")
    if count == 74:
        assert read(BTC, bars, SETTINGS).instrument == BTC
        return
    with pytest.raises(RegimeError, match="74 are needed") as refusal:
        read(BTC, bars, SETTINGS)
    assert isinstance(refusal.value, RiskManagementError)


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_a_price_that_cannot_be_is_a_product_error(price: float) -> None:
    bars = walk_bars(1, 200, "1h")
    bars.close[50] = price
    with pytest.raises(RegimeError, match="cannot be"):
        read(BTC, bars, SETTINGS)


# --- what is confirmed -----------------------------------------------------------------------------------------------


def test_the_first_reading_counts_at_once_and_a_change_after_three() -> None:
    watch = Watch()
    assert watch.hear(0) == [("volatility", "", "medium"), ("trend", "", "ranging")]
    assert watch.hear(1, "high") == []
    assert watch.hear(2, "high") == []
    assert watch.hear(3, "high") == [("volatility", "medium", "high")]
    assert watch.facts[-1].ts == START + 3 * HOUR
    assert watch.state.regimes["volatility", BTC].since == START + 3 * HOUR


def test_flapping_confirms_nothing() -> None:
    watch = Watch()
    watch.hear(0)
    for hour in range(1, 40, 3):
        assert watch.hear(hour, "high") == []
        assert watch.hear(hour + 1, "high") == []
        assert watch.hear(hour + 2, "medium") == []
    for hour in range(40, 60):
        assert watch.hear(hour, ("high", "low")[hour % 2]) == []


def test_the_same_bar_twice_is_one_reading() -> None:
    watch = Watch()
    watch.hear(0)
    for _ in range(5):
        assert watch.hear(1, "high") == []


def test_a_reading_that_is_too_old_is_no_regime() -> None:
    watch = Watch()
    watch.hear(0, "high", "trending", momentum=1)
    stale = (SETTINGS.stale_bars + 1) * HOUR
    fresh = watch.regimes.market(BTC, START + stale)
    assert fresh is not None
    assert (fresh.volatility, fresh.trend, fresh.momentum) == ("high", "trending", 1)
    assert watch.regimes.market(BTC, START + stale + 1) is None


def test_regimes_survive_a_restart_but_are_used_only_after_a_reading() -> None:
    watch = Watch()
    watch.hear(0, "high")
    again = Watch(state=watch.state)
    assert again.regimes.market(BTC, START) is None
    assert again.hear(1, "medium") == []
    known = again.regimes.market(BTC, START + HOUR)
    assert known is not None
    assert known.volatility is VolatilityRegime.HIGH


def test_correlation_is_elevated_from_its_threshold_and_normal_again_below_a_lower_one() -> None:
    watch = Watch(AdaptiveSettings(confirmations=1))
    assert watch.correlated(0, 0.6999) == [("correlation", "", "normal")]
    assert watch.correlated(1, 0.7) == [("correlation", "normal", "elevated")]
    assert watch.correlated(2, 0.6) == []
    assert watch.correlated(3, 0.5999) == [("correlation", "elevated", "normal")]
    assert watch.correlated(4, 0.65) == []
    assert watch.state.regimes["correlation", PORTFOLIO].value == "normal"


def test_a_portfolio_of_one_market_has_no_correlation() -> None:
    watch = Watch()
    watch.correlated(0, 0.9)
    assert watch.regimes.correlation(START) is CorrelationRegime.ELEVATED
    assert watch.correlated(1, None) == []
    assert watch.regimes.correlation(START + HOUR) is None
    assert watch.regimes.mean_correlation is None


def test_a_failure_is_kept_until_the_next_reading_and_other_markets_are_forgotten() -> None:
    watch = Watch()
    watch.regimes.fail(BTC, RegimeError("The regime cannot be told."))
    assert watch.regimes.problems == {BTC: "The regime cannot be told."}
    watch.hear(0)
    assert watch.regimes.problems == {}
    watch.regimes.keep([])
    assert watch.regimes.market(BTC, START) is None
    assert watch.regimes.readings == ()

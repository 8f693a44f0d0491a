"""Adapted sizes, limits and stops: each factor, never beyond the limits, and static wherever something is missing."""

from __future__ import annotations

import math
from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import events as ev
from engine.errors import ConfigurationError
from engine.model.adaptation import AdaptiveSettings, Assessment
from engine.model.limits import RiskLimits
from engine.model.regime import CorrelationRegime, MarketRegime, TrendRegime, VolatilityRegime
from engine.model.risk import RefusalCode
from engine.model.signal import Signal, SignalAction, SignalDirection
from engine.risk.adaptation import NO_MODEL, Adaptation
from engine.state import EngineState
from tests.kit.limits import loose
from tests.risk.house import BOT, BTC, BUY, ETH, SELL, House

if TYPE_CHECKING:
    from engine.model.ids import InstrumentId

NOW = 1_700_000_000_000_000_000


class Known:
    """Regimes that are set by hand."""

    def __init__(self, volatility: str = "medium", momentum: int = 0, correlation: str | None = "normal") -> None:
        self.volatility: str | None = volatility
        self.momentum = momentum
        self.together = correlation

    def market(self, instrument: InstrumentId, now: int) -> MarketRegime | None:
        if self.volatility is None:
            return None
        return MarketRegime(
            instrument=instrument,
            volatility=VolatilityRegime(self.volatility),
            trend=TrendRegime.TRENDING if self.momentum else TrendRegime.RANGING,
            momentum=self.momentum,
            percentile=50.0,
            strength=30.0,
            ts=now,
        )

    def correlation(self, now: int) -> CorrelationRegime | None:
        return None if self.together is None else CorrelationRegime(self.together)


class Scripted:
    """A model that says what it was told to say."""

    name = "scripted"

    def __init__(self, *said: Assessment | Exception | None) -> None:
        self.said = list(said)

    def assess(self, instrument: InstrumentId, now: int) -> Assessment | None:
        word = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        if isinstance(word, Exception):
            raise word
        return word


def adaptation(mode: str, regimes: Known | None = None, **limits: object) -> Adaptation:
    static = RiskLimits().changed({"risk_mode": mode, **limits})
    return Adaptation(lambda: static, AdaptiveSettings(), lambda: NOW, regimes)


def word(confidence: float = 1.0, risk: float = 0.0, age_s: float = 0.0) -> Assessment:
    return Assessment(confidence=confidence, risk=risk, ts=NOW - int(age_s * 1e9))


# --- sizes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "factor"), [("low", "1.2"), ("medium", "1"), ("high", "0.6")])
def test_sizes_follow_volatility(level: str, factor: str) -> None:
    assert adaptation("dynamic", Known(level)).size_factor(BTC) == D(factor)
    assert adaptation("static", Known(level)).size_factor(BTC) == 1


def test_what_is_not_known_is_static() -> None:
    unknown = Known(correlation=None)
    unknown.volatility = None
    for found in (adaptation("dynamic", unknown), adaptation("dynamic")):
        assert found.size_factor(BTC) == 1
        assert found.limits() is found.limits()
        assert found.limits().max_portfolio_exposure == D("0.95")
        assert found.stop_distance(BTC, BUY, 0.02) == 0.02
    assert adaptation("dynamic").words == "dynamic: no regime is known, static"


def sized(house: House, pct: float = 0.02) -> D:
    signal = Signal(
        instrument=BTC, ts=house.now, action=SignalAction.ENTER, direction=SignalDirection.BUY, confidence=1.0,
        reason="test", strategy="test", metadata={"position_size_pct": pct},
    )  # fmt: skip
    return house.risk.sizer.size(signal, house.state.instruments[BTC], BOT, D(50000))[0]


def adaptive(level: str, **changes: object) -> House:
    house = House(RiskLimits().changed({"risk_mode": "dynamic", **changes}))
    house.risk.adaptation.regimes = Known(level)
    return house


def test_entries_are_larger_in_calm_markets_and_smaller_in_wild_ones() -> None:
    assert sized(House()) == D("0.004")
    assert [sized(adaptive(level)) for level in ("low", "medium", "high")] == [D("0.0048"), D("0.004"), D("0.0024")]


def test_a_larger_size_stops_at_the_largest_position() -> None:
    assert sized(adaptive("medium"), 0.09) == D("0.018")
    # 10 % of equity at the worst price a market order may pay, 2 % above the ask, and 0.1 % fee.
    assert sized(adaptive("low"), 0.09) == D("0.01958")
    assert sized(adaptive("low"), 0.1) == sized(adaptive("medium"), 0.1) == D("0.01958")


@given(
    level=st.sampled_from(["low", "medium", "high"]),
    together=st.sampled_from(["normal", "elevated"]),
    momentum=st.integers(-1, 1),
    exposure=st.decimals("0.01", "1", places=2),
    stop=st.floats(0.001, 0.1),
)
def test_nothing_adapted_goes_beyond_a_hard_limit(
    level: str, together: str, momentum: int, exposure: D, stop: float
) -> None:
    found = adaptation("dynamic", Known(level, momentum, together), max_portfolio_exposure=str(exposure))
    static, limits = RiskLimits().changed({"max_portfolio_exposure": str(exposure)}), found.limits()
    assert not static.changed({"risk_mode": "dynamic"}).loosened_by(limits)
    for side in (BUY, SELL):
        assert 0 < found.stop_distance(BTC, side, stop) <= 0.1


# --- limits ----------------------------------------------------------------------------------------------------------


def test_limits_are_tighter_while_correlations_are_elevated() -> None:
    found = adaptation("dynamic", Known(correlation="elevated"))
    assert found.limits().max_portfolio_exposure == D("0.760")
    assert found.limits() is found.limits()
    assert found.limits().max_position_size_pct == D("0.1")
    assert adaptation("dynamic", Known()).limits().max_portfolio_exposure == D("0.95")


@pytest.mark.parametrize(("together", "passes"), [("normal", True), ("elevated", False)])
def test_the_gate_goes_by_the_tighter_limit_at_its_threshold(together: str, passes: bool) -> None:
    limits: dict[str, object] = {"risk_mode": "dynamic", "max_position_size_pct": "1", "position_size_pct": "0.02"}
    house = House(loose(**limits))
    house.risk.adaptation.regimes = Known(correlation=together)
    assert house.codes(BUY, "0.1488") == []
    codes = house.codes(BUY, "0.1489")
    assert (RefusalCode.EXPOSURE not in codes) is passes
    use = next(row for row in house.risk.uses() if row.name == "max_portfolio_exposure")
    assert use.limit == ("9,500.00 USDT" if passes else "7,600.00 USDT")


# --- stops -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("momentum", "side", "distance"),
    [(0, BUY, 0.02), (1, BUY, 0.025), (1, SELL, 0.015), (-1, BUY, 0.015), (-1, SELL, 0.025)],
)
def test_stops_follow_momentum(momentum: int, side: object, distance: float) -> None:
    found = adaptation("dynamic", Known(momentum=momentum))
    assert found.stop_distance(BTC, side, 0.02) == pytest.approx(distance)  # type: ignore[arg-type]
    assert found.stop_distance(BTC, BUY, 0.09) <= 0.1


# --- the model -------------------------------------------------------------------------------------------------------


def test_without_a_model_the_ai_mode_is_static_and_says_so() -> None:
    found = adaptation("ai", Known("high", 1, "elevated"))
    assert found.words == NO_MODEL == "no model: static"
    assert found.size_factor(BTC) == 1
    assert found.limits().max_portfolio_exposure == D("0.95")
    assert found.stop_distance(BTC, BUY, 0.02) == 0.02
    assert {row.cause for row in found.values([BTC])} == {NO_MODEL}


@pytest.mark.parametrize(
    ("confidence", "risk", "size", "exposure"),
    [(1.0, 0.0, "1.2", "0.95"), (0.0, 0.0, "0.6", "0.95"), (1.0, 1.0, "0.6", "0.76"), (0.5, 0.5, "0.75", "0.855")],
)
def test_a_models_word_moves_sizes_and_limits(confidence: float, risk: float, size: str, exposure: str) -> None:
    found = adaptation("ai")
    found.model, found.markets = Scripted(word(confidence, risk)), lambda: (BTC,)
    assert found.size_factor(BTC) == D(size)
    assert found.limits().max_portfolio_exposure == D(exposure)
    assert found.words == "ai: scripted"


@pytest.mark.parametrize(
    "said",
    [
        None,
        word(age_s=900.1),
        word(confidence=1.01),
        word(risk=-0.1),
        word(confidence=math.nan),
        RuntimeError("the model is gone"),
    ],
)
def test_a_word_that_is_missing_old_or_impossible_leaves_the_static_values(said: Assessment | Exception | None) -> None:
    found = adaptation("ai")
    found.model, found.markets = Scripted(said), lambda: (BTC,)
    assert found.size_factor(BTC) == 1
    assert found.limits().max_portfolio_exposure == D("0.95")


def test_a_word_counts_until_it_is_too_old() -> None:
    found = adaptation("ai")
    found.model = Scripted(word(age_s=900.0))
    assert found.size_factor(BTC) == D("1.2")


def test_the_breaker_of_confidence_hears_each_word_once_and_only_while_it_is_followed() -> None:
    mode = "ai"
    found = Adaptation(lambda: RiskLimits().changed({"risk_mode": mode}), AdaptiveSettings(), lambda: NOW)
    assert found.heard.name == ""
    found.model = Scripted(word(0.5, age_s=20.0), word(0.5, age_s=20.0), word(0.7, age_s=10.0), word(math.nan))
    for _ in range(4):
        found.size_factor(BTC)
    assert (found.heard.name, found.heard.latest(20), found.heard.latest(1)) == ("scripted", [0.5, 0.7], [0.7])
    mode = "static"
    assert (found.heard.name, found.heard.latest(20)) == ("", [])
    mode = "ai"
    assert found.heard.latest(20) == []


# --- what is told ----------------------------------------------------------------------------------------------------


def test_every_adaptation_is_booked_once_with_its_cause_beside_the_base() -> None:
    state, regimes = EngineState(), Known("high", correlation="elevated")
    found = adaptation("dynamic", regimes)

    def told() -> list[ev.RiskAdapted]:
        facts = found.changes(state, [BTC], NOW)
        for fact in facts:
            state.apply(ev.Record(state.seq + 1, NOW, 0, fact))
        return facts

    first = {fact.name: fact for fact in told()}
    assert set(first) == {"size", "max_portfolio_exposure", "max_correlated_exposure"}
    assert (first["size"].base, first["size"].value, first["size"].cause) == (D("0.02"), D("0.012"), "high volatility")
    assert told() == []
    regimes.volatility = "medium"
    (back,) = told()
    assert (back.name, back.value, back.cause) == ("size", D("0.02"), "medium volatility")
    assert list(state.adapted) == [
        (name, "portfolio") for name in ("max_portfolio_exposure", "max_correlated_exposure")
    ]


def test_another_mode_counts_as_looser_and_settings_must_fit() -> None:
    assert RiskLimits().loosened_by(RiskLimits(risk_mode="dynamic")) == ("risk_mode",)
    with pytest.raises(ConfigurationError):
        RiskLimits().changed({"risk_mode": "wild"})
    for wrong in ({"low_percentile": 70.0}, {"correlation_release": 0.8}, {"size_high": D(1), "size_medium": D("0.9")}):
        with pytest.raises(ValueError, match="must"):
            AdaptiveSettings.model_validate(wrong)


def test_other_markets_are_not_touched() -> None:
    house = adaptive("high")
    assert house.risk.adaptation.size_factor(ETH) == D("0.6")
    assert House().risk.adaptation.size_factor(ETH) == 1

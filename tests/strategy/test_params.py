"""Parameters are read, described and hashed from their one declaration."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Literal

import pytest
from pydantic import Field

from engine.errors import ConfigurationError
from engine.strategy.contract import Holding, Strategy, StrategyParams, Wish
from engine.strategy.params import ParamSpec, describe_params, params_hash, parse_params, strategy_hash
from strategies.static.trend_following import TrendFollowing, TrendParams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.model.candle import Bars, FloatArray
    from engine.strategy.toolkit import Toolkit


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


class OddParams(StrategyParams):
    window: int = Field(10, gt=1, lt=100, description="Bars.")
    mode: Literal["fast", "slow"] = Field("slow", description="Mode.")
    colour: Colour = Field(Colour.BLUE, description="Colour.")
    cap: float | None = Field(None, ge=0.0, description="Cap.")
    label: str = Field("", description="Label.")


class Odd(Strategy):
    """A strategy of every kind of parameter."""

    name = "odd"
    Params = OddParams

    def warmup(self, timeframe: str) -> int:
        return 1

    def columns(self, bars: Bars, ta: Toolkit) -> dict[str, FloatArray]:
        return {}

    def decide(self, row: Any, memory: Any, holding: Holding) -> Wish | None:
        return None


def faults(values: Mapping[str, object], cls: type[Strategy] = TrendFollowing) -> dict[str, str]:
    with pytest.raises(ConfigurationError) as caught:
        parse_params(cls, values)
    found = caught.value.details["faults"]
    assert isinstance(found, dict)
    assert all(f"{name} {text}" in caught.value.message for name, text in found.items())
    return found


def test_texts_of_a_command_line_become_values() -> None:
    params = parse_params(TrendFollowing, {"fast_ma": "10", "rsi_long": "55.5", "allow_short": "no"})
    assert isinstance(params, TrendParams)
    assert (params.fast_ma, params.rsi_long, params.allow_short, params.slow_ma) == (10, 55.5, False, 50)
    odd = parse_params(Odd, {"mode": "fast", "colour": "red", "cap": "2", "window": "20"})
    assert odd.model_dump(mode="json") | {"mode": "fast", "colour": "red", "cap": 2.0} == odd.model_dump(mode="json")


def test_all_faults_are_listed_at_once() -> None:
    found = faults({"fast_ma": "1", "slow_ma": "many", "fastma": 3, "trail_atr": 0, "min_confidence": 1.5})
    assert set(found) == {"fast_ma", "slow_ma", "fastma", "trail_atr", "min_confidence"}
    assert found["fast_ma"] == "should be greater than or equal to 2, got '1'"
    assert found["trail_atr"] == "should be greater than 0, got 0"


def test_an_unknown_name_brings_the_nearest_known_one() -> None:
    assert faults({"slow": 60}) == {"slow": "is not known (did you mean slow_ma?)"}
    assert "there are" in faults({"qqqq": 1})["qqqq"]


def test_parameters_that_contradict_each_other_are_refused_together() -> None:
    assert faults({"fast_ma": 60}) == {"together": "fast_ma (60) must be below slow_ma (50)"}


@pytest.mark.parametrize("value", [True, "true", None, [], "1.5", float("nan"), float("inf"), 2.5])
def test_a_number_of_bars_is_nothing_else(value: object) -> None:
    assert set(faults({"fast_ma": value})) == {"fast_ma"}


@pytest.mark.parametrize("value", [True, "nan", "inf", float("nan"), "two"])
def test_a_fraction_is_a_finite_number(value: object) -> None:
    assert set(faults({"trail_atr": value})) == {"trail_atr"}


def test_a_description_holds_all_that_a_form_needs() -> None:
    specs = {spec.name: spec for spec in describe_params(Odd)}
    assert specs["window"] == ParamSpec(
        name="window", type="int", default=10, minimum=1, maximum=100, exclusive_minimum=True, exclusive_maximum=True,
        help="Bars.",
    )  # fmt: skip
    assert (specs["mode"].type, specs["mode"].choices, specs["mode"].default) == ("choice", ("fast", "slow"), "slow")
    assert (specs["colour"].type, specs["colour"].choices) == ("choice", ("red", "blue"))
    assert specs["colour"].default == "blue"
    assert (specs["cap"].type, specs["cap"].optional, specs["cap"].default) == ("float", True, None)
    assert (specs["label"].type, specs["label"].bounds) == ("text", "")
    assert specs["min_confidence"].own is False


def test_own_parameters_come_first_in_the_order_declared() -> None:
    names = [spec.name for spec in describe_params(TrendFollowing)]
    assert names[:3] == ["fast_ma", "slow_ma", "rsi_period"]
    shared = ["min_confidence", "max_positions", "position_size_pct", "stop_loss_pct", "take_profit_pct"]
    assert names[-5:] == shared


def test_bounds_read_as_words() -> None:
    bounds = {spec.name: spec.bounds for spec in (*describe_params(Odd), *describe_params(TrendFollowing))}
    assert bounds["fast_ma"] == "2 to 500"
    assert bounds["trail_atr"] == "above 0 to 20"
    assert bounds["cap"] == "0 or more"
    assert bounds["window"] == "above 1 to below 100"
    assert bounds["mode"] == "fast, slow"


def test_the_hash_changes_with_every_parameter_and_with_nothing_else() -> None:
    plain = params_hash(TrendFollowing.build())
    assert plain == params_hash(TrendFollowing.build({"fast_ma": "20"}))
    assert len({plain, params_hash(TrendFollowing.build({"fast_ma": 21})), params_hash(Odd.build())}) == 3
    assert plain == "b39255000e227127"


def test_the_source_hash_is_that_of_the_file() -> None:
    assert len(strategy_hash(TrendFollowing)) == 16
    assert strategy_hash(TrendFollowing) != strategy_hash(Odd)

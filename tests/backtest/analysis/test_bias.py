"""Look-ahead and recursive analysis catch what is planted, name column, bar and values, and pass what is clean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.backtest.analysis.lookahead import look_ahead
from engine.backtest.analysis.probe import Probe, differing
from engine.backtest.analysis.warmup import warm_up_check
from engine.errors import DataError, ValidationError
from engine.model.candle import Bars
from engine.model.ids import InstrumentId
from engine.strategy.contract import StrategyParams
from strategies.static.mean_reversion import MeanReversion
from strategies.static.trend_following import TrendFollowing
from tests.backtest.analysis.biased import BIASED, CLEAN, Clean, ShortWarmUp, TooShort
from tests.backtest.helpers import HOUR, START

if TYPE_CHECKING:
    from engine.strategy.contract import Strategy

MARKET = InstrumentId("SIM:BTC/USDT")


def walk(count: int = 600, seed: int = 7) -> Bars:
    """A random walk of hours."""
    rng = np.random.default_rng(seed)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, count)))
    opened = np.concatenate(([100.0], close[:-1]))
    spread = np.abs(rng.normal(0.0, 0.003, (2, count)))
    high, low = np.maximum(opened, close) * (1 + spread[0]), np.minimum(opened, close) * (1 - spread[1])
    return Bars("1h", START + np.arange(count) * HOUR, opened, high, low, close, rng.uniform(10, 1000, count))


def probe_of(strategy: type[Strategy], **params: Any) -> Probe:
    return Probe(lambda: strategy.build(params), MARKET, "1h")


@pytest.mark.parametrize("strategy", BIASED, ids=lambda one: one.name)
def test_a_planted_bias_is_found_where_it_is(strategy: type[Strategy]) -> None:
    found = look_ahead(probe_of(strategy), walk(), cuts=12)
    assert found["biased"]
    named = {entry["column"] for entry in found["findings"]}
    assert BIASED[strategy] in named
    assert "mean" not in named
    entry = next(entry for entry in found["findings"] if entry["column"] == BIASED[strategy])
    assert entry["whole"] != entry["cut"]
    assert entry["bar"] in entry["sentence"]
    assert entry["column"] in entry["sentence"] or entry["column"] == "signals"


@pytest.mark.parametrize("strategy", [*CLEAN, TrendFollowing], ids=lambda one: one.name)
def test_what_is_clean_passes(strategy: type[Strategy]) -> None:
    found = look_ahead(probe_of(strategy), walk(), cuts=8)
    assert found["findings"] == []
    assert (found["biased"], found["cuts"]) == (False, 8)
    assert found["signals"] > 0


def test_a_higher_timeframe_is_no_bias() -> None:
    probe = probe_of(MeanReversion, confirm_timeframe="4h", confirm_ma=5, atr_max=0.2)
    assert not look_ahead(probe, walk(), cuts=8)["biased"]


def test_how_far_ahead_is_told() -> None:
    shifted, rolled, centred, normalised = list(BIASED)[:4]

    def reach(strategy: type[Strategy]) -> Any:
        findings = look_ahead(probe_of(strategy), walk(), cuts=6)["findings"]
        return next(entry for entry in findings if entry["kind"] == "cut")

    assert reach(shifted)["reach"] == 1
    assert "sees that far ahead" in reach(centred)["sentence"]
    assert reach(centred)["reach"] == 4
    assert reach(rolled)["reach"] == 2
    assert "uses the whole range" in reach(normalised)["sentence"]


def test_the_same_seed_cuts_at_the_same_bars() -> None:
    shifted = next(iter(BIASED))
    one, two, other = (look_ahead(probe_of(shifted), walk(), cuts=5, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one["findings"][0]["bar"] != other["findings"][0]["bar"]


def test_too_few_bars_are_refused() -> None:
    with pytest.raises(DataError, match="are needed to cut"):
        look_ahead(probe_of(Clean), walk(20))
    with pytest.raises(DataError, match="are needed for a warm-up"):
        warm_up_check(probe_of(Clean), walk(60))


def test_what_has_no_columns_is_refused() -> None:
    class OnBooks:
        name = "quoter"

    with pytest.raises(ValidationError, match="quoter decides on books"):
        Probe(lambda: OnBooks(), MARKET, "1h")  # type: ignore[arg-type,return-value]


# --- warm-up


@pytest.mark.parametrize("strategy", [*CLEAN, TrendFollowing], ids=lambda one: one.name)
def test_a_warm_up_that_suffices(strategy: type[Strategy]) -> None:
    found = warm_up_check(probe_of(strategy), walk(), places=10)
    assert found["findings"] == []
    assert found["sufficient"]
    assert {row["history"] for row in found["columns"]} >= {found["warmup"], found["history"]}


def test_a_warm_up_below_the_window_is_found() -> None:
    found = warm_up_check(probe_of(TooShort), walk(), places=10)
    assert not found["sufficient"]
    entry = next(entry for entry in found["findings"] if entry["column"] == "value")
    assert (entry["history"], entry["short"]) == (10, None)
    assert "warm-up of 10 bars is too short" in entry["sentence"]


def test_a_memory_longer_than_what_is_loaded_is_found() -> None:
    found = warm_up_check(probe_of(ShortWarmUp), walk(), places=10)
    assert not found["sufficient"]
    entry = next(entry for entry in found["findings"] if entry["column"] == "value")
    assert entry["history"] == found["history"] == 105
    assert entry["difference"] > 0.01
    assert "declare a longer warm-up" in entry["sentence"]
    # More history is nearer to all of it.
    by_history = {row["history"]: row["difference"] for row in found["columns"] if row["column"] == "value"}
    assert by_history[210] < by_history[105]


def test_differences_are_more_than_rounding() -> None:
    one = np.array([1.0, np.nan, 2.0, np.nan, np.inf, 0.0])
    other = np.array([1.0 + 1e-13, np.nan, 2.001, 1.0, np.inf, 1e-12])
    assert differing(one, other).tolist() == [2, 3, 5]


def test_parameters_reach_the_strategy() -> None:
    assert Clean(StrategyParams(max_positions=3)).params.max_positions == 3
    assert probe_of(TrendFollowing, slow_ma=80).warmup == 81

"""Searches with Optuna: repeatable, within their ranges, better than chance, and two objectives give a front."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from engine.backtest.search.optimise import BATCH, need_optuna, run_optimise
from engine.backtest.search.outcome import KEPT
from engine.backtest.search.places import Here
from engine.backtest.search.spec import OptimiseSpec
from engine.errors import ConfigurationError
from tests.backtest.search.bench_kit import make_bench, reversion

RANGES = {"lookback_period": "10:60", "entry_threshold": "1:3", "exit_threshold": "0:1.5:0.5"}
BENCH = make_bench(500, begin=100)


def searched(**others: Any) -> dict[str, Any]:
    spec = OptimiseSpec(run=BENCH.spec, **{"ranges": RANGES, "trials": 24, "min_trades": 3, **others})
    return run_optimise(spec, BENCH, reversion(), Here(), "key", lambda *_: None, lambda _: None)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return searched()


def test_a_search_is_repeatable_and_depends_on_its_seed(found: dict[str, Any]) -> None:
    assert searched() == found
    assert searched(seed=7)["rows"] != found["rows"]


def test_sets_are_within_the_ranges_distinct_and_as_many_as_asked(found: dict[str, Any]) -> None:
    sets = [dict(zip(found["params"], row["params"], strict=True)) for row in found["rows"]]
    assert len(sets) == len({tuple(one.values()) for one in sets}) == found["tried"] == 24
    for one in sets:
        assert 10 <= one["lookback_period"] <= 60
        assert 1 <= one["entry_threshold"] <= 3
        assert one["exit_threshold"] in (0.0, 0.5, 1.0, 1.5)


def test_what_the_strategy_refuses_is_left_out_without_a_run(found: dict[str, Any]) -> None:
    assert found["left_out"] > 0
    assert found["failed"] == 0
    for one in found["left_out_first"]:
        assert one["params"]["exit_threshold"] >= one["params"]["entry_threshold"]
        assert "must be below entry_threshold" in one["reason"]


def test_progress_and_the_best_so_far_are_told() -> None:
    told: list[tuple[float, str]] = []
    kept: list[dict[str, Any]] = []
    spec = OptimiseSpec(run=BENCH.spec, ranges=RANGES, trials=2 * BATCH, min_trades=3)
    result = run_optimise(spec, BENCH, reversion(), Here(), "key", lambda *said: told.append(said), kept.append)
    assert told[-1][0] == 1.0
    assert kept[0]["tried"] < result["tried"] == 2 * BATCH
    best = [value for value in result["details"]["best_after"] if value is not None]
    assert best == sorted(best)
    assert best[-1] == result["rows"][0]["figures"][KEPT.index("sharpe")]


def test_two_objectives_give_a_front_that_nothing_beats() -> None:
    result = searched(objectives=("total_return", "max_drawdown"))
    assert "NSGAII" in result["assumptions"]["search"]
    gain, fall = KEPT.index("total_return"), KEPT.index("max_drawdown")
    usable = [row["figures"] for row in result["rows"] if not row["few"]]
    assert result["front"]
    for place in result["front"]:
        one = result["rows"][place]["figures"]
        assert not any(other[gain] > one[gain] and other[fall] < one[fall] for other in usable)


def test_a_range_that_holds_less_than_is_asked_for_ends_with_what_it_holds() -> None:
    result = searched(ranges={"lookback_period": "10,20,30"}, trials=10, sampler="sobol")
    assert sorted(row["params"][0] for row in result["rows"]) == [10, 20, 30]


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigurationError, match=r"install the extra `quarterdeck\[ml\]`"):
        need_optuna()

"""Sweeps: the same outcomes as single runs wherever they are computed, ranked, with regions and a front."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from engine.backtest.run import run_backtest
from engine.backtest.search import places, sweep
from engine.backtest.search.bench import EventTrials, with_road
from engine.backtest.search.kernel_trials import KernelTrials
from engine.backtest.search.outcome import KEPT, TOO_FEW, Outcome, check_objectives, score
from engine.backtest.search.places import Cores, Here, check_cluster, chunk_size, place_for
from engine.backtest.search.regions import grid_regions, near_regions
from engine.backtest.search.space import Axis
from engine.backtest.search.spec import SweepSpec
from engine.backtest.search.study import pareto_front, with_luck
from engine.backtest.search.sweep import run_sweep
from engine.errors import ConfigurationError, DataSourceError, ValidationError
from engine.strategy.runner import StrategyRunner
from tests.backtest.search.bench_kit import make_bench, reversion

if TYPE_CHECKING:
    from engine.backtest.search.bench import Bench
    from engine.backtest.search.places import Place

GRID = {"lookback_period": "10:40:10", "entry_threshold": "1.5,2"}


def swept(bench: Bench, place: Place, **others: Any) -> dict[str, Any]:
    spec = SweepSpec(run=bench.spec, **{"grid": GRID, "min_trades": 3, **others})
    with place as entered:
        return run_sweep(spec, bench, reversion(), entered, "key", lambda *_: None, lambda _: None)


def without_place(result: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in result.items() if name != "place"}


@pytest.fixture(scope="module")
def bench() -> Bench:
    return make_bench(700, begin=150)


@pytest.fixture(scope="module")
def alone(bench: Bench) -> dict[str, Any]:
    return swept(bench, Here())


@pytest.mark.parametrize("road", ["kernel", "event"])
def test_every_set_has_the_figures_of_a_single_run(road: str, bench: Bench, alone: dict[str, Any]) -> None:
    if road == "event":
        alone = swept(replace(bench, road="event"), Here())
    assert (alone["sets"], alone["tried"], alone["params"]) == (8, 8, ["lookback_period", "entry_threshold"])
    for row in alone["rows"]:
        params = {**bench.spec.params, **dict(zip(alone["params"], row["params"], strict=True))}
        strategy = reversion().build(params)
        history = StrategyRunner(strategy, bench.instrument.id, timeframe="1h").history
        single = run_backtest(
            bench.spec,
            strategy,
            bench.instrument,
            bench.bars.slice(bench.begin, len(bench.bars)),
            history=bench.bars.slice(max(0, bench.begin - history), bench.begin),
        )
        wanted = [single.metrics.get(name) for name in KEPT]
        assert row["figures"] == (wanted if road == "event" else pytest.approx(wanted, rel=1e-9))
    assert alone["rows"][0]["figures"][KEPT.index("trades")] > 3


def test_studies_that_take_turns_in_a_worker_keep_their_own_evaluators(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []

    class Counting:
        def __init__(self) -> None:
            built.append(len(built))
            self.number = built[-1]

        def outcomes(self, jobs: object) -> list[Outcome]:
            return [Outcome(params={"number": self.number}, metrics={})]

    kept: dict[str, Any] = {}
    monkeypatch.setattr(places, "_kept", kept)
    monkeypatch.setattr(places, "evaluator_for", lambda bench, threads: Counting())
    chunk = places.ChunkOf(7, ())

    def number(key: str) -> Any:
        done, (outcome,) = places.compute(key, bench, chunk)
        assert done == 7
        return outcome.params["number"]

    assert [number(key) for key in "abab"] == [0, 1, 0, 1], "built once each"
    assert [number(key) for key in "cb"] == [2, 1]
    assert list(kept) == ["b", "c"], "the oldest is let go of"


def test_rows_are_ranked_and_sets_with_too_few_trades_come_last(bench: Bench, alone: dict[str, Any]) -> None:
    counts = sorted(row["figures"][KEPT.index("trades")] for row in alone["rows"])
    result = swept(bench, Here(), min_trades=int(counts[4]))
    few = [row["few"] for row in result["rows"]]
    assert few == sorted(few)
    assert {False, True} == set(few)
    ranked = [row["figures"][0] for row in result["rows"] if not row["few"]]
    assert ranked == sorted(ranked, reverse=True)


def test_the_order_in_which_sets_are_finished_changes_no_digit(
    bench: Bench, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    forwards = sweep.compute_sets
    monkeypatch.setattr(sweep, "compute_sets", lambda *args: reversed(list(forwards(*args))))
    assert without_place(swept(bench, Here())) == without_place(alone)


def test_processes_give_the_same_result(bench: Bench, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "worth_spreading", lambda *_: True)
    place = Cores(2)
    together = swept(bench, place)
    assert together["place"] == "in 2 processes"
    assert without_place(together) == without_place(alone)


def test_threads_of_the_kernel_give_the_same_result(bench: Bench, alone: dict[str, Any]) -> None:
    threads = swept(bench, place_for(None, 3, "", "kernel"))
    assert threads["place"] == "in 3 threads of one process"
    assert without_place(threads) == without_place(alone)


def test_the_road_is_the_kernel_where_it_takes_the_strategy(bench: Bench) -> None:
    loaded = reversion()
    assert with_road(bench, loaded, "auto").road == "kernel"
    assert with_road(bench, loaded, "event").road == "event"
    limits = bench.spec.limits.model_copy(update={"risk_mode": "adaptive"})
    adaptive = replace(bench, spec=bench.spec.model_copy(update={"limits": limits}))
    other = with_road(adaptive, loaded, "auto")
    assert other.road == "event"
    assert "risk_mode" in other.why
    with pytest.raises(ConfigurationError, match=r"risk_mode.*--road event"):
        with_road(adaptive, loaded, "kernel")


def test_a_dask_cluster_gives_the_same_result(
    bench: Bench, alone: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    monkeypatch.setattr(sweep, "worth_spreading", lambda *_: True)
    from importlib.metadata import version

    local: Any = LocalCluster
    with local(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None, protocol="tcp", host="127.0.0.1"
    ) as cluster:
        address = cluster.scheduler_address.removeprefix("tcp://")
        far = swept(bench, place_for(f"dask://{address}", None, version("quarterdeck")))
        with pytest.raises(ConfigurationError, match="Bring all to one release"):
            swept(bench, place_for(f"dask://{address}", None, "0.0.1"))
    assert "2 threads of 1 workers" in far["place"]
    assert without_place(far) == without_place(alone)


def test_a_cluster_that_does_not_answer_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "CONNECT_S", 0.2)
    with pytest.raises(DataSourceError, match=r"No Dask scheduler answers at 127.0.0.1:9"):
        swept(bench, place_for("dask://127.0.0.1:9", None, "2"))


@pytest.mark.parametrize(
    "address", ["spark://here:1", "dask://here", "dask://here:99999999", "here:8786", "dask://a:1/b"]
)
def test_what_is_no_cluster_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match="write dask://HOST:PORT"):
        check_cluster(address)


def test_a_ray_cluster_is_refused_with_the_way_out() -> None:
    with pytest.raises(ConfigurationError, match=r"Ray.*quarterdeck\[cluster\]"):
        check_cluster("ray://here:10001")


def test_a_set_that_fails_is_named_and_does_not_stop_the_others(bench: Bench) -> None:
    result = swept(bench, Here(), grid={"lookback_period": "20,900"})
    assert (len(result["rows"]), result["failed"]) == (1, 1)
    assert result["failed_first"][0]["params"] == {"lookback_period": 900}
    assert "900 bars before it decides" in result["failed_first"][0]["reason"]


def test_a_failing_outcome_ranks_behind_one_without_trades() -> None:
    figures: dict[str, float | None] = {"sharpe": -9.0, "trades": 2.0}
    few = Outcome(params={}, metrics=figures)
    assert score(Outcome(params={}, metrics={}, failed="broken"), "sharpe", 5) < TOO_FEW < score(few, "sharpe", 5)
    assert score(few, "sharpe", 2) == -9.0
    assert score(Outcome(params={}, metrics={"max_drawdown": 0.2, "trades": 9.0}), "max_drawdown", 1) == -0.2


def test_unfinished_results_are_handed_out_while_it_runs(bench: Bench) -> None:
    spec = SweepSpec(run=bench.spec, grid=GRID)
    seen: list[dict[str, Any]] = []
    told: list[tuple[float, str]] = []
    done = run_sweep(spec, bench, reversion(), Here(), "key", lambda *said: told.append(said), seen.append)
    assert [result["tried"] for result in seen] == sorted({result["tried"] for result in seen})
    assert 0 < seen[0]["tried"] < done["tried"] == 8
    assert told[-1][0] == 1.0
    assert told[-1][1].startswith("8 of 8 sets")


def test_a_region_is_the_mean_of_a_set_and_its_neighbours_on_the_grid() -> None:
    axes = [Axis(name="a", values=(1, 2, 3)), Axis(name="b", values=(10, 20))]
    sets = [{"a": a, "b": b} for a in (1, 2, 3) for b in (10, 20)]
    scores = [9.0, 0.0, 0.0, 0.0, 3.0, 3.0]
    regions = grid_regions(sets, scores, axes)
    assert regions == [9 / 4, 9 / 4, 15 / 6, 15 / 6, 6 / 4, 6 / 4]
    # A peak whose neighbours have no trades is no region: they count as zero, and have none of their own.
    alone = grid_regions(sets[:3], [8.0, TOO_FEW, TOO_FEW + 2], axes)
    assert alone == [8 / 3, None, None]


def test_values_that_are_no_numbers_have_no_neighbours() -> None:
    axes = [Axis(name="kind", values=("x", "y"))]
    assert grid_regions([{"kind": "x"}, {"kind": "y"}], [1.0, 5.0], axes) == [1.0, 5.0]


def test_the_region_of_drawn_sets_is_their_nearest_ones() -> None:
    sets: list[dict[str, Any]] = [{"a": a} for a in (0, 1, 2, 50, 51, 52)]
    regions = near_regions(sets, [1.0, 1.0, 1.0, 9.0, 3.0, 3.0])
    assert regions == [1.0, 1.0, 1.0, 5.0, 5.0, 5.0]


def test_the_front_holds_what_nothing_beats_in_everything() -> None:
    points = [(1.0, -0.3), (2.0, -0.5), (1.5, -0.6), (0.5, -0.1), (2.0, -0.5)]
    assert pareto_front(points) == [1, 0, 3]


def test_two_objectives_give_a_front(bench: Bench) -> None:
    result = swept(bench, Here(), objectives=("total_return", "max_drawdown"))
    gain, fall = KEPT.index("total_return"), KEPT.index("max_drawdown")
    points = [(row["figures"][gain], -row["figures"][fall]) for row in result["rows"] if not row["few"]]
    assert result["front"]
    for place in result["front"]:
        assert not any(a > points[place][0] and b > points[place][1] for a, b in points)


def test_objectives_are_known_different_and_few() -> None:
    assert check_objectives(["sharpe", "max_drawdown"]) == ("sharpe", "max_drawdown")
    for wrong in (["luck"], [], ["sharpe", "sharpe"], ["sharpe", "sortino", "calmar"]):
        with pytest.raises(ValidationError):
            check_objectives(wrong)


def test_chunks_are_long_enough_and_enough_for_all_workers() -> None:
    assert chunk_size(1000, 0.001, 2) == 125
    assert chunk_size(100_000, 0.001, 2) == 250
    assert chunk_size(10, 5.0, 2) == 1
    assert chunk_size(0, 1.0, 2) == 1


def test_a_curve_has_the_figures_of_its_outcome(bench: Bench) -> None:
    params = {"lookback_period": 20}
    for trials in (EventTrials(bench), KernelTrials(bench)):
        curve, outcome = trials.curve(params, (200, 400)), trials.outcome(params, (200, 400))
        assert len(curve.ts) == 201
        assert {name: curve.metrics.get(name) for name in KEPT} == pytest.approx(outcome.metrics, rel=1e-9)


def test_sets_of_next_to_no_trades_do_not_tell_how_far_figures_spread() -> None:
    rng = np.random.default_rng(4)

    def outcome(trades: int, spread: float) -> Outcome:
        daily = rng.normal(0.0002, spread, 120)
        sharpe = float(daily.mean() / daily.std() * 365**0.5)
        return Outcome(params={"x": trades}, metrics={"sharpe": sharpe, "trades": float(trades)}, daily=daily)

    usual = [outcome(50, 0.01) for _ in range(8)]
    lonely = msgspec.structs.replace(
        outcome(1, 0.0), params={"x": 1}, daily=np.where(np.arange(120) == 60, -1e-6, -1e-7)
    )
    spec = SimpleNamespace(objectives=("sharpe",), min_trades=10, run=SimpleNamespace(risk_free_rate=0.0))
    with_it = with_luck({}, [*usual, lonely], spec)["details"]["luck"]  # type: ignore[arg-type]
    without = with_luck({}, usual, spec)["details"]["luck"]  # type: ignore[arg-type]
    assert with_it["sets"] == 9
    assert without["luckiest"] < with_it["luckiest"] < 1.2 * without["luckiest"]
    assert with_luck({}, [lonely], spec)["details"]["luck"]["deflated_sharpe"] is None  # type: ignore[arg-type]

"""A study from what is asked to its specification: strategy, grid or ranges, and everything by value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.backtest.search.outcome import check_objectives
from engine.backtest.search.places import check_cluster
from engine.backtest.search.sampling import draw_sets
from engine.backtest.search.space import candidates, parse_axis, ranges_for
from engine.backtest.search.spec import OptimiseSpec, SweepSpec, WalkForwardSpec
from engine.control.backtesting import make_spec
from engine.control.requests_research import RunBacktest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from engine.backtest.search.space import Range
    from engine.backtest.spec import BacktestSpec
    from engine.config import Settings
    from engine.control.requests_search import OptimiseBacktest, SweepBacktest, WalkForwardBacktest
    from engine.strategy.loader import LoadedStrategy

    Asked = SweepBacktest | OptimiseBacktest | WalkForwardBacktest

__all__ = ["make_optimise", "make_sweep", "make_walk_forward"]


def _run(asked: Asked, found: LoadedStrategy, settings: Settings, first: Mapping[str, Any]) -> BacktestSpec:
    """The run that is varied; parameters that are varied have the values of the first possible set."""
    # Which road the trials take is the study's own to say.
    plain = asked.model_dump(include=set(RunBacktest.model_fields) - {"road"}, exclude_none=True)
    plain["params"] = {**asked.params, **first}
    return make_spec(RunBacktest(**plain), found, settings.risk, settings.backtesting)


def _common(asked: Asked, objectives: int) -> dict[str, Any]:
    if asked.cluster is not None:
        check_cluster(asked.cluster)
    return {
        "objectives": check_objectives(asked.objectives, objectives),
        "seed": asked.seed,
        "road": asked.road,
        "cluster": asked.cluster,
        "workers": asked.workers,
    }


def make_sweep(asked: SweepBacktest, found: LoadedStrategy, settings: Settings) -> SweepSpec:
    """The specification of a sweep.

    Raises:
        ConfigurationError: A parameter is unknown.
        ValidationError: The grid, an objective or the cluster cannot be used, or no combination is possible.
    """
    both = sorted(set(asked.grid) & set(asked.params))
    fixed = {name: value for name, value in asked.params.items() if name not in both}
    axes = [parse_axis(found.cls, name, text) for name, text in asked.grid.items()]
    sets = candidates(found.cls, fixed, axes, asked.random, asked.seed)
    return SweepSpec(
        run=_run(asked, found, settings, sets.sets[0]),
        grid=asked.grid,
        draw=asked.random,
        min_trades=asked.min_trades,
        **_common(asked, 2),
    )


def _ranges(
    asked: OptimiseBacktest | WalkForwardBacktest, found: LoadedStrategy
) -> tuple[dict[str, str], dict[str, Any]]:
    """The ranges by parameter, written out, and the first possible set within them."""
    ranges: tuple[Range, ...] = ranges_for(found.cls, asked.ranges, list(asked.params))
    first = draw_sets(found.cls, asked.params, ranges, 1, asked.seed).sets[0]
    return {one.name: one.words for one in ranges}, first


def make_optimise(asked: OptimiseBacktest, found: LoadedStrategy, settings: Settings) -> OptimiseSpec:
    """The specification of a search with Optuna; raises as `make_sweep`."""
    ranges, first = _ranges(asked, found)
    return OptimiseSpec(
        run=_run(asked, found, settings, first),
        ranges=ranges,
        trials=asked.trials,
        sampler=asked.sampler,
        min_trades=asked.min_trades,
        **_common(asked, 2),
    )


def make_walk_forward(asked: WalkForwardBacktest, found: LoadedStrategy, settings: Settings) -> WalkForwardSpec:
    """The specification of a walk-forward analysis; raises as `make_sweep`."""
    ranges, first = _ranges(asked, found)
    usual = settings.backtesting.walk_forward
    changed = {
        "training_period": asked.training,
        "validation_period": asked.validation,
        "test_period": asked.test,
        "step_size": asked.step,
        "min_trades": asked.min_trades,
    }
    windows = usual.model_copy(update={name: value for name, value in changed.items() if value is not None})
    return WalkForwardSpec(
        run=_run(asked, found, settings, first),
        ranges=ranges,
        trials=asked.trials,
        sampler=asked.sampler,
        windows=windows,
        min_trades=windows.min_trades,
        **_common(asked, 1),
    )

"""A search with Optuna: one objective with TPE, two with NSGA-II, or evenly spread; seeded, in memory.

Sets are asked for and told of in batches of a fixed size, so that a study is the same on any number of cores. What the
strategy's own rules refuse is pruned without a run; too few trades rank behind everything else.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from engine.backtest.search.bench import Job
from engine.backtest.search.outcome import OBJECTIVES, TOO_FEW, Outcome, score
from engine.backtest.search.regions import near_regions
from engine.backtest.search.space import LeftOut, ranges_for, refusal
from engine.backtest.search.study import left_out_part, table_part, with_luck
from engine.backtest.search.tries import Tries
from engine.errors import ConfigurationError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.search.bench import Bench
    from engine.backtest.search.places import Place
    from engine.backtest.search.space import Range, Value
    from engine.backtest.search.spec import OptimiseSpec, WalkForwardSpec
    from engine.backtest.search.study import Save, Tell
    from engine.strategy.loader import LoadedStrategy

__all__ = ["make_sampler", "need_optuna", "run_optimise", "search_sets", "suggest"]

BATCH = 8
"""Sets that are asked for at once. Larger batches learn later; it does not depend on the machine."""
MOST_TRIES = 50
"""Sets asked for, for each one wanted: more impossible or repeated ones mean that the ranges hold no more."""
SAVE_EVERY = 0.1


def need_optuna() -> Any:
    """The module.

    Raises:
        ConfigurationError: The extra is missing.
    """
    try:
        import optuna
    except ImportError:
        raise ConfigurationError("A search needs the package optuna; install the extra `quarterdeck[ml]`.") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna


def make_sampler(kind: str, objectives: int, seed: int) -> Any:
    """The sampler of a study.

    Args:
        kind: `tpe`, `nsga2`, `sobol`, or `auto`: TPE for one objective, NSGA-II for several.
        objectives: How many.
        seed: Its seed.
    """
    optuna = need_optuna()
    samplers = optuna.samplers
    kind = kind if kind != "auto" else "tpe" if objectives == 1 else "nsga2"
    if kind == "sobol":
        with warnings.catch_warnings():
            # Optuna calls its interface experimental; the sequence is scipy's.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return samplers.QMCSampler(qmc_type="sobol", scramble=True, seed=seed)
    if kind == "nsga2":
        return samplers.NSGAIISampler(population_size=24, seed=seed)
    # The others of a batch are not known yet when one is asked for: they count as bad, so that it looks elsewhere.
    return samplers.TPESampler(seed=seed, constant_liar=True, multivariate=objectives == 1, n_startup_trials=16)


def suggest(trial: Any, ranges: Sequence[Range]) -> dict[str, Value]:
    """One set of parameters as a trial suggests it."""
    found: dict[str, Value] = {}
    for one in ranges:
        if one.choices:
            found[one.name] = trial.suggest_categorical(one.name, list(one.choices))
        elif one.whole:
            step = 1 if one.log else int(one.step or 1)
            found[one.name] = trial.suggest_int(one.name, int(one.low), int(one.high), step=step, log=one.log)
        else:
            found[one.name] = trial.suggest_float(one.name, one.low, one.high, step=one.step, log=one.log)
    return found


class _Search:
    """The state of one study."""

    def __init__(
        self, spec: OptimiseSpec | WalkForwardSpec, ranges: Sequence[Range], loaded: LoadedStrategy, seed: int
    ) -> None:
        optuna = need_optuna()
        self.spec, self.ranges, self.loaded = spec, ranges, loaded
        self.outcomes: dict[tuple[Value, ...], Outcome] = {}
        self.refused: dict[tuple[Value, ...], LeftOut] = {}
        self.asked = 0
        self.best: list[float | None] = []
        self._failed, self._done = optuna.trial.TrialState.FAIL, optuna.trial.TrialState.COMPLETE
        sampler = make_sampler(spec.sampler, len(spec.objectives), seed)
        self.study = optuna.create_study(directions=["maximize"] * len(spec.objectives), sampler=sampler)

    @property
    def finished(self) -> bool:
        return len(self.outcomes) >= self.spec.trials or self.asked >= MOST_TRIES * self.spec.trials

    def batch(self) -> list[tuple[Any, dict[str, Value]]]:
        """The next possible sets with their trials; impossible ones are told of at once."""
        found: list[tuple[Any, dict[str, Value]]] = []
        for _ in range(BATCH):
            trial = self.study.ask()
            self.asked += 1
            params = suggest(trial, self.ranges)
            key = tuple(params.values())
            reason = self.refused[key].reason if key in self.refused else refusal(
                self.loaded.cls, self.spec.run.params, params
            )  # fmt: skip
            if reason:
                self.refused.setdefault(key, LeftOut(params=params, reason=reason))
                # Behind every set that ran, so that the search learns where nothing is possible.
                self.study.tell(trial, [TOO_FEW - 2.0] * len(self.spec.objectives))
            else:
                found.append((trial, params))
        return found

    def tell(self, trial: Any, outcome: Outcome) -> None:
        """Take an outcome in."""
        spec = self.spec
        self.study.tell(trial, [score(outcome, name, spec.min_trades) for name in spec.objectives])
        if len(self.outcomes) < spec.trials:
            self.outcomes.setdefault(tuple(outcome.params.values()), outcome)

    def note_best(self) -> None:
        """Remember the best figure so far."""
        objective, least = self.spec.objectives[0], self.spec.min_trades
        top = max((score(outcome, objective, least) for outcome in self.outcomes.values()), default=TOO_FEW)
        self.best.append(OBJECTIVES[objective] * top if top > TOO_FEW / 2 else None)


def run_optimise(
    spec: OptimiseSpec, bench: Bench, loaded: LoadedStrategy, place: Place, key: str, tell: Tell, save: Save
) -> dict[str, Any]:
    """Search; see `run_sweep` for the arguments.

    Returns:
        The result as plain values: `table_part` with the region of each set's nearest ones; `details` has the best
        figure after each batch.

    Raises:
        ConfigurationError: Optuna is not installed.
        QuarterdeckError: The ranges cannot be read, or a cluster is lost.
    """
    ranges = ranges_for(loaded.cls, spec.ranges)
    search = _Search(spec, ranges, loaded, spec.seed)
    tries = Tries(key, bench, place, loaded, spec.trials)
    kept = 0
    while not search.finished:
        batch = search.batch()
        for (trial, _), outcome in zip(batch, tries.outcomes([Job(params) for _, params in batch]), strict=True):
            search.tell(trial, outcome)
        search.note_best()
        count = len(search.outcomes)
        best, name = search.best[-1], spec.objectives[0].replace("_", " ")
        tell(count / spec.trials, f"{count:,} of {spec.trials:,} sets" + (f", best {name} {best:.3g}" if best else ""))
        if count - kept >= SAVE_EVERY * spec.trials and not search.finished:
            kept = count
            save(_result(search, bench, tries))
    if not search.outcomes:
        reason = next(iter(search.refused.values())).reason if search.refused else "the ranges are empty"
        raise ValidationError(f"The strategy {loaded.name} took none of {search.asked:,} sets of the ranges: {reason}.")
    return with_luck(_result(search, bench, tries), list(search.outcomes.values()), spec)


def search_sets(
    spec: WalkForwardSpec,
    ranges: Sequence[Range],
    loaded: LoadedStrategy,
    tries: Tries,
    window: tuple[int, int],
    seed: int,
) -> tuple[list[Outcome], list[LeftOut]]:
    """Search on one window of the data; gives the outcomes, and what the strategy refused."""
    search = _Search(spec, ranges, loaded, seed)
    while not search.finished:
        batch = search.batch()
        outcomes = tries.outcomes([Job(params, window) for _, params in batch])
        for (trial, _), outcome in zip(batch, outcomes, strict=True):
            search.tell(trial, outcome)
    return list(search.outcomes.values()), list(search.refused.values())


def _result(search: _Search, bench: Bench, tries: Tries) -> dict[str, Any]:
    spec = search.spec
    outcomes = list(search.outcomes.values())
    ran = [outcome for outcome in outcomes if not outcome.failed]
    scores = [score(outcome, spec.objectives[0], spec.min_trades) for outcome in ran]
    regions = near_regions([outcome.params for outcome in ran], scores)
    return {
        **table_part(ran, regions, spec.objectives, spec.min_trades),
        **left_out_part(list(search.refused.values()), [outcome for outcome in outcomes if outcome.failed]),
        "sets": spec.trials,
        "tried": len(outcomes),
        "road": bench.road,
        "why": bench.why,
        "place": tries.words,
        "details": {"best_after": search.best, "asked": search.asked, "batch": BATCH},
        "assumptions": {
            "search": (
                f"{type(search.study.sampler).__name__.removesuffix('Sampler')} of Optuna with seed {spec.seed} over "
                + ", ".join(f"{one.name} {one.words}" for one in search.ranges)
                + "."
            )
        },
    }

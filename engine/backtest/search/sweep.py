"""A sweep: every set of a grid on the same bars, on all cores, with what is finished at hand at any time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.backtest.search.bench import Job, evaluator_for
from engine.backtest.search.outcome import OBJECTIVES, score
from engine.backtest.search.places import ChunkOf, Here, chunk_size, worth_spreading
from engine.backtest.search.regions import grid_regions
from engine.backtest.search.space import candidates, parse_axis
from engine.backtest.search.study import left_out_part, table_part, with_luck
from engine.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from engine.backtest.search.bench import Bench
    from engine.backtest.search.outcome import Outcome
    from engine.backtest.search.places import Place
    from engine.backtest.search.space import Axis, Candidates, Value
    from engine.backtest.search.spec import SweepSpec
    from engine.backtest.search.study import Save, Tell
    from engine.strategy.loader import LoadedStrategy

__all__ = ["compute_sets", "run_sweep", "sets_of"]

SAVE_EVERY = 0.1
"""Share of a sweep after which what is finished is handed out to be kept."""


def sets_of(spec: SweepSpec, loaded: LoadedStrategy) -> tuple[list[Axis], Candidates]:
    """The axes of a sweep and its sets of parameters.

    Raises:
        ConfigurationError: The strategy has no such parameter.
        ValidationError: An axis cannot be read, there are too many sets, or none is possible.
    """
    axes = [parse_axis(loaded.cls, name, text) for name, text in spec.grid.items()]
    return axes, candidates(loaded.cls, spec.run.params, axes, spec.draw, spec.seed)


def compute_sets(
    key: str,
    bench: Bench,
    sets: Sequence[dict[str, Value]],
    place: Place,
    loaded: LoadedStrategy | None = None,
) -> Iterator[tuple[int, Outcome]]:
    """The outcomes of many sets with their numbers, in the order in which they are finished.

    The first ones are computed here, so that it is known how long one takes; few and short ones stay here altogether.

    Args:
        key: Name of the study, for the workers.
        bench: What to run on.
        sets: What to try.
        place: Where; it has been entered.
        loaded: The strategy, where it is at hand.
    """
    jobs = [Job(params) for params in sets]
    evaluator, clock, seconds, done = evaluator_for(bench, loaded, place.threads), SystemClock(), 0.0, 0
    # The first run of a process pays for what the later ones do not: compilation, caches, imports.
    while done < min(2, len(sets)):
        began = clock.monotonic()
        outcome = evaluator.outcome(sets[done])
        seconds = (clock.monotonic() - began) / 1e9
        yield done, outcome
        done += 1
    rest = jobs[done:]
    if isinstance(place, Here) or not worth_spreading(len(rest), seconds):
        # As many at once as keep the bar of progress moving.
        size = chunk_size(len(rest), seconds, 1)
        for first in range(0, len(rest), size):
            for number, outcome in enumerate(evaluator.outcomes(rest[first : first + size]), first):
                yield done + number, outcome
        return
    size = chunk_size(len(rest), seconds, place.workers)
    chunks = [ChunkOf(first, tuple(rest[first : first + size])) for first in range(0, len(rest), size)]
    for first, outcomes in place.compute(key, bench, chunks):
        for number, outcome in enumerate(outcomes, first):
            yield done + number, outcome


def run_sweep(
    spec: SweepSpec, bench: Bench, loaded: LoadedStrategy, place: Place, key: str, tell: Tell, save: Save
) -> dict[str, Any]:
    """Try every set.

    Args:
        spec: What to sweep.
        bench: What to run on.
        loaded: The strategy.
        place: Where it is computed; it has been entered.
        key: Identity of the study.
        tell: Hears the share done and a few words.
        save: Is given the unfinished result now and then.

    Returns:
        The result as plain values: see `table_part`.

    Raises:
        QuarterdeckError: The grid cannot be read, or a cluster is lost.
    """
    axes, found = sets_of(spec, loaded)
    outcomes: dict[int, Outcome] = {}
    count, kept, best = len(found.sets), 0, float("-inf")
    for number, outcome in compute_sets(key, bench, found.sets, place, loaded):
        outcomes[number] = outcome
        best = max(best, score(outcome, spec.objectives[0], spec.min_trades))
        tell(len(outcomes) / count, _words(len(outcomes), count, spec.objectives[0], best))
        if len(outcomes) - kept >= SAVE_EVERY * count and len(outcomes) < count:
            kept = len(outcomes)
            save(_result(spec, axes, found, outcomes, bench, place))
    return with_luck(
        _result(spec, axes, found, outcomes, bench, place), [outcomes[number] for number in sorted(outcomes)], spec
    )


def _words(done: int, count: int, objective: str, best: float) -> str:
    words = f"{done:,} of {count:,} sets"
    return words if best < -1e5 else f"{words}, best {objective.replace('_', ' ')} {OBJECTIVES[objective] * best:.3g}"


def _result(
    spec: SweepSpec,
    axes: Sequence[Axis],
    found: Candidates,
    outcomes: Mapping[int, Outcome],
    bench: Bench,
    place: Place,
) -> dict[str, Any]:
    numbers = sorted(outcomes)
    ran = [outcomes[number] for number in numbers if not outcomes[number].failed]
    scores = [score(outcome, spec.objectives[0], spec.min_trades) for outcome in ran]
    return {
        **table_part(ran, grid_regions([o.params for o in ran], scores, axes), spec.objectives, spec.min_trades),
        **left_out_part(found.left_out, [outcomes[n] for n in numbers if outcomes[n].failed]),
        "axes": {axis.name: list(axis.values) for axis in axes},
        "sets": len(found.sets),
        "grid": found.of,
        "tried": len(outcomes),
        "road": bench.road,
        "why": bench.why,
        "place": place.words,
    }

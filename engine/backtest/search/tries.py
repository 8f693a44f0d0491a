"""Tries sets of parameters one batch after the other, where it is quickest: here, or in a place with many workers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from engine.backtest.search.bench import evaluator_for
from engine.backtest.search.places import ChunkOf, Here, chunk_size, worth_spreading
from engine.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from engine.backtest.search.bench import Bench, Curve, Job
    from engine.backtest.search.outcome import Outcome
    from engine.backtest.search.places import Place
    from engine.backtest.search.space import Value
    from engine.strategy.loader import LoadedStrategy

__all__ = ["Tries"]


class Tries:
    """A bench, a place, and what is known of how long one run takes.

    Args:
        key: Name of the study, for the workers.
        bench: What to run on.
        place: Where there are workers; it has been entered.
        loaded: The strategy.
        expected: How many runs there will be.
    """

    def __init__(self, key: str, bench: Bench, place: Place, loaded: LoadedStrategy, expected: int) -> None:
        self._key, self._bench, self._place = key, bench, place
        self._here = evaluator_for(bench, loaded, place.threads)
        self._expected, self._known = expected, dict[tuple[object, ...], "Outcome"]()
        self._clock = SystemClock()
        self._runs = 0
        self._seconds = 0.0

    @property
    def spread(self) -> bool:
        """Whether the workers of the place are used: when what is left is worth their start."""
        if isinstance(self._place, Here) or self._runs < 2:
            return False
        return worth_spreading(self._expected, self._seconds)

    @property
    def words(self) -> str:
        """Where it is computed, for a person."""
        return self._place.words if self.spread or isinstance(self._place, Here) else "in one process"

    def outcomes(self, jobs: Sequence[Job], hear: Callable[[int], None] | None = None) -> list[Outcome]:
        """The outcomes of several runs, in their order; one that was done before is not done again.

        Args:
            jobs: What to run; workers get those together that stand together.
            hear: Hears how many are done, now and then.
        """
        keys = [(job.window, *job.params.items()) for job in jobs]
        fresh = {key: job for key, job in zip(keys, jobs, strict=True) if key not in self._known}
        for key, outcome in zip(fresh, self._compute(list(fresh.values()), hear), strict=True):
            self._known[key] = outcome
        return [self._known[key] for key in keys]

    def curve(self, params: Mapping[str, Value], window: tuple[int, int] | None) -> Curve:
        """The whole equity curve of one set."""
        return self._here.curve(params, window)

    def _compute(self, jobs: list[Job], hear: Callable[[int], None] | None) -> list[Outcome]:
        done: list[Outcome] = []
        while self._runs < 2 and len(done) < len(jobs):
            began = self._clock.monotonic()
            done.append(self._here.outcome(*jobs[len(done)]))
            self._seconds = (self._clock.monotonic() - began) / 1e9
            self._runs += 1
        rest = jobs[len(done) :]
        if not rest:
            return done
        size = self._size(len(rest))
        chunks = [ChunkOf(at, tuple(rest[at : at + size])) for at in range(0, len(rest), size)]
        found: dict[int, list[Outcome]] = {}
        for number, outcomes in self._chunks(chunks):
            found[number] = outcomes
            if hear is not None:
                hear(len(done) + sum(map(len, found.values())))
        return done + [outcome for number in sorted(found) for outcome in found[number]]

    def _size(self, count: int) -> int:
        """Runs of a chunk: a few chunks for each worker, and none shorter than is worth sending."""
        workers = self._place.workers if self.spread else 1
        return max(
            math.ceil(count / (4 * workers)), min(chunk_size(count, self._seconds, 1), math.ceil(count / workers))
        )

    def _chunks(self, chunks: Sequence[ChunkOf]) -> Iterator[tuple[int, list[Outcome]]]:
        if self.spread:
            yield from self._place.compute(self._key, self._bench, chunks)
            return
        for chunk in chunks:
            yield chunk.number, self._here.outcomes(chunk.jobs)

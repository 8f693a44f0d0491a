"""Where trials are computed: in this process, in processes on all cores, or on an existing Dask cluster.

Whatever the place, a study has the same outcomes: the same function computes each set of parameters from the same
bench, and nothing depends on the order in which sets are finished.
"""

from __future__ import annotations

import itertools
import math
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from engine.backtest.search.bench import evaluator_for
from engine.errors import ConfigurationError, DataSourceError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import TracebackType

    from engine.backtest.search.bench import Bench, Evaluator, Job
    from engine.backtest.search.outcome import Outcome

__all__ = [
    "ChunkOf",
    "Cluster",
    "Cores",
    "Here",
    "Place",
    "check_cluster",
    "chunk_size",
    "place_for",
    "worth_spreading",
]

CHUNK_S = 0.25
"""Work of one chunk: far above what it costs to send it, and short enough that progress moves."""
WORTH_S = 2.0
"""Less work than this is done in this process: others take longer to start."""
CONNECT_S = 10.0


class ChunkOf(NamedTuple):
    """Runs that are computed together."""

    number: int
    jobs: tuple[Job, ...]


Done = tuple[int, "list[Outcome]"]


_KEPT = 2
"""Evaluators that a worker process keeps: threads of one that work on different studies do not take turns to load."""
_kept: dict[str, Evaluator] = {}
"""The evaluators of the last studies in this process by key, so that a chunk does not load the strategy again."""


def compute(key: str, bench: Bench, chunk: ChunkOf) -> Done:
    """Compute one chunk; runs in the workers, of which several may be threads of one process."""
    evaluator = _kept.get(key)
    if evaluator is None:
        # There is a worker for each core already.
        evaluator = evaluator_for(bench, threads=1)
        _kept[key] = evaluator
        for old in list(_kept)[:-_KEPT]:
            _kept.pop(old, None)
    return chunk.number, evaluator.outcomes(chunk.jobs)


class Place:
    """Computes chunks of a bench; a context, so that what it started ends with it.

    Attributes:
        words: Where that is, for a person.
        workers: How many chunks are computed at once.
    """

    words = "in one process"
    workers = 1
    threads = 1
    """Threads that the evaluator of this process may use."""

    def __enter__(self) -> Place:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        return None

    def compute(self, key: str, bench: Bench, chunks: Sequence[ChunkOf]) -> Iterator[Done]:
        """The outcomes of every chunk with its number, in the order in which they are finished."""
        raise NotImplementedError


class Here(Place):
    """This very process."""

    def compute(self, key: str, bench: Bench, chunks: Sequence[ChunkOf]) -> Iterator[Done]:
        """One after the other."""
        for chunk in chunks:
            yield compute(key, bench, chunk)


class Threads(Here):
    """This very process; the kernel itself runs so many threads.

    Args:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        self.threads = count
        self.words = "in one process" if count == 1 else f"in {count} threads of one process"


def _leash(parent: int) -> None:
    """End a worker process with the one that started it, however that ends."""
    from engine.bots.isolation.owned import die_with

    die_with(parent)


class Cores(Place):
    """Processes on the cores of this machine, which die with this one.

    Args:
        workers: How many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.words = f"in {workers} processes"
        self._open = ExitStack()
        self._pool: Any = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()
        self._pool = None

    def compute(self, key: str, bench: Bench, chunks: Sequence[ChunkOf]) -> Iterator[Done]:
        """As many at once as there are processes; arrays of the bench are shared, not copied."""
        from joblib import Parallel, delayed

        if self._pool is None:
            # Started when first needed, and kept: a process takes a second to begin.
            pool = Parallel(
                n_jobs=self.workers,
                backend="loky",
                return_as="generator_unordered",
                batch_size=1,
                pre_dispatch="2*n_jobs",
                max_nbytes=100_000,
                initializer=_leash,
                initargs=(os.getpid(),),
            )
            self._pool = self._open.enter_context(pool)
        yield from self._pool(delayed(compute)(key, bench, chunk) for chunk in chunks)


class Cluster(Place):
    """An existing Dask cluster; its workers need this very release of Quarterdeck.

    Args:
        address: `HOST:PORT` of its scheduler.
        release: This program's.
    """

    def __init__(self, address: str, release: str) -> None:
        self._address, self._release = address, release
        self._client: Any = None
        self._sent: dict[str, Any] = {}

    def __enter__(self) -> Cluster:
        """Connect.

        Raises:
            ConfigurationError: The extra is missing, or a worker has another release.
            DataSourceError: Nobody answers there, or there are no workers.
        """
        try:
            import distributed
        except ImportError:
            raise ConfigurationError(
                "A Dask cluster needs the packages dask and distributed; install the extra `quarterdeck[cluster]`."
            ) from None
        try:
            connect: Any = distributed.Client
            self._client = connect(f"tcp://{self._address}", timeout=CONNECT_S, set_as_default=False)
        except OSError as error:
            raise DataSourceError(
                f"No Dask scheduler answers at {self._address}; start one with `dask scheduler`, or correct it."
            ) from error
        releases: dict[str, str] = self._client.run(_release_here)
        if not releases:
            self._client.close()
            raise DataSourceError(f"The Dask cluster at {self._address} has no workers; start some with `dask worker`.")
        others = {where: release for where, release in releases.items() if release != self._release}
        if others:
            self._client.close()
            where, release = next(iter(others.items()))
            raise ConfigurationError(
                f"The Dask worker {where} has Quarterdeck {release or 'not installed'}, and this is {self._release}; "
                "results would not be the same. Bring all to one release."
            )
        self.workers = sum(self._client.nthreads().values())
        self.words = f"on the Dask cluster {self._address} with {self.workers} threads of {len(releases)} workers"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._client.close()

    def compute(self, key: str, bench: Bench, chunks: Sequence[ChunkOf]) -> Iterator[Done]:
        """The bench is sent to every worker once; chunks follow as workers become free."""
        import distributed

        finished: Any = distributed.as_completed
        if key not in self._sent:
            self._sent[key] = self._client.scatter(bench, broadcast=True, hash=False)
        shared = self._sent[key]
        waiting = iter(chunks)
        first = [
            self._client.submit(compute, key, shared, chunk, pure=False)
            for chunk in itertools.islice(waiting, 2 * self.workers)
        ]
        running = finished(first, loop=self._client.loop)
        for future in running:
            yield future.result()
            chunk = next(waiting, None)
            if chunk is not None:
                running.add(self._client.submit(compute, key, shared, chunk, pure=False))


def _release_here() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("quarterdeck")
    except PackageNotFoundError:
        return ""


def check_cluster(address: str) -> str:
    """`HOST:PORT` of a Dask cluster's address.

    Raises:
        ValidationError: It is no such address.
        ConfigurationError: It is a Ray cluster, which is not supported.
    """
    parts = urlsplit(address)
    try:
        complete = bool(parts.hostname and parts.port) and not parts.path.strip("/")
    except ValueError:
        complete = False
    if parts.scheme not in ("dask", "ray") or not complete:
        raise ValidationError(f"{address!r} is no cluster; write dask://HOST:PORT.")
    if parts.scheme == "ray":
        raise ConfigurationError(
            "A Ray cluster cannot be used by this release; start a Dask cluster (`dask scheduler`, `dask worker`; the "
            "extra `quarterdeck[cluster]`) and write dask://HOST:PORT."
        )
    return parts.netloc


def place_for(cluster: str | None, workers: int | None, release: str, road: str = "event") -> Place:
    """Where a study is computed. The kernel runs in threads of one process, the event path in processes.

    Args:
        cluster: Address of a cluster; None for this machine.
        workers: Processes on this machine; None for one a core.
        release: This program's.
        road: `kernel` or `event`.
    """
    if cluster is not None:
        return Cluster(check_cluster(cluster), release)
    count = workers or cores()
    if road == "kernel":
        return Threads(count)
    return Here() if count == 1 else Cores(count)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def chunk_size(count: int, seconds: float, workers: int) -> int:
    """How many sets to compute together, when one takes so long: about CHUNK_S, and enough chunks for all workers."""
    if count <= 0:
        return 1
    wanted = max(1, round(CHUNK_S / max(seconds, 1e-6)))
    return min(wanted, max(1, math.ceil(count / (4 * workers))))


def worth_spreading(count: int, seconds: float) -> bool:
    """Whether so many sets, when one takes so long, are worth the start of other processes."""
    return count * seconds >= WORTH_S

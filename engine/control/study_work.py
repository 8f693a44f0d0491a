"""The worker's side of studies: candles read once, sets tried, what is finished kept while it runs."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.backtest.instruments import instrument_for
from engine.backtest.search.bench import Bench, with_road
from engine.backtest.search.optimise import run_optimise
from engine.backtest.search.places import place_for
from engine.backtest.search.sampling import draw_sets
from engine.backtest.search.space import ranges_for, refusal
from engine.backtest.search.spec import OptimiseSpec, StudySpec, SweepSpec, WalkForwardSpec, study_hash
from engine.backtest.search.sweep import run_sweep, sets_of
from engine.backtest.search.walk_forward import run_walk_forward
from engine.backtest.spec import data_hash
from engine.clock import SystemClock
from engine.control.backtesting import day
from engine.errors import DataError
from engine.strategy.loader import StrategyRegistry
from engine.strategy.runner import StrategyRunner
from storage.candle_sets import CandleSet
from storage.candles import CandleStore
from storage.database import Database
from storage.settings import DatabaseSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from engine.backtest.search.places import Place
    from engine.backtest.search.space import Value
    from engine.backtest.spec import BacktestSpec
    from engine.strategy.loader import LoadedStrategy

    Tell = Callable[[float, str], None]

__all__ = ["SPECS", "make_bench", "run_study"]

Spec = SweepSpec | OptimiseSpec | WalkForwardSpec
SPECS: dict[str, type[Spec]] = {
    "sweep": SweepSpec,
    "optimise": OptimiseSpec,
    "walk_forward": WalkForwardSpec,
}
WARM_UP_SETS = 64
"""Sets drawn from ranges to see how many bars before the range are wanted."""
KEEP_NS = 3_000_000_000
"""Shortest time between two writes of an unfinished study."""


def make_bench(
    run: BacktestSpec,
    loaded: LoadedStrategy,
    store: CandleStore,
    sets: Sequence[Mapping[str, Value]],
    *,
    deep: bool = False,
) -> Bench:
    """The bench of a study: the bars of its range, and before them as many as its slowest set wants.

    Raises:
        NotFoundError: There are no candles of that market.
        DataError: There are none in that range.
    """
    key = CandleSet.of(run.venue, run.symbol, run.timeframe)
    bars = store.read(key, run.start, run.end)
    if not len(bars):
        raise DataError(
            f"There are no candles of {key.words} in that range; `quarterdeck data list` shows what is stored."
        )
    most = 1
    for params in sets:
        strategy = loaded.build({**run.params, **params})
        most = max(most, StrategyRunner(strategy, key.instrument, timeframe=key.timeframe).history)
    first = int(bars.ts[0])
    # Twice as far back as needed, because bars may be missing.
    history = store.read(key, first - 2 * most * key.length, first)
    history = history.slice(max(0, len(history) - most), len(history))
    return Bench(
        spec=run,
        source=None if loaded.origin == "built-in" else Path(loaded.path).read_text(encoding="utf-8"),
        source_hash=loaded.source_hash,
        instrument=instrument_for(run, key, bars),
        bars=joined(history, bars),
        begin=len(history),
        deep=deep,
    )


def joined(first: Any, second: Any) -> Any:
    """Two stretches of bars as one."""
    import numpy as np

    from engine.model.candle import Bars

    if not len(first):
        return second
    columns = ("ts", "open", "high", "low", "close", "volume")
    return Bars(second.timeframe, *(np.concatenate((getattr(first, c), getattr(second, c))) for c in columns))


class _Keeper:
    """Writes a study while it runs and at its end."""

    def __init__(
        self, settings: DatabaseSettings, home: Path, fixed: dict[str, Any], facts: Callable[[dict[str, Any]], Any]
    ):
        self.key = uuid.uuid4()
        self._settings, self._home, self._fixed, self._facts = settings, home, fixed, facts
        self._clock = SystemClock()
        self._began = self._written = self._clock.monotonic()

    def save(self, result: dict[str, Any]) -> None:
        """Keep an unfinished result, unless the last one has just been kept."""
        if self._clock.monotonic() - self._written >= KEEP_NS:
            self.write(result, complete=False)

    def write(self, result: dict[str, Any], *, complete: bool) -> None:
        """Keep a result."""
        from engine.control.study_store import keep_study

        self._written = self._clock.monotonic()
        seconds = (self._written - self._began) / 1e9
        values = {
            **self._fixed,
            "summary": self._facts(result),
            "result": result,
            "complete": complete,
            "seconds": round(seconds, 3),
        }

        async def work() -> None:
            async with Database(self._settings, self._home) as database:
                await keep_study(database, self.key, values)

        asyncio.run(work())


def run_study(home: Path, kind: str, task: dict[str, Any], tell: Tell) -> tuple[str, str, dict[str, Any]]:
    """Work a study out and keep it.

    Args:
        home: Home folder.
        kind: One of `SPECS`.
        task: `study`, its specification, and `database`.
        tell: Hears the share done and a few words.

    Returns:
        Its id, the outcome in a sentence, and its summary.

    Raises:
        QuarterdeckError: It cannot be worked out, or not be kept.
    """
    from importlib.metadata import version

    release = version("quarterdeck")
    spec = SPECS[kind].model_validate(task["study"])
    settings = DatabaseSettings.model_validate(task["database"])
    tell(0.0, "opening the database")
    # Before the work, so that nobody waits for a result that cannot be kept.
    asyncio.run(_opened(settings, home))
    tell(0.0, "reading candles")
    registry = StrategyRegistry(home / "strategies")
    run = spec.run
    loaded = registry.load_file(Path(run.strategy_file)) if run.strategy_file else registry.get(run.strategy)
    sets = _all_sets(spec, loaded)
    bench = make_bench(run, loaded, CandleStore(home / "candles"), sets, deep=kind == "walk_forward")
    bench = with_road(bench, loaded, spec.road)
    digest = study_hash(spec, loaded.source_hash, data_hash(bench.bars), release)
    reach = {"start": int(bench.bars.ts[bench.begin]), "end": int(bench.bars.ts[-1]) + _length(run)}
    fixed = {
        "study_hash": digest,
        "kind": kind,
        "strategy": run.strategy,
        "title": f"{run.strategy} {run.symbol} {run.timeframe}"[:128],
        "spec": spec.model_dump(mode="json"),
    }
    keeper = _Keeper(settings, home, fixed, lambda result: {**reach, **summary_of(spec, result)})
    tell(0.0, "starting")
    with place_for(spec.cluster, spec.workers, release, bench.road) as place:
        result = _work(
            spec, bench, loaded, place, digest, tell, lambda result: keeper.save(_whole(spec, bench, result))
        )
    tell(1.0, "storing")
    result = _whole(spec, bench, result)
    keeper.write(result, complete=True)
    summary = summary_of(spec, result)
    return str(keeper.key), words_of(spec, summary), {"hash": digest, **summary}


async def _opened(settings: DatabaseSettings, home: Path) -> None:
    async with Database(settings, home):
        pass


def _length(run: BacktestSpec) -> int:
    return CandleSet.of(run.venue, run.symbol, run.timeframe).length


def _all_sets(spec: Spec, loaded: LoadedStrategy) -> Sequence[Mapping[str, Value]]:
    """Sets from whose slowest the warm-up is measured."""
    if isinstance(spec, SweepSpec):
        return sets_of(spec, loaded)[1].sets
    ranges = ranges_for(loaded.cls, spec.ranges)
    drawn = draw_sets(loaded.cls, spec.run.params, ranges, WARM_UP_SETS, spec.seed).sets
    # The slowest averages lie at the ends of the ranges.
    ends = [{**drawn[0], **{one.name: one.at(1.0 - 1e-9) for one in ranges}}]
    return [*drawn, *(params for params in ends if not refusal(loaded.cls, spec.run.params, params))]


def _work(
    spec: Spec,
    bench: Bench,
    loaded: LoadedStrategy,
    place: Place,
    key: str,
    tell: Tell,
    save: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    if isinstance(spec, SweepSpec):
        return run_sweep(spec, bench, loaded, place, key, tell, save)
    if isinstance(spec, OptimiseSpec):
        return run_optimise(spec, bench, loaded, place, key, tell, save)
    return run_walk_forward(spec, bench, loaded, place, key, tell, save)


# --- what is told of a result ----------------------------------------------------------------------------------------


def _whole(spec: StudySpec, bench: Bench, result: dict[str, Any]) -> dict[str, Any]:
    """The result with everything that its reader must know."""
    few = sum(row["few"] for row in result.get("rows", ()))
    length = _length(spec.run)
    bars = bench.bars
    told = {
        "data": (
            f"{len(bars) - bench.begin:,} bars of {spec.run.venue} {spec.run.symbol} {spec.run.timeframe} from "
            f"{day(int(bars.ts[bench.begin]))} to {day(int(bars.ts[-1]) + length)} UTC."
        ),
        "road": f"{bench.road}: {bench.why}" if bench.why else bench.road,
        "place": result.get("place", ""),
        "fills": spec.run.fills,
        "fees": f"maker {spec.run.maker_fee:f}, taker {spec.run.taker_fee:f}",
        "seed": str(spec.seed),
    }
    if few:
        told["warning_few_trades"] = (
            f"{few:,} of {len(result['rows']):,} sets have fewer than {spec.min_trades} trades; they rank last."
        )
    return {**result, "assumptions": {**told, **result.get("assumptions", {})}}


def summary_of(spec: StudySpec, result: dict[str, Any]) -> dict[str, Any]:
    """What a list shows of a result."""
    rows, objective = result.get("rows", []), spec.objectives[0]
    summary: dict[str, Any] = {
        "objective": objective,
        "tried": result.get("tried", len(rows)),
        "sets": result.get("sets", len(rows)),
    }
    if rows and not rows[0]["few"]:
        best = rows[0]
        summary["best"] = best["figures"][result["figures"].index(objective)]
        summary["best_params"] = dict(zip(result["params"], best["params"], strict=True))
    if result.get("stable") is not None:
        stable = rows[result["stable"]]
        summary["stable"] = stable["region"]
        summary["stable_params"] = dict(zip(result["params"], stable["params"], strict=True))
    return {**summary, **result.get("summary", {})}


def words_of(spec: StudySpec, summary: dict[str, Any]) -> str:
    """The outcome in a sentence."""
    best, objective = summary.get("best"), spec.objectives[0].replace("_", " ")
    words = f"{summary['tried']:,} {'windows' if isinstance(spec, WalkForwardSpec) else 'sets'}"
    if best is None:
        return f"{words}, none of which has enough trades and a figure"
    given = " ".join(f"{name}={value}" for name, value in summary.get("best_params", {}).items())
    return f"{words}, best {objective} {best:.3g} at {given}" if given else f"{words}, {objective} {best:.3g}"

"""From a specification to everything a run reads: the strategy, the stored bars, the instrument, and the run's hash."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from engine.backtest.instruments import instrument_for
from engine.backtest.report import describe_assumptions
from engine.backtest.run import run_backtest
from engine.backtest.spec import data_hash, run_hash
from engine.errors import DataError, NotFoundError
from engine.model.watched import beside
from engine.strategy.runner import StrategyRunner
from storage.candle_sets import CandleSet

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.backtest.run import BacktestResult, Progress
    from engine.backtest.spec import BacktestSpec
    from engine.model.candle import Bars
    from engine.model.instrument import Instrument
    from engine.strategy.contract import Strategy
    from engine.strategy.loader import LoadedStrategy, StrategyRegistry
    from storage.candles import CandleStore

__all__ = ["PreparedRun", "prepare_run", "utc_text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRun:
    """What a run reads."""

    spec: BacktestSpec
    """With the strategy's own name and every parameter written out."""
    loaded: LoadedStrategy
    strategy: Strategy
    key: CandleSet
    instrument: Instrument
    bars: Bars
    history: Bars
    """Bars before the first one, for the warm-up; may be none."""
    run_hash: str
    release: str

    @property
    def first(self) -> int:
        """Open of the first bar, UTC nanoseconds."""
        return int(self.bars.ts[0])

    @property
    def last(self) -> int:
        """End of the last bar, UTC nanoseconds."""
        return int(self.bars.ts[-1]) + self.key.length

    def execute(self, progress: Progress | None = None) -> BacktestResult:
        """Run it; raises as `run_backtest` or `run_kernel`, by the specification's road.

        The strategy is built anew, so that a second run begins like the first.
        """
        strategy = self.loaded.build(self.spec.params)
        if self.spec.road == "kernel":
            from engine.backtest.kernel import run_kernel

            return run_kernel(self.spec, strategy, self.instrument, self.bars, history=self.history)
        return run_backtest(self.spec, strategy, self.instrument, self.bars, progress, history=self.history)

    def assumptions(self, result: BacktestResult) -> dict[str, str]:
        """Everything that a reader of the result must know."""
        told = describe_assumptions(self.spec, self.instrument, self.bars, result, history=len(self.history))
        return told | self._watched()

    def _watched(self) -> dict[str, str]:
        """What it saw of other markets."""
        wanted = [symbol for symbol in self.strategy.watches() if symbol != self.key.symbol]
        if not wanted:
            return {}
        missing = [symbol for symbol in wanted if symbol not in self.bars.others]
        seen = ", ".join(self.bars.others) or "none"
        unknown = f" Not stored here, and so unknown to it: {', '.join(missing)}." if missing else ""
        text = f"Other markets that it looks at: {seen}, each with the bar before the present one.{unknown}"
        return {"watched": text, **({"warning_watched": unknown.strip()} if missing else {})}


def prepare_run(spec: BacktestSpec, store: CandleStore, registry: StrategyRegistry, release: str) -> PreparedRun:
    """Find and check everything that a specification names.

    Raises:
        NotFoundError: There is no such strategy, or no candles of that market; the message names what comes near.
        StrategyLoadError, ConfigurationError: The strategy or its parameters cannot be used.
        DataError: There are no bars in the range (the message says what there is), or too few for the warm-up.
    """
    loaded = registry.load_file(Path(spec.strategy_file)) if spec.strategy_file else registry.get(spec.strategy)
    strategy = loaded.build(spec.params)
    key = CandleSet.of(spec.venue, spec.symbol, spec.timeframe)
    runner = StrategyRunner(strategy, key.instrument, timeframe=key.timeframe)
    bars = store.read(key, spec.start, spec.end)
    if not len(bars):
        raise _nothing_there(spec, key, store)
    first = int(bars.ts[0])
    # Twice as far back as needed, because bars may be missing.
    history = store.read(key, first - 2 * runner.history * key.length, first)
    history = history.slice(max(0, len(history) - runner.history), len(history))
    others = watched_bars(store, key, strategy.watches(), int(history.ts[0]) if len(history) else first, spec.end)
    bars, history = beside(bars, others), beside(history, others)
    if len(history) + len(bars) < runner.warmup:
        raise DataError(
            f"The strategy {loaded.name} needs {runner.warmup:,} bars before it decides; up to the end of the range "
            f"there are only {len(history) + len(bars):,} of {key.words}. Choose a longer range or shorter averages."
        )
    whole = _written_out(spec, loaded, strategy, key)
    return PreparedRun(
        spec=whole,
        loaded=loaded,
        strategy=strategy,
        key=key,
        instrument=instrument_for(whole, key, bars),
        bars=bars,
        history=history,
        run_hash=run_hash(whole, loaded.source_hash, data_hash(history, bars), release),
        release=release,
    )


def watched_bars(
    store: CandleStore, key: CandleSet, symbols: Sequence[str], start: int, end: int | None
) -> dict[str, Bars]:
    """Bars of the other markets that a strategy looks at; those that are not stored are left out.

    Args:
        store: Where candles are.
        key: The market that is traded.
        symbols: The others.
        start: UTC nanoseconds of the first bar of the traded one.
        end: As the specification says.
    """
    found = {}
    for symbol in symbols:
        other = CandleSet.of(key.venue, symbol, key.timeframe)
        if other.symbol != key.symbol:
            with suppress(NotFoundError):
                # One bar earlier, because the bar before the first is what its row sees.
                found[symbol] = store.read(other, start - key.length, end)
    return found


def _written_out(spec: BacktestSpec, loaded: LoadedStrategy, strategy: Strategy, key: CandleSet) -> BacktestSpec:
    """The specification with names normalised and defaults filled in, so that equal runs have equal hashes."""
    return spec.model_copy(
        update={
            "strategy": loaded.name,
            "strategy_file": loaded.path if loaded.origin == "file" else None,
            "params": strategy.params.model_dump(),
            "venue": key.venue.lower(),
            "symbol": key.symbol,
            "capital": Decimal(f"{spec.capital.normalize():f}"),
        }
    )


def utc_text(ns: int) -> str:
    """A time in words, to the minute."""
    return f"{datetime.fromtimestamp(ns // 10**9, UTC):%Y-%m-%d %H:%M} UTC"


def _nothing_there(spec: BacktestSpec, key: CandleSet, store: CandleStore) -> DataError:
    found = store.get(key)
    asked = " ".join(
        part
        for part in (
            f"from {utc_text(spec.start)}" if spec.start is not None else "",
            f"before {utc_text(spec.end)}" if spec.end is not None else "",
        )
        if part
    )
    return DataError(
        f"There are no candles of {key.words} {asked}; stored are {found.rows:,} from {utc_text(found.start)} to "
        f"{utc_text(found.end)}. Choose a range within them.",
        details={"start": found.start, "end": found.end},
    )

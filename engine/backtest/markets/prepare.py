"""From a specification of several markets to everything that a run reads, and the run's identity."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engine.backtest.markets.funding import check_funding
from engine.backtest.markets.reading import read_funding, read_tape
from engine.backtest.markets.report import describe_markets
from engine.backtest.markets.run import run_markets
from engine.backtest.markets.tapes import QuoteTape
from engine.backtest.spec import run_hash
from engine.errors import ConfigurationError

if TYPE_CHECKING:
    from engine.backtest.markets.spec import MarketsSpec
    from engine.backtest.markets.tapes import Tape
    from engine.backtest.run import BacktestResult, Progress
    from engine.model.instrument import Instrument
    from engine.strategy.loader import LoadedStrategy, StrategyRegistry
    from storage.candles import CandleStore

__all__ = ["PreparedMarkets", "prepare_markets"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedMarkets:
    """What a run over several markets reads."""

    spec: MarketsSpec
    loaded: LoadedStrategy
    tapes: list[Tape]
    run_hash: str
    release: str

    @property
    def instrument(self) -> Instrument:
        """That of the first market."""
        return self.tapes[0].instrument

    @property
    def first(self) -> int:
        """UTC nanoseconds of the first event."""
        return min(int(tape.ts[0]) for tape in self.tapes)

    @property
    def last(self) -> int:
        """UTC nanoseconds of the last event."""
        return max(int(tape.ts[-1]) for tape in self.tapes)

    def execute(self, progress: Progress | None = None) -> BacktestResult:
        """Run it; raises as `run_markets`."""
        return run_markets(self.spec, self.loaded.build_event(self.spec.params), self.tapes, progress)

    def assumptions(self, result: BacktestResult) -> dict[str, str]:
        """Everything that a reader of the result must know."""
        return describe_markets(self.spec, self.tapes, result)


def prepare_markets(spec: MarketsSpec, store: CandleStore, registry: StrategyRegistry, release: str) -> PreparedMarkets:
    """Find and check everything that a specification names.

    Raises:
        NotFoundError: There is no such strategy, or no candles of a market.
        StrategyLoadError, ConfigurationError: The strategy or its parameters cannot be used, it needs more markets,
            or funding rates are given for what is no linear perpetual.
        DataError: A file cannot be read, or has nothing in the range.
    """
    loaded = registry.load_file(Path(spec.strategy_file)) if spec.strategy_file else registry.get(spec.strategy)
    strategy = loaded.build_event(spec.params)
    if len(spec.markets) < strategy.min_markets:
        raise ConfigurationError(
            f"The strategy {loaded.name} needs {strategy.min_markets} markets; name each by --market."
        )
    tapes = [read_tape(source, spec, store) for source in spec.markets]
    names = [str(tape.id) for tape in tapes]
    if len(set(names)) < len(names):
        raise ConfigurationError(f"Each market is named once; named were {', '.join(names)}.")
    check_funding(spec, tapes)
    whole = spec.model_copy(
        update={
            "strategy": loaded.name,
            "strategy_file": loaded.path if loaded.origin == "file" else None,
            "params": {k: v for k, v in strategy.params.model_dump(mode="json").items() if v is not None},
        }
    )
    return PreparedMarkets(
        spec=whole,
        loaded=loaded,
        tapes=tapes,
        run_hash=run_hash(_placeless(whole), loaded.source_hash, markets_hash(whole, tapes), release),
        release=release,
    )


def _placeless(spec: MarketsSpec) -> MarketsSpec:
    """The specification without the places of its files: what is in them is part of the data."""
    bare = tuple(source.model_copy(update=dict.fromkeys(("quotes", "recording", "funding"))) for source in spec.markets)
    return spec.model_copy(update={"markets": bare})


def markets_hash(spec: MarketsSpec, tapes: list[Tape]) -> str:
    """Digest of the very data a run reads: what happened in each market, and the times and rates of its funding.

    Raises:
        DataError: A file of funding rates cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    for tape in tapes:
        digest.update(f"{tape.id} {len(tape)}".encode())
        digest.update(tape.ts.tobytes())
        if isinstance(tape, QuoteTape):
            for column in (tape.bid, tape.ask, tape.bid_size, tape.ask_size):
                digest.update(column.tobytes())
        else:
            digest.update(tape.digest.encode())
    for tape, source in zip(tapes, spec.markets, strict=True):
        if source.funding is not None:
            times, rates = read_funding(Path(source.funding))
            digest.update(f"funding {tape.id} {len(times)}".encode())
            digest.update(times.tobytes())
            digest.update(rates.tobytes())
    return digest.hexdigest()

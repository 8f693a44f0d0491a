"""A strategy's check from what is asked to what is said: the histories that it runs on, and the report of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from engine.model.candle import Bars
    from engine.strategy.conformance import CheckResult
    from engine.strategy.loader import LoadedStrategy
    from storage.candle_sets import StoredSet
    from storage.candles import CandleStore

__all__ = ["check_strategy", "histories", "stored_choice"]

MOST_STORED = 2
"""Stored sets that are taken where nobody names one."""
SEED = 7


def stored_choice(
    store: CandleStore, timeframe: str, least: int, venue: str | None, symbol: str | None
) -> list[StoredSet]:
    """The stored sets to check on: those that are named, else the longest ones of the timeframe.

    Raises:
        DataError: What is named is not stored, or too short.
    """
    sets = [stored for stored in store.all() if stored.key.timeframe == timeframe]
    if venue is None and symbol is None:
        long_enough = [stored for stored in sets if stored.rows >= least]
        return sorted(long_enough, key=lambda stored: (-stored.rows, stored.key))[:MOST_STORED]
    found = [
        stored
        for stored in sets
        if (venue is None or stored.key.venue == venue.upper()) and (symbol is None or stored.key.symbol == symbol)
    ]
    if not found or max(stored.rows for stored in found) < least:
        named = " ".join(part for part in (venue, symbol, timeframe) if part)
        raise DataError(
            f"Of {named} fewer than {least} bars are stored; `quarterdeck data list` shows what is, `quarterdeck data "
            "import` and `data download` bring more."
        )
    return sorted(found, key=lambda stored: (-stored.rows, stored.key))[:MOST_STORED]


def histories(store: CandleStore, sets: list[StoredSet], timeframe: str, count: int) -> dict[str, Bars]:
    """A made-up market with gaps, and the newest bars of stored ones, by a name for a person."""
    from engine.strategy.practice import walk_bars

    found = {"made-up market": walk_bars(SEED, count, timeframe, gaps=0.01)}
    for stored in sets:
        bars = store.read(stored.key, stored.end - 2 * count * stored.key.length, None)
        found[stored.key.words] = bars.slice(max(len(bars) - count, 0), len(bars))
    return found


def check_strategy(home: Path, task: dict[str, Any], tell: Callable[[float, str], None]) -> dict[str, Any]:
    """Check a strategy as a job's task says; blocks for as long as it takes.

    Raises:
        StrategyLoadError, NotFoundError, ConfigurationError: The strategy or its parameters cannot be used.
        DataError: Named candles are not there.
    """
    from engine.strategy.conformance import run_checks
    from engine.strategy.loader import StrategyRegistry
    from storage.candles import CandleStore

    loaded = StrategyRegistry(home / "strategies").get(task["strategy"])
    if loaded.on_events:
        from engine.strategy.event_conformance import TICKS, run_event_checks

        loaded.build_event(task["params"])
        results = run_event_checks(loaded, task["params"], tell)
        return _report(loaded, loaded.cls.timeframe, {"made-up books": TICKS}, results)
    strategy = loaded.build(task["params"])
    timeframe = task["timeframe"] or loaded.cls.timeframe
    least, store = strategy.warmup(timeframe) + 50, CandleStore(home / "candles")
    sets = stored_choice(store, timeframe, least, task["venue"], task["symbol"])
    found = histories(store, sets, timeframe, max(task["bars"], 2 * least))
    results = run_checks(loaded, found, task["params"], tell)
    return _report(loaded, timeframe, {name: len(bars) for name, bars in found.items()}, results)


def _report(loaded: LoadedStrategy, timeframe: str, ran: dict[str, int], results: list[CheckResult]) -> dict[str, Any]:
    import msgspec

    failed = sum(result.state == "failed" for result in results)
    return {
        "strategy": loaded.name,
        "version": loaded.version,
        "file": loaded.path,
        "source_hash": loaded.source_hash,
        "timeframe": timeframe,
        "histories": ran,
        "checks": msgspec.to_builtins(results),
        "failed": failed,
        "passed": not failed,
    }

"""Analyses as a worker does them: it reads stored runs, repeats what must be repeated, and stores what was found."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from engine.clock import SystemClock
from engine.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from engine.backtest.prepare import PreparedRun
    from engine.backtest.run import BacktestResult
    from engine.control.analysis_store import StoredRun
    from storage.settings import DatabaseSettings

    Tell = Callable[[float, str], None]

__all__ = ["ANALYSES", "Bench", "Finding", "analyse", "repeat"]


class Bench:
    """What an analysis works with.

    Args:
        home: The home folder.
        database: The report database.
        tell: Hears the share done and what is done.
    """

    def __init__(self, home: Path, database: DatabaseSettings, tell: Tell) -> None:
        self.home, self.database, self.tell = home, database, tell

    def runs(self, names: Sequence[str]) -> list[StoredRun]:
        """Stored runs by their ids."""
        from engine.control.analysis_store import load_runs
        from storage.database import Database

        async def read() -> list[StoredRun]:
            async with Database(self.database, self.home) as opened:
                return await load_runs(opened, names)

        return asyncio.run(read())

    def prepare(self, run: StoredRun) -> PreparedRun:
        """Everything that a stored run read, read again."""
        from importlib.metadata import version

        from engine.backtest.prepare import prepare_run
        from engine.backtest.spec import BacktestSpec
        from engine.strategy.loader import StrategyRegistry
        from storage.candles import CandleStore

        return prepare_run(
            BacktestSpec.model_validate(run.spec),
            CandleStore(self.home / "candles"),
            StrategyRegistry(self.home / "strategies"),
            version("quarterdeck"),
        )


class Finding:
    """What an analysis found: a title, a sentence, plain values, and the run that it is kept with."""

    def __init__(self, title: str, words: str, result: dict[str, Any], run: str | None = None) -> None:
        self.title, self.words, self.result, self.run = title, words, result, run


def repeat(bench: Bench, run: StoredRun) -> tuple[PreparedRun, BacktestResult]:
    """Run a stored run again and see that the same came of it.

    Raises:
        DataError: Candles, strategy or program have changed since, so that it cannot be repeated.
    """
    bench.tell(0.0, "repeating the run")
    prepared = bench.prepare(run)
    result = prepared.execute()
    same = (
        len(result.trades) == len(run.trades)
        and result.metrics.get("end_equity") == run.metrics.get("end_equity")
        and result.metrics.get("trades") == run.metrics.get("trades")
    )
    if not same:
        raise DataError(
            f"The run {run.id[:8]} cannot be repeated: {len(run.trades)} trades are stored and {len(result.trades)} "
            "come of it now. Its candles, its strategy or the program have changed since; run the backtest again and "
            "analyse the new run."
        )
    return prepared, result


def analyse(home: Path, task: dict[str, Any], tell: Tell) -> tuple[str, str, dict[str, Any]]:
    """Do the analysis of a task and store it.

    Args:
        home: The home folder.
        task: `analysis` names it, `request` is what was asked, `database` where the runs are.
        tell: Hears the share done.

    Returns:
        The id of the stored analysis, a sentence, and the key facts.
    """
    from engine.control.analysis_store import save_analysis
    from storage.database import Database
    from storage.settings import DatabaseSettings

    clock = SystemClock()
    began = clock.monotonic()
    settings = DatabaseSettings.model_validate(task["database"])
    kind, request = task["analysis"], task["request"]
    finding = ANALYSES[kind](Bench(home, settings, tell), request)
    seconds = round((clock.monotonic() - began) / 1e9, 3)
    tell(1.0, "storing")

    async def save() -> str:
        async with Database(settings, home) as opened:
            return await save_analysis(opened, kind, finding.title, finding.run, request, finding.result, seconds)

    return asyncio.run(save()), finding.words, {"kind": kind, "seconds": seconds}


# --- kinds -----------------------------------------------------------------------------------------------------------


def _monte_carlo(bench: Bench, request: dict[str, Any]) -> Finding:
    """Random paths of a stored run."""
    from engine.backtest.analysis.montecarlo import MonteCarloSettings, run_monte_carlo
    from engine.backtest.analysis.rerun import EventTraded

    (run,) = bench.runs([request["id"]])
    prepared, result = repeat(bench, run)
    settings = MonteCarloSettings.model_validate(
        {name: value for name, value in request.items() if name not in ("id", "sensitivity")}
    )
    found = run_monte_carlo(
        settings,
        result,
        prepared.bars,
        risk_free_rate=prepared.spec.risk_free_rate,
        drawdown_limit=prepared.spec.max_drawdown_limit,
        traded=EventTraded(prepared),
        progress=bench.tell,
    )
    first = next(iter(found["scenarios"].values()))
    loss, fall = first["probabilities"]["loss"], first["drawdown"]["quantiles"][-2][1]
    words = f"{settings.iterations:,} paths: {loss:.1%} lose, one in twenty falls by more than {fall:.1%}"
    return Finding(run.title, words, found, run.id)


ANALYSES: dict[str, Callable[[Bench, dict[str, Any]], Finding]] = {"montecarlo": _monte_carlo}
"""What can be analysed, by the name under which it is stored."""

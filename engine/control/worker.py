"""The process of one job: `python -m engine.control.worker KIND HOME PARENT`, as `engine.control.jobs` speaks with it.

It takes its task as JSON from standard input and answers with JSON lines on what was standard output; whatever else
prints goes to standard error. It yields the processor to the engine and dies with the process that started it.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import orjson

from engine.bots.isolation.owned import claim_output, die_with
from engine.clock import SystemClock
from engine.errors import QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.config import Settings
    from engine.control.backtesting import FinishedRun
    from storage.database import Database
    from storage.settings import DatabaseSettings

__all__ = ["KINDS", "Channel", "main", "settings_for_worker"]

NICE = 10
PROGRESS_NS = 100_000_000
"""Shortest time between two reports of progress."""

Outcome = tuple[str, str, dict[str, Any]]
"""Result, the sentence about it, and its report."""


class Channel:
    """What the worker says to the engine, a JSON object a line.

    Args:
        pipe: Where to; nobody else writes there.
    """

    def __init__(self, pipe: TextIO) -> None:
        self._pipe = pipe
        self._clock = SystemClock()
        self._last = -PROGRESS_NS
        self._message = ""

    def progress(self, share: float, message: str) -> None:
        """Tell the share done (0 to 1), at most ten times a second."""
        now = self._clock.monotonic()
        if now - self._last >= PROGRESS_NS:
            self._last = now
            self.say({"progress": round(share, 4), "message": message})

    def say(self, message: dict[str, Any]) -> None:
        """Send one message."""
        self._pipe.write(orjson.dumps(message, option=orjson.OPT_NON_STR_KEYS).decode() + "\n")
        self._pipe.flush()


# --- kinds -----------------------------------------------------------------------------------------------------------


def _backtest(home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Run a backtest on stored candles and store what came of it."""
    from importlib.metadata import version

    from engine.backtest.spec import BacktestSpec
    from engine.control.backtesting import execute
    from engine.strategy.loader import StrategyRegistry
    from storage.candles import CandleStore
    from storage.settings import DatabaseSettings

    database = DatabaseSettings.model_validate(task["database"])
    channel.progress(0.0, "opening the database")
    # Before the run, so that nobody waits for a result that cannot be kept.
    asyncio.run(_with_database(database, home, _nothing))
    clock = SystemClock()
    started = clock.now()
    run = execute(
        BacktestSpec.model_validate(task["spec"]),
        StrategyRegistry(home / "strategies"),
        CandleStore(home / "candles"),
        version("quarterdeck"),
        channel.progress,
    )
    finished = clock.now()
    channel.say({"progress": 1.0, "message": "storing"})
    run_id = asyncio.run(_with_database(database, home, lambda opened: _save(opened, run, started, finished)))
    return run_id, run.words, {**run.figures, "seconds": round((finished - started) / 1e9, 3)}


def _markets(home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Run a backtest over several markets and store what came of it."""
    from importlib.metadata import version

    from engine.backtest.markets.spec import MarketsSpec
    from engine.control.markets_run import execute_markets
    from engine.strategy.loader import StrategyRegistry
    from storage.candles import CandleStore
    from storage.settings import DatabaseSettings

    database = DatabaseSettings.model_validate(task["database"])
    channel.progress(0.0, "opening the database")
    asyncio.run(_with_database(database, home, _nothing))
    clock = SystemClock()
    started = clock.now()
    run = execute_markets(
        MarketsSpec.model_validate(task["spec"]),
        StrategyRegistry(home / "strategies"),
        CandleStore(home / "candles"),
        version("quarterdeck"),
        channel.progress,
    )
    finished = clock.now()
    channel.say({"progress": 1.0, "message": "storing"})
    run_id = asyncio.run(_with_database(database, home, lambda opened: _save(opened, run, started, finished)))
    return run_id, run.words, {**run.figures, "seconds": round((finished - started) / 1e9, 3)}


def _quotes(home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Try many figures of the quoting rule over a file of quotes."""
    from engine.control.quote_sweep import sweep
    from engine.strategy.loader import StrategyRegistry

    report = sweep(task, StrategyRegistry(home / "strategies"), channel.progress)
    best = report["rows"][0]
    return report["market"], f"{report['sets']:,} sets, best profit {best['profit']:,.2f}", report


async def _with_database(settings: DatabaseSettings, home: Path, work: Callable[[Database], Any]) -> Any:
    from storage.database import Database

    async with Database(settings, home) as database:
        return await work(database)


async def _nothing(_: Database) -> None:
    return None


async def _save(database: Database, run: FinishedRun, started: int, finished: int) -> str:
    from engine.control.backtest_store import save_run

    return await save_run(database, run, started, finished)


def _import(home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Check the candles of a file and store them."""
    import msgspec

    from storage.candle_import import import_candles
    from storage.candle_sets import CandleSet
    from storage.candles import CandleStore

    key = CandleSet.of(task["venue"], task["symbol"], task["timeframe"])
    channel.progress(0.0, "reading and checking")
    report = import_candles(CandleStore(home / "candles"), Path(task["file"]), key, replace=task["replace"])
    words = f"{report.bars:,} bars, {report.added:,} of them new"
    if report.replaced:
        words += f", {report.replaced:,} replaced"
    if report.missing:
        words += f"; {report.missing:,} bars are missing in {report.gaps:,} gaps"
    return key.words, words, msgspec.to_builtins(report)


def _backup(home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Copy the home folder and remove backups that are not kept any longer."""
    from importlib.metadata import version

    import msgspec

    from engine.config import load_settings
    from engine.control.backups import create_backup, prune

    settings = load_settings(home)
    candles = settings.backup.candles if task["candles"] is None else task["candles"]
    row = create_backup(
        home, settings, version("quarterdeck"), SystemClock().now(), candles=candles, progress=channel.progress
    )
    gone = prune(home, settings)
    words = f"{row.name}: {row.seq:,} facts, {row.bytes / 1e6:,.1f} MB"
    if gone:
        words += f"; {len(gone)} older ones removed"
    return row.name, words, {**msgspec.to_builtins(row), "removed": gone}


def _download(home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Fetch an exchange's candles that are not stored yet."""
    import msgspec

    from engine.config import load_settings
    from engine.control.downloads import download
    from storage.candle_sets import CandleSet

    key = CandleSet.of(task["venue"], task["symbol"], task["timeframe"])
    channel.progress(0.0, f"asking {key.venue}")
    report = asyncio.run(download(home, load_settings(home), key, task["start"], task["end"], channel.progress))
    words = f"{report.fetched:,} bars fetched, {report.known:,} were stored already"
    if report.missing:
        words += f"; {report.missing:,} bars are missing in {report.gaps:,} gaps, because {key.venue} has none there"
    return key.words, words, msgspec.to_builtins(report)


def _recording(home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Store the candles of a recorded market."""
    from engine.control.recording import store_candles

    channel.progress(0.0, "reading the recording")
    key, merged, bars = store_candles(home, task["id"], task["instrument"], task["timeframe"], replace=task["replace"])
    words = f"{bars:,} bars, {merged.added:,} of them new"
    return key.words, words, {"bars": bars, "added": merged.added, "identical": merged.identical}


def _study(kind: str, home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Work a study of many runs out and keep it, unfinished too."""
    from engine.control.study_work import run_study

    return run_study(home, kind, task, channel.progress)


def _analysis(home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Analyse stored runs, or a strategy."""
    from engine.control.analysis_jobs import analyse

    return analyse(home, task, channel.progress)


def _check(home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Check what every strategy must keep to."""
    from engine.control.strategy_checks import check_strategy

    report = check_strategy(home, task, channel.progress)
    count = len(report["checks"])
    words = f"all {count} checks passed" if report["passed"] else f"{report['failed']} of {count} checks failed"
    return report["strategy"], words, report


def _move(home: Path, task: dict[str, Any], channel: Channel) -> Outcome:
    """Take over another program's files."""
    from engine.control.moving.apply import move_in

    report = move_in(home, task, channel.progress)
    words = f"{len(report['taken'])} things taken over, {len(report['left'])} left"
    return task["program"], words, report


KINDS: dict[str, Callable[[Path, dict[str, Any], Channel], Outcome]] = {
    "analysis": _analysis,
    "backtest": _backtest,
    "markets": _markets,
    "quotes": _quotes,
    "import": _import,
    "backup": _backup,
    "download": _download,
    "recording": _recording,
    "check": _check,
    "move": _move,
    "sweep": partial(_study, "sweep"),
    "optimise": partial(_study, "optimise"),
    "walk_forward": partial(_study, "walk_forward"),
}
"""What a worker can do."""


def settings_for_worker(settings: Settings) -> dict[str, Any]:
    """What a worker needs of the settings, secrets included; for the pipe to it and nowhere else."""
    database = settings.database.model_dump(mode="json")
    if settings.database.postgresql_password is not None:
        database["postgresql_password"] = settings.database.postgresql_password.get_secret_value()
    return {"database": database, "logging": settings.logging.model_dump(mode="json")}


# --- the process -----------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str]) -> int:
    """Do one job and return the exit status: 0 also when the job failed and said why."""
    kind, home, parent = arguments[0], Path(arguments[1]), int(arguments[2])
    die_with(parent)
    os.nice(NICE)
    channel = Channel(io.TextIOWrapper(claim_output(), encoding="utf-8"))
    task = orjson.loads(sys.stdin.buffer.read())
    _keep_logs(home, task)
    from engine.logs import get_logger

    log = get_logger("worker")
    try:
        result, message, report = KINDS[kind](home, task, channel)
    except QuarterdeckError as error:
        log.warning("the job failed", job=kind, problem=error.message)
        channel.say({"error": error.message})
    except MemoryError:
        channel.say({"error": "There is not enough memory for this job; choose a shorter range or fewer bars."})
    except BaseException as error:
        # A strategy's own code runs here: it may raise anything, also what ends a process.
        log.exception("the job failed", job=kind)
        said = f"{type(error).__name__}: {error}".rstrip(": ").rstrip(".")
        channel.say({"error": f"The job failed with {said[:300]}. The log worker.log has the details."})
    else:
        channel.say({"result": result, "message": message, "report": report})
    return 0


def _keep_logs(home: Path, task: dict[str, Any]) -> None:
    from engine.config import LogSettings
    from engine.logs import configure_logs

    settings = LogSettings.model_validate(task.get("logging", {}))
    if settings.level == "INFO":
        # A simulated bot says in an hour what a real one says in years.
        settings = settings.model_copy(update={"level": "WARNING"})
    configure_logs(home / "logs", settings, SystemClock(), "worker")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

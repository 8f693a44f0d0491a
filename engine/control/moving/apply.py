"""Carries a plan of moving in out: candles into the store, strategies into the home's folder, each with its check."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engine.control.moving.candles import store_source
from engine.errors import ConfigurationError, QuarterdeckError, StrategyLoadError
from storage.candle_sets import CandleSet

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.control.moving.plan import CandleSource, MovePlan, StrategyDraft
    from storage.candles import CandleStore

__all__ = ["PROGRAMS", "move_in", "read_plan"]

PROGRAMS = ("freqtrade", "hummingbot", "jesse")
SHOWN = 500
"""Candle files that a report lists."""
CHECK_BARS = 800


def read_plan(program: str, path: Path, venue: str) -> MovePlan:
    """What another program's files hold.

    Raises:
        ConfigurationError: The program is not known.
        NotFoundError: There is nothing of it.
        DataError: A file cannot be read.
    """
    if program == "freqtrade":
        from engine.control.moving.freqtrade import read_freqtrade

        return read_freqtrade(path, venue)
    if program == "hummingbot":
        from engine.control.moving.hummingbot import read_hummingbot

        return read_hummingbot(path, venue)
    if program == "jesse":
        from engine.control.moving.jesse import read_jesse

        return read_jesse(path, venue)
    raise ConfigurationError(f"There is no import from {program!r}; there are {', '.join(PROGRAMS)}.")


def move_in(home: Path, task: dict[str, Any], tell: Callable[[float, str], None]) -> dict[str, Any]:
    """Read another program's files and, unless it is a dry run, take over what can be; blocks for as long as it takes.

    Args:
        home: Home folder.
        task: `program`, `path`, `venue`, `replace` and `dry_run`.
        tell: Hears the share done.

    Returns:
        The report: the plan in plain values, what was stored and written, and everything that was left.

    Raises:
        NotFoundError, DataError, ConfigurationError: As `read_plan`.
    """
    from storage.candles import CandleStore

    tell(0.0, "reading")
    plan = read_plan(task["program"], Path(task["path"]), task["venue"])
    stored: list[dict[str, Any]] = []
    written: list[str] = []
    if not task["dry_run"]:
        store = CandleStore(home / "candles")
        for number, source in enumerate(plan.candles):
            tell(number / max(len(plan.candles), 1), Path(source.file).name)
            row = _store(store, source, plan, replace=task["replace"])
            if row is not None:
                stored.append(row)
        written = [draft.name for draft in plan.strategies if _write(home / "strategies", draft, plan)]
    _check_drafts(plan)
    report: dict[str, Any] = msgspec.to_builtins(plan)
    for draft in report["strategies"]:
        draft.pop("source")
    report["candle_files"] = len(plan.candles)
    report["candles"] = report["candles"][:SHOWN]
    return report | {"dry_run": task["dry_run"], "stored": stored[:SHOWN], "written": written}


def _store(store: CandleStore, source: CandleSource, plan: MovePlan, *, replace: bool) -> dict[str, Any] | None:
    try:
        key = CandleSet.of(source.venue, source.symbol, source.timeframe)
        report = store_source(store, source, key, replace=replace)
    except QuarterdeckError as error:
        plan.leave("a file of candles", source.file, error.message, "Take it in with `quarterdeck data import`.")
        return None
    return {"set": key.words, "bars": report.bars, "added": report.added, "missing": report.missing}


def _write(folder: Path, draft: StrategyDraft, plan: MovePlan) -> bool:
    file = folder / f"{draft.name}.py"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(draft.source)
    except FileExistsError:
        if file.read_text(encoding="utf-8") == draft.source:
            return True
        todo = "Move that file away and import again, or compare them by hand."
        plan.leave(f"the strategy {draft.name}", str(file), "a file of that name is there and is kept", todo)
        return False
    return True


def _check_drafts(plan: MovePlan) -> None:
    """See that what was written keeps to what every strategy must keep to."""
    import tempfile

    from engine.strategy.conformance import run_checks
    from engine.strategy.loader import StrategyRegistry
    from engine.strategy.practice import walk_bars

    for draft in plan.strategies:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"{draft.name}.py"
            file.write_text(draft.source, encoding="utf-8")
            try:
                loaded = StrategyRegistry().load_file(file)
                failed = [
                    f"{result.check} {result.said}"
                    for result in run_checks(loaded, {"made-up market": walk_bars(7, CHECK_BARS, loaded.cls.timeframe)})
                    if result.state == "failed"
                ]
            except StrategyLoadError as error:
                failed = [error.message]
        for said in failed:
            todo = f"Correct the file, then `quarterdeck strategies check {draft.name}`."
            plan.leave(f"the strategy {draft.name}", draft.origin, said, todo)
        if not failed:
            plan.taken.append(f"The strategy {draft.name} passes every check of `quarterdeck strategies check`.")

"""Analyses as a worker does them: it reads stored runs, repeats what must be repeated, and stores what was found."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.clock import SystemClock
from engine.control.analysis_bench import Bench, contender
from engine.errors import ConflictError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.backtest.analysis.montecarlo import Traded
    from engine.backtest.outcome import BacktestResult
    from engine.backtest.prepare import PreparedRun
    from engine.control.analysis_bench import StoredRun, Tell

__all__ = ["ANALYSES", "Finding", "analyse", "repeat"]


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
    from engine.backtest.analysis.montecarlo import REPRICED, MonteCarloSettings, run_monte_carlo
    from engine.backtest.analysis.rerun import EventTraded, traded, with_params
    from engine.backtest.analysis.sensitivity import sensitivity

    (run,) = bench.runs([request["id"]])
    prepared, result = repeat(bench, run)
    settings = MonteCarloSettings.model_validate(
        {name: value for name, value in request.items() if name not in ("id", "sensitivity")}
    )
    trader: Traded = EventTraded(prepared)
    compiled, road = False, ""
    if settings.method in REPRICED:
        bench.tell(0.0, "loading the compiled road; the very first time it is compiled")
        trader, compiled, road = traded(prepared)
    share = 0.9 if request["sensitivity"] else 1.0
    found = run_monte_carlo(
        settings,
        result,
        prepared.bars,
        risk_free_rate=prepared.spec.risk_free_rate,
        drawdown_limit=prepared.spec.max_drawdown_limit,
        traded=trader,
        # Below a hundred ticks a price could not move by a per cent.
        least_price=100.0 * float(prepared.instrument.current_rules.price_tick),
        progress=lambda done, words: bench.tell(share * done, words),
    )
    if road:
        found["assumptions"]["road"] = road
    if request["sensitivity"]:
        found["sensitivity"] = sensitivity(
            prepared.spec.params,
            result.metrics,
            with_params(prepared, compiled=compiled),
            lambda done: bench.tell(share + (1.0 - share) * done, "varying parameters"),
        )
    first = next(iter(found["scenarios"].values()))
    loss, fall = first["probabilities"]["loss"], first["drawdown"]["quantiles"][-2][1]
    words = f"{settings.iterations:,} paths: {loss:.1%} lose, one in twenty falls by more than {fall:.1%}"
    return Finding(run.title, words, found, run.id)


def _significance(bench: Bench, request: dict[str, Any]) -> Finding:
    """A stored run against chance: how far its Sharpe ratio can be trusted, and random entries."""
    from engine.backtest.analysis.chance import significance

    (run,) = bench.runs([request["id"]])
    prepared, result = repeat(bench, run)
    bench.tell(0.5, "entering at random")
    ratios = bench.other_ratios(run)
    found = significance(
        prepared, result, ratios, trials=request["trials"], iterations=request["iterations"], seed=request["seed"]
    )
    return Finding(run.title, found["verdict"], found, run.id)


def _overfitting(bench: Bench, request: dict[str, Any]) -> Finding:
    """Cross-validate the choice of the best of several stored runs."""
    from engine.backtest.analysis.chance import choice_among

    runs = bench.runs(request["ids"])
    bench.tell(0.2, "cross-validating")
    found = choice_among([contender(run) for run in runs], request["blocks"])
    return Finding(f"{len(runs)} runs", found["verdict"], found, runs[0].id)


def _comparison(bench: Bench, request: dict[str, Any]) -> Finding:
    """Stored runs side by side."""
    from engine.backtest.analysis.compare import compare

    runs = bench.runs(request["ids"])
    contenders = []
    for done, run in enumerate(runs):
        bench.tell(0.8 * done / len(runs), f"reading {run.id[:8]}")
        contenders.append(contender(run, bench.regime_profits(run)))
    rates = [float(run.spec.get("risk_free_rate", 0.02)) for run in runs]
    found = compare(contenders, capital=request["capital"], risk_free_rate=max(rates), weights=request["weights"])
    return Finding(f"{len(runs)} runs", found["recommendation"]["choice"], found, runs[0].id)


def _look_ahead(bench: Bench, request: dict[str, Any]) -> Finding:
    """Whether a strategy sees the future."""
    from engine.backtest.analysis.lookahead import look_ahead

    probe, bars, title = bench.probe(request)
    found = look_ahead(
        probe, bars, cuts=request["cuts"], seed=request["seed"], progress=lambda share: bench.tell(share, "cutting")
    )
    words = f"{len(found['findings'])} biases found" if found["biased"] else "no look-ahead bias found"
    return Finding(title, words, found)


def _recursive(bench: Bench, request: dict[str, Any]) -> Finding:
    """How much a strategy depends on the amount of history."""
    from engine.backtest.analysis.warmup import warm_up_check

    probe, bars, title = bench.probe(request)
    found = warm_up_check(
        probe, bars, places=request["cuts"], seed=request["seed"], progress=lambda share: bench.tell(share, "looking")
    )
    words = "the warm-up suffices" if found["sufficient"] else f"{len(found['findings'])} dependences found"
    return Finding(title, words, found)


def _tear_sheet(bench: Bench, request: dict[str, Any]) -> Finding:
    """Everything about a stored run on one sheet, from what is stored."""
    from engine.backtest.analysis.tearsheet import tear_sheet

    (run,) = bench.runs([request["id"]])
    bench.tell(0.1, "reading candles")
    record, facts = bench.record(run)
    bench.tell(0.6, "computing")
    found = {**facts, **tear_sheet(record)}
    words = run.title
    if request["file"] is not None:
        from engine.backtest.analysis.html import html_page

        page = html_page(found | bench.latest(run, ("montecarlo", "significance")))
        _write(Path(request["file"]), page, overwrite=request["overwrite"])
        words = f"{words}: the page is in {request['file']}"
    return Finding(run.title, words, found, run.id)


def _parity(bench: Bench, request: dict[str, Any]) -> Finding:
    """What a bot did, beside a backtest of the same time."""
    from importlib.metadata import version

    from engine.config import load_settings
    from engine.control.parity import parity_report
    from storage.candles import CandleStore

    store, release = CandleStore(bench.home / "candles"), version("quarterdeck")
    title, words, report = parity_report(bench.home, load_settings(bench.home), store, release, request, bench.tell)
    return Finding(title, words, report)


def _write(file: Path, text: str, *, overwrite: bool) -> None:
    try:
        with file.open("w" if overwrite else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise ConflictError(f"The file {file} exists; choose another name, or let it be overwritten.") from None
    except OSError as error:
        raise DataError(f"The file {file} cannot be written: {error.strerror}. Check the folder.") from error


ANALYSES: dict[str, Callable[[Bench, dict[str, Any]], Finding]] = {
    "comparison": _comparison,
    "lookahead": _look_ahead,
    "montecarlo": _monte_carlo,
    "overfitting": _overfitting,
    "parity": _parity,
    "recursive": _recursive,
    "significance": _significance,
    "tearsheet": _tear_sheet,
}
"""What can be analysed, by the name under which it is stored."""

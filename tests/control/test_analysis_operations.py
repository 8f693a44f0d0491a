"""Analyses of stored runs: begun as jobs, done by a worker, kept with the run, printed, and deleted with it."""

from __future__ import annotations

import asyncio
import csv
import json
import re
import shutil
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import parquet

from console.analysis_words import (
    say_comparison,
    say_look_ahead,
    say_monte_carlo,
    say_overfitting,
    say_recursive,
    say_significance,
    share,
)
from console.sheet_words import say_sheet
from engine.clock import SystemClock
from engine.control.analysis_bench import Bench
from engine.control.analysis_jobs import ANALYSES, analyse
from engine.control.backtest_store import save_run
from engine.control.backtesting import execute, make_spec
from engine.control.offline import offline
from engine.control.requests_research import RunBacktest
from engine.control.worker import settings_for_worker
from engine.errors import ConflictError, DataError, NotFoundError, QuarterdeckError, ValidationError
from engine.model.limits import RiskLimits
from engine.strategy.loader import StrategyRegistry
from storage.candle_sets import CandleSet
from storage.candles import CandleStore
from storage.settings import DatabaseSettings
from tests.kit.candles import walk_bars

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.control.backtesting import FinishedRun
    from engine.control.offline import Offline
    from engine.control.views_analyses import AnalysisView

KEY = CandleSet.of("binance", "BTC/USDT", "1h")
MARKET: dict[str, Any] = {"venue": "binance", "symbol": "BTC/USDT", "timeframe": "1h"}
FAST: dict[str, Any] = {"volume_factor": 0.2, "rsi_long": 50.0, "slow_ma": 30}
RUNS: tuple[dict[str, Any], ...] = (
    {"strategy": "trend_following", "params": FAST},
    {"strategy": "trend_following", "params": {**FAST, "fast_ma": 10}},
    {"strategy": "mean_reversion", "params": {"confirm": False, "volume_factor": 0.1}},
)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with candles."""
    home = tmp_path_factory.mktemp("stored")
    CandleStore(home / "candles").merge(KEY, walk_bars(4, 2_000, "1h"))
    return home


@pytest.fixture(scope="module")
def finished(stored: Path) -> list[FinishedRun]:
    """Runs, made in this process."""
    registry, candles = StrategyRegistry(stored / "strategies"), CandleStore(stored / "candles")
    specs = [
        make_spec(RunBacktest(**asked, **MARKET), registry.get(str(asked["strategy"])), RiskLimits()) for asked in RUNS
    ]
    return [execute(spec, registry, candles, "2.0.0", lambda *_: None) for spec in specs]


@pytest.fixture
def home(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "home"))


@asynccontextmanager
async def commands(home: Path, runs: list[FinishedRun]) -> AsyncIterator[tuple[Offline, list[str]]]:
    """The door, and the ids of these runs stored behind it."""
    async with offline(home) as door:
        keys = []
        for number, run in enumerate(runs):
            now = SystemClock().now() + number

            async def work(database: Any, run: FinishedRun = run, now: int = now) -> str:
                return await save_run(database, run, now, now + 1_000_000)

            keys.append(await door.context.need_reports().run(work))
        yield door, keys


async def found_by(door: Offline, home: Path, kind: str, **request: Any) -> AnalysisView:
    """An analysis done as the worker does it, in this process."""
    task = {"analysis": kind, "request": request, **settings_for_worker(door.context.settings)}
    key, words, report = await asyncio.to_thread(analyse, home, task, lambda *_: None)
    assert words
    assert report["kind"] == kind
    view: AnalysisView = await door.call("backtests.analysis", {"id": key})
    return view


SIGNIFICANCE = {"trials": None, "iterations": 100, "seed": 1}
CHECK = {**MARKET, "strategy_file": None, "params": {}, "start": None, "end": None, "cuts": 3, "seed": 1}
PATHS = {
    "method": "returns", "iterations": 50, "seed": 1, "levels": [0.95], "scenarios": ["normal", "stress"],
    "block": None, "noise": 0.25, "sensitivity": False,
}  # fmt: skip


async def test_a_comparison_is_a_job_whose_finding_is_kept(home: Path, finished: list[FinishedRun]) -> None:
    async with commands(home, finished) as (door, keys):
        job = await door.call("backtests.compare", {"ids": [key[:8] for key in keys], "weights": "equal"})
        row = await door.call("jobs.get", {"id": job.id, "wait": 120})
        assert row.state == "done", row.message
        view = await door.call("backtests.analysis", {"id": row.result[:8]})
        assert (view.row.kind, view.row.run) == ("comparison", keys[0])
        assert [run["id"] for run in view.result["runs"]] == keys
        assert view.result["portfolios"]["equal"]["weights"] == pytest.approx([1 / 3] * 3)
        assert sum(view.result["attribution"]["by_regime"].values()) == pytest.approx(
            sum(float(trade.pnl) for run in finished for trade in run.result.trades)
        )


async def test_every_kind_finds_something_and_says_it(
    home: Path, finished: list[FinishedRun], capsys: pytest.CaptureFixture[str]
) -> None:
    async with commands(home, finished) as (door, keys):
        paths = await found_by(door, home, "montecarlo", id=keys[0], **PATHS)
        say_monte_carlo(paths)
        chance = await found_by(door, home, "significance", id=keys[0], **SIGNIFICANCE)
        assert chance.result["sharpe"]["trials"] == 2
        say_significance(chance)
        say_overfitting(await found_by(door, home, "overfitting", ids=keys, blocks=4))
        say_comparison(await found_by(door, home, "comparison", ids=keys, weights=None, capital=1000.0))
        say_look_ahead(await found_by(door, home, "lookahead", strategy="trend_following", **CHECK))
        say_recursive(await found_by(door, home, "recursive", strategy="trend_following", **CHECK))
        sheet = await found_by(door, home, "tearsheet", id=keys[0], file=None, overwrite=False)
        say_sheet(sheet, 2)
        text = capsys.readouterr().out
        for words in ("Stress", "random traders", "probability of overfitting", "Portfolios", "No bias found",
                      "The warm-up suffices", "Returns by month", "By exit reason", "Trades (the last 2"):  # fmt: skip
            assert words in text
        rows = await door.call("backtests.analyses", {})
        # The parity of a session with its replay needs a recording, and has tests of its own.
        assert {row.kind for row in rows} == set(ANALYSES) - {"parity"}
        assert [row.kind for row in await door.call("backtests.analyses", {"id": keys[0], "kind": "montecarlo"})] == [
            "montecarlo"
        ]
        # Asked again with the same, it takes the place of the first.
        again = await found_by(door, home, "montecarlo", id=keys[0], **PATHS)
        assert again.result == paths.result
        assert len(await door.call("backtests.analyses", {"kind": "montecarlo"})) == 1
        await door.call("backtests.delete", {"id": keys[0]})
        assert {row.kind for row in await door.call("backtests.analyses", {})} == {"lookahead", "recursive"}


async def test_the_sheet_adds_up_to_the_run(home: Path, finished: list[FinishedRun]) -> None:
    async with commands(home, finished) as (door, keys):
        sheet = (await found_by(door, home, "tearsheet", id=keys[0], file=None, overwrite=False)).result
        result = finished[0].result
        assert sheet["metrics"]["sharpe"] == result.metrics["sharpe"]
        assert sheet["relative"]["beta"] == pytest.approx(result.metrics["beta"], abs=1e-6)
        whole = 1.0
        for month in sheet["months"]:
            whole *= 1.0 + month["return"]
        assert whole - 1.0 == pytest.approx(result.metrics["total_return"], abs=1e-9)
        # The sheet's falls are those of daily values, the run's that of every bar.
        depth = result.metrics["max_drawdown"]
        assert depth is not None
        assert 0 < sheet["drawdowns"][0]["depth"] <= depth
        assert min(sheet["curve"]["drawdown"]) == pytest.approx(-depth, abs=1e-9)
        assert len(sheet["trades"]) == len(result.trades)
        assert sheet["trades"][0]["entry_reason"].startswith("crossover")
        assert {row["key"] for row in sheet["breakdowns"]["entry_tag"]} == {"crossover up"}
        assert sum(row["trades"] for row in sheet["breakdowns"]["regime"]) == len(result.trades)


async def test_the_page_needs_nothing_else(home: Path, finished: list[FinishedRun], tmp_path: Path) -> None:
    async with commands(home, finished) as (door, keys):
        await found_by(door, home, "montecarlo", id=keys[0], **PATHS)
        file = tmp_path / "sheet.html"
        await found_by(door, home, "tearsheet", id=keys[0], file=str(file), overwrite=False)
        page = file.read_text(encoding="utf-8")
        assert page.count("<svg") == 6
        assert page.count("<section>") > 12
        assert "Monte Carlo, stress" in page
        assert "prefers-color-scheme:dark" in page
        assert not re.search(r"https?:|url\(|<script|<link|src=", page)
        assert "NaN" not in page
        with pytest.raises(ConflictError, match="exists"):
            await found_by(door, home, "tearsheet", id=keys[0], file=str(file), overwrite=False)
        with pytest.raises(ConflictError, match="exists"):
            await door.call("backtests.tearsheet", {"id": keys[0], "file": str(file)})
        with pytest.raises(ValidationError, match=r"\.html"):
            await door.call("backtests.tearsheet", {"id": keys[0], "file": str(tmp_path / "sheet.pdf")})


async def test_what_is_not_there_is_refused_before_a_job_begins(home: Path, finished: list[FinishedRun]) -> None:
    async with commands(home, finished) as (door, keys):
        cases: list[tuple[str, dict[str, Any], type[QuarterdeckError], str]] = [
            ("montecarlo", {"id": "ffff0000"}, NotFoundError, "no stored backtest"),
            ("montecarlo", {"id": keys[0], "levels": [2]}, QuarterdeckError, "levels"),
            ("compare", {"ids": keys[:1]}, QuarterdeckError, "ids"),
            ("overfitting", {"ids": keys, "blocks": 5}, ValidationError, "even number"),
            ("lookahead", {"strategy": "nobody", **MARKET}, NotFoundError, "nobody"),
            ("recursive", {"strategy": "trend_following", **MARKET, "symbol": "X/Y"}, NotFoundError, "X/Y"),
            ("analysis", {"id": "abcdef"}, NotFoundError, "no stored analysis"),
            ("analysis", {"id": "ab"}, ValidationError, "at least 4"),
        ]
        for name, request, kind, words in cases:
            with pytest.raises(kind, match=words):
                await door.call(f"backtests.{name}", request)
        assert door.context.need_jobs().rows() == []


async def test_a_run_that_cannot_be_repeated_is_not_analysed(home: Path, finished: list[FinishedRun]) -> None:
    async with commands(home, finished) as (door, keys):
        CandleStore(home / "candles").merge(KEY, walk_bars(5, 2_000, "1h"), replace=True)
        with pytest.raises(DataError, match="cannot be repeated"):
            await found_by(door, home, "significance", id=keys[0], **SIGNIFICANCE)
        with pytest.raises(ValidationError, match="named twice"):
            await found_by(door, home, "comparison", ids=[keys[0], keys[0]], weights=None, capital=1.0)


async def test_daily_returns_survive_the_store(home: Path, finished: list[FinishedRun]) -> None:
    from engine.backtest.metrics import daily_equity

    async with commands(home, finished) as (_, keys):
        bench = Bench(home, DatabaseSettings(), lambda *_: None)
        (run,) = await asyncio.to_thread(bench.runs, keys[:1])
        record, _ = await asyncio.to_thread(bench.record, run)
        result = finished[0].result
        own, whole = daily_equity(record.ts, record.equity), daily_equity(result.ts, result.equity)
        assert own.tolist() == pytest.approx(whole.tolist(), rel=1e-12)
        assert len(record.ts) < len(result.ts) + 100


async def test_parts_are_written_in_every_format(home: Path, finished: list[FinishedRun], tmp_path: Path) -> None:
    async with commands(home, finished) as (door, keys):

        async def write(name: str, part: str | None) -> Path:
            file = tmp_path / name
            said = await door.call("backtests.export", {"id": keys[0], "file": str(file), "part": part})
            assert str(file) in said
            return file

        count = len(finished[0].result.trades)
        trades = list(csv.DictReader((await write("t.csv", None)).read_text(encoding="utf-8").splitlines()))
        assert len(trades) == count
        assert trades[0]["entry_reason"].startswith("crossover")
        table = parquet.read_table(await write("t.parquet", "trades"))
        assert table.num_rows == count
        assert table.column("pnl").to_pylist()[0] == float(trades[0]["pnl"])
        metrics = json.loads((await write("m.json", "metrics")).read_text(encoding="utf-8"))
        assert metrics["trades"] == count
        equity = parquet.read_table(await write("e.parquet", "equity")).to_pydict()
        assert equity["equity"][0] == 10_000.0
        rows = dict(csv.reader((await write("m.csv", "metrics")).read_text(encoding="utf-8").splitlines()))
        assert float(rows["sharpe"]) == metrics["sharpe"]
        with pytest.raises(ValidationError, match="holds one table"):
            await write("all.csv", "all")


def test_nothing_is_minus_nothing() -> None:
    assert (share(-0.00001), share(None), share(0.5), share(1e9)) == ("0.00%", "—", "50.00%", "1.0e+11%")

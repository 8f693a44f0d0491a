"""Operations on studies, with the real worker: checked up front, kept, shown, exported, deleted."""

from __future__ import annotations

import asyncio
import csv
import json
import uuid
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine.config import load_settings
from engine.control.offline import offline
from engine.control.requests_search import WalkForwardBacktest
from engine.control.studies import make_walk_forward
from engine.errors import ConfigurationError, ConflictError, NotFoundError, QuarterdeckError, ValidationError
from engine.strategy.loader import StrategyRegistry
from storage.candle_sets import CandleSet
from storage.candles import CandleStore
from storage.database import Database
from storage.settings import DatabaseSettings
from tests.kit.candles import walk_bars

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.offline import Offline

KEY = CandleSet.of("binance", "BTC/USDT", "1h")
ASKED: dict[str, Any] = {
    "strategy": "mean_reversion",
    "venue": "binance",
    "symbol": "BTC/USDT",
    "timeframe": "1h",
    "params": {"confirm": "false", "volume_factor": "0", "atr_min": "0", "atr_max": "1"},
}
GRID = {"lookback_period": "20,30", "entry_threshold": "0.4,1.5", "exit_threshold": "0.5"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with candles and a database that is set up."""
    folder = tmp_path_factory.mktemp("studies")
    CandleStore(folder / "candles").merge(KEY, walk_bars(11, 1_500, "1h"))

    async def set_up() -> None:
        async with Database(DatabaseSettings(), folder):
            pass

    asyncio.run(set_up())
    return folder


@asynccontextmanager
async def commands(home: Path) -> AsyncIterator[Offline]:
    async with offline(home) as door:
        yield door


async def finished(door: Offline, operation: str, asked: dict[str, Any]) -> str:
    job = await door.call(operation, asked)
    row = await door.call("jobs.get", {"id": job.id, "wait": 120})
    assert row.state == "done", row.message
    return str(row.result)


async def test_a_sweep_is_run_kept_shown_exported_and_deleted(home: Path, tmp_path: Path) -> None:
    async with commands(home) as door:
        key = await finished(door, "backtests.sweep", {**ASKED, "grid": GRID, "min_trades": 3})
        (row,) = await door.call("backtests.studies", {"kind": "sweep"})
        assert (row.id, row.kind, row.tried, row.sets, row.complete) == (key, "sweep", 2, 2, True)
        assert await door.call("backtests.studies", {"strategy": "trend_following"}) == []

        view = await door.call("backtests.study", {"id": key[:8]})
        assert view.row == row
        assert [sorted(found.params) for found in view.sets] == [sorted(GRID)] * 2
        assert view.sets[0].figures["sharpe"] == row.best
        assert view.left_out_count == 2
        assert all("must be below entry_threshold" in reason for _, reason in view.left_out)
        assert view.assumptions["road"].startswith("kernel")
        assert view.details["luck"]["sets"] == 2
        assert view.heat is None  # only one parameter is left to vary

        single = await finished(door, "backtests.run", {**ASKED, "params": {**ASKED["params"], **view.sets[0].params}})
        run = await door.call("backtests.get", {"id": single})
        assert run.metrics["trades"] == view.sets[0].figures["trades"]
        assert run.metrics["sharpe"] == pytest.approx(view.sets[0].figures["sharpe"], rel=1e-9)

        await exported(door, key, tmp_path)
        assert key in await door.call("backtests.delete_study", {"id": key})
        with pytest.raises(NotFoundError, match="no stored study"):
            await door.call("backtests.study", {"id": key})


async def exported(door: Offline, key: str, folder: Path) -> None:
    import pyarrow.parquet as pq

    files = {kind: folder / f"study.{kind}" for kind in ("json", "csv", "parquet")}
    for file in files.values():
        await door.call("backtests.export_study", {"id": key, "file": str(file)})
    whole = json.loads(files["json"].read_text())
    assert (whole["id"], whole["spec"]["grid"], len(whole["rows"])) == (key, GRID, 2)
    with files["csv"].open() as source:
        rows = list(csv.DictReader(source))
    assert [float(row["sharpe"]) for row in rows] == [row["figures"][0] for row in whole["rows"]]
    table = pq.read_table(files["parquet"])
    assert table["param_lookback_period"].to_pylist() == [int(row["param_lookback_period"]) for row in rows]
    with pytest.raises(ConflictError, match="exists"):
        await door.call("backtests.export_study", {"id": key, "file": str(files["csv"])})
    with pytest.raises(ValidationError, match=r"must end in \.json"):
        await door.call("backtests.export_study", {"id": key, "file": str(folder / "study.xlsx")})


async def test_a_walk_forward_analysis_is_run_and_kept(home: Path) -> None:
    asked = {
        **ASKED, "ranges": {"lookback_period": "10:40"}, "trials": 6,
        "training": 20, "validation": 7, "test": 10, "step": 10, "min_trades": 2,
    }  # fmt: skip
    async with commands(home) as door:
        key = await finished(door, "backtests.walk_forward", asked)
        view = await door.call("backtests.study", {"id": key})
        assert view.row.tried == view.row.sets == len(view.details["windows"]) == 3
        assert view.row.best == view.details["stitched"]["figures"]["sharpe"]
        assert view.row.stable == view.details["verdict"]["ratio"]


async def test_two_figures_are_optimised(home: Path) -> None:
    asked = {**ASKED, "ranges": {"lookback_period": "10:40"}, "trials": 8, "objectives": "total_return,max_drawdown"}
    async with commands(home) as door:
        view = await door.call("backtests.study", {"id": await finished(door, "backtests.optimise", asked)})
        assert view.objectives == ("total_return", "max_drawdown")
        assert any(found.front for found in view.sets)


@pytest.mark.parametrize(
    ("operation", "wrong", "kind", "words"),
    [
        ("sweep", {"grid": {"lookback": "5:50:5"}}, ConfigurationError, "did you mean lookback_period"),
        ("sweep", {"grid": {"lookback_period": "5:50"}}, ValidationError, "from:to:step"),
        ("sweep", {"grid": GRID, "objectives": "luck"}, ValidationError, "no objective"),
        ("sweep", {"grid": GRID, "cluster": "spark://a:1"}, ValidationError, "dask://HOST:PORT"),
        ("sweep", {"grid": GRID, "start": "2031-01-01"}, ValidationError, "is stored from"),
        ("optimise", {"ranges": {"lookback_period": "50:5"}}, ValidationError, "from below to"),
        ("walk_forward", {"objectives": "sharpe,calmar"}, ValidationError, "one to 1"),
    ],
)
async def test_what_cannot_be_searched_is_refused_before_a_job_begins(
    home: Path, operation: str, wrong: dict[str, Any], kind: type[QuarterdeckError], words: str
) -> None:
    async with commands(home) as door:
        with pytest.raises(kind, match=words):
            await door.call(f"backtests.{operation}", {**ASKED, **wrong})
        assert await door.call("jobs.list", {}) == []


def test_costs_requirements_and_windows_come_from_the_settings(home: Path) -> None:
    found = StrategyRegistry().get("mean_reversion")
    settings = load_settings(
        home,
        explicit={
            "backtesting.execution": {"commission_rate": "0.0004", "market_impact": False},
            "backtesting.metrics": {"required_sharpe": 2.0},
            "backtesting.walk_forward": {"step_size": 14},
        },
    )
    asked = WalkForwardBacktest(**ASKED, ranges={"lookback_period": "10:40"}, training=100)
    spec = make_walk_forward(asked, found, settings)
    assert (spec.windows.training_period, spec.windows.step_size, spec.windows.test_period) == (100, 14, 30)
    assert (spec.run.taker_fee, spec.run.slippage, spec.run.required_sharpe) == (Decimal("0.0004"), "none", 2.0)
    other = asked.model_copy(update={"fills": "freqtrade", "taker_fee": Decimal("0.002")})
    run = make_walk_forward(other, found, settings).run
    assert (run.taker_fee, run.maker_fee, run.slippage) == (Decimal("0.002"), Decimal("0.0004"), None)


async def test_an_unfinished_study_is_listed_as_such_and_finished_later(home: Path) -> None:
    from engine.control.study_store import keep_study

    key = uuid.uuid4()
    values: dict[str, Any] = {
        "study_hash": "abcd1234", "kind": "sweep", "strategy": "idea", "title": "idea",
        "spec": {"run": {"venue": "binance", "symbol": "BTC/USDT", "timeframe": "1h"}},
        "summary": {"start": 1, "end": 2, "objective": "sharpe", "tried": 1, "sets": 4},
        "result": {}, "complete": False, "seconds": 1.0,
    }  # fmt: skip
    async with commands(home) as door:
        reports = door.context.need_reports()
        await reports.run(lambda database: keep_study(database, key, values))
        (row,) = await door.call("backtests.studies", {"strategy": "idea"})
        assert (row.complete, row.tried, row.best) == (False, 1, None)
        summary = {**values["summary"], "tried": 4, "best": 1.5}
        await reports.run(lambda database: keep_study(database, key, {**values, "summary": summary, "complete": True}))
        (row,) = await door.call("backtests.studies", {"strategy": "idea"})
        assert (row.complete, row.tried, row.best) == (True, 4, 1.5)
        await door.call("backtests.delete_study", {"id": "abcd1234"})

"""Operations on candles and backtests, without an engine: checked up front, kept, listed, exported, deleted."""

from __future__ import annotations

import csv
import json
import shutil
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.clock import SystemClock
from engine.control import wire
from engine.control.backtest_store import POINTS, save_run, thin_out
from engine.control.backtesting import execute, make_spec
from engine.control.offline import offline
from engine.control.requests_research import RunBacktest, moment
from engine.control.views import BacktestRow, BacktestView, DatasetRow
from engine.errors import ConfigurationError, ConflictError, NotFoundError, QuarterdeckError, ValidationError
from engine.model.limits import RiskLimits
from engine.model.order import OrderSide
from engine.strategy.loader import StrategyRegistry
from storage.candle_sets import CandleSet
from storage.candles import CandleStore
from tests.kit.candles import START, walk_bars

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.control.backtesting import FinishedRun
    from engine.control.offline import Offline

KEY = CandleSet.of("binance", "BTC/USDT", "1h")
HOUR = KEY.length
STRATEGY = "mean_reversion"
BARS = 3_000
ASKED: dict[str, Any] = {"strategy": STRATEGY, "venue": "Binance", "symbol": "btc-usdt", "timeframe": "1h"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with candles."""
    home = tmp_path_factory.mktemp("stored")
    CandleStore(home / "candles").merge(KEY, walk_bars(4, BARS, "1h"))
    return home


@pytest.fixture(scope="module")
def finished(stored: Path) -> FinishedRun:
    """A run, made in this process."""
    registry = StrategyRegistry(stored / "strategies")
    spec = make_spec(RunBacktest(**ASKED), registry.get(STRATEGY), RiskLimits())
    return execute(spec, registry, CandleStore(stored / "candles"), "2.0.0", lambda *_: None)


@pytest.fixture
def home(stored: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stored, tmp_path / "home"))


@asynccontextmanager
async def commands(home: Path, *runs: FinishedRun) -> AsyncIterator[tuple[Offline, list[str]]]:
    """The door, and the ids of these runs stored behind it."""
    async with offline(home) as door:
        keys = []
        for number, run in enumerate(runs):
            now = SystemClock().now()

            async def work(database: Any, run: FinishedRun = run, now: int = now + number) -> str:
                return await save_run(database, run, now, now + 1_000_000)

            keys.append(await door.context.need_reports().run(work))
        yield door, keys


# --- what is refused before anything starts --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "kind", "words"),
    [
        ({"strategy": "trend_folowing"}, NotFoundError, "did you mean trend_following"),
        ({"strategy": "/nowhere/own.py"}, QuarterdeckError, "/nowhere/own.py"),
        ({"params": {"lookback_perid": 10}}, ConfigurationError, "did you mean lookback_period"),
        ({"params": {"lookback_period": 1_000_000}}, ConfigurationError, "lookback_period"),
        ({"symbol": "ETH/USDT"}, NotFoundError, "binance BTC/USDT 1h"),
        ({"symbol": "bitcoin"}, ValidationError, "BTC/USDT"),
        ({"timeframe": "1x"}, ValidationError, "1x"),
        ({"start": "2023-10-01"}, ValidationError, "is stored from 2023-11-15 00:00 to 2024-03-19 00:00 UTC"),
        ({"end": "2025-01-01"}, ValidationError, "is stored from 2023-11-15 00:00 to 2024-03-19 00:00 UTC"),
        ({"start": "2024-03-19"}, ValidationError, "nothing in the range"),
        ({"start": "2024-02-01", "end": "2024-01-01"}, ValidationError, "start must be before the end"),
        ({"start": "soon"}, ValidationError, "no time"),
        ({"capital": "-1"}, ValidationError, "capital"),
        ({"capital": 0.1}, ValidationError, "binary float"),
        ({"taker_fee": "0.5"}, ValidationError, "taker_fee"),
        ({"limits": {"max_drawdown": 1}}, ValidationError, "max_drawdown"),
        ({"colour": "red"}, ValidationError, "colour"),
    ],
)
async def test_a_backtest_that_cannot_run_is_refused_at_once_in_a_sentence(
    home: Path, changed: dict[str, Any], kind: type[QuarterdeckError], words: str
) -> None:
    async with commands(home) as (door, _):
        with pytest.raises(kind) as refusal:
            await door.call("backtests.run", {**ASKED, **changed})
        assert words in refusal.value.message
        assert await door.call("jobs.list") == []


async def test_what_is_asked_becomes_a_whole_specification(home: Path) -> None:
    registry = StrategyRegistry(home / "strategies")
    found = registry.get(STRATEGY)
    more = {"params": {"lookback_period": "12"}, "start": "2024-01-01", "taker_fee": "0.002"}
    asked = RunBacktest.model_validate({**ASKED, **more, "limits": {"max_total_positions": 2}})
    spec = make_spec(asked, found, RiskLimits())
    assert (spec.venue, spec.symbol, spec.timeframe) == ("binance", "BTC/USDT", "1h")
    assert spec.params["lookback_period"] == 12
    assert set(spec.params) >= {"stop_loss_pct", "position_size_pct"}
    assert spec.start == 1_704_067_200_000_000_000
    assert (spec.taker_fee, spec.maker_fee) == (Decimal("0.002"), Decimal("0.001"))
    assert spec.limits.max_total_positions == 2
    assert spec.strategy_file is None


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-01-01", 1_704_067_200_000_000_000),
        ("2024-01-01T12:30", 1_704_112_200_000_000_000),
        ("2024-01-01T12:30:00+02:00", 1_704_105_000_000_000_000),
        ("1704067200000000000", 1_704_067_200_000_000_000),
        (1_704_067_200_000_000_001, 1_704_067_200_000_000_001),
        ("20240101", 1_704_067_200_000_000_000),
        (None, None),
    ],
)
def test_times_are_read_as_a_person_writes_them(written: Any, expected: int | None) -> None:
    assert moment(written) == expected


# --- stored runs -----------------------------------------------------------------------------------------------------


async def test_a_stored_run_comes_back_as_it_was(home: Path, finished: FinishedRun) -> None:
    async with commands(home, finished) as (door, (key,)):
        view: BacktestView = await door.call("backtests.get", {"id": key})
        wire.check(view)
        result = finished.result
        assert view.row.hash == finished.prepared.run_hash
        assert (view.row.start, view.row.end) == (START, START + BARS * HOUR)
        assert view.params == finished.prepared.spec.params
        assert view.assumptions == finished.prepared.assumptions(result)
        assert view.metrics == result.metrics
        assert len(view.trades) == len(result.trades) > 5
        for shown, real in zip(view.trades, result.trades, strict=True):
            assert (shown.entry_time, shown.exit_time, shown.side) == (real.entry_time, real.exit_time, real.side)
            assert (shown.quantity, shown.fees, shown.pnl) == (real.quantity, real.fees, real.pnl)
            assert (shown.entry_price, shown.exit_price) == (real.entry_price, real.exit_price)
        assert view.equity[-1].equity == pytest.approx(float(result.equity[-1]), abs=1e-6)
        assert view.benchmark[-1].equity == pytest.approx(float(result.benchmark[-1]), abs=1e-6)
        kept = {point.ts: point.equity for point in view.equity}
        assert min(kept.values()) == pytest.approx(float(result.equity.min()), abs=1e-6)
        assert set(kept) <= set(result.ts.tolist())


async def test_runs_are_listed_newest_first_and_found_by_a_beginning(home: Path, finished: FinishedRun) -> None:
    async with commands(home, finished, finished) as (door, keys):
        rows: list[BacktestRow] = await door.call("backtests.list")
        assert [row.id for row in rows] == keys[::-1]
        assert (await door.call("backtests.list", {"limit": 1})) == rows[:1]
        assert (await door.call("backtests.list", {"strategy": "trend_following"})) == []
        assert (await door.call("backtests.get", {"id": keys[0][:8]})).row.id == keys[0]
        assert (await door.call("backtests.get", {"id": rows[0].hash[:6].upper()})).row.id == keys[1]
        for name, words in (("ffff0000", "no stored backtest"), ("a", "at least 4 characters")):
            with pytest.raises(QuarterdeckError, match=words):
                await door.call("backtests.get", {"id": name})


async def test_a_deleted_run_is_gone_with_everything_of_it(home: Path, finished: FinishedRun) -> None:
    async with commands(home, finished, finished) as (door, keys):
        assert keys[0] in await door.call("backtests.delete", {"id": keys[0]})
        assert [row.id for row in await door.call("backtests.list")] == keys[1:]

        async def left(database: Any) -> list[int]:
            from storage.repositories.repository import Repository
            from storage.tables import BacktestEquityRow, BacktestTradeRow

            async with database.reading() as session:
                tables = [Repository(session, table) for table in (BacktestTradeRow, BacktestEquityRow)]
                return [await table.count(table.query().equal(run_id=keys[0])) for table in tables]

        with pytest.raises(NotFoundError):
            await door.call("backtests.delete", {"id": keys[0]})
        from uuid import UUID

        keys[0] = UUID(keys[0])  # type: ignore[call-overload]
        assert await door.context.need_reports().run(left) == [0, 0]


async def test_a_run_is_one_object_of_plain_values(home: Path, finished: FinishedRun, tmp_path: Path) -> None:
    async with commands(home, finished) as (door, (key,)):
        told = await door.call("backtests.report", {"id": key})
        assert {"hash", "assumptions", "metrics", "trades"} <= set(told)
        trade = told["trades"][0]
        assert set(trade) == {
            "entry_time", "exit_time", "side", "entry_price", "exit_price", "quantity", "fees", "pnl", "reason"
        }  # fmt: skip
        assert trade["entry_time"].endswith("Z")
        assert trade["side"] in {str(side) for side in OrderSide}
        assert told["metrics"]["max_drawdown_start"].startswith("202")
        whole, trades = tmp_path / "run.json", tmp_path / "trades.csv"
        assert str(whole) in await door.call("backtests.export", {"id": key, "file": str(whole)})
        assert json.loads(whole.read_text(encoding="utf-8")) == told
        await door.call("backtests.export", {"id": key, "file": str(trades)})
        read = list(csv.DictReader(trades.read_text(encoding="utf-8").splitlines()))
        assert [row["entry_time"] for row in read] == [row["entry_time"] for row in told["trades"]]
        with pytest.raises(ConflictError, match="exists"):
            await door.call("backtests.export", {"id": key, "file": str(whole)})
        await door.call("backtests.export", {"id": key, "file": str(whole), "overwrite": True})
        with pytest.raises(ValidationError, match=r"\.json"):
            await door.call("backtests.export", {"id": key, "file": str(tmp_path / "run.xls")})


@given(st.integers(2, 9_000), st.integers(0, 2**32 - 1))
def test_a_thinned_curve_keeps_its_ends_and_extremes(count: int, seed: int) -> None:
    curve = np.random.default_rng(seed).normal(0, 1, count).cumsum()
    kept = thin_out(curve)
    assert len(kept) <= POINTS
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert (np.diff(kept) > 0).all()
    assert curve[kept].min() == curve.min()
    assert curve[kept].max() == curve.max()
    assert count > POINTS or len(kept) == count


# --- candles ---------------------------------------------------------------------------------------------------------


async def test_stored_candles_are_listed_exported_and_deleted(home: Path, tmp_path: Path) -> None:
    named = {"venue": "binance", "symbol": "BTC/USDT", "timeframe": "1h"}
    async with commands(home) as (door, _):
        (row,) = await door.call("data.list")
        assert await door.call("backtests.data") == [row]
        assert isinstance(row, DatasetRow)
        assert (row.venue, row.symbol, row.timeframe, row.rows) == ("BINANCE", "BTC/USDT", "1h", BARS)
        assert (row.start, row.end, row.gaps) == (START, START + BARS * HOUR, 0)
        file = tmp_path / "out.csv"
        said = await door.call("data.export", {**named, "file": str(file), "start": "2024-01-01", "end": "2024-01-02"})
        assert said.startswith("24 bars")
        assert len(file.read_text().splitlines()) == 25
        assert "deleted" in await door.call("data.delete", named)
        assert await door.call("data.list") == []
        with pytest.raises(NotFoundError, match="data import"):
            await door.call("data.delete", named)


async def test_an_import_of_no_file_is_refused_at_once(home: Path) -> None:
    asked = {"file": str(home / "none.csv"), "venue": "x", "symbol": "BTC/USD", "timeframe": "1h"}
    async with commands(home) as (door, _):
        with pytest.raises(ValidationError, match="There is no file"):
            await door.call("data.import", asked)
        with pytest.raises(ValidationError, match="cannot be used"):
            await door.call("data.import", {**asked, "venue": "../x"})
        assert await door.call("jobs.list") == []


async def test_without_an_engine_the_home_still_says_how_it_is(home: Path) -> None:
    async with commands(home) as (door, _):
        rows = {row.component: row.state for row in await door.call("health.components")}
        assert rows == {"engine": "off", "reports": "off", "jobs": "ok"}
        await door.call("backtests.list")
        rows = {row.component: row.state for row in await door.call("health.components")}
        assert rows["reports"] == "ok"

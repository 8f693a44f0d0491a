"""The real worker process: what it makes is stored, what stops it is said in a sentence, and it never outlives us."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from engine.config import Settings
from engine.control.offline import offline
from engine.control.worker import settings_for_worker
from storage.candle_sets import CandleSet
from storage.candles import CandleStore
from storage.database import Database
from storage.settings import DatabaseSettings
from tests.control.test_jobs import alive
from tests.kit.candles import START, walk_bars
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.control.offline import Offline
    from engine.control.views import JobRow

KEY = CandleSet.of("binance", "BTC/USDT", "1h")
ASKED = {"strategy": "trend_following", "venue": "binance", "symbol": "BTC/USDT", "timeframe": "1h"}

STRATEGY = """
from engine.strategy.contract import Strategy, StrategyParams

class Own(Strategy):
    '''A strategy of one's own.'''

    name = "own"

    class Params(StrategyParams):
        pass

    def warmup(self, timeframe):
        return 1

    def columns(self, bars, ta):
        {columns}
        return {{"last": bars.close}}

    def decide(self, row, memory, holding):
        return None
"""


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with half a year of hourly candles and a database that is set up."""
    home = tmp_path_factory.mktemp("furnished")
    CandleStore(home / "candles").merge(KEY, walk_bars(7, 4_000, "1h"))
    asyncio.run(set_up(home))
    return home


async def set_up(home: Path) -> None:
    async with Database(DatabaseSettings(), home):
        pass


@pytest.fixture
def home(furnished: Path, tmp_path: Path) -> Path:
    """A copy of the furnished home for one test."""
    return Path(shutil.copytree(furnished, tmp_path / "home"))


@asynccontextmanager
async def commands(home: Path) -> AsyncIterator[Offline]:
    async with offline(home) as door:
        yield door


def own_strategy(home: Path, columns: str) -> dict[str, Any]:
    """A request for a run of a strategy file that does this when it computes its columns."""
    file = home / "own.py"
    file.write_text(STRATEGY.format(columns=textwrap.indent(columns, " " * 8).strip()), encoding="utf-8")
    return {**ASKED, "strategy": str(file)}


async def ended(door: Offline, job: JobRow) -> JobRow:
    row: JobRow = await door.call("jobs.get", {"id": job.id, "wait": 60})
    return row


async def test_a_backtest_is_run_and_stored_and_repeats_exactly(home: Path) -> None:
    async with commands(home) as door:
        seen: set[str] = set()
        job = await door.call("backtests.run", ASKED)
        while not (row := await door.call("jobs.get", {"id": job.id})).finished:
            seen.add(row.message)
            await asyncio.sleep(0.002)
        assert "opening the database" in seen
        rows = [row, await ended(door, await door.call("backtests.run", ASKED))]
        assert [row.state for row in rows] == ["done", "done"], rows[0].message
        first, second = [await door.call("backtests.get", {"id": row.result}) for row in rows]
        assert first.row.hash == second.row.hash == rows[0].report["hash"]
        assert first.trades == second.trades
        assert first.trades
        assert first.equity == second.equity
        assert first.metrics == second.metrics
        assert first.row.trades == len(first.trades) == rows[0].report["trades"]
        assert (first.row.start, first.row.end) == (START, START + 4_000 * KEY.length)
        assert first.assumptions
        assert first.equity[0].equity == 10_000.0
        assert len(first.equity) == len(first.benchmark) <= 2_000
        assert not (home / "logs" / "worker.log").exists()


async def test_a_strategy_that_fails_says_so_and_one_that_ends_the_process_too(home: Path) -> None:
    async with commands(home) as door:
        row = await ended(door, await door.call("backtests.run", own_strategy(home, "raise ValueError('no luck')")))
        assert row.state == "failed"
        assert "no luck" in row.message
        assert "no luck" in (home / "logs" / "worker.log").read_text(encoding="utf-8")
        row = await ended(door, await door.call("backtests.run", own_strategy(home, "import sys; sys.exit(7)")))
        assert row.state == "failed"
        assert "SystemExit" in row.message
        assert await door.call("backtests.list") == []


async def test_what_a_strategy_prints_is_no_message(home: Path) -> None:
    talk = 'print(\'{"result": "forged"}\', flush=True)'
    async with commands(home) as door:
        row = await ended(door, await door.call("backtests.run", own_strategy(home, talk)))
        assert (row.state, row.result == "forged") == ("done", False), row.message


async def test_a_running_backtest_is_cancelled_and_leaves_nothing(home: Path) -> None:
    forever = f"import os, pathlib\npathlib.Path({str(home)!r}, 'pid').write_text(str(os.getpid()))\nwhile True: pass"
    async with commands(home) as door:
        job = await door.call("backtests.run", own_strategy(home, forever))
        await eventually((home / "pid").exists, 30)
        await eventually(lambda: (home / "pid").read_text())
        pid = int((home / "pid").read_text())
        assert os.getpriority(os.PRIO_PROCESS, pid) == 10
        assert (await door.call("jobs.cancel", {"id": job.id})).state == "cancelled"
        await eventually(lambda: not alive(pid))
        assert await door.call("backtests.list") == []


async def test_a_worker_dies_with_a_parent_that_is_killed(home: Path) -> None:
    forever = f"import os, pathlib\npathlib.Path({str(home)!r}, 'pid').write_text(str(os.getpid()))\nwhile True: pass"
    request = own_strategy(home, forever)
    program = """
import asyncio, json, sys
from pathlib import Path
from engine.control.offline import offline
async def main():
    async with offline(Path(sys.argv[1])) as door:
        await door.call("backtests.run", json.loads(sys.argv[2]))
        await asyncio.Event().wait()
asyncio.run(main())
"""
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, str(home), json.dumps(request))
    try:
        await eventually((home / "pid").exists, 30)
        await eventually(lambda: (home / "pid").read_text())
        pid = int((home / "pid").read_text())
        assert alive(pid)
    finally:
        parent.send_signal(signal.SIGKILL)
        await parent.wait()
    await eventually(lambda: not alive(pid))


def test_a_worker_whose_parent_is_gone_already_does_nothing(home: Path) -> None:
    """Between its start and its wish to die with its parent, the parent may have ended."""
    worker = [sys.executable, "-P", "-m", "engine.control.worker", "import", str(home), "1"]
    done = subprocess.run(worker, input=b"{}", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


async def test_an_import_is_checked_stored_and_reported(home: Path, shared_data: Path) -> None:
    file = shared_data / "candles" / "coinbase_BTC-USD_1h.parquet"
    asked = {"file": str(file), "venue": "coinbase", "symbol": "BTC-USD", "timeframe": "1h"}
    async with commands(home) as door:
        row = await ended(door, await door.call("data.import", asked))
        assert row.state == "done", row.message
        assert row.result == "coinbase BTC/USD 1h"
        assert (row.report["rows"], row.report["added"], row.report["gaps"]) == (20_111, 20_111, 0)
        listed = {(found.venue, found.symbol): found.rows for found in await door.call("data.list")}
        assert listed == {("BINANCE", "BTC/USDT"): 4_000, ("COINBASE", "BTC/USD"): 20_111}


async def test_a_file_with_a_broken_bar_is_refused_with_its_line(home: Path) -> None:
    file = home / "broken.csv"
    file.write_text("timestamp,open,high,low,close,volume\n1700006400000,1,2,0.5,1,1\n1700010000000,1,0.2,0.5,1,1\n")
    asked = {"file": str(file), "venue": "x", "symbol": "BTC/USD", "timeframe": "1h"}
    async with commands(home) as door:
        row = await ended(door, await door.call("data.import", asked))
        assert row.state == "failed"
        assert "line 3" in row.message
        assert len(await door.call("data.list")) == 1


async def test_several_workers_open_a_new_database_at_once(furnished: Path, tmp_path: Path) -> None:
    """The first to come sets it up; the others wait for it and find it done."""
    shutil.copytree(furnished / "candles", tmp_path / "candles")
    async with commands(tmp_path) as door:
        door.context.need_jobs()._places = asyncio.Semaphore(3)
        jobs = [await door.call("backtests.run", {**ASKED, "params": {"fast_ma": fast}}) for fast in (15, 20, 25)]
        rows = [await ended(door, job) for job in jobs]
        assert [row.state for row in rows] == ["done"] * 3, [row.message for row in rows]
        assert len(await door.call("backtests.list")) == 3


def test_secrets_of_the_settings_reach_the_worker_by_its_pipe_alone(home: Path) -> None:
    given = {"backend": "postgresql", "postgresql_username": "qd", "postgresql_password": "top secret"}
    settings = Settings(database=DatabaseSettings.model_validate(given))
    sent = orjson.loads(orjson.dumps(settings_for_worker(settings)))
    assert DatabaseSettings.model_validate(sent["database"]) == settings.database

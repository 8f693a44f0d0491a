"""History and health of a running engine: page by page, by owner and instrument, and honest about what is away."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from engine.control import host as hosts
from engine.control.host import EngineHost, build_engine
from engine.model.order import OrderStatus
from storage.candle_sets import CandleSet
from storage.candles import CandleStore
from tests.kit.candles import walk_bars
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.local import LocalLink
    from engine.control.views import FillHistoryView, HealthRow, OrderHistoryView

BTC, ETH = "SIM:BTC/USDT", "SIM:ETH/USDT"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "PROJECTION_AFTER_S", 0.0)


@asynccontextmanager
async def engine(home: Path) -> AsyncIterator[tuple[EngineHost, LocalLink]]:
    host = build_engine(home, {"paper.latency_ms": 0, "paper.latency_jitter_ms": 0})
    await host.start()
    try:
        yield host, host.link(wire=True)
    finally:
        await host.stop()


async def buy(link: LocalLink, instrument: str, quantity: str) -> str:
    asked = {"instrument": instrument, "side": "buy", "type": "market", "quantity": quantity}
    row = await link.call("orders.place", asked)
    for _ in range(5_000):
        ended = await link.call("orders.list", {"open": False})
        if any(found.client_id == row.client_id and found.status is OrderStatus.FILLED for found in ended):
            break
        await asyncio.sleep(0.002)
    return str(row.client_id)


async def test_ended_orders_are_told_page_by_page_and_survive_the_engine(tmp_path: Path) -> None:
    async with engine(tmp_path) as (host, link):
        ids = [await buy(link, instrument, quantity) for instrument, quantity in ((BTC, "0.002"), (ETH, "0.05"))]
        assert host.context is not None
        projector = host.context.projector
        assert projector is not None
        await eventually(lambda: projector.behind == 0 and projector.cursor, 30)
    async with engine(tmp_path) as (_, link):
        whole: OrderHistoryView = await link.call("orders.history", {})
        assert [row.client_id for row in whole.rows] == ids[::-1]
        assert (whole.total, whole.pages, whole.page) == (2, 1, 1)
        assert {row.status for row in whole.rows} == {OrderStatus.FILLED}
        assert all(row.average_price and row.filled == row.quantity for row in whole.rows)
        second: OrderHistoryView = await link.call("orders.history", {"size": 1, "page": 2})
        assert ([row.client_id for row in second.rows], second.pages) == (ids[:1], 2)
        for asked, expected in (
            ({"instrument": ETH}, ids[1:]),
            ({"owner": "manual"}, ids[::-1]),
            ({"owner": "nobody"}, []),
            ({"instrument": ETH, "owner": "manual"}, ids[1:]),
        ):
            found: OrderHistoryView = await link.call("orders.history", asked)
            assert [row.client_id for row in found.rows] == expected
        fills: FillHistoryView = await link.call("orders.fill_history", {"instrument": BTC})
        assert {row.client_id for row in fills.rows} == set(ids[:1])
        assert sum(row.quantity for row in fills.rows) == whole.rows[1].filled
        live = await link.call("orders.fills", {"limit": 10})
        assert {(row.client_id, row.price, row.fee) for row in live} >= {
            (row.client_id, row.price, row.fee) for row in fills.rows
        }


async def test_without_a_database_the_engine_tells_what_it_remembers_and_that_it_is_away(tmp_path: Path) -> None:
    (tmp_path / "quarterdeck.db").mkdir()
    async with engine(tmp_path) as (host, link):
        client_id = await buy(link, BTC, "0.002")
        found: OrderHistoryView = await link.call("orders.history", {"instrument": BTC})
        assert [row.client_id for row in found.rows] == [client_id]
        assert (await link.call("orders.history", {"instrument": ETH})).rows == ()
        assert host.context is not None
        assert host.context.projector is not None
        await eventually(lambda: host.context and host.context.projector and host.context.projector.problem, 30)
        health = {row.component: row for row in await link.call("health.components")}
        assert health["reports"].state == "failed"
        assert str(tmp_path) in health["reports"].summary or "database" in health["reports"].summary
        assert health["engine"].state == "ok"


async def test_a_healthy_engine_says_so_of_every_part_and_a_halt_shows(tmp_path: Path) -> None:
    async with engine(tmp_path) as (host, link):
        await eventually(lambda: host.context and host.context.reports and host.context.reports.is_open, 30)
        engine_ = host.engine
        assert engine_ is not None
        await eventually(lambda: all(market.live for market in engine_.hub.markets.values()), 30)
        rows: list[HealthRow] = await link.call("health.components")
        assert {row.component for row in rows} == {
            "engine", "journal", "disk", "venue", "feeds", "risk", "bots", "event loop", "errors", "reports", "jobs",
            "backups", "state", "clients", "recorder",
        }  # fmt: skip
        states = {row.component: row.state for row in rows if row.component != "event loop"}
        assert states.pop("recorder") == "off", "a simulated market is not recorded"
        assert set(states.values()) == {"ok"}
        await link.call("risk.halt", {"reason": "lunch"})
        rows = await link.call("health.components")
        assert next(row.state for row in rows if row.component == "risk") == "warning"


async def test_a_job_of_a_running_engine_leaves_its_loop_free(tmp_path: Path) -> None:
    """Measured in processor time of the loop's thread, which other work on the machine does not disturb."""
    CandleStore(tmp_path / "candles").merge(CandleSet.of("binance", "BTC/USDT", "1h"), walk_bars(4, 3_000, "1h"))
    asked = {"strategy": "mean_reversion", "venue": "binance", "symbol": "BTC/USDT", "timeframe": "1h"}
    longest = 0

    async def beat() -> None:
        nonlocal longest
        before = time.thread_time_ns()
        while True:
            await asyncio.sleep(0.001)
            now = time.thread_time_ns()
            longest, before = max(longest, now - before), now

    async with engine(tmp_path) as (_, link):
        heard: list[Any] = []
        watching = link.subscribe("jobs.state", heard.append)
        beating = asyncio.create_task(beat())
        job = await link.call("backtests.run", asked)
        row = await link.call("jobs.get", {"id": job.id, "wait": 60})
        assert row.state == "done", row.message
        await link.call("backtests.get", {"id": row.result})
        beating.cancel()
        await eventually(lambda: any(delta.data and delta.data[0].state == "done" for delta in heard))
        watching.close()
    assert longest < 20_000_000

"""Quality of a running engine on the paper venue: what it trades is recorded, told at both doors, and kept."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from engine import events as ev
from engine.control import host as hosts
from engine.control.host import EngineHost, build_engine
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from engine.control.local import LocalLink
    from engine.control.views_quality import QualityReport, TradeDetail, TradeScores

BTC = "SIM:BTC/USDT"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts, "PROJECTION_AFTER_S", 0.0)


@asynccontextmanager
async def engine(home: Path) -> AsyncIterator[tuple[EngineHost, LocalLink]]:
    wanted: dict[str, Any] = {
        "paper.latency_ms": 0, "paper.latency_jitter_ms": 0, "quality.mark_out_s": [1], "quality.poor_slippage": "1e-9",
    }  # fmt: skip
    host = build_engine(home, wanted)
    await host.start()
    try:
        yield host, host.link(wire=True)
    finally:
        await host.stop()


async def market(link: LocalLink, side: str) -> str:
    row = await link.call("orders.place", {"instrument": BTC, "side": side, "type": "market", "quantity": "0.002"})
    return str(row.client_id)


async def test_a_trade_on_the_paper_venue_is_recorded_and_kept(tmp_path: Path) -> None:
    async with engine(tmp_path) as (host, link):
        heard: list[ev.Event] = []
        assert host.engine is not None
        state = host.engine.state
        host.engine.ledger.subscribe(lambda record: heard.append(record.event))
        first = await market(link, "buy")
        await eventually(lambda: any(isinstance(event, ev.OrderFilled) for event in heard))
        second = await market(link, "sell")
        await eventually(lambda: not state.orders and sum(isinstance(event, ev.OrderFilled) for event in heard) >= 2)
        await eventually(lambda: not state.mark_outs, seconds=10)
        poor = [event.subject for event in heard if isinstance(event, ev.PoorExecution)]
        assert set(poor) <= {first, second}
        assert poor, "half a spread is more than nothing"
        assert host.context is not None
        book = host.context.quality_book
        assert book is not None
        last = host.engine.ledger.seq
        await eventually(lambda: (book.cursor or 0) >= last)
        found: TradeDetail = await link.call("quality.trade", {"id": second})
        report: QualityReport = await link.call("quality.summary", {"by": "bot"})
        alerts = await link.call("alerts.list", {})
        owned = {key: position for key, position in state.owned.items() if key[0] == "manual"}
    [position] = owned.values()
    assert found.trade.pnl == position.realised - position.fees - position.funding
    assert [one.order.client_id for one in found.orders] == [first, second]
    assert found.trade.closed
    for one in found.orders:
        chain = one.order.chain
        steps = (chain.intended, chain.durable, chain.sent, chain.first_fill, chain.last_fill)
        assert sorted(steps) == list(steps)
        assert all(steps)
        assert one.order.decision is not None
        assert one.order.arrival is not None
        assert one.shortfall is not None
        assert one.mark_outs["1"] is not None
    [group] = report.groups
    assert (group.name, group.orders, group.fill_rate) == ("manual", 2, 1.0)
    assert group.profit == found.trade.pnl
    assert any("A poor execution in BTC/USDT" in alert.title for alert in alerts.rows)
    async with engine(tmp_path) as (host, link):
        kept: TradeScores = await link.call("quality.trades", {})
        assert [row.id for row in kept.rows] == [found.trade.id]
        assert kept.rows[0].pnl == found.trade.pnl

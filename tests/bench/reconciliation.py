"""A start after a crash: how long it takes to be in line with the venue, and how long the event loop is held by it."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

from engine.control.host import build_engine
from engine.execution.inquiry import Inquiry
from engine.model.ids import MANUAL, AccountId, InstrumentId
from engine.model.order import Decision, OrderRequest, OrderSide, OrderStatus, OrderType
from engine.model.risk import Verdict
from engine.venues.paper.venue import PaperVenue
from tests.bench.table import Row, workplace
from tests.kit.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from engine.engine import Engine

__all__ = ["run"]

PAPER, BTC = AccountId("paper"), InstrumentId("SIM:BTC/USDT")
RECENT, OPEN, ENDED = 10_200, 600, 300
BAR_MS = 1_000.0
SETTINGS = {
    "paper.latency_ms": 0,
    "paper.latency_jitter_ms": 0,
    "paper.seed": 7,
    "paper.balances": {"USDT": "10000000"},
    "journal.snapshot_events": 1_000_000,
}


class _OpenGate:
    """Lets everything pass: the order rate of a benchmark is nobody's."""

    def check(self, *_: Any) -> Verdict:
        return Verdict()

    def passed(self, *_: Any) -> None:
        return


def run() -> list[Row]:
    """Measure everything of this module."""
    with workplace("reconciliation") as home:
        return asyncio.run(_measure(home))


def _order(side: OrderSide, price: D | None = None) -> OrderRequest:
    return OrderRequest(
        account=PAPER,
        instrument=BTC,
        owner=MANUAL,
        side=side,
        type=OrderType.MARKET if price is None else OrderType.LIMIT,
        quantity=D("0.001"),
        price=price,
        decision=Decision(reason="benchmark"),
    )


async def _past(engine: Engine) -> None:
    """Thousands of orders that ended, hundreds that work, and many of those ended at the venue without a report."""
    engine.desk._gate = _OpenGate()
    await eventually(lambda: all(market.quote() is not None for market in engine.hub.markets.values()))
    for number in range(RECENT):
        engine.desk.submit(_order(OrderSide.BUY if number % 2 == 0 else OrderSide.SELL))
        if number % 40 == 0:
            await eventually(lambda: not engine.state.orders, 60)
    await eventually(lambda: not engine.state.orders, 60)
    quote = engine.hub.quote(BTC)
    assert quote is not None
    assert quote.bid is not None
    for number in range(OPEN):
        engine.desk.submit(_order(OrderSide.BUY, (quote.bid * D("0.97") - number).quantize(D("0.1"))))
    await eventually(lambda: all(o.status is OrderStatus.ACCEPTED for o in engine.state.orders.values()), 60)
    venue = engine.venue
    assert isinstance(venue, PaperVenue)
    venue.faults.lost_reports = OPEN
    for client_id in list(engine.state.orders)[:ENDED]:
        venue._keep(venue._exchange.cancel(PAPER, client_id, engine.clock.now()))
    await eventually(lambda: venue.faults.lost_reports <= OPEN - ENDED, 60)


async def _measure(home: Path) -> list[Row]:
    host = build_engine(home, SETTINGS)
    await host.start()
    assert host.engine is not None
    await _past(host.engine)
    await host.stop()

    took: list[float] = []
    real = Inquiry.recover

    async def timed(self: Inquiry, *args: Any) -> Any:
        began = time.perf_counter()
        tally = await real(self, *args)
        took.append((time.perf_counter() - began) * 1e3)
        return tally

    Inquiry.recover = timed  # type: ignore[method-assign,assignment]
    try:
        host = build_engine(home, SETTINGS)
        await host.start()
    finally:
        Inquiry.recover = real  # type: ignore[method-assign]
    engine = host.engine
    assert engine is not None
    report = engine.default.report
    assert report is not None
    rounds = [(await engine.default.monitor.check()).duration_ms for _ in range(3)]
    await host.stop()
    right = (report.ended, len(engine.state.orders), report.verdict) == (ENDED, OPEN - ENDED, "verified")
    what = f"reconcile a start: {RECENT:,} recent orders, {OPEN} open, {ENDED} ended unheard"
    return [
        Row(what, f"{took[0]:.0f} ms{'' if right else ', WRONG'}", f"<= {BAR_MS:.0f} ms", right and took[0] <= BAR_MS),
        Row("one round of the state monitor then", f"{min(rounds):.0f} ms"),
    ]

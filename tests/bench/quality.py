"""What execution quality takes: following facts, putting orders together, and looking for markets that are due."""

from __future__ import annotations

import random
import time
from decimal import Decimal as D
from typing import TYPE_CHECKING

from engine.clock import SimulatedClock
from engine.ledger import Ledger
from engine.model.ids import ClientOrderId
from engine.model.quality_settings import QualitySettings
from engine.quality.desk import QualityDesk
from engine.quality.summary import summarise
from engine.quality.tracker import Tracker
from engine.state import EngineState
from engine.state.quality import PENDING, AwaitedMark, mark_key
from storage.journal import MemoryJournal
from tests.bench.table import Row, percentile
from tests.kit.histories import SESSION_MIX, HistoryMaker
from tests.kit.quality_story import BTC

if TYPE_CHECKING:
    from engine.model.ids import InstrumentId
    from engine.model.risk import Quote

FACTS, ORDERS, ROUNDS = 60_000, 20_000, 400


class _Silent:
    """No market is known."""

    def quote(self, _instrument: InstrumentId) -> Quote | None:
        return None


def run() -> list[Row]:
    """Measure everything of this module."""
    records = HistoryMaker(random.Random(1), mix=SESSION_MIX).grow(FACTS)
    tracker, began = Tracker(), time.perf_counter()
    for record in records:
        tracker.hear(record)
    taken = time.perf_counter() - began
    orders = {order.client_id: order for order in tracker.take()[0]}
    many = [order for _ in range(ORDERS // len(orders) + 1) for order in orders.values()][:ORDERS]
    began = time.perf_counter()
    summarise(many, "symbol", D("0.005"))
    summed = time.perf_counter() - began
    looks = _looks()
    return [
        Row(
            f"quality: follow {len(records):,} facts of ten bots' session",
            f"{taken / len(records) * 1e6:.1f} µs a fact",
        ),
        Row(f"  put {ORDERS:,} orders together, in the thread of the reports", f"{summed * 1e3:.0f} ms"),
        Row(
            f"  look over {PENDING:,} executions that wait, on the loop",
            f"p50 {percentile(looks, 50):.2f} ms, p99 {percentile(looks, 99):.2f} ms",
            "≤ 5 ms",
            percentile(looks, 99) <= 5,
        ),
    ]


def _looks() -> list[float]:
    """Milliseconds of each look at as many executions as may wait, of which none is due."""
    now = 1_700_000_000 * 10**9
    state = EngineState()
    for number in range(PENDING):
        key = ClientOrderId(f"Q{number}")
        state.mark_outs[mark_key(key, now)] = AwaitedMark(key, BTC.id, now)
    desk = QualityDesk(
        Ledger(state, MemoryJournal(), SimulatedClock(now), 1), _Silent(), QualitySettings(), lambda: 10**10
    )
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        desk._next = 0
        desk.tick(now + 10**9)
        times.append((time.perf_counter() - began) * 1e3)
    return times

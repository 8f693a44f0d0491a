"""Notes in the running engine what the market does after executions, and tells when one was poor.

Plain and synchronous. What waits for a mark-out is part of the state, so that a restart forgets none; what came due
while nobody looked is noted as not known.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.decimals import exact, round_to
from engine.model.order import Order, OrderType
from engine.model.quality_facts import MarkOut
from engine.quality.tracker import decided_at, middle

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.ledger import Ledger
    from engine.model.algos import Parent
    from engine.model.ids import InstrumentId, ParentId
    from engine.model.quality_settings import QualitySettings
    from engine.model.risk import Quotes
    from engine.state.quality import AwaitedMark

__all__ = ["QualityDesk"]

LATE_NS = 5_000_000_000
"""A market that is looked at so much later than it should have been is not that market any more."""
AT_ONCE = 20
"""Mark-outs noted in one step at most."""
PLACES = Decimal("1e-6")
STOPS = (OrderType.STOP_LOSS, OrderType.TAKE_PROFIT)
TOLD = 1_000
"""Orders that are remembered as told of."""


class QualityDesk:
    """Looks after executions that have happened.

    Args:
        ledger: Where facts are booked, with the state of what waits.
        quotes: The markets now.
        settings: Horizons, and what is poor.
        oldest_ns: Gives how old what is known of a market may be.
    """

    def __init__(self, ledger: Ledger, quotes: Quotes, settings: QualitySettings, oldest_ns: Callable[[], int]) -> None:
        self._ledger = ledger
        self._quotes = quotes
        self.settings = settings
        self._oldest_ns = oldest_ns
        self._arrivals: dict[str, Decimal] = {}
        """The middle of the book at which parts of parents were sent, as long as they are under way."""
        self._told: dict[str, None] = {}
        self._next = 0
        """UTC nanoseconds before which no market is due."""
        ledger.subscribe(self._hear)

    # --- mark-outs

    def tick(self, now: int) -> int:
        """Note the markets that are due; call it a few times a second. Returns how many facts that made."""
        if now < self._next:
            return 0
        horizons, due = self.settings.horizons, list["AwaitedMark"]()
        later = now + horizons[0]
        for entry in self._ledger.state.mark_outs.values():
            done = len(entry.done)
            at = entry.ts + horizons[done] if done < len(horizons) else 0
            if at <= now:
                due.append(entry)
            elif at < later:
                later = at
        facts = [fact for entry in due[:AT_ONCE] if (fact := self._due(entry, horizons, now)) is not None]
        # What was just noted may have a next time of its own; the others that are due wait for the next step.
        self._next = 0 if due else later
        for fact in facts:
            self._ledger.record(fact)
        return len(facts)

    def _due(self, entry: AwaitedMark, horizons: tuple[int, ...], now: int) -> ev.MarkOutRecorded | None:
        wanted = [horizon for horizon in horizons if horizon not in entry.done]
        reached = [horizon for horizon in wanted if entry.ts + horizon <= now]
        if wanted and not reached:
            return None
        return ev.MarkOutRecorded(
            client_id=entry.client_id,
            fill_ts=entry.ts,
            marks=tuple(self._mark(entry, horizon, now) for horizon in reached),
            last=len(reached) == len(wanted),
        )

    def _mark(self, entry: AwaitedMark, horizon: int, now: int) -> MarkOut:
        if now - entry.ts - horizon > LATE_NS:
            return MarkOut(horizon)
        mid = self._middle(entry.instrument, now)
        return MarkOut(horizon) if mid is None else MarkOut(horizon, mid, now)

    def _middle(self, instrument: InstrumentId, now: int) -> Decimal | None:
        quote = self._quotes.quote(instrument)
        if quote is None or now - quote.ts > self._oldest_ns():
            return None
        with exact():
            return middle(quote.bid, quote.ask)

    # --- poor executions

    def _hear(self, record: ev.Record) -> None:
        event = record.event
        if isinstance(event, ev.OrderFilled):
            self._next = min(self._next, min(event.fill.ts, record.ts) + self.settings.horizons[0])
        if isinstance(event, ev.OrderSubmitted):
            self._sent(event)
        elif self._ledger.following:
            # What follows from it is in the journal of whoever wrote it.
            return
        elif isinstance(event, ev.OrderFilled):
            self._judge(event.fill.client_id, record.ts)
        elif isinstance(event, ev.OrderCanceled | ev.OrderExpired):
            self._judge(event.client_id, record.ts)
        elif isinstance(event, ev.ParentEnded):
            self._judge_parent(event.parent, record.ts)

    def _sent(self, event: ev.OrderSubmitted) -> None:
        order = self._ledger.state.orders.get(event.client_id)
        if order is None or order.parent is None:
            return
        with exact():
            mid = middle(event.best_bid, event.best_ask)
        if mid is not None:
            self._arrivals[event.client_id] = mid
            while len(self._arrivals) > TOLD:
                del self._arrivals[next(iter(self._arrivals))]

    def _judge(self, client_id: str, now: int) -> None:
        order = self._ledger.state.order(client_id)  # type: ignore[arg-type]
        if order is None or order.is_open:
            return
        arrival = self._arrivals.pop(client_id, None)
        benchmark = _benchmark(order, arrival)
        if benchmark is not None and order.filled:
            self._tell(order, order.filled, order.cost, benchmark, now)

    def _judge_parent(self, parent_id: ParentId, now: int) -> None:
        parent = self._ledger.state.parent(parent_id)
        if parent is None or not parent.executed:
            return
        with exact():
            benchmark = decided_at(parent.decision)
        if benchmark is not None:
            self._tell(parent, parent.executed, parent.cost, benchmark, now)

    def _tell(self, subject: Order | Parent, executed: Decimal, cost: Decimal, benchmark: Decimal, now: int) -> None:
        key = subject.client_id if isinstance(subject, Order) else subject.id
        instrument = self._ledger.state.instruments[subject.instrument]
        with exact():
            base = benchmark * executed * instrument.multiplier
            worse = subject.side.sign * (cost - base)
            poor = base > 0 and worse > self.settings.poor_slippage * base
        if not poor or key in self._told:
            return
        self._told[key] = None
        while len(self._told) > TOLD:
            del self._told[next(iter(self._told))]
        self._ledger.record(
            ev.PoorExecution(
                subject=key,
                instrument=subject.instrument,
                owner=subject.owner,
                slippage=round_to(worse / base, PLACES),
                limit=self.settings.poor_slippage,
                price=benchmark,
                cost=worse,
                currency=instrument.settle,
                ts=now,
            )
        )


def _benchmark(order: Order, arrival: Decimal | None) -> Decimal | None:
    """What an order is judged by; see `engine.quality.measures.slippage`."""
    if order.type in STOPS:
        return order.stop_price
    if order.parent is not None:
        return arrival
    with exact():
        return decided_at(order.decision)

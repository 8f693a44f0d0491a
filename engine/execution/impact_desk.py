"""Keeps what the impact estimates of an engine are made of: conditions by instrument, and what own orders have cost.

An ended order that took liquidity and carries its estimate is one observation. The coefficients of an instrument are
drawn to the prior until it has seen enough of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from engine.errors import QuarterdeckError
from engine.events import OrderFilled
from engine.execution.impact import (
    SECONDS_PER_DAY,
    Coefficients,
    Conditions,
    PartSeen,
    calibrate,
    conditions_of,
    table_of,
)
from engine.execution.impact import estimate as estimate_of
from engine.execution.schedules.volume import PROFILE_DAYS
from engine.logs import get_logger
from engine.model.decimals import ZERO
from engine.model.order import OrderType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.events import Record
    from engine.model.algos import Parent
    from engine.model.candle import Candle, FloatArray
    from engine.model.ids import ClientOrderId, InstrumentId, ParentId
    from engine.model.impact import ImpactEstimate
    from engine.model.instrument import Instrument
    from engine.model.market import BookView
    from engine.model.order import Order, OrderRequest, OrderSide

__all__ = ["TIMEFRAME", "ImpactDesk"]

log = get_logger(__name__)

TIMEFRAME = "1h"
"""Candles that volatility and volume are taken from."""
FRESH_NS = 3_600_000_000_000
"""How long conditions are used before candles are asked for again."""
AGAIN_NS = 60_000_000_000
"""How long to wait after candles could not be had."""
KEPT = 1_000
"""Observations kept per instrument."""
_LEAST_SECONDS = 1.0
"""Price noise of an order that is answered at once."""


class ImpactDesk:
    """Estimates the impact of orders before they are sent.

    Args:
        clock: The engine's.
        books: An instrument with its present book; None while that cannot be trusted.
        history: Fetches the newest closed candles of an instrument (timeframe, count), oldest first.
        order: A known order by its id.
        parent: A known parent order by its id.
        days: Days of candles of which volume by the hour is made.
    """

    def __init__(
        self,
        clock: Clock,
        books: Callable[[InstrumentId], tuple[Instrument, BookView] | None],
        history: Callable[[InstrumentId, str, int], Awaitable[Sequence[Candle]]],
        order: Callable[[ClientOrderId], Order | None],
        parent: Callable[[ParentId], Parent | None] = lambda parent: None,
        days: int = PROFILE_DAYS,
    ) -> None:
        self._clock = clock
        self._books = books
        self._history = history
        self._order, self._parent = order, parent
        self._days = days
        self._conditions: dict[InstrumentId, Conditions | None] = {}
        self._looked: dict[InstrumentId, int] = {}
        self._looking: dict[InstrumentId, asyncio.Task[None]] = {}
        self._seen: dict[InstrumentId, deque[PartSeen]] = {}
        self._tables: dict[InstrumentId, FloatArray] = {}

    # --- conditions --------------------------------------------------------------------------------------------------

    def conditions(self, instrument: InstrumentId) -> Conditions | None:
        """What is known of an instrument's volatility and volume; None while nothing is."""
        return self._conditions.get(instrument)

    def look_soon(self, instrument: InstrumentId) -> asyncio.Task[None] | None:
        """Fetch an instrument's conditions in the background where they are not fresh; the task, None for none."""
        running = self._looking.get(instrument)
        if running is not None:
            return running
        known = self._conditions.get(instrument) is not None
        looked = self._looked.get(instrument)
        if looked is not None and self._clock.now() - looked < (FRESH_NS if known else AGAIN_NS):
            return None
        self._looked[instrument] = self._clock.now()
        task = asyncio.get_running_loop().create_task(self._look(instrument), name=f"conditions of {instrument}")
        self._looking[instrument] = task
        task.add_done_callback(lambda _: self._looking.pop(instrument, None))
        return task

    async def look(self, instrument: InstrumentId) -> None:
        """Know an instrument's conditions if they can be had; what was known stays where they cannot."""
        task = self.look_soon(instrument)
        if task is not None:
            await asyncio.shield(task)

    async def _look(self, instrument: InstrumentId) -> None:
        try:
            candles = await self._history(instrument, TIMEFRAME, self._days * 24)
        except QuarterdeckError as error:
            log.warning("no candles for an impact estimate", instrument=instrument, problem=error.message)
            return
        found = await asyncio.to_thread(conditions_of, candles, days=self._days)
        if found is not None:
            self._conditions[instrument] = found

    # --- estimates ---------------------------------------------------------------------------------------------------

    def estimate(self, instrument: InstrumentId, side: OrderSide, quantity: Decimal) -> ImpactEstimate | None:
        """What an order would cost if it were sent at once; None while the market says too little."""
        found = self._books(instrument)
        if found is None:
            return None
        known, book = found
        return estimate_of(
            known, book, side, quantity, self._conditions.get(instrument), self.coefficients(instrument, quantity)
        )

    def of_request(self, request: OrderRequest) -> ImpactEstimate | None:
        """The estimate of an order as it is stored with the decision; None for one that does not take at once."""
        if request.type is OrderType.MARKET:
            return self.estimate(request.instrument, request.side, request.quantity)
        if request.type is not OrderType.LIMIT or request.post_only or request.price is None:
            return None
        found = self._books(request.instrument)
        if found is None:
            return None
        instrument, book = found
        best = book.best_ask if request.side.sign > 0 else book.best_bid
        if best is None or request.side.sign * (request.price - instrument.price_from_int(best)) < 0:
            return None
        return self.estimate(request.instrument, request.side, request.quantity)

    # --- calibration -------------------------------------------------------------------------------------------------

    def coefficients(self, instrument: InstrumentId, quantity: Decimal | None = None) -> Coefficients:
        """The model's coefficients for an instrument, with what own orders have cost so far.

        Args:
            instrument: What is traded.
            quantity: Size of the order that is asked about; None for orders of every size.
        """
        table = self._tables.get(instrument)
        if table is None:
            table = self._tables[instrument] = table_of(self._seen.get(instrument, ()))
        conditions = self._conditions.get(instrument)
        at = None if conditions is None or not quantity else float(quantity) / conditions.profile.daily
        return calibrate(table, at)

    def recall(self, orders: Iterable[Order]) -> None:
        """Learn from orders that ended before, oldest first."""
        done: dict[ParentId, Decimal] = {}
        for order in orders:
            if order.parent is None:
                self._learn(order, observation(order))
                continue
            before = done.get(order.parent, ZERO)
            done[order.parent] = before + order.filled
            parent = self._parent(order.parent)
            # Of a parent whose first orders are forgotten it is not known what was traded before.
            if parent is not None and before + order.filled <= parent.executed:
                self._learn(order, part_of(order, parent, before))

    def hear(self, record: Record) -> None:
        """Learn from an order that has just been filled."""
        if not isinstance(record.event, OrderFilled):
            return
        order = self._order(record.event.fill.client_id)
        if order is None or order.is_open:
            return
        parent = self._parent(order.parent) if order.parent is not None else None
        if parent is not None:
            self._learn(order, part_of(order, parent, parent.executed - order.filled))
        else:
            self._learn(order, observation(order))

    def _learn(self, order: Order, part: PartSeen | None) -> None:
        if part is not None:
            self._seen.setdefault(order.instrument, deque(maxlen=KEPT)).append(part)
            self._tables.pop(order.instrument, None)


def observation(order: Order) -> PartSeen | None:
    """What an ended order that took liquidity says about impact; None for one that says nothing."""
    told, decision = order.decision.impact, order.decision
    if told is None or not told.scale or not told.volume_share or not told.sigma or not order.filled:
        return None
    if decision.best_bid is None or decision.best_ask is None:
        return None
    middle = float(decision.best_bid + decision.best_ask) / 2
    cost = order.side.sign * (float(order.cost / order.filled) / middle - 1)
    seconds = max((order.updated - order.created) / 1e9, _LEAST_SECONDS)
    return PartSeen(
        size=told.volume_share,
        scale=told.scale,
        before=0.0,
        share=1.0,
        cost=cost - told.half_spread,
        variance=told.sigma**2 * seconds / SECONDS_PER_DAY,
    )


def part_of(order: Order, parent: Parent, before: Decimal) -> PartSeen | None:
    """What an ended order of a parent says about impact; None for one that says nothing.

    Args:
        order: It must have taken liquidity on the parent's own side.
        parent: The whole, with the estimate at its start.
        before: What of the parent was executed before.
    """
    told, decision = parent.decision.impact, parent.decision
    if told is None or not told.scale or not told.volume_share or not told.sigma:
        return None
    if not order.filled or order.side is not parent.side:
        return None
    # What rested has paid no impact.
    if order.decision.impact is None or decision.best_bid is None or decision.best_ask is None:
        return None
    middle = float(decision.best_bid + decision.best_ask) / 2
    seconds = max((order.updated - parent.opened) / 1e9, _LEAST_SECONDS)
    return PartSeen(
        size=told.volume_share,
        scale=told.scale,
        before=float(before / parent.quantity),
        share=float(order.filled / parent.quantity),
        cost=order.side.sign * (float(order.cost / order.filled) / middle - 1) - told.half_spread,
        variance=told.sigma**2 * seconds / SECONDS_PER_DAY,
    )

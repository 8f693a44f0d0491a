"""What orders add up to, by venue, market, bot or algorithm."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from engine.model.decimals import ZERO, exact
from engine.model.ids import MANUAL, venue_of
from engine.model.quality import GroupQuality, HorizonQuality
from engine.quality.measures import (
    BPS,
    FillCount,
    is_limit,
    mark_out_bps,
    score,
    shortfall,
    slippage,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from decimal import Decimal

    from engine.model.ids import Currency
    from engine.model.quality import OrderQuality

__all__ = ["BY", "summarise"]

NS_PER_MS = 1e6

BY: dict[str, Callable[[OrderQuality], str]] = {
    "venue": lambda order: venue_of(order.instrument),
    "symbol": lambda order: order.instrument,
    "bot": lambda order: order.owner,
    "strategy": lambda order: order.strategy or MANUAL,
    "algorithm": lambda order: order.algorithm or str(order.type),
    "type": lambda order: str(order.type),
    "parent": lambda order: order.parent or "",
    "all": lambda _order: "all",
}
"""What orders may be put together by -> the name of an order's group; a group without a name is left out."""


class _Group:
    """Sums over the orders of one name and currency."""

    def __init__(self, name: str, currency: Currency) -> None:
        self.name, self.currency = name, currency
        self.orders = self.executed = self.measured = self.poor = 0
        self.value = self.total = self.delay = self.trading = self.base = ZERO
        self.signal = self.timing = self.execution = self.fees = ZERO
        self.quantity = self.maker = 0.0
        self.ended, self.limits = FillCount(), FillCount()
        self.scores: list[tuple[float, float]] = []
        self.spans: dict[str, list[float]] = {name: [] for name in ("intent", "durable", "ack", "fill")}
        self.marks: dict[int, list[float]] = {}
        """Seconds -> sum of basis points x value, sum of values, executed quantity share without a mark."""

    def add(self, order: OrderQuality, poor: float) -> None:
        self.orders += 1
        self.ended.add(order)
        if is_limit(order):
            self.limits.add(order)
        self._time(order)
        if not order.filled:
            return
        self.executed += 1
        value = order.value * order.multiplier
        self.value += value
        weight = float(value)
        self.quantity += weight
        self.maker += weight * float(order.maker) / float(order.filled)
        part = order.attribution
        self.signal += part.signal
        self.timing += part.timing
        self.execution += part.execution
        self.fees += part.fees
        found = shortfall(order)
        if found is not None:
            self.measured += 1
            self.total += found.total
            self.delay += found.delay
            self.trading += found.trading
            self.base += found.base
        worse, points = slippage(order), score(order, poor)
        if worse is not None and worse > poor:
            self.poor += 1
        if points is not None:
            self.scores.append((points, weight))
        self._mark(order, weight)

    def _time(self, order: OrderQuality) -> None:
        chain = order.chain
        for name, start, end in (
            ("intent", chain.signal, chain.intended),
            ("durable", chain.intended, chain.durable),
            ("ack", chain.intended, chain.acknowledged),
            ("fill", chain.intended, chain.first_fill),
        ):
            if start and end:
                self.spans[name].append((end - start) / NS_PER_MS)

    def _mark(self, order: OrderQuality, weight: float) -> None:
        for key in order.marks:
            found = mark_out_bps(order, key)
            sums = self.marks.setdefault(int(key), [0.0, 0.0, 0.0])
            if found is None:
                sums[2] += weight
            else:
                sums[0] += found * weight
                sums[1] += weight

    def row(self) -> GroupQuality:
        weights = sum(weight for _, weight in self.scores)
        return GroupQuality(
            name=self.name,
            currency=self.currency,
            orders=self.orders,
            executed=self.executed,
            measured=self.measured,
            poor=self.poor,
            value=self.value,
            shortfall=self.total,
            delay=self.delay,
            trading=self.trading,
            shortfall_bps=float(self.total / self.base) * BPS if self.base else None,
            delay_bps=float(self.delay / self.base) * BPS if self.base else None,
            trading_bps=float(self.trading / self.base) * BPS if self.base else None,
            ended=self.ended.orders,
            fill_rate=self.ended.rate,
            limits=self.limits.orders,
            limits_whole=self.limits.whole,
            limit_fill_rate=self.limits.rate,
            maker=self.maker / self.quantity if self.quantity else None,
            score=sum(points * weight for points, weight in self.scores) / weights if weights else None,
            signal_ms=_middle(self.spans["intent"]),
            durable_ms=_middle(self.spans["durable"]),
            ack_ms=_middle(self.spans["ack"]),
            fill_ms=_middle(self.spans["fill"]),
            marks=tuple(
                HorizonQuality(seconds, sums[0] / sums[1] if sums[1] else None, sums[1], sums[2])
                for seconds, sums in sorted(self.marks.items())
            ),
            signal=self.signal,
            timing=self.timing,
            execution=self.execution,
            fees=self.fees,
        )


def _middle(values: list[float]) -> float | None:
    return median(values) if values else None


def summarise(orders: Iterable[OrderQuality], by: str, poor: Decimal) -> list[GroupQuality]:
    """Put orders together, the group that has executed most first; amounts of several currencies stay apart.

    Args:
        orders: Records of orders.
        by: One of `BY`.
        poor: Slippage that counts as poor, as a fraction.
    """
    name, limit, groups = BY[by], float(poor), dict[tuple[str, "Currency"], _Group]()
    with exact():
        for order in orders:
            key = name(order), order.currency
            if not key[0]:
                continue
            group = groups.get(key)
            if group is None:
                group = groups[key] = _Group(*key)
            group.add(order, limit)
    return [group.row() for group in sorted(groups.values(), key=lambda one: (-one.quantity, one.name))]

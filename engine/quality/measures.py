"""Formulas of execution quality over the records of orders; statistics are floats, money stays exact.

Implementation shortfall is the difference between a paper portfolio, traded at once and free of cost at the prices of
the decisions, and the real one (A. Perold, "The implementation shortfall: paper versus reality", Journal of Portfolio
Management 14(3), 1988). Its executed part is split at the arrival price into delay and trading cost (R. Kissell, "The
expanded implementation shortfall: understanding transaction cost components", Journal of Trading 1(3), 2006). What an
order that was not executed might have earned (opportunity cost) is not among the figures: fill rates stand beside them.

Signs: shortfall, slippage, delay and trading cost are positive where they cost; mark-outs are positive where the market
then moved in favour of the execution.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from engine.model.decimals import exact
from engine.model.order import OrderStatus, OrderType

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from engine.model.quality import OrderQuality

__all__ = [
    "BPS", "FillCount", "Shortfall", "is_limit", "mark_out_bps", "score", "shortfall", "slippage", "trade_score",
]  # fmt: skip

BPS = 10_000.0
NS_PER_S = 1e9
COST, FILL, SPEED, ADVERSE = 60.0, 20.0, 10.0, 10.0
"""Points of a score that price, executed share, speed and the market afterwards can cost."""
SLOW_S = 2.0
"""Seconds from the intent to the venue's answer that cost all points for speed."""


class Shortfall(NamedTuple):
    """What an order's executions cost against the price of its decision, in the settle currency."""

    total: Decimal
    """side x (mean price - decision) x quantity x multiplier."""
    delay: Decimal
    """side x (arrival - decision) x quantity x multiplier; 0 where the arrival price was not recorded."""
    trading: Decimal
    """side x (mean price - arrival) x quantity x multiplier."""
    base: Decimal
    """decision x quantity x multiplier: what shares of it are measured by."""

    @property
    def bps(self) -> float:
        """The total in hundredths of a percent of `base`."""
        return float(self.total) / float(self.base) * BPS if self.base else 0.0


def shortfall(order: OrderQuality) -> Shortfall | None:
    """The executed implementation shortfall of an order; None before an execution, or without a decision price."""
    decision = order.decision
    if decision is None or not order.filled:
        return None
    arrival = order.arrival if order.arrival is not None else decision
    with exact():
        scale = order.side.sign * order.multiplier
        total = scale * (order.value - decision * order.filled)
        delay = scale * (arrival - decision) * order.filled
        return Shortfall(total, delay, total - delay, decision * order.filled * order.multiplier)


def slippage(order: OrderQuality) -> float | None:
    """Fraction by which the mean price is worse than the price by which the order itself is judged.

    That is the decision's price; of a parent's part the arrival price, as its delay was wanted by the plan. None where
    it was not recorded, or nothing is executed.
    """
    benchmark = order.arrival if order.parent is not None else order.decision
    if benchmark is None or not benchmark or not order.filled:
        return None
    return order.side.sign * (float(order.value) / float(order.filled) / float(benchmark) - 1.0)


def mark_out_bps(order: OrderQuality, seconds: int | str) -> float | None:
    """Side x (later middle - price) / price of the executions, weighted by quantity; None where not recorded.

    A mark-out that is negative again and again means that counterparties knew more: the market runs on against what was
    just traded (adverse selection), or returns to it after an impact of one's own when positive ones follow a cost.
    """
    found = order.marks.get(str(seconds))
    if found is None or not found.quantity or not found.paid:
        return None
    return order.side.sign * (float(found.mid - found.paid) / float(found.paid)) * BPS


def score(order: OrderQuality, poor: float) -> float | None:
    """How well an order was executed, 0 to 100; None where its slippage is not known.

    Price can cost 60 points: none where it was no worse than the benchmark of `slippage`, all where it was worse by
    `poor` or more, in proportion between. A part not executed of an order that has ended costs its share of 20 points.
    An answer of the venue 2 s or more after the intent costs 10 points, faster ones in proportion. A market that at the
    last recorded mark-out was against the execution by `poor` or more costs 10 points, in proportion below. What was
    not recorded neither costs nor counts: the score is what is left of the points that could be lost, out of 100.

    Args:
        order: Its record.
        poor: Slippage that counts as poor, as a fraction.
    """
    worse = slippage(order)
    if worse is None:
        return None
    lost, most = COST * _part(worse / poor), COST
    if order.chain.ended:
        most += FILL
        lost += FILL * _part(1.0 - _share(order))
    if order.chain.intended and order.chain.acknowledged:
        most += SPEED
        lost += SPEED * _part((order.chain.acknowledged - order.chain.intended) / NS_PER_S / SLOW_S)
    after = [found for key in sorted(order.marks, key=int) if (found := mark_out_bps(order, key)) is not None]
    if after:
        most += ADVERSE
        lost += ADVERSE * _part(-after[-1] / BPS / poor)
    return 100.0 * (1.0 - lost / most)


def _share(order: OrderQuality) -> float:
    return float(order.filled) / float(order.quantity)


def _part(share: float) -> float:
    return min(1.0, max(0.0, share))


def trade_score(orders: Iterable[OrderQuality], poor: float) -> float | None:
    """Mean score of a trade's orders, weighted by what each executed; None where none is known."""
    total = weight = 0.0
    for order in orders:
        found = score(order, poor)
        if found is not None:
            total += found * float(order.value)
            weight += float(order.value)
    return total / weight if weight else None


class FillCount(msgspec.Struct):
    """How much of what was ordered is executed, over orders that have ended."""

    orders: int = 0
    whole: int = 0
    """Orders that were executed as a whole."""
    quantity_share: float = 0.0
    """Sum of the executed shares of the orders."""

    def add(self, order: OrderQuality) -> None:
        """Count an order that has ended; one that the venue refused was never in the market and does not count."""
        if not order.chain.ended or order.status is OrderStatus.REJECTED or not order.quantity:
            return
        self.orders += 1
        self.whole += order.filled >= order.quantity
        self.quantity_share += _part(_share(order))

    @property
    def rate(self) -> float | None:
        """Mean executed share of an order; None before the first."""
        return self.quantity_share / self.orders if self.orders else None


def is_limit(order: OrderQuality) -> bool:
    """Whether its fill rate is a matter of its price."""
    return order.type is OrderType.LIMIT

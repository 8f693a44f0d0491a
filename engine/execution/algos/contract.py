"""What a step machine sees of its parent order and the market, and what it may ask for."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.algos import Parent, ParentStatus
from engine.model.decimals import ONE, ZERO
from engine.model.ids import ClientOrderId
from engine.model.instrument import CASH_KINDS, Instrument
from engine.model.order import Order, OrderSide, OrderStatus, OrderType
from engine.model.risk import Quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Action", "Amend", "Cancel", "End", "Place", "View", "Wait", "may_trade", "worst_price"]

_UNANSWERED = frozenset({OrderStatus.PENDING, OrderStatus.SUBMITTED, OrderStatus.UNKNOWN})


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Submit an order for the parent; of its own side unless it leaves what was entered."""

    type: OrderType
    quantity: Decimal
    why: str
    price: Decimal | None = None
    stop_price: Decimal | None = None
    post_only: bool = False
    exits: bool = False
    """Whether it is of the other side and may only reduce."""
    oco_group: str | None = None


class Amend(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for other values of an open order of the parent; None keeps the value."""

    client_id: ClientOrderId
    quantity: Decimal | None = None
    price: Decimal | None = None
    stop_price: Decimal | None = None


class Cancel(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for the end of an open order of the parent."""

    client_id: ClientOrderId
    why: str


class End(msgspec.Struct, frozen=True, kw_only=True):
    """The parent is over."""

    status: ParentStatus
    why: str


class Wait(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing now, though something is due."""

    why: str


Action = Place | Amend | Cancel | End | Wait


def worst_price(parent: Parent) -> Decimal | None:
    """The worst price at which a parent order may trade: its plan's own or that of its slippage limit; None for any."""
    own: Decimal | None = getattr(parent.plan, "price", None)
    if parent.max_slippage is None or parent.arrival is None:
        return own
    slipped = parent.arrival * (ONE + parent.side.sign * parent.max_slippage)
    if own is None:
        return slipped
    return min(own, slipped) if parent.side is OrderSide.BUY else max(own, slipped)


def may_trade(parent: Parent, quote: Quote | None) -> bool:
    """Whether a parent order runs and the market is at a price at which it may take; one that rests has its own."""
    if parent.status is not ParentStatus.RUNNING or quote is None:
        return False
    worst, side = worst_price(parent), parent.side
    other = quote.ask if side is OrderSide.BUY else quote.bid
    if worst is None or getattr(parent.plan, "passive", False):
        return True
    return other is not None and side.sign * (other - worst) <= ZERO


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One parent order at one moment. Everything a machine decides follows from this and nothing else."""

    parent: Parent
    children: tuple[Order, ...]
    """Its open orders, oldest first."""
    now: int
    """UTC nanoseconds."""
    instrument: Instrument
    quote: Quote | None
    """The present market; None when it is not known, or too old to trade on."""
    heard: Decimal = ZERO
    """Volume traded since this process looks after the parent and while it might trade as well, in its units."""
    before: Decimal = ZERO
    """What of the parent was executed when it began to."""
    blocked: str = ""
    """Why nothing may be entered now, as a sentence; empty when it may. What protects goes on."""
    refusals: int = 0
    """Its last orders of its own side that the risk gate refused."""
    exit_refusals: int = 0
    """Its last orders of the other side that it refused."""
    withdrawn: bool = False
    """Whether somebody else cancelled the entry of a bracket: it enters nothing more, and ends with what it holds."""
    offset: Decimal = ZERO
    """Spreads by which a slice rests away from the own side's best price; below 0 towards the other side's."""
    visible: Decimal | None = None
    """What can be seen in the book to be taken at no worse than its worst price; None where that is not known."""
    sigma: float | None = None
    """Volatility of the last minutes, as that of a day; None while it is not known."""

    # --- children ----------------------------------------------------------------------------------------------------

    @property
    def entries(self) -> list[Order]:
        """Open orders of the parent's own side."""
        return [order for order in self.children if order.side is self.parent.side]

    @property
    def exits(self) -> list[Order]:
        """Open orders of the other side."""
        return [order for order in self.children if order.side is not self.parent.side]

    @property
    def in_doubt(self) -> bool:
        """Whether something that was asked for has not been answered: what it led to must be known first."""
        return self.doubts(self.children)

    @staticmethod
    def doubts(orders: Iterable[Order]) -> bool:
        """The same of some of the orders."""
        return any(order.status in _UNANSWERED or order.pending_amends or order.cancel_requested for order in orders)

    # --- quantities --------------------------------------------------------------------------------------------------

    @property
    def working(self) -> Decimal:
        """The most that open orders of the own side may still execute."""
        return sum((order.working for order in self.entries), ZERO)

    @property
    def room(self) -> Decimal:
        """What is neither executed nor in flight: no order may be larger."""
        return max(self.parent.remaining - self.working, ZERO)

    def allowance(self, rate: Decimal) -> Decimal:
        """What may be added to stay within a share of the volume that was traded; volume nobody heard gives none."""
        return self.before + rate * self.heard - self.parent.executed - self.working

    @property
    def least(self) -> Decimal:
        """The smallest quantity that can be ordered now, in whole lots."""
        rules = self.instrument.current_rules
        least = max(rules.min_quantity, rules.lot)
        mark = self.quote.mark if self.quote is not None else None
        if rules.min_notional and mark:
            # A tenth more: it is held against the price of the order and not against the mark.
            worth = rules.min_notional * Decimal("1.1") / (mark * self.instrument.multiplier)
            whole = self.instrument.floor_quantity(worth)
            least = max(least, whole + rules.lot if whole < worth else whole)
        return least

    def sized(self, wanted: Decimal, most: Decimal | None = None) -> Decimal:
        """A quantity that can be ordered: at most `wanted`, but no rest too small to be traded is left behind.

        Args:
            wanted: What shall be traded now.
            most: A cap that the rest may not break; None for none but the parent's own quantity.

        Returns:
            Whole lots; 0 where that is less than the smallest order.
        """
        room = self.room if most is None else min(self.room, most)
        if room - wanted < self.least:
            wanted = room
        largest = self.instrument.current_rules.max_quantity
        quantity = self.instrument.floor_quantity(max(min(wanted, room, largest or room), ZERO))
        return quantity if quantity >= self.least else ZERO

    @property
    def held(self) -> Decimal:
        """What of the executed quantity is still held, in whole lots: fees in the base asset are gone."""
        parent, instrument = self.parent, self.instrument
        held = parent.executed - parent.exited
        if instrument.kind in CASH_KINDS and parent.side is OrderSide.BUY:
            held -= parent.fees.get(instrument.base, ZERO)
        return instrument.floor_quantity(max(held, ZERO))

    # --- conditions --------------------------------------------------------------------------------------------------

    @property
    def spread(self) -> float | None:
        """Distance between the best prices as a fraction of the price; None without both."""
        quote = self.quote
        return None if quote is None else _spread(quote.bid, quote.ask)

    @property
    def usual_spread(self) -> float | None:
        """The same when the parent order was decided."""
        return _spread(self.parent.decision.best_bid, self.parent.decision.best_ask)

    @property
    def restlessness(self) -> float | None:
        """Volatility of the last minutes as a multiple of what it was taken to be; None where either is not known."""
        told = self.parent.decision.impact
        if self.sigma is None or told is None or not told.sigma:
            return None
        return self.sigma / told.sigma

    # --- prices ------------------------------------------------------------------------------------------------------

    def best(self, side: OrderSide) -> Decimal | None:
        """Best price on the side of the book where orders of `side` rest."""
        if self.quote is None:
            return None
        return self.quote.bid if side is OrderSide.BUY else self.quote.ask

    def slippage(self) -> Decimal | None:
        """How much worse than at its arrival the parent is priced, as a fraction: its mean price, or the next one."""
        parent, arrival = self.parent, self.parent.arrival
        if not arrival:
            return None
        worst = max(self._prices(), key=lambda price: parent.side.sign * price, default=None)
        return None if worst is None else parent.side.sign * (worst / arrival - ONE)

    def _prices(self) -> Iterator[Decimal]:
        parent = self.parent
        if parent.executed:
            yield parent.cost / (parent.executed * self.instrument.multiplier)
        next_price = self.best(parent.side.opposite)
        if next_price is not None:
            yield next_price


def _spread(bid: Decimal | None, ask: Decimal | None) -> float | None:
    return None if bid is None or ask is None else float((ask - bid) / (ask + bid) * 2)

"""The seam between the exchange and the ways of filling: what a fill model is asked, and what it may ask back."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.model.ids import TradeId
    from engine.model.order import Liquidity, OrderStatus
    from engine.venues.paper.orders import PaperOrder, Terms

__all__ = ["Clearing", "FillKind", "FillModel"]


class FillKind(enum.StrEnum):
    """What an instrument's orders are matched against."""

    BOOK = "book"
    """A level-2 book and public trades."""
    TOP = "top"
    """The best prices of a market whose deeper levels are not known, and public trades."""
    BAR = "bar"
    """Closed bars."""


class FillModel(Protocol):
    """Decides when, how much and at which price the working orders of one instrument fill.

    A model never touches money: it calls `Clearing`, which may fill less than it was asked to.
    """

    def reference(self, *, buy: bool) -> int | None:
        """Scaled price a market order would be valued at now; None when there is no market."""

    def crosses(self, *, buy: bool, price: int) -> bool:
        """Whether a limit order at a scaled price would take liquidity at once."""

    def add(self, order: PaperOrder, now: int) -> None:
        """Take in an accepted order; it may fill or end at once."""

    def restore(self, order: PaperOrder) -> None:
        """Take in an order that was working before a restart, as it stands."""

    def amended(self, order: PaperOrder, now: int, *, keeps_place: bool) -> None:
        """The order's price, trigger or quantity changed; unless it keeps its place it queues anew and may fill."""

    def remove(self, order: PaperOrder) -> None:
        """The order has ended; an order that is not there is no error."""

    def working(self) -> Sequence[PaperOrder]:
        """The orders it holds, in order of arrival."""


class Clearing(Protocol):
    """What a fill model may do to orders."""

    def terms(self, now: int) -> Terms:
        """The instrument's rules in force."""

    def fill(
        self,
        order: PaperOrder,
        price: int,
        quantity: int,
        liquidity: Liquidity,
        ts: int,
        trade_id: TradeId | None = None,
    ) -> int:
        """Book an execution, at most what the balance and a reduce-only position allow; the rest is canceled.

        Returns:
            The scaled quantity that was booked. The order may have ended, and other orders with it.
        """

    def payable(self, order: PaperOrder, price: int, quantity: int) -> int:
        """How much of a scaled quantity the balance and a reduce-only position allow at a price."""

    def trigger(self, order: PaperOrder, ts: int) -> None:
        """The order's trigger was reached."""

    def end(self, order: PaperOrder, status: OrderStatus, reason: str, ts: int) -> None:
        """End an order without a fill: canceled or expired."""

    def new_trade_id(self) -> TradeId:
        """A trade id for an execution that is booked on two orders."""

    def react(self) -> None:
        """Hand what was reported so far to whoever follows the bar; it may place, amend and cancel orders."""

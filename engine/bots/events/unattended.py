"""What is done for the positions of a bot on books that is not up: they stay as they are, in every market.

Only its strategy knows what they are for, so no stop is placed and nothing is closed. What could open or enlarge one is
cancelled, what reduces it goes on working. A closing that a person has asked for is brought to its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.bots.protection import BotMemory, Protection
from engine.errors import QuarterdeckError
from engine.model.order import Decision, Order, OrderSide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.model.ids import AccountId, Owner
    from engine.model.instrument import Instrument
    from engine.model.order import OrderType
    from engine.model.risk import Quotes

__all__ = ["Unattended"]

_CHANGES = (
    ev.OrderFilled,
    ev.PositionLiquidated,
    ev.OrderCanceled,
    ev.OrderExpired,
    ev.OrderRejected,
    ev.OrderAccepted,
)
"""What may change which orders enlarge a position, or let a closing go on."""


class Unattended:
    """The positions and orders of one bot on books, without its strategy.

    Args:
        owner: The bot.
        places: Its markets, and in which account each is traded.
        desk: Takes orders.
        ledger: Its state is what is held and open.
        quotes: Present markets, by which dust is told.
        memory: What the bot remembered last; a closing in it goes on.
    """

    def __init__(
        self,
        owner: Owner,
        places: Sequence[tuple[Instrument, AccountId]],
        desk: Desk,
        ledger: Ledger,
        quotes: Quotes,
        memory: BotMemory,
    ) -> None:
        self.memory = memory
        self._markets = [_Market(owner, account, one, desk, ledger, quotes, 0.0, _plain) for one, account in places]
        for market in self._markets:
            market.memory.closing = memory.closing

    def protect(self) -> None:
        """Take away what enlarges a position. Raises what a market's venue or risk said, after all had their turn."""
        self._each(lambda market: market.protect())

    def heal(self) -> None:
        """As `protect`, and try again what was refused."""
        self._each(lambda market: market.heal())

    def on_fact(self, event: ev.Event) -> None:
        """Hear a fact about one of the bot's orders or positions. Raises as `protect`."""
        if isinstance(event, _CHANGES):
            self.protect()

    def close(self, reason: str) -> None:
        """Cancel everything, then close every position at the market. Raises as `protect`."""
        self._each(lambda market: market.close(reason))

    def _each(self, call: Callable[[_Market], None]) -> None:
        failed: QuarterdeckError | None = None
        for market in self._markets:
            try:
                call(market)
            except QuarterdeckError as error:
                failed = failed or error
        self.memory.closing = next((market.memory.closing for market in self._markets if market.memory.closing), "")
        if failed is not None:
            raise failed


class _Market(Protection):
    """The part of one market. All its orders are taken for such as may fill in either direction."""

    def orders(self) -> list[Order]:
        """The bot's open orders in this market, oldest first."""
        return [order for order in super().orders() if order.instrument == self._instrument.id]

    def reducing(self) -> list[Order]:
        """All of them: a closing waits until each has ended."""
        return self.orders()

    def entering(self) -> list[Order]:
        """None apart from the others."""
        return []

    def protect(self) -> None:
        """Cancel what could open or enlarge the position, or go on closing it."""
        if self.memory.closing:
            super().protect()
            return
        quantity = self.quantity
        side, room = (OrderSide.SELL if quantity > 0 else OrderSide.BUY), abs(quantity)
        enlarging = []
        for order in self.orders():
            left = order.remaining
            if order.side is side and left <= room:
                room -= left
            elif not (order.reduce_only and quantity and order.side is side):
                enlarging.append(order)
        self.cancel(enlarging, "its bot is not up, and it could enlarge a position")

    def _not_protected(self, kind: OrderType, why: str) -> None:
        """A refused order is no reason to close anything here."""


def _plain(reason: str) -> Decision:
    return Decision(reason=reason, strategy="")

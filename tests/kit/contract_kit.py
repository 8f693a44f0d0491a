"""What the contract suite asks of a venue's test module (`VenueHarness`), and what its tests have in common."""

from __future__ import annotations

from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pytest

from engine.events import OrderAccepted, OrderCanceled, OrderExpired, OrderFilled, OrderRejected
from engine.model.ids import ClientOrderId
from engine.model.order import OrderSide, OrderType
from engine.model.venue import OrderCommand, Venue

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.clock import Clock
    from engine.events import VenueEvent
    from engine.model.fill import Fill
    from engine.model.ids import AccountId
    from engine.model.instrument import Instrument
    from engine.model.market import MarketEvent

__all__ = ["ENDS", "ContractKit", "VenueHarness"]

T = TypeVar("T")
ENDS = (OrderCanceled, OrderExpired, OrderRejected)


class VenueHarness(Protocol):
    """A started venue with a live market and an account that can pay for what the suite orders."""

    venue: Venue
    account: AccountId
    instrument: Instrument
    """What the suite trades; the account holds quote for 20 times `size` and no base."""
    size: Decimal
    """A quantity well above the minimum and well below what the book shows at its best price."""
    clock: Clock
    events: list[tuple[AccountId, VenueEvent]]
    """Everything the event sink has heard."""
    market: list[MarketEvent]
    """Everything the market sink has heard."""

    async def call(self, request: Awaitable[T]) -> T:
        """Await a request while time goes on."""

    async def until(self, true: Callable[[], object]) -> None:
        """Let time go on until a condition holds; fail when it takes too long."""

    async def restart(self) -> None:
        """End the venue and start another one over the same outside world."""


_ids = count(1)


class ContractKit:
    """What the tests of the suite order, wait for and look at."""

    # --- helpers -----------------------------------------------------------------------------------------------------

    @staticmethod
    def order(h: VenueHarness, side: OrderSide, kind: OrderType = OrderType.MARKET, **fields: Any) -> OrderCommand:
        return OrderCommand(
            client_id=ClientOrderId(f"contract{next(_ids)}"),
            instrument=h.instrument.id,
            side=side,
            type=kind,
            **{"account": h.account, "quantity": h.size, **fields},
        )

    @staticmethod
    async def best(h: VenueHarness) -> tuple[Decimal, Decimal]:
        """Best bid and ask."""
        book = await h.call(h.venue.book(h.instrument.id, 1))
        return h.instrument.price_from_int(book.bids[0][0]), h.instrument.price_from_int(book.asks[0][0])

    async def away(self, h: VenueHarness, side: OrderSide, share: str = "0.05") -> Decimal:
        """A price on the grid that far from the market, where an order rests."""
        bid, ask = await self.best(h)
        if side is OrderSide.BUY:
            return h.instrument.round_price(bid * (1 - Decimal(share)), up=False)
        return h.instrument.round_price(ask * (1 + Decimal(share)), up=True)

    @staticmethod
    def heard(h: VenueHarness, client_id: ClientOrderId) -> list[VenueEvent]:
        """What was reported about an order."""
        return [
            e for _, e in h.events if (e.fill.client_id if isinstance(e, OrderFilled) else e.client_id) == client_id
        ]

    def fills(self, h: VenueHarness, client_id: ClientOrderId) -> list[Fill]:
        return [event.fill for event in self.heard(h, client_id) if isinstance(event, OrderFilled)]

    async def send(self, h: VenueHarness, command: OrderCommand) -> None:
        """Place an order and wait for the first report."""
        await h.call(h.venue.place(command))
        await h.until(lambda: self.heard(h, command.client_id))

    async def rest(self, h: VenueHarness, side: OrderSide = OrderSide.BUY, **fields: Any) -> OrderCommand:
        """A limit order that rests."""
        command = self.order(h, side, OrderType.LIMIT, price=await self.away(h, side), **fields)
        await self.send(h, command)
        assert isinstance(self.heard(h, command.client_id)[0], OrderAccepted)
        return command

    async def buy(self, h: VenueHarness) -> OrderCommand:
        """A market order that fills."""
        command = self.order(h, OrderSide.BUY)
        await self.send(h, command)
        await h.until(lambda: sum(f.quantity for f in self.fills(h, command.client_id)) == h.size)
        return command

    @staticmethod
    async def money(h: VenueHarness) -> dict[str, tuple[Decimal, Decimal]]:
        """(total, locked) by currency."""
        return {b.currency: (b.total, b.locked) for b in await h.call(h.venue.balances(h.account))}

    @staticmethod
    def require(able: object, what: str) -> None:
        if not able:
            pytest.skip(f"the venue has no {what}")

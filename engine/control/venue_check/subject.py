"""A venue under check: what it has said, what was ordered there, and waiting for what must come."""

from __future__ import annotations

import secrets
from collections import deque
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from engine.events import OrderAccepted, OrderCanceled, OrderExpired, OrderFilled, OrderRejected
from engine.model.ids import ClientOrderId
from engine.model.market import BookMoved
from engine.model.order import OrderType
from engine.model.venue import OrderCommand

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.clock import Clock
    from engine.events import VenueEvent
    from engine.model.fill import Fill
    from engine.model.ids import AccountId, InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.margin import MarginMode
    from engine.model.market import MarketEvent
    from engine.model.order import OrderSide
    from engine.model.venue import Venue

__all__ = ["ENDS", "CheckFailedError", "CheckSkippedError", "CheckWarning", "Subject"]

ENDS = (OrderCanceled, OrderExpired, OrderRejected)
_PAUSE_S = 0.05
_KEPT = 2_000


class CheckFailedError(Exception):
    """The venue does not do what the engine relies on; the message says what."""


class CheckSkippedError(Exception):
    """There is nothing to check here; the message says why."""


class CheckWarning(Exception):
    """It works, and a person should know something about it."""


class Subject:
    """A venue with its account, and all that was heard of it.

    Args:
        venue: Not started yet.
        account: Whose orders and balances; None where only the market is looked at.
        instrument: What is looked at and traded.
        clock: The venue's.
        patience_s: Longest wait for anything that must come.
        quiet_s: Longest wait for public trades and books, which may be rare.
    """

    instrument: Instrument
    """Known once the instruments were listed."""

    def __init__(
        self,
        venue: Venue,
        account: AccountId | None,
        instrument: InstrumentId,
        clock: Clock,
        *,
        patience_s: float = 30.0,
        quiet_s: float = 60.0,
    ) -> None:
        self.venue = venue
        self.account = account
        self.wanted = instrument
        self.clock = clock
        self.patience_s = patience_s
        self.quiet_s = quiet_s
        self.market: deque[Any] = deque(maxlen=_KEPT)
        self.events: list[VenueEvent] = []
        self.placed: dict[ClientOrderId, OrderCommand] = {}
        """Everything that was ordered, in order, whether or not it arrived."""
        self.margin_mode: MarginMode | None = None
        """What orders in a derivative name, where the venue told it."""
        self.bought: OrderCommand | None = None
        """What was bought and is still to be given back."""
        self.cursor = ""
        """Up to where executions were read before the first order."""
        # Letters alone: nobody takes them for the number of somebody's order, nor does the report.
        self._nonce = "".join(secrets.choice(ascii_lowercase) for _ in range(8))

    # --- hearing -----------------------------------------------------------------------------------------------------

    def hear(self, account: AccountId, event: VenueEvent) -> None:
        """The private sink; others' accounts are passed over."""
        if account == self.account:
            self.events.append(event)

    def see(self, event: MarketEvent) -> None:
        """The public sink."""
        if event.instrument == self.wanted:
            # What changed in a kept book can be asked for now only.
            self.market.append(event.changes() if isinstance(event, BookMoved) else event)

    def heard(self, client_id: ClientOrderId) -> list[VenueEvent]:
        """What was reported about an order, in order."""
        return [
            event
            for event in self.events
            if (event.fill.client_id if isinstance(event, OrderFilled) else getattr(event, "client_id", ""))
            == client_id
        ]

    def fills(self, client_id: ClientOrderId) -> list[Fill]:
        """Executions that were reported of an order."""
        return [event.fill for event in self.heard(client_id) if isinstance(event, OrderFilled)]

    async def until(self, true: Callable[[], object], what: str, *, seconds: float | None = None) -> None:
        """Wait until a condition holds. Raises CheckFailedError: it did not within the patience."""
        limit = self.patience_s if seconds is None else seconds
        end = self.clock.monotonic() + int(limit * 1e9)
        while not true():
            if self.clock.monotonic() > end:
                raise CheckFailedError(f"{what} within {limit:g} s.")
            await self.clock.sleep(_PAUSE_S)

    # --- ordering ----------------------------------------------------------------------------------------------------

    @property
    def who(self) -> AccountId:
        """The account. Raises CheckSkippedError: there is none."""
        if self.account is None:
            raise CheckSkippedError("No account: the settings keep this venue on paper, which needs no key.")
        return self.account

    def fresh_id(self) -> ClientOrderId:
        """An id that no other order has, recognisable as the check's."""
        return ClientOrderId(f"qdcheck{self._nonce}n{len(self.placed) + 1}")

    async def order(self, side: OrderSide, kind: OrderType = OrderType.MARKET, **fields: Any) -> OrderCommand:
        """Send an order and wait for its first report."""
        command = OrderCommand(
            client_id=self.fresh_id(),
            account=self.who,
            instrument=self.instrument.id,
            side=side,
            type=kind,
            margin_mode=self.margin_mode,
            **fields,
        )
        # Noted first: an order without an answer may have arrived.
        self.placed[command.client_id] = command
        await self.venue.place(command)
        await self.until(lambda: self.heard(command.client_id), "No report of the order arrived")
        first = self.heard(command.client_id)[0]
        if isinstance(first, OrderRejected):
            raise CheckFailedError(f"The order was refused: {first.reason} ({first.code})")
        if not isinstance(first, OrderAccepted):
            raise CheckFailedError(f"The first report of the order was {type(first).__name__}, not its acceptance.")
        return command

    async def end(self, command: OrderCommand) -> None:
        """Cancel an order and wait until the venue has said so."""
        await self.venue.cancel(self.who, command.client_id)
        await self.until(
            lambda: any(isinstance(event, ENDS) for event in self.heard(command.client_id)),
            "The end of the order was not reported",
        )

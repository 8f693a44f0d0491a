"""What the adapter of a venue fills in: its connections, and requests that are answered with model objects.

`NativeVenue` calls these; it has said already that the venue is open, that the account exists and that the instrument
is listed, and it decides what becomes of an error.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from engine.events import VenueEvent
    from engine.model.candle import Candle
    from engine.model.credentials import Credentials
    from engine.model.ids import AccountId, ClientOrderId
    from engine.model.instrument import Instrument
    from engine.model.venue import OrderCommand, VenueOrder
    from engine.venues.native.line import AccountLine, MarketFeed, PrivateStream
    from engine.venues.native.request import Transport

__all__ = ["Seams"]


class Seams(abc.ABC):
    """Where venues differ. Every method raises the typed errors of `engine.model.venue.Venue`."""

    @abc.abstractmethod
    def _transport(self, account: AccountId | None, credentials: Credentials | None) -> Transport:
        """Make the way of an account's requests, or of public ones; nothing is sent yet."""

    @abc.abstractmethod
    async def _end_transport(self, transport: Transport) -> None:
        """Release what `_transport` made; idempotent."""

    @abc.abstractmethod
    def _private_stream(self, line: AccountLine) -> PrivateStream:
        """Make an account's private stream; it calls `line.on_up`, `line.on_down` and `line.heard`."""

    @abc.abstractmethod
    def _market_feed(self) -> MarketFeed:
        """Make the markets' connections; they call `show`."""

    @abc.abstractmethod
    async def _listings(self) -> Sequence[tuple[str, Instrument]]:
        """Fetch what can be traded, of the supported kinds only, each with the venue's own symbol.

        What is listed and not traded now is given to `catalogue.remember`.
        """

    @abc.abstractmethod
    async def _send(self, line: AccountLine, instrument: Instrument, command: OrderCommand) -> Sequence[VenueEvent]:
        """Send an order once and give what the answer says about it. Raises as `Venue.place`, or a refusal."""

    @abc.abstractmethod
    async def _end_order(self, line: AccountLine, client_id: ClientOrderId) -> Sequence[VenueEvent]:
        """Cancel an order and give what the answer says about it. Raises as `_send`."""

    @abc.abstractmethod
    async def _change_order(
        self,
        line: AccountLine,
        client_id: ClientOrderId,
        quantity: Decimal | None,
        price: Decimal | None,
        stop_price: Decimal | None,
    ) -> Sequence[VenueEvent]:
        """Change a working order in place and give what the answer says about it. Raises as `_send`."""

    @abc.abstractmethod
    async def _open_orders(self, line: AccountLine) -> Sequence[VenueOrder]:
        """All working orders of an account."""

    @abc.abstractmethod
    async def _find_order(self, line: AccountLine, client_id: ClientOrderId) -> VenueOrder | None:
        """Look an order up by our id, whatever became of it; None only for the venue's own word that it has none."""

    @abc.abstractmethod
    async def _candle_page(self, instrument: Instrument, timeframe: str, end: int, limit: int) -> Sequence[Candle]:
        """At most one page of candles that opened before `end` (UTC nanoseconds), oldest first."""

    def _named(self, symbol: str) -> Instrument | None:
        """What a symbol that is not listed was, as far as its name says for certain; only for look-ups."""
        return None

    async def _opened(self, line: AccountLine) -> None:  # noqa: B027  most venues have nothing to check
        """Check an account before its stream is opened: its mode, its permissions. Raises typed errors."""

    async def _prepared(self) -> None:  # noqa: B027  most venues need nothing
        """Ask once, before the instruments are fetched, for what everything needs, such as the venue's time."""

    def _clock_offset_ms(self) -> float | None:
        """The venue's clock minus ours; None before it was measured."""
        return None

    def _limits(self) -> dict[str, float]:
        """Share of each rate limit that is used now."""
        return {}

    def _paused_until(self) -> int:
        """UTC nanoseconds until which the venue has forbidden requests."""
        return 0

    @abc.abstractmethod
    async def server_time(self) -> int:
        """The venue's clock in UTC nanoseconds. Raises ExchangeConnectionError."""

    async def _is_well(self) -> bool:
        """Whether the venue, which seemed to be maintained, answers again; may raise instead."""
        await self.server_time()
        return True

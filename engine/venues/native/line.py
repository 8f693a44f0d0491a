"""One account's way to a venue, and what its connections have to offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from engine import events as ev
from engine.venues.native.reports import Reports
from engine.venues.native.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.events import VenueEvent
    from engine.model.ids import AccountId, ClientOrderId
    from engine.model.instrument import Instrument
    from engine.model.venue import StreamHealth
    from engine.venues.native.request import Transport
    from engine.venues.native.venue import NativeVenue

__all__ = ["AccountLine", "MarketFeed", "PrivateStream"]


class PrivateStream(Protocol):
    """One account's reports. Once open it keeps itself up, and tells its `AccountLine` whenever it is up or down."""

    async def open(self) -> None:
        """Connect, log in and subscribe until reports flow. Raises typed errors and leaves nothing open then."""

    async def close(self) -> None:
        """Disconnect; idempotent."""

    def renew(self, reason: str) -> None:
        """Give the connection up and make a new one; returns at once."""

    def health(self) -> StreamHealth:
        """How it is."""


class MarketFeed(Protocol):
    """The markets' connections of one venue. It keeps itself up, and emits to the venue's `show`."""

    @property
    def up(self) -> bool:
        """False while something is watched and nothing can be heard."""

    async def watch(self, instruments: Sequence[Instrument]) -> None:
        """Deliver these too; watching again changes nothing. Raises ExchangeConnectionError."""

    async def unwatch(self, instruments: Sequence[Instrument]) -> None:
        """Deliver nothing more of these, from the call on."""

    async def close(self) -> None:
        """Disconnect everything; idempotent."""

    def health(self) -> Sequence[StreamHealth]:
        """How each connection is."""


class AccountLine:
    """One account's way to the venue: its requests, its private stream, and what was told of it."""

    def __init__(self, account: AccountId, transport: Transport, venue: NativeVenue) -> None:
        self.account = account
        self.transport = transport
        self.stream: PrivateStream | None = None
        self.reports = Reports(lambda event: venue.tell(account, event))
        self.witness = Witness()
        self.up = False
        self.ups = 0
        """How often its stream has come up."""
        self._venue = venue

    def on_up(self) -> None:
        """The private stream is up: logged in, subscribed, nothing of what happens from now on is missed."""
        self.ups += 1
        self.witness.began(self._venue.venue_now())
        if self.ups > 1:
            # Before it shows as up, so that nothing is sent on books that have not been compared.
            self._venue.ask_to_compare()
        self.up = True
        self._venue.private_moved(self)

    def on_down(self, reason: str) -> None:
        """The private stream is lost."""
        if self.up:
            self.up = False
            self._venue.private_moved(self, reason=reason)

    def heard(self, events: Iterable[VenueEvent]) -> None:
        """The private stream reports."""
        events = list(events)
        for event in events:
            client_id, ts, is_open = _about(event)
            if client_id:
                self.witness.told(client_id, ts, is_open=is_open)
        self.reports.take(events)

    def answered(self, events: Iterable[VenueEvent]) -> None:
        """The answer to a request reports the same in its own words."""
        events, now = list(events), self._venue.clock.now()
        for event in events:
            client_id, ts, _ = _about(event)
            if client_id and not isinstance(event, ev.OrderRejected | ev.OrderCancelRejected):
                # What was refused never was; a stream has nothing to tell about it.
                self.witness.answered(client_id, ts, now)
        self.reports.take(events)


def _about(event: VenueEvent) -> tuple[ClientOrderId, int, bool | None]:
    """Whose event it is, when it happened at the venue, and whether the order is open after it; None if unknown."""
    if isinstance(event, ev.OrderFilled):
        # It may have been the last one: a list that no longer has the order contradicts nothing.
        return event.fill.client_id, event.fill.ts, None
    return event.client_id, event.ts, not isinstance(event, ev.OrderRejected | ev.OrderCanceled | ev.OrderExpired)

"""Finding an order without a look-up by client id: whole listings since the intent, and when their silence counts.

Some exchanges know orders by their own ids only. What an account's order ids are is learnt from every answer and
report; an order that nothing has named yet is looked for in a listing of all orders, whatever their status. That a
listing does not hold it proves nothing by itself, for orders become visible late. It counts as *not found* after two
complete listings of which the later was asked for `VISIBLE_AFTER_S` after the deadline of the order's request. A
listing that says that it is cut, or that does not hold an order which is known to exist, is not complete.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from engine.errors import NotVisibleYetError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from engine.clock import Clock
    from engine.model.ids import ClientOrderId, VenueId, VenueOrderId

__all__ = ["LISTING_CUT", "NOT_YET", "VISIBLE_AFTER_S", "Listed", "Named", "Search"]

Row = TypeVar("Row")

VISIBLE_AFTER_S = 30.0
"""How long after a request's deadline an order may still appear in listings."""

KNOWN = 50_000
"""Orders whose ids are remembered; those of which nothing was heard the longest are forgotten first."""
MARGIN_NS = 60_000_000_000
"""How much earlier than we sent it the venue may date an order: clocks differ."""
CHECKED_NS = 3_600_000_000_000
"""Known orders not older than this have to be in a listing for it to be complete."""
NOT_YET = "not_visible_yet"
"""Code of the error that proves nothing."""
LISTING_CUT = "listing_cut"
"""Code of the error that says that a listing is not complete."""


class Named(NamedTuple):
    """What a row says about the order's names."""

    client_id: ClientOrderId
    """Empty where it has none, or tells none."""
    number: VenueOrderId
    created: int
    """UTC nanoseconds."""


@dataclass(frozen=True, slots=True)
class Listed(Generic[Row]):
    """What a venue lists of all orders since a time."""

    rows: Sequence[Row]
    cut: str = ""
    """Why it is not certain that these are all, as the end of a sentence; empty when it is."""


@dataclass(frozen=True, slots=True)
class _Listing(Generic[Row]):
    """A listing and when it was made."""

    asked: int
    """UTC nanoseconds (engine clock) at which it was asked for."""
    listed: Listed[Row]


@dataclass(frozen=True, slots=True)
class _Intent:
    """An order that was sent and that nothing has named since."""

    sent: int
    deadline: int


class _Batch(Generic[Row]):
    """Questions that one listing answers."""

    def __init__(self) -> None:
        self.start: int | None = None
        self.wide = False
        self.listing: _Listing[Row] | None = None
        self.error: Exception | None = None

    def widen(self, start: int | None) -> None:
        if start is None:
            self.wide = True
        elif self.start is None or start < self.start:
            self.start = start


class Search(Generic[Row]):
    """What is known of one account's order ids.

    Args:
        venue: Whose, for sentences.
        fetch: Lists all orders created since a time (UTC nanoseconds by our clock; None for all), every page of them,
            or raises.
        named: What a row says about the order's names.
        clock: The engine's.
    """

    def __init__(
        self,
        venue: VenueId,
        fetch: Callable[[int | None], Awaitable[Listed[Row]]],
        named: Callable[[Row], Named],
        clock: Clock,
    ) -> None:
        self._venue = venue
        self._fetch = fetch
        self._named = named
        self._clock = clock
        self._numbers: OrderedDict[ClientOrderId, VenueOrderId] = OrderedDict()
        self._clients: dict[VenueOrderId, ClientOrderId] = {}
        self._created: dict[VenueOrderId, int] = {}
        """When each known order was made, UTC nanoseconds."""
        self._intents: OrderedDict[ClientOrderId, _Intent] = OrderedDict()
        self._silent: OrderedDict[ClientOrderId, int] = OrderedDict()
        """How many complete listings did not hold an order."""
        self._next: _Batch[Row] | None = None
        self._lock = asyncio.Lock()

    # --- what is known -----------------------------------------------------------------------------------------------

    def learn(self, client_id: ClientOrderId, number: VenueOrderId, created: int = 0) -> None:
        """An answer or a report names an order.

        Args:
            client_id: The client's id; orders without one are passed over.
            number: The venue's.
            created: When it was made, UTC nanoseconds; 0 for just now.
        """
        if not client_id or not number:
            return
        known = self._numbers.get(client_id)
        self._intents.pop(client_id, None)
        self._silent.pop(client_id, None)
        if known is None:
            self._numbers[client_id] = number
            self._clients[number] = client_id
            self._created[number] = created or self._clock.now()
            if len(self._numbers) > KNOWN:
                _, old = self._numbers.popitem(last=False)
                self._clients.pop(old, None)
                self._created.pop(old, None)
        else:
            self._numbers.move_to_end(client_id)

    def number(self, client_id: ClientOrderId) -> VenueOrderId | None:
        """The venue's id of an order, if it is known."""
        return self._numbers.get(client_id)

    def client_id(self, number: VenueOrderId) -> ClientOrderId | None:
        """The client's id of an order, if it is known."""
        return self._clients.get(number)

    def leaves(self, client_id: ClientOrderId, timeout_s: float) -> None:
        """An order is about to be sent; it may arrive within so many seconds."""
        now = self._clock.now()
        self._intents[client_id] = _Intent(now, now + int(timeout_s * 1e9))
        self._silent.pop(client_id, None)
        if len(self._intents) > KNOWN:
            self._intents.popitem(last=False)

    def never_was(self, client_id: ClientOrderId) -> None:
        """The venue refused an order, or it was not sent: it does not exist, and no listing has to be waited for."""
        self._intents.pop(client_id, None)

    def is_known(self, client_id: ClientOrderId) -> bool:
        """Whether an order of this id exists, or was sent and may exist."""
        return client_id in self._numbers or client_id in self._intents

    # --- looking -----------------------------------------------------------------------------------------------------

    async def find(self, client_id: ClientOrderId) -> Row | None:
        """Look an order up in listings; None once their silence counts.

        Raises:
            NotVisibleYetError: Nothing is known yet: it may become visible still, or the listing was not complete.
            ExchangeError: The venue did not answer, or not to the end.
        """
        intent = self._intents.get(client_id)
        while True:
            row = await self._look(client_id, None if intent is None else intent.sent - MARGIN_NS)
            if row is not None:
                return row
            silent = self._silent.get(client_id, 0)
            if intent is None:
                # Sent by an earlier process, or never: whoever asks knows when, and waits as `Capabilities` say.
                if silent >= 2:
                    return None
                continue
            if silent < 2:
                raise self._not_yet(client_id)
            return None

    async def _look(self, client_id: ClientOrderId, start: int | None) -> Row | None:
        listing = await self._listing(start)
        found = None
        for row in listing.listed.rows:
            if self._named(row).client_id == client_id:
                found = row
        if found is not None:
            return found
        self._check(client_id, listing, start)
        intent = self._intents.get(client_id)
        count = self._silent.get(client_id, 0) + 1
        late = intent is not None and listing.asked < intent.deadline + int(VISIBLE_AFTER_S * 1e9)
        # Early ones count for one, however many: the last one has to be a late one.
        self._silent[client_id] = min(count, 1) if late else count
        if len(self._silent) > KNOWN:
            self._silent.popitem(last=False)
        return None

    async def _listing(self, start: int | None) -> _Listing[Row]:
        """A listing asked for from now on; questions that wait at the same time share one."""
        batch = self._next
        if batch is None:
            batch = self._next = _Batch[Row]()
        batch.widen(start)
        async with self._lock:
            if batch.listing is None and batch.error is None:
                # Whoever comes from now on needs one that is asked for later.
                if self._next is batch:
                    self._next = None
                await self._list(batch)
        if batch.error is not None:
            raise batch.error
        assert batch.listing is not None
        return batch.listing

    async def _list(self, batch: _Batch[Row]) -> None:
        asked = self._clock.now()
        try:
            listed = await self._fetch(None if batch.wide else batch.start)
        except Exception as error:  # told to everybody who shares the listing
            batch.error = error
            return
        for row in listed.rows:
            self.learn(*self._named(row))
        batch.listing = _Listing(asked, listed)

    def _check(self, client_id: ClientOrderId, listing: _Listing[Row], start: int | None) -> None:
        """Raise when it is not certain that a listing holds every order."""
        if listing.listed.cut:
            raise NotVisibleYetError(
                f"{self._venue} does not list the order {client_id}, which proves nothing: {listing.listed.cut}.",
                error_code=LISTING_CUT,
            )
        since = max(listing.asked - CHECKED_NS, 0 if start is None else start + MARGIN_NS)
        held = {self._named(row).number for row in listing.listed.rows}
        for number, created in self._created.items():
            if since <= created < listing.asked and number not in held:
                raise NotVisibleYetError(
                    f"The list of orders of {self._venue} is not complete: it lacks one that exists. "
                    "It is asked for again.",
                    error_code=LISTING_CUT,
                )

    def _not_yet(self, client_id: ClientOrderId) -> NotVisibleYetError:
        return NotVisibleYetError(
            f"{self._venue} does not list the order {client_id}, which it may still do; it is asked for again.",
            error_code=NOT_YET,
        )

"""Whether a private stream really tells what happens: answers to requests are held against what it told.

Pings prove that a line stands, not that reports come through it. Each answer that shows a change of an order (placing,
cancelling, listing) is a claim that the stream has to confirm within a grace period; one that it does not confirm is
overdue, and the stream is not to be trusted any more.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.model.ids import ClientOrderId
    from engine.model.venue import VenueOrder

__all__ = ["Witness"]

GRACE_NS = 10_000_000_000
"""How much later than the answer the stream may tell the same."""
SLACK_NS = 1_000_000_000
"""How much older the stream's time of a change may be than the answer's; some venues stamp them apart."""
ORDERS = 20_000


class Witness:
    """Follows one private stream. Times of changes are the venue's, times of answers are ours; UTC nanoseconds."""

    def __init__(self) -> None:
        self._told: OrderedDict[ClientOrderId, int] = OrderedDict()
        self._open: dict[ClientOrderId, None] = {}
        self._claims: dict[ClientOrderId, tuple[int, int]] = {}
        """By order: when the venue changed it, and since when we know that from an answer."""
        self._since = 0

    def began(self, venue_now: int) -> None:
        """The stream begins to tell at this venue time; what happened before is no claim on it."""
        self._since = venue_now
        self._claims.clear()
        self._open.clear()

    def told(self, client_id: ClientOrderId, changed: int, *, is_open: bool | None) -> None:
        """The stream told about an order.

        Args:
            client_id: Which.
            changed: When the venue changed it.
            is_open: Whether it works after that; None where that is not said, as by an execution that may be the last.
        """
        self._told[client_id] = max(changed, self._told.get(client_id, 0))
        self._told.move_to_end(client_id)
        if len(self._told) > ORDERS:
            self._told.popitem(last=False)
        if is_open:
            self._open[client_id] = None
            if len(self._open) > ORDERS:
                del self._open[next(iter(self._open))]
        else:
            self._open.pop(client_id, None)
        claim = self._claims.get(client_id)
        if claim is not None and (is_open is False or changed + SLACK_NS >= claim[0]):
            del self._claims[client_id]

    def answered(self, client_id: ClientOrderId, changed: int, now: int) -> None:
        """An answer shows that the venue changed an order at that (venue) time."""
        if changed <= self._since + SLACK_NS or self._told.get(client_id, 0) + SLACK_NS >= changed:
            return
        known = self._claims.get(client_id)
        if known is None or known[0] < changed:
            self._claims[client_id] = changed, now if known is None else known[1]

    def listed(self, orders: Iterable[VenueOrder], asked: int, now: int) -> None:
        """The venue listed all open orders; what the stream holds for open and is not among them has to be told.

        Args:
            orders: All of them.
            asked: When the list was asked for, by the venue's clock.
            now: By ours.
        """
        found = set()
        for order in orders:
            found.add(order.client_id)
            self.answered(order.client_id, order.updated, now)
        for client_id in self._open.keys() - found:
            if self._told.get(client_id, 0) < asked - SLACK_NS:
                self._claims.setdefault(client_id, (asked, now))

    @property
    def follows(self) -> bool:
        """Whether any order is open as far as the stream told."""
        return bool(self._open)

    def overdue(self, now: int) -> list[ClientOrderId]:
        """Orders about which the stream should have told something by now."""
        return [client_id for client_id, (_, since) in self._claims.items() if now - since > GRACE_NS]

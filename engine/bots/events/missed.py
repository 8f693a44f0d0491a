"""What a bot on events has missed: facts about its orders since its memory was saved, told when it is up again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine import events as ev

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Iterator, Sequence

    from engine.ledger import Ledger
    from engine.model.ids import ClientOrderId, Owner
    from engine.model.order import Order
    from engine.state import EngineState

__all__ = ["TOLD", "FactsAfter", "Missed", "client_of", "open_before"]

FactsAfter = Callable[["Owner", int], "Awaitable[Sequence[ev.Record]]"]
"""Gives the durable facts about a bot's orders after a number of the journal, oldest first."""
TOLD = (
    ev.OrderIntended,
    ev.OrderAccepted,
    ev.OrderFilled,
    ev.OrderCanceled,
    ev.OrderExpired,
    ev.OrderRejected,
    ev.PositionLiquidated,
)
"""Facts that a strategy must hear of once, however often its engine ends in between."""


def client_of(event: ev.Event) -> ClientOrderId | None:
    """The order that a fact is about; None for any other."""
    if isinstance(event, ev.OrderFilled):
        return event.fill.client_id
    return getattr(event, "client_id", None)


def open_before(
    missed: Iterable[ev.Record], working: Iterable[Order], state: EngineState
) -> Iterator[tuple[Order, float]]:
    """The orders that were open when the first of some facts came, and how much of each these facts have filled.

    Args:
        missed: Facts about a bot's orders.
        working: Its orders that are open after them.
        state: As it is after them.
    """
    since: set[ClientOrderId] = set()
    filled: dict[ClientOrderId, float] = {}
    for record in missed:
        event, client_id = record.event, client_of(record.event)
        if client_id is None:
            continue
        if isinstance(event, ev.OrderIntended):
            since.add(client_id)
            continue
        more = float(event.fill.quantity) if isinstance(event, ev.OrderFilled) else 0.0
        filled[client_id] = filled.get(client_id, 0.0) + more
    known = {order.client_id: order for order in working}
    for client_id in filled:
        order = state.order(client_id)
        if order is not None:
            known.setdefault(client_id, order)
    for client_id, order in known.items():
        if client_id not in since:
            yield order, filled.get(client_id, 0.0)


class Missed:
    """Gathers the facts about a bot that is being built, until it hears them itself.

    Args:
        owner: The bot.
        ledger: Heard from now on, until `close`.
    """

    def __init__(self, owner: Owner, ledger: Ledger) -> None:
        self._owner = owner
        self._ledger = ledger
        self._facts: dict[int, ev.Record] = {}
        self._open = True
        ledger.subscribe(self._hear)

    async def look_back(self, after: int, facts: FactsAfter) -> None:
        """Take in what the journal has since a number. Raises what `facts` raises."""
        await self._ledger.journal.wait_durable(self._ledger.seq)
        self.add(await facts(self._owner, after))

    def add(self, records: Iterable[ev.Record]) -> None:
        """Take facts in; one known already counts once."""
        self._facts |= {record.seq: record for record in records if isinstance(record.event, TOLD)}

    def close(self) -> None:
        """Hear nothing more."""
        if self._open:
            self._open = False
            self._ledger.unsubscribe(self._hear)

    def since(self, seq: int) -> list[ev.Record]:
        """What has happened after a number, in its order."""
        return [self._facts[number] for number in sorted(self._facts) if number > seq]

    def _hear(self, record: ev.Record) -> None:
        event = record.event
        if not isinstance(event, TOLD):
            return
        owner = getattr(event, "owner", None)
        if owner is None:
            client_id = client_of(event)
            order: Order | None = None if client_id is None else self._ledger.state.order(client_id)
            owner = None if order is None else order.owner
        if owner == self._owner:
            self._facts[record.seq] = record

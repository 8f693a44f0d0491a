"""Faults that are planted into an engine of the fault test, by name: each must be found out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from engine import events as ev
from engine.control import service
from engine.errors import UnknownOutcomeError
from engine.execution import executions, reconcile
from engine.execution.dispatcher import Dispatcher
from engine.execution.inquiry import Inquiry, Tally
from engine.model.ids import TradeId
from engine.venue_unit import VenueUnit
from storage.journal import journal, schema
from tests.chaos.weather import Weather

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from engine.model.fill import Fill
    from engine.model.order import Order
    from engine.model.venue import OrderCommand, Venue

__all__ = ["DEFECTS", "DISK_DEFECTS", "plant"]


def _resend_on_timeout() -> None:
    """An order without an answer is sent again."""
    place = Weather.place

    async def insist(self: Weather, command: OrderCommand) -> None:
        try:
            await place(self, command)
        except UnknownOutcomeError:
            await place(self, command)

    Weather.place = insist  # type: ignore[method-assign]


def _book_fills_twice() -> None:
    """An execution that the venue is asked for has another name than when it was reported."""
    name = executions.named

    def rename(fills: Iterable[Fill]) -> Iterator[Fill]:
        for fill in name(fills):
            yield msgspec.structs.replace(fill, trade_id=TradeId(f"{fill.trade_id}again"))

    reconcile.named = rename  # type: ignore[attr-defined]


def _assume_canceled() -> None:
    """A cancel without an answer counts as done."""
    attempt = Dispatcher._try_cancel

    async def assume(self: Dispatcher, venue: Venue, order: Order) -> bool:
        if not await attempt(self, venue, order) and order.is_open:
            event = ev.OrderCanceled(client_id=order.client_id, reason="assumed", ts=self._clock.now())
            self._report(order, event)
        return True

    Dispatcher._try_cancel = assume  # type: ignore[method-assign]


def _start_without_asking() -> None:
    """A start trusts what it has booked."""

    async def nothing(*_: Any, **__: Any) -> None:
        await asyncio.sleep(0)

    async def none(*_: Any, **__: Any) -> Tally:
        await asyncio.sleep(0)
        return Tally()

    Dispatcher.recover = none  # type: ignore[method-assign]
    VenueUnit._settle_balances = nothing  # type: ignore[method-assign]
    Inquiry.look_over = none  # type: ignore[method-assign]


def _answer_before_durable() -> None:
    """A client is answered before what it asked for is on the disk."""

    async def at_once(*_: Any) -> None:
        await asyncio.sleep(0)

    service._kept = at_once  # type: ignore[assignment]


DEFECTS: dict[str, Callable[[], None]] = {
    "resend on timeout": _resend_on_timeout,
    "fill booked twice": _book_fills_twice,
    "cancel assumed done": _assume_canceled,
    "start without reconciling": _start_without_asking,
    "reply before durable": _answer_before_durable,
}


def _trust_the_cache() -> None:
    """The journal takes for durable what the system has only taken note of."""
    connect = schema.connect

    def careless(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*arguments, **options)
        connection.execute("PRAGMA synchronous = OFF")
        return connection

    journal.connect = careless  # type: ignore[attr-defined]


DISK_DEFECTS: dict[str, Callable[[], None]] = {
    "reply before durable": _answer_before_durable,
    "journal not synced": _trust_the_cache,
}
"""What the loss of power has to bring to light; a kill alone cannot show the second."""


def plant(name: str) -> None:
    """Plant a defect into this process; an empty name plants none."""
    if name:
        {**DEFECTS, **DISK_DEFECTS}[name]()

"""Faults that are planted into the engine of the wire chaos test, by name: the judge must find each of them."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import msgspec

from engine.errors import UnknownOutcomeError
from engine.execution import reconcile
from engine.execution.dispatcher import Dispatcher
from engine.execution.executions import named
from engine.execution.guard import VenueGuard
from engine.execution.inquiry import Inquiry, Tally
from engine.model.ids import TradeId
from engine.resilience.throttle import RequestThrottle
from engine.venue_unit import VenueUnit
from engine.venues.limits.lane import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from engine.model.fill import Fill
    from engine.model.ids import AccountId
    from engine.model.venue import OrderCommand, Venue

    Patches = Iterable[AbstractContextManager[Any]]

__all__ = ["DEFECTS", "planted"]


def _sent_again() -> Patches:
    """An order without an answer is sent again."""
    place = VenueGuard.place

    async def insist(self: VenueGuard, command: OrderCommand) -> None:
        try:
            await place(self, command)
        except UnknownOutcomeError:
            await place(self, command)

    return [patch.object(VenueGuard, "place", insist)]


def _not_found_believed() -> Patches:
    """That a venue does not know an order yet counts as its last word."""
    policy = Inquiry._policy

    def at_once(self: Inquiry, *arguments: Any, **more: Any) -> reconcile.Policy:
        return replace(policy(self, *arguments, **more), visibility_ns=0)

    return [patch.object(Inquiry, "_policy", at_once)]


def _fills_without_key() -> Patches:
    """An execution that the venue is asked for has another name than when it was reported."""

    def rename(fills: Iterable[Fill]) -> Iterator[Fill]:
        for fill in named(fills):
            yield msgspec.structs.replace(fill, trade_id=TradeId(f"{fill.trade_id}again"))

    return [patch.object(reconcile, "named", rename)]


def _loss_without_reconciling() -> Patches:
    """What a lost stream did not tell is never asked for."""

    async def nothing(*_: Any, **__: Any) -> None:
        await asyncio.sleep(0)

    async def none(*_: Any, **__: Any) -> Tally:
        await asyncio.sleep(0)
        return Tally()

    async def no_fills(self: Inquiry, _: Venue, account: AccountId) -> tuple[tuple[Fill, ...], str]:
        await asyncio.sleep(0)
        return (), self._ledger.state.cursors.get(account, "")

    return [
        patch.object(Inquiry, "_fetch", no_fills),
        patch.object(Inquiry, "look_over", none),
        patch.object(Dispatcher, "resync", nothing),
        patch.object(VenueUnit, "_settle_balances", nothing),
    ]


def _pauses_ignored() -> Patches:
    """A venue that wants fewer requests is asked on."""

    def go_on(*_: Any, **__: Any) -> None:
        return None

    places = ((Lane, "pause"), (Lane, "pause_limits"), (RequestThrottle, "pause"))
    return [patch.object(place, name, go_on) for place, name in places]


DEFECTS: dict[str, Callable[[], Patches]] = {
    "order sent again without an answer": _sent_again,
    "not found believed at once": _not_found_believed,
    "executions without their natural key": _fills_without_key,
    "lost stream not followed by reconciling": _loss_without_reconciling,
    "pauses of the venue ignored": _pauses_ignored,
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """The engines of this process have a defect for a while; an empty name plants none."""
    with ExitStack() as stack:
        for change in DEFECTS[name]() if name else ():
            stack.enter_context(change)
        yield

"""Clients of an engine: they place, change and cancel, note what they ask before and what they hear after."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any, Protocol

from engine.errors import ConflictError, EngineNotRunningError, HandoverError, QuarterdeckError
from tests.chaos.records import read_notes

if TYPE_CHECKING:
    import random
    from pathlib import Path

    from tests.chaos.records import Counts, Notes

__all__ = ["Trader", "unanswered"]

MARKETS = ("SIM:BTC/USDT", "SIM:ETH/USDT")
SIZE = {"SIM:BTC/USDT": 1, "SIM:ETH/USDT": 20}
"""Hundred-thousandths per unit of the drawn size."""
AGAIN_S = 0.05
KEPT = 12
"""Own orders remembered, to cancel or change one of them."""


class Link(Protocol):
    """Any door of the engine."""

    async def call(self, name: str, params: dict[str, Any], *, request_id: str | None = None) -> Any:
        """Run an operation."""


def unanswered(path: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """What was asked and never answered: (request id, operation, parameters)."""
    asked: dict[str, tuple[str, str, dict[str, Any]]] = {}
    for kind, request, *rest in read_notes(path):
        if kind == "ask":
            asked[request] = (request, rest[0], rest[1])
        else:
            asked.pop(request, None)
    return list(asked.values())


class Trader:
    """One client.

    Args:
        name: Begins its request ids; unique among all lives of a session.
        link: The engine's door.
        chance: Decides what it wants.
        notes: Where it notes what it asks and hears, before it goes on.
        counts: Counts orders.
        pause_s: Mean seconds between two wishes.
        outlives: Whether it goes on when another engine takes the place of this one.
    """

    def __init__(
        self,
        name: str,
        link: Link,
        chance: random.Random,
        notes: Notes,
        counts: Counts,
        pause_s: float,
        *,
        outlives: bool = False,
    ) -> None:
        self._outlives = outlives
        self._name = name
        self._link = link
        self._chance = chance
        self._notes = notes
        self._counts = counts
        self._pause_s = pause_s
        self._number = 0
        self._mine: list[str] = []
        self._books: dict[str, Any] = {}

    async def trade(self) -> None:
        """Go on until the process ends."""
        while True:
            try:
                await self._wish()
            except (EngineNotRunningError, HandoverError):
                # A question that changes nothing found nobody.
                self._books.clear()
            await asyncio.sleep(self._chance.uniform(0, 2 * self._pause_s))

    async def _wish(self) -> None:
        chance = self._chance.random()
        if self._mine and chance < 0.2:
            await self.ask("orders.cancel", {"client_id": self._chance.choice(self._mine)})
        elif self._mine and chance < 0.28:
            quantity = str(D(self._chance.randrange(20, 90)).scaleb(-5))
            await self.ask("orders.replace", {"client_id": self._chance.choice(self._mine), "quantity": quantity})
        else:
            await self._place()

    async def _place(self) -> None:
        chance = self._chance
        market = chance.choice(MARKETS)
        if self._number % 10 == 0 or market not in self._books:
            self._books[market] = await self._link.call("market.book", {"instrument": market, "depth": 1})
        book, side = self._books[market], chance.choice(("buy", "sell"))
        quantity = D(chance.randrange(20, 60) * SIZE[market]).scaleb(-5)
        params = {"instrument": market, "side": side, "quantity": str(quantity)}
        if chance.random() < 0.6 and book.bids and book.asks:
            away = chance.choice((0, 0, 1, 3)) * book.tick * 10
            price = book.bids[0][0] - away if side == "buy" else book.asks[0][0] + away
            params |= {"type": "limit", "price": str(D(price).scaleb(-book.price_scale))}
        row = await self.ask("orders.place", params)
        if row is not None:
            self._mine = [*self._mine, row.client_id][-KEPT:]

    async def ask(self, operation: str, params: dict[str, Any], request: str = "") -> Any:
        """Ask once; None when it was refused."""
        if not request:
            self._number += 1
            request = f"{self._name}.{self._number}"
            self._notes.write("ask", request, operation, params)
        try:
            row = await self._until_answered(operation, params, request)
        except HandoverError:
            # Nothing of it was begun: whoever comes next is asked for it again.
            return None
        except QuarterdeckError as error:
            known = isinstance(error, ConflictError) and error.error_code == "request_known"
            self._notes.write("known" if known else "refused", request, error.kind)
            return None
        self._notes.write("done", request, operation, row.client_id)
        if operation == "orders.place":
            self._counts.add("orders")
        return row

    async def _until_answered(self, operation: str, params: dict[str, Any], request: str) -> Any:
        """Ask again under the same id for as long as nobody answers."""
        while True:
            try:
                return await self._link.call(operation, params, request_id=request)
            except HandoverError:
                if not self._outlives:
                    raise
            except EngineNotRunningError:
                pass
            await asyncio.sleep(AGAIN_S)

"""Hands that trade at one venue through the engine's own door: they place, change and cancel, and never wait long."""

from __future__ import annotations

import asyncio
from collections import Counter
from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

from engine.control.live.consent import words_for
from engine.errors import QuarterdeckError
from engine.model.ids import ClientOrderId

if TYPE_CHECKING:
    import random

    from engine.control.link import EngineLink
    from engine.model.instrument import Instrument
    from tests.chaos.wire_world import Harbour, World

__all__ = ["Hand"]

RESTING = 10
"""Own orders remembered, to cancel or change one of them."""
MOST_UNANSWERED = 12
"""Orders at one exchange that may be without an answer before hands wait."""
WORTH = {"BTC": D("0.0006"), "ETH": D("0.012"), "SOL": D("0.3")}
"""Base units of the smallest order."""


class Hand:
    """One console.

    Args:
        world: The engine.
        harbour: Where it trades.
        chance: Decides what it wants.
        pause_s: Mean seconds between two wishes.
        link: The engine's door; None for the one of the engine in this process.
    """

    def __init__(
        self,
        world: World,
        harbour: Harbour,
        chance: random.Random,
        pause_s: float,
        link: EngineLink | None = None,
    ) -> None:
        self._world = world
        self._harbour = harbour
        self._chance = chance
        self._pause_s = pause_s
        self._link = link or world.host.link()
        self._mine: list[tuple[str, Instrument, dict[str, Any]]] = []
        self.refused: Counter[str] = Counter()
        """Wishes that the engine refused, by kind and code."""
        self.done: Counter[str] = Counter()
        """Wishes that the engine took, by operation."""

    async def arm(self) -> None:
        """Be allowed to send real money."""
        harbour = self._harbour
        await self._link.call(
            "live.arm",
            {
                "account": harbour.account,
                "typed": words_for(harbour.venue, harbour.account),
                "minutes": 480,
                "max_order": "100000",
                "max_total": "1000000000",
            },
        )

    async def trade(self) -> None:
        """Go on until cancelled."""
        while True:
            # On a slow machine, too, no more is asked than is answered.
            if self._world.online(self._harbour) and self._world.unanswered(self._harbour) < MOST_UNANSWERED:
                await self._wish()
            await asyncio.sleep(self._chance.uniform(0, 2 * self._pause_s))

    async def _wish(self) -> None:
        chance = self._chance.random()
        if self._mine and (chance < 0.18 or len(self._mine) >= RESTING):
            client_id, _, _ = self._mine.pop(self._chance.randrange(len(self._mine)))
            await self._ask("orders.cancel", {"client_id": client_id})
        elif self._mine and chance < 0.26:
            client_id, instrument, params = self._chance.choice(self._mine)
            if "price" in params and "stop_price" not in params:
                price = instrument.round_price(D(params["price"]) * D("0.999" if params["side"] == "buy" else "1.001"))
                await self._ask("orders.replace", {"client_id": client_id, "price": f"{price:f}"})
        else:
            await self.place()

    async def place(self, kind: str = "", side: str = "") -> ClientOrderId:
        """Place an order near the market; gives its id, empty when it was refused.

        Args:
            kind: `market`, `touch` (a limit that soon trades), `rest` or `stop`; drawn when it is empty.
            side: Drawn when it is empty.
        """
        chance = self._chance
        instrument = chance.choice(self._harbour.instruments)
        book = self._harbour.exchange.books[instrument.id]
        if book.best_bid is None or book.best_ask is None:
            return ClientOrderId("")
        bid, ask = instrument.price_from_int(book.best_bid), instrument.price_from_int(book.best_ask)
        kind = kind or chance.choices(("market", "touch", "rest", "stop"), (25, 40, 25, 10))[0]
        side = side or chance.choice(("buy", "sell"))
        away = 1 if side == "buy" else -1
        size = WORTH[instrument.base] * chance.randrange(1, 5)
        lot, contracts = instrument.rules[0].lot, size / instrument.multiplier
        quantity = max(contracts // lot * lot, lot)
        params: dict[str, Any] = {"instrument": instrument.id, "side": side, "quantity": f"{quantity:f}"}
        if kind == "touch":
            params |= {"type": "limit", "price": self._price(instrument, ask if side == "buy" else bid, 0)}
        elif kind == "rest":
            far = D(chance.randrange(1, 30)) / 1000
            params |= {"type": "limit", "price": self._price(instrument, bid if side == "buy" else ask, -away * far)}
        elif kind == "stop":
            far = D(chance.randrange(1, 20)) / 1000
            params |= {"type": "stop_loss", "stop_price": self._price(instrument, ask, away * far)}
        else:
            params |= {"type": "market"}
        row = await self._ask("orders.place", params)
        if row is None:
            return ClientOrderId("")
        self._mine = [*self._mine, (row.client_id, instrument, params)]
        return ClientOrderId(row.client_id)

    @staticmethod
    def _price(instrument: Instrument, at: D, away: D | int) -> str:
        return f"{instrument.round_price(at * (1 + D(away))):f}"

    async def _ask(self, operation: str, params: dict[str, Any]) -> Any:
        try:
            row = await self._link.call(operation, params)
        except QuarterdeckError as error:
            self.refused[f"{operation} {error.error_code or error.kind}"] += 1
            return None
        self.done[operation] += 1
        return row

"""The storm on the wire: one fault after the other at each venue, the kinds that have struck least coming first."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.wire.faults import Fault

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from tests.chaos.wire_world import Harbour

__all__ = ["KINDS", "PRIVATE", "Storm"]

KINDS = tuple(Fault)
"""Every kind there is."""
PRIVATE = {
    "binance": ("executionReport", "outboundAccountPosition"),
    "binanceusdm": ("ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE", "ALGO_UPDATE"),
    "okx": ("orders", "orders-algo", "account", "positions"),
    "coinbase": ("user_update",),
}
"""What private streams tell, by the kinds that simulators give their messages."""
_BOOK = {"binance": "depthUpdate", "binanceusdm": "depthUpdate", "okx": "books", "coinbase": "l2_data_update"}
_ON_STREAMS = (Fault.DISCONNECT, Fault.GAP, Fault.DUPLICATE, Fault.LATE, Fault.REORDER)
AHEAD = 2
"""How much more often than the rarest kind another may have struck."""
_DELAY_S = {Fault.LATE: 0.4, Fault.LATE_VISIBLE: 2.0, Fault.RATE_LIMIT: 2.0, Fault.BAN: 1.0}


class Storm:
    """The faults of one venue.

    Args:
        harbour: Where.
        chance: Draws kinds and places.
        each: How often every kind is to strike.
        seconds: Within how long.
        kinds: Which.
    """

    def __init__(
        self,
        harbour: Harbour,
        chance: random.Random,
        each: int,
        seconds: float,
        kinds: tuple[Fault, ...] = KINDS,
    ) -> None:
        self._harbour = harbour
        self._faults = harbour.simulator.faults
        self._chance = chance
        self._each = each
        self._pause_s = seconds / max(each * len(kinds), 1)
        self._kinds = kinds

    @property
    def over(self) -> bool:
        """Whether every kind has struck often enough."""
        return all(self._faults.struck[kind] >= self._each for kind in self._kinds)

    async def blow(self) -> None:
        """Go on until every kind has struck often enough."""
        while not self.over:
            waiting, struck = {armed.kind for armed in self._faults.armed}, self._faults.struck
            least = min(struck[kind] for kind in self._kinds)
            # Those that wait for an occasion are waited for: the others would shut it out again and again.
            wanted = [k for k in self._kinds if k not in waiting and struck[k] < min(self._each, least + AHEAD)]
            if wanted:
                self.arm(self._chance.choice(wanted))
            await asyncio.sleep(self._chance.uniform(0.5, 1.5) * self._pause_s)

    def arm(self, kind: Fault) -> None:
        """Let one fault of a kind strike at the next occasion."""
        self._faults.arm(kind, where=self._where(kind), delay_s=_DELAY_S.get(kind, 1.0))

    def _where(self, kind: Fault) -> Callable[[str], bool] | None:
        if kind not in _ON_STREAMS:
            return None
        private, book = PRIVATE[self._harbour.kind], _BOOK[self._harbour.kind]
        if self._chance.random() < 0.5:
            return lambda name: name in private
        return lambda name: name == book

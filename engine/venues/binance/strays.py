"""Reports of unknown orders, held for a moment: what a conditional order becomes has a number of its own.

The matching engine may report such an order before the conditional service names it. What nobody claims in time is an
order of somebody else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.clock import Clock

__all__ = ["Strays"]

HOLD_S = 2.0
MOST = 1_000
"""Orders held at a time; beyond that they pass at once."""


class Strays:
    """Reports by symbol and order number, in their order.

    Args:
        clock: The engine's clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[tuple[str, int], list[Callable[[], None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def hold(self, symbol: str, number: int, tell: Callable[[], None]) -> None:
        """Keep a report until its order is claimed, or the moment is over; `tell` passes it on."""
        key = symbol, number
        held = self._held.get(key)
        if held is not None:
            held.append(tell)
            return
        if len(self._held) >= MOST:
            tell()
            return
        self._held[key] = [tell]
        task = asyncio.get_running_loop().create_task(self._later(symbol, number), name=f"stray order {number}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def release(self, symbol: str, number: int) -> None:
        """Pass on what is held of an order."""
        for tell in self._held.pop((symbol, number), ()):
            tell()

    def close(self) -> None:
        """Forget everything: the books are compared with the venue after a loss."""
        self._held.clear()
        for task in self._tasks:
            task.cancel()

    async def _later(self, symbol: str, number: int) -> None:
        await self._clock.sleep(HOLD_S)
        self.release(symbol, number)

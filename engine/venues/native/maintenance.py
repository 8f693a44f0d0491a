"""Whether a venue is being maintained: from what it answers, until it answers otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from engine.errors import QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from engine.clock import Clock
    from engine.model.ids import VenueId

__all__ = ["LOOK_S", "Maintenance"]

log = structlog.get_logger(__name__)

LOOK_S = 15.0
"""How often a venue in maintenance is asked whether it is over: nobody else asks while it lasts."""
PERHAPS = "HTTP 503"
"""Code of a failure that may be maintenance or a bad moment of one server."""


class Maintenance:
    """Knows it of one venue. A venue's own word counts at once; a bare 503 only when a public request fails as well.

    Args:
        venue: Which.
        codes: By which the venue says so.
        over: Asks the venue whether it is over; raises when it cannot tell.
        moved: Called when it begins or ends.
        clock: Gives the pauses.
    """

    def __init__(
        self,
        venue: VenueId,
        codes: frozenset[str],
        over: Callable[[], Awaitable[bool]],
        moved: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.on = False
        """Whether the venue is being maintained, as far as is known."""
        self._venue = venue
        self._codes = codes
        self._over = over
        self._moved = moved
        self._clock = clock
        self._looking = False

    def begins(self, error: QuarterdeckError) -> bool:
        """Take in a failure; True when `look` has to run because of it, which is then up to the caller."""
        sure = error.error_code in self._codes
        if self._looking or not (sure or error.error_code == PERHAPS):
            return False
        self._looking = True
        if sure:
            self._turn(on=True)
        return True

    async def look(self) -> None:
        """Ask from time to time until the venue is well."""
        try:
            if not self.on and not await self._well():
                self._turn(on=True)
            while self.on:
                await self._clock.sleep(LOOK_S)
                if await self._well():
                    self._turn(on=False)
        finally:
            # Cut off, it knows nothing any more.
            self._looking = self.on = False

    async def _well(self) -> bool:
        try:
            return await self._over()
        except QuarterdeckError as error:
            log.info("venue does not answer", venue=self._venue, problem=error.message)
            return False

    def _turn(self, *, on: bool) -> None:
        self.on = on
        log.warning("venue is being maintained" if on else "maintenance is over", venue=self._venue)
        self._moved()

"""How long a difference from the venue has to last until it is believed: executions may be hidden that long.

A venue may show money, or a position, before it shows the execution that moved it: also one of a person at the
exchange's own page, of which nothing was known before. Whoever takes such a difference for the venue's last word books
it twice once the execution is heard of. So it counts once it was seen again, unchanged, after the venue's visibility
delay, with executions asked for in between. Balances and positions have this one rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Hashable

    from engine.clock import Clock
    from engine.model.venue import Venue

__all__ = ["Lasting"]

LOOKS = 4
"""How often is looked again within the time that something may be hidden."""

_K = TypeVar("_K", bound="Hashable")


class Lasting(Generic[_K]):
    """Differences of one account, and since when each has been the same.

    Args:
        venue: Says how long it may hide an execution.
        clock: Gives time and pauses.
    """

    def __init__(self, venue: Venue, clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self.sure: frozenset[_K] = frozenset()
        """What had lasted long enough at the last look."""
        self._since: dict[_K, int] = {}
        self._told = True
        """Whether the last look could tell what differs."""

    @property
    def in_doubt(self) -> bool:
        """Whether the last look could not tell, or something differs that an execution may still explain."""
        return not self._told or bool(self.young)

    @property
    def young(self) -> tuple[_K, ...]:
        """What differed at the last look and has not lasted long enough."""
        return tuple(one for one in self._since if one not in self.sure)

    def look(self, found: Collection[_K] | None) -> None:
        """Take in what differs now; None where that could not be told.

        What is not among it any more is forgotten.
        """
        self._told = found is not None
        if found is not None:
            now, before = self._clock.now(), self._since
            delay = int(self._venue.capabilities.visibility_delay_s * 1e9)
            self._since = {one: before.get(one, now) for one in found}
            self.sure = frozenset(one for one, since in self._since.items() if one in before and now - since >= delay)

    def forget(self, one: _K) -> None:
        """It was booked: should the same come once more, it has to last as well."""
        self._since.pop(one, None)
        self.sure -= {one}

    async def settle(self, look: Callable[[], Awaitable[object]], *, patient: bool) -> bool:
        """Look until nothing is in doubt any more.

        Args:
            look: Asks the venue and takes in what differs. What it raises ends this.
            patient: Look again for twice as long as something may be hidden; else only once more, at once.

        Returns:
            Whether that came about.
        """
        await look()
        if self.in_doubt:
            # Most of it is gone at the second look: the first answer was older than an execution.
            await look()
        delay_s = self._venue.capabilities.visibility_delay_s if patient else 0
        for pause_s in [delay_s / LOOKS] * (2 * LOOKS) if delay_s else ():
            if not self.in_doubt:
                break
            await self._clock.sleep(pause_s)
            await look()
        return not self.in_doubt

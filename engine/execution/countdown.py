"""The venue's dead-man's switch: fed while the engine lives, so that orders do not outlive it unattended.

The venue cancels all orders of an account unless it hears from the engine in time: also when the machine, its network
or its power is gone. Over a hand-over the last feeding lasts until the successor feeds; an orderly end turns it off, as
orders are then left on purpose. Where the switch would take protective orders along, it is turned off while such rest
at the venue, unless the settings want it all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.errors import JournalError
from engine.logs import get_logger
from engine.model.faults import Severity
from engine.model.ids import venue_of
from engine.model.venue import VenueStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from engine.clock import Clock
    from engine.model.ids import AccountId
    from engine.model.order import Order
    from engine.model.venue import Venue
    from engine.resilience.handler import ErrorHandler

__all__ = ["Countdown"]

log = get_logger(__name__)

FEEDS = 3
"""How often it is fed within its time."""
LOOK_S = 1.0
"""How often is looked for a protective order that it would cancel."""
AGAIN_S = 1.0
"""Pause before it is turned off again where that did not succeed."""
_LONGEST_S = 600
"""Of the settings."""
MISSES = 2
"""Feedings in a row that may fail before a person is told."""


class Countdown:
    """Feeds the switch of one account.

    Args:
        venue: Where the account is.
        account: Whose orders.
        seconds: Time after which they are cancelled; 0 turns off what an engine before this one has fed, once.
        orders: Gives all open orders of the engine.
        clock: Gives the pauses.
        errors: Tells a person when the switch cannot be fed.
        spare: Turn the switch off while protective orders rest that it would cancel as well.
    """

    def __init__(
        self,
        venue: Venue,
        account: AccountId,
        seconds: float,
        orders: Callable[[], Iterable[Order]],
        clock: Clock,
        errors: ErrorHandler,
        *,
        spare: bool = True,
    ) -> None:
        self.armed = False
        """Whether the venue holds a running countdown, as far as is known."""
        self.reason = ""
        """Why it is not armed; empty while it is."""
        self._venue = venue
        self._account = account
        self._seconds = seconds
        self._orders = orders
        self._clock = clock
        self._errors = errors
        self._spare = spare
        self._missed = 0

    async def run(self, allowed: Callable[[], bool]) -> None:
        """Feed it until cancelled.

        Args:
            allowed: Whether anything may be sent now; not while another process takes over.
        """
        while True:
            if allowed() and self._venue.status is VenueStatus.ONLINE:
                try:
                    await self.feed()
                    if not self._seconds:
                        return
                except JournalError:
                    return
                except Exception as error:  # whatever it was, it is fed again; that it fails is told
                    self._failed(error)
            await self._pause(self._seconds / FEEDS or AGAIN_S)

    async def _pause(self, seconds: float) -> None:
        """Wait until it is fed again; shorter where a protective order has come to lie under it."""
        end = self._clock.now() + int(seconds * 1e9)
        while (left := (end - self._clock.now()) / 1e9) > 0:
            await self._clock.sleep(min(LOOK_S, left))
            if self.armed and self._would_take():
                return

    async def feed(self) -> None:
        """Feed it once, or turn it off where it would do harm. Raises as the venue does."""
        taken = self._would_take()
        if not self._seconds:
            await self._venue.countdown(self._account, 0)
        elif not taken:
            await self._venue.countdown(self._account, self._seconds)
            self.armed, self.reason = True, ""
        elif self.armed or not self.reason:
            await self._venue.countdown(self._account, 0)
            self.armed, self.reason = False, f"it would cancel {taken} as well"
        self._missed = 0

    async def release(self) -> None:
        """Turn it off, because the engine ends in order and leaves its orders on purpose. Never raises."""
        if not self.armed:
            return
        try:
            await self._venue.countdown(self._account, 0)
            self.armed = False
        except Exception as error:  # whatever it was, the venue is released all the same
            log.warning(
                "the dead-man's switch is still on", account=self._account, problem=str(error) or type(error).__name__
            )

    def _would_take(self) -> str:
        """Protective orders that the switch would cancel, in words; empty for none, or when that is wanted."""
        if not self._spare:
            return ""
        spared = self._venue.capabilities.countdown_spares
        count = sum(
            order.reduce_only and order.type not in spared
            for order in self._orders()
            if order.account == self._account and venue_of(order.instrument) == self._venue.id
        )
        return "" if not count else "1 protective order" if count == 1 else f"{count} protective orders"

    def _failed(self, error: Exception) -> None:
        self._missed += 1
        log.warning("the dead-man's switch was not fed", account=self._account, problem=str(error))
        if self._missed == MISSES:
            self._errors.alert(
                Severity.HIGH,
                "venue",
                f"The dead-man's switch of {self._account} cannot be {'fed' if self._seconds else 'turned off'}: "
                f"{self._venue.id} may cancel its orders within {self._seconds or _LONGEST_S:g} s. Look at the venue.",
            )

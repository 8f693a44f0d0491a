"""An engine that stands still: it changes nothing, for the short time in which another process takes it over.

What comes in meanwhile is kept in its order. Either the other process goes on from the journal, or `thaw` lets this one
go on as if nothing had been.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol, cast

from engine import events as ev
from engine.errors import HandoverError, JournalError, QuarterdeckError
from engine.logs import get_logger
from engine.model.order import OrderStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.engine import Engine
    from engine.model.ids import AccountId, ClientOrderId
    from engine.model.market import MarketEvent
    from engine.model.venue import Venue
    from engine.venue_unit import VenueUnit

__all__ = ["Exclusive", "Standstill", "exclusive"]

log = get_logger(__name__)

STEP_S = 0.001
KEPT = 50_000
"""Market events kept while standing still; a feed that is that far ahead shows a gap and is fetched anew."""


class Exclusive(Protocol):
    """A venue that only one process may hold at a time, such as one that lives inside the engine's."""

    async def suspend(self) -> None:
        """Store everything and change nothing any more, so that another process may open the venue."""

    async def resume(self) -> None:
        """Go on after `suspend`: no other process has opened the venue. Raises StorageError when one has."""


def exclusive(venue: Venue) -> Exclusive | None:
    """The venue behind whatever guards it, if only one process may hold it; else None."""
    inner = getattr(venue, "inner", venue)
    return cast("Exclusive", inner) if hasattr(inner, "suspend") and hasattr(inner, "resume") else None


class Standstill:
    """Stops one engine between two events, and lets it go on.

    Args:
        engine: Started.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._suspended: list[VenueUnit] = []
        self._pid = 0
        self._market: deque[MarketEvent] = deque(maxlen=KEPT)
        self._reports: list[tuple[AccountId, ev.VenueEvent]] = []
        self.frozen = False
        """Bots hear nothing, no time passes and no market moves; answers of the venue are still booked."""
        self.sealed = False
        """Nothing is booked any more."""

    # --- what comes in -----------------------------------------------------------------------------------------------

    def keep_market(self, event: MarketEvent) -> bool:
        """Keep a market event for later; False when the engine does not stand still."""
        if self.frozen:
            self._market.append(event)
        return self.frozen

    def keep_report(self, account: AccountId, event: ev.VenueEvent) -> bool:
        """Keep a venue's report for later; False when it may be booked."""
        if self.sealed:
            self._reports.append((account, event))
        return self.sealed

    # --- stopping ----------------------------------------------------------------------------------------------------

    def freeze(self, pid: int) -> None:
        """Begin nothing new; what was begun may still be sent and answered.

        Args:
            pid: Process that wants to take over.

        Raises:
            HandoverError: The engine is not in a state to be handed over.
        """
        engine = self._engine
        if not engine.ready or engine.stopping or self.frozen:
            raise HandoverError("The engine is starting, ending or being handed over already; try again in a moment.")
        if engine.ledger.failed is not None:
            raise HandoverError(
                f"The engine has halted and cannot be handed over ({engine.ledger.failed}) Stop it and start it again."
            )
        self._pid = pid
        self.frozen = True
        engine.bots.backlog.hold()

    async def drain(self, leave_s: float, answer_s: float) -> None:
        """Let everything that was begun leave, and wait for the venue's answers; then nothing more is sent.

        Args:
            leave_s: Seconds that orders have to leave.
            answer_s: Seconds that the venue has to answer after that.

        Raises:
            HandoverError: Orders could not leave: the journal or the venue's rate limit holds them up.
        """
        engine = self._engine
        await self._until(self._has_left, leave_s)
        await self._until(lambda: engine.dispatcher.quiet and self._has_left(), answer_s)
        engine.dispatcher.hold()
        if not self._has_left():
            raise HandoverError(self._what_waits())

    def _what_waits(self) -> str:
        engine = self._engine
        waiting = {engine.state.orders[client_id].account for client_id in self._orders(OrderStatus.PENDING)}
        paused = {
            unit.id: unit.guard.throttle.left_s
            for account, unit in engine.accounts.items()
            if account in waiting and unit.guard.throttle.left_s
        }
        if not paused:
            return "Orders wait for the disk or for the venue; restart the engine when it is less busy."
        venues = " and ".join(f"{venue} (for {seconds:.0f} s)" for venue, seconds in paused.items())
        return f"Orders wait because {venues} wants no requests; cancel them, or restart the engine after that."

    def _has_left(self) -> bool:
        return not self._engine.dispatcher.waiting and not self._orders(OrderStatus.PENDING)

    async def _until(self, true: Callable[[], bool], seconds: float) -> None:
        clock = self._engine.clock
        end = clock.monotonic() + int(seconds * 1e9)
        while not true() and clock.monotonic() < end:
            await clock.sleep(STEP_S)

    def _orders(self, status: OrderStatus) -> list[ClientOrderId]:
        return [order.client_id for order in self._engine.state.orders.values() if order.status is status]

    async def seal(self, release: str) -> None:
        """Book what is not known and that the engine is handed over; after that nothing is booked.

        Args:
            release: Version of the program that takes over.

        Raises:
            JournalError: It could not be made durable.
        """
        engine = self._engine
        engine.bots.save()
        for client_id in self._orders(OrderStatus.SUBMITTED):
            engine.desk.unknown(client_id, "The engine is handed over before the venue has answered.")
        unknown = len(self._orders(OrderStatus.UNKNOWN))
        last = engine.ledger.record(ev.HandedOver(pid=self._pid, release=release, unknown=unknown))
        self.sealed = True
        engine.ledger.sealed = (
            f"The engine is being handed over to process {self._pid}; ask again in a moment, with the same request id."
        )
        await engine.journal.wait_durable(last)

    async def let_go(self) -> None:
        """Give up what only one process may hold.

        Raises:
            QuarterdeckError: The venue could not store what it did.
        """
        for unit in self._engine.venues.values():
            venue = exclusive(unit.venue)
            if venue is not None:
                unit.guard.let_go = True
                self._suspended.append(unit)
                await venue.suspend()

    # --- going on ----------------------------------------------------------------------------------------------------

    async def thaw(self, reason: str) -> None:
        """Go on as before: nobody has taken over.

        Args:
            reason: Why not, as a sentence.
        """
        engine = self._engine
        log.warning("the engine goes on by itself", problem=reason)
        try:
            if self._suspended:
                await self._resume()
        finally:
            # Whatever goes wrong here, the engine may book again, and cancels leave.
            self.sealed, engine.ledger.sealed = False, ""
            engine.dispatcher.go_on()
        try:
            engine.ledger.record(ev.HandoverAbandoned(pid=self._pid, reason=reason))
        except JournalError as error:
            log.error("the engine goes on, but the journal failed", problem=error.message)
        reports, self._reports = self._reports, []
        for account, report in reports:
            engine.on_venue(account, report)
        if self.frozen:
            self.frozen = False
            engine.bots.backlog.go_on()
            while self._market:
                engine.on_market(self._market.popleft())

    async def _resume(self) -> None:
        units, self._suspended = self._suspended, []
        for unit in units:
            venue = exclusive(unit.venue)
            assert venue is not None
            try:
                await venue.resume()
            except QuarterdeckError as error:
                log.critical("a venue could not be opened again", venue=unit.id, problem=error.message)
                self._engine.failure = self._engine.failure or error.message
            finally:
                # Only now: before, it would be taken for lost.
                unit.guard.let_go = False

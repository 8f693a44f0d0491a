"""The connection to one venue: notices that it is lost or maintained, and brings it back in order.

Lost: nothing new is opened there, while what is booked stays booked (the journal holds every intent that has not been
answered). It is tried again after 1, 2, 4, 8 … seconds. Once the venue is back, executions (which make the positions)
are caught up first, then orders are settled, then balances compared, and only then may be traded again. When that does
not succeed in time the venue goes into safe mode: no new orders until a person resumes, protective orders stay where
the venue holds them, and trying goes on.
"""

from __future__ import annotations

import asyncio
import enum
from typing import TYPE_CHECKING

from engine.errors import JournalError, QuarterdeckError
from engine.logs import get_logger
from engine.model.credentials import KEYS_LOCKED
from engine.model.faults import Severity
from engine.model.scenario import ScenarioKind
from engine.model.venue import VenueStatus

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from engine.clock import Clock
    from engine.execution.guard import VenueGuard
    from engine.resilience.caution import Caution
    from engine.resilience.handler import ErrorHandler
    from engine.resilience.scenario import Scenario, Scenarios

__all__ = ["ConnectionState", "Step", "VenueConnection"]

log = get_logger(__name__)

LOOK_S = 0.25
"""How often the venue's status is looked at."""
LONGEST_PAUSE_S = 60.0
DIAL_S = 30.0
"""Seconds of real time that one attempt to connect may take."""

Step = tuple[str, "Callable[[], Awaitable[object]]"]
"""A name for people, and what brings one thing in line with the venue."""


class ConnectionState(enum.StrEnum):
    """How the way to a venue is."""

    ONLINE = "online"
    OFFLINE = "offline"
    SYNCING = "syncing"
    """It is there again, and what is booked is being compared."""
    MAINTENANCE = "maintenance"
    LOCKED = "locked"
    """Its keys are locked: nobody can say what is in its accounts until somebody unlocks them."""
    SAFE = "safe mode"
    """It stayed away too long: nothing new until a person resumes."""


class VenueConnection:
    """Looks after the way to one venue. `run` owns what it does; everything else only asks how it is.

    Args:
        venue: The venue, guarded.
        clock: Gives time and pauses.
        errors: Hears of failures, and gives the figures.
        scenarios: Where recoveries are written down.
        caution: Told what may not be traded meanwhile.
        connect: Connects and watches the markets again.
        steps: What is brought in line after a loss, in order.
        hold: Stops new orders at the venue until a person resumes; gets the reason.
        pending: Gives the number of orders whose answers are outstanding.
        on_change: Hears about each new state; must return at once.
        progress: Tells how far the steps are, as a sentence; empty for nothing to tell.
    """

    def __init__(
        self,
        venue: VenueGuard,
        clock: Clock,
        errors: ErrorHandler,
        scenarios: Scenarios,
        caution: Caution,
        *,
        connect: Callable[[], Awaitable[None]],
        steps: Sequence[Step],
        hold: Callable[[str], None],
        pending: Callable[[], int] = lambda: 0,
        on_change: Callable[[ConnectionState], None] | None = None,
        progress: Callable[[], str] = str,
    ) -> None:
        self.venue = venue
        self.state = ConnectionState.ONLINE
        self.since = clock.now()
        """UTC nanoseconds of the last change of state."""
        self.reason = ""
        """Why it is not online; empty while it is."""
        self.attempts = 0
        """Attempts since it was lost the last time."""
        self.losses = 0
        self._clock = clock
        self._errors = errors
        self._network = errors.settings.network_disconnection
        self._maintenance = errors.settings.exchange_maintenance
        self._scenarios = scenarios
        self._caution = caution
        self._connect = connect
        self._steps = steps
        self._hold = hold
        self._pending = pending
        self._on_change = on_change
        self._progress = progress
        self._resync = False
        self._hurry = False
        self._unmet = ""
        """Why the venue could not be reached when the engine started; empty once it was met."""

    @property
    def lost(self) -> bool:
        """Whether it is not there, or not compared yet."""
        return bool(self._unmet) or self.state is not ConnectionState.ONLINE

    def lose(self, why: str, *, locked: bool = False) -> None:
        """The venue could not be reached, or not be compared, when the engine started: nothing is opened there.

        Args:
            why: As a sentence.
            locked: Whether that is only because its keys are locked.
        """
        self._unmet = why
        self._close(ConnectionState.LOCKED if locked else ConnectionState.OFFLINE, why, careful=False)

    def try_soon(self) -> None:
        """What stood in the way may have gone, such as locked keys: try at once where it is away."""
        self._hurry = self.lost

    def sync_soon(self) -> None:
        """What happened at the venue was not heard as a whole: compare everything as after a loss."""
        self._resync = True

    async def run(self) -> None:
        """Look after it until cancelled, or until the journal has failed."""
        while True:
            await self._clock.sleep(LOOK_S)
            self.venue.look()
            try:
                await self._look()
            except JournalError as error:
                log.error("the connection is not looked after any more: the journal failed", problem=error.message)
                return
            except Exception as error:  # a fault of ours here must not end the engine; it is looked at again
                log.exception("the connection could not be looked after", venue=self.venue.id)
                self._errors.report(error, component="connection", operation="look", venue=self.venue.id)

    async def _look(self) -> None:
        if self.venue.let_go:
            return
        match self.venue.status:
            case _ if self._unmet:
                await self._lost(self._unmet)
            case VenueStatus.OFFLINE:
                await self._lost(f"{self.venue.id} cannot be reached.")
            case VenueStatus.MAINTENANCE if self._maintenance.detect_maintenance:
                await self._maintained()
            case VenueStatus.ONLINE if self._resync:
                await self._lost(f"Reports of {self.venue.id} were lost.")
            case _:
                pass

    # --- lost --------------------------------------------------------------------------------------------------------

    async def _lost(self, why: str) -> None:
        scenario = self._scenarios.begin(ScenarioKind.NETWORK, self.venue.id, why)
        self.losses += 1
        locked = self.state is ConnectionState.LOCKED
        state = ConnectionState.LOCKED if locked else ConnectionState.OFFLINE
        self._close(state, why, careful=self._network.conservative_mode and not locked)
        scenario.step(f"{self._pending()} orders await an answer; their intents are in the journal")
        if not await self._come_back(scenario, self._until(scenario)):
            await self._safe_mode(scenario)
        self._open(scenario)

    def _until(self, scenario: Scenario) -> int:
        return scenario.began + int(self._network.max_offline_duration * 1e9)

    async def _come_back(self, scenario: Scenario, until: int | None) -> bool:
        """Try to come back until a time, None for as long as it takes; False when the time is over."""
        self.attempts = 0
        while True:
            self.attempts += 1
            if await self._attempt(scenario, until):
                return True
            pause = min(2.0 ** min(self.attempts - 1, 10), LONGEST_PAUSE_S)
            if self.state is ConnectionState.LOCKED and until is not None:
                # How long nobody unlocks says nothing about the venue: its time begins when it can be asked.
                until = self._clock.now() + int(self._network.max_offline_duration * 1e9)
                pause = LONGEST_PAUSE_S
            elif until is None:
                pause = LONGEST_PAUSE_S
            elif self._clock.now() >= until:
                return False
            else:
                pause = min(pause, (until - self._clock.now()) / 1e9)
            await self._pause(pause)

    async def _pause(self, seconds: float) -> None:
        """Wait, but no longer than until the venue is there again by itself, or somebody asks to try at once."""
        end = self._clock.now() + int(seconds * 1e9)
        was_there = self.venue.status is VenueStatus.ONLINE
        while (left := (end - self._clock.now()) / 1e9) > 0:
            await self._clock.sleep(min(LOOK_S, left))
            if self._hurry:
                return
            if not was_there and self.venue.status is VenueStatus.ONLINE:
                return

    async def _attempt(self, scenario: Scenario, until: int | None) -> bool:
        if self.venue.let_go:
            # Whoever takes over connects; two that do would take the venue from each other.
            return False
        self._hurry = False
        try:
            async with asyncio.timeout(DIAL_S):
                await self._connect()
        except JournalError:
            raise
        except Exception as error:  # whatever it was, it is tried again
            self._refused(scenario, error)
            return False
        if self.venue.status is not VenueStatus.ONLINE:
            scenario.step(f"attempt {self.attempts}: {self.venue.id} is {self.venue.status}")
            return False
        scenario.step(f"attempt {self.attempts}: connected")
        self._resync = False
        if not self._network.sync_on_reconnect and not self._unmet:
            return True
        synced = await self._sync(scenario, until)
        if synced:
            self._unmet = ""
        return synced

    async def _sync(self, scenario: Scenario, until: int | None) -> bool:
        """Bring everything in line; False when the venue goes away meanwhile, a step fails or the time is over."""
        if self.state is not ConnectionState.SAFE:
            self._move(ConnectionState.SYNCING, self.reason)
        reason, told = self.reason, ""
        work = asyncio.get_running_loop().create_task(self._in_order(scenario), name=f"sync {self.venue.id}")
        done = False
        try:
            while not work.done():
                look = asyncio.get_running_loop().create_task(self._clock.sleep(LOOK_S), name="look")
                await asyncio.wait({work, look}, return_when=asyncio.FIRST_COMPLETED)
                look.cancel()
                if work.done():
                    break
                if (progress := self._progress()) != told:
                    self.reason, told = f"{reason} {progress}".rstrip(), progress
                if self.venue.status is not VenueStatus.ONLINE:
                    scenario.step("the connection was lost again while comparing")
                    return False
                # At a start it may be a long history that is read; each request of that has its own time.
                if until is not None and self._clock.now() >= until and not self._unmet:
                    scenario.step("comparing takes too long")
                    return False
            done = work.result()
            return done
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            if self.state is ConnectionState.SYNCING and not done:
                self._move(ConnectionState.OFFLINE, self.reason)

    async def _in_order(self, scenario: Scenario) -> bool:
        for name, step in self._steps:
            try:
                await step()
            except JournalError:
                raise
            except Exception as error:  # nothing is traded on what could not be compared; it is tried again
                self._not_yet(scenario, f"{name} cannot be compared", error)
                return False
            scenario.step(f"{name} compared")
        return True

    def _refused(self, scenario: Scenario, error: Exception) -> None:
        locked = isinstance(error, QuarterdeckError) and error.error_code == KEYS_LOCKED
        if not locked:
            if self.state is ConnectionState.LOCKED:
                self._move(ConnectionState.OFFLINE, f"{self.venue.id} cannot be reached.")
            self._not_yet(scenario, f"attempt {self.attempts}", error)
        elif self.state is ConnectionState.LOCKED and self.attempts > 1:
            # Once is enough: until somebody unlocks, every attempt ends like this.
            return
        elif self.state is not ConnectionState.SAFE:
            scenario.step(f"its keys are locked: {error}")
            self._move(ConnectionState.LOCKED, str(error))

    def _not_yet(self, scenario: Scenario, what: str, error: Exception) -> None:
        words = error.message if isinstance(error, QuarterdeckError) else str(error) or type(error).__name__
        scenario.step(f"{what}: {words}")
        self._errors.report(error, component="connection", operation="reconnect", venue=self.venue.id)

    async def _safe_mode(self, scenario: Scenario) -> None:
        """Give up in time, and tell; then go on trying without an end."""
        minutes = self._network.max_offline_duration / 60
        reason = (
            f"{self.venue.id} was away for {minutes:g} min. Nothing new is ordered there; protective orders stay where "
            "the venue holds them. Look at the venue, then resume on Risk once it is back."
        )
        self._move(ConnectionState.SAFE, reason)
        self._caution.close(self.venue.id, reason)
        try:
            self._hold(reason)
        except JournalError:
            raise
        except QuarterdeckError as error:
            # Held more strictly already.
            log.info("safe mode found trading held", problem=error.message)
        scenario.end(f"Safe mode: {reason}", succeeded=False, severity=Severity.CRITICAL)
        later = self._scenarios.begin(ScenarioKind.NETWORK, self.venue.id, "It is tried again every minute.")
        await self._come_back(later, None)
        later.end("Back and compared; a person has to resume trading.", succeeded=True, severity=Severity.HIGH)

    # --- maintained --------------------------------------------------------------------------------------------------

    async def _maintained(self) -> None:
        why = f"{self.venue.id} is being maintained."
        scenario = self._scenarios.begin(ScenarioKind.MAINTENANCE, self.venue.id, why)
        if self._maintenance.pause_new_orders:
            self._close(ConnectionState.MAINTENANCE, why, careful=False)
            scenario.step("new orders are paused there")
        else:
            self._move(ConnectionState.MAINTENANCE, why)
        if self._maintenance.redistribute_capital:
            scenario.step("its capital stays: there is no other venue to shift it to")
        while self.venue.status is VenueStatus.MAINTENANCE:
            await self._clock.sleep(LOOK_S)
        scenario.step(f"{self.venue.id} is {self.venue.status}")
        if not await self._come_back(scenario, self._clock.now() + int(self._network.max_offline_duration * 1e9)):
            await self._safe_mode(scenario)
        self._open(scenario)

    # --- state -------------------------------------------------------------------------------------------------------

    def _close(self, state: ConnectionState, why: str, *, careful: bool) -> None:
        self._caution.close(self.venue.id, why)
        if careful:
            self._caution.careful(f"venue:{self.venue.id}", why)
        self._move(state, why)

    def _open(self, scenario: Scenario) -> None:
        self.venue.breaker.reset()
        self._caution.reopen(self.venue.id)
        self._caution.well(f"venue:{self.venue.id}")
        self._move(ConnectionState.ONLINE, "")
        scenario.end("Online again.", succeeded=True)

    def _move(self, state: ConnectionState, reason: str) -> None:
        self.state, self.reason, self.since = state, reason, self._clock.now()
        log.warning("a connection changed", venue=self.venue.id, state=state, reason=reason)
        if self._on_change is not None:
            self._on_change(state)

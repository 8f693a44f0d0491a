"""The supervisor: hears the bots' hearts, saves what they remember, and brings failed ones back.

A failed bot is tried again after a delay that doubles with every try, at most so often within an hour; then it stays
in ERROR and an alert is given. The plan is booked, so that a restart of the engine neither forgets a bot nor begins
to count anew.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from engine import events as ev
from engine.bots.revival import RETRY_S
from engine.errors import HandoverError, JournalError, QuarterdeckError
from engine.logs import get_logger
from engine.model.bot_facts import RestartEntry
from engine.model.entries import BotState
from engine.model.faults import Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from engine.bots.manager import BotManager
    from engine.clock import Clock
    from engine.ledger import Ledger
    from engine.model.entries import BotEntry
    from engine.model.ids import Owner

__all__ = ["HOUR_NS", "Supervision", "Supervisor"]

log = get_logger(__name__)

TEND_S = 1.0
"""How often bots are looked after."""
SECOND_NS = 1_000_000_000
HOUR_NS = 3600 * SECOND_NS
_NO_PLAN = RestartEntry()


class Supervision(msgspec.Struct, frozen=True, kw_only=True):
    """How bots are looked after; times in seconds."""

    heartbeat_s: float = 5.0
    save_s: float = 10.0
    """Longest time between two savings of a memory that has changed."""
    restart_delay_s: float = 60.0
    """Before the first try; every further one within the hour waits twice as long."""
    max_restarts_per_hour: int = 5


class Supervisor:
    """Looks after all bots of a manager. Plain and synchronous but for the restarts themselves.

    Args:
        manager: Whose bots they are.
        ledger: Where plans are booked.
        rules: How often, how long.
    """

    def __init__(self, manager: BotManager, ledger: Ledger, rules: Supervision) -> None:
        self.rules = rules
        self._manager = manager
        self._ledger = ledger
        self._beaten = 0
        self._saved = 0

    # --- tasks -------------------------------------------------------------------------------------------------------

    async def tend(self, clock: Clock, may: Callable[[], bool]) -> None:
        """Hear the hearts, save and watch, for as long as the engine runs.

        Args:
            clock: Measures the pauses.
            may: Whether something may be booked just now.
        """
        while True:
            await clock.sleep(TEND_S)
            if may() and self._beats_at(clock.now()):
                with self._contained("measure"):
                    await self._manager.watch.count_files()
            # Asked after the files are counted: meanwhile a hand-over may have begun.
            if may():
                with self._contained("look after"):
                    self.tick(clock.now())

    async def retry(self, clock: Clock, may: Callable[[], bool]) -> None:
        """Bring those bots back that failed, or whose history could not be had at the start, for as long as it runs."""
        retried = clock.now()
        while True:
            await clock.sleep(TEND_S)
            if may():
                now = clock.now()
                with self._contained("restart"):
                    await self.restart_due(now)
                if now - retried >= RETRY_S * SECOND_NS:
                    retried = now
                    with self._contained("bring back"):
                        await self._manager.retry()

    def _beats_at(self, now: int) -> bool:
        return now - self._beaten >= self.rules.heartbeat_s * SECOND_NS

    @contextmanager
    def _contained(self, operation: str) -> Iterator[None]:
        try:
            yield
        except (JournalError, HandoverError) as error:
            log.error("bots wait: nothing can be booked", operation=operation, problem=error.message)
        except Exception as error:  # nothing that happens to bots may end the engine, or keep the rest from its turn
            log.exception("bots could not be looked after", operation=operation)
            self._manager.errors.report(error, component="bots", operation=operation)

    # --- once a second -----------------------------------------------------------------------------------------------

    def tick(self, now: int) -> None:
        """Hear the hearts and save what has changed, each in its time; `now` in UTC nanoseconds.

        What fails is reported, keeps nothing else from its turn, and is tried again in its time.
        """
        manager = self._manager
        if manager.backlog.held or manager.asleep:
            return
        if self._beats_at(now):
            self._beaten = now
            for owner, bot in tuple(manager.running.items()):
                if bot.alive:
                    manager.heartbeats[owner] = now
            with self._contained("measure"):
                manager.watch.look(now)
        if now - self._saved >= self.rules.save_s * SECOND_NS:
            self._saved = now
            with self._contained("save"):
                manager.save_changed()
        with self._contained("protect"):
            manager.caretakers.tick(now)

    # --- bringing back -----------------------------------------------------------------------------------------------

    def failed(self, entry: BotEntry, *, entries: bool, now: int) -> None:
        """A bot has failed by itself: plan when it is tried again, or give it up.

        Args:
            entry: The bot, in state ERROR.
            entries: Whether it may enter again once it is back.
            now: UTC nanoseconds.
        """
        tries = tuple(ts for ts in self._plan(entry.id).tries if ts > now - HOUR_NS)
        most = self.rules.max_restarts_per_hour
        if len(tries) >= most:
            self._note(entry.id, RestartEntry(tries=tries, entries=entries, gave_up=True))
            if self._manager.events.is_one(entry):
                what = "nobody looks after its positions"
            else:
                what = "its position stays protected"
            text = (
                f"The bot {entry.name} has failed again after {most} restarts within an hour and is not restarted any "
                f"more; {what}. Last reason: {entry.reason}"
            )
            self._manager.errors.alert(Severity.CRITICAL, "bots", text)
            return
        delay = int(self.rules.restart_delay_s * SECOND_NS) << len(tries)
        self._note(entry.id, RestartEntry(tries=tries, due=now + delay, entries=entries))
        self._manager.errors.alert(
            Severity.HIGH,
            "bots",
            f"The bot {entry.name} failed and is restarted in {delay // SECOND_NS} s (try {len(tries) + 1} of {most}): "
            f"{entry.reason}",
        )

    def forget(self, owner: Owner) -> None:
        """A person has started, stopped or deleted a bot: what was planned is no longer wanted."""
        if owner in self._ledger.state.restarts:
            self._note(owner, _NO_PLAN)

    async def restart_due(self, now: int) -> None:
        """Try every failed bot whose time has come. Never raises for a bot.

        Raises:
            JournalError, HandoverError: Nothing can be booked any more.
        """
        for owner, plan in tuple(self._ledger.state.restarts.items()):
            if self._manager.backlog.held or self._manager.asleep:
                return
            entry = self._ledger.state.bots.get(owner)
            if not plan.due or plan.due > now or entry is None:
                continue
            if entry.state is not BotState.ERROR:
                self.forget(owner)
                continue
            tries = (*(ts for ts in plan.tries if ts > now - HOUR_NS), now)
            self._note(owner, msgspec.structs.replace(plan, tries=tries, due=0))
            try:
                await self._manager.bring_back(entry, entries=plan.entries)
            except (JournalError, HandoverError):
                raise
            except QuarterdeckError as error:
                log.warning("a failed bot could not be restarted", bot=owner, problem=error.message)
                if entry.state is BotState.ERROR and owner in self._ledger.state.bots:
                    self.failed(entry, entries=plan.entries, now=self._manager.now)
            except (
                Exception
            ) as error:  # a fault of the program: this bot waits for its next try, the others have theirs
                log.exception("a failed bot could not be restarted", bot=owner)
                self._manager.errors.report(error, component="bots", operation="restart", bot=owner)
                self._give_back(
                    entry, f"It could not be restarted ({type(error).__name__}: {error}). See the log file."
                )
                self.failed(entry, entries=plan.entries, now=self._manager.now)

    def _give_back(self, entry: BotEntry, reason: str) -> None:
        """A restart broke off half-way: nothing runs for the bot, and its position is looked after."""
        self._manager.detach(entry.id)
        self._manager.move(entry, BotState.ERROR, reason)
        self._manager.look_after(entry)

    def next_try(self, owner: Owner) -> int:
        """UTC nanoseconds of the next try of a bot; 0 when none is planned."""
        return self._plan(owner).due

    def tries(self, owner: Owner, now: int) -> int:
        """Restarts of a bot within the last hour."""
        return sum(ts > now - HOUR_NS for ts in self._plan(owner).tries)

    def gave_up(self, owner: Owner) -> bool:
        """Whether a bot failed too often to be tried again."""
        return self._plan(owner).gave_up

    def _plan(self, owner: Owner) -> RestartEntry:
        return self._ledger.state.restarts.get(owner, _NO_PLAN)

    def _note(self, owner: Owner, plan: RestartEntry) -> None:
        self._ledger.record(
            ev.BotRestartPlanned(bot=owner, tries=plan.tries, due=plan.due, entries=plan.entries, gave_up=plan.gave_up)
        )

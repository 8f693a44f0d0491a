"""What the running engine does about failures: feeds, parts, rejections and rules, wired together.

Everything here acts on tasks of its own or once a second, never inside the step that books a fact.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from engine import events as ev
from engine.bots.partial import PartialFills
from engine.errors import ConflictError, JournalError, QuarterdeckError
from engine.execution.rejections import Rejections
from engine.logs import get_logger
from engine.market.feeds import FeedWatch
from engine.model.entries import TradingState
from engine.model.faults import Severity
from engine.resilience.rules import RuleRunner

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from engine.engine import Engine
    from engine.execution.connection import VenueConnection
    from engine.model.ids import InstrumentId, Owner
    from engine.model.order import Order, OrderRequest
    from engine.resilience.rules import Firing

__all__ = ["Remedies"]

log = get_logger(__name__)

TEND_S = 1.0
"""How often feeds, parts and rejections are looked at."""


class Remedies:
    """All of it for one engine.

    Args:
        engine: Whose parts are wired; it is built and not started.
    """

    def __init__(self, engine: Engine) -> None:
        settings = engine.settings.error_handling
        self._tasks: asyncio.TaskGroup | None = None
        self.feeds = FeedWatch(
            engine.hub, settings.data_feed_interruption, engine.caution, engine.scenarios, self._renew
        )
        self.parts = PartialFills(
            engine.ledger, engine.desk, settings.partial_order_fill, engine.scenarios, self._reconsider
        )
        self.rejections = Rejections(engine.ledger, self._enter_anew, engine.hub, engine.errors, engine.scenarios)
        breakers = [unit.guard.breaker for unit in engine.venues.values()]
        self.circuit_breakers = {breaker.name: breaker for breaker in breakers}
        """The technical breakers by name; whoever opens a database adds its own."""
        self.backup: Callable[[], Awaitable[object]] | None = None
        """Makes a backup of the home folder; None where nobody can."""
        self.rules = RuleRunner(
            engine.settings.rules,
            engine.clock,
            engine.errors,
            {"alert": self._alert, "pause_bot": self._pause, "halt": self._halt, "start_backup": self._back_up},
        )
        self._engine = engine
        self._rejected: deque[tuple[Order, str, str]] = deque(maxlen=100)
        engine.ledger.subscribe(self._hear)

    @property
    def connection(self) -> VenueConnection:
        """The way to the venue that is meant where none is named."""
        return self._engine.default.connection

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to look after everything; the group owns the tasks."""
        self._tasks = tasks
        tasks.create_task(self._tend(), name="tend")
        tasks.create_task(self.rules.run(), name="rules")

    def _renew(self, instrument: InstrumentId) -> None:
        """Have the venue begin a market's feed anew, beside everything else."""
        if self._tasks is not None:
            self._tasks.create_task(self._engine.unit(instrument).renew(instrument), name="renew a feed")

    def _hear(self, record: ev.Record) -> None:
        self.rules.hear(record)
        if isinstance(record.event, ev.PositionLiquidated):
            self._engine.errors.alert(Severity.CRITICAL, "positions", record.event.reason)
        try:
            self.parts.hear(record)
            order = self.rejections.concerns(record)
            if order is not None and isinstance(record.event, ev.OrderRejected):
                self._rejected.append((order, record.event.code, record.event.reason))
        except Exception as error:  # what is done about failures must not be one for whoever books
            self._engine.errors.report(error, component="remedies", operation="hear", fact=ev.event_name(record.event))

    # --- once a second -----------------------------------------------------------------------------------------------

    async def _tend(self) -> None:
        while True:
            await self._engine.clock.sleep(TEND_S)
            engine = self._engine
            if engine.recovered and engine.ledger.failed is None and not engine.standstill.frozen:
                self.tend(self._engine.clock.now())

    def tend(self, now: int) -> None:
        """Look at feeds, parts and rejections; whatever goes wrong with one of them is no matter of the others."""
        self._guarded("feeds", lambda: self.feeds.tick(now))
        self._guarded("partial fills", lambda: self.parts.tick(now))
        while self._rejected:
            order, code, reason = self._rejected.popleft()
            self._guarded("rejections", lambda: self.rejections.act(order, code, reason))  # noqa: B023

    def _guarded(self, what: str, call: Callable[[], object]) -> None:
        try:
            call()
        except JournalError as error:
            log.error("remedies wait: the journal failed", what=what, problem=error.message)
        except Exception as error:  # it is looked at again in a second
            if not isinstance(error, QuarterdeckError):
                log.exception("a remedy failed", what=what)
            self._engine.errors.report(error, component="remedies", operation=what)

    # --- bots --------------------------------------------------------------------------------------------------------

    def _reconsider(self, owner: Owner, reason: str) -> str:
        bot = self._engine.bots.running.get(owner)
        if bot is None:
            return "kept: its bot is not running"
        said: list[str] = []
        self._engine.bots.guarded(owner, lambda: said.append(bot.reconsider(reason)))
        return said[0] if said else "the bot failed over it"

    def _enter_anew(self, request: OrderRequest) -> Order:
        bot = self._engine.bots.running.get(request.owner)
        if bot is None:
            raise ConflictError(f"The bot {request.owner} is not running.")
        return bot.enter_anew(request)

    # --- rules -------------------------------------------------------------------------------------------------------

    async def _alert(self, firing: Firing) -> None:
        self._engine.errors.alert(firing.rule.severity, "rules", firing.reason)

    async def _pause(self, firing: Firing) -> None:
        entry = self._engine.bots.find(firing.bot)
        self._audit(firing, "bots.pause", f"bot={entry.name}")
        self._engine.bots.pause(entry)

    async def _halt(self, firing: Firing) -> None:
        if self._engine.state.trading_state() is TradingState.HALTED:
            return
        self._engine.risk.hold(f"rule {firing.rule.name}", firing.reason, TradingState.HALTED)

    async def _back_up(self, firing: Firing) -> None:
        if self.backup is None:
            raise ConflictError("No backup can be made here.")
        self._audit(firing, "engine.backup", "")
        await self.backup()

    def _audit(self, firing: Firing, operation: str, summary: str) -> None:
        said = f"{summary} ({firing.reason})".strip()
        self._engine.ledger.record(
            ev.OperatorActed(actor=f"rule {firing.rule.name}", operation=operation, summary=said)
        )

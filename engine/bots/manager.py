"""The bot manager: creates, starts, pauses, stops and deletes bots, feeds them, and contains their failures."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from engine import events as ev
from engine.bots.backlog import Backlog
from engine.bots.builder import AccountOf, BotBuilder, Library
from engine.bots.config import BotConfig
from engine.bots.revival import Revival
from engine.capital.allocation import check_allocation
from engine.errors import (
    ConfigurationError,
    ConflictError,
    HandoverError,
    JournalError,
    NotFoundError,
    QuarterdeckError,
    StrategyError,
)
from engine.logs import get_logger
from engine.model.candle import Bars, timeframe_ns
from engine.model.dust import too_small
from engine.model.entries import BotEntry, BotState
from engine.model.ids import AccountId, InstrumentId, Owner
from engine.resilience.handler import ErrorHandler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from decimal import Decimal

    from engine.bots.bot import Bot, Sizer
    from engine.clock import Clock
    from engine.execution.algos.supervisor import Algos
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.market.hub import BarListener, MarketHub
    from engine.model.candle import Candle
    from engine.state import EngineState

__all__ = ["MAX_RUNNING", "RESERVED_NAMES", "BotManager", "Library", "StopPolicy"]

log = get_logger(__name__)

MAX_RUNNING = 10
"""Bots that may run at once, unless the settings say otherwise."""
RESERVED_NAMES = frozenset({"manual", "external", "unknown", "engine"})
"""Owners that are no bots."""

LEAVE, CANCEL, CLOSE = "leave", "cancel_orders", "close"
StopPolicy = str
"""What a stop does: `leave` everything, `cancel_orders` (protective ones too), or `close` positions."""

_ACTIVE = frozenset({BotState.STARTING, BotState.RUNNING, BotState.PAUSED, BotState.STOPPING, BotState.RECOVERING})


class BotManager:
    """All bots of an engine. Methods that change something book it; failures of one bot never reach another."""

    def __init__(
        self,
        account_of: AccountOf,
        ledger: Ledger,
        desk: Desk,
        hub: MarketHub,
        sizers: Callable[[AccountId], Sizer],
        library: Library,
        history: Callable[[InstrumentId, str, int], Awaitable[Sequence[Candle]]],
        clock: Clock,
        free_capital: Callable[[AccountId], Decimal | None],
        max_running: int = MAX_RUNNING,
        errors: ErrorHandler | None = None,
        heard: Callable[[InstrumentId, str], Sequence[Candle]] = lambda instrument, timeframe: (),
        algos: Algos | None = None,
    ) -> None:
        self.errors = errors or ErrorHandler(clock)
        """Hears of every failure of a bot."""
        self.running: dict[Owner, Bot] = {}
        self._account_of = account_of
        self._ledger = ledger
        self._desk = desk
        self._hub = hub
        self._library = library
        self._builder = BotBuilder(account_of, ledger, desk, hub, sizers, library, history, clock, heard, algos)
        self._clock = clock
        self._free_capital = free_capital
        self.max_running = max_running
        self._listeners: dict[Owner, BarListener] = {}
        self._stopping: dict[Owner, StopPolicy] = {}
        self._revival = Revival(self, ledger)
        self.heartbeats: dict[Owner, int] = {}
        """UTC nanoseconds at which each bot last did something."""
        self.backlog = Backlog()
        self.admit: Callable[[BotEntry], None] = lambda entry: None
        """Asked before a bot starts; raises what speaks against it."""
        ledger.subscribe(self._on_record)

    # --- looking up --------------------------------------------------------------------------------------------------

    def find(self, name: str) -> BotEntry:
        """A bot by id or name.

        Raises:
            NotFoundError: There is none; the message names those there are.
        """
        for entry in self._ledger.state.bots.values():
            if name in (entry.id, entry.name):
                return entry
        known = ", ".join(sorted(e.name for e in self._ledger.state.bots.values())) or "none yet"
        raise NotFoundError(f"There is no bot {name!r}; the bots are: {known}.")

    def config(self, entry: BotEntry) -> BotConfig:
        """A bot's validated configuration, with the capital that it has now."""
        return BotConfig.decode(entry.config).model_copy(update={"capital": entry.capital})

    def account_of(self, entry: BotEntry) -> AccountId | None:
        """Where a bot trades; None when its configuration or its venue is not known here."""
        try:
            return self._account_of(self.config(entry))
        except (ConfigurationError, NotFoundError):
            return None

    # --- life --------------------------------------------------------------------------------------------------------

    def create(self, config: BotConfig) -> BotEntry:
        """Check a configuration and book a new, stopped bot.

        Raises:
            ConfigurationError: The name is taken or the instrument unknown.
            CapitalManagementError: The capital is not free, or nobody knows what is.
            StrategyLoadError, NotFoundError: The strategy cannot be had.
        """
        state = self._ledger.state
        name = config.name.lower()
        if name in RESERVED_NAMES or any(name in (entry.name.lower(), entry.id) for entry in state.bots.values()):
            raise ConfigurationError(f"A bot named {config.name!r} exists already; choose another name.")
        self._check(config)
        account = state.accounts[self._account_of(config)]
        owner = Owner(f"bot-{secrets.token_hex(4)}")
        self._ledger.record(
            ev.BotCreated(
                bot=owner,
                name=config.name,
                config=config.encode(),
                capital=config.capital,
                currency=account.base_currency,
            )
        )
        return state.bots[owner]

    def _check(self, config: BotConfig, replacing: BotEntry | None = None) -> None:
        self._builder.instrument(config)
        account = self._account_of(config)
        if account not in self._ledger.state.accounts:
            raise ConfigurationError(f"The account {account} is not open yet; wait until its venue has been reached.")
        free = self._free_capital(account)
        if free is not None and replacing is not None:
            free += replacing.capital
        check_allocation(config.capital, free)
        self._library.make(config.strategy, config.strategy_file, dict(config.params))

    async def start(self, entry: BotEntry) -> None:
        """Warm a bot up from history and let it trade. What it holds is protected first of all.

        Raises:
            ConflictError: It is running, or too many are.
            CapitalManagementError: It has not the capital that its kind needs.
            StrategyError, ConfigurationError, ExchangeError: It cannot start; it is then in state ERROR and says why.
        """
        if entry.state in _ACTIVE:
            raise ConflictError(f"The bot {entry.name} is already {entry.state}.")
        self.check_room()
        self.admit(entry)
        self.move(entry, BotState.STARTING)
        try:
            bot = await self.build(entry)
        except JournalError:
            raise
        except QuarterdeckError as error:
            self.move(entry, BotState.ERROR, error.message)
            raise
        self.attach(entry, bot)
        self.move(entry, BotState.RUNNING)
        # What the position needs now may differ from what rests at the venue after a restart.
        self.guarded(entry.id, bot.protect)

    def check_room(self) -> None:
        """Raise ConflictError when as many bots run as may."""
        if sum(bot.state in _ACTIVE for bot in self._ledger.state.bots.values()) >= self.max_running:
            raise ConflictError(
                f"{self.max_running} bots are running, the most allowed; stop one first, or raise "
                "strategies.max_concurrent_strategies."
            )

    async def build(self, entry: BotEntry) -> Bot:
        """A bot that is warmed up and not attached. Raises as `start`, and books nothing."""
        try:
            return await self._builder.build(entry, self.config(entry))
        except QuarterdeckError:
            raise
        except Exception as error:
            # A strategy's file and a venue's history are outside: whatever they raise, this bot alone does not start.
            log.exception("a bot could not be started", bot=entry.id)
            self.errors.report(error, component="bots", operation="start", bot=entry.id)
            raise StrategyError(
                f"It could not be started ({type(error).__name__}: {error}). The log has the details."
            ) from error

    def attach(self, entry: BotEntry, bot: Bot) -> None:
        """Let a bot hear its bars and its orders' reports."""

        def listener(candle: Candle, owner: Owner = entry.id) -> None:
            self._on_bar(owner, candle)

        self.running[entry.id] = bot
        self._listeners[entry.id] = listener
        self._hub.series(bot.instrument.id, bot.runner.timeframe).listeners.append(listener)
        self.heartbeats[entry.id] = self._clock.now()

    def _detach(self, owner: Owner) -> None:
        bot = self.running.pop(owner, None)
        listener = self._listeners.pop(owner, None)
        self._stopping.pop(owner, None)
        if bot is not None and listener is not None:
            self._hub.series(bot.instrument.id, bot.runner.timeframe).listeners.remove(listener)

    def pause(self, entry: BotEntry) -> None:
        """No new entries; positions stay protected and exits go on.

        Raises:
            ConflictError: It is not running.
        """
        if entry.state is not BotState.RUNNING:
            raise ConflictError(f"The bot {entry.name} is {entry.state}; only a running bot can be paused.")
        bot = self.running[entry.id]
        bot.entries_allowed = False
        bot.cancel_entries("the bot is paused")
        self.move(entry, BotState.PAUSED)

    def resume(self, entry: BotEntry) -> None:
        """Allow entries again.

        Raises:
            ConflictError: It is not paused.
        """
        if entry.state is not BotState.PAUSED:
            raise ConflictError(f"The bot {entry.name} is {entry.state}; only a paused bot can be resumed.")
        bot = self.running.get(entry.id)
        if bot is None:
            raise ConflictError(f"The bot {entry.name} is still being brought back; resume it in a moment.")
        bot.entries_allowed = True
        self.move(entry, BotState.RUNNING)

    def stop(self, entry: BotEntry, policy: StopPolicy = CANCEL, reason: str = "") -> None:
        """Stop a bot; with `close` it stays STOPPING until its position is closed.

        Raises:
            ConflictError: It is not running.
        """
        bot = self.running.get(entry.id)
        if bot is None:
            if entry.state is BotState.ERROR or entry.id in self._revival.waiting:
                self._stop_failed(entry, policy, reason)
                return
            raise ConflictError(f"The bot {entry.name} is {entry.state}; there is nothing to stop.")
        bot.entries_allowed = False
        self._stopping[entry.id] = policy
        self.move(entry, BotState.STOPPING, reason)
        if policy == CLOSE:
            self._close(entry, bot, "the bot is stopped")
        elif policy == CANCEL:
            bot.cancel_all("the bot is stopped")
        self._finish_stopping(entry.id)

    def _stop_failed(self, entry: BotEntry, policy: StopPolicy, reason: str) -> None:
        if policy == CLOSE and _holds(self._ledger.state, entry.id):
            raise ConflictError(
                f"The bot {entry.name} is not up and cannot close its position; close it on Portfolio, or let the bot "
                "run again first."
            )
        self._revival.waiting.discard(entry.id)
        if policy == CANCEL:
            self._desk.cancel_matching(lambda order: order.owner == entry.id, "the bot is stopped")
        self.move(entry, BotState.STOPPED, reason)

    def close_position(self, entry: BotEntry, reason: str) -> None:
        """Let a running bot close its position and go on.

        Raises:
            ConflictError: It is not running.
        """
        bot = self.running.get(entry.id)
        if bot is None:
            raise ConflictError(f"The bot {entry.name} is {entry.state} and closes nothing by itself.")
        self._close(entry, bot, reason)

    def _close(self, entry: BotEntry, bot: Bot, reason: str) -> None:
        # Saved at once: a restart in between goes on closing.
        if self.guarded(entry.id, lambda: bot.close(reason)) and bot.memory.closing:
            self._save(entry, bot)

    def _finish_stopping(self, owner: Owner) -> None:
        policy, bot = self._stopping.get(owner), self.running.get(owner)
        if policy is None or bot is None:
            return
        if policy == CLOSE and bot.quantity:
            if not bot.memory.closing:
                # An entry that was being cancelled has filled after all.
                self.guarded(owner, lambda: bot.close("the bot is stopped"))
            return
        if policy != LEAVE and bot.orders():
            return
        entry = self._ledger.state.bots[owner]
        self._save(entry, bot)
        if owner not in self.running:
            return
        self._detach(owner)
        self.move(entry, BotState.STOPPED, entry.reason)

    def delete(self, entry: BotEntry) -> None:
        """Remove a stopped bot; its history stays.

        Raises:
            ConflictError: It runs, or still holds a position or orders.
        """
        if entry.state in _ACTIVE:
            raise ConflictError(f"The bot {entry.name} is {entry.state}; stop it before deleting it.")
        if _holds(self._ledger.state, entry.id):
            raise ConflictError(
                f"The bot {entry.name} still has a position or orders; start it and stop it with `close`, or close the "
                "position on Portfolio."
            )
        self._ledger.record(ev.BotDeleted(bot=entry.id))

    def configure(self, entry: BotEntry, config: BotConfig) -> None:
        """Replace a stopped bot's configuration as a whole.

        Raises:
            ConflictError: It runs.
            ConfigurationError: The new one is not acceptable; the old one stays.
        """
        if entry.state in _ACTIVE:
            raise ConflictError(f"The bot {entry.name} is {entry.state}; stop it before changing its configuration.")
        if config.name != entry.name:
            raise ConfigurationError("A bot keeps its name; create a new one under the other name.")
        if config.instrument != self.config(entry).instrument and _holds(self._ledger.state, entry.id):
            raise ConflictError(
                f"The bot {entry.name} still has a position or orders in {self.config(entry).instrument}, which nobody "
                "would look after any more; close them first."
            )
        self._check(config, entry)
        self._ledger.record(ev.BotConfigured(bot=entry.id, config=config.encode(), capital=config.capital))

    # --- being fed ---------------------------------------------------------------------------------------------------

    def _on_bar(self, owner: Owner, candle: Candle) -> None:
        if self.backlog.keeps(lambda: self._on_bar(owner, candle)):
            return
        bot, entry = self.running.get(owner), self._ledger.state.bots.get(owner)
        if bot is None or entry is None:
            return
        self.heartbeats[owner] = self._clock.now()
        bars = Bars.from_candles(candle.timeframe, [candle])
        length = timeframe_ns(candle.timeframe)
        # A bar that ended more than a bar ago came late, after a gap: it is history, not a reason to trade now.
        late = self._clock.now() - (candle.ts + length) > length
        if self.guarded(owner, lambda: bot.miss(bars) if late else bot.on_bars(bars)):
            self._save(entry, bot)

    def _save(self, entry: BotEntry, bot: Bot) -> None:
        def save() -> None:
            self._ledger.record(
                ev.BotMemorySaved(
                    bot=entry.id,
                    strategy=bot.runner.strategy.name,
                    schema=bot.runner.strategy.Memory.schema,
                    memory=bot.save(),
                    bar_ts=bot.last_bar_ts,
                )
            )

        self.guarded(entry.id, save)

    def _on_record(self, record: ev.Record) -> None:
        if self.backlog.keeps(lambda: self._on_record(record)):
            return
        event = record.event
        owner = _concerned(self._ledger.state, event)
        bot = self.running.get(owner) if owner is not None else None
        if bot is None:
            return
        self.heartbeats[bot.owner] = self._clock.now()
        policy = self._stopping.get(bot.owner)
        if policy is None or policy == CLOSE:
            self.guarded(bot.owner, lambda: bot.on_record(record))
        self._finish_stopping(bot.owner)

    def guarded(self, owner: Owner, call: Callable[[], None]) -> bool:
        """Run a bot's code; whatever it raises ends this bot and nothing else."""
        try:
            call()
        except (JournalError, HandoverError) as error:
            # Not the bot's fault, and nothing can be booked about it.
            log.error("a bot waits: nothing can be booked", bot=owner, problem=error.message)
        except QuarterdeckError as error:
            self.errors.report(error, component="bots", operation="run", bot=owner)
            self._fail(owner, error.message)
        except Exception as error:
            log.exception("a bot failed", bot=owner)
            # A strategy's fault ends its own bot and nothing else: it is no failure of the system.
            failed = StrategyError(f"{type(error).__name__}: {error}").with_traceback(error.__traceback__)
            self.errors.report(failed, component="bots", operation="run", bot=owner)
            self._fail(owner, f"It failed unexpectedly ({type(error).__name__}: {error}). See the log file.")
        else:
            return True
        return False

    def _fail(self, owner: Owner, reason: str) -> None:
        """End a bot that failed: no more entries, its protective orders stay where they are."""
        bot, entry = self.running.get(owner), self._ledger.state.bots.get(owner)
        self._detach(owner)
        if self._ledger.failed is not None:
            return
        if bot is not None:
            bot.cancel_entries("the bot failed")
        if entry is not None:
            self.move(entry, BotState.ERROR, reason)

    def move(self, entry: BotEntry, state: BotState, reason: str = "") -> None:
        """Book a bot's new state."""
        self._ledger.record(ev.BotStateChanged(bot=entry.id, state=state, reason=reason))

    # --- the engine's life -------------------------------------------------------------------------------------------

    def suspend(self) -> None:
        """Let go of all bots as they are: the engine is about to end, and they go on at its next start."""
        self._revival.waiting.clear()
        for owner, bot in tuple(self.running.items()):
            self._save(self._ledger.state.bots[owner], bot)
            self._detach(owner)

    def save(self) -> None:
        """Book what every bot remembers now, so that another process goes on from here."""
        for owner, bot in tuple(self.running.items()):
            self._save(self._ledger.state.bots[owner], bot)

    async def recover(self) -> None:
        """After a restart: bots that ran run again (paused ones stay paused), those with autostart start.

        One that was being stopped is stopped for good, its position closed if that had begun. One whose history cannot
        be had stays RECOVERING until `retry`. Never raises for a bot.

        Raises:
            JournalError: Nothing can be booked any more.
        """
        await self._revival.recover(_ACTIVE)

    async def retry(self) -> None:
        """Try those again that could not be brought back after the restart. Raises as `recover`."""
        await self._revival.retry()


def _concerned(state: EngineState, event: ev.Event) -> Owner | None:
    """Whose order or position a fact is about."""
    if isinstance(event, ev.PositionLiquidated):
        return event.owner
    client_id = event.fill.client_id if isinstance(event, ev.OrderFilled) else getattr(event, "client_id", None)
    order = state.order(client_id) if client_id is not None else None
    return order.owner if order is not None else None


def _holds(state: EngineState, owner: Owner) -> bool:
    """Whether a bot has orders, or a position that is large enough to be traded."""
    if any(order.owner == owner for order in state.orders.values()):
        return True
    for (holder, _, instrument), position in state.owned.items():
        if holder == owner and position.lots:
            entry = state.marks.get(instrument)
            mark = None if entry is None else entry.price
            if not too_small(state.instruments[instrument], position.quantity, mark):
                return True
    return False

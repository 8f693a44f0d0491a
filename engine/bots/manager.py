"""The bot manager: creates, starts, pauses, stops and deletes bots, feeds them, and contains their failures."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol

from engine import events as ev
from engine.bots.bot import Bot, Sizer
from engine.bots.config import BotConfig
from engine.capital.allocation import check_allocation
from engine.errors import ConfigurationError, ConflictError, NotFoundError, QuarterdeckError, StrategyError
from engine.logs import get_logger
from engine.model.candle import Bars
from engine.model.entries import BotEntry, BotState
from engine.model.ids import AccountId, InstrumentId, Owner
from engine.strategy.runner import STATE_MISMATCH, StrategyRunner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from decimal import Decimal

    from engine.clock import Clock
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.market.hub import BarListener, MarketHub
    from engine.model.candle import Candle
    from engine.strategy.contract import Strategy

__all__ = ["MAX_RUNNING", "BotManager", "Library", "StopPolicy"]

log = get_logger(__name__)

MAX_RUNNING = 10
"""Strategies that may run at once."""

LEAVE, CANCEL, CLOSE = "leave", "cancel_orders", "close"
StopPolicy = str
"""What a stop does: `leave` everything, `cancel_orders` (protective ones too), or `close` positions."""

_ACTIVE = frozenset({BotState.STARTING, BotState.RUNNING, BotState.PAUSED, BotState.STOPPING, BotState.RECOVERING})


class Library(Protocol):
    """Where strategies come from."""

    def make(self, name: str, file: str | None, params: dict[str, bool | int | float | str]) -> Strategy:
        """Build a strategy. Raises StrategyLoadError, NotFoundError or ConfigurationError."""


class BotManager:
    """All bots of an engine. Methods that change something book it; failures of one bot never reach another."""

    def __init__(
        self,
        account: AccountId,
        ledger: Ledger,
        desk: Desk,
        hub: MarketHub,
        sizer: Sizer,
        library: Library,
        history: Callable[[InstrumentId, str, int], Awaitable[Sequence[Candle]]],
        clock: Clock,
        free_capital: Callable[[], Decimal | None],
    ) -> None:
        self.running: dict[Owner, Bot] = {}
        self._account = account
        self._ledger = ledger
        self._desk = desk
        self._hub = hub
        self._sizer = sizer
        self._library = library
        self._history = history
        self._clock = clock
        self._free_capital = free_capital
        self._listeners: dict[Owner, BarListener] = {}
        self._stopping: dict[Owner, StopPolicy] = {}
        self.heartbeats: dict[Owner, int] = {}
        """UTC nanoseconds at which each bot last did something."""
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
        """A bot's validated configuration."""
        return BotConfig.decode(entry.config)

    # --- life --------------------------------------------------------------------------------------------------------

    def create(self, config: BotConfig) -> BotEntry:
        """Check a configuration and book a new, stopped bot.

        Raises:
            ConfigurationError: The name is taken or the instrument unknown.
            CapitalManagementError: The capital is not free, or nobody knows what is.
            StrategyLoadError, NotFoundError: The strategy cannot be had.
        """
        state = self._ledger.state
        if any(entry.name.lower() == config.name.lower() for entry in state.bots.values()):
            raise ConfigurationError(f"A bot named {config.name!r} exists already; choose another name.")
        self._check(config)
        account = state.accounts[self._account]
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

    def _check(self, config: BotConfig, replacing: BotEntry | None = None) -> Strategy:
        instrument = self._ledger.state.instruments.get(InstrumentId(config.instrument))
        if instrument is None:
            known = ", ".join(sorted(self._ledger.state.instruments))
            raise ConfigurationError(f"The instrument {config.instrument} is not known; known are {known}.")
        free = self._free_capital()
        if free is not None and replacing is not None:
            free += replacing.capital
        check_allocation(config.capital, free)
        return self._library.make(config.strategy, config.strategy_file, dict(config.params))

    async def start(self, entry: BotEntry) -> None:
        """Warm a bot up from history and let it trade.

        Raises:
            ConflictError: It is running, or too many are.
            StrategyError, ConfigurationError, ExchangeError: It cannot start; it is then in state ERROR and says why.
        """
        if entry.state in _ACTIVE:
            raise ConflictError(f"The bot {entry.name} is already {entry.state}.")
        if len(self.running) >= MAX_RUNNING:
            raise ConflictError(f"{MAX_RUNNING} bots are running, the most allowed; stop one first.")
        self._move(entry, BotState.STARTING)
        try:
            bot = await self._warm(entry)
        except QuarterdeckError as error:
            self._move(entry, BotState.ERROR, error.message)
            raise
        if entry.state is not BotState.STARTING:
            return
        self._attach(entry, bot)
        self._move(entry, BotState.RUNNING)
        # What the position needs now may differ from what rests at the venue after a restart.
        self._guarded(entry.id, bot.protect)

    async def _warm(self, entry: BotEntry) -> Bot:
        config = self.config(entry)
        strategy = self._check(config, entry)
        instrument = self._ledger.state.instruments[InstrumentId(config.instrument)]
        runner = StrategyRunner(strategy, instrument.id, timeframe=config.timeframe, timer=self._clock.monotonic)
        bot = Bot(
            entry.id,
            self._account,
            instrument,
            runner,
            self._desk,
            self._ledger,
            self._hub,
            self._sizer,
            runner.params_hash,
        )
        if entry.memory:
            try:
                bot.restore(entry.memory)
            except StrategyError as error:
                if error.error_code != STATE_MISMATCH:
                    raise
                log.warning("a bot starts without its memory", bot=entry.id, problem=error.message)
        candles = await self._history(instrument.id, config.timeframe, runner.history)
        if candles:
            runner.warm_up(Bars.from_candles(config.timeframe, list(candles)))
            bot.last_bar_ts = candles[-1].ts
            self._hub.series(instrument.id, config.timeframe).seed(candles)
        return bot

    def _attach(self, entry: BotEntry, bot: Bot) -> None:
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
        for order in bot.orders():
            if not order.reduce_only:
                self._desk.cancel(order.client_id, "the bot is paused")
        self._move(entry, BotState.PAUSED)

    def resume(self, entry: BotEntry) -> None:
        """Allow entries again.

        Raises:
            ConflictError: It is not paused.
        """
        if entry.state is not BotState.PAUSED:
            raise ConflictError(f"The bot {entry.name} is {entry.state}; only a paused bot can be resumed.")
        self.running[entry.id].entries_allowed = True
        self._move(entry, BotState.RUNNING)

    def stop(self, entry: BotEntry, policy: StopPolicy = CANCEL, reason: str = "") -> None:
        """Stop a bot; with `close` it stays STOPPING until its position is closed.

        Raises:
            ConflictError: It is not running.
        """
        bot = self.running.get(entry.id)
        if bot is None:
            if entry.state is BotState.ERROR:
                self._move(entry, BotState.STOPPED, reason)
                return
            raise ConflictError(f"The bot {entry.name} is {entry.state}; there is nothing to stop.")
        bot.entries_allowed = False
        self._stopping[entry.id] = policy
        self._move(entry, BotState.STOPPING, reason)
        if policy == CLOSE:
            self._guarded(entry.id, lambda: bot.close("the bot is stopped"))
        elif policy == CANCEL:
            bot.cancel_all("the bot is stopped")
        self._finish_stopping(entry.id)

    def _finish_stopping(self, owner: Owner) -> None:
        policy, bot = self._stopping.get(owner), self.running.get(owner)
        if policy is None or bot is None:
            return
        if policy != LEAVE and any(order.is_open for order in bot.orders()):
            return
        if policy == CLOSE and bot.quantity:
            return
        entry = self._ledger.state.bots[owner]
        self._save(entry, bot)
        self._detach(owner)
        self._move(entry, BotState.STOPPED, entry.reason)

    def delete(self, entry: BotEntry) -> None:
        """Remove a stopped bot; its history stays.

        Raises:
            ConflictError: It runs, or still holds a position or orders.
        """
        if entry.state in _ACTIVE:
            raise ConflictError(f"The bot {entry.name} is {entry.state}; stop it before deleting it.")
        state = self._ledger.state
        holds = any(p.lots for (owner, _, _), p in state.owned.items() if owner == entry.id)
        if holds or any(order.owner == entry.id for order in state.orders.values()):
            raise ConflictError(f"The bot {entry.name} still has a position or orders; stop it with `close` first.")
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
        self._check(config, entry)
        self._ledger.record(ev.BotConfigured(bot=entry.id, config=config.encode(), capital=config.capital))

    # --- being fed ---------------------------------------------------------------------------------------------------

    def _on_bar(self, owner: Owner, candle: Candle) -> None:
        bot, entry = self.running.get(owner), self._ledger.state.bots.get(owner)
        if bot is None or entry is None:
            return
        self.heartbeats[owner] = self._clock.now()
        bars = Bars.from_candles(candle.timeframe, [candle])
        if self._guarded(owner, lambda: bot.on_bars(bars)):
            self._save(entry, bot)

    def _save(self, entry: BotEntry, bot: Bot) -> None:
        self._ledger.record(
            ev.BotMemorySaved(
                bot=entry.id,
                strategy=bot.runner.strategy.name,
                schema=bot.runner.strategy.Memory.schema,
                memory=bot.save(),
                bar_ts=bot.last_bar_ts,
            )
        )

    def _on_record(self, record: ev.Record) -> None:
        event = record.event
        client_id = event.fill.client_id if isinstance(event, ev.OrderFilled) else getattr(event, "client_id", None)
        if client_id is None:
            return
        order = self._ledger.state.order(client_id)
        bot = self.running.get(order.owner) if order is not None else None
        if bot is None:
            return
        self.heartbeats[bot.owner] = self._clock.now()
        policy = self._stopping.get(bot.owner)
        if policy is None or policy == CLOSE:
            self._guarded(bot.owner, lambda: bot.on_record(record))
        self._finish_stopping(bot.owner)

    def _guarded(self, owner: Owner, call: Callable[[], None]) -> bool:
        """Run a bot's code; whatever it raises ends this bot and nothing else."""
        try:
            call()
        except QuarterdeckError as error:
            self._fail(owner, error.message)
        except Exception as error:
            log.exception("a bot failed", bot=owner)
            self._fail(owner, f"It failed unexpectedly ({type(error).__name__}: {error}). See the log file.")
        else:
            return True
        return False

    def _fail(self, owner: Owner, reason: str) -> None:
        """End a bot that failed: no more entries, its protective orders stay where they are."""
        bot, entry = self.running.get(owner), self._ledger.state.bots.get(owner)
        if bot is not None:
            for order in bot.orders():
                if not order.reduce_only and not order.cancel_requested:
                    self._desk.cancel(order.client_id, "the bot failed")
        self._detach(owner)
        if entry is not None:
            self._move(entry, BotState.ERROR, reason)

    def _move(self, entry: BotEntry, state: BotState, reason: str = "") -> None:
        self._ledger.record(ev.BotStateChanged(bot=entry.id, state=state, reason=reason))

    # --- the engine's life -------------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """After a restart: bots that ran run again (paused ones stay paused), those with autostart start."""
        for entry in list(self._ledger.state.bots.values()):
            was = entry.state
            if was not in _ACTIVE and not (was is BotState.STOPPED and self.config(entry).autostart):
                continue
            self._move(entry, BotState.STOPPED, "the engine restarted")
            if was is BotState.STOPPING:
                continue
            try:
                await self.start(entry)
                if was is BotState.PAUSED:
                    self.pause(entry)
            except QuarterdeckError as error:
                log.warning("a bot could not be restarted", bot=entry.id, problem=error.message)

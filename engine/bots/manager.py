"""The bot manager: starts, pauses and stops bots, feeds them, and contains their failures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.bots.allowance import Admission, Machine
from engine.bots.backlog import Backlog
from engine.bots.builder import AccountOf, BotBuilder, Library, MemoryCopies
from engine.bots.caretaker import Caretakers
from engine.bots.events.keeper import EventBots
from engine.bots.events.live import LiveEventBot
from engine.bots.households import Household
from engine.bots.peers import Peers
from engine.bots.resources import ResourceWatch
from engine.bots.revival import Revival
from engine.bots.roster import ACTIVE, RESERVED_NAMES, holds
from engine.bots.stopping import CANCEL, Stopping, StopPolicy
from engine.bots.supervisor import Supervision, Supervisor
from engine.bots.universes import Universes
from engine.errors import (
    ConflictError,
    HandoverError,
    JournalError,
    QuarterdeckError,
    StrategyError,
)
from engine.logs import get_logger
from engine.model.candle import Bars, timeframe_ns
from engine.model.entries import BotEntry, BotState
from engine.resilience.handler import ErrorHandler

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from decimal import Decimal

    from engine.bots.allowance import Allowance
    from engine.bots.bot import Bot, Sizer
    from engine.bots.config import BotConfig
    from engine.clock import Clock
    from engine.execution.algos.planner import Planner
    from engine.execution.algos.supervisor import Algos
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.market.hub import BarListener, MarketHub
    from engine.model.candle import Candle
    from engine.model.ids import AccountId, InstrumentId, Owner
    from engine.model.signal import Signal
    from engine.state import EngineState

__all__ = ["MAX_RUNNING", "RESERVED_NAMES", "BotManager", "Library", "StopPolicy"]

log = get_logger(__name__)

MAX_RUNNING = 10
"""Bots that may run at once, unless the settings say otherwise."""


class BotManager(Household):
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
        planner: Planner | None = None,
        rules: Supervision | None = None,
        machine: Machine | None = None,
    ) -> None:
        self.errors = errors or ErrorHandler(clock)
        """Hears of every failure of a bot."""
        self.running: dict[Owner, Bot] = {}
        makers = (sizers, library, history, clock, heard, algos, planner)
        builder = BotBuilder(account_of, ledger, desk, hub, *makers)
        super().__init__(account_of, ledger, builder, library, free_capital)
        self._hub = hub
        self._clock = clock
        self.max_running = max_running
        self._listeners: dict[Owner, BarListener] = {}
        self._ending: list[Bot] = []
        """Those whose processes have been ended and are not gone yet."""
        self.revival = Revival(self, ledger)
        self.stopping = Stopping(self, ledger, desk)
        self.heartbeats: dict[Owner, int] = {}
        """UTC nanoseconds at which each bot last did something, or was found alive."""
        self.asleep = False
        """Whether all bots were let go of, because the engine is about to end."""
        self.backlog = Backlog()
        self.peers = Peers(ledger)
        """What bots hear of one another."""
        self.caretakers = Caretakers(ledger, desk, hub, self.errors)
        """Look after the positions of bots that are not up."""
        self.watch = ResourceWatch(self)
        self.supervisor = Supervisor(self, ledger, rules or Supervision())
        self.universes = Universes(self, ledger)
        """Bots that trade every market of a rule."""
        self._admission = Admission(machine or Machine.here(), self._allowances)
        builder.admit, builder.place = self._admission.admit, self._admission.place
        self.events = EventBots(self, builder, ledger, library)
        self.admit: Callable[[BotEntry], None] = lambda entry: None
        """Asked before a bot starts; raises what speaks against it."""
        ledger.subscribe(self._on_record)

    @property
    def now(self) -> int:
        """UTC nanoseconds."""
        return self._clock.now()

    def look_for_copies(self, copies: MemoryCopies) -> None:
        """Name where older copies of bots' memories are found."""
        self._builder.copies = copies

    # --- life --------------------------------------------------------------------------------------------------------

    async def start(self, entry: BotEntry) -> None:
        """Warm a bot up from history and let it trade. What it holds is protected first of all.

        Raises:
            ConflictError: It is running, or too many are.
            CapitalManagementError: It has not the capital that its kind needs.
            StrategyError, ConfigurationError, ExchangeError: It cannot start; it is then in state ERROR and says why.
        """
        if entry.state in ACTIVE:
            raise ConflictError(f"The bot {entry.name} is already {entry.state}.")
        self.check_room(entry)
        if self.universes.is_parent(entry):
            self.universes.start(entry)
            return
        self.admit(entry)
        self.supervisor.forget(entry.id)
        self.move(entry, BotState.STARTING)
        await self._bring_up(entry, entries=True)

    async def bring_back(self, entry: BotEntry, *, entries: bool) -> None:
        """Start a failed bot again; without `entries` it comes back paused. Raises as `start`."""
        self.check_room(entry)
        self.admit(entry)
        self.move(entry, BotState.STARTING, "it is restarted after a failure")
        await self._bring_up(entry, entries=entries)

    async def _bring_up(self, entry: BotEntry, *, entries: bool) -> None:
        try:
            bot = await self.build(entry)
        except JournalError:
            raise
        except QuarterdeckError as error:
            self.move(entry, BotState.ERROR, error.message)
            self.look_after(entry)
            raise
        bot.entries_allowed = entries
        self.attach(entry, bot)
        if entries:
            self.move(entry, BotState.RUNNING)
        else:
            self.move(entry, BotState.PAUSED, "it failed and was restarted; it enters nothing until it is resumed")
        # What the position needs now may differ from what rests at the venue after a restart.
        self.guarded(entry.id, bot.protect)

    def _allowances(self) -> dict[str, Allowance]:
        state = self._ledger.state
        return {state.bots[owner].name: bot.allowance for owner, bot in self.running.items() if owner in state.bots}

    def look_after(self, entry: BotEntry) -> None:
        """Keep the protection of a bot that is not up in step with its position."""
        if entry.id in self.running or not holds(self._ledger.state, entry.id):
            return
        if self.events.is_one(entry):
            self.events.leave(entry)
            return
        place = self.place_of(entry)
        if place is not None:
            self.caretakers.take(entry, *place)

    async def build(self, entry: BotEntry, config: BotConfig | None = None) -> Bot:
        """A bot that is warmed up and not attached. Raises as `start`, and books nothing.

        Args:
            entry: The bot.
            config: Its configuration; None for the one that is booked.
        """
        try:
            config = config or self.config(entry)
            self.check_mode(config)
            return await self._builder.build(entry, config)
        except QuarterdeckError:
            raise
        except Exception as error:
            # A strategy's file and a venue's history are outside: whatever they raise, this bot alone does not start.
            log.exception("a bot could not be started", bot=entry.id)
            self.errors.report(error, component="bots", operation="start", bot=entry.id)
            raise StrategyError(
                f"It could not be started ({type(error).__name__}: {error}). The log has the details."
            ) from error
        finally:
            self._admission.leave(entry.name)

    def attach(self, entry: BotEntry, bot: Bot) -> None:
        """Let a bot hear its bars and its orders' reports."""

        def listener(candle: Candle, owner: Owner = entry.id) -> None:
            self._on_bar(owner, candle)

        self.caretakers.release(entry.id)
        if self.universes.is_member(entry):
            bot.has_room = lambda: self.universes.has_room(entry.id)
        self.running[entry.id] = bot
        bot.listen(
            lambda signals: self._on_answer(entry.id, bot, signals), lambda error: self._on_lost(entry.id, bot, error)
        )
        self._listeners[entry.id] = listener
        self._hub.series(bot.instrument.id, bot.runner.timeframe).listeners.append(listener)
        self.heartbeats[entry.id] = self._clock.now()
        self.events.attach(bot)

    def detach(self, owner: Owner) -> None:
        """Let a bot hear nothing more, and end what runs for it."""
        bot = self.running.pop(owner, None)
        listener = self._listeners.pop(owner, None)
        self.stopping.policies.pop(owner, None)
        if bot is not None and listener is not None:
            self._hub.series(bot.instrument.id, bot.runner.timeframe).listeners.remove(listener)
        if bot is not None:
            bot.end()
            self._ending = [one for one in self._ending if not one.has_ended]
            self._ending += [bot] if not bot.has_ended else []

    def replace(self, entry: BotEntry, fresh: Bot) -> None:
        """Let another instance of a running bot go on in its place, with the same levels."""
        old = self.running[entry.id]
        fresh.entries_allowed = old.entries_allowed
        fresh.take_levels(old)
        self.detach(entry.id)
        self.attach(entry, fresh)
        self.guarded(entry.id, fresh.protect)

    def pause(self, entry: BotEntry, reason: str = "") -> None:
        """No new entries; positions stay protected and exits go on.

        Raises:
            ConflictError: It is not running.
        """
        if entry.state is not BotState.RUNNING:
            raise ConflictError(f"The bot {entry.name} is {entry.state}; only a running bot can be paused.")
        if self.universes.is_parent(entry):
            self.universes.pause(entry, reason)
            return
        bot = self.running[entry.id]
        bot.entries_allowed = False
        bot.cancel_entries("the bot is paused")
        self.move(entry, BotState.PAUSED, reason)

    def resume(self, entry: BotEntry) -> None:
        """Allow entries again.

        Raises:
            ConflictError: It is not paused.
        """
        if entry.state is not BotState.PAUSED:
            raise ConflictError(f"The bot {entry.name} is {entry.state}; only a paused bot can be resumed.")
        if self.universes.is_parent(entry):
            self.universes.resume(entry)
            return
        bot = self.running.get(entry.id)
        if bot is None:
            raise ConflictError(f"The bot {entry.name} is still being brought back; resume it in a moment.")
        bot.entries_allowed = True
        self.move(entry, BotState.RUNNING)

    def stop(self, entry: BotEntry, policy: StopPolicy = CANCEL, reason: str = "") -> None:
        """Stop a bot; with `close` it stays STOPPING until its position is closed. Raises as `Stopping.stop`."""
        if self.universes.is_parent(entry):
            self.universes.stop(entry, policy, reason)
            return
        self.stopping.stop(entry, policy, reason)

    def close_position(self, entry: BotEntry, reason: str) -> None:
        """Let a running bot close its position and go on.

        Raises:
            ConflictError: It is not running.
        """
        self.stopping.close(entry, reason)

    # --- being fed ---------------------------------------------------------------------------------------------------

    def _on_bar(self, owner: Owner, candle: Candle) -> None:
        if self.backlog.keeps(lambda: self._on_bar(owner, candle)):
            return
        bot, entry = self.running.get(owner), self._ledger.state.bots.get(owner)
        if bot is None or entry is None:
            return
        self.heartbeats[owner] = self._clock.now()
        bot.runner.strategy.peers = self.peers.others(owner)
        bars = Bars.from_candles(candle.timeframe, [candle])
        length = timeframe_ns(candle.timeframe)
        # A bar that ended more than a bar ago came late, after a gap: it is history, not a reason to trade now.
        late = self._clock.now() - (candle.ts + length) > length
        if self.guarded(owner, lambda: bot.miss(bars) if late else bot.on_bars(bars)) and not bot.answers_later:
            self.keep(entry, bot)

    def _on_answer(self, owner: Owner, bot: Bot, signals: list[Signal]) -> None:
        """What a strategy in its own process wants, after its bar."""
        if self.backlog.keeps(lambda: self._on_answer(owner, bot, signals)):
            return
        entry = self._ledger.state.bots.get(owner)
        if self.running.get(owner) is not bot or entry is None:
            return
        self.heartbeats[owner] = self._clock.now()
        if self.guarded(owner, lambda: bot.carry_out(signals, self._clock.now())):
            self.keep(entry, bot)

    def _on_lost(self, owner: Owner, bot: Bot, error: StrategyError) -> None:
        """The process of a strategy is gone."""
        if self.running.get(owner) is bot and not self.backlog.keeps(lambda: self._on_lost(owner, bot, error)):
            self.guarded(owner, lambda: _raise(error))

    def keep(self, entry: BotEntry, bot: Bot, *, changed: bool = False) -> None:
        """Book what a bot remembers; with `changed` only if that is not what is booked."""

        def save() -> None:
            memory = bot.save()
            if changed and memory == entry.memory:
                return
            self._ledger.record(
                ev.BotMemorySaved(
                    bot=entry.id,
                    strategy=bot.runner.strategy.name,
                    schema=bot.runner.strategy.Memory.schema,
                    memory=memory,
                    bar_ts=bot.last_bar_ts,
                )
            )

        self.guarded(entry.id, save)

    def _on_record(self, record: ev.Record) -> None:
        if self.backlog.keeps(lambda: self._on_record(record)):
            return
        event = record.event
        owner = _concerned(self._ledger.state, event)
        if owner is None:
            return
        bot = self.running.get(owner)
        if bot is None:
            self.caretakers.hear(owner, record)
            self.stopping.finish(owner)
            return
        self.heartbeats[bot.owner] = self._clock.now()
        if self.stopping.hears(bot.owner):
            self.guarded(bot.owner, lambda: bot.on_record(record))
        self.stopping.finish(bot.owner)

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
        self.detach(owner)
        if self._ledger.failed is not None:
            return
        if bot is not None:
            bot.cancel_entries("the bot failed")
            if not isinstance(bot, LiveEventBot):
                self.caretakers.take_over(owner, bot.protection)
            elif entry is not None:
                self.events.leave(entry, bot.memory)
        if entry is not None:
            was = entry.state
            self.move(entry, BotState.ERROR, reason)
            if was in (BotState.RUNNING, BotState.PAUSED):
                entries = was is BotState.RUNNING and self.resumes(self.config(entry))
                self.supervisor.failed(entry, entries=entries, now=self._clock.now())

    def move(self, entry: BotEntry, state: BotState, reason: str = "") -> None:
        """Book a bot's new state."""
        self._ledger.record(ev.BotStateChanged(bot=entry.id, state=state, reason=reason))

    # --- the engine's life -------------------------------------------------------------------------------------------

    def suspend(self) -> None:
        """Let go of all bots as they are: the engine is about to end, and they go on at its next start."""
        self.asleep = True
        self.revival.waiting.clear()
        self.caretakers.clear()
        for owner, bot in tuple(self.running.items()):
            self.keep(self._ledger.state.bots[owner], bot)
            self.detach(owner)

    async def let_go(self) -> None:
        """End the processes of strategies and wait until they are gone; nothing is booked."""
        for bot in self.running.values():
            bot.end()
        for bot in (*self.running.values(), *self._ending):
            await bot.ended()

    def save_changed(self) -> None:
        """Book what those bots remember whose memory has changed since it was last booked."""
        for owner, bot in tuple(self.running.items()):
            self.keep(self._ledger.state.bots[owner], bot, changed=True)

    def save(self) -> None:
        """Book what every bot remembers now, so that another process goes on from here."""
        for owner, bot in tuple(self.running.items()):
            self.keep(self._ledger.state.bots[owner], bot)

    async def recover(self, *, handed_over: bool = False) -> None:
        """After a restart: bots that ran run again (paused ones stay paused), those with autostart start.

        Those that do not resume by themselves come back paused: exits and protection go on, nothing is entered. After a
        hand-over from another process nothing has been interrupted, and all go on.

        One that was being stopped is stopped for good, its position closed if that had begun. One whose history cannot
        be had stays RECOVERING until `retry`. Never raises for a bot.

        Raises:
            JournalError: Nothing can be booked any more.
        """
        self.asleep = False
        await self.revival.recover(ACTIVE, handed_over=handed_over)

    async def retry(self) -> None:
        """Try those again that could not be brought back after the restart. Raises as `recover`."""
        await self.revival.retry()


def _raise(error: StrategyError) -> None:
    raise error


def _concerned(state: EngineState, event: ev.Event) -> Owner | None:
    """Whose order or position a fact is about."""
    if isinstance(event, ev.PositionLiquidated):
        return event.owner
    client_id = event.fill.client_id if isinstance(event, ev.OrderFilled) else getattr(event, "client_id", None)
    order = state.order(client_id) if client_id is not None else None
    return order.owner if order is not None else None

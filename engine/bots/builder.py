"""Builds bots ready to trade: strategy, memory of a former run, and warm-up from history."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import msgspec

from engine.bots.allowance import Allowance
from engine.bots.bot import Bot, Sizer, is_sound
from engine.bots.config import BotConfig
from engine.bots.events.live import LiveEventBot
from engine.bots.isolation.runner import IsolatedRunner, WorkerLimits
from engine.bots.watching import Watching
from engine.errors import ConfigurationError, StrategyError
from engine.logs import get_logger
from engine.model.account import TradingMode
from engine.model.candle import Bars, timeframe_ns
from engine.model.ids import AccountId, InstrumentId, Owner, venue_of
from engine.strategy.runner import STATE_MISMATCH, StrategyRunner

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from engine.bots.events.missed import FactsAfter
    from engine.bots.execution import Execution
    from engine.clock import Clock
    from engine.events import Record
    from engine.execution.algos.planner import Planner
    from engine.execution.algos.supervisor import Algos
    from engine.execution.desk import Desk
    from engine.ledger import Ledger
    from engine.market.hub import MarketHub
    from engine.model.candle import Candle
    from engine.model.entries import BotEntry
    from engine.model.instrument import Instrument
    from engine.model.order import OrderRequest
    from engine.strategy.contract import Strategy
    from engine.strategy.quoting import EventStrategy

__all__ = ["AccountOf", "BotBuilder", "Library", "MemoryCopies"]

log = get_logger(__name__)


_ON_PAPER = "Strategies on books trade on paper only in this release; set mode to paper and choose accounts on paper."

MemoryCopies = Callable[[Owner], "Awaitable[Sequence[bytes]]"]
"""Gives what was saved of a bot's memory before, the newest first."""
AccountOf = Callable[[BotConfig], AccountId]
"""Tells the account in which a bot of a configuration trades; raises NotFoundError where there is none."""


class Library(Protocol):
    """Where strategies come from."""

    async def prepare(self, name: str, file: str | None, source: str = "") -> None:
        """Load a strategy's file away from the loop, so that `make` runs none of it. Raises as `make`."""

    def make(
        self, name: str, file: str | None, params: dict[str, bool | int | float | str], source: str = ""
    ) -> Strategy:
        """Build a strategy, from the source of that hash where one is given.

        Raises StrategyLoadError, NotFoundError or ConfigurationError.
        """

    def on_events(self, name: str, file: str | None, source: str = "") -> bool:
        """Whether a strategy decides on events. Raises StrategyLoadError or NotFoundError."""

    def make_event(
        self, name: str, file: str | None, params: dict[str, bool | int | float | str], source: str = ""
    ) -> EventStrategy:
        """Build a strategy that decides on events. Raises as `make`."""


class BotBuilder:
    """Makes bots.

    Args:
        account_of: Tells where a bot trades.
        ledger: What they read and book.
        desk: Takes their orders.
        hub: Their market, and the bars they hear.
        sizers: Gives what sizes the entries of an account.
        library: Gives their strategies.
        history: Gives the newest closed candles of an instrument and timeframe, oldest first.
        heard: Gives the bars that an engine before this one has heard to the last, oldest first; none after a restart.
        algos: Takes entries that are traded in parts; None where every entry is one order.
        planner: Lays out how; None likewise.
        clock: Measures how long strategies take.
    """

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
        heard: Callable[[InstrumentId, str], Sequence[Candle]] = lambda instrument, timeframe: (),
        algos: Algos | None = None,
        planner: Planner | None = None,
    ) -> None:
        self._algos, self._planner = algos, planner
        self.admit: Callable[[str, Allowance], None] = lambda name, wanted: None
        """Raises ConflictError where the machine has no room for a bot."""
        self.place: Callable[[str, Allowance], Allowance] = lambda name, wanted: wanted
        """Gives what a bot may use a processor core."""
        self.guarded: Callable[[Owner, Callable[[], None]], object] = lambda owner, call: call()
        """Runs a bot's code; what it raises ends that bot alone."""
        self.alert: Callable[[Owner, str, bool], None] = lambda owner, text, critical: None
        """Tells the person what a strategy wants them to know."""
        self.halt: Callable[[Owner, str], None] = lambda owner, reason: None
        """Pauses a bot whose strategy cannot go on."""
        self.copies: MemoryCopies = _no_copies
        """Where older copies of a memory are looked for when the newest cannot be read."""
        self.facts: FactsAfter = _no_facts
        """Where facts are looked for that a strategy on events has not been told."""
        self._account_of = account_of
        self._ledger = ledger
        self._desk = desk
        self._hub = hub
        self._sizers = sizers
        self._library = library
        self._history = history
        self._heard = heard
        self._clock = clock

    def instrument(self, config: BotConfig) -> Instrument:
        """The instrument of a configuration.

        Raises:
            ConfigurationError: It is not known.
        """
        instruments = self._ledger.state.instruments
        instrument = instruments.get(InstrumentId(config.instrument))
        if instrument is None:
            known = ", ".join(sorted(instruments))
            raise ConfigurationError(f"The instrument {config.instrument} is not known; known are {known}.")
        return instrument

    async def build(self, entry: BotEntry, config: BotConfig) -> Bot:
        """A bot that has seen its history and remembers its former run.

        Raises:
            ConfigurationError: The instrument is not known, or a parameter does not fit.
            StrategyError: The strategy cannot be had, fails, or cannot read its memory.
            ExchangeError: The history cannot be had.
        """
        instrument = self.instrument(config)
        if self._planner is not None and not config.execution.at_once:
            self._planner.look_soon(instrument.id)
        await self._library.prepare(config.strategy, config.strategy_file, config.source)
        entry = await self._with_sound_memory(entry)
        if self._library.on_events(config.strategy, config.strategy_file, config.source):
            return await self._event_bot(entry, config)
        bot = self._make(entry, config, instrument)
        candles = self._go_on(entry, config, bot)
        if candles is None:
            bot = self._make(entry, config, instrument)
            candles = list(await self._history(instrument.id, config.timeframe, bot.runner.history))
            bot = self._remember(entry, config, bot, candles)
        if bot.watching is not None:
            await bot.watching.look_back(self._history, bot.runner.history)
        series = self._hub.series(instrument.id, config.timeframe)
        series.seed(candles)
        if candles:
            # Bars that closed while the history was under way are in the series and not in the history.
            last = candles[-1].ts
            candles += [candle for candle in series.closed if candle.ts > last]
            bot.warm_up(Bars.from_candles(config.timeframe, candles))
        self.admit(entry.name, bot.allowance)
        if isinstance(bot.runner, IsolatedRunner):
            await bot.runner.begin()
            missed = [candle for candle in series.closed if candle.ts > bot.runner.last_ts]
            if missed:
                # Closed while its process was starting.
                bot.warm_up(Bars.from_candles(config.timeframe, missed))
        return bot

    def check(self, config: BotConfig) -> None:
        """Whether the strategy of a configuration can be had and its markets are known. Raises as `build`."""
        if not self._library.on_events(config.strategy, config.strategy_file, config.source):
            if config.markets:
                raise ConfigurationError(
                    f"The strategy {config.strategy} decides on bars of one market; leave out the further markets, or "
                    "give each a bot of its own."
                )
            self._library.make(config.strategy, config.strategy_file, dict(config.params), config.source)
            return
        if config.mode == "live":
            raise ConfigurationError(_ON_PAPER)
        strategy = self._make_event(config)
        if config.isolation == "process":
            raise ConfigurationError("A strategy on books runs in the engine's process; set its isolation to task.")
        if not config.execution.at_once:
            raise ConfigurationError("A strategy on books sends its own orders; leave out the execution algorithm.")
        if len(config.instruments) < strategy.min_markets:
            raise ConfigurationError(
                f"The strategy {config.strategy} needs {strategy.min_markets} markets; name the further ones."
            )
        accounts = self._ledger.state.accounts
        for _, account in self.places(config):
            if account in accounts and accounts[account].mode is TradingMode.LIVE:
                raise ConfigurationError(f"The account {account} trades real money. {_ON_PAPER}")

    def _make_event(self, config: BotConfig) -> EventStrategy:
        return self._library.make_event(config.strategy, config.strategy_file, dict(config.params), config.source)

    def places(self, config: BotConfig) -> list[tuple[Instrument, AccountId]]:
        """The instruments of a configuration and in which account each is traded.

        Raises:
            ConfigurationError, NotFoundError: An instrument or its account is not known.
        """
        places = []
        for name in config.instruments:
            one = config if name == config.instrument else config.model_copy(update={"instrument": name, "account": ""})
            same_venue = venue_of(InstrumentId(name)) == venue_of(InstrumentId(config.instrument))
            places.append((self.instrument(one), self._account_of(config if same_venue else one)))
        return places

    async def _event_bot(self, entry: BotEntry, config: BotConfig) -> Bot:
        """A bot of a strategy that decides on events, with its memory and warmed up."""
        self.check(config)
        strategy = self._make_event(config)
        places = self.places(config)
        for instrument, _ in places:
            self._hub.market(instrument.id)
        allowance = self.place(entry.name, Allowance.of(config, strategy.kind))
        bot = LiveEventBot(
            entry.id,
            strategy,
            places,
            self._desk,
            self._ledger,
            self._hub,
            self._sizers(places[0][1]),
            allowance,
            config.capital,
            config.timeframe,
            lambda call: self.guarded(entry.id, call),
            lambda text, critical: self.alert(entry.id, text, critical),
            lambda reason: self.halt(entry.id, reason),
        )
        try:
            await self._take_in(entry, bot, strategy.warmup(config.timeframe))
            self.admit(entry.name, allowance)
        except BaseException:
            bot.end()
            raise
        return bot

    async def _take_in(self, entry: BotEntry, bot: LiveEventBot, count: int) -> None:
        """Give a bot on events its memory, the facts since then, and so many bars of history."""
        if entry.memory:
            bot.restore(entry.memory)
            await bot.missed.look_back(bot.core.told, self.facts)
        for view in bot.core.views.values():
            series = self._hub.series(view.id, bot.core.timeframe)
            if count:
                candles = list(await self._history(view.id, bot.core.timeframe, count))
                series.seed(candles)
                bot.core.warm_up(view, candles)

    async def _with_sound_memory(self, entry: BotEntry) -> BotEntry:
        """The bot as it is, or with the newest copy of its memory that can be read; without one where none can."""
        if not entry.memory or is_sound(entry.memory):
            return entry
        copies = [copy for copy in await self.copies(entry.id) if is_sound(copy)]
        if copies:
            log.warning("a bot's memory cannot be read; its last good copy is taken", bot=entry.id)
        else:
            log.error("a bot's memory cannot be read, and no copy of it; it starts without", bot=entry.id)
        # A copy: what is booked is changed by facts alone.
        return msgspec.structs.replace(entry, memory=copies[0] if copies else b"")

    def _go_on(self, entry: BotEntry, config: BotConfig, bot: Bot) -> list[Candle] | None:
        """The bars with which a bot goes on where it stood; None when its memory and what was heard do not meet."""
        heard = self._heard(bot.instrument.id, config.timeframe)
        if not entry.memory or not heard:
            return None
        self._restore(entry, bot)
        if not bot.runner.seen or heard[0].ts > bot.runner.last_ts + timeframe_ns(config.timeframe):
            return None
        return list(heard)

    def _remember(self, entry: BotEntry, config: BotConfig, bot: Bot, candles: list[Candle]) -> Bot:
        """Give a bot its memory back, as far as its history reaches back to it."""
        if entry.memory:
            self._restore(entry, bot)
            if candles and bot.runner.seen and candles[0].ts > bot.runner.last_ts + timeframe_ns(config.timeframe):
                # Averages cannot be carried over bars that nobody has: they begin anew, what it remembers stays.
                bot = self._make(entry, config, bot.instrument)
                self._restore(entry, bot, memory_only=True)
        return bot

    def _make(self, entry: BotEntry, config: BotConfig, instrument: Instrument) -> Bot:
        strategy = self._library.make(config.strategy, config.strategy_file, dict(config.params), config.source)
        account = self._account_of(config)
        allowance = self.place(entry.name, Allowance.of(config, strategy.kind))
        runner: StrategyRunner | IsolatedRunner
        if config.isolation == "process":
            limits = WorkerLimits(
                memory_mb=allowance.memory_mb,
                storage_mb=allowance.storage_mb,
                bar_seconds=config.bar_seconds,
                core=allowance.core,
            )
            runner = IsolatedRunner(strategy, instrument.id, timeframe=config.timeframe, limits=limits)
        else:
            runner = StrategyRunner(strategy, instrument.id, timeframe=config.timeframe, timer=self._clock.monotonic)
        bot = Bot(
            entry.id,
            account,
            instrument,
            runner,
            self._desk,
            self._ledger,
            self._hub,
            self._sizers(account),
            runner.params_hash,
            self._entry(config.execution),
            allowance,
        )
        symbols = strategy.watches()
        bot.watching = Watching(instrument.id, config.timeframe, symbols, self._hub) if symbols else None
        return bot

    def _entry(self, execution: Execution) -> Callable[[OrderRequest], object] | None:
        """What takes the entries of a bot; None where each is one order."""
        algos, planner = self._algos, self._planner
        if execution.at_once or algos is None or planner is None:
            return None

        def enter(request: OrderRequest) -> object:
            planner.look_soon(request.instrument)
            return algos.open(request, execution.plan(request, planner), max_slippage=execution.max_slippage)

        return enter

    def _restore(self, entry: BotEntry, bot: Bot, *, memory_only: bool = False) -> None:
        try:
            bot.restore(entry.memory, memory_only=memory_only)
        except StrategyError as error:
            if error.error_code != STATE_MISMATCH:
                raise
            what = "memory" if memory_only else "indicators"
            log.warning("a bot starts without its strategy's " + what, bot=entry.id, problem=error.message)
            if not memory_only:
                # Other parameters or a new version may still understand what was remembered of the position.
                self._restore(entry, bot, memory_only=True)


async def _no_facts(_: Owner, after: int) -> Sequence[Record]:
    return ()


async def _no_copies(_: Owner) -> Sequence[bytes]:
    return ()

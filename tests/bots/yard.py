"""Managed bots on a paper exchange: strategies that do what a test says, a hub that hears the test's bars."""

from __future__ import annotations

import asyncio
from decimal import Decimal as D
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from engine import events as ev
from engine.bots.config import BotConfig
from engine.bots.manager import BotManager
from engine.errors import (
    NotFoundError,
)
from engine.market.hub import MarketHub
from engine.model.candle import Candle
from engine.model.order import OrderType
from engine.strategy.contract import Holding, Strategy, Wish
from engine.strategy.loader import read_strategy_file
from engine.strategy.quoting import EventStrategy
from tests.bots.house import MARKET, MINUTE, PAPER, Fixed, House, Quiet

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from engine.model.entries import BotEntry
    from engine.model.ids import InstrumentId


class Told(Quiet):
    """Wishes for what the test says, at the next bar."""

    name = "told"
    wishes: ClassVar[list[Any]] = []

    def decide(self, row: Any, memory: Any, holding: Holding) -> Wish | None:
        """What the test says, once."""
        memory.asked += 1
        if not Told.wishes:
            return None
        wish = Told.wishes.pop(0)
        if isinstance(wish, Exception):
            raise wish
        assert wish is None or isinstance(wish, Wish)
        return wish


class Library:
    """Strategies by name; what is an exception is raised."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {"quiet": Quiet, "told": Told}

    async def prepare(self, name: str, file: str | None, source: str = "") -> None:
        """Everything is at hand."""

    def make(
        self, name: str, file: str | None, params: Mapping[str, bool | int | float | str], source: str = ""
    ) -> Strategy:
        if file is not None:
            return read_strategy_file(Path(file)).build(params)
        found = self.known.get(name)
        if found is None:
            raise NotFoundError(f"There is no strategy named {name!r}.")
        if isinstance(found, Exception):
            raise found
        made: Strategy = found.build(params)
        return made

    def on_events(self, name: str, file: str | None, source: str = "") -> bool:
        found = read_strategy_file(Path(file)).cls if file is not None else self.known.get(name)
        if found is None:
            raise NotFoundError(f"There is no strategy named {name!r}.")
        if isinstance(found, Exception):
            raise found
        return isinstance(found, type) and issubclass(found, EventStrategy)

    def make_event(
        self, name: str, file: str | None, params: Mapping[str, bool | int | float | str], source: str = ""
    ) -> EventStrategy:
        if file is not None:
            return read_strategy_file(Path(file)).build_event(params)
        made: EventStrategy = self.known[name].build(params)
        return made


class Yard(House):
    """A house whose bots are managed."""

    def __init__(self, *, slow: bool = False) -> None:
        super().__init__(slow=slow)
        self.ledger.unsubscribe(self._tell_bot)
        self.ledger.record(ev.BotDeleted(bot=next(iter(self.state.bots))))
        self.hub = MarketHub()
        self.hub.add(self.instrument)
        # The hub hears no books here; what it would say of them is the house's own market.
        self.hub.quote = self.quote  # type: ignore[method-assign]
        self.library = Library()
        self.past: list[Candle] = [candle(self.clock.now() - n * MINUTE) for n in range(20, 0, -1)]
        self.history: Callable[[InstrumentId, str, int], Awaitable[Sequence[Candle]]] = self._history
        self.free: D | None = D(100_000)
        self.manager = self.new_manager()
        Told.wishes.clear()

    def new_manager(self, most: int = 3) -> BotManager:
        return BotManager(
            lambda config: PAPER,
            self.ledger,
            self.desk,
            self.hub,
            lambda account: Fixed(),
            self.library,
            lambda *wanted: self.history(*wanted),
            self.clock,
            lambda account: self.free,
            most,
        )

    async def _history(self, instrument: InstrumentId, timeframe: str, limit: int) -> Sequence[Candle]:
        return self.past[-limit:]

    def create(self, name: str = "a", strategy: str = "told", **more: Any) -> BotEntry:
        more.setdefault("capital", D(1000))
        config = BotConfig(name=name, strategy=strategy, instrument=MARKET, timeframe="1m", **more)
        return self.manager.create(config)

    async def started(self, name: str = "a", strategy: str = "told") -> BotEntry:
        entry = self.create(name, strategy)
        await self.manager.start(entry)
        return entry

    def minute(self, *path: float) -> None:
        """A bar at the venue and in the hub: open, high, low, close, or one price."""
        o, h, low, c = path if len(path) == 4 else (path[0],) * 4
        opened = self.clock.now()
        self.exchange.on_bar(MARKET, opened, opened + MINUTE, o, h, low, c, 1e6, self._report)
        self.clock.set(opened + MINUTE)
        self.last, self.heard = c, self.clock.now()
        closed = Candle(MARKET, "1m", opened, o, h, low, c, 1.0)
        self.past.append(closed)
        self.hub.on_market(closed, self.clock.now())

    def owned(self, entry: BotEntry) -> D:
        position = self.state.owned.get((entry.id, PAPER, MARKET))
        return position.quantity if position is not None else D(0)

    def orders(self, entry: BotEntry, kind: OrderType | None = None) -> list[Any]:
        return [
            order
            for order in self.state.orders.values()
            if order.owner == entry.id and (kind is None or order.type is kind)
        ]

    async def holding(self, name: str = "a", stop: float = 95.0) -> BotEntry:
        """A bot that has bought 1 at 100 and is protected."""
        entry = await self.started(name)
        Told.wishes.append(Wish.enter(1, 1.0, "go", stop=stop))
        self.minute(100)
        self.deliver()
        self.minute(100)
        self.deliver()
        assert self.owned(entry) == 1
        assert len(self.orders(entry, OrderType.STOP_LOSS)) == 1
        return entry

    def restarted(self, most: int = 3) -> BotManager:
        """Another manager over the same state, as after a crash."""
        self.ledger.unsubscribe(self.manager._on_record)
        for series in self.hub.market(MARKET).series.values():
            series.listeners.clear()
        self.manager = self.new_manager(most)
        return self.manager


class Beats:
    """A clock whose sleeps pass at once; the task that sleeps is ended after so many."""

    def __init__(self, yard: Yard, count: int) -> None:
        self.yard, self.left = yard, count

    def now(self) -> int:
        return self.yard.clock.now()

    async def sleep(self, seconds: float) -> None:
        if not self.left:
            raise asyncio.CancelledError
        self.left -= 1
        self.yard.clock.set(self.now() + int(seconds * 1_000_000_000))
        self.yard.heard = self.now()


def candle(ts: int, price: float = 100.0) -> Candle:
    return Candle(MARKET, "1m", ts, price, price, price, price, 1.0)

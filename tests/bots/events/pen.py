"""A yard whose market is a book: quotes reach the exchange and the hub, and a bot on books hears them."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING, Any

from msgspec import field

from engine.bots.events.live import LiveEventBot
from engine.bots.events.missed import TOLD, client_of
from engine.model.ids import TradeId
from engine.model.market import BookUpdate, MarketTrade
from engine.model.order import OrderSide
from engine.strategy.contract import StrategyMemory
from engine.strategy.intents import Want
from engine.strategy.quoting import EventStrategy
from engine.venues.paper.fill_model import FillKind
from tests.bots.house import MARKET
from tests.bots.yard import Yard

if TYPE_CHECKING:
    from collections.abc import Callable

    from engine.events import Record
    from engine.model.entries import BotEntry
    from engine.model.ids import Owner
    from engine.strategy.views import Context, MarketView, OrderUpdate, OwnFill

__all__ = ["SECOND", "Pen", "Puppet"]

SECOND = 1_000_000_000


class PuppetMemory(StrategyMemory, kw_only=True):
    """What it has heard of."""

    books: int = 0
    fills: int = 0
    timers: int = 0
    bars: int = 0
    updates: list[str] = field(default_factory=list)


class Puppet(EventStrategy):
    """Does what the test says at each book."""

    name = "puppet"
    Memory = PuppetMemory
    timer_s = 5.0
    moves: Callable[[MarketView, Context], None] | None = None

    def on_book(self, market: MarketView, ctx: Context) -> None:
        ctx.memory.books += 1
        if Puppet.moves is not None:
            Puppet.moves(market, ctx)

    def on_timer(self, ctx: Context) -> None:
        ctx.memory.timers += 1

    def on_bar(self, market: MarketView, bar: Any, ctx: Context) -> None:
        ctx.memory.bars += 1

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        ctx.memory.fills += 1
        ctx.note("last fill", fill.price)

    def on_order(self, update: OrderUpdate, ctx: Context) -> None:
        ctx.memory.updates.append(f"{update.key} {update.status}")


def both(market: MarketView, ctx: Context) -> None:
    """A bid and an ask at the best prices."""
    wants = [Want("bid", OrderSide.BUY, market.bid, 1.0)]
    if market.position > 0:
        wants.append(Want("ask", OrderSide.SELL, market.ask, 1.0))
    ctx.quote(market, wants)


class Pen(Yard):
    """See the module."""

    def __init__(self, *, slow: bool = False) -> None:
        super().__init__(slow=slow)
        self.exchange.list_instrument(self.instrument, FillKind.TOP)
        self.library.known["puppet"] = Puppet
        self.books = 0
        Puppet.moves = None

    async def quoting(self, moves: Callable[[MarketView, Context], None] | None = both) -> BotEntry:
        """A started bot that does this at each book."""
        entry = self.create("maker", "puppet", capital=D(50_000))
        await self.manager.start(entry)
        Puppet.moves = staticmethod(moves) if moves is not None else None
        return entry

    async def untold(self, owner: Owner, after: int) -> list[Record]:
        """What the journal has about a bot's orders."""
        found = []
        for record in self.journal.records:
            event = record.event
            order = self.state.order(client) if (client := client_of(event)) is not None else None
            if record.seq > after and isinstance(event, TOLD) and order is not None and order.owner == owner:
                found.append(record)
        return found

    def crash(self) -> None:
        """The engine ends without a word; `manager.recover` is its next start."""
        self.hub.market(MARKET).listeners.clear()
        self.restarted().events.look_for_facts(self.untold)

    def live(self, entry: BotEntry) -> LiveEventBot:
        bot = self.manager.running[entry.id]
        assert isinstance(bot, LiveEventBot)
        return bot

    def book(self, bid: float, ask: float, size: float = 5.0) -> None:
        """The book moves, a second later."""
        self.clock.set(self.clock.now() + SECOND)
        now, scale, unit = self.clock.now(), 10**self.instrument.price_scale, 10**self.instrument.quantity_scale
        self.last, self.heard = (bid + ask) / 2, now
        top = (round(bid * scale), round(size * unit), round(ask * scale), round(size * unit))
        for account, event in self.exchange.on_quote(MARKET, now, *top):
            self.desk.on_event(account, event)
        update = BookUpdate(MARKET, now, self.books, True, ((top[0], top[1]),), ((top[2], top[3]),))
        self.books += 1
        self.hub.on_market(update, now)

    def trade(self, price: float, quantity: float, side: OrderSide) -> None:
        """Somebody trades."""
        now, scale, unit = self.clock.now(), 10**self.instrument.price_scale, 10**self.instrument.quantity_scale
        trade = MarketTrade(MARKET, now, TradeId(str(now)), round(price * scale), round(quantity * unit), side)
        for account, event in self.exchange.on_trade(trade):
            self.desk.on_event(account, event)
        self.hub.on_market(trade, now)

    def pass_time(self, seconds: int) -> None:
        """Beats of the engine without a market event."""
        for _ in range(seconds):
            self.clock.set(self.clock.now() + SECOND)
            self.manager.events.tick(self.clock.now())

    def shows(self, entry: BotEntry) -> list[tuple[str, float]]:
        """Side and price of its working orders."""
        return sorted((str(order.side), float(order.price or 0)) for order in self.orders(entry))

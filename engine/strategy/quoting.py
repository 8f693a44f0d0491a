"""The contract of strategies that decide on events: books, trades, bars, timers and their own orders.

The sibling of `engine.strategy.contract.Strategy` for quoting, arbitrage, grids and the like: the same parameters,
memory, name, version and kind, found by the same registry. Hooks are plain functions that look at a `Context`, change
nothing but their memory, and ask for orders through the context (`engine.strategy.intents`); the host sends what
differs from what is, through capital, risk and the same road as every other order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from engine.strategy.contract import StrategyBase, StrategyType

if TYPE_CHECKING:
    from engine.model.candle import Candle
    from engine.strategy.views import Context, MarketView, OrderUpdate, OwnFill, Print

__all__ = ["EventStrategy"]


class EventStrategy(StrategyBase):
    """Base of the strategies that decide on events.

    Every hook may ask for something through `ctx`, and may leave it. A hook reads no clock (`ctx.now` is the moment),
    does no input or output, and keeps nothing on `self`: what must be remembered is in `ctx.memory`, which is saved
    and taken up after a restart. The same events in the same order lead to the same intents.

    One bot may trade several instruments at several venues; `ctx.markets` holds them all, and each hook is told which
    one moved.
    """

    kind: ClassVar[StrategyType] = StrategyType.MARKET_MAKING
    timeframe: ClassVar[str] = "1m"
    """Timeframe of the bars that `on_bar` is told, unless the bot says another."""
    timer_s: ClassVar[float] = 0.0
    """Seconds between two calls of `on_timer`; 0 for none."""
    min_book_interval_s: ClassVar[float] = 0.0
    """Least seconds between two calls of `on_book` for a market, the newest book counts; 0 tells of every change."""
    min_markets: ClassVar[int] = 1
    """Fewest instruments that a bot of it needs."""

    def warmup(self, timeframe: str) -> int:
        """Closed bars of that timeframe shown to `on_bar` before the start, with `ctx.warm` False; 0 for none."""
        return 0

    def on_start(self, ctx: Context) -> None:
        """The bot starts, or goes on after a restart: memory, positions and working orders are as they are now."""

    def on_book(self, market: MarketView, ctx: Context) -> None:
        """The book of a market has changed; both sides are there and do not cross."""

    def on_trade(self, market: MarketView, trade: Print, ctx: Context) -> None:
        """Somebody traded in a market."""

    def on_bar(self, market: MarketView, bar: Candle, ctx: Context) -> None:
        """A bar has closed."""

    def on_timer(self, ctx: Context) -> None:
        """`timer_s` have passed."""

    def on_order(self, update: OrderUpdate, ctx: Context) -> None:
        """An order of the bot was confirmed, refused or has ended; fills come by `on_fill`, before the end."""

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        """An order of the bot was executed in part or whole; positions are already as they are after it."""

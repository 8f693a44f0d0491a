"""Mine: two quotes around the middle of the book, moved away from what is held."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field
from pydantic import Field

from engine.model.order import OrderSide
from engine.strategy.contract import StrategyMemory, StrategyParams
from engine.strategy.estimators import Volatility
from engine.strategy.intents import Want
from engine.strategy.quoting import EventStrategy

if TYPE_CHECKING:
    from engine.strategy.views import Context, MarketView, OwnFill


class MineParams(StrategyParams):
    """What can be set; forms, options and checks come from these lines."""

    spread: float = Field(0.002, gt=0, le=0.2, description="Distance of the two quotes, as a fraction of the price.")
    size: float = Field(0.01, gt=0, le=1e6, description="Quantity of a quote, in base units.")
    most: float = Field(0.1, gt=0, le=1e6, description="Most that is held, in base units.")


class MineMemory(StrategyMemory):
    """What is remembered from event to event; it survives a restart."""

    volatility: Volatility = field(default_factory=Volatility)
    fills: int = 0


class Mine(EventStrategy):
    """A bid and an ask around the middle, wider where the price moves, lower where much is held."""

    name = "mine"
    Params = MineParams
    Memory = MineMemory
    timer_s = 5.0
    params: MineParams

    def on_book(self, market: MarketView, ctx: Context) -> None:
        """The book has changed: say which quotes should be working now."""
        width = ctx.memory.volatility.update(ctx.now, market.mid)
        held = market.position / self.params.most
        middle = market.mid * (1 - held * self.params.spread / 2)
        half = market.mid * max(self.params.spread / 2, 2 * width)
        wants = []
        if held < 1:
            wants.append(Want("bid", OrderSide.BUY, min(middle - half, market.bid), self.params.size))
        if held > -1:
            wants.append(Want("ask", OrderSide.SELL, max(middle + half, market.ask), self.params.size))
        # What works and differs by less than the tolerance stays where it is in the queue.
        ctx.quote(market, wants, tolerance=self.params.spread / 8)

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        """A quote was executed; the position is already as it is after it."""
        ctx.memory.fills += 1

    def on_timer(self, ctx: Context) -> None:
        """Every few seconds: take off the market what is too much."""
        for market in ctx.markets.values():
            too_much = market.position - self.params.most
            if too_much > market.lot and market.ready:
                ctx.take(market, "trim", OrderSide.SELL, too_much, market.bid * 0.999, reason="too much is held")

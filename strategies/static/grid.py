"""Grid: a ladder of orders over a price range that buys one step down and sells one step up, again and again.

The range is divided into intervals, evenly in price or in ratio. Each interval first waits to buy at its lower edge,
then to sell what it bought at its upper edge. At the start the intervals above the price are filled by buying at the
market, so that the grid earns in both directions; without `fund` they wait until the price has come up. What is still
right stays where it is in the queue. Below (or above) the range by a given fraction all is sold and the grid ends.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, field
from pydantic import Field, model_validator

from engine.model.order import OrderSide
from engine.strategy.contract import StrategyMemory, StrategyParams, StrategyType
from engine.strategy.intents import Want
from engine.strategy.making.measuring import fee_in_quote
from engine.strategy.quoting import EventStrategy

if TYPE_CHECKING:
    from engine.strategy.views import Context, MarketView, OrderUpdate, OwnFill

__all__ = ["Grid"]

NS_PER_S = 1_000_000_000


class GridParams(StrategyParams):
    """What can be set."""

    lower: float = Field(0.0, ge=0, description="Lowest price of the range; 0 takes `range_pct` below the first price.")
    upper: float = Field(0.0, ge=0, description="Highest price of the range; 0 takes `range_pct` above it.")
    range_pct: float = Field(0.1, gt=0, lt=1, description="Width of the range to each side, as a fraction.")
    levels: int = Field(20, ge=2, le=200, description="Intervals of the range.")
    spacing: Literal["arithmetic", "geometric"] = Field(
        "geometric", description="Whether the steps are equal in price or in ratio."
    )
    invest: float = Field(0.9, gt=0, le=1, description="Share of the capital that the whole grid may buy for.")
    fund: bool = Field(True, description="Whether the intervals above the price are bought at the start.")
    max_open: int = Field(40, ge=2, le=200, description="Most orders working at once, the nearest to the price.")
    stop_below: float = Field(0.05, ge=0, lt=1, description="Distance below the range that ends the grid; 0: never.")
    stop_above: float = Field(0.0, ge=0, le=10, description="Distance above the range that ends the grid; 0: never.")
    exit_slippage: float = Field(0.01, gt=0, le=0.2, description="Worst price of funding and selling out.")

    @model_validator(mode="after")
    def _a_range(self) -> GridParams:
        if self.lower and self.upper and self.lower >= self.upper:
            raise ValueError(f"lower ({self.lower:g}) must be below upper ({self.upper:g})")
        return self


class Interval(Struct):
    """One step of the grid."""

    low: float
    high: float
    quantity: float
    """Base units that it buys and sells."""
    held: float = 0.0
    """What it has bought and not sold yet."""
    cost: float = 0.0
    """Paid for that, fees included, quote currency."""
    selling: bool = False
    trips: int = 0
    """How often it has bought and sold."""


class GridMemory(StrategyMemory):
    """The grid of the bot's market."""

    intervals: list[Interval] = field(default_factory=list)
    funding: bool = False
    ended: bool = False
    profit: float = 0.0
    """Earned by completed steps, fees taken off; quote currency."""
    fees: float = 0.0
    asked: tuple[tuple[str, float], ...] = ()
    """What was last asked for, so that it is asked anew only when it changes."""


class Grid(EventStrategy):
    """Buys one step down and sells one step up within a range."""

    name = "grid"
    kind = StrategyType.STATIC
    Params = GridParams
    Memory = GridMemory
    symbols = ("BTC/USDT",)
    min_book_interval_s = 1.0
    params: GridParams

    def on_start(self, ctx: Context) -> None:
        """Ask for the orders anew: what is working may be different after a restart."""
        ctx.memory.asked = ()

    def on_book(self, market: MarketView, ctx: Context) -> None:
        """Lay the grid at first sight, keep its orders, end it beyond its range."""
        memory: GridMemory = ctx.memory
        if memory.ended or market.id != next(iter(ctx.markets)):
            return
        if not memory.intervals:
            self._lay(market, ctx)
        if not memory.intervals or self._is_beyond(market, ctx):
            return
        self._keep(market, ctx)

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        """Follow the interval whose order it was."""
        market, memory = ctx.markets[fill.instrument], ctx.memory
        memory.fees += fee_in_quote(market, fill)
        if fill.key == "fund":
            self._spread_funding(fill, market, memory)
        elif fill.key[:1] == "g" and fill.key[1:-2].isdecimal():
            self._step(memory.intervals[int(fill.key[1:-2])], fill, market, memory)
        ctx.note("steps", sum(interval.trips for interval in memory.intervals))
        ctx.note("grid profit", memory.profit)
        if market.ready and not memory.ended:
            self._keep(market, ctx)

    def on_order(self, update: OrderUpdate, ctx: Context) -> None:
        """The funding has ended, or an order was refused and is asked for anew with the next book."""
        if update.key == "fund" and update.ended:
            ctx.memory.funding = False
        if update.ended:
            ctx.memory.asked = ()

    # --- the grid ----------------------------------------------------------------------------------------------------

    def edges(self, price: float) -> list[float]:
        """Prices of the grid, ascending, one more than intervals; `price` centres a range that is not given."""
        p = self.params
        low, high = p.lower or price * (1 - p.range_pct), p.upper or price * (1 + p.range_pct)
        steps = range(p.levels + 1)
        if p.spacing == "arithmetic":
            return [low + (high - low) * step / p.levels for step in steps]
        return [low * (high / low) ** (step / p.levels) for step in steps]

    def _lay(self, market: MarketView, ctx: Context) -> None:
        p, memory = self.params, ctx.memory
        edges = self.edges(market.mid)
        if edges[0] >= edges[-1]:
            self._refuse(ctx, f"the range from {edges[0]:g} to {edges[-1]:g} is empty; set lower and upper")
            return
        # Equal money a step, at the dearer edge, so that the whole grid never costs more than may be invested.
        money = p.invest * ctx.capital / p.levels
        intervals = []
        for low, high in pairwise(market.round_price(edge, up=False) for edge in edges):
            quantity = market.floor_quantity(money / (high * market.multiplier))
            if high <= low or not market.tradable(quantity, low):
                self._refuse(
                    ctx,
                    f"a step from {low:g} to {high:g} for {money:.2f} {market.quote} is too small for {market.symbol}; "
                    "take fewer levels, a wider range or more capital",
                )
                return
            intervals.append(Interval(low, high, quantity))
        memory.intervals = intervals
        above = sum(interval.quantity for interval in intervals if interval.low >= market.mid)
        if p.fund and above > 0.0:
            memory.funding = True
            ctx.take(
                market, "fund", OrderSide.BUY, above, market.ask * (1 + p.exit_slippage), reason="steps above the price"
            )

    @staticmethod
    def _refuse(ctx: Context, why: str) -> None:
        ctx.memory.ended = True
        ctx.stop(f"The grid cannot be laid: {why}.")

    @staticmethod
    def _spread_funding(fill: OwnFill, market: MarketView, memory: GridMemory) -> None:
        """Give what was bought at the start to the highest intervals first: those are the last to be sold."""
        left = fill.quantity
        paid = fill.price * market.multiplier + fee_in_quote(market, fill) / fill.quantity
        for interval in reversed(memory.intervals):
            part = min(interval.quantity - interval.held, left)
            if part > 0.0 and not interval.trips:
                interval.held, interval.cost = interval.held + part, interval.cost + part * paid
                interval.selling = True
                left -= part

    @staticmethod
    def _step(interval: Interval, fill: OwnFill, market: MarketView, memory: GridMemory) -> None:
        value, fee = fill.quantity * fill.price * market.multiplier, fee_in_quote(market, fill)
        if fill.side is OrderSide.BUY:
            interval.held, interval.cost = interval.held + fill.quantity, interval.cost + value + fee
            interval.selling = interval.held >= interval.quantity - market.lot / 2
            return
        cost = interval.cost * min(1.0, fill.quantity / interval.held) if interval.held else 0.0
        memory.profit += value - fee - cost
        interval.held, interval.cost = interval.held - fill.quantity, interval.cost - cost
        if interval.held < market.lot / 2:
            interval.held, interval.cost, interval.selling = 0.0, 0.0, False
            interval.trips += 1

    def _is_beyond(self, market: MarketView, ctx: Context) -> bool:
        """Whether the grid has ended; then all is sold."""
        p, memory = self.params, ctx.memory
        low, high = memory.intervals[0].low, memory.intervals[-1].high
        below = p.stop_below and market.bid < low * (1 - p.stop_below)
        above = p.stop_above and market.bid > high * (1 + p.stop_above)
        if not below and not above:
            return False
        memory.ended = True
        where = f"{market.bid:g} is {'below' if below else 'above'} the range from {low:g} to {high:g}"
        ctx.cancel_all(market, "the grid has ended")
        quantity = market.floor_quantity(max(market.position, 0.0))
        if market.tradable(quantity, market.bid):
            limit = market.bid * (1 - p.exit_slippage)
            ctx.take(market, "exit", OrderSide.SELL, quantity, limit, reduce_only=True, reason=where)
        ctx.alert(f"The grid on {market.symbol} has ended: {where}. What it held is sold.", critical=True)
        return True

    def _keep(self, market: MarketView, ctx: Context) -> None:
        """Have the orders of the intervals working, the nearest to the price first."""
        memory = ctx.memory
        if memory.funding:
            return
        wants, left = [], max(market.position, 0.0)
        for number, interval in enumerate(memory.intervals):
            if interval.selling:
                quantity = market.floor_quantity(min(interval.held, left))
                left -= quantity
                want = Want(f"g{number}-s", OrderSide.SELL, interval.high, quantity, post_only=False, reason="step up")
            elif interval.low < market.ask:
                quantity = market.floor_quantity(interval.quantity - interval.held)
                want = Want(f"g{number}-b", OrderSide.BUY, interval.low, quantity, reason="step down")
            else:
                continue
            if market.tradable(want.quantity, want.price):
                wants.append(want)
        wants.sort(key=lambda want: abs(want.price - market.mid))
        # The nearest first: where limits let only some through, those that trade soonest are the ones.
        wants = wants[: self.params.max_open]
        asked = tuple(sorted((want.key, want.quantity) for want in wants))
        if asked != memory.asked:
            memory.asked = asked
            ctx.quote(market, wants)

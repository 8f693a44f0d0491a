"""DCA: buy, buy more at ever lower prices, and sell the whole at a profit over the average price.

A deal begins with a base order, at once or when the RSI is low enough. Safety orders wait below its price: the first at
`price_deviation`, each next one `step_scale` times farther from the one before and `volume_scale` times larger. The
whole position is offered at `take_profit` above its average price, fees of both sides included; with `trail_profit` it
is sold only when the price has fallen back by that much from its best. Then the next deal begins after a pause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field
from pydantic import Field

from engine.model.instrument import CASH_KINDS
from engine.model.order import OrderSide
from engine.strategy.contract import StrategyMemory, StrategyParams, StrategyType
from engine.strategy.intents import Want
from engine.strategy.quoting import EventStrategy

if TYPE_CHECKING:
    from engine.model.candle import Candle
    from engine.strategy.views import Context, MarketView, OrderUpdate, OwnFill

__all__ = ["Dca"]

NS_PER_S = 1_000_000_000


class DcaParams(StrategyParams):
    """What can be set."""

    base_order_pct: float = Field(0.1, gt=0, le=1, description="Value of the base order, as a fraction of the capital.")
    safety_order_pct: float = Field(0.1, gt=0, le=1, description="Value of the first safety order likewise.")
    max_safety_orders: int = Field(5, ge=0, le=50, description="Safety orders of a deal.")
    price_deviation: float = Field(0.01, gt=0, lt=0.5, description="Distance of the first one below the base order.")
    step_scale: float = Field(1.2, ge=0.1, le=10, description="Growth of the distance from one to the next.")
    volume_scale: float = Field(1.3, ge=0.1, le=10, description="Growth of the size from one to the next.")
    take_profit: float = Field(0.015, gt=0, le=2, description="Profit over the average price, after fees.")
    trail_profit: float = Field(0.0, ge=0, le=0.5, description="Fall from the best price that sells then; 0: at once.")
    stop_loss: float = Field(0.0, ge=0, lt=1, description="Loss on the average price that ends a deal; 0: never.")
    cooldown_s: float = Field(60.0, ge=0, le=2_592_000, description="Seconds between two deals.")
    max_deals: int = Field(0, ge=0, le=1_000_000, description="Deals after which no other begins; 0: no end.")
    start_rsi: float = Field(0.0, ge=0, le=100, description="A deal begins when the RSI is below it; 0: at once.")
    rsi_period: int = Field(14, ge=2, le=200, description="Bars of the RSI.")
    exit_slippage: float = Field(0.01, gt=0, le=0.2, description="Worst price of orders that take.")


class DcaMemory(StrategyMemory):
    """The present deal, and the RSI."""

    anchor: float = 0.0
    """Price of the base order; 0 between deals."""
    began: bool = False
    """Whether the base order has been asked for."""
    bought: list[float] = field(default_factory=list)
    """Base units that each safety order has brought."""
    best: float = 0.0
    """Best bid since the profit was reached; 0 before."""
    leaving: str = ""
    """Why the position is being sold; empty while it is not."""
    ended: int = 0
    deals: int = 0
    asked: tuple[tuple[str, float, float], ...] = ()
    close: float = 0.0
    gain: float = 0.0
    loss: float = 0.0
    bars: int = 0

    @property
    def rsi(self) -> float:
        """Relative strength index of Wilder; 50 where nothing moves."""
        total = self.gain + self.loss
        return 100.0 * self.gain / total if total else 50.0


class Dca(EventStrategy):
    """Base order, scaled safety orders, one profit target over the average."""

    name = "dca"
    kind = StrategyType.STATIC
    Params = DcaParams
    Memory = DcaMemory
    symbols = ("BTC/USDT",)
    timeframe = "1h"
    min_book_interval_s = 0.5
    timer_s = 1.0
    params: DcaParams

    def warmup(self, timeframe: str) -> int:
        """Bars until the RSI has forgotten its beginning."""
        return 5 * self.params.rsi_period if self.params.start_rsi else 0

    # --- hooks -------------------------------------------------------------------------------------------------------

    def on_start(self, ctx: Context) -> None:
        """Ask for the orders anew: what is working may be different after a restart."""
        ctx.memory.asked = ()

    def on_bar(self, market: MarketView, bar: Candle, ctx: Context) -> None:
        """Measure the RSI (Wilder's smoothing begun with the plain mean)."""
        memory = ctx.memory
        if memory.close:
            change, period = bar.close - memory.close, self.params.rsi_period
            memory.bars += 1
            weight = 1.0 / min(memory.bars, period)
            memory.gain += weight * (max(change, 0.0) - memory.gain)
            memory.loss += weight * (max(-change, 0.0) - memory.loss)
        memory.close = bar.close

    def on_book(self, market: MarketView, ctx: Context) -> None:
        """Begin a deal, keep its orders, end it."""
        memory = ctx.memory
        if market.id != next(iter(ctx.markets)):
            return
        if not memory.began:
            self._begin(market, ctx)
        elif memory.anchor:
            self._watch(market, ctx)
            self._keep(market, ctx)

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        """Follow the deal."""
        market, memory = ctx.markets[fill.instrument], ctx.memory
        if fill.key == "base":
            memory.anchor = memory.anchor or fill.price
        elif fill.key[:1] == "s" and fill.key[1:].isdecimal():
            memory.bought[int(fill.key[1:])] += fill.quantity
        elif not market.tradable(max(market.position, 0.0), fill.price):
            self._end(ctx)
            return
        if market.ready and memory.anchor:
            self._keep(market, ctx)

    def on_order(self, update: OrderUpdate, ctx: Context) -> None:
        """A base order that brought nothing ends the deal; what else has ended is asked for anew."""
        memory = ctx.memory
        if update.ended:
            memory.asked = ()
        if update.key == "base" and update.ended and not memory.anchor:
            memory.began, memory.ended = False, ctx.now

    # --- a deal ------------------------------------------------------------------------------------------------------

    def ladder(self, anchor: float, capital: float) -> tuple[float, list[tuple[float, float]]]:
        """Value of the base order, and price and value of each safety order, in quote currency.

        Where all together would cost more than the capital, every one is smaller by the same factor.
        """
        p = self.params
        base, price, step = p.base_order_pct * capital, anchor, p.price_deviation * anchor
        orders, value = [], p.safety_order_pct * capital
        for _ in range(p.max_safety_orders):
            price -= step
            if price <= 0.0:
                break
            orders.append((price, value))
            step, value = step * p.step_scale, value * p.volume_scale
        total = base + sum(value for _, value in orders)
        factor = min(1.0, capital / total)
        return base * factor, [(price, value * factor) for price, value in orders]

    def _begin(self, market: MarketView, ctx: Context) -> None:
        p, memory = self.params, ctx.memory
        done = p.max_deals and memory.deals >= p.max_deals
        waits = memory.ended and ctx.now - memory.ended < p.cooldown_s * NS_PER_S
        high = p.start_rsi and (memory.bars < p.rsi_period or memory.rsi >= p.start_rsi)
        if done or waits or high or not ctx.may_enter:
            return
        value, orders = self.ladder(market.ask, ctx.capital)
        quantity = market.floor_quantity(value / (market.ask * market.multiplier))
        if not market.tradable(quantity, market.ask):
            ctx.stop(
                f"A base order of {value:.2f} {market.quote} is too small for {market.symbol}; "
                "give the bot more capital."
            )
            return
        memory.began, memory.anchor, memory.best, memory.leaving = True, 0.0, 0.0, ""
        memory.bought = [0.0] * len(orders)
        ctx.take(
            market,
            "base",
            OrderSide.BUY,
            quantity,
            market.ask * (1 + p.exit_slippage),
            reason=f"deal {memory.deals + 1}",
        )

    def _end(self, ctx: Context) -> None:
        memory = ctx.memory
        memory.deals += 1
        memory.began, memory.anchor, memory.best, memory.leaving = False, 0.0, 0.0, ""
        memory.ended, memory.asked = ctx.now, ()
        ctx.cancel_all(reason="the deal has ended")
        ctx.note("deals", memory.deals)

    def target(self, market: MarketView) -> float:
        """Price at which the whole leaves the wanted profit after both fees."""
        fees = 1.0 + market.taker_fee
        return market.entry_price * (1.0 + self.params.take_profit) * fees / (1.0 - market.maker_fee)

    def _watch(self, market: MarketView, ctx: Context) -> None:
        """Decide whether the position is to be sold at the market."""
        p, memory = self.params, ctx.memory
        if not market.entry_price or market.position <= 0.0:
            return
        if p.stop_loss and market.bid <= market.entry_price * (1 - p.stop_loss):
            memory.leaving = "stop loss"
        if p.trail_profit:
            if market.bid >= self.target(market) or memory.best:
                memory.best = max(memory.best, market.bid)
            if memory.best and market.bid <= memory.best * (1 - p.trail_profit):
                memory.leaving = "profit, trailed"

    def _keep(self, market: MarketView, ctx: Context) -> None:
        """Have the deal's orders working."""
        p, memory, held = self.params, ctx.memory, max(market.position, 0.0)
        if not market.tradable(held, market.bid):
            if not ctx.orders[market.id]:
                self._end(ctx)
            return
        if memory.leaving:
            ctx.quote(market, ())
            if ctx.order(market, "exit") is None:
                limit = market.bid * (1 - p.exit_slippage)
                ctx.take(market, "exit", OrderSide.SELL, held, limit, reduce_only=True, reason=memory.leaving)
            return
        wants = []
        _, orders = self.ladder(memory.anchor, ctx.capital)
        for number, (price, value) in enumerate(orders[: len(memory.bought)]):
            quantity = market.floor_quantity(value / (price * market.multiplier) - memory.bought[number])
            if market.tradable(quantity, price):
                wants.append(Want(f"s{number}", OrderSide.BUY, price, quantity, post_only=False, reason="safety order"))
        if not p.trail_profit:
            quantity = market.floor_quantity(held)
            wants.append(
                Want(
                    "profit",
                    OrderSide.SELL,
                    self.target(market),
                    quantity,
                    post_only=False,
                    reduce_only=market.instrument.kind not in CASH_KINDS,
                    reason="profit",
                )
            )
        asked = tuple((want.key, want.price, want.quantity) for want in wants)
        if asked != memory.asked:
            memory.asked = asked
            ctx.quote(market, wants)

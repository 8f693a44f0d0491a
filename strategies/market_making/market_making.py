"""Market making: layered quotes on both sides, skewed by inventory, widened by volatility, ahead of the competition.

The fair price is the micro-price of the book. The spread is `base_spread`, wider while volatility is above its average,
never below the cost of a round trip. Quotes lie around a reservation price that gives way to too much or too little
inventory; the first level goes one tick ahead of the best foreign quote as far as that still pays. Orders are replaced
every `order_refresh_time` seconds, and at once when the fair price or the inventory has moved beyond a tolerance; those
that are still right stay where they are in the queue. At the inventory's stop everything is withdrawn and the excess is
sold in slices; at the day's loss limit quoting ends until the next day (UTC).

Amounts named in BTC are converted to the base asset by the price of a market of the bot whose base is BTC and whose
quote currency is the same, or by `btc_price`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
from pydantic import Field

from engine.model.instrument import CASH_KINDS
from engine.model.order import OrderSide
from engine.strategy.contract import StrategyMemory, StrategyParams
from engine.strategy.estimators import Volatility
from engine.strategy.intents import Want
from engine.strategy.making.inventory import InventoryAction, InventoryRules, reservation_price
from engine.strategy.making.measuring import DayResult, fee_in_quote
from engine.strategy.making.spread import SpreadRules, best_foreign, competitive, quote_prices, size_of_level
from engine.strategy.quoting import EventStrategy

if TYPE_CHECKING:
    from engine.strategy.views import Context, MarketView, OwnFill

__all__ = ["MarketMaking"]

NS_PER_S = 1_000_000_000
LOOK_DEEP = 20
"""Levels of the book in which competing quotes are looked for."""


class MakingParams(StrategyParams):
    """What can be set."""

    base_spread: float = Field(0.001, gt=0, le=0.2, description="Least whole spread, as a fraction of the price.")
    order_levels: int = Field(5, ge=1, le=20, description="Orders on each side.")
    level_step: float = Field(
        0.5, ge=0, le=10, description="How much farther each level lies, as a multiple of the spread."
    )
    order_size_distribution: Literal["exponential", "linear", "constant"] = Field(
        "exponential", description="How the size grows from level to level."
    )
    base_order_size: float = Field(0.01, gt=0, le=1e6, description="Size of the first level, in BTC.")
    size_multiplier: float = Field(1.5, ge=1, le=10, description="Growth of the size from level to level.")
    btc_price: float = Field(
        0.0, ge=0, description="Price of one BTC in the quote currency where no market of the bot tells it; 0: none."
    )
    order_refresh_time: float = Field(30.0, gt=0, le=86_400, description="Seconds after which quotes are made anew.")
    refresh_tolerance: float = Field(
        0.5, ge=0, le=10, description="Change of the fair price that does so at once, as a multiple of the base spread."
    )
    order_tolerance: float = Field(
        0.1, ge=0, le=10, description="How far an order may lie from its place and stays, as a multiple of the spread."
    )
    inventory_tolerance: float = Field(
        0.05, ge=0, le=1, description="Change of the inventory that renews the quotes, as a fraction of the maximum."
    )
    fill_delay: float = Field(0.0, ge=0, le=3600, description="Seconds without new quotes after a fill.")
    adaptive_spreads: bool = Field(True, description="Whether the spread answers to volatility.")
    volatility_multiplier: float = Field(2.0, ge=0, le=20, description="How strongly it answers.")
    widest_spread: float = Field(0.05, gt=0, le=0.5, description="Most that volatility makes of the spread.")
    spread_hysteresis: float = Field(0.1, ge=0, le=0.9, description="How much narrower it must be to become so.")
    competition_monitoring: bool = Field(True, description="Whether foreign quotes are watched.")
    competitive_quotes: bool = Field(True, description="Whether the first level goes one tick ahead of them.")
    imbalance_weight: float = Field(
        1.0, ge=0, le=1, description="How far the fair price follows the book's imbalance, from mid (0) to micro (1)."
    )
    min_profit_per_trade: float = Field(0.00001, ge=0, le=1, description="Least profit of a round trip, in BTC.")
    inventory_skew: bool = Field(True, description="Whether the inventory moves the quotes.")
    target_inventory: float = Field(0.5, ge=0, le=1, description="Wanted inventory, as a fraction of the maximum.")
    max_inventory: float = Field(1.0, gt=0, le=1e6, description="Most that is bought up to, in BTC.")
    inventory_band: float = Field(0.25, gt=0, le=1, description="Distance from the target that is rebalanced.")
    inventory_risk_aversion: float = Field(0.1, ge=0, le=1e4, description="How strongly the inventory moves them.")
    stop_loss_inventory: float = Field(2.0, gt=0, le=1e6, description="Inventory that is unwound at once, in BTC.")
    max_position_value: float = Field(
        10_000.0, gt=0, description="Most that is held, in quote currency; never more than the capital."
    )
    daily_loss_limit: float = Field(100.0, gt=0, description="Loss of a day that ends it, in quote currency.")
    unwind_slice: float = Field(0.2, gt=0, le=1, description="Share of the excess that is sold in one slice.")
    unwind_interval: float = Field(5.0, gt=0, le=3600, description="Seconds between two slices.")
    unwind_slippage: float = Field(0.005, gt=0, le=0.1, description="Worst price of a slice, as a fraction.")
    hanging_orders: bool = Field(False, description="Whether the other side of a filled pair stays at its price.")
    hanging_cancel: float = Field(0.1, gt=0, le=1, description="Distance from the fair price that ends it.")
    hedge: bool = Field(False, description="Whether the bot's perpetuals hedge what is held of their base.")
    hedge_band: float = Field(0.1, gt=0, le=1, description="Unhedged rest, as a fraction of the maximum.")


class MarketMemory(msgspec.Struct):
    """What is known of one market."""

    volatility: Volatility = msgspec.field(default_factory=Volatility)
    usual: Volatility = msgspec.field(default_factory=lambda: Volatility(halflife_s=3600.0))
    day: DayResult = msgspec.field(default_factory=DayResult)
    spread: float = 0.0
    fair: float = 0.0
    """The fair price of the present quotes; 0 while there are none."""
    inventory: float = 0.0
    """The inventory of the present quotes."""
    quoted: int = 0
    """When they were made, UTC ns."""
    filled: int = 0
    """When one was last filled, UTC ns."""
    unwinding: bool = False
    sliced: int = 0
    stopped_day: int = 0
    """Day on which the loss limit was met."""
    missing_price: bool = False
    hanging: dict[str, tuple[float, float]] = msgspec.field(default_factory=dict)
    """Key of an order that stays: its price, and what is left of it."""
    turn: int = 0
    """Counts the pairs of orders, so that a hanging one keeps its key to itself."""


class MakingMemory(StrategyMemory):
    """Markets by instrument."""

    markets: dict[str, MarketMemory] = msgspec.field(default_factory=dict)

    def of(self, market: MarketView) -> MarketMemory:
        """What is known of a market."""
        return self.markets.setdefault(market.id, MarketMemory())


class MarketMaking(EventStrategy):
    """Layered quotes with inventory skew, adaptive spread and competitive prices."""

    name = "market_making"
    Params = MakingParams
    Memory = MakingMemory
    symbols = ("ETH/USDT", "BNB/USDT")
    timer_s = 1.0
    params: MakingParams

    # --- hooks -------------------------------------------------------------------------------------------------------

    def on_book(self, market: MarketView, ctx: Context) -> None:
        """Measure, and quote anew where the market has moved away from the quotes."""
        if self._is_hedge(market, ctx):
            return
        own = ctx.memory.of(market)
        own.volatility.update(ctx.now, market.mid)
        own.usual.update(ctx.now, market.mid)
        own.day.begin(market.position, market.mid)
        moved = abs(self._fair(market) - own.fair) > self.params.refresh_tolerance * self.params.base_spread * own.fair
        if moved or not own.quoted:
            self._act(market, own, ctx)

    def on_timer(self, ctx: Context) -> None:
        """Make old quotes anew, go on unwinding, keep the hedge."""
        for market in ctx.markets.values():
            if not market.ready or self._is_hedge(market, ctx):
                continue
            own = ctx.memory.of(market)
            old = ctx.now - own.quoted >= self.params.order_refresh_time * NS_PER_S
            if old or own.unwinding or self._waited(own, ctx):
                self._act(market, own, ctx)
            self._hedge(market, ctx)

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        """Keep the books, and quote anew when the inventory has moved enough."""
        market = ctx.markets[fill.instrument]
        if self._is_hedge(market, ctx):
            return
        own = ctx.memory.of(market)
        own.day.begin(market.position - fill.side.sign * fill.quantity, fill.price)
        own.day.fill(fill.side.sign, fill.quantity, fill.price, fee_in_quote(market, fill))
        own.filled = ctx.now
        self._hang(market, own, fill, ctx)
        rules = self._inventory(market, ctx)
        if rules is None or not market.ready or own.unwinding:
            return
        moved = abs(market.position - own.inventory) >= self.params.inventory_tolerance * rules.maximum
        if moved and not self.params.fill_delay:
            self._act(market, own, ctx)

    # --- what to do --------------------------------------------------------------------------------------------------

    def _act(self, market: MarketView, own: MarketMemory, ctx: Context) -> None:
        """Quote, unwind or rest."""
        rules = self._inventory(market, ctx)
        if rules is None:
            self._tell_missing(market, own, ctx)
            return
        loss = -own.day.look(ctx.now, market.position, market.mid)
        if self._day_has_ended(own, loss):
            self._rest(market, own, ctx, f"the day's loss of {loss:.2f} {market.quote} has met its limit")
            return
        action = rules.action(market.position)
        if action is InventoryAction.LIQUIDATE or (own.unwinding and not rules.in_band(market.position)):
            self._unwind(market, own, rules, ctx)
            return
        own.unwinding = False
        if ctx.now - own.filled < self.params.fill_delay * NS_PER_S:
            return
        wants = self._quotes(market, own, rules, ctx)
        own.fair, own.inventory, own.quoted = self._fair(market), market.position, ctx.now
        ctx.quote(market, wants, tolerance=self.params.order_tolerance * own.spread, size_tolerance=0.1)
        ctx.note("spread", own.spread)
        ctx.note("inventory", rules.deviation(market.position))
        ctx.note("result today", -loss)

    def _waited(self, own: MarketMemory, ctx: Context) -> bool:
        """Whether the pause after a fill has just ended."""
        delay = self.params.fill_delay * NS_PER_S
        return bool(delay) and own.quoted < own.filled <= ctx.now - delay

    def _day_has_ended(self, own: MarketMemory, loss: float) -> bool:
        """Whether the loss limit was met today. A limit that is raised by hand lets it go on."""
        if loss >= self.params.daily_loss_limit:
            own.stopped_day = own.day.day
        elif loss < self.params.daily_loss_limit * 0.99 and own.stopped_day != own.day.day:
            own.stopped_day = 0
        return own.stopped_day == own.day.day and own.stopped_day > 0

    def _rest(self, market: MarketView, own: MarketMemory, ctx: Context, why: str) -> None:
        if own.fair:
            ctx.alert(f"{market.symbol}: quoting has ended until tomorrow: {why}.", critical=True)
        ctx.cancel_all(market, why)
        own.fair, own.quoted = 0.0, ctx.now
        own.hanging.clear()

    def _unwind(self, market: MarketView, own: MarketMemory, rules: InventoryRules, ctx: Context) -> None:
        """Withdraw the quotes and bring the inventory back to its target, a slice at a time."""
        excess = market.position - rules.wanted
        if not own.unwinding:
            own.unwinding, own.sliced, own.fair = True, 0, 0.0
            own.hanging.clear()
            ctx.cancel_all(market, "inventory stop")
            ctx.alert(
                f"{market.symbol}: the inventory of {market.position:g} {market.base} has reached its stop of "
                f"{rules.stop:g}; it is unwound to {rules.wanted:g}.",
                critical=True,
            )
        own.quoted = ctx.now
        if ctx.now - own.sliced < self.params.unwind_interval * NS_PER_S or ctx.order(market, "unwind"):
            return
        side = OrderSide.SELL if excess > 0 else OrderSide.BUY
        touch = market.bid if excess > 0 else market.ask
        slice_ = max(abs(excess) * self.params.unwind_slice, rules.maximum * 0.01)
        quantity = market.floor_quantity(min(slice_, abs(excess)))
        if market.tradable(quantity, touch):
            own.sliced = ctx.now
            limit = touch * (1.0 + side.sign * self.params.unwind_slippage)
            ctx.take(market, "unwind", side, quantity, limit, reason="inventory stop")

    # --- quotes ------------------------------------------------------------------------------------------------------

    def _fair(self, market: MarketView) -> float:
        return market.mid + self.params.imbalance_weight * (market.micro - market.mid)

    def _quotes(self, market: MarketView, own: MarketMemory, rules: InventoryRules, ctx: Context) -> list[Want]:
        """All orders that should be working."""
        p, fair = self.params, self._fair(market)
        spreads = SpreadRules(
            base=p.base_spread,
            multiplier=p.volatility_multiplier if p.adaptive_spreads else 0.0,
            widest=max(p.widest_spread, p.base_spread),
            hysteresis=p.spread_hysteresis,
        )
        own.spread = spreads.next(own.spread, own.volatility.value, own.usual.value)
        unit = self._btc_in_base(market, ctx) or 0.0
        size = p.base_order_size * unit
        cost = spreads.cost(market.maker_fee, p.min_profit_per_trade * unit / size)
        centre = fair
        if p.inventory_skew:
            # Volatility over the time for which a quote stands.
            width = own.volatility.over(p.order_refresh_time)
            centre = reservation_price(fair, rules.deviation(market.position), p.inventory_risk_aversion, width)
        bid, ask = quote_prices(centre, fair, own.spread, cost)
        least = fair * cost / 2.0
        bid, ask = self._against_others(market, bid, ask, fair - least, fair + least, ctx)
        if rules.action(market.position) is InventoryAction.REBALANCE:
            bid, ask = self._towards_target(market, rules, bid, ask, fair, least)
        step = p.level_step * own.spread * fair
        wants = self._hanging_wants(market, own, fair)
        wants += self._side(market, OrderSide.BUY, min(bid, market.ask - market.tick), -step, size, rules, own)
        wants += self._side(market, OrderSide.SELL, max(ask, market.bid + market.tick), step, size, rules, own)
        return wants

    def _against_others(
        self, market: MarketView, bid: float, ask: float, highest: float, lowest: float, ctx: Context
    ) -> tuple[float, float]:
        p = self.params
        if not (p.competition_monitoring and p.competitive_quotes):
            return bid, ask
        own = {side: [] for side in OrderSide}  # type: dict[OrderSide, list[tuple[float, float]]]
        for order in ctx.orders[market.id].values():
            own[order.side].append((order.price, order.left))
        best_bid = best_foreign(market.bids(LOOK_DEEP), own[OrderSide.BUY], market.tick)
        best_ask = best_foreign(market.asks(LOOK_DEEP), own[OrderSide.SELL], market.tick)
        # Only ever nearer to the market than the spread asks for: a lone quote keeps its distance.
        return (
            max(bid, competitive(bid, best_bid, market.tick, 1, highest)) if best_bid else bid,
            min(ask, competitive(ask, best_ask, market.tick, -1, lowest)) if best_ask else ask,
        )

    @staticmethod
    def _towards_target(
        market: MarketView, rules: InventoryRules, bid: float, ask: float, fair: float, least: float
    ) -> tuple[float, float]:
        """The side that brings the inventory back goes to the best price that still pays."""
        if market.position > rules.wanted:
            return bid, min(ask, max(market.ask, fair + least))
        return max(bid, min(market.bid, fair - least)), ask

    def _side(
        self,
        market: MarketView,
        side: OrderSide,
        price: float,
        step: float,
        size: float,
        rules: InventoryRules,
        own: MarketMemory,
    ) -> list[Want]:
        """The levels of one side, as far as the inventory has room for them."""
        p, wants, name = self.params, [], "bid" if side is OrderSide.BUY else "ask"
        held = sum(left for key, (_, left) in own.hanging.items() if key.startswith(name))
        room = max(0.0, rules.room(side.sign, market.position) - held)
        for level in range(p.order_levels):
            at = price + level * step
            quantity = market.floor_quantity(
                min(size_of_level(size, level, p.order_size_distribution, p.size_multiplier), room)
            )
            if at <= 0.0 or not market.tradable(quantity, at):
                break
            room -= quantity
            key = f"{name}-{level}" + (f"-{own.turn}" if own.turn else "")
            wants.append(Want(key, side, at, quantity, reason=f"level {level}"))
        return wants

    # --- hanging orders ----------------------------------------------------------------------------------------------

    def _hang(self, market: MarketView, own: MarketMemory, fill: OwnFill, ctx: Context) -> None:
        """Let the other side of a filled pair stay at its price, and follow the fills of those that stay."""
        if fill.key in own.hanging:
            price, left = own.hanging[fill.key]
            own.hanging[fill.key] = (price, left - fill.quantity)
            if left - fill.quantity < market.lot:
                del own.hanging[fill.key]
            return
        if not self.params.hanging_orders or not fill.key.startswith(("bid-", "ask-")):
            return
        other = ctx.order(market, ("ask" if fill.key.startswith("bid") else "bid") + fill.key[3:])
        if other is not None and other.quoted and other.key not in own.hanging:
            own.hanging[other.key] = (other.price, other.left)
            own.turn = own.turn % 9999 + 1

    def _hanging_wants(self, market: MarketView, own: MarketMemory, fair: float) -> list[Want]:
        wants = []
        for key, (price, left) in list(own.hanging.items()):
            if abs(price - fair) > self.params.hanging_cancel * fair or not market.tradable(left, price):
                del own.hanging[key]
                continue
            side = OrderSide.BUY if key.startswith("bid") else OrderSide.SELL
            wants.append(Want(key, side, price, left, reason="hanging"))
        return wants

    # --- amounts -----------------------------------------------------------------------------------------------------

    def _btc_in_base(self, market: MarketView, ctx: Context) -> float | None:
        """Base units that are worth one BTC; None while the price of BTC is not known."""
        if market.base == "BTC":
            return 1.0
        price = self.params.btc_price
        for other in ctx.markets.values():
            if other.base == "BTC" and other.quote == market.quote and other.ready:
                price = other.mid
        return price / market.mid if price and market.mid else None

    def _inventory(self, market: MarketView, ctx: Context) -> InventoryRules | None:
        """The inventory's limits in base units; None while amounts in BTC cannot be converted."""
        p, unit = self.params, self._btc_in_base(market, ctx)
        if unit is None or not market.mid or market.multiplier != 1.0:
            return None
        return InventoryRules(
            maximum=min(p.max_inventory * unit, min(p.max_position_value, ctx.capital) / market.mid),
            target=p.target_inventory,
            band=p.inventory_band,
            stop=p.stop_loss_inventory * unit,
            aversion=p.inventory_risk_aversion,
        )

    @staticmethod
    def _tell_missing(market: MarketView, own: MarketMemory, ctx: Context) -> None:
        if not own.missing_price:
            own.missing_price = True
            if market.multiplier != 1.0:
                ctx.alert(
                    f"{market.symbol} is not quoted: one contract is {market.multiplier:g} {market.base}, and this "
                    "strategy counts in whole units. Choose a market whose contract is one unit."
                )
                return
            ctx.alert(
                f"{market.symbol} is not quoted: its sizes are in BTC, whose price in {market.quote} is not known. Add "
                f"BTC/{market.quote} to the bot's instruments, or set btc_price."
            )

    # --- hedge -------------------------------------------------------------------------------------------------------

    def _is_hedge(self, market: MarketView, ctx: Context) -> bool:
        """Whether this market only hedges others: a derivative beside a market of the same base that is no such one."""
        if not self.params.hedge or market.instrument.kind in CASH_KINDS:
            return False
        return any(o.base == market.base and o.instrument.kind in CASH_KINDS for o in ctx.markets.values())

    def _hedge(self, market: MarketView, ctx: Context) -> None:
        """Hold the opposite of what is held beyond nothing in the perpetual of the same base."""
        rules = self._inventory(market, ctx) if self.params.hedge else None
        if rules is None:
            return
        for other in ctx.markets.values():
            if other.base != market.base or not other.ready or not self._is_hedge(other, ctx):
                continue
            rest = market.position + other.position * other.multiplier
            if abs(rest) < self.params.hedge_band * rules.maximum or ctx.order(other, "hedge"):
                continue
            side = OrderSide.SELL if rest > 0 else OrderSide.BUY
            touch = other.bid if rest > 0 else other.ask
            quantity = other.floor_quantity(abs(rest) / other.multiplier)
            if other.tradable(quantity, touch):
                limit = touch * (1.0 + side.sign * self.params.unwind_slippage)
                ctx.take(other, "hedge", side, quantity, limit, reason="hedge of what is held")

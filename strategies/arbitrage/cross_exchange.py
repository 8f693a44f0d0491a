"""Cross-exchange arbitrage: buy where a pair is cheap and sell it where it is dear, in the same moment.

Every market of the bot with the same base is compared with every other one; a spread counts when it pays both taker
fees, the conversion between quote currencies and the wanted profit, over the depth that is used. Both legs go out
together, as immediate-or-cancel orders at the worst price that still pays. Inventory is kept at each venue: nothing is
transferred, so base must be there where it is sold. A trade that makes the venues more lopsided must earn
`rebalance_cost` more.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from msgspec import field
from pydantic import Field, field_validator

from engine.model.instrument import CASH_KINDS
from engine.model.order import OrderStatus
from engine.strategy.arbitrage.common import KEPT_NS, ArbitrageMemory, ArbitrageParams, note_refused, watch_latency
from engine.strategy.arbitrage.legs import Leg, PairTrade, Phase
from engine.strategy.arbitrage.scanner import find_cross, rank
from engine.strategy.contract import StrategyType
from engine.strategy.estimators import Volatility
from engine.strategy.making.measuring import fee_in_quote
from engine.strategy.quoting import EventStrategy

if TYPE_CHECKING:
    from engine.strategy.arbitrage.scanner import Opportunity
    from engine.strategy.intents import Take
    from engine.strategy.views import Context, MarketView, OrderUpdate, OwnFill

__all__ = ["CrossExchangeArbitrage"]

NS_PER_MS = 1_000_000


class CrossParams(ArbitrageParams):
    """What can be set."""

    rebalance_cost: float = Field(
        0.0002, ge=0, le=0.1, description="What a trade that makes the venues more lopsided must earn more."
    )
    quote_rates: str = Field(
        "",
        max_length=200,
        description="Worth of quote currencies where no market tells it, such as USD=1 USDC=1 USDT=1.",
    )
    halt_on_rest: bool = Field(True, description="Whether a rest that cannot be unwound pauses the bot.")

    @field_validator("quote_rates")
    @classmethod
    def _rates(cls, value: str) -> str:
        for part in value.split():
            name, _, worth = part.partition("=")
            try:
                good = bool(name) and float(worth) > 0
            except ValueError:
                good = False
            if not good:
                raise ValueError(f"{part!r} is no rate; write one such as USD=1")
        return value

    @property
    def rates(self) -> dict[str, float]:
        """Worth of quote currencies by name."""
        return {name: float(worth) for name, _, worth in (part.partition("=") for part in self.quote_rates.split())}


class CrossMemory(ArbitrageMemory):
    """Trades under way, and volatility by instrument."""

    trades: list[PairTrade] = field(default_factory=list)
    past: list[PairTrade] = field(default_factory=list)
    """Those that have ended of late, for executions that come after the end."""
    volatility: dict[str, Volatility] = field(default_factory=dict)


class CrossExchangeArbitrage(EventStrategy):
    """Buys a pair where it is cheap and sells it where it is dear."""

    name = "cross_exchange_arbitrage"
    kind = StrategyType.ARBITRAGE
    Params = CrossParams
    Memory = CrossMemory
    symbols = ("BTC/USDT",)
    min_markets = 2
    timer_s = 0.1
    params: CrossParams

    # --- hooks -------------------------------------------------------------------------------------------------------

    def on_start(self, ctx: Context) -> None:
        """Orders that work no more have ended while nobody was here."""
        for trade in ctx.memory.trades:
            trade.forget_open(lambda instrument, key: key in ctx.orders[instrument])

    def on_book(self, market: MarketView, ctx: Context) -> None:
        """Look for a spread between this market and the others of the same base."""
        memory, p = ctx.memory, self.params
        memory.volatility.setdefault(market.id, Volatility()).update(ctx.now, market.mid)
        if not ctx.may_enter or len(memory.trades) >= p.max_open_arbitrages:
            return
        pairs = [pair for pair in permutations(ctx.markets.values(), 2) if market in pair and _may_pair(*pair)]
        found = rank(self._look(buy, sell, ctx) for buy, sell in pairs)
        for one in found:
            if one.refused:
                note_refused(memory, one, ctx)
            elif not self._is_busy(one, ctx):
                self._begin(one, ctx)
                return

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        """Follow the trade whose order it was."""
        memory = ctx.memory
        for trade in [*memory.trades, *memory.past]:
            if trade.owns(fill.key):
                trade.on_fill(fill, fee_in_quote(ctx.markets[fill.instrument], fill))
                if trade in memory.past:
                    memory.past.remove(trade)
                    memory.trades.append(trade)
                    trade.reopen()
                    ctx.alert(f"Arbitrage {trade.number}: an execution came after its end; it is brought into balance.")

    def on_order(self, update: OrderUpdate, ctx: Context) -> None:
        """An order has ended: complete, pursue or unwind its trade."""
        if not update.ended:
            return
        for trade in list(ctx.memory.trades):
            if trade.owns(update.key):
                refused = update.status is OrderStatus.REJECTED
                takes = trade.on_end(update.key, ctx.now, ctx.markets, self.params.policy, refused=refused)
                self._send(takes, ctx)
                self._settle(trade, ctx)

    def on_timer(self, ctx: Context) -> None:
        """Watch the venues and the trades that take too long."""
        memory, p = ctx.memory, self.params
        memory.fade(ctx.now)
        memory.past = [trade for trade in memory.past if ctx.now - trade.ended <= KEPT_NS]
        watch_latency(memory, ctx.markets.values(), p.latency_threshold, ctx)
        for trade in list(memory.trades):
            self._send(trade.on_time(ctx.now, ctx.markets, p.policy), ctx)
            overdue = trade.overdue(ctx.now, int(p.partial_fill_timeout * NS_PER_MS))
            for leg in overdue:
                ctx.cancel(ctx.markets[leg.instrument], leg.open, "it takes too long")
            if overdue and not trade.late:
                trade.late = True
                ctx.alert(
                    f"Arbitrage {trade.number}: the end of the order in {overdue[0].instrument} is not known after "
                    f"{p.partial_fill_timeout:g} ms; the other leg waits for it.",
                    critical=True,
                )
            self._settle(trade, ctx)

    # --- looking -----------------------------------------------------------------------------------------------------

    def rate(self, of: MarketView, into: MarketView, ctx: Context) -> float:
        """Worth of one unit of a market's quote currency in another's; 0 where nobody knows."""
        if of.quote == into.quote:
            return 1.0
        for market in ctx.markets.values():
            if market.ready and {market.base, market.quote} == {of.quote, into.quote}:
                return market.mid if market.base == of.quote else 1.0 / market.mid
        rates = self.params.rates
        return rates[of.quote] / rates[into.quote] if of.quote in rates and into.quote in rates else 0.0

    def _look(self, buy: MarketView, sell: MarketView, ctx: Context) -> Opportunity | None:
        p, rate = self.params, self.rate(buy, sell, ctx)
        if not (rate and buy.ready and sell.ready):
            return None
        capital = p.max_position_size * ctx.capital
        price = buy.ask * buy.multiplier
        # The fee is paid on top, so a little less than everything can be spent.
        money = min(capital, ctx.free(buy.venue, buy.quote) * 0.999) / (price * (1.0 + buy.taker_fee))
        most = min(money, ctx.free(sell.venue, sell.base))
        memory = ctx.memory
        width = memory.volatility[buy.id].over(p.max_execution_time / 1e3) if buy.id in memory.volatility else 0.0
        extra = p.rebalance_cost * self._more_lopsided(buy, sell, ctx)
        return find_cross(
            buy, sell, ctx.now, p.scan(memory.shortfall), most=most, rate=rate, extra=extra, volatility=width
        )

    @staticmethod
    def _more_lopsided(buy: MarketView, sell: MarketView, ctx: Context) -> int:
        """+1 where buying there and selling here takes the venues' shares of the base apart, -1 where it evens them."""
        return 1 if ctx.total(buy.venue, buy.base) >= ctx.total(sell.venue, sell.base) else -1

    @staticmethod
    def _is_busy(one: Opportunity, ctx: Context) -> bool:
        """Whether one of its markets is in a trade already: its book will have changed when that is over."""
        busy = {leg.instrument for trade in ctx.memory.trades for leg in trade.legs}
        return not busy.isdisjoint(one.markets)

    # --- trading -----------------------------------------------------------------------------------------------------

    def _begin(self, one: Opportunity, ctx: Context) -> None:
        memory = ctx.memory
        buy, sell = (ctx.markets[market] for market in one.markets)
        legs = [
            Leg(instrument, side, one.quantity, limit)
            for instrument, side, limit in zip(one.markets, one.sides, one.limits, strict=True)
        ]
        trade = PairTrade(memory.number(ctx.now), ctx.now, legs, one.profit, [self.rate(buy, sell, ctx), 1.0])
        memory.trades.append(trade)
        ctx.legs(trade.send(ctx.now))
        ctx.note("last", f"{buy.id} → {sell.id} {one.quantity:g} at {one.margin:.3%}")

    @staticmethod
    def _send(takes: list[Take], ctx: Context) -> None:
        if takes:
            ctx.legs(takes)

    def _settle(self, trade: PairTrade, ctx: Context) -> None:
        """Book a trade that has ended."""
        memory = ctx.memory
        if not trade.phase.ended or trade not in memory.trades:
            return
        memory.trades.remove(trade)
        memory.past.append(trade)
        put_in = trade.legs[0].quantity * trade.legs[0].limit * trade.worth[0]
        if any(leg.attempts > 1 or leg.filled for leg in trade.legs):
            memory.learn(trade.expected, trade.realised, put_in)
        ctx.note("expected", memory.expected)
        ctx.note("realised", memory.realised)
        if trade.why == "unwound":
            ctx.alert(f"Arbitrage {trade.number} was unwound; it has brought {trade.realised:+.4f}.")
        if trade.phase is Phase.HALTED:
            text = f"Arbitrage {trade.number}: {trade.why}. Look at {trade.legs[0].instrument} and its counterpart."
            if self.params.halt_on_rest:
                ctx.stop(text)
            else:
                ctx.alert(text, critical=True)


def _may_pair(buy: MarketView, sell: MarketView) -> bool:
    """Whether two markets trade the same thing at different venues: base, kind, settlement and size of a unit."""
    one, other = buy.instrument, sell.instrument
    alike = (one.kind, one.settle, buy.multiplier) == (other.kind, other.settle, sell.multiplier)
    cash = one.kind in CASH_KINDS and other.kind in CASH_KINDS
    return buy.venue != sell.venue and buy.base == sell.base and (cash or alike)

"""Triangular arbitrage: three conversions at one venue that end with more than they began with.

Each path is tested in both directions, over the depth of its books and net of taker fees, at the amount that earns
most. The legs go out one after the other as immediate-or-cancel orders; each uses what the one before has really
brought. What does not go through within the time is brought back to the start currency, with an alert.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field
from pydantic import Field, field_validator

from engine.model.ids import Currency
from engine.model.order import OrderStatus
from engine.strategy.arbitrage.chain import ChainTrade, Step
from engine.strategy.arbitrage.common import KEPT_NS, ArbitrageMemory, ArbitrageParams, note_refused, watch_latency
from engine.strategy.arbitrage.legs import LegPolicy, Phase
from engine.strategy.arbitrage.scanner import conversions, find_loop, rank
from engine.strategy.contract import StrategyType
from engine.strategy.estimators import Volatility
from engine.strategy.quoting import EventStrategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.strategy.arbitrage.scanner import Opportunity
    from engine.strategy.intents import Take
    from engine.strategy.views import Context, MarketView, OrderUpdate, OwnFill

__all__ = ["TriangularArbitrage"]

NS_PER_MS = 1_000_000


class TriangularParams(ArbitrageParams):
    """What can be set."""

    triangular_paths: str = Field(
        "BTC/USDT,ETH/BTC,ETH/USDT;BTC/USDT,BNB/BTC,BNB/USDT",
        max_length=2000,
        description="Paths of three symbols each, divided by `;`.",
    )
    start_currency: str = Field("USDT", max_length=20, description="Currency that every loop begins and ends with.")
    halt_on_rest: bool = Field(True, description="Whether a rest that cannot be brought back pauses the bot.")

    @field_validator("triangular_paths")
    @classmethod
    def _three_each(cls, value: str) -> str:
        for path in value.split(";"):
            if len([symbol for symbol in path.split(",") if "/" in symbol]) != 3:
                raise ValueError(f"{path!r} is no path; write three symbols such as BTC/USDT,ETH/BTC,ETH/USDT")
        return value

    @property
    def paths(self) -> list[tuple[str, ...]]:
        """The paths, symbol by symbol."""
        return [tuple(symbol.strip() for symbol in path.split(",")) for path in self.triangular_paths.split(";")]

    @property
    def chain_policy(self) -> LegPolicy:
        """How legs are pursued: no further one is sent after `max_execution_time`."""
        return LegPolicy(
            retries=self.retries,
            crosses=self.crosses,
            unwinds=self.unwinds,
            cross_slippage=self.cross_slippage,
            unwind_slippage=self.unwind_slippage,
            within_ns=int(self.max_execution_time * NS_PER_MS),
        )


class TriangularMemory(ArbitrageMemory):
    """Loops under way, and volatility by instrument."""

    trades: list[ChainTrade] = field(default_factory=list)
    past: list[ChainTrade] = field(default_factory=list)
    """Those that have ended of late, for executions that come after the end."""
    volatility: dict[str, Volatility] = field(default_factory=dict)


class TriangularArbitrage(EventStrategy):
    """Three conversions at one venue that end with more than they began with."""

    name = "triangular_arbitrage"
    kind = StrategyType.ARBITRAGE
    Params = TriangularParams
    Memory = TriangularMemory
    symbols = ("BTC/USDT", "ETH/BTC", "ETH/USDT", "BNB/BTC", "BNB/USDT")
    min_markets = 3
    timer_s = 0.1
    params: TriangularParams

    # --- hooks -------------------------------------------------------------------------------------------------------

    def on_start(self, ctx: Context) -> None:
        """Orders that work no more have ended while nobody was here."""
        for trade in ctx.memory.trades:
            trade.forget_open(lambda instrument, key: key in ctx.orders[instrument])

    def on_book(self, market: MarketView, ctx: Context) -> None:
        """Look at every loop that this market is part of, in both directions."""
        memory, p = ctx.memory, self.params
        memory.volatility.setdefault(market.id, Volatility()).update(ctx.now, market.mid)
        if not ctx.may_enter or len(memory.trades) >= p.max_open_arbitrages:
            return
        found = rank(self._look(loop, ctx) for loop in self.loops(market, ctx))
        for one in found:
            if one.refused:
                note_refused(memory, one, ctx)
            elif not self._is_busy(one, ctx):
                self._begin(one, ctx)
                return

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        """Follow the loop whose order it was."""
        for trade in ctx.memory.trades:
            if trade.owns(fill.key):
                trade.on_fill(fill, ctx.markets[fill.instrument])
        for trade in ctx.memory.past:
            if trade.owns(fill.key):
                ctx.stop(
                    f"Loop {trade.number}: {fill.quantity:g} of {fill.instrument} were executed after its end. Look at "
                    "what is held of the other currencies."
                )

    def on_order(self, update: OrderUpdate, ctx: Context) -> None:
        """An order has ended: the next leg, or the way back."""
        if not update.ended:
            return
        for trade in list(ctx.memory.trades):
            if trade.owns(update.key):
                refused = update.status is OrderStatus.REJECTED
                takes = trade.on_end(update.key, ctx.now, ctx.markets, self.params.chain_policy, refused=refused)
                self._send(takes, ctx)
                self._settle(trade, ctx)

    def on_timer(self, ctx: Context) -> None:
        """Watch the venue and the loops that take too long."""
        memory, p = ctx.memory, self.params
        memory.fade(ctx.now)
        memory.past = [trade for trade in memory.past if ctx.now - trade.ended <= KEPT_NS]
        watch_latency(memory, ctx.markets.values(), p.latency_threshold, ctx)
        for trade in list(memory.trades):
            self._send(trade.on_time(ctx.now, ctx.markets, p.chain_policy), ctx)
            if trade.open and ctx.now - trade.opened > p.partial_fill_timeout * NS_PER_MS:
                step = trade.steps[abs(trade.back) - 1]
                ctx.cancel(ctx.markets[step.instrument], trade.open, "it takes too long")
                if not trade.late:
                    trade.late = True
                    ctx.alert(
                        f"Loop {trade.number}: the end of the order in {step.instrument} is not known after "
                        f"{p.partial_fill_timeout:g} ms; the next leg waits for it.",
                        critical=True,
                    )
            self._settle(trade, ctx)

    # --- looking -----------------------------------------------------------------------------------------------------

    def loops(self, market: MarketView, ctx: Context) -> list[tuple[MarketView, ...]]:
        """Both directions of every path at the market's venue that it is part of and that leads back to the start."""
        there = {other.symbol: other for other in ctx.markets.values() if other.venue == market.venue}
        loops = []
        for path in self.params.paths:
            if market.symbol not in path or not all(symbol in there for symbol in path):
                continue
            views = tuple(there[symbol] for symbol in path)
            for loop in (views, views[::-1]):
                if conversions(loop, Currency(self.params.start_currency)) is not None:
                    loops.append(loop)
        return loops

    def _look(self, loop: Sequence[MarketView], ctx: Context) -> Opportunity | None:
        p, memory, start = self.params, ctx.memory, Currency(self.params.start_currency)
        if not all(market.ready for market in loop):
            return None
        most = min(p.max_position_size * ctx.capital, ctx.free(loop[0].venue, start) * 0.999)
        seconds = p.max_execution_time / 1e3
        width = max((memory.volatility[m.id].over(seconds) for m in loop if m.id in memory.volatility), default=0.0)
        return find_loop(loop, start, ctx.now, p.scan(memory.shortfall), most=most, volatility=width)

    @staticmethod
    def _is_busy(one: Opportunity, ctx: Context) -> bool:
        """Whether one of its markets is in a loop already: its book will have changed when that is over."""
        busy = {step.instrument for trade in ctx.memory.trades for step in trade.steps}
        return not busy.isdisjoint(one.markets)

    # --- trading -----------------------------------------------------------------------------------------------------

    def _begin(self, one: Opportunity, ctx: Context) -> None:
        memory = ctx.memory
        steps = [
            Step(market, side, limit, ctx.markets[market].taker_fee)
            for market, side, limit in zip(one.markets, one.sides, one.limits, strict=True)
        ]
        trade = ChainTrade(memory.number(ctx.now), ctx.now, steps, one.quantity, one.profit)
        memory.trades.append(trade)
        self._send(trade.send(ctx.now, ctx.markets, self.params.chain_policy), ctx)
        ctx.note("last", f"{' → '.join(one.markets)} {one.quantity:.2f} at {one.margin:.3%}")
        self._settle(trade, ctx)

    @staticmethod
    def _send(takes: list[Take], ctx: Context) -> None:
        if takes:
            ctx.legs(takes)

    def _settle(self, trade: ChainTrade, ctx: Context) -> None:
        """Book a loop that has ended."""
        memory = ctx.memory
        if not trade.phase.ended or trade not in memory.trades:
            return
        memory.trades.remove(trade)
        memory.past.append(trade)
        if trade.steps[0].got:
            memory.learn(trade.expected, trade.realised, trade.put_in)
        ctx.note("expected", memory.expected)
        ctx.note("realised", memory.realised)
        if trade.timed_out or trade.recovered or trade.phase is Phase.HALTED:
            text = (
                f"Loop {trade.number}: {trade.why}; it has brought {trade.realised:+.4f} {self.params.start_currency}."
            )
            if trade.phase is Phase.HALTED and self.params.halt_on_rest:
                ctx.stop(f"{text} Look at what is held of the other currencies.")
            else:
                ctx.alert(text, critical=trade.phase is Phase.HALTED)

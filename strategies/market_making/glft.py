"""GLFT: stationary optimal quotes of Guéant, Lehalle and Fernandez-Tapia, fitted to the market as it goes on.

How many trades reach a distance δ from the mid is taken as A e^(−κ δ) a second; A and κ are fitted to the trades that
are heard, and until enough were heard they are those of the parameters. With the measured volatility they give a half
spread and a skew per unit of inventory, without a horizon.

Source: O. Guéant, C.-A. Lehalle and J. Fernandez-Tapia, "Dealing with the inventory risk", Mathematics and Financial
Economics 7 (2013). γ and κ are given relative to the price and to the value of one quote (γ = gamma ÷ (price × size),
κ = kappa ÷ price), so that one setting serves every market.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field
from pydantic import Field

from engine.strategy.contract import StrategyMemory
from engine.strategy.estimators import Volatility
from engine.strategy.making.measuring import Arrivals
from engine.strategy.making.optimal import glft
from engine.strategy.making.pair import Pair, PairParams
from engine.strategy.quoting import EventStrategy

if TYPE_CHECKING:
    from engine.strategy.views import Context, MarketView, OwnFill, Print

__all__ = ["Glft"]

NS_PER_S = 1_000_000_000


class GlftParams(PairParams):
    """What can be set."""

    gamma: float = Field(0.05, gt=0, le=1e6, description="Risk aversion, relative to the value of one quote.")
    kappa: float = Field(
        2000.0, gt=0, le=1e9, description="Decay of the arrivals with the distance, until it is fitted."
    )
    arrival: float = Field(1.0, gt=0, le=1e6, description="Arrivals per second at the mid, until they are fitted.")
    skew: float = Field(1.0, ge=0, le=100, description="Factor on the answer to inventory.")
    fit: bool = Field(True, description="Whether arrivals are fitted to the trades that are heard.")
    fit_s: float = Field(1800.0, gt=0, le=86_400, description="Half-life of what was heard, in seconds.")
    fit_step: float = Field(
        0.0001, gt=0, le=0.01, description="Width of a distance that is told apart, as a fraction of the price."
    )
    volatility_s: float = Field(300.0, gt=0, le=86_400, description="Half-life of the measured volatility, in seconds.")


class GlftMemory(StrategyMemory):
    """What is measured and when it was quoted, by instrument."""

    volatility: dict[str, Volatility] = field(default_factory=dict)
    arrivals: dict[str, Arrivals] = field(default_factory=dict)
    quoted: dict[str, int] = field(default_factory=dict)


class Glft(EventStrategy):
    """Stationary optimal quotes with fitted arrivals."""

    name = "glft"
    Params = GlftParams
    Memory = GlftMemory
    symbols = ("BTC/USDT",)
    timer_s = 1.0
    min_book_interval_s = 0.25
    params: GlftParams

    def on_book(self, market: MarketView, ctx: Context) -> None:
        """Measure the volatility; quote at first sight and when the time has come."""
        p, memory = self.params, ctx.memory
        measured = memory.volatility.setdefault(market.id, Volatility(halflife_s=p.volatility_s))
        measured.update(ctx.now, market.mid)
        if ctx.now - memory.quoted.get(market.id, 0) >= p.refresh_s * NS_PER_S:
            self._quote(market, ctx)

    def on_trade(self, market: MarketView, trade: Print, ctx: Context) -> None:
        """Count how far from the mid somebody traded."""
        if not (self.params.fit and market.ready):
            return
        arrivals = ctx.memory.arrivals.setdefault(market.id, Arrivals())
        arrivals.pass_time(ctx.now, self.params.fit_s)
        # The depth is of a fixed width in price, or the counts of different prices would not belong together.
        step = arrivals.step or max(self.params.fit_step * market.mid, market.tick)
        if abs(step / market.mid - self.params.fit_step) > self.params.fit_step / 2 and step > market.tick:
            step = max(self.params.fit_step * market.mid, market.tick)
        arrivals.trade(ctx.now, trade.side.sign * (trade.price - market.mid), step)

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        """The inventory has changed, so the quotes have."""
        market = ctx.markets[fill.instrument]
        if market.ready:
            self._quote(market, ctx)

    def _arrivals(self, market: MarketView, ctx: Context) -> tuple[float, float]:
        """A per second and κ per quote currency."""
        heard = ctx.memory.arrivals.get(market.id)
        fitted = heard.fit() if heard is not None and self.params.fit else None
        return fitted or (self.params.arrival, self.params.kappa / market.mid)

    def _quote(self, market: MarketView, ctx: Context) -> None:
        p, mid = self.params, market.mid
        measured = ctx.memory.volatility.get(market.id)
        if measured is None or not measured.value:
            # Nobody knows yet how wide to quote.
            return
        ctx.memory.quoted[market.id] = ctx.now
        pair = Pair.of(p, market, ctx.capital)
        arrival, kappa = self._arrivals(market, ctx)
        depths = glft(
            pair.beyond_target,
            gamma=p.gamma / (mid * pair.size),
            kappa=kappa,
            arrival=arrival,
            sigma=measured.value * mid,
            lot=pair.size,
            skew=p.skew,
        )
        ctx.quote(market, pair.wants(depths), tolerance=p.refresh_tolerance, size_tolerance=0.2)
        ctx.note("spread", (depths.bid + depths.ask) / mid)
        ctx.note("skew", (depths.ask - depths.bid) / 2 / mid)
        ctx.note("arrivals", arrival)

"""Avellaneda–Stoikov: two quotes around a reservation price, for a market maker who dislikes inventory.

The reservation price lies below the mid by q γ σ² (T − t), where q is the inventory beyond its target in units of one
quote; the spread around it is γ σ² (T − t) + (2/γ) ln(1 + γ/κ). Volatility is measured as the market goes on. The time
left T − t falls from `horizon_s` to 0 again and again, or stands still where `cyclic` is off.

Source: M. Avellaneda and S. Stoikov, "High-frequency trading in a limit order book", Quantitative Finance 8 (2008).
γ and κ are given relative to the price (γ = gamma ÷ price, κ = kappa ÷ price), so one setting serves every market.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field
from pydantic import Field

from engine.strategy.contract import StrategyMemory
from engine.strategy.estimators import Volatility
from engine.strategy.making.optimal import avellaneda_stoikov
from engine.strategy.making.pair import Pair, PairParams
from engine.strategy.quoting import EventStrategy

if TYPE_CHECKING:
    from engine.strategy.views import Context, MarketView, OwnFill

__all__ = ["AvellanedaStoikov"]

NS_PER_S = 1_000_000_000


class AvellanedaParams(PairParams):
    """What can be set."""

    gamma: float = Field(1.0, gt=0, le=1e6, description="Risk aversion, relative to the price.")
    kappa: float = Field(
        2000.0, gt=0, le=1e9, description="How fast arrivals thin out with the distance from the mid, relative to it."
    )
    horizon_s: float = Field(3600.0, gt=0, le=604_800, description="Seconds after which the inventory should be back.")
    cyclic: bool = Field(True, description="Whether the time left falls to nothing and begins anew.")
    volatility_s: float = Field(300.0, gt=0, le=86_400, description="Half-life of the measured volatility, in seconds.")


class AvellanedaMemory(StrategyMemory):
    """What is measured and when it was quoted, by instrument."""

    volatility: dict[str, Volatility] = field(default_factory=dict)
    quoted: dict[str, int] = field(default_factory=dict)


class AvellanedaStoikov(EventStrategy):
    """Optimal quotes of Avellaneda and Stoikov around an inventory-dependent price."""

    name = "avellaneda_stoikov"
    Params = AvellanedaParams
    Memory = AvellanedaMemory
    symbols = ("BTC/USDT",)
    timer_s = 1.0
    min_book_interval_s = 0.25
    params: AvellanedaParams

    def on_book(self, market: MarketView, ctx: Context) -> None:
        """Measure the volatility; quote at first sight and when the time has come."""
        p, memory = self.params, ctx.memory
        measured = memory.volatility.setdefault(market.id, Volatility(halflife_s=p.volatility_s))
        measured.update(ctx.now, market.mid)
        if ctx.now - memory.quoted.get(market.id, 0) >= p.refresh_s * NS_PER_S:
            self._quote(market, ctx)

    def on_fill(self, fill: OwnFill, ctx: Context) -> None:
        """The inventory has changed, so the quotes have."""
        market = ctx.markets[fill.instrument]
        if market.ready:
            self._quote(market, ctx)

    def _time_left(self, now: int) -> float:
        """T − t in seconds."""
        horizon = self.params.horizon_s
        return horizon - now / NS_PER_S % horizon if self.params.cyclic else horizon

    def _quote(self, market: MarketView, ctx: Context) -> None:
        p, mid = self.params, market.mid
        measured = ctx.memory.volatility.get(market.id)
        if measured is None or not measured.value:
            # Nobody knows yet how wide to quote.
            return
        ctx.memory.quoted[market.id] = ctx.now
        pair = Pair.of(p, market, ctx.capital)
        depths = avellaneda_stoikov(
            pair.beyond_target,
            gamma=p.gamma / mid,
            kappa=p.kappa / mid,
            sigma=measured.value * mid,
            horizon=self._time_left(ctx.now),
            unit=pair.size,
        )
        ctx.quote(market, pair.wants(depths), tolerance=p.refresh_tolerance, size_tolerance=0.2)
        ctx.note("spread", (depths.bid + depths.ask) / mid)
        ctx.note("skew", (depths.ask - depths.bid) / 2 / mid)

"""Quotes by a declared rule: levels around the middle, moved away from what is held.

The rule has a compiled twin, so that whole grids of its figures can be tried on recorded quotes in seconds
(`quarterdeck backtest quote-sweep`); what was found there runs here unchanged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import field
from pydantic import Field

from engine.model.order import OrderSide
from engine.strategy.contract import StrategyMemory, StrategyParams
from engine.strategy.intents import Want
from engine.strategy.quote_rule import ask_price, bid_price, level_size, quotes_side
from engine.strategy.quoting import EventStrategy

if TYPE_CHECKING:
    from engine.strategy.views import Context, MarketView

__all__ = ["RuleQuoter"]


class RuleParams(StrategyParams):
    """What can be set."""

    spread: float = Field(0.001, ge=0, le=0.5, description="Distance of the inner quotes, as a fraction of the price.")
    levels: int = Field(1, ge=1, le=20, description="Quotes on each side.")
    level_step: float = Field(1.0, ge=0, le=100, description="Distance of two levels, in half spreads.")
    size: float = Field(0.01, gt=0, le=1e9, description="Quantity of the inner quotes, in base units.")
    size_growth: float = Field(1.0, gt=0, le=10, description="Quantity of a level as a multiple of the one before.")
    max_position: float = Field(0.1, gt=0, le=1e9, description="Position at which a side is no longer quoted.")
    skew: float = Field(1.0, ge=0, le=100, description="Half spreads that a full position moves both sides.")
    every: int = Field(1, ge=1, le=1_000_000, description="Changes of the book between two looks.")
    tolerance: float = Field(0.0, ge=0, le=0.1, description="Fraction of the price by which a quote may differ.")
    replace_all: bool = Field(False, description="Whether each look replaces even what has not changed.")
    short: bool = Field(False, description="Whether more may be sold than is held.")


class RuleMemory(StrategyMemory):
    """How many books were seen, by market."""

    seen: dict[str, int] = field(default_factory=dict)


class RuleQuoter(EventStrategy):
    """Levels of quotes around the middle, skewed by the position; the rule of the quote sweep."""

    name = "rule_quoter"
    symbols = ("BTC/USDT",)
    Params = RuleParams
    Memory = RuleMemory
    params: RuleParams

    def on_book(self, market: MarketView, ctx: Context) -> None:
        """Look at the market every so many books."""
        seen = ctx.memory.seen.get(market.id, 0)
        ctx.memory.seen[market.id] = seen + 1
        if not seen % self.params.every:
            turn = str((seen // self.params.every) % 2) if self.params.replace_all else ""
            ctx.quote(market, self._wants(market, turn), self.params.tolerance)

    def _wants(self, market: MarketView, turn: str) -> list[Want]:
        params, held = self.params, market.position / self.params.max_position
        figures = (params.spread, params.level_step, params.skew)
        wants = []
        left = market.position
        for level in range(params.levels):
            size = level_size(params.size, params.size_growth, level)
            if quotes_side(held, 1):
                price = bid_price(market.bid, market.ask, held, level, *figures)
                wants.append(Want(f"bid-{level}{turn}", OrderSide.BUY, price, size))
            if not params.short:
                size = min(size, left)
                left -= size
            if quotes_side(held, -1) and size >= market.lot:
                price = ask_price(market.bid, market.ask, held, level, *figures)
                wants.append(Want(f"ask-{level}{turn}", OrderSide.SELL, price, size))
        return [want for want in wants if want.price > 0]

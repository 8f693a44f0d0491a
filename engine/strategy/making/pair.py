"""One bid and one ask at given distances from the mid, sized by the capital and kept within an inventory's bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from pydantic import Field

from engine.model.order import OrderSide
from engine.strategy.contract import StrategyParams
from engine.strategy.intents import Want
from engine.strategy.views import MarketView

if TYPE_CHECKING:
    from engine.strategy.making.optimal import Depths

__all__ = ["Pair", "PairParams"]


class PairParams(StrategyParams):
    """Parameters that a strategy with one pair of quotes has."""

    order_size_pct: float = Field(0.02, gt=0, le=1, description="Value of one quote, as a fraction of the capital.")
    target_inventory_pct: float = Field(0.25, ge=0, le=1, description="Wanted inventory, as a fraction of the capital.")
    max_inventory_pct: float = Field(0.5, gt=0, le=1, description="Most that is held, as a fraction of the capital.")
    refresh_s: float = Field(10.0, gt=0, le=3600, description="Seconds after which quotes are looked at anew.")
    refresh_tolerance: float = Field(
        0.0002,
        ge=0,
        le=0.1,
        description="How far a quote may lie from its place and stays, as a fraction of the price.",
    )
    least_profit: float = Field(
        0.0, ge=0, le=0.1, description="Least profit of a round trip after fees, as a fraction of the price."
    )


class Pair(msgspec.Struct, frozen=True):
    """Sizes and bounds at the present price; quantities in base units."""

    market: MarketView
    size: float
    """Of one quote; at least one lot."""
    target: float
    maximum: float
    cost: float
    """Least distance between the quotes that pays, quote currency."""

    @classmethod
    def of(cls, params: PairParams, market: MarketView, capital: float) -> Pair:
        """What the parameters mean at the present mid.

        Args:
            params: The strategy's parameters.
            market: A market with both sides.
            capital: What the bot may use, in quote currency.
        """
        unit = market.mid * market.multiplier
        return cls(
            market=market,
            size=max(market.floor_quantity(params.order_size_pct * capital / unit), market.lot),
            target=params.target_inventory_pct * capital / unit,
            maximum=params.max_inventory_pct * capital / unit,
            cost=market.mid * max(0.0, 2.0 * market.maker_fee + params.least_profit),
        )

    @property
    def beyond_target(self) -> float:
        """Inventory beyond the wanted one."""
        return self.market.position - self.target

    def wants(self, depths: Depths) -> list[Want]:
        """The quotes, never crossing, never nearer to each other than pays, and each only while it has room.

        A bid is quoted up to the maximum; an ask as far as there is something to sell.
        """
        market, mid = self.market, self.market.mid
        widen = max(0.0, self.cost - depths.bid - depths.ask) / 2.0
        bid = min(mid - depths.bid - widen, market.ask - market.tick)
        ask = max(mid + depths.ask + widen, market.bid + market.tick)
        wants = []
        for key, side, price, room in (
            ("bid", OrderSide.BUY, bid, self.maximum - market.position),
            ("ask", OrderSide.SELL, ask, market.position),
        ):
            quantity = market.floor_quantity(min(self.size, room))
            if price > 0.0 and quantity > 0.0 and market.tradable(quantity, price):
                wants.append(Want(key, side, price, quantity))
        return wants

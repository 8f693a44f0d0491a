"""The quoting workload of the side-by-side benchmarks: two limit orders, replaced every so many quotes."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from engine.backtest.markets.spec import MarketSource, MarketsSpec
from engine.backtest.markets.tapes import QuoteTape
from engine.model.ids import Currency, VenueId, instrument_id
from engine.model.instrument import Instrument, InstrumentKind, InstrumentRules
from engine.model.order import OrderSide
from engine.strategy.contract import StrategyMemory, StrategyParams
from engine.strategy.intents import Want
from engine.strategy.quoting import EventStrategy
from tests.kit.limits import loose

if TYPE_CHECKING:
    from typing import Any

    from engine.strategy.views import Context, MarketView

__all__ = ["WIDE", "Quoter", "quote_instrument", "quote_spec", "quote_tape", "random_quotes"]

WIDE = loose(
    max_position_size_pct=Decimal(1),
    max_portfolio_exposure=Decimal(1),
    max_daily_loss_pct=Decimal(1),
    max_weekly_loss_pct=Decimal(1),
    max_monthly_loss_pct=Decimal(1),
    breaker_drawdown_pct=Decimal(1),
    max_drawdown_pct=Decimal(1),
    max_orders_per_second=1000,
    max_orders_per_minute=60_000,
)
"""Every limit is evaluated, and none stands in the way."""


class QuoterParams(StrategyParams):
    """What can be set."""

    every: int = Field(100, ge=1, le=1_000_000, description="Quotes between two replacements.")
    offset: int = Field(0, ge=-100, le=10_000, description="Ticks behind the best price.")
    size: float = Field(0.01, gt=0, le=1e6, description="Base units of an order.")


class QuoterMemory(StrategyMemory):
    """How many quotes were seen."""

    seen: int = 0


class Quoter(EventStrategy):
    """W4: a bid and an ask, replaced every hundred quotes."""

    name = "w4_quoter"
    Params = QuoterParams
    Memory = QuoterMemory

    def on_book(self, market: MarketView, ctx: Context) -> None:
        memory, params = ctx.memory, self.params
        seen = memory.seen
        memory.seen = seen + 1
        if seen % params.every:
            return
        away, turn = params.offset * market.tick, (seen // params.every) % 2
        # A key of its own each time: every order is replaced, whether or not its price is still the same.
        ctx.quote(
            market,
            (
                Want(f"bid-{turn}", OrderSide.BUY, market.bid - away, params.size),
                Want(f"ask-{turn}", OrderSide.SELL, market.ask + away, params.size),
            ),
        )


def quote_instrument(tick: str = "0.1", lot: str = "0.001") -> Instrument:
    """The instrument of the quotes: one that may be sold short."""
    rules = InstrumentRules(
        valid_from=0,
        price_tick=Decimal(tick),
        lot=Decimal(lot),
        maker_fee=Decimal("0.0001"),
        taker_fee=Decimal("0.0005"),
    )
    return Instrument(
        id=instrument_id("SIM", "BTC/USDT"),
        venue=VenueId("SIM"),
        symbol="BTC/USDT",
        kind=InstrumentKind.MARGIN,
        base=Currency("BTC"),
        quote=Currency("USDT"),
        settle=Currency("USDT"),
        rules=(rules,),
    )


def quote_tape(columns: dict[str, Any], instrument: Instrument | None = None) -> QuoteTape:
    """The tape of columns `ts`, `bid`, `ask`, `bid_size`, `ask_size`."""
    arrays: dict[str, Any] = {
        name: np.asarray(columns[name], dtype=np.float64) for name in ("bid", "ask", "bid_size", "ask_size")
    }
    return QuoteTape(instrument=instrument or quote_instrument(), ts=np.asarray(columns["ts"]), **arrays)


def quote_spec(**others: Any) -> MarketsSpec:
    """How the workload is run."""
    given = {"capital": Decimal(1_000_000), "limits": WIDE, "allow_short": True, **others}
    return MarketsSpec(
        strategy=Quoter.name, markets=(MarketSource(venue="SIM", symbol="BTC/USDT", quotes="made"),), **given
    )


def random_quotes(seed: int, count: int) -> dict[str, Any]:
    """Quotes on a tick of 0.1 with the moments, spreads and sizes of the benchmark's data."""
    rng = np.random.default_rng(seed)
    mid = 300_000 + np.cumsum(rng.choice([-1, 0, 0, 1], count))
    spread = rng.choice([1, 1, 1, 2, 3], count)
    bid = mid - spread // 2
    return {
        "ts": 1_546_300_800_000_000_000 + np.cumsum(rng.integers(1, 100, count)) * 1_000_000,
        "bid": np.round(bid * 0.1, 1),
        "ask": np.round((bid + spread) * 0.1, 1),
        "bid_size": np.round(rng.uniform(0.1, 5, count), 3),
        "ask_size": np.round(rng.uniform(0.1, 5, count), 3),
    }

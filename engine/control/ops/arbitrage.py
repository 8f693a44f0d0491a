"""Operations on arbitrage: what there is now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.control.registry import operation
from engine.control.requests_arbitrage import ScanArbitrage
from engine.control.views_arbitrage import OpportunityRow
from engine.model.ids import Currency
from engine.strategy.arbitrage.scanner import ScanRules, scan
from engine.strategy.views import MarketView

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.control.context import Context
    from engine.engine import Engine
    from engine.market.hub import Market
    from engine.strategy.arbitrage.scanner import Opportunity


@operation("arbitrage.scan", ScanArbitrage)
async def scan_arbitrage(context: Context, request: ScanArbitrage) -> list[OpportunityRow]:
    """Arbitrage between the markets that are followed, by their books and fees, the best first.

    What fails a limit comes after the rest, with its reason. Nothing is sent.
    """
    engine = context.need_engine()
    rules = ScanRules(
        min_profit=request.min_profit,
        slippage_limit=request.slippage_limit,
        stale_ms=request.stale_ms,
        latency_ms=request.latency_ms,
    )
    views = {view.id: view for view in _views(engine, engine.hub.markets.values())}
    found = scan(
        views,
        engine.clock.now(),
        rules,
        start=[Currency(name.upper()) for name in request.start],
        most=lambda market: request.amount / (market.mid * market.multiplier) if market.mid else 0.0,
    )
    return [_row(one) for one in found[: request.limit]]


def _views(engine: Engine, markets: Iterable[Market]) -> Iterable[MarketView]:
    """The markets as strategies see them."""
    for market in markets:
        quote, view = market.quote(), MarketView(market.instrument)
        if quote is None or quote.bid is None or quote.ask is None:
            continue
        view.bid, view.ask = float(quote.bid), float(quote.ask)
        view.book = market.book
        view.ts, view.live = market.heard, not market.broken
        view.latency_ns = engine.hub.latency_ns(market.instrument.venue)
        yield view


def _row(one: Opportunity) -> OpportunityRow:
    steps = (
        f"{'buy' if side > 0 else 'sell'} {market} at {price:g}"
        for market, side, price in zip(one.markets, one.sides, one.limits, strict=True)
    )
    return OpportunityRow(
        kind=one.kind,
        path=", ".join(steps),
        quantity=one.quantity,
        profit=one.profit,
        margin=one.margin,
        currency=one.currency,
        risk=one.risk,
        refused=one.refused,
    )

"""The cheapest way from one currency into another over the markets of one venue: fees, spread and what size costs."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.model.decimals import ONE, ZERO
from engine.model.ids import Currency, InstrumentId
from engine.model.instrument import Instrument, InstrumentKind
from engine.model.order import OrderSide
from engine.model.valuation import VIEW

if TYPE_CHECKING:
    from collections.abc import Iterable


__all__ = ["Leg", "MarketFigures", "Route", "cheapest_route"]

MOST_LEGS = 3


class MarketFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A spot market as a conversion would meet it; levels best first as (price, base units)."""

    instrument: Instrument
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]
    fee: Decimal
    """Taker fee as a fraction."""


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One market order of a conversion."""

    instrument: InstrumentId
    side: OrderSide
    quantity: Decimal
    """Base units."""
    pays: Decimal
    gets: Decimal
    """After the fee."""
    cost: float
    """Fee, half of the spread and slippage, as a fraction of what is paid."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A way from one currency into another."""

    source: Currency
    target: Currency
    pays: Decimal
    gets: Decimal
    cost: float
    """What is lost on the way, as a fraction of the worth at mid prices."""
    legs: tuple[Leg, ...]


def cheapest_route(
    source: Currency, target: Currency, amount: Decimal, markets: Iterable[MarketFigures]
) -> Route | None:
    """The way on which most arrives, over at most three markets; None where no way has enough depth.

    Args:
        source: What is given.
        target: What is wanted.
        amount: How much of the source.
        markets: Spot markets of one venue with their books.
    """
    known = [m for m in markets if m.instrument.kind is InstrumentKind.SPOT and m.bids and m.asks]
    best: Route | None = None
    with decimal.localcontext(VIEW):
        for legs in _ways(source, target, amount, known, MOST_LEGS, {source}):
            kept = 1.0
            for leg in legs:
                kept *= 1.0 - leg.cost
            route = Route(
                source=source, target=target, pays=amount, gets=legs[-1].gets, cost=1.0 - kept, legs=tuple(legs)
            )
            if best is None or route.gets > best.gets:
                best = route
    return best


def _ways(
    source: Currency,
    target: Currency,
    amount: Decimal,
    markets: list[MarketFigures],
    most: int,
    seen: set[Currency],
) -> Iterable[list[Leg]]:
    for market in markets:
        one = market.instrument
        if source not in (one.base, one.quote):
            continue
        end = one.quote if source == one.base else one.base
        if end in seen:
            continue
        leg = _leg(market, source, amount)
        if leg is None:
            continue
        if end == target:
            yield [leg]
        elif most > 1:
            for rest in _ways(end, target, leg.gets, markets, most - 1, seen | {end}):
                yield [leg, *rest]


def _leg(market: MarketFigures, source: Currency, amount: Decimal) -> Leg | None:
    """Walk the book with an amount of the source currency; None where it is not deep enough."""
    one = market.instrument
    mid = (market.bids[0][0] + market.asks[0][0]) / 2
    selling = source == one.base
    left, units, value = amount, ZERO, ZERO
    for price, size in market.bids if selling else market.asks:
        part = min(left, size) if selling else min(left / price, size)
        units, value = units + part, value + part * price
        left -= part if selling else part * price
        if left <= ZERO:
            break
    # The last step of a division may leave less than anything that could be traded.
    if left > amount * Decimal("1e-20") or not units:
        return None
    gets = (value if selling else units) * (ONE - market.fee)
    fair = amount * mid if selling else amount / mid
    return Leg(
        instrument=one.id,
        side=OrderSide.SELL if selling else OrderSide.BUY,
        quantity=one.floor_quantity(units),
        pays=amount,
        gets=gets,
        cost=float(ONE - gets / fair),
    )

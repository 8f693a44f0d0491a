"""Finds what arbitrage there is between some markets, net of fees and depth, ranked by profit, each with its risks.

Used by the arbitrage strategies and by whoever wants to look: it reads market views and changes nothing.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import msgspec

from engine.model.ids import Currency, InstrumentId
from engine.strategy.arbitrage.valuing import ChainLeg, best_chain, best_cross

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from engine.strategy.views import MarketView

__all__ = ["Opportunity", "ScanRules", "conversions", "find_cross", "find_loop", "loops_between", "rank", "scan"]

NS_PER_MS = 1_000_000


class ScanRules(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as an opportunity."""

    min_profit: float = 0.001
    """Least profit after fees, as a fraction of what is put in."""
    slippage_limit: float = 0.0005
    """Most that depth may cost against the touch, as a fraction."""
    stale_ms: float = 1000.0
    """Age beyond which a book is left out."""
    latency_ms: float = 100.0
    """Measured latency of a venue beyond which it is left out; an unknown one is not."""
    latency_cost: float = 0.0
    """Taken off the profit for each second of age and latency together, as a fraction."""
    depth: int = 20
    """Levels of each book that are used."""


class Opportunity(msgspec.Struct, frozen=True, kw_only=True):
    """One arbitrage that could be traded now, or the reason why it may not."""

    kind: str
    """`cross` or `loop`."""
    markets: tuple[InstrumentId, ...]
    sides: tuple[int, ...]
    """+1 buys, -1 sells, by market."""
    limits: tuple[float, ...]
    """Worst price by market."""
    quantity: float
    """Base units of a cross; start currency of a loop."""
    profit: float
    """After fees and depth, in `currency`."""
    margin: float
    """Profit as a fraction of what is put in, discounted for age."""
    currency: Currency
    risk: float
    """0 (none) to 1: how much speaks against it, the mean of the four below."""
    risks: tuple[float, float, float, float]
    """Thin books, slow venues, volatility, number of legs; each 0 to 1."""
    refused: str = ""
    """Why it is not traded; empty when nothing stands against it."""

    @property
    def score(self) -> float:
        """What it is ranked by: the margin, less the more risky it is."""
        return self.margin * (1.0 - self.risk / 2.0)


def _why_not(market: MarketView, now: int, rules: ScanRules) -> str:
    """Why a market cannot be used now; empty when it can."""
    if not market.ready:
        return f"{market.id} has no book"
    if not market.live:
        return f"{market.id} is not heard"
    if now - market.ts > rules.stale_ms * NS_PER_MS:
        return f"the book of {market.id} is {(now - market.ts) / NS_PER_MS:.0f} ms old"
    if market.latency_ns > rules.latency_ms * NS_PER_MS:
        return f"{market.venue} answers in {market.latency_ns / NS_PER_MS:.0f} ms"
    return ""


def _discount(markets: Iterable[MarketView], now: int, rules: ScanRules) -> float:
    """What age and latency take off a margin."""
    return rules.latency_cost * max((now - m.ts + m.latency_ns) / 1e9 for m in markets)


def _risks(
    markets: Sequence[MarketView], used: float, slippage: float, volatility: float, rules: ScanRules, now: int
) -> tuple[float, float, float, float]:
    """Thin books (share of the depth used, slippage), slow venues, volatility, legs."""
    slow = max((now - market.ts + market.latency_ns) / (NS_PER_MS * max(rules.latency_ms, 1e-9)) for market in markets)
    thin = max(min(1.0, used), min(1.0, slippage / rules.slippage_limit if rules.slippage_limit else 1.0))
    return thin, min(1.0, slow), min(1.0, volatility / max(rules.min_profit, 1e-9)), min(1.0, (len(markets) - 1) / 4)


def find_cross(
    buy: MarketView,
    sell: MarketView,
    now: int,
    rules: ScanRules,
    *,
    most: float,
    rate: float = 1.0,
    extra: float = 0.0,
    volatility: float = 0.0,
) -> Opportunity | None:
    """Buying in one market and selling in another of the same base.

    Args:
        buy: Where it is bought.
        sell: Where it is sold.
        now: UTC nanoseconds.
        rules: What counts.
        most: Largest quantity, base units.
        rate: Worth of one unit of `buy`'s quote currency in `sell`'s.
        extra: Taken off the margin: what it costs to bring the venues back into shape, or negative where it helps.
        volatility: Deviation of the price over the time that it takes, as a fraction.

    Returns:
        None where the books do not cross after fees; else the opportunity, with the reason where it is refused.
    """
    asks, bids = buy.asks(rules.depth), sell.bids(rules.depth)
    if not asks or not bids or bids[0][0] * (1 - sell.taker_fee) <= asks[0][0] * rate * (1 + buy.taker_fee):
        return None
    quote = best_cross(asks, bids, buy_fee=buy.taker_fee, sell_fee=sell.taker_fee, most=most, rate=rate)
    lot = max(buy.lot, sell.lot)
    quantity = min(buy.floor_quantity(quote.quantity), sell.floor_quantity(quote.quantity))
    margin = quote.margin - extra - _discount((buy, sell), now, rules)
    why = _why_not(buy, now, rules) or _why_not(sell, now, rules)
    if not why and (quantity < lot or not all(m.tradable(quantity, asks[0][0]) for m in (buy, sell))):
        why = "the size is too small for the venues, or nothing is free"
    if not why and margin < rules.min_profit:
        why = f"the profit of {margin:.4%} is below {rules.min_profit:.4%}"
    if not why and quote.slippage > rules.slippage_limit:
        why = f"the depth costs {quote.slippage:.4%}, more than {rules.slippage_limit:.4%}"
    there = min(sum(size for _, size in asks), sum(size for _, size in bids))
    risks = _risks((buy, sell), quantity / there, quote.slippage, volatility, rules, now)
    return Opportunity(
        kind="cross",
        markets=(buy.id, sell.id),
        sides=(1, -1),
        limits=(quote.buy_limit, quote.sell_limit),
        quantity=quantity,
        profit=quote.profit * (quantity / quote.quantity if quote.quantity else 0.0),
        margin=margin,
        currency=sell.quote,
        risk=sum(risks) / len(risks),
        risks=risks,
        refused=why,
    )


def conversions(markets: Sequence[MarketView], start: Currency) -> tuple[int, ...] | None:
    """Sides in which a chain of markets leads from a currency back to itself; None where it does not."""
    held, sides = start, []
    for market in markets:
        if held == market.quote:
            held = market.base
            sides.append(1)
        elif held == market.base:
            held = market.quote
            sides.append(-1)
        else:
            return None
    return tuple(sides) if held == start else None


def loops_between(markets: Iterable[MarketView], start: Currency) -> list[tuple[MarketView, ...]]:
    """Every loop of three markets of one venue that leads from a currency back to itself, in both directions."""
    by_venue: dict[str, list[MarketView]] = {}
    for market in markets:
        by_venue.setdefault(market.venue, []).append(market)
    return [
        loop
        for found in by_venue.values()
        for loop in permutations(found, 3)
        if start in (loop[0].base, loop[0].quote) and conversions(loop, start) is not None
    ]


def find_loop(
    loop: Sequence[MarketView],
    start: Currency,
    now: int,
    rules: ScanRules,
    *,
    most: float,
    volatility: float = 0.0,
) -> Opportunity | None:
    """A loop of conversions at one venue.

    Args:
        loop: Its markets in the order of execution.
        start: The currency that it begins and ends with.
        now: UTC nanoseconds.
        rules: What counts.
        most: Largest amount of the start currency.
        volatility: Deviation of a price over the time that it takes, as a fraction.

    Returns:
        None where it does not lead back or does not pay after fees; else the opportunity, with the reason where it is
        refused.
    """
    sides = conversions(loop, start)
    if sides is None:
        return None
    legs = [
        ChainLeg(side, tuple(market.asks(rules.depth) if side > 0 else market.bids(rules.depth)), market.taker_fee)
        for side, market in zip(sides, loop, strict=True)
    ]
    quote = best_chain(legs, most)
    if quote.amount <= 0.0:
        return None
    margin = quote.margin - _discount(loop, now, rules)
    why = next((reason for market in loop if (reason := _why_not(market, now, rules))), "")
    if not why:
        why = _first_too_small(loop, legs, quote.amount)
    if not why and margin < rules.min_profit:
        why = f"the profit of {margin:.4%} is below {rules.min_profit:.4%}"
    if not why and quote.slippage > rules.slippage_limit:
        why = f"the depth costs {quote.slippage:.4%}, more than {rules.slippage_limit:.4%}"
    used = quote.amount / max(quote.amount, most)
    risks = _risks(loop, used, quote.slippage, volatility, rules, now)
    return Opportunity(
        kind="loop",
        markets=tuple(market.id for market in loop),
        sides=sides,
        limits=quote.limits,
        quantity=quote.amount,
        profit=quote.profit,
        margin=margin,
        currency=start,
        risk=sum(risks) / len(risks),
        risks=risks,
        refused=why,
    )


def _first_too_small(loop: Sequence[MarketView], legs: Sequence[ChainLeg], amount: float) -> str:
    """The first leg whose order would be below the venue's smallest, the amount rounded down to lots on the way."""
    for market, leg in zip(loop, legs, strict=True):
        price = leg.levels[0][0]
        quantity = market.floor_quantity(amount / (price * (1.0 + leg.fee)) if leg.side > 0 else amount)
        if quantity <= 0.0 or not market.tradable(quantity, price):
            return f"{amount:g} is too small for an order in {market.id}"
        amount = (quantity if leg.side > 0 else quantity * price) * (1.0 - leg.fee)
    return ""


def rank(found: Iterable[Opportunity | None]) -> list[Opportunity]:
    """What can be traded first, each group by score."""
    return sorted((one for one in found if one is not None), key=lambda one: (bool(one.refused), -one.score))


def scan(
    markets: Mapping[InstrumentId, MarketView],
    now: int,
    rules: ScanRules,
    *,
    start: Sequence[Currency],
    most: Callable[[MarketView], float],
) -> list[Opportunity]:
    """All crosses of the same pair and all loops of three between some markets, ranked.

    Args:
        markets: What is looked at.
        now: UTC nanoseconds.
        rules: What counts.
        start: Currencies that loops begin with.
        most: Largest quantity for a market, base units.
    """
    views = list(markets.values())
    found: list[Opportunity | None] = [
        find_cross(buy, sell, now, rules, most=min(most(buy), most(sell)))
        for buy, sell in permutations(views, 2)
        if buy.venue != sell.venue and buy.base == sell.base and buy.quote == sell.quote
    ]
    for currency in start:
        for loop in loops_between(views, currency):
            first = loop[0]
            worth = first.mid if first.quote == currency else 1.0
            found.append(find_loop(loop, currency, now, rules, most=most(first) * worth))
    return rank(found)

"""A declared quoting rule: what two sides of quotes follow from the best prices, the position and a few figures.

The same functions decide on the event path (`strategies/market_making/rule_quoter.py`) and, compiled, in sweeps
(`engine.backtest.markets.kernel`), so both quote the same prices and sizes to the last bit. They are scalar arithmetic
on floats and use nothing that a compiler could not.
"""

from __future__ import annotations

__all__ = ["ask_price", "bid_price", "level_size", "quotes_side"]


def bid_price(bid: float, ask: float, held: float, level: int, spread: float, step: float, skew: float) -> float:
    """Price of a bid before it is put on the grid; never above the best bid.

    Args:
        bid: Best bid.
        ask: Best ask.
        held: Position as a share of the most that may be held, -1 to 1.
        level: 0 for the innermost.
        spread: Distance of the innermost quotes as a fraction of the middle.
        step: Distance of two levels in half spreads.
        skew: How many half spreads both sides move away from a full position.
    """
    middle = (bid + ask) / 2.0
    half = middle * spread / 2.0
    wanted = middle - skew * half * held - half * (1.0 + step * level)
    return min(wanted, bid)


def ask_price(bid: float, ask: float, held: float, level: int, spread: float, step: float, skew: float) -> float:
    """Price of an ask, as `bid_price`; never below the best ask."""
    middle = (bid + ask) / 2.0
    half = middle * spread / 2.0
    wanted = middle - skew * half * held + half * (1.0 + step * level)
    return max(wanted, ask)


def level_size(size: float, growth: float, level: int) -> float:
    """Quantity at a level: each is `growth` times the one before."""
    result = size
    for _ in range(level):
        result *= growth
    return result


def quotes_side(held: float, sign: int) -> bool:
    """Whether a side (+1 bids, -1 asks) is quoted: not where the position is full already."""
    return held * sign < 1.0

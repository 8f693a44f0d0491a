"""W4 as a plain loop: two limit orders at the touch, replaced every 100 quotes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.bench.peers.catalog import Road

__all__ = ["EVERY", "SIZE", "TICK", "plain_quotes"]

EVERY = 100
SIZE = 0.01
TICK = 0.1


def plain_quotes(columns: dict[str, Any], road: Road) -> list[tuple[int, int, float]]:
    """The fills of the quoter: (quote, 1 for a buy and -1 for a sell, price), in order.

    At every 100th quote, the first included, what rests is cancelled, and a buy at the bid and a sell at the ask are
    placed. A resting buy is filled whole at its price by a later quote whose ask is at or below it, a sell by one whose
    bid is at or above it; the quote at which an order is placed does not fill it.
    """
    bids, asks = columns["bid"].tolist(), columns["ask"].tolist()
    buy = sell = 0.0
    fills = []
    for i, (bid, ask) in enumerate(zip(bids, asks, strict=True)):
        if buy and ask <= buy:
            fills.append((i, 1, buy))
            buy = 0.0
        if sell and bid >= sell:
            fills.append((i, -1, sell))
            sell = 0.0
        if i % EVERY == 0:
            buy, sell = bid, ask
    return fills

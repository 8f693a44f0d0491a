"""What an arbitrage yields over the depth of its books, fees included, and at which size it yields most.

Levels are (price, quantity) pairs, best first. Fees are fractions of the value of a leg; a rebate is negative. Both
searches are greedy: a book's prices only get worse with depth, so the first step that no longer pays ends them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    Levels = Sequence[tuple[float, float]]

__all__ = ["ChainLeg", "ChainQuote", "CrossQuote", "best_chain", "best_cross", "convert"]


class CrossQuote(msgspec.Struct, frozen=True, kw_only=True):
    """Buying on one market and selling on another at once."""

    quantity: float
    """Base units; 0 where nothing pays."""
    cost: float = 0.0
    """Paid for them, fee included, in the currency of the market that is sold on."""
    proceeds: float = 0.0
    """Received for them, fee taken off."""
    buy_limit: float = 0.0
    """Worst price that is paid, in the buying market's own quote currency."""
    sell_limit: float = 0.0
    """Worst price that is received."""
    slippage: float = 0.0
    """What the depth costs against the touch of both books, as a fraction of the cost."""

    @property
    def profit(self) -> float:
        """What is left, in the selling market's quote currency."""
        return self.proceeds - self.cost

    @property
    def margin(self) -> float:
        """Profit as a fraction of the cost; 0 where nothing is traded."""
        return self.profit / self.cost if self.cost else 0.0


def best_cross(
    asks: Levels,
    bids: Levels,
    *,
    buy_fee: float,
    sell_fee: float,
    most: float,
    rate: float = 1.0,
    least_margin: float = 0.0,
) -> CrossQuote:
    """The size at which buying from the asks of one market and selling to the bids of another yields most.

    Args:
        asks: Of the market that is bought on.
        bids: Of the market that is sold on.
        buy_fee: Taker fee of the first.
        sell_fee: Taker fee of the second.
        most: Largest quantity, base units.
        rate: Worth of one unit of the first market's quote currency in the second's.
        least_margin: Every step must yield at least this fraction of its cost, so the whole does too.
    """
    i = j = 0
    left_ask = asks[0][1] if asks else 0.0
    left_bid = bids[0][1] if bids else 0.0
    quantity = cost = proceeds = buy_limit = sell_limit = 0.0
    while i < len(asks) and j < len(bids) and quantity < most:
        paid = asks[i][0] * rate * (1.0 + buy_fee)
        received = bids[j][0] * (1.0 - sell_fee)
        if received - paid <= least_margin * paid:
            break
        step = min(left_ask, left_bid, most - quantity)
        quantity, cost, proceeds = quantity + step, cost + step * paid, proceeds + step * received
        buy_limit, sell_limit = asks[i][0], bids[j][0]
        left_ask, left_bid = left_ask - step, left_bid - step
        if left_ask <= 0.0:
            i += 1
            left_ask = asks[i][1] if i < len(asks) else 0.0
        if left_bid <= 0.0:
            j += 1
            left_bid = bids[j][1] if j < len(bids) else 0.0
    if not quantity:
        return CrossQuote(quantity=0.0)
    ideal = quantity * (bids[0][0] * (1.0 - sell_fee) - asks[0][0] * rate * (1.0 + buy_fee))
    return CrossQuote(
        quantity=quantity,
        cost=cost,
        proceeds=proceeds,
        buy_limit=buy_limit,
        sell_limit=sell_limit,
        slippage=max(0.0, ideal - (proceeds - cost)) / cost,
    )


class ChainLeg(msgspec.Struct, frozen=True):
    """One conversion of a loop."""

    side: int
    """+1 buys the base with the quote currency; -1 sells the base for it."""
    levels: tuple[tuple[float, float], ...]
    """The side of the book that is taken: asks for a buy, bids for a sale."""
    fee: float


class ChainQuote(msgspec.Struct, frozen=True, kw_only=True):
    """A whole loop from the start currency back to it."""

    amount: float
    """Put in, start currency; 0 where nothing pays."""
    result: float = 0.0
    """Got back, all fees taken off."""
    limits: tuple[float, ...] = ()
    """Worst price of each leg."""
    slippage: float = 0.0
    """What the depth costs against the touch of all books, as a fraction of the amount."""

    @property
    def profit(self) -> float:
        """What is left, start currency."""
        return self.result - self.amount

    @property
    def margin(self) -> float:
        """Profit as a fraction of the amount."""
        return self.profit / self.amount if self.amount else 0.0


def _rate(leg: ChainLeg, level: int) -> float:
    """Units got for one unit put in at a level, fee taken off."""
    price = leg.levels[level][0]
    return (1.0 / price if leg.side > 0 else price) * (1.0 - leg.fee)


def _room(leg: ChainLeg, level: int) -> float:
    """Units that can be put in at a level."""
    price, quantity = leg.levels[level]
    return quantity * price if leg.side > 0 else quantity


def best_chain(legs: Sequence[ChainLeg], most: float, *, least_margin: float = 0.0) -> ChainQuote:
    """The amount at which a loop of conversions yields most.

    Args:
        legs: In the order of execution.
        most: Largest amount of the start currency.
        least_margin: Every step must yield at least this fraction of what is put in.
    """
    at = [0] * len(legs)
    if not legs or any(not leg.levels for leg in legs):
        return ChainQuote(amount=0.0)
    left = [_room(leg, 0) for leg in legs]
    amount = result = touch = 0.0
    limits = [0.0] * len(legs)
    while amount < most:
        rates = [_rate(leg, level) for leg, level in zip(legs, at, strict=True)]
        gain, reach, step = 1.0, [], most - amount
        for rate, room in zip(rates, left, strict=True):
            # `gain` units reach this leg for one put in at the start.
            step = min(step, room / gain)
            reach.append(gain)
            gain *= rate
        touch = touch or gain
        if gain - 1.0 <= least_margin or step <= 0.0:
            break
        amount, result = amount + step, result + step * gain
        limits = [leg.levels[level][0] for leg, level in zip(legs, at, strict=True)]
        left = [room - step * share for room, share in zip(left, reach, strict=True)]
        if not _advance(legs, at, left):
            break
    if not amount:
        return ChainQuote(amount=0.0)
    return ChainQuote(
        amount=amount, result=result, limits=tuple(limits), slippage=max(0.0, touch * amount - result) / amount
    )


def _advance(legs: Sequence[ChainLeg], at: list[int], left: list[float]) -> bool:
    """Go to the next level where one is used up; False where a book ends."""
    for index, leg in enumerate(legs):
        if left[index] <= 1e-12 * _room(leg, at[index]):
            at[index] += 1
            if at[index] == len(leg.levels):
                return False
            left[index] = _room(leg, at[index])
    return True


def convert(leg: ChainLeg, amount: float) -> tuple[float, float]:
    """Put an amount through one leg.

    Returns:
        What is got, fee taken off, and what of the amount the book could not take.
    """
    got = 0.0
    for level in range(len(leg.levels)):
        if amount <= 0.0:
            break
        step = min(amount, _room(leg, level))
        got, amount = got + step * _rate(leg, level), amount - step
    return got, max(0.0, amount)

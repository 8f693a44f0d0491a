"""Whether what a child gave is what the plain loop gives, and if not, what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tests.bench.peers.catalog import LOT
from tests.bench.peers.plain import CAPITAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.peers.plain import Plain

__all__ = ["Agreement", "compare", "compare_fills", "compare_sweep"]

PRICE, EQUITY = 1e-7, 1e-6
"""Relative room for another order of the same additions."""
SUMS = 1e-12 * CAPITAL
"""Absolute room of a final equity: sums of doubles that began at the size of the start."""
ONE_LOT = float(LOT)
"""Room of a quantity: such a sum may lie on either side of a whole lot."""


class Agreement(NamedTuple):
    """What a comparison says."""

    same: bool
    words: str
    """For the table."""


def compare(found: dict[str, Any], plain: Plain) -> Agreement:
    """Trades (bars, prices, quantities) and final equity against the plain loop's.

    A program that gives no list of trades is held to their number.
    """
    if "count" in found:
        return _counted(found, plain)
    trades = [tuple(trade) for trade in found["trades"]]
    theirs = {(int(t[0]), int(t[1])): t for t in trades}
    ours = {(t[0], t[1]): t for t in plain.trades}
    shared = theirs.keys() & ours.keys()
    priced = sum(_same_trade(theirs[key], ours[key]) for key in shared)
    equal = len(trades) == len(plain.trades) == priced
    money = _same_money(found["equity"], plain.equity)
    if equal and money:
        return Agreement(True, f"{len(trades):,} trades and final equity equal")
    words = f"{priced:,} of {len(plain.trades):,} trades equal"
    words += "" if len(trades) == len(plain.trades) else f" ({len(trades):,} made)"
    return Agreement(False, words + f", final equity {found['equity']:,.2f} for {plain.equity:,.2f}")


def _counted(found: dict[str, Any], plain: Plain) -> Agreement:
    same = found["count"] == len(plain.trades) and _same_money(found["equity"], plain.equity)
    words = f"{found['count']:,.0f} trades, final equity {found['equity']:,.2f}"
    if same:
        return Agreement(True, f"{len(plain.trades):,} trades in number, and final equity, equal")
    return Agreement(False, f"{words} for {len(plain.trades):,} and {plain.equity:,.2f}")


def compare_sweep(found: dict[str, Any], plains: Sequence[Plain]) -> Agreement:
    """Number of trades and final equity of each pair."""
    asked = len(plains)
    counts, equities = found["counts"], found["equities"]
    if len(counts) != asked or len(equities) != asked:
        return Agreement(False, f"{len(counts)} results for {asked} pairs")
    same = sum(
        count == len(plain.trades) and _same_money(equity, plain.equity)
        for count, equity, plain in zip(counts, equities, plains, strict=True)
    )
    return Agreement(same == asked, f"{same} of {asked} pairs equal")


def compare_fills(found: dict[str, Any], plain: Sequence[Sequence[float]]) -> Agreement:
    """The fills of W4: (quote, side, price) in order."""
    fills, wanted = ([(int(f[0]), int(f[1]), round(f[2], 8)) for f in those] for those in (found["fills"], plain))
    if fills == wanted:
        return Agreement(True, f"{len(fills):,} fills equal")
    shared = len(set(fills) & set(wanted))
    return Agreement(False, f"{shared:,} of {len(wanted):,} fills equal ({len(fills):,} made)")


def _same_trade(one: Sequence[float], other: Sequence[float]) -> bool:
    sized = abs(one[4] - other[4]) <= ONE_LOT + EQUITY * abs(other[4])
    return sized and _near(one[2], other[2], PRICE) and _near(one[3], other[3], PRICE)


def _same_money(one: float, other: float) -> bool:
    return bool(abs(one - other) <= SUMS + EQUITY * max(abs(one), abs(other)))


def _near(one: float, other: float, room: float) -> bool:
    return bool(abs(one - other) <= room * max(abs(one), abs(other)))

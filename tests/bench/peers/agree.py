"""Whether what a child gave is what the plain loop gives, and if not, what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.peers.plain import Plain

__all__ = ["Agreement", "compare", "compare_fills", "compare_sweep"]

PRICE, EQUITY = 1e-7, 1e-6
"""Relative room for another order of the same additions."""


class Agreement(NamedTuple):
    """What a comparison says."""

    same: bool
    words: str
    """For the table."""


def compare(found: dict[str, Any], plain: Plain) -> Agreement:
    """Trades (bars and prices) and final equity against the plain loop's.

    Quantities follow from the equity of all trades before, so the final equity holds them.
    """
    trades = [tuple(trade) for trade in found["trades"]]
    theirs = {(int(t[0]), int(t[1])): t for t in trades}
    ours = {(t[0], t[1]): t for t in plain.trades}
    shared = theirs.keys() & ours.keys()
    priced = sum(_near(theirs[k][2], ours[k][2], PRICE) and _near(theirs[k][3], ours[k][3], PRICE) for k in shared)
    equal = len(trades) == len(plain.trades) == priced
    money = _near(found["equity"], plain.equity, EQUITY)
    if equal and money:
        return Agreement(True, f"{len(trades):,} trades and final equity equal")
    words = f"{priced:,} of {len(plain.trades):,} trades equal"
    words += "" if len(trades) == len(plain.trades) else f" ({len(trades):,} made)"
    return Agreement(False, words + f", final equity {found['equity']:,.2f} for {plain.equity:,.2f}")


def compare_sweep(found: dict[str, Any], plains: Sequence[Plain]) -> Agreement:
    """Number of trades and final equity of each pair."""
    asked = len(plains)
    counts, equities = found["counts"], found["equities"]
    if len(counts) != asked or len(equities) != asked:
        return Agreement(False, f"{len(counts)} results for {asked} pairs")
    same = sum(
        count == len(plain.trades) and _near(equity, plain.equity, EQUITY)
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


def _near(one: float, other: float, room: float) -> bool:
    return abs(one - other) <= room * max(abs(one), abs(other), 1.0)

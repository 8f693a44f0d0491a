"""Positions that move together: how much of the portfolio wins and loses at once.

Around every instrument lies a cluster: all that moves with it, longs with longs where returns correlate by at least the
threshold, longs with shorts where they do by at most its negative. Of two instruments whose correlation is not known
nobody can say that they differ, so they count as moving together, on whichever side is larger; the same asset in two
markets always does. An instrument alone is no cluster: the limits of positions and classes bound it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.model.decimals import ZERO
from engine.risk.lines import Sides

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from engine.model.ids import InstrumentId
    from engine.model.instrument import Instrument
    from engine.model.risk import Correlations
    from engine.risk.lines import HeldLine

__all__ = ["Cluster", "Clusters"]

_NEAR = 1e-9
"""Clusters whose value in binary numbers is this near to a bound, as a fraction, are summed exactly."""
_LONG, _SHORT = Sides._fields.index("long"), Sides._fields.index("short")
_REMEMBERED = 64
"""Sets of instruments of which it is remembered what moves together."""
_ByPlace = tuple[tuple[int, ...], list[list["HeldLine"]], "NDArray[np.float64]", "NDArray[np.float64]"]
_Matrices = tuple["NDArray[np.float64]", "NDArray[np.float64]", "NDArray[np.float64]"]


class Cluster(NamedTuple):
    """Everything that moves with one instrument."""

    instrument: Instrument
    """Around which it lies."""
    short: bool
    """Whether it is what moves with a short position there."""
    used: Decimal
    members: int
    """Instruments in it."""


class _Sums(NamedTuple):
    places: list[int]
    """Index of each instrument with a value."""
    lines: list[list[HeldLine]]
    """What is held at each place."""
    values: NDArray[np.float64]
    """Clusters around longs, then around shorts."""
    counts: NDArray[np.float64]
    same: NDArray[np.float64]
    opposite: NDArray[np.float64]
    unknown: NDArray[np.float64]


class Clusters:
    """Sums clusters; correlations are asked for once and again at every `refresh`.

    Args:
        correlations: Where they are known; None where nobody knows any.
    """

    def __init__(self, correlations: Correlations | None = None) -> None:
        self._correlations = correlations
        self._instruments: list[Instrument] = []
        self._places: dict[InstrumentId, int] = {}
        self._matrix: NDArray[np.float64] = np.full((16, 16), np.nan)
        self._matrices: dict[tuple[tuple[int, ...], float], _Matrices] = {}

    def refresh(self) -> None:
        """Ask for all correlations again."""
        self._matrices.clear()
        for place in range(len(self._instruments)):
            self._ask(place)

    def between(self, one: Instrument, other: Instrument) -> float | None:
        """Correlation of two instruments; None where it is not known."""
        value = float(self._matrix[self._place(one), self._place(other)])
        return None if np.isnan(value) else value

    def largest(self, held: Sequence[HeldLine], threshold: Decimal) -> Cluster | None:
        """The cluster that comes to most; None where nothing moves together with anything."""
        if _alone(held):
            return None
        sums = self._sums(held, float(threshold))
        several = np.where(sums.counts >= 2, sums.values, -1.0)
        if not len(several) or several.max() < 0:
            return None
        close = np.flatnonzero(several >= several.max() * (1 - _NEAR))
        return max((self._exact(sums, int(place)) for place in close), key=lambda one: one.used)

    def grown_above(
        self, before: Sequence[HeldLine], after: Sequence[HeldLine], threshold: Decimal, most: Decimal
    ) -> Cluster | None:
        """The largest cluster that is above a bound and larger than it was; None where there is none.

        Args:
            before: What can be held.
            after: The same with one more order.
            threshold: Correlation from which on positions move together.
            most: The bound, in the currency of both.
        """
        if _alone(after):
            return None
        then = self._sums(after, float(threshold))
        above = np.flatnonzero((then.values >= float(most) * (1 - _NEAR)) & (then.counts >= 2))
        if not len(above):
            return None
        now = self._sums(before, float(threshold), then.places)
        found = []
        for place in above:
            cluster = self._exact(then, int(place))
            if cluster.used > most and cluster.used > self._exact(now, int(place)).used:
                found.append(cluster)
        return max(found, key=lambda one: one.used, default=None)

    def known_with(
        self, held: Sequence[HeldLine], instrument: Instrument, *, short: bool, threshold: Decimal
    ) -> Decimal:
        """Value of what is known to move with a position in an instrument, itself left out.

        Args:
            held: What can be held.
            instrument: In what.
            short: Whether that position is short.
            threshold: Correlation from which on positions move together.
        """
        if not held:
            return ZERO
        total, edge, place = ZERO, float(threshold), self._place(instrument)
        for one in held:
            other = self._place(one.instrument)
            value = self._matrix[place, other]
            if other != place and value >= edge:
                total += one.sides.short if short else one.sides.long
            elif other != place and value <= -edge:
                total += one.sides.long if short else one.sides.short
        return total

    def fullest_with(
        self,
        before: Sequence[HeldLine],
        after: Sequence[HeldLine],
        instrument: Instrument,
        *,
        short: bool,
        threshold: Decimal,
    ) -> Decimal | None:
        """What the fullest cluster that an order in an instrument joins came to without it; None where it joins none.

        Args:
            before: What can be held.
            after: The same with the order.
            instrument: In what.
            short: Whether it is an order to sell.
            threshold: Correlation from which on positions move together.
        """
        if _alone(after):
            return None
        then = self._sums(after, float(threshold))
        now, row = self._sums(before, float(threshold), then.places), then.places.index(self._place(instrument))
        joined = [
            cluster
            for cluster in range(2 * len(then.places))
            if then.counts[cluster] >= 2 and self._joins(then, row, cluster, short=short)
        ]
        if not joined:
            return None
        top = max(now.values[cluster] for cluster in joined)
        return max(self._exact(now, cluster).used for cluster in joined if now.values[cluster] >= top * (1 - _NEAR))

    @staticmethod
    def _joins(sums: _Sums, row: int, cluster: int, *, short: bool) -> bool:
        """Whether a position in the instrument of a row is part of a cluster."""
        count = len(sums.places)
        around, around_short = cluster % count, cluster >= count
        if sums.unknown[around, row]:
            return True
        return bool((sums.same if around_short is short else sums.opposite)[around, row])

    def _sums(self, held: Sequence[HeldLine], threshold: float, places: list[int] | None = None) -> _Sums:
        """All clusters of the instruments at some places, or of those that have a value."""
        order, found, longs, shorts = self._by_place(held, places)
        same, opposite, unknown = self._together(order, threshold)
        larger = np.maximum(longs, shorts)
        sides = ((longs, shorts), (shorts, longs))
        sums = [same @ mine + opposite @ other + unknown @ larger for mine, other in sides]
        counts = [same @ np.sign(mine) + opposite @ np.sign(other) + unknown @ np.sign(larger) for mine, other in sides]
        return _Sums(list(order), found, np.concatenate(sums), np.concatenate(counts), same, opposite, unknown)

    def _by_place(self, held: Sequence[HeldLine], places: list[int] | None) -> _ByPlace:
        """What is held at each place: its lines, and the values of its two sides."""
        lines: dict[int, list[HeldLine]] = {place: [] for place in places or ()}
        known = self._places
        for one in held:
            place = known.get(one.instrument.id)
            if place is None:
                place = self._place(one.instrument)
            if place in lines:
                lines[place].append(one)
            else:
                lines[place] = [one]
        found = list(lines.values())
        # One pass each, and no call for the usual case of one line at a place.
        longs = [here[0].floats[0] if len(here) == 1 else sum([one.floats[0] for one in here]) for here in found]
        shorts = [here[0].floats[1] if len(here) == 1 else sum([one.floats[1] for one in here]) for here in found]
        return tuple(lines), found, np.array(longs, dtype=float), np.array(shorts, dtype=float)

    def _together(self, order: tuple[int, ...], threshold: float) -> _Matrices:
        """Which of the instruments at some places move with which: with them, against them, or nobody knows."""
        key = (order, threshold)
        known = self._matrices.get(key)
        if known is None:
            matrix = self._matrix[np.ix_(order, order)]
            parts = (matrix >= threshold, matrix <= -threshold, np.isnan(matrix))
            with_, against, unknown = (part.astype(float) for part in parts)
            while len(self._matrices) >= _REMEMBERED:
                del self._matrices[next(iter(self._matrices))]
            known = self._matrices[key] = (with_, against, unknown)
        return known

    def _exact(self, sums: _Sums, place: int) -> Cluster:
        count = len(sums.places)
        row, is_short = place % count, place >= count
        used, members = ZERO, 0
        for column, here in enumerate(sums.lines):
            value = ZERO
            long, short = (sum((one.sides[side] for one in here), ZERO) for side in (_LONG, _SHORT))
            if sums.same[row, column]:
                value = short if is_short else long
            elif sums.opposite[row, column]:
                value = long if is_short else short
            elif sums.unknown[row, column]:
                value = max(long, short)
            used += value
            members += value > ZERO
        return Cluster(self._instruments[sums.places[row]], is_short, used, members)

    def _place(self, instrument: Instrument) -> int:
        place = self._places.get(instrument.id)
        if place is None:
            place = self._places[instrument.id] = len(self._instruments)
            self._instruments.append(instrument)
            if place == len(self._matrix):
                larger = np.full((2 * place, 2 * place), np.nan)
                larger[:place, :place] = self._matrix
                self._matrix = larger
            self._ask(place)
        return place

    def _ask(self, place: int) -> None:
        mine = self._instruments[place]
        for other in range(place + 1):
            theirs = self._instruments[other]
            value: float | None = 1.0
            if mine.base != theirs.base:
                known = self._correlations
                value = None if known is None else known.between(mine.id, theirs.id)
            self._matrix[place, other] = self._matrix[other, place] = np.nan if value is None else value


def _alone(held: Sequence[HeldLine]) -> bool:
    """Whether everything lies in one instrument, which alone is no cluster."""
    return len(held) < 2 or len({one.instrument.id for one in held}) < 2

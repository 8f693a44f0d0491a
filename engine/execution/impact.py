"""Market impact: what an order costs by itself, from the visible book and from the square-root model.

An order of quantity Q at a daily volatility s and a daily volume V has the scale S = s sqrt(Q / V). The square-root law
(Almgren, Thum, Hauptmann and Li, "Direct estimation of equity market impact", 2005; Tóth et al., "Anomalous price
impact and the critical nature of liquidity in financial markets", 2011) says that its cost is proportional to S. Here

    cost of the k-th part = half spread + S (permanent x share traded before + temporary x own share),

so that an order traded at once costs `temporary` x S, and one spread thinly costs half of `permanent` x S: the root in
the order's size, and along the order the linear market for which Almgren and Chriss have the best schedule.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from engine.execution.schedules.almgren_chriss import Shortfall
from engine.execution.schedules.volume import PROFILE_DAYS, volume_profile
from engine.model.impact import ImpactEstimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from engine.execution.schedules.volume import VolumeProfile
    from engine.model.candle import Candle, FloatArray
    from engine.model.instrument import Instrument
    from engine.model.market import BookView
    from engine.model.order import OrderSide

__all__ = [
    "PRIOR",
    "Coefficients",
    "Conditions",
    "PartSeen",
    "calibrate",
    "conditions_of",
    "estimate",
    "table_of",
    "walk_cost",
]

SECONDS_PER_DAY = 86_400
DEPTH = 200
"""Most levels of a book that are looked at: an estimate is made on the way of every order."""
_RECENT_BARS = 48
"""Candles from which the present volatility is taken."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known of an instrument's market before an order."""

    sigma: float
    """Standard deviation of the relative price change of a day."""
    profile: VolumeProfile
    """Expected volume by the time of day."""

    def scale(self, quantity: float) -> float:
        """Sigma x root of the quantity's share of the daily volume; the size of an order to the model."""
        return self.sigma * math.sqrt(quantity / self.profile.daily)


def conditions_of(candles: Sequence[Candle], bars: int = _RECENT_BARS, days: int = PROFILE_DAYS) -> Conditions | None:
    """What past candles say of volatility and volume; None where they say too little.

    Args:
        candles: Closed candles of one timeframe that divides a day, oldest first.
        bars: How many of the last ones make the volatility.
        days: How many days of them make the volume profile.
    """
    if len(candles) < 3:
        return None
    profile = volume_profile(candles, days)
    moves = np.diff(np.log([c.close for c in candles[-bars - 1 :]]))
    sigma = float(np.sqrt(np.mean(moves**2) * len(profile.volumes)))
    return Conditions(sigma, profile) if sigma > 0 and profile.daily > 0 else None


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Impact in units of an order's scale."""

    permanent: float
    """Price shift once the whole order is traded."""
    temporary: float
    """Concession of an order that is traded at once."""
    deviations: tuple[float, float] = (0.0, 0.0)
    """How uncertain the two are, as standard deviations."""
    seen: int = 0
    """Parts of own orders that they were calibrated with; 0 for the prior."""

    def shortfall(
        self, conditions: Conditions, quantity: float, half_spread: float, duration_s: float, slices: int
    ) -> Shortfall:
        """The linear market that one order meets in a window of equal slices."""
        scale = conditions.scale(quantity)
        return Shortfall(
            sigma=conditions.sigma / math.sqrt(SECONDS_PER_DAY),
            eta=self.temporary * scale * duration_s / slices,
            gamma=self.permanent * scale,
            epsilon=half_spread,
        )


PRIOR = Coefficients(permanent=0.7, temporary=1.0, deviations=(0.5, 0.5))
"""Before any own execution: the law's factor is near 1 for what is traded at once (Tóth et al., 2011), and an order
that is spread thinly costs about a third of that."""
_NEAR = 0.35
"""Width of the neighbourhood of a size, in its logarithm: half or twice the quantity counts 0.14."""
_LEAST = 0.01
"""No calibration takes an impact for nothing."""


class PartSeen(NamedTuple):
    """One executed part of an own order."""

    size: float
    """Of the whole order, as a share of the daily volume."""
    scale: float
    """Of the whole order."""
    before: float
    """Share of the order that was traded before it."""
    share: float
    """Its own share of the order."""
    cost: float
    """Average price against the middle at the order's arrival, less the half spread; positive is against us."""
    variance: float
    """Of the relative price change over the order's time, which is noise to the calibration."""


def table_of(parts: Sequence[PartSeen]) -> FloatArray:
    """Executed parts as the rows that `calibrate` takes."""
    return np.array(parts, dtype=float).reshape(-1, len(PartSeen._fields))


def calibrate(parts: FloatArray, at: float | None = None, prior: Coefficients = PRIOR) -> Coefficients:
    """Coefficients from own executions, drawn to the prior as long as those are few.

    The posterior mean of a linear regression with a normal prior (Bishop, "Pattern Recognition and Machine Learning",
    2006, §3.3). Each part counts by its share, so that the cost of whole orders comes out right on average, and by how
    near its order's size is to the one that is asked about (local regression; Cleveland, "Robust locally weighted
    regression", 1979): a law that holds for all sizes is only nearly true.

    Args:
        parts: Rows of `table_of`.
        at: Size of the order that is asked about, as a share of the daily volume; None where all count the same.
        prior: Holds before the first execution.
    """
    if not len(parts):
        return prior
    size, scale, before, share, cost, variance = parts.T
    weight = share / variance
    if at is not None:
        weight = weight * np.exp(-((np.log(size / at) / _NEAR) ** 2) / 2)
    rows = scale[:, None] * np.column_stack((before, share))
    prior_precision = np.diag([1 / d**2 for d in prior.deviations])
    precision = prior_precision + (rows * weight[:, None]).T @ rows
    pull = prior_precision @ np.array([prior.permanent, prior.temporary]) + rows.T @ (weight * cost)
    permanent, temporary = np.linalg.solve(precision, pull)
    spread = np.sqrt(np.diag(np.linalg.inv(precision)))
    return Coefficients(
        max(float(permanent), _LEAST), max(float(temporary), _LEAST), (float(spread[0]), float(spread[1])), len(parts)
    )


def walk_cost(levels: Iterable[tuple[int, int]], middle: float, quantity: int) -> tuple[float | None, int]:
    """Cost of taking a quantity from a book at once.

    Args:
        levels: (scaled price, scaled quantity) of the side that is taken from, best first.
        middle: Scaled middle price.
        quantity: Scaled quantity, > 0.

    Returns:
        The average price's distance from the middle as a fraction, None where the book is too small, and the scaled
        quantity that is visible.
    """
    left, value, visible = quantity, 0, 0
    for price, there in levels:
        visible += there
        taken = min(left, there)
        value += taken * price
        left -= taken
    return (None if left else abs(value / quantity / middle - 1)), visible


def estimate(
    instrument: Instrument,
    book: BookView,
    side: OrderSide,
    quantity: Decimal,
    conditions: Conditions | None = None,
    coefficients: Coefficients = PRIOR,
) -> ImpactEstimate | None:
    """Expected cost of an order that is sent at once; None without a two-sided book, or where nothing tells a cost."""
    bid, ask = book.best_bid, book.best_ask
    wanted = instrument.quantity_to_int(instrument.floor_quantity(quantity))
    if bid is None or ask is None or bid >= ask or wanted <= 0:
        return None
    half_spread = (ask - bid) / (ask + bid)
    levels = book.top_asks(DEPTH) if side.sign > 0 else book.top_bids(DEPTH)
    walk, visible = walk_cost(levels, (bid + ask) / 2, wanted)
    scale = model = share = None
    if conditions is not None:
        scale = conditions.scale(float(quantity))
        model = half_spread + coefficients.temporary * scale
        share = float(quantity) / conditions.profile.daily
    cost = walk if walk is not None else model
    if cost is None:
        return None
    return ImpactEstimate(
        cost=cost,
        half_spread=half_spread,
        walk=walk,
        model=model,
        scale=scale,
        depth_share=wanted / visible if visible else None,
        volume_share=share,
    )

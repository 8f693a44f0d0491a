"""What the simulated market consists of: its assets, its instruments, its settings and its named scenes."""

from __future__ import annotations

import difflib
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from engine.errors import ConfigurationError, NotFoundError
from engine.venues.markets.listing import decimal_places, spot_instrument

if TYPE_CHECKING:
    from engine.model.instrument import Instrument

__all__ = [
    "ASSETS",
    "PAIRS",
    "SCENES",
    "AssetProfile",
    "PairProfile",
    "SimulatedSettings",
    "make_instrument",
    "scene",
]

FEE = Decimal("0.001")
"""Maker and taker fee: that of a large spot exchange for an account without volume, 10 basis points either way."""


class AssetProfile(msgspec.Struct, frozen=True, kw_only=True):
    """An asset that is priced in USDT; the size of its moves and its share in the common factor."""

    code: str
    price: float
    """USDT at the market's beginning."""
    sigma: float
    """Typical standard deviation of one minute's log return."""
    beta: float
    """Correlation of its return with the common factor; two assets correlate with the product of their betas."""
    daily_volume: float
    """USDT traded in a typical day, on all its instruments."""


class PairProfile(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument: its rules and the texture of its book and tape."""

    base: str
    quote: str
    tick: Decimal
    lot: Decimal
    min_notional: Decimal
    daily_volume: float
    """Quote units traded in a typical day."""
    spread_bps: float
    """Typical spread in basis points; never less than a tick."""
    gap_bps: float
    """Typical distance of neighbouring levels near the touch, in basis points; never less than a tick."""
    level_value: float
    """Typical value of one level in quote units."""
    trades_per_second: float

    @property
    def symbol(self) -> str:
        """`BASE/QUOTE`."""
        return f"{self.base}/{self.quote}"


# Volatilities, correlations and turnovers are of the order seen in recorded 15 minute candles of 2025.
ASSETS = (
    AssetProfile(code="BTC", price=65_000.0, sigma=0.00058, beta=0.88, daily_volume=2.0e9),
    AssetProfile(code="ETH", price=2_600.0, sigma=0.00088, beta=0.90, daily_volume=1.6e9),
    AssetProfile(code="SOL", price=150.0, sigma=0.00105, beta=0.86, daily_volume=6.0e8),
    AssetProfile(code="BNB", price=600.0, sigma=0.00066, beta=0.80, daily_volume=2.0e8),
)

PAIRS = (
    PairProfile(
        base="BTC",
        quote="USDT",
        tick=Decimal("0.1"),
        lot=Decimal("0.00001"),
        min_notional=Decimal("5"),
        daily_volume=1.9e9,
        spread_bps=0.05,
        gap_bps=0.04,
        level_value=45_000.0,
        trades_per_second=2.6,
    ),
    PairProfile(
        base="ETH",
        quote="USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.0001"),
        min_notional=Decimal("5"),
        daily_volume=1.5e9,
        spread_bps=0.08,
        gap_bps=0.06,
        level_value=30_000.0,
        trades_per_second=2.2,
    ),
    PairProfile(
        base="ETH",
        quote="BTC",
        tick=Decimal("0.000001"),
        lot=Decimal("0.0001"),
        min_notional=Decimal("0.0001"),
        daily_volume=1.5e3,
        spread_bps=2.0,
        gap_bps=0.15,
        level_value=0.35,
        trades_per_second=0.6,
    ),
    PairProfile(
        base="SOL",
        quote="USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.001"),
        min_notional=Decimal("5"),
        daily_volume=6.0e8,
        spread_bps=0.7,
        gap_bps=0.35,
        level_value=40_000.0,
        trades_per_second=1.5,
    ),
    PairProfile(
        base="BNB",
        quote="USDT",
        tick=Decimal("0.01"),
        lot=Decimal("0.001"),
        min_notional=Decimal("5"),
        daily_volume=2.0e8,
        spread_bps=0.25,
        gap_bps=0.12,
        level_value=12_000.0,
        trades_per_second=0.9,
    ),
)


class SimulatedSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What makes one simulated market different from another.

    Raises:
        ConfigurationError: A value is out of its range.
    """

    seed: int = 1
    """Any integer; the same seed and beginning give the same market."""
    rate: float = 10.0
    """Book updates per second and instrument, 0.1 to 200."""
    volatility: float = 1.0
    """Multiplies all volatilities, 0.05 to 20."""
    seasonal: bool = True
    """Whether volatility and volume follow the hour of the day and the day of the week."""
    venue: str = "SIM"
    """Venue part of the instruments' ids."""

    def __post_init__(self) -> None:
        if not 0.1 <= self.rate <= 200:
            raise ConfigurationError(f"rate must be 0.1 to 200 book updates per second, not {self.rate:g}.")
        if not 0.05 <= self.volatility <= 20:
            raise ConfigurationError(f"volatility must be a factor of 0.05 to 20, not {self.volatility:g}.")


# A scene has no hours of the day, so that it is the same at whatever time it is started.
SCENES: dict[str, SimulatedSettings] = {
    "market-5hz": SimulatedSettings(seed=5, rate=5.0, seasonal=False),
    "market-10hz": SimulatedSettings(seed=10, rate=10.0, seasonal=False),
    "market-100hz": SimulatedSettings(seed=100, rate=100.0, seasonal=False),
    "calm": SimulatedSettings(seed=3, rate=5.0, volatility=0.3, seasonal=False),
    "storm": SimulatedSettings(seed=13, rate=20.0, volatility=4.0, seasonal=False),
}


def scene(name: str) -> SimulatedSettings:
    """The settings of a named scene.

    Raises:
        NotFoundError: There is no such scene; the message names the nearest ones.
    """
    found = SCENES.get(name)
    if found is None:
        near = difflib.get_close_matches(name, SCENES, n=3, cutoff=0.3) or sorted(SCENES)
        raise NotFoundError(f"There is no scene {name!r}; try {', '.join(near)}.")
    return found


def make_instrument(pair: PairProfile, venue: str) -> Instrument:
    """The instrument of a pair at a venue; prices scale to whole ticks and quantities to whole lots."""
    return spot_instrument(
        venue,
        pair.symbol,
        price_places=decimal_places(pair.tick),
        quantity_places=decimal_places(pair.lot),
        min_notional=pair.min_notional,
        fee=FEE,
    )

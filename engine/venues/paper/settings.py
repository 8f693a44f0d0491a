"""What a person may set about the paper venue: fees, shorts, the collar, latency, and how bars fill orders."""

from __future__ import annotations

import enum
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "BAR_PRESETS",
    "BarFillSettings",
    "BarPath",
    "BookFillSettings",
    "FeeCurrency",
    "LatencySettings",
    "LimitGap",
    "PaperSettings",
    "SlippageModel",
    "StopGap",
    "StopTrigger",
]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


class FeeCurrency(enum.StrEnum):
    """In which currency fees are taken."""

    QUOTE = "quote"
    RECEIVED = "received"
    """Buys pay in base and sells in quote, as spot exchanges do."""


class BarPath(enum.StrEnum):
    """The way the price is assumed to have taken inside a bar."""

    ADAPTIVE = "adaptive"
    """Open, the extreme nearer to the open (the low when equal), the other extreme, close."""
    FIXED_OHLC = "fixed_ohlc"
    """Open, high, low, close."""
    PESSIMISTIC = "pessimistic"
    """Every stop that the bar's range reaches comes before anything else; then as adaptive."""


class StopGap(enum.StrEnum):
    """Where a stop fills that the bar's open has jumped over."""

    OPEN = "open"
    TRIGGER_IN_RANGE = "trigger_in_range"
    """At the trigger when the bar's range holds it, else at the open."""
    TRIGGER = "trigger"


class LimitGap(enum.StrEnum):
    """Where a resting limit order fills that the bar's open has jumped over."""

    OPEN = "open"
    """At the open: price improvement."""
    LIMIT = "limit"
    LIMIT_IN_RANGE = "limit_in_range"
    """At the limit when the bar's range holds it, else not at all."""


class SlippageModel(enum.StrEnum):
    """How much worse than the reference price an order that takes liquidity fills."""

    NONE = "none"
    FIXED = "fixed"
    """`fixed_bps`."""
    LINEAR = "linear"
    """`impact_bps` times quantity over the bar's volume."""
    SQUARE_ROOT = "square_root"
    """`impact_bps` times the square root of quantity over the bar's volume."""


class BarFillSettings(_Settings):
    """How orders fill on bars; 1 bps is a ten-thousandth of the price."""

    path: BarPath = BarPath.ADAPTIVE
    stop_gap: StopGap = StopGap.OPEN
    limit_gap: LimitGap = LimitGap.OPEN
    touch: bool = Field(False, description="Fill a limit order that the price only touches, without one tick beyond.")
    half_spread_bps: float = Field(0.5, ge=0, le=1000, description="Half the spread a market order pays, in bps.")
    slippage: SlippageModel = SlippageModel.SQUARE_ROOT
    fixed_bps: float = Field(5.0, ge=0, le=1000, description="Slippage of the fixed model in bps.")
    impact_bps: float = Field(
        50.0, ge=0, le=10_000, description="Slippage in bps of an order as large as the bar's whole volume."
    )
    participation: float | None = Field(
        0.1, gt=0, le=1, description="Share of a bar's volume that own orders may take together; none for no limit."
    )


BAR_PRESETS: dict[str, BarFillSettings] = {
    "quarterdeck": BarFillSettings(),
    "next_open": BarFillSettings(half_spread_bps=0, slippage=SlippageModel.NONE, participation=None),
    "pessimistic": BarFillSettings(path=BarPath.PESSIMISTIC),
    "fixed_ohlc": BarFillSettings(path=BarPath.FIXED_OHLC),
    "touch": BarFillSettings(touch=True),
    "freqtrade": BarFillSettings(
        path=BarPath.PESSIMISTIC,
        stop_gap=StopGap.TRIGGER_IN_RANGE,
        limit_gap=LimitGap.LIMIT_IN_RANGE,
        touch=True,
        half_spread_bps=0,
        slippage=SlippageModel.NONE,
        participation=None,
    ),
    "backtesting_py": BarFillSettings(
        path=BarPath.PESSIMISTIC,
        touch=True,
        half_spread_bps=0,
        slippage=SlippageModel.NONE,
        participation=None,
    ),
    "nautilus": BarFillSettings(
        path=BarPath.FIXED_OHLC,
        limit_gap=LimitGap.LIMIT,
        touch=True,
        half_spread_bps=0,
        slippage=SlippageModel.NONE,
        participation=None,
    ),
}
"""Ways of filling by name: ours; ours with one assumption changed (`next_open` leaves out spread, slippage and the cap
on volume); and three that reproduce what other backtesters do with stops and limits."""


class StopTrigger(enum.StrEnum):
    """Which price sets off stop and take-profit orders on a book."""

    LAST_OR_BEST = "last_or_best"
    """Whichever comes first: the last trade, or the best price the order would meet."""
    LAST = "last"
    BEST = "best"


class BookFillSettings(_Settings):
    """How orders fill on a level-2 book."""

    collar_pct: Decimal = Field(
        Decimal("2"), gt=0, le=100, description="A market order never walks further than this many percent from mid."
    )
    trigger: StopTrigger = StopTrigger.LAST_OR_BEST


class LatencySettings(_Settings):
    """How long requests and reports are under way, in milliseconds."""

    request_ms: float = Field(15.0, ge=0, le=60_000, description="From the engine to the venue.")
    report_ms: float = Field(15.0, ge=0, le=60_000, description="From the venue back to the engine.")
    jitter_ms: float = Field(5.0, ge=0, le=60_000, description="Most that is added to either at random.")
    seed: int = Field(7, description="Start value of the jitter.")


class PaperSettings(_Settings):
    """All of the paper venue."""

    balances: dict[str, Decimal] = Field(
        default={"USDT": Decimal(10_000)}, description="What a new paper account holds."
    )
    fee_currency: FeeCurrency = FeeCurrency.QUOTE
    allow_short: bool = Field(
        False, description="Let sells exceed the holdings; a short holds its proceeds and as much again in quote."
    )
    funding_hours: float = Field(8.0, gt=0, le=24, description="Hours between two funding payments of a perpetual.")
    liquidation_fee: Decimal = Field(
        Decimal("0.005"), ge=0, le=Decimal("0.1"), description="Fee of a liquidation as a fraction of its value."
    )
    bars: BarFillSettings = BarFillSettings()
    book: BookFillSettings = BookFillSettings()
    latency: LatencySettings = LatencySettings()

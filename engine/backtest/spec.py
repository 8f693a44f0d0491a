"""What fully describes a backtest, and its hash."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.model.candle import timeframe_ns
from engine.model.limit_profiles import LimitProfile
from engine.model.limits import RiskLimits

if TYPE_CHECKING:
    from engine.model.candle import Bars

__all__ = ["BacktestSpec", "FillRules", "data_hash", "run_hash"]

FillRules = Literal[
    "quarterdeck", "next_open", "pessimistic", "fixed_ohlc", "touch", "freqtrade", "backtesting_py", "nautilus"
]
"""Names in `BAR_PRESETS`: ours, ours with one assumption changed, and those of other backtesters."""


class BacktestSpec(BaseModel):
    """One run; two runs with equal specification, strategy source and data give identical results."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strategy: str = Field(description="Name of the strategy.")
    strategy_file: str | None = Field(None, description="File that defines it; None for a known one.")
    params: dict[str, bool | int | float | str] = Field(default_factory=dict, description="The strategy's parameters.")
    venue: str = Field(description="Venue of the stored candles, such as binance.")
    symbol: str = Field(description="Symbol, such as BTC/USDT.")
    timeframe: str = Field(description="Length of a bar.")
    start: int | None = Field(None, description="First bar's open, UTC nanoseconds; None for the first stored.")
    end: int | None = Field(None, description="End, UTC nanoseconds, exclusive; None for the last stored.")
    capital: Decimal = Field(Decimal(10_000), gt=0, description="Starting capital in quote currency.")
    maker_fee: Decimal = Field(Decimal("0.001"), ge=Decimal("-0.01"), le=Decimal("0.1"), description="Maker fee.")
    taker_fee: Decimal = Field(Decimal("0.001"), ge=Decimal("-0.01"), le=Decimal("0.1"), description="Taker fee.")
    fills: FillRules = Field("quarterdeck", description="How bars fill orders.")
    slippage: Literal["square_root", "linear", "fixed", "none"] | None = Field(
        None, description="Slippage model; None takes that of `fills`."
    )
    price_tick: Decimal | None = Field(None, gt=0, description="Price step; None finds it in the data.")
    lot: Decimal | None = Field(None, gt=0, description="Quantity step; None finds it in the data.")
    min_notional: Decimal | None = Field(
        None, ge=0, description="Smallest order value in quote currency; None takes the venue's where it is known."
    )
    allow_short: bool = Field(default=False, description="Let the account sell what it does not have.")
    limits: RiskLimits = Field(default_factory=RiskLimits, description="Risk limits, the same as live.")
    profile: LimitProfile = Field("settings", description="Where the limits come from.")
    gaps: Literal["skip", "fail"] = Field("skip", description="What missing bars do: skip them, or refuse to run.")
    shortcuts: bool = Field(default=True, description="Skip work that cannot change the result.")
    road: Literal["event", "kernel"] = Field(
        "event", description="The event path, or the compiled kernel, which takes signal strategies alone."
    )
    risk_free_rate: float = Field(0.02, ge=-1, le=10, description="A year, as a fraction.")
    required_sharpe: float = Field(1.0, description="A run below it is marked as failed.")
    max_drawdown_limit: float = Field(0.15, gt=0, le=1, description="A run beyond it is marked as failed.")

    @field_validator("timeframe")
    @classmethod
    def _a_timeframe(cls, value: str) -> str:
        try:
            timeframe_ns(value)
        except Exception as error:
            raise ValueError(str(error)) from error
        return value

    @model_validator(mode="after")
    def _a_range(self) -> BacktestSpec:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError("the start must be before the end")
        return self


def data_hash(*parts: Bars) -> str:
    """Digest of the very numbers a run reads, and of where each part of them ends."""
    digest = hashlib.blake2b(digest_size=16)
    for bars in parts:
        digest.update(f"{bars.timeframe} {len(bars)}".encode())
        for column in (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume):
            digest.update(column.tobytes())
        if bars.others:
            digest.update(" ".join(bars.others).encode() + data_hash(*bars.others.values()).encode())
    return digest.hexdigest()


def run_hash(spec: BacktestSpec, strategy_source: str, data: str, release: str) -> str:
    """Identity of a run: specification, strategy source, data and release. Shortcuts and road do not change it."""
    digest = hashlib.blake2b(digest_size=12)
    # The file's place says nothing about what is in it, its source hash does; nor does the range, the data do.
    text = spec.model_dump_json(exclude={"shortcuts", "road", "strategy_file", "start", "end"})
    for part in (text, strategy_source, data, release):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()

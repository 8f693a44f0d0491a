"""What fully describes a run over several markets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from engine.backtest.spec import BacktestSpec

__all__ = ["FeeTier", "MarketSource", "MarketsSpec"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FeeTier(_Part):
    """Fees from a traded volume on."""

    volume: Decimal = Field(ge=0, description="Traded at the venue within 30 days, in quote currency.")
    maker: Decimal = Field(ge=Decimal("-0.01"), le=Decimal("0.1"), description="Maker fee; negative for a rebate.")
    taker: Decimal = Field(ge=Decimal("-0.01"), le=Decimal("0.1"), description="Taker fee.")


class MarketSource(_Part):
    """One market of a run, and where its data come from: stored candles, a recording, or a file of quotes."""

    venue: str = Field(description="Venue, such as binance.")
    symbol: str = Field(description="Symbol, such as BTC/USDT or BTC/USDT:USDT for a perpetual.")
    timeframe: str | None = Field(None, description="Of stored candles, or of the bars made of quotes.")
    recording: str | None = Field(None, description="Path of a recorded session, a capture, or a table of trades.")
    quotes: str | None = Field(None, description="Path of a file with ts, bid, ask, bid_size, ask_size.")
    funding: str | None = Field(None, description="Path of a file with timestamp and funding_rate of a perpetual.")

    @property
    def text(self) -> str:
        """As it is written on the command line."""
        return ":".join(part for part in (self.venue, self.symbol, self.timeframe or "") if part)


class MarketsSpec(BacktestSpec):
    """A run over several markets; `venue`, `symbol` and `timeframe` are those of the first one."""

    markets: tuple[MarketSource, ...] = Field(min_length=1, description="What is traded, on one time axis.")
    request_ms: dict[str, float] = Field(
        default_factory=dict, description="Time of an order to each venue, in ms; `*` for all others."
    )
    report_ms: dict[str, float] = Field(
        default_factory=dict, description="Time of a venue's answer to the engine, in ms; `*` for all others."
    )
    data_ms: dict[str, float] = Field(
        default_factory=dict, description="How long after it happened a venue's market is heard, in ms."
    )
    fee_tiers: tuple[FeeTier, ...] = Field((), description="Fees by volume traded within 30 days; none for flat ones.")
    balances: dict[str, Decimal] = Field(
        default_factory=dict, description="What is there at the beginning by VENUE:CURRENCY, besides the capital."
    )
    synthetic_spread_bps: float = Field(
        2.0, gt=0, le=1000, description="Least spread of books that are made out of candles, in bps."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_the_first(cls, values: Any) -> Any:
        if not isinstance(values, dict) or not values.get("markets"):
            return values
        first = values["markets"][0]
        first = first if isinstance(first, dict) else first.model_dump()
        given = {"venue": first.get("venue"), "symbol": first.get("symbol")}
        given["timeframe"] = first.get("timeframe") or "1m"
        return {**values, **{name: value for name, value in given.items() if not values.get(name)}}

    def latency_ns(self, table: dict[str, float], venue: str) -> int:
        """Nanoseconds of a table of milliseconds by venue."""
        return int(table.get(venue.lower(), table.get("*", 0.0)) * 1e6)

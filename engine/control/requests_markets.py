"""What may be asked of a run over several markets."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.control.requests import Amount, Request, exact_amount
from engine.control.requests_research import Ranged
from engine.model.limit_profiles import LimitProfile  # noqa: TC001 - pydantic looks it up

__all__ = ["FeeTierAsked", "MarketAsked", "RunMarkets", "SweepQuotes"]


class MarketAsked(BaseModel):
    """One market, and where its data are: stored candles unless a file or a recording is named."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    venue: str = Field(description="Venue, such as binance.")
    symbol: str = Field(description="Symbol, such as BTC/USDT.")
    timeframe: str | None = Field(None, description="Of stored candles; none takes the strategy's own.")
    quotes: str | None = Field(None, description="Path of a file with ts, bid, ask, bid_size, ask_size.")
    recording: str | None = Field(None, description="Id of a recorded session, or path of a recording.")
    funding: str | None = Field(None, description="Path of a file with timestamp and funding_rate.")


class FeeTierAsked(BaseModel):
    """Fees from a volume of 30 days on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    volume: Amount = Field(ge=0, description="In quote currency.")
    maker: Amount = Field(description="Maker fee as a fraction.")
    taker: Amount = Field(description="Taker fee as a fraction.")


class RunMarkets(Ranged):
    """A backtest over several markets on one time axis."""

    strategy: str = Field(description="Strategy's name, or the path of a file that ends in .py.")
    strategy_file: str | None = Field(None, description="File that defines the strategy.")
    markets: list[MarketAsked] = Field(min_length=1, max_length=50, description="What is traded.")
    timeframe: str | None = Field(None, description="Length of a bar; none takes the strategy's own.")
    params: dict[str, bool | int | float | str] = Field(default_factory=dict, description="Strategy parameters.")
    capital: Amount = Field(Decimal(10_000), gt=0, description="Starting capital in quote currency.")
    balances: dict[str, Amount] = Field(default_factory=dict, description="Money besides it, by VENUE:CURRENCY.")
    maker_fee: Amount | None = Field(None, description="Fee of resting orders as a fraction.")
    taker_fee: Amount | None = Field(None, description="Fee of taking orders as a fraction.")
    fee_tiers: list[FeeTierAsked] = Field(default_factory=list, description="Fees by volume of 30 days.")
    allow_short: bool | None = Field(None, description="Let the accounts sell what they do not have.")
    profile: LimitProfile = Field(
        "settings", description="Risk limits to begin with: those of the settings, or research, which are all wide."
    )
    limits: dict[str, Any] | None = Field(None, description="Risk limits that differ from those of the profile.")
    request_ms: dict[str, float] = Field(default_factory=dict, description="Time of an order to a venue; * for all.")
    report_ms: dict[str, float] = Field(default_factory=dict, description="Time of a venue's answer; * for all.")
    data_ms: dict[str, float] = Field(default_factory=dict, description="Delay of a venue's market; * for all.")

    @field_validator("capital", "maker_fee", "taker_fee", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class SweepQuotes(Request):
    """Many sets of figures of the declared quoting rule, tried over a file of quotes."""

    quotes: str = Field(description="Path of a file with ts, bid, ask, bid_size, ask_size.")
    venue: str = Field("sim", description="Venue of the quotes, for its rules.")
    symbol: str = Field(description="Symbol of the quotes, such as BTC/USDT.")
    grid: dict[str, list[bool | int | float]] = Field(
        description="Values of each parameter of the strategy rule_quoter; those left out keep their defaults."
    )
    capital: Amount = Field(Decimal(100_000), gt=0, description="Starting capital in quote currency.")
    maker_fee: Amount = Field(Decimal("0.001"), description="Fee of resting orders as a fraction.")
    sort: Literal["profit", "max_drawdown", "fills", "volume", "fees", "largest_position", "two_sided"] = Field(
        "profit", description="What the rows are sorted by."
    )
    top: int = Field(20, ge=1, le=1000, description="How many of the best rows are given.")

    @field_validator("capital", "maker_fee", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)

"""What may be asked of candles, backtests, jobs and history: the typed requests of those operations."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import Field, field_validator

from engine.backtest.spec import FillRules
from engine.control.requests import Amount, Request, exact_amount
from engine.model.limit_profiles import LimitProfile

__all__ = [
    "BacktestId",
    "CandleSetName",
    "ExportBacktest",
    "ExportCandles",
    "HistoryPage",
    "ImportCandles",
    "JobId",
    "JobQuery",
    "ListBacktests",
    "Ranged",
    "RunBacktest",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(value: Any) -> Any:
    """UTC nanoseconds of what a person writes: a day, an ISO 8601 time (UTC unless it says otherwise), or nanoseconds.

    Raises:
        ValueError: It is no time.
    """
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, str):
        text = value.strip()
        if text.lstrip("-").isdecimal() and len(text) > 8:
            return int(text)
        try:
            value = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text!r} is no time; write one such as 2024-03-01 or 2024-03-01T12:00") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    if not isinstance(value, datetime):
        raise ValueError("write a time such as 2024-03-01 or 2024-03-01T12:00")
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1) * 1_000


class Ranged(Request):
    """A range of time."""

    start: int | None = Field(None, description="First bar: a day, an ISO time or UTC nanoseconds; none for the first.")
    end: int | None = Field(None, description="End, exclusive, written likewise; none for the last stored bar.")

    @field_validator("start", "end", mode="before")
    @classmethod
    def _a_moment(cls, value: Any) -> Any:
        return moment(value)


class CandleSetName(Request):
    """Stored candles of one market and timeframe."""

    venue: str = Field(description="Venue, such as binance.")
    symbol: str = Field(description="Symbol, such as BTC/USDT.")
    timeframe: str = Field(description="Length of a bar, such as 1h.")


class ImportCandles(CandleSetName):
    """Candles of a Parquet or CSV file, to be stored."""

    file: str = Field(min_length=1, description="Path of the file.")
    replace: bool = Field(default=False, description="Let new values take the place of different stored ones.")


class ExportCandles(Ranged, CandleSetName):
    """Stored candles, to be written to a file."""

    file: str = Field(min_length=1, description="Path of the file: .parquet, .csv or .csv.gz.")
    overwrite: bool = Field(default=False, description="Take the place of a file that exists.")


class RunBacktest(Ranged):
    """A backtest on stored candles."""

    strategy: str = Field(description="Strategy's name, or the path of a file that ends in .py.")
    strategy_file: str | None = Field(None, description="File that defines the strategy.")
    venue: str = Field(description="Venue of the stored candles, such as binance.")
    symbol: str = Field(description="Symbol, such as BTC/USDT.")
    timeframe: str | None = Field(None, description="Length of a bar; none takes the strategy's own.")
    params: dict[str, bool | int | float | str] = Field(default_factory=dict, description="Strategy parameters.")
    capital: Amount = Field(Decimal(10_000), gt=0, description="Starting capital in quote currency.")
    maker_fee: Amount | None = Field(None, description="Fee of resting orders as a fraction.")
    taker_fee: Amount | None = Field(None, description="Fee of taking orders as a fraction.")
    fills: FillRules | None = Field(None, description="How bars fill orders.")
    slippage: Literal["square_root", "linear", "fixed", "none"] | None = Field(None, description="Slippage model.")
    price_tick: Amount | None = Field(None, gt=0, description="Price step; none finds it in the data.")
    lot: Amount | None = Field(None, gt=0, description="Quantity step; none finds it in the data.")
    min_notional: Amount | None = Field(None, ge=0, description="Smallest order value; none takes the venue's.")
    allow_short: bool | None = Field(None, description="Let the account sell what it does not have.")
    gaps: Literal["skip", "fail"] | None = Field(None, description="What missing bars do.")
    profile: LimitProfile = Field(
        "settings", description="Risk limits to begin with: those of the settings, or research, which are all wide."
    )
    limits: dict[str, Any] | None = Field(None, description="Risk limits that differ from those of the profile.")
    shortcuts: bool = Field(default=True, description="Skip work that cannot change the result.")
    road: Literal["auto", "kernel", "event"] = Field(
        "event", description="The compiled kernel, which takes signal strategies alone, or the event path, as auto."
    )

    @field_validator("capital", "maker_fee", "taker_fee", "price_tick", "lot", "min_notional", mode="before")
    @classmethod
    def _exact(cls, value: Any) -> Any:
        return exact_amount(value)


class ListBacktests(Request):
    """Which stored backtests to list."""

    strategy: str | None = Field(None, description="Only this strategy's.")
    limit: int = Field(200, ge=1, le=1000, description="Most entries, newest first.")


class BacktestId(Request):
    """One stored backtest."""

    id: str = Field(description="Its id, or the beginning of its id or hash, at least four characters.")


class ExportBacktest(BacktestId):
    """A stored backtest, to be written to a file."""

    file: str = Field(min_length=1, description="Path of the file: .json, .csv or .parquet.")
    part: Literal["all", "trades", "equity", "metrics"] | None = Field(
        None, description="What to write; none writes everything to .json and the trades to the others."
    )
    overwrite: bool = Field(default=False, description="Take the place of a file that exists.")


class CreateBackup(Request):
    """A copy of the home folder."""

    candles: bool | None = Field(None, description="Copy stored candles as well; none does as the settings say.")


class JobId(Request):
    """One job."""

    id: str = Field(description="Its id.")


class JobQuery(JobId):
    """One job, at once or when it has ended."""

    wait: float = Field(0.0, ge=0, le=3600, description="Answer when it has ended, or after so many seconds.")


class HistoryPage(Request):
    """One page of what has ended."""

    owner: str | None = Field(None, description="Only this owner's: a bot's name or id, or `manual`.")
    instrument: str | None = Field(None, description="Only this instrument's.")
    page: int = Field(1, ge=1, description="Page, from 1.")
    size: int = Field(100, ge=1, le=1000, description="Rows a page.")

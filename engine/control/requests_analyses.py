"""What may be asked of analyses of backtests: the typed requests of those operations."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.control.requests import Request
from engine.control.requests_research import BacktestId, Ranged

__all__ = [
    "AnalysisId",
    "CheckStrategy",
    "CompareBacktests",
    "ExportParity",
    "ListAnalyses",
    "Overfitting",
    "Parity",
    "RunMonteCarlo",
    "Significance",
    "TearSheet",
]


Level = Annotated[float, Field(ge=0.5, lt=1.0)]
"""A confidence level."""


class RunMonteCarlo(BacktestId):
    """Random paths of a stored run."""

    method: Literal["prices", "parametric", "noise", "returns", "trades"] = Field(
        "prices", description="What is drawn: prices that the strategy trades again, or the run's returns or trades."
    )
    iterations: int = Field(1000, ge=10, le=100_000, description="Paths of each scenario.")
    seed: int = Field(42, ge=0, lt=1 << 63, description="Random start value.")
    levels: tuple[Level, ...] = Field((0.95, 0.99), min_length=1, max_length=5, description="Confidence levels.")
    scenarios: tuple[Literal["normal", "stress", "extreme"], ...] = Field(
        ("normal", "stress", "extreme"),
        min_length=1,
        description="Volatility as it was, twice it, four times and jumps.",
    )
    block: float | None = Field(None, ge=1, description="Mean bars of a block; none takes the bars' cube root.")
    noise: float = Field(0.25, gt=0, le=5, description="Noise on prices as a share of the returns' deviation.")
    sensitivity: bool = Field(default=True, description="Also vary each parameter of the strategy on the real bars.")


class Significance(BacktestId):
    """A stored run against chance."""

    iterations: int = Field(1000, ge=100, le=100_000, description="Random traders.")
    seed: int = Field(42, ge=0, lt=1 << 63, description="Random start value.")
    trials: int | None = Field(
        None, ge=1, le=10_000_000, description="Variants tried before this run; none counts the stored ones."
    )


class Overfitting(Request):
    """Several stored runs, of which the best would be chosen."""

    ids: tuple[str, ...] = Field(min_length=2, max_length=1000, description="Their ids, or beginnings of them.")
    blocks: int = Field(16, ge=2, le=24, description="Parts of time for the cross-validation; an even number.")


class CompareBacktests(Request):
    """Stored runs, side by side."""

    ids: tuple[str, ...] = Field(min_length=2, max_length=50, description="Their ids, or beginnings of them.")
    weights: Literal["equal", "minimum_variance", "maximum_sharpe", "risk_parity"] | None = Field(
        None, description="Weights of a portfolio of the runs; none gives all four."
    )
    capital: float = Field(10_000.0, gt=0, description="Capital that all are put on.")


class TearSheet(BacktestId):
    """Everything about a stored run on one sheet."""

    file: str | None = Field(
        None, min_length=1, description="Path of an .html file that the sheet is written to as well."
    )
    overwrite: bool = Field(default=False, description="Take the place of a file that exists.")


class CheckStrategy(Ranged):
    """A strategy on stored candles, to be checked for bias."""

    strategy: str = Field(description="Strategy's name, or the path of a file that ends in .py.")
    strategy_file: str | None = Field(None, description="File that defines the strategy.")
    venue: str = Field(description="Venue of the stored candles, such as binance.")
    symbol: str = Field(description="Symbol, such as BTC/USDT.")
    timeframe: str | None = Field(None, description="Length of a bar; none takes the strategy's own.")
    params: dict[str, bool | int | float | str] = Field(default_factory=dict, description="Strategy parameters.")
    cuts: int = Field(20, ge=1, le=1000, description="Bars at which the data are cut.")
    seed: int = Field(42, ge=0, lt=1 << 63, description="Random start value.")


class ListAnalyses(Request):
    """Which stored analyses to list."""

    id: str | None = Field(None, description="Only of this run: its id, or the beginning of its id or hash.")
    kind: str | None = Field(None, description="Only of this kind, such as montecarlo.")
    limit: int = Field(200, ge=1, le=1000, description="Most entries, newest first.")


class AnalysisId(Request):
    """One stored analysis."""

    id: str = Field(description="Its id, or the beginning of it, at least four characters.")


class Parity(Ranged):
    """A bot's past, to be put beside a backtest of the same time."""

    bot: str = Field(description="The bot's name or id.")
    session: str = Field("", max_length=64, description="A recording: its time and its candles are used.")
    fills: str | None = Field(None, max_length=32, description="How bars fill orders, as in backtests.run.")
    any_version: bool = Field(default=False, description="Compare although another version of the strategy traded.")


class ExportParity(Request):
    """A stored parity report, to be written to a file."""

    id: str = Field(description="Id of the analysis, or its beginning.")
    file: str = Field(min_length=1, description="Path of the file: .json for everything, .csv for the trades.")
    overwrite: bool = Field(default=False, description="Take the place of a file that exists.")

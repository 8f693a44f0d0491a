"""What may be asked of studies: sweeps, optimisation and walk-forward analysis of a strategy's parameters."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from engine.control.requests import Request
from engine.control.requests_research import RunBacktest

__all__ = [
    "ExportStudy",
    "ListStudies",
    "OptimiseBacktest",
    "ShowStudy",
    "StudyId",
    "SweepBacktest",
    "WalkForwardBacktest",
]

_LIST = "such as sharpe or sharpe,max_drawdown"


class _Searched(RunBacktest):
    """A backtest whose parameters are varied."""

    objectives: tuple[str, ...] = Field(("sharpe",), description=f"Figures that are searched for, {_LIST}.")
    min_trades: int = Field(10, ge=0, description="A set of parameters with fewer trades ranks behind all others.")
    seed: int = Field(42, ge=0, description="Seed of everything that is drawn.")
    road: Literal["auto", "kernel", "event"] = Field(
        "auto", description="Compiled kernel, event path, or the kernel where it can do what is asked."
    )
    cluster: str | None = Field(None, description="dask://HOST:PORT; none for this machine.")
    workers: int | None = Field(None, ge=1, le=1024, description="Processes on this machine; none for one a core.")

    @field_validator("objectives", mode="before")
    @classmethod
    def _a_list(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


class SweepBacktest(_Searched):
    """A sweep over a grid of parameters."""

    grid: dict[str, str] = Field(
        min_length=1, max_length=8, description="Values by parameter: from:to:step, or values with commas."
    )
    random: int | None = Field(None, ge=1, description="Draw so many sets of the grid instead of taking all.")


class OptimiseBacktest(_Searched):
    """A search with Optuna."""

    ranges: dict[str, str] = Field(
        default_factory=dict,
        description="Range by parameter: from:to, from:to:step, or values with commas; none for the declared bounds.",
    )
    trials: int = Field(100, ge=1, le=100_000, description="Sets that are tried.")
    sampler: Literal["auto", "tpe", "nsga2", "sobol"] = Field(
        "auto", description="How sets are chosen; auto is TPE for one objective and NSGA-II for two."
    )


class WalkForwardBacktest(_Searched):
    """A walk-forward analysis."""

    ranges: dict[str, str] = Field(
        default_factory=dict,
        description="Range by parameter: from:to, from:to:step, or values with commas; none for the declared bounds.",
    )
    trials: int = Field(50, ge=1, le=10_000, description="Sets that are tried in each window.")
    sampler: Literal["sobol", "tpe"] = Field("sobol", description="How sets are chosen.")
    min_trades: int | None = Field(  # type: ignore[assignment]
        None, ge=0, description="Least trades of a period; none as the settings say."
    )
    training: int | None = Field(None, ge=1, le=3650, description="Days of training; none as the settings say.")
    validation: int | None = Field(None, ge=1, le=3650, description="Days of validation; none as the settings say.")
    test: int | None = Field(None, ge=1, le=3650, description="Days of the test; none as the settings say.")
    step: int | None = Field(None, ge=1, le=3650, description="Days between windows; none as the settings say.")


class ListStudies(Request):
    """Which stored studies to list."""

    strategy: str | None = Field(None, description="Only this strategy's.")
    kind: Literal["sweep", "optimise", "walk_forward"] | None = Field(None, description="Only this kind.")
    limit: int = Field(200, ge=1, le=1000, description="Most entries, newest first.")


class StudyId(Request):
    """One stored study."""

    id: str = Field(description="Its id, or the beginning of its id or hash, at least four characters.")


class ShowStudy(StudyId):
    """One stored study, and how much of it."""

    rows: int = Field(200, ge=1, le=5000, description="Most sets of parameters, the best first.")
    x: str | None = Field(None, description="Parameter across the heat map; none for the first one.")
    y: str | None = Field(None, description="Parameter down the heat map; none for the second one.")
    figure: str | None = Field(None, description="Figure of the heat map; none for the first objective.")


class ExportStudy(StudyId):
    """A stored study, to be written to a file."""

    file: str = Field(min_length=1, description="Path: .json for everything, .csv or .parquet for the table.")
    overwrite: bool = Field(default=False, description="Take the place of a file that exists.")

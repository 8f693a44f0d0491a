"""What fully describes a study: the run that is varied, where it is looked, and for what."""

from __future__ import annotations

import hashlib
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.backtest.spec import BacktestSpec
from engine.model.backtest_settings import WalkForwardSettings

__all__ = ["OptimiseSpec", "StudySpec", "SweepSpec", "WalkForwardSpec", "study_hash"]


class StudySpec(BaseModel):
    """What all studies have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: BacktestSpec = Field(description="The run whose parameters are varied, with every parameter by value.")
    objectives: tuple[str, ...] = Field(("sharpe",), description="Figures that are searched for.")
    min_trades: int = Field(10, ge=0, description="A set with fewer trades ranks behind all others.")
    seed: int = Field(42, ge=0, description="Seed of everything that is drawn.")
    road: Literal["auto", "kernel", "event"] = Field("auto", description="Compiled kernel, event path, or what fits.")
    cluster: str | None = Field(None, description="Cluster that computes it; None for this machine.")
    workers: int | None = Field(None, ge=1, le=1024, description="Processes; None for one a core.")


class SweepSpec(StudySpec):
    """Every set of a grid, or some drawn from it."""

    kind: Literal["sweep"] = "sweep"
    grid: dict[str, str] = Field(description="Values by parameter: from:to:step, or values with commas.")
    draw: int | None = Field(None, ge=1, description="Draw so many sets instead of taking all.")


class OptimiseSpec(StudySpec):
    """A search with Optuna."""

    kind: Literal["optimise"] = "optimise"
    ranges: dict[str, str] = Field(description="Range by parameter: from:to, from:to:step, or values with commas.")
    trials: int = Field(100, ge=1, le=100_000, description="Sets that are tried.")
    sampler: Literal["auto", "tpe", "nsga2", "sobol"] = Field("auto", description="How sets are chosen.")


class WalkForwardSpec(StudySpec):
    """Optimise, choose, and measure once, again and again along the data."""

    kind: Literal["walk_forward"] = "walk_forward"
    ranges: dict[str, str] = Field(description="Range by parameter: from:to, from:to:step, or values with commas.")
    trials: int = Field(50, ge=1, le=10_000, description="Sets that are tried in each window.")
    sampler: Literal["sobol", "tpe"] = Field("sobol", description="How sets are chosen.")
    windows: WalkForwardSettings = Field(default_factory=WalkForwardSettings)


def study_hash(spec: StudySpec, source_hash: str, data: str, release: str) -> str:
    """Identity of a study: equal ones give equal results, wherever they are computed."""
    digest = hashlib.blake2b(digest_size=12)
    text = spec.model_dump_json(exclude={"cluster": True, "workers": True, "run": {"shortcuts", "strategy_file"}})
    for part in (text, source_hash, data, release):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()

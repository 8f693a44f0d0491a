"""What may be asked about measured risk."""

from __future__ import annotations

from pydantic import Field

from engine.control.requests import Request

__all__ = ["MetricsHistory", "StressQuery"]


class MetricsHistory(Request):
    """Risk metrics over a time, spread evenly."""

    hours: float = Field(24.0, gt=0, le=87_600, description="How far back, in hours.")
    points: int = Field(200, ge=1, le=2_000, description="Most points, spread evenly over that time.")


class StressQuery(Request):
    """A stress test."""

    last: bool = Field(default=False, description="Show the last one that was kept instead of making one now.")

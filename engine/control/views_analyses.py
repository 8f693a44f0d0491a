"""Views of analyses of backtests."""

from __future__ import annotations

from typing import Any

from engine.control.views import View

__all__ = ["AnalysisRow", "AnalysisView"]


class AnalysisRow(View, frozen=True, kw_only=True):
    """A stored analysis in one line."""

    id: str
    kind: str
    """montecarlo, significance, overfitting, comparison, lookahead, recursive, tearsheet or parity."""
    title: str
    run: str
    """Id of the run it is kept with; empty where it is about a strategy and no run."""
    created: int
    seconds: float


class AnalysisView(View, frozen=True, kw_only=True):
    """A stored analysis as a whole."""

    row: AnalysisRow
    params: dict[str, Any]
    """Everything that it was asked with."""
    result: dict[str, Any]
    """What it found, in plain values by the names of docs/analysis.md; what is not known is null."""

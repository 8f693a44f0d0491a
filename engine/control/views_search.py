"""What doors deliver of studies: sweeps, optimisation, walk-forward analysis."""

from __future__ import annotations

from typing import Any

from engine.control.views import View
from engine.model.ids import InstrumentId

__all__ = ["HeatMap", "StudyRow", "StudySet", "StudyView"]


class StudyRow(View, frozen=True, kw_only=True):
    """A stored study in one line."""

    id: str
    hash: str
    kind: str
    """sweep, optimise or walk_forward."""
    strategy: str
    instrument: InstrumentId
    timeframe: str
    start: int
    end: int
    created: int
    objective: str
    """The first one."""
    best: float | None
    """Its best figure; of a walk-forward analysis that of the stitched curve."""
    stable: float | None
    """Mean figure of the most stable region; of a walk-forward analysis the ratio of out-of-sample to training."""
    tried: int
    sets: int
    """Sets of parameters, or windows, that were to be tried."""
    complete: bool
    """False while it runs, and when it was cancelled or broke off: what is there is what was finished."""
    seconds: float


class StudySet(View, frozen=True, kw_only=True):
    """One set of parameters and what it came to."""

    params: dict[str, str | float | int | bool]
    figures: dict[str, float | None]
    region: float | None
    """Mean of the first objective over this set and its neighbours."""
    few: bool
    """Too few trades to mean anything."""
    front: bool
    """Not beaten in every objective by any other set."""


class HeatMap(View, frozen=True, kw_only=True):
    """A figure over two parameters; where others vary as well, the best of them counts."""

    x: str
    y: str
    figure: str
    columns: tuple[str | float | int | bool, ...]
    """Values of `x`, ascending."""
    rows: tuple[str | float | int | bool, ...]
    cells: tuple[tuple[float | None, ...], ...]
    """By row of `y` and column of `x`; None where no set with enough trades was tried."""
    more_is_better: bool


class StudyView(View, frozen=True, kw_only=True):
    """A stored study as a whole."""

    row: StudyRow
    objectives: tuple[str, ...]
    min_trades: int
    assumptions: dict[str, str]
    """How it was computed and what a reader must know; names that begin with `warning_` are warnings."""
    sets: tuple[StudySet, ...]
    """The best first; at most as many as asked for."""
    stable: int | None
    """Place of the set in the most stable region within all sets; it may be beyond those delivered."""
    stable_set: StudySet | None
    left_out: tuple[tuple[dict[str, str | float | int | bool], str], ...]
    """Sets that were not run or failed, and why; the first ones."""
    left_out_count: int
    heat: HeatMap | None
    details: dict[str, Any]
    """What the kind has beside: windows, stability and stitched curve of a walk-forward analysis."""

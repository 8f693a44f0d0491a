"""How sure the model of adaptive risk was of what it said, for the breaker that looks at it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.model.adaptation import Assessment, RiskModel
    from engine.model.ids import InstrumentId

__all__ = ["HeardConfidences"]

MOST = 1_000
"""Assessments that are remembered: the most that the breaker's mean may be taken of."""


class HeardConfidences:
    """Remembers each assessment once, however often it is asked for.

    Args:
        model: Gives the model that sizes and limits follow; None while they follow none.
    """

    def __init__(self, model: Callable[[], RiskModel | None]) -> None:
        self._model = model
        self._said: deque[float] = deque(maxlen=MOST)
        self._newest: dict[InstrumentId, int] = {}

    @property
    def name(self) -> str:
        """What the model is called; empty while none is followed."""
        model = self._model()
        return "" if model is None else model.name

    def hear(self, instrument: InstrumentId, said: Assessment) -> None:
        """Remember what was said of a market."""
        if said.ts > self._newest.get(instrument, 0):
            self._newest[instrument] = said.ts
            self._said.append(said.confidence)

    def latest(self, count: int) -> Sequence[float]:
        """How sure it was of its last assessments; none while no model is followed, which also forgets them."""
        if self._model() is None:
            self._said.clear()
            self._newest.clear()
        return list(self._said)[-count:]

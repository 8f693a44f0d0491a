"""What breakers listen to besides quotes: trades of a market, errors of the engine, predictions of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from engine.model.ids import InstrumentId

__all__ = ["Confidences", "ErrorSource", "Markets"]


class Markets(Protocol):
    """The markets that are listened to."""

    def watched(self) -> Iterable[InstrumentId]:
        """All of them."""

    def traded(self, instrument: InstrumentId) -> int:
        """UTC nanoseconds (engine clock) at which something was last heard to have traded there; 0 for never."""


class ErrorSource(Protocol):
    """Hears every error."""

    def within(self, now: int, span: int) -> int:
        """Errors of medium severity or above in the last `span` nanoseconds."""


class Confidences(Protocol):
    """A model that trades, or advises who does."""

    @property
    def name(self) -> str:
        """What it is called; empty while nobody follows it."""

    def latest(self, count: int) -> Sequence[float]:
        """How sure it was of its last predictions, 0 to 1, at most `count`, the newest last."""

"""What a running engine and its views ask of their journal, be it the durable one or that of a replay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from storage.journal.contract import FactJournal

if TYPE_CHECKING:
    from engine.state import EngineState
    from storage.journal.schema import Meta
    from storage.journal.usage import Usage

__all__ = ["EngineJournal", "Start"]


class Start(Protocol):
    """What an engine begins with."""

    @property
    def state(self) -> EngineState:
        """The state that was folded; the engine goes on with it."""


class EngineJournal(FactJournal, Protocol):
    """A journal that an engine can live on."""

    @property
    def recovered(self) -> Start:
        """What start-up found."""

    @property
    def meta(self) -> Meta:
        """Journal id, instance and epoch."""

    @property
    def epoch(self) -> int:
        """The epoch that is written under."""

    @property
    def nonce(self) -> str:
        """A part of client order ids that is new at every start."""

    @property
    def usage(self) -> Usage | None:
        """What the files take; None while nobody has looked."""

    @property
    def snapshot_seq(self) -> int:
        """Fact at which the newest snapshot stands; 0 when there is none."""

    def start(self) -> None:
        """Begin to write."""

    async def close(self) -> None:
        """Write what is queued, and take nothing from now on."""

"""What bots hear of one another: the last signal of each, as it was told to the whole engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine import events as ev
from engine.model.signal import PeerSignal

if TYPE_CHECKING:
    from engine.ledger import Ledger
    from engine.model.ids import Owner

__all__ = ["Peers"]


class Peers:
    """Keeps the last signal of every bot. Plain and synchronous.

    Args:
        ledger: Tells of signals.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._last: dict[Owner, PeerSignal] = {}
        ledger.subscribe(self._hear)

    def _hear(self, record: ev.Record) -> None:
        event = record.event
        if isinstance(event, ev.BotDeleted):
            self._last.pop(event.bot, None)
        elif isinstance(event, ev.SignalRaised) and event.bot in self._ledger.state.bots:
            self._last[event.bot] = PeerSignal(
                bot=self._ledger.state.bots[event.bot].name,
                instrument=event.instrument,
                action=event.action,
                direction=event.direction,
                confidence=event.confidence,
                ts=event.ts,
            )

    def others(self, owner: Owner) -> tuple[PeerSignal, ...]:
        """The last signal of every bot but this one, the newest first."""
        found = [signal for who, signal in self._last.items() if who != owner]
        return tuple(sorted(found, key=lambda signal: (-signal.ts, signal.bot)))

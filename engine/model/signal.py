"""Signals: what a strategy wants, before sizing, capital and risk."""

from __future__ import annotations

import enum

import msgspec

from engine.model.ids import InstrumentId

__all__ = ["PeerSignal", "Signal", "SignalAction", "SignalDirection"]


class SignalDirection(enum.StrEnum):
    """Direction of a signal."""

    BUY = "buy"
    SELL = "sell"
    HOLD = "hold"


class SignalAction(enum.StrEnum):
    """What a signal does to the position."""

    ENTER = "enter"
    """Open or add in `direction`."""
    EXIT = "exit"
    """Close the whole position."""
    PROTECT = "protect"
    """Keep the position; place or move its protective orders."""


class PeerSignal(msgspec.Struct, frozen=True, kw_only=True):
    """The last that another bot of the engine has wished for."""

    bot: str
    """Its name."""
    instrument: InstrumentId
    action: str
    direction: str
    confidence: float
    ts: int
    """UTC nanoseconds at which it became known."""


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """One wish of one strategy for one instrument.

    Prices are floats, because they come from bars; the bot puts them on the tick grid.
    """

    instrument: InstrumentId
    strategy: str
    action: SignalAction
    direction: SignalDirection
    """BUY or SELL for ENTER; the side of the closing order for EXIT; HOLD for PROTECT."""
    confidence: float
    """0 to 1 inclusive."""
    ts: int
    """UTC nanoseconds at which it became known (the close of its bar)."""
    reason: str
    stop: float | None = None
    """Protective stop price, quote currency; None keeps what is there (ENTER: none)."""
    target: float | None = None
    """Take-profit price, quote currency; None keeps what is there (ENTER: none)."""
    size: float = 1.0
    """Factor of the usual position size, above 0 to 1 inclusive; for ENTER."""
    metadata: dict[str, float | str] = {}

"""What an event strategy asks for: orders it wants to have working, taken or gone, as plain declarations.

A strategy says what should be; its host compares that with what is, and sends only the difference. Prices and
quantities are floats; the host puts prices on the tick grid away from the market (bids down, asks up) and quantities
down to whole lots.
"""

from __future__ import annotations

import msgspec

from engine.model.ids import InstrumentId
from engine.model.order import OrderSide

__all__ = ["Alert", "Cancel", "CancelAll", "Intent", "Legs", "Place", "Quote", "Stop", "Take", "Want"]


class Want(msgspec.Struct, frozen=True, gc=False):
    """One resting limit order that should be working."""

    key: str
    """Names it among the bot's orders of the instrument, such as `bid-0`; at most 24 characters of [a-z0-9_-]."""
    side: OrderSide
    price: float
    quantity: float
    """Base units (contracts), all of it: what is already filled of a working order is not asked for again."""
    post_only: bool = True
    """Refused by the venue rather than taking."""
    reduce_only: bool = False
    reason: str = ""


class Quote(msgspec.Struct, frozen=True, gc=False):
    """The whole set of quotes that should be working in one instrument.

    What works and is not in the set is cancelled, what is in the set and does not work is placed, what differs by more
    than the tolerance is replaced: the old order is cancelled, and the new one goes out when the old one is known to
    have ended, so that no key ever works twice. Orders of `Place` are no part of the set.
    """

    instrument: InstrumentId
    wants: tuple[Want, ...] = ()
    tolerance: float = 0.0
    """Fraction of the price by which a working order may differ and stays."""
    size_tolerance: float = 0.0
    """Fraction of the wanted quantity by which what is left of a working order may differ and stays."""


class Place(msgspec.Struct, frozen=True, gc=False):
    """One resting limit order besides the quotes, such as a hanging or a grid order; one that differs is replaced."""

    instrument: InstrumentId
    want: Want


class Take(msgspec.Struct, frozen=True, gc=False):
    """An order that takes at once, up to a limit price, and leaves nothing behind (immediate or cancel)."""

    instrument: InstrumentId
    key: str
    """Names it in what is told about it; may be used again once it has ended."""
    side: OrderSide
    quantity: float
    price: float | None = None
    """Worst price; None sends a market order."""
    reduce_only: bool = False
    reason: str = ""


class Legs(msgspec.Struct, frozen=True, gc=False):
    """Orders that belong together and go out at the same moment: all of them, or none where one is refused."""

    legs: tuple[Take, ...]


class Cancel(msgspec.Struct, frozen=True, gc=False):
    """One working order should end; nothing happens when it has ended already."""

    instrument: InstrumentId
    key: str
    reason: str = ""


class CancelAll(msgspec.Struct, frozen=True, gc=False):
    """All working orders of the bot should end, quotes and placed ones."""

    instrument: InstrumentId | None = None
    """None for every instrument."""
    reason: str = ""


class Alert(msgspec.Struct, frozen=True, gc=False):
    """The person should know."""

    text: str
    critical: bool = False


class Stop(msgspec.Struct, frozen=True, gc=False):
    """The strategy cannot go on: everything is cancelled and the bot pauses until a person resumes it."""

    reason: str


Intent = Quote | Place | Take | Legs | Cancel | CancelAll | Alert | Stop

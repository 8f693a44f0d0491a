"""What predecessor and successor say to each other, in the order in which they say it.

    successor                                predecessor (the running engine)
    Hello    who I am                   ->
                                        <-   Welcome   who I am, which journal, which epoch
    Warm     I follow the journal       ->
                                        <-   Page ...  what is large and may travel early
                                        <-   Prove     the state's hash at a number
    Proof    mine at that number        ->
                                             (stands still from here on)
                                        <-   Final     my last number, the hash there, and what travels
    Ready    mine at that number        ->
                                        <-   Grant     the lock's descriptor, and the right to open the next epoch
             (opens the epoch: the switch)
    Taken    the epoch that I opened    ->   (exits)

Either side may say `Refused` instead; until the epoch is opened the predecessor then goes on as before.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from engine.control.outcomes import Outcome
from engine.errors import ConfigurationError
from engine.inheritance import Carried, History
from engine.model.ids import VenueId
from engine.venues.limits.coordinator import CoordinatorCarried

__all__ = [
    "MOST_BYTES",
    "PROTOCOL",
    "Final",
    "Grant",
    "Hello",
    "Message",
    "Page",
    "Proof",
    "Prove",
    "Ready",
    "Refused",
    "Taken",
    "Warm",
    "Welcome",
    "decode",
    "encode",
]

PROTOCOL = 1
MOST_BYTES = 16 * 1024 * 1024
"""Longest message; pages are far smaller."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="m"):
    """Base of all messages; the tag is the class name. Unknown fields are ignored."""


class Hello(_Message, frozen=True, kw_only=True):
    """A process wants to take the engine over."""

    protocol: int
    release: str
    pid: int
    journal_format: int
    """Format of the journal that it writes."""


class Welcome(_Message, frozen=True, kw_only=True):
    """The running engine is ready to be followed."""

    protocol: int
    release: str
    pid: int
    journal_format: int
    journal_id: str
    epoch: int
    reached: tuple[VenueId, ...] = ()
    """Venues at which it trades and which answer it: a successor has to reach them too."""
    pauses: CoordinatorCarried = CoordinatorCarried()
    """Hosts that want no requests just now, from a successor neither."""


class Warm(_Message, frozen=True, kw_only=True):
    """The successor has everything but the right to write, and follows the journal."""

    journal_id: str
    seq: int


class Page(_Message, frozen=True, kw_only=True):
    """A part of what may travel before the engine stands still."""

    histories: list[History] = []
    outcomes: list[Outcome] = []


class Prove(_Message, frozen=True, kw_only=True):
    """The successor shall reach this number and say the hash of its state."""

    seq: int


class Proof(_Message, frozen=True, kw_only=True):
    """The hash of the successor's state at that number."""

    seq: int
    digest: str


class Final(_Message, frozen=True, kw_only=True):
    """The predecessor has booked its last fact and stands still."""

    seq: int
    digest: str
    carried: Carried
    page: Page


class Ready(_Message, frozen=True, kw_only=True):
    """The successor has reached the last fact and has taken in what travels."""

    seq: int
    digest: str


class Grant(_Message, frozen=True, kw_only=True):
    """The lock's descriptor comes with this message: open the epoch after this one."""

    epoch: int


class Taken(_Message, frozen=True, kw_only=True):
    """The successor holds the lock and has opened this epoch."""

    epoch: int


class Refused(_Message, frozen=True, kw_only=True):
    """There will be no hand-over, and why."""

    reason: str


Message: TypeAlias = Hello | Welcome | Warm | Page | Prove | Proof | Final | Ready | Grant | Taken | Refused

_encoder = msgspec.msgpack.Encoder(decimal_format="string")
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def encode(message: Message) -> bytes:
    """A message as bytes."""
    return _encoder.encode(message)


def decode(body: bytes) -> Message:
    """Read a message.

    Raises:
        ConfigurationError: It is none that this release knows.
    """
    try:
        return _decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise ConfigurationError(f"The other engine's message cannot be understood: {error}.") from error

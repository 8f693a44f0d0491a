"""One kind of websocket stream of a venue as a table: where, how subscribed, how kept alive, within which limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from engine.venues.native.connection import StreamConnection

__all__ = ["Address", "Frames", "Login", "PingRule", "StreamTable"]

Address = Callable[[], Awaitable[str]]
"""Gives the address to connect to, anew for every connection (a listen key, a token in the query)."""
Frames = Callable[[int, Sequence[str]], "Sequence[bytes] | Awaitable[Sequence[bytes]]"]
"""Makes the frames that (un)subscribe these channels. The number is new for every batch: where the venue wants an id of
requests put it in, and give it back with `StreamConnection.acknowledge(number=…)`."""
Login = Callable[["StreamConnection"], Awaitable[None]]
"""Logs in on a fresh connection and returns when the venue has said yes; raises AuthenticationError when it says no."""


class PingRule(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection is kept alive. Pings of the venue's own are answered in any case."""

    protocol_s: float | None = 20.0
    """Seconds between websocket pings of ours; None for none."""
    protocol_timeout_s: float = 20.0
    """Seconds after which an unanswered one ends the connection."""
    text: bytes | None = None
    """Sent as a text message after silence, such as OKX's `ping`; None for none."""
    text_s: float = 20.0
    """Seconds of silence before that."""
    pong: bytes = b"pong"
    """The answer to it; it counts as heard and is given to nobody."""


class StreamTable(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of stream. Channels are plain names that only the table's own functions understand."""

    name: str
    """Such as `public`; its connections are called `public 1`, `public 2` …"""
    address: Address
    subscribe: Frames | None = None
    """None where channels are part of the address or there are none."""
    unsubscribe: Frames | None = None
    login: Login | None = None
    standing: tuple[str, ...] = ()
    """Channels that every connection subscribes besides its own, such as Coinbase's `heartbeats`."""
    acknowledged: bool = True
    """Whether the venue confirms subscriptions; then the adapter calls `acknowledge` or `reject`."""
    acknowledge_s: float = 10.0
    """Seconds after which a connection whose subscriptions or login are not confirmed is given up."""
    batch: int = 100
    """Channels a frame."""
    messages_per_second: float = 4.0
    """Messages sent on one connection, everything counted."""
    channels_per_connection: int = 200
    connections: int = 4
    """Most connections open at a time."""
    of_markets: bool = False
    """Whether its connections count among those that the venue's markets may hold at a time."""
    at_least: int = 0
    """Connections kept open even without channels: 1 for private streams and for calls over a websocket."""
    ping: PingRule = PingRule()
    silence_s: float = 60.0
    """Seconds without any message, pongs of text pings included, after which a connection is given up."""
    renew_s: float | None = None
    """Seconds after which a connection is renewed before the venue ends it; None for never."""
    overlap: bool = True
    """Whether a renewal brings the new connection up before the old one goes; messages come twice meanwhile."""
    max_bytes: int = 32 * 1024 * 1024
    """Longest message; a snapshot of Coinbase has several million bytes."""
    compression: bool = False
    """Whether to offer compression; it costs more time than it saves on most lines."""
    open_s: float = 10.0
    """Seconds within which a connection must be made."""
    backoff_s: float = 0.5
    """Full length of the first pause before a new attempt, in seconds."""
    backoff_most_s: float = 60.0

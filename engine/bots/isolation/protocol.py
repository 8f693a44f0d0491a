"""What an engine and the process of one strategy say to each other: MessagePack behind four bytes of length."""

from __future__ import annotations

import struct

import msgspec

from engine.model.candle import Bars
from engine.model.ids import InstrumentId
from engine.model.regime import MarketRegime
from engine.model.signal import PeerSignal, Signal
from engine.strategy.runner import MOST_SAVED_BYTES

__all__ = [
    "HEAD",
    "MOST_BYTES",
    "MOST_REPLY_BYTES",
    "Begin",
    "Decide",
    "Done",
    "Failed",
    "PackedBars",
    "Reply",
    "Request",
    "Take",
    "decode_reply",
    "decode_request",
    "framed",
    "packed",
]

HEAD = struct.Struct(">I")
MOST_BYTES = 256 << 20
"""A longer request is taken for nonsense."""
MOST_REPLY_BYTES = 2 * MOST_SAVED_BYTES
"""A longer reply is not read: one holds what the strategy remembers, and a few signals."""


class PackedBars(msgspec.Struct, frozen=True):
    """Bars as their columns' bytes: int64 times, float64 open, high, low, close, volume."""

    timeframe: str
    columns: tuple[bytes, bytes, bytes, bytes, bytes, bytes]
    others: dict[str, PackedBars] = {}
    """Bars of other markets by symbol."""

    def unpacked(self) -> Bars:
        """The bars, as copies that may be written to."""
        import numpy as np

        ts, *prices = self.columns
        bars = Bars(
            self.timeframe,
            np.frombuffer(ts, dtype=np.int64).copy(),
            *(np.frombuffer(column, dtype=np.float64).copy() for column in prices),
        )
        bars.others = {symbol: other.unpacked() for symbol, other in self.others.items()}
        return bars


class Begin(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Everything a strategy needs to go on where it stood."""

    module: str
    """Importable module of a strategy that comes with the program; empty for one of a file."""
    file: str
    """Path of the strategy's file."""
    name: str
    params: dict[str, bool | int | float | str]
    instrument: InstrumentId
    timeframe: str
    saved: bytes
    """What the runner saved last; empty for a new one."""
    memory_only: bool
    past: tuple[PackedBars, ...]
    memory_bytes: int
    """Most memory, beyond what the program itself maps."""
    bar_cpu_s: float
    """Most processor time for one request."""
    storage_bytes: int
    """Largest file it may write."""
    core: int = -1
    """Processor core on which it runs; -1 for any."""


class Decide(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """New bars to decide at."""

    number: int
    bars: PackedBars
    quantity: float
    entry_price: float
    regime: MarketRegime | None
    """The market's regimes; None while they are not known."""
    peers: tuple[PeerSignal, ...] = ()
    """The last signals of other bots."""


class Take(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Bars of too long ago to be decided on."""

    number: int
    bars: PackedBars


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A request is carried out; the first answer has the number 0."""

    number: int
    signals: list[Signal]
    saved: bytes
    """The runner's whole state from now on."""
    last_ts: int
    seen: int
    broken: int
    latency_ns: int


class Failed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The strategy failed; nothing more comes."""

    number: int
    message: str
    error_code: str = ""


Request = Begin | Decide | Take
Reply = Done | Failed

_encoder = msgspec.msgpack.Encoder()
_requests: msgspec.msgpack.Decoder[Request] = msgspec.msgpack.Decoder(Request)
_replies: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)


def packed(bars: Bars) -> PackedBars:
    """Bars for the way through a pipe."""
    columns = (bars.ts, bars.open, bars.high, bars.low, bars.close, bars.volume)
    others = {symbol: packed(other) for symbol, other in bars.others.items()}
    return PackedBars(bars.timeframe, tuple(column.tobytes() for column in columns), others)  # type: ignore[arg-type]


def framed(message: Request | Reply) -> bytes:
    """A message with its length."""
    body = _encoder.encode(message)
    return HEAD.pack(len(body)) + body


def decode_request(body: bytes) -> Request:
    """Read a request. Raises msgspec.MsgspecError."""
    return _requests.decode(body)


def decode_reply(body: bytes) -> Reply:
    """Read a reply. Raises msgspec.MsgspecError."""
    return _replies.decode(body)

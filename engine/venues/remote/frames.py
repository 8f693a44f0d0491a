"""Frames between an engine and a venue in another process: a length, a kind, and a MessagePack body.

Both ends are programs of the same release on one machine, so the frames carry the engine's own types; a skew of
releases is noticed in the greeting. Exact decimals travel as text.
"""

from __future__ import annotations

import enum
import struct
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from engine import errors
from engine.events import VenueEvent
from engine.model.candle import Candle
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, InstrumentId, VenueId
from engine.model.instrument import Instrument
from engine.model.margin import MarginSetting
from engine.model.market import BookMoved, BookUpdate, FeedStatus, MarketEvent, MarketTrade, MarkPrice, Ticker
from engine.model.venue import (
    Capabilities,
    FundingPayment,
    MarginMode,
    OrderCommand,
    Permissions,
    VenueBalance,
    VenueOrder,
    VenuePosition,
    VenueStatus,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from engine.errors import QuarterdeckError

__all__ = [
    "ARGUMENTS",
    "CHANGES",
    "FRAME_LIMIT",
    "MARKET_KINDS",
    "PROTOCOL",
    "RESULTS",
    "Failure",
    "Frames",
    "Hello",
    "Kind",
    "Refusal",
    "Welcome",
    "decode",
    "decode_market",
    "encode",
    "encode_market",
    "failure",
    "frame",
    "raised",
]

PROTOCOL = 1
"""Version of what is said here; ends of different versions refuse each other with a sentence."""
FRAME_LIMIT = 64 * 1024 * 1024
"""Bytes of one frame; a longer one is no frame of ours."""

_head = struct.Struct(">IB")


class Kind(enum.IntEnum):
    """What a frame holds."""

    HELLO = 1
    """`Hello`: the client's first frame."""
    WELCOME = 2
    """`Welcome`: the server's answer."""
    REFUSAL = 3
    """`Refusal`: the server's answer when it does not serve this client; the connection ends."""
    REQUEST = 4
    """(id, method, arguments)."""
    REPLY = 5
    """(id, result)."""
    FAILURE = 6
    """(id, `Failure`)."""
    EVENT = 7
    """(number, account, private event)."""
    BEAT = 8
    """Nothing; the server lives."""
    BOOK = 16
    TRADE = 17
    CANDLE = 18
    FEED = 19
    MARK = 20
    TICKER = 21


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls, and from where its streams go on."""

    protocol: int
    release: str
    pid: int
    watched: list[InstrumentId]
    run: str = ""
    """The server's run whose events were heard last; empty for a client that begins."""
    heard: int = 0
    """Number of the last private event heard in that run."""


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers."""

    protocol: int
    release: str
    pid: int
    venue: VenueId
    capabilities: Capabilities
    status: VenueStatus
    run: str
    """Random name of this run of the server; private events are numbered within it."""
    heard: int
    """Number of the last private event that this client will not be told."""
    complete: bool
    """False when events between `Hello.heard` and `heard` are not kept any more, so the venue has to be asked."""


class Refusal(msgspec.Struct, frozen=True):
    """Why a client is not served."""

    message: str


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An error on its way."""

    kind: str
    message: str
    error_code: str | None = None


ARGUMENTS: dict[str, Any] = {
    "place": tuple[OrderCommand],
    "cancel": tuple[AccountId, ClientOrderId],
    "amend": tuple[AccountId, ClientOrderId, Decimal | None, Decimal | None, Decimal | None],
    "order": tuple[AccountId, ClientOrderId],
    "open_orders": tuple[AccountId],
    "instruments": tuple[()],
    "balances": tuple[AccountId],
    "fills_since": tuple[AccountId, str],
    "watch": tuple[list[InstrumentId]],
    "unwatch": tuple[list[InstrumentId]],
    "book": tuple[InstrumentId, int],
    "candles": tuple[InstrumentId, str, int | None, int],
    "server_time": tuple[()],
    "trades": tuple[InstrumentId, int],
    "tickers": tuple[list[InstrumentId] | None],
    "permissions": tuple[AccountId],
    "positions": tuple[AccountId],
    "margin": tuple[AccountId, InstrumentId, MarginMode],
    "set_margin": tuple[AccountId, InstrumentId, Decimal, MarginMode],
    "funding_since": tuple[AccountId, str],
    "countdown": tuple[AccountId, float],
}
"""Methods of the contract that are asked over the wire, and their arguments."""

RESULTS: dict[str, Any] = {
    "place": None,
    "cancel": None,
    "amend": None,
    "order": VenueOrder | None,
    "open_orders": list[VenueOrder],
    "instruments": list[Instrument],
    "balances": list[VenueBalance],
    "fills_since": tuple[list[Fill], str],
    "watch": None,
    "unwatch": None,
    "book": BookUpdate,
    "candles": list[Candle],
    "server_time": int,
    "trades": list[MarketTrade],
    "tickers": list[Ticker],
    "permissions": Permissions,
    "positions": list[VenuePosition],
    "margin": MarginSetting,
    "set_margin": None,
    "funding_since": tuple[list[FundingPayment], str],
    "countdown": None,
}

CHANGES = frozenset({"place", "cancel", "amend", "set_margin", "countdown"})
"""Methods whose outcome is unknown when no answer comes."""

MARKET_KINDS: dict[type, Kind] = {
    BookUpdate: Kind.BOOK,
    MarketTrade: Kind.TRADE,
    Candle: Kind.CANDLE,
    FeedStatus: Kind.FEED,
    MarkPrice: Kind.MARK,
    Ticker: Kind.TICKER,
}

encode = msgspec.msgpack.Encoder(decimal_format="string").encode


def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


_decoders = {
    Kind.HELLO: _decoder(Hello),
    Kind.WELCOME: _decoder(Welcome),
    Kind.REFUSAL: _decoder(Refusal),
    Kind.REQUEST: _decoder(tuple[int, str, msgspec.Raw]),
    Kind.REPLY: _decoder(tuple[int, msgspec.Raw]),
    Kind.FAILURE: _decoder(tuple[int, Failure]),
    Kind.EVENT: _decoder(tuple[int, AccountId, VenueEvent]),
}
_market = {
    Kind.BOOK: _decoder(BookUpdate),
    Kind.TRADE: _decoder(MarketTrade),
    Kind.CANDLE: _decoder(Candle),
    Kind.FEED: _decoder(FeedStatus),
    Kind.MARK: _decoder(MarkPrice),
    Kind.TICKER: _decoder(Ticker),
}


def frame(kind: Kind, body: bytes = b"") -> bytes:
    """A whole frame."""
    return _head.pack(len(body), kind) + body


def decode(kind: Kind, body: bytes) -> Any:
    """The content of a frame that is no market event."""
    return _decoders[kind].decode(body)


def encode_market(event: MarketEvent) -> bytes:
    """A market event as a whole frame."""
    if isinstance(event, BookMoved):
        event = event.changes()
    return frame(MARKET_KINDS[type(event)], encode(event))


def decode_market(kind: Kind, body: bytes) -> MarketEvent:
    """The market event in a frame."""
    event: MarketEvent = _market[kind].decode(body)
    return event


class Frames:
    """Cuts what arrives into frames."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take bytes in and give every frame that is whole as (kind, body).

        Raises:
            ValueError: This is no frame of ours.
        """
        rest = self._rest
        rest += data
        at, size = 0, len(rest)
        try:
            while size - at >= _head.size:
                length, kind = _head.unpack_from(rest, at)
                if length > FRAME_LIMIT:
                    raise ValueError(f"a frame of {length} bytes")
                end = at + _head.size + length
                if end > size:
                    break
                body = bytes(rest[at + _head.size : end])
                at = end
                yield kind, body
        finally:
            del rest[:at]


def failure(error: QuarterdeckError) -> Failure:
    """An error as it travels."""
    return Failure(kind=error.kind, message=error.message, error_code=error.error_code)


def _kinds() -> dict[str, type[QuarterdeckError]]:
    found = (getattr(errors, name) for name in errors.__all__)
    return {kind.kind: kind for kind in found}


_errors = _kinds()


def raised(found: Failure) -> QuarterdeckError:
    """The error that has travelled, as it is raised on this side."""
    return _errors.get(found.kind, errors.ExchangeError)(found.message, error_code=found.error_code)

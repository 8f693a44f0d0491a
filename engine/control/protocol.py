"""Protocol 1 of the control socket: which messages there are and how they are written. No input or output.

JSON-RPC 2.0 in WebSocket text frames. The first request is `hello`, its reply the welcome; nothing else is taken before
it. From then on a client sends operations by their names, with the fields of their requests as parameters, and four
methods of the stream:

    > {"jsonrpc":"2.0","id":1,"method":"hello","params":{"proto":1,"client":"console","release":"2.0.0","pid":7,…}}
    < {"jsonrpc":"2.0","id":1,"result":{"proto":1,"release":"2.0.0","pid":5,"client_id":"c1","actor":"console 2",…}}
    > {"jsonrpc":"2.0","id":2,"method":"risk.halt","params":{"reason":"lunch"},"request_id":"5f2c"}
    < {"jsonrpc":"2.0","id":2,"result":{…}}
    > {"jsonrpc":"2.0","id":3,"method":"stream.subscribe","params":{"sub":1,"topic":"market.book","filters":{…}}}
    < {"jsonrpc":"2.0","id":3,"result":{"sub":1}}
    < {"jsonrpc":"2.0","method":"state","params":{"topics":[{"sub":1,"seq":1,"snapshot":true,"data":{…}}]}}
    < {"jsonrpc":"2.0","method":"facts","params":{"sub":2,"after":40,"cursor":44,"snapshot":false,"facts":[…]}}
    < {"jsonrpc":"2.0","id":4,"error":{"code":-32003,"message":"…","data":{"kind":"not_found",…}}}

An engine refuses members that it does not know, a client ignores them. `proto` is an integer that changes when an old
client could misunderstand a new engine; see `engine.control.skew` for what works then all the same.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from engine import errors
from engine.control.wire import encode
from engine.errors import ProtocolError, QuarterdeckError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from engine.control.facts import Fact

__all__ = [
    "HEARTBEAT_S",
    "HELLO_S",
    "MAX_BYTES",
    "MAX_HZ",
    "PROTOCOL",
    "REPLAY_MODE",
    "Close",
    "FactItem",
    "FactsFrame",
    "Hello",
    "Incoming",
    "Request",
    "Resync",
    "StateFrame",
    "Subscribe",
    "Unsubscribe",
    "Welcome",
    "decode_error",
    "decode_incoming",
    "decode_request",
    "encode_error",
    "encode_facts",
    "encode_reply",
    "encode_request",
    "encode_states",
    "fields",
]

PROTOCOL = 1
REPLAY_MODE = "replay"
"""The mode of a welcome that is a replay's."""
MAX_BYTES = 8 * 1024 * 1024
"""Largest message, either way."""
HELLO_S = 2.0
"""Seconds within which hello and welcome have been said."""
HEARTBEAT_S = 15.0
"""Seconds between pings, both ways."""
DEAD_S = 2 * HEARTBEAT_S
"""Seconds after a ping without an answer until the other side counts as dead: three beats were missed by then."""
MAX_HZ = 20.0
"""Frames of state a second, unless a client says otherwise."""


class Close:
    """Why the engine ended a connection: codes of the WebSocket close frame."""

    STOPPED = 1001
    PROTOCOL = 4000
    NO_HELLO = 4001
    TOO_SLOW = 4008
    TOO_MANY = 4029


# --- what a client says ----------------------------------------------------------------------------------------------


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One call."""

    jsonrpc: Literal["2.0"]
    id: int
    method: str
    params: dict[str, Any] = {}
    request_id: str | None = None


class Hello(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who a client is."""

    proto: int
    client: str
    """What it is: `console`, `command line`, or a name of its own."""
    release: str
    pid: int
    build: str = ""
    started: int = 0
    """UTC nanoseconds."""
    read_only: bool = False
    max_hz: float = MAX_HZ
    """Frames of state that it wants a second, at most."""


class Subscribe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A topic to watch."""

    sub: int
    """Chosen by the client; names the subscription in every message about it."""
    topic: str
    filters: dict[str, str | int | None] = {}
    since: int | None = None
    """For topics of facts: the cursor up to which everything is known; None begins with what was told lately."""


class Unsubscribe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A topic to watch no more."""

    sub: int


class Resync(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A topic to begin anew with, because a number was missing."""

    sub: int
    since: int | None = None


# --- what an engine says ---------------------------------------------------------------------------------------------


class Welcome(msgspec.Struct, frozen=True, kw_only=True):
    """Who an engine is, and what the client is to it."""

    proto: int
    release: str
    build: str
    pid: int
    started: int
    """UTC nanoseconds at which the engine started."""
    now: int
    """The engine's clock."""
    mode: str
    account: str
    instance: str
    """The journal's; cursors hold for one instance only."""
    epoch: int
    home: str
    client_id: str
    actor: str
    """The name under which the client's doings are recorded."""
    role: str
    capabilities: tuple[str, ...] = ()
    skew: str = ""
    """When the protocols differ and the engine is the newer side: what a person should know."""


class WireError(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal or failure."""

    code: int
    message: str = ""
    data: dict[str, Any] = {}


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """Anything an engine sends: a reply (`id`) or a message of the stream (`method`)."""

    id: int | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: WireError | None = None
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"null")


class StateItem(msgspec.Struct, frozen=True, kw_only=True):
    """The present whole of one topic."""

    sub: int
    seq: int
    snapshot: bool
    data: msgspec.Raw


class StateFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that has changed since the last frame."""

    topics: list[StateItem]


class FactItem(msgspec.Struct, frozen=True, kw_only=True):
    """One fact."""

    seq: int
    data: msgspec.Raw


class FactsFrame(msgspec.Struct, frozen=True, kw_only=True):
    """Facts in order."""

    sub: int
    after: int
    """Cursor before these."""
    cursor: int
    """Cursor behind these: everything up to it has been told."""
    snapshot: bool
    facts: list[FactItem]


# --- writing ---------------------------------------------------------------------------------------------------------


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    raise TypeError(f"A {type(value).__name__} cannot be sent.")


_requests = msgspec.json.Encoder(decimal_format="string", enc_hook=_plain)
_request_decoder = msgspec.json.Decoder(Request)
_incoming_decoder = msgspec.json.Decoder(Incoming)


def encode_request(number: int, method: str, params: Any = None, request_id: str | None = None) -> bytes:
    """A call. Amounts in `params` may be decimals; they are sent as text.

    Raises:
        ProtocolError: A parameter is of a kind that JSON does not know.
    """
    body: dict[str, Any] = {"jsonrpc": "2.0", "id": number, "method": method, "params": params or {}}
    if request_id is not None:
        body["request_id"] = request_id
    try:
        return _requests.encode(body)
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"{method} cannot be asked with these parameters: {error}") from None


def encode_reply(number: int, result: bytes) -> bytes:
    """The reply to a call; `result` is JSON."""
    return b'{"jsonrpc":"2.0","id":%d,"result":%b}' % (number, result)


def encode_error(number: int | None, error: QuarterdeckError) -> bytes:
    """A refusal or failure, without anything internal."""
    details = error.details
    try:
        encode(details)
    except (TypeError, ValueError):
        details = {}
    shown = WireError(
        code=_code(error),
        message=error.message,
        data={
            "kind": error.kind,
            "title": error.title,
            "retryable": error.retryable,
            "error_code": error.error_code,
            "details": details,
            "correlation": error.correlation,
        },
    )
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (b"null" if number is None else b"%d" % number, encode(shown))


def encode_states(items: Iterable[tuple[int, int, bytes]]) -> bytes:
    """One frame of state from (subscription, number, data as JSON)."""
    topics = b",".join(b'{"sub":%d,"seq":%d,"snapshot":true,"data":%b}' % item for item in items)
    return b'{"jsonrpc":"2.0","method":"state","params":{"topics":[%b]}}' % topics


def encode_facts(sub: int, after: int, cursor: int, facts: Iterable[Fact], *, snapshot: bool) -> bytes:
    """One frame of facts; each is written once, whoever hears it."""
    items = []
    for fact in facts:
        if not fact.body:
            fact.body = b'{"seq":%d,"data":%b}' % (fact.seq, encode(fact.data))
        items.append(fact.body)
    head = b'{"sub":%d,"after":%d,"cursor":%d,"snapshot":%b,' % (sub, after, cursor, b"true" if snapshot else b"false")
    return b'{"jsonrpc":"2.0","method":"facts","params":%b"facts":[%b]}}' % (head, b",".join(items))


# --- reading ---------------------------------------------------------------------------------------------------------


def decode_request(frame: str | bytes) -> Request:
    """Read what a client sent.

    Raises:
        ProtocolError: It is no call of this protocol.
    """
    try:
        return _request_decoder.decode(frame)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ProtocolError(f"This is no request of protocol {PROTOCOL}: {error}.") from None


def decode_incoming(frame: str | bytes) -> Incoming:
    """Read what an engine sent.

    Raises:
        ProtocolError: It is no message of this protocol.
    """
    try:
        return _incoming_decoder.decode(frame)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ProtocolError(f"A message of the engine cannot be understood: {error}.") from None


def fields(params: dict[str, Any], kind: type[msgspec.Struct]) -> Any:
    """The parameters of one of the protocol's own methods.

    Raises:
        ProtocolError: They do not fit.
    """
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"The parameters of this method do not fit: {error}.") from None


# --- errors ----------------------------------------------------------------------------------------------------------

CODES: dict[type[QuarterdeckError], int] = {
    errors.ProtocolError: -32600,
    errors.ValidationError: -32602,
    errors.AuthenticationError: -32001,
    errors.AuthorizationError: -32002,
    errors.NotFoundError: -32003,
    errors.ConflictError: -32004,
    errors.RateLimitError: -32005,
    errors.RiskManagementError: -32006,
    errors.ExchangeError: -32007,
    errors.ExecutionError: -32008,
    errors.DataError: -32009,
    errors.CapitalManagementError: -32010,
    errors.StrategyError: -32011,
    errors.StateConsistencyError: -32012,
    errors.ModelError: -32013,
    errors.SecurityError: -32014,
    errors.VersionSkewError: -32020,
    errors.EngineError: -32021,
    errors.QuarterdeckError: -32603,
}
"""JSON-RPC code of every family of errors; the narrower word is `kind`."""

ERRORS: dict[str, type[QuarterdeckError]] = {
    found.kind: found for found in (getattr(errors, name) for name in errors.__all__)
}
"""The class of every kind of error."""


def _code(error: QuarterdeckError) -> int:
    return next(CODES[family] for family in type(error).__mro__ if family in CODES)


def decode_error(said: WireError) -> QuarterdeckError:
    """The exception that the engine raised; its nearest relative when this release does not know that one."""
    data = said.data
    family = next((family for family, code in CODES.items() if code == said.code), QuarterdeckError)
    details = data.get("details")
    error_code = data.get("error_code")
    found = ERRORS.get(str(data.get("kind")), family)(
        said.message,
        error_code=error_code if isinstance(error_code, str) else None,
        details=details if isinstance(details, dict) else None,
    )
    found.correlation = str(data.get("correlation") or "")
    return found

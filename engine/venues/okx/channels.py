"""OKX's streams: which channels there are, how they are asked for, and how an account logs in.

A channel is written `name:instrument` (`books:BTC-USDT`) or `name` alone; candles and algo orders live at the business
address. OKX confirms each channel by itself, answers a text `ping`, allows 3 new connections a second to an address and
480 subscribing messages an hour on each connection, and tells with code 64008 that it will hang up for an upgrade.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import msgspec

from engine.errors import AuthenticationError, ExchangeConnectionError, QuarterdeckError, ValidationError
from engine.venues.native.failures import Fault
from engine.venues.native.stream import PingRule, StreamTable
from engine.venues.okx.codes import FAILURES
from engine.venues.okx.tables import ENDPOINTS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from engine.model.credentials import Credentials
    from engine.venues.native.stream import StreamConnection
    from engine.venues.okx.messages import Arg, Frame

__all__ = [
    "CANDLES",
    "MARK_CHANNELS",
    "MARKET_CHANNELS",
    "PRIVATE",
    "UPGRADE",
    "business_table",
    "candles_table",
    "channel_of",
    "login_frame",
    "on_event",
    "private_table",
    "public_table",
]

MARKET_CHANNELS = ("books", "trades", "tickers")
"""What is subscribed of every watched instrument."""
CANDLES = "candle1m"
"""And this, at the business address."""
MARK_CHANNELS = ("mark-price", "funding-rate")
"""And of swaps; their index comes once a pair."""
PRIVATE: dict[str, tuple[str, ...]] = {"private": ("orders", "positions"), "business": ("orders-algo",)}
"""Private channels by address."""
_ANY_KIND = frozenset({"orders", "positions", "orders-algo"})
UPGRADE = "64008"
PING = PingRule(protocol_s=None, text=b"ping", text_s=20.0, pong=b"pong")
_REFUSED = frozenset({"60005", "60007", "60009", "60024", "60032", "60006"})
"""Codes of a login that was refused."""
_LOGIN = "login"


def _arg(channel: str) -> dict[str, str]:
    name, _, instrument = channel.partition(":")
    if instrument:
        return {"channel": name, "instId": instrument}
    return {"channel": name, "instType": "ANY"} if name in _ANY_KIND else {"channel": name}


def channel_of(arg: Arg) -> str:
    """The channel that a message belongs to."""
    return f"{arg.channel}:{arg.inst_id}" if arg.inst_id else arg.channel


def _frames(op: str) -> Callable[[int, Sequence[str]], list[bytes]]:
    def frames(number: int, channels: Sequence[str]) -> list[bytes]:
        args = [_arg(channel) for channel in channels]
        return [msgspec.json.encode({"id": str(number), "op": op, "args": args})]

    return frames


def _table(name: str, address: str, **more: Any) -> StreamTable:
    async def where() -> str:
        return address

    return StreamTable(
        name=name,
        address=where,
        subscribe=_frames("subscribe"),
        unsubscribe=_frames("unsubscribe"),
        # Well below 64 KiB a message and 480 messages an hour, a reconnection each minute included.
        batch=100,
        messages_per_second=2.0,
        ping=PING,
        silence_s=50.0,
        **more,
    )


def public_table(address: str) -> StreamTable:
    """Books, trades, days and marks of what is watched."""
    return _table("public", address, channels_per_connection=240, connections=3, of_markets=True)


def candles_table(address: str) -> StreamTable:
    """Candles of what is watched."""
    # A renewal needs no successor beside it: bars are made of trades as well, and books need the room.
    return _table("candles", address, channels_per_connection=240, connections=1, of_markets=True, overlap=False)


def private_table(name: str, address: str, login: Callable[[StreamConnection], Any]) -> StreamTable:
    """One account's orders, balances and positions."""
    return _table(f"private {name}", address, login=login, at_least=1, connections=1, standing=PRIVATE["private"])


def business_table(name: str, address: str, login: Callable[[StreamConnection], Any]) -> StreamTable:
    """One account's stop and take-profit orders."""
    return _table(f"private {name} algo", address, login=login, at_least=1, connections=1, standing=PRIVATE["business"])


def login_frame(credentials: Credentials, seconds: int) -> bytes:
    """The message that logs in.

    Args:
        credentials: Of the account.
        seconds: UTC seconds by OKX's clock.
    """
    text = f"{seconds}GET/users/self/verify".encode()
    digest = hmac.digest(credentials.secret.encode(), text, hashlib.sha256)
    row = {
        "apiKey": credentials.key,
        "passphrase": credentials.passphrase,
        "timestamp": str(seconds),
        "sign": base64.b64encode(digest).decode(),
    }
    return msgspec.json.encode({"op": _LOGIN, "args": [row]})


def on_event(connection: StreamConnection, frame: Frame) -> None:
    """Do what an event asks for: confirm or refuse a channel or a login, renew before an upgrade."""
    match frame.event:
        case "subscribe":
            connection.acknowledge([channel_of(frame.arg)])
        case "login":
            connection.answered(_LOGIN)
        case "notice":
            # A successor comes up before this one goes, where the table allows it.
            connection.renew()
        case "error":
            _on_error(connection, frame)


def _on_error(connection: StreamConnection, frame: Frame) -> None:
    error = FAILURES.error(200, Fault(frame.code, frame.msg), ENDPOINTS["time"])
    if frame.code in _REFUSED or isinstance(error, AuthenticationError):
        connection.answered(_LOGIN, _as_login(error))
    elif frame.id.isdecimal():
        connection.reject(ValidationError(f"OKX refused a subscription: {frame.msg}"), number=int(frame.id))
    else:
        connection.drop(f"OKX said {frame.code}: {frame.msg}"[:200])


def _as_login(error: QuarterdeckError) -> QuarterdeckError:
    """A login that was too old is tried again; one that is refused is not, or not soon."""
    if isinstance(error, AuthenticationError | ExchangeConnectionError):
        return error
    return AuthenticationError(error.message, error_code=error.error_code)

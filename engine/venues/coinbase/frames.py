"""What comes and goes over Coinbase's websockets: frames of each channel as typed records, and subscriptions."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from engine.errors import DataValidationError

__all__ = [
    "CANDLES",
    "DAYS",
    "DAY_FRAMES",
    "HEARTBEATS",
    "LEVEL2",
    "TRADES",
    "USER",
    "BookFrame",
    "CandlesFrame",
    "DaysFrame",
    "Head",
    "StreamCandle",
    "StreamOrder",
    "StreamTicker",
    "StreamTrade",
    "SubscriptionsFrame",
    "TradesFrame",
    "UserFrame",
    "channel_name",
    "read",
    "read_head",
    "split_channel",
    "subscription",
]

LEVEL2, TRADES, DAYS, CANDLES = "level2", "market_trades", "ticker_batch", "candles"
HEARTBEATS, USER = "heartbeats", "user"
BOOK_FRAMES = "l2_data"
"""What arrives on `level2`."""
DAY_FRAMES = frozenset({"ticker", DAYS})
"""What arrives on `ticker_batch`: the same as on `ticker`."""


class _Frame(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message; fields that are not read are passed over."""


class Head(_Frame, frozen=True, kw_only=True):
    """What every message has in common; `type` and `message` only for errors."""

    channel: str = ""
    sequence_num: int = -1
    """Counts all messages of one connection, whatever their channel."""
    timestamp: str = ""
    type: str = ""
    message: str = ""


# --- market data -----------------------------------------------------------------------------------------------------


class _Change(_Frame, frozen=True, kw_only=True):
    side: str
    """`bid` or `offer`."""
    event_time: str
    price_level: str
    new_quantity: str
    """All that is there now; 0 for nothing."""


class _BookEvent(_Frame, frozen=True, kw_only=True):
    type: str
    product_id: str
    updates: list[_Change]


class BookFrame(_Frame, frozen=True, kw_only=True):
    """`l2_data`: a whole book, or levels that changed."""

    sequence_num: int
    timestamp: str
    events: list[_BookEvent]


class StreamTrade(_Frame, frozen=True, kw_only=True):
    """One public trade; `side` is that of the resting order."""

    trade_id: str
    product_id: str
    price: str
    size: str
    side: str
    time: str


class _TradesEvent(_Frame, frozen=True, kw_only=True):
    type: str
    trades: list[StreamTrade]


class TradesFrame(_Frame, frozen=True, kw_only=True):
    """`market_trades`: the last trades when it begins (newest first), then each."""

    sequence_num: int
    timestamp: str
    events: list[_TradesEvent]


class StreamTicker(_Frame, frozen=True, kw_only=True):
    """The state of one product."""

    product_id: str
    price: str
    volume_24_h: str
    low_24_h: str
    high_24_h: str
    price_percent_chg_24_h: str
    best_bid: str = ""
    best_ask: str = ""
    best_bid_quantity: str = ""
    best_ask_quantity: str = ""


class _TickerEvent(_Frame, frozen=True, kw_only=True):
    type: str
    tickers: list[StreamTicker]


class DaysFrame(_Frame, frozen=True, kw_only=True):
    """`ticker_batch`: every five seconds what `ticker` tells with each trade."""

    sequence_num: int
    timestamp: str
    events: list[_TickerEvent]


class StreamCandle(_Frame, frozen=True, kw_only=True):
    """One five-minute candle."""

    start: str
    high: str
    low: str
    open: str
    close: str
    volume: str
    product_id: str


class _CandlesEvent(_Frame, frozen=True, kw_only=True):
    type: str
    candles: list[StreamCandle]


class CandlesFrame(_Frame, frozen=True, kw_only=True):
    """`candles`, always of five minutes."""

    sequence_num: int
    timestamp: str
    events: list[_CandlesEvent]


# --- the connection itself -------------------------------------------------------------------------------------------


class _Subscriptions(_Frame, frozen=True, kw_only=True):
    subscriptions: dict[str, list[str]]


class SubscriptionsFrame(_Frame, frozen=True, kw_only=True):
    """All that is subscribed on the connection now, by channel; products, or something else where there are none."""

    sequence_num: int
    timestamp: str
    events: list[_Subscriptions]


# --- orders ----------------------------------------------------------------------------------------------------------


class StreamOrder(_Frame, frozen=True, kw_only=True):
    """One order of the account as it is now; executions are only told as sums."""

    order_id: str
    client_order_id: str
    status: str
    product_id: str
    order_side: str
    cumulative_quantity: str = ""
    leaves_quantity: str = ""
    avg_price: str = ""
    total_fees: str = ""
    creation_time: str = ""
    order_type: str = ""
    time_in_force: str = ""
    trigger_status: str = ""
    cancel_reason: str = ""
    reject_reason: str = ""
    product_type: str = ""
    limit_price: str = ""
    stop_price: str = ""


class _UserEvent(_Frame, frozen=True, kw_only=True):
    type: str
    orders: list[StreamOrder] = []


class UserFrame(_Frame, frozen=True, kw_only=True):
    """`user`: all open orders when it begins, in pages of 50, then each that changed."""

    sequence_num: int
    timestamp: str
    events: list[_UserEvent]


_T = TypeVar("_T")
_DECODERS: dict[type, msgspec.json.Decoder[object]] = {}
_HEAD = msgspec.json.Decoder(Head)


def read_head(frame: bytes) -> Head:
    """What a message is. Raises DataValidationError for one that is not of this protocol."""
    try:
        return _HEAD.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataValidationError(f"Coinbase's stream sent something unreadable: {error}.") from error


def read(kind: type[_T], frame: bytes) -> _T:
    """Read a message. Raises DataValidationError when it is not what its channel says."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        found = decoder.decode(frame)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DataValidationError(f"Coinbase's stream sent something else than {kind.__name__}: {error}.") from error
    assert isinstance(found, kind)
    return found


# --- subscriptions ---------------------------------------------------------------------------------------------------


def channel_name(channel: str, product_id: str = "") -> str:
    """A subscription as one word: `level2:BTC-USD`, or `heartbeats`."""
    return f"{channel}:{product_id}" if product_id else channel


def split_channel(name: str) -> tuple[str, str]:
    """Channel and product (or nothing) of such a word."""
    channel, _, product = name.partition(":")
    return channel, product


def subscription(verb: str, channel: str, products: list[str], token: str = "") -> bytes:
    """A message that subscribes or unsubscribes one channel.

    Args:
        verb: `subscribe` or `unsubscribe`.
        channel: Which.
        products: For these; empty for all, or for channels without.
        token: JWT; empty for public channels.
    """
    message: dict[str, object] = {"type": verb, "channel": channel}
    if products:
        message["product_ids"] = products
    if token:
        message["jwt"] = token
    return msgspec.json.encode(message)

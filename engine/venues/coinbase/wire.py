"""What Coinbase sends in answers to requests, as typed records; numbers stay text until they become decimals."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from engine.errors import ExchangeError

__all__ = [
    "Account",
    "AccountPage",
    "AmendAnswer",
    "CancelAnswer",
    "CancelResult",
    "CandleList",
    "CandleRow",
    "Fees",
    "FillPage",
    "FillRow",
    "Level",
    "Money",
    "OneOrder",
    "OrderPage",
    "OrderRow",
    "PlaceAnswer",
    "PriceBook",
    "PriceBookAnswer",
    "Product",
    "ProductList",
    "Refusal",
    "Rights",
    "ServerTime",
    "Terms",
    "TradeList",
    "TradeRow",
    "decoded",
]


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record of which only some fields are read; others are passed over."""


class Money(_Record, frozen=True, kw_only=True):
    """An amount of a currency."""

    value: str
    currency: str = ""


# --- markets ---------------------------------------------------------------------------------------------------------


class Product(_Record, frozen=True, kw_only=True):
    """One product with its rules."""

    product_id: str
    base_increment: str
    base_min_size: str
    base_max_size: str
    quote_increment: str
    quote_min_size: str
    quote_max_size: str
    base_currency_id: str
    quote_currency_id: str
    product_type: str = "SPOT"
    price_increment: str = ""
    status: str = ""
    price: str = ""
    volume_24h: str = ""
    price_percentage_change_24h: str = ""
    approximate_quote_24h_volume: str = ""
    high_24h: str = ""
    low_24h: str = ""
    best_bid_price: str = ""
    best_ask_price: str = ""
    alias: str = ""
    """The product whose book this one shares; empty for one with a book of its own."""
    is_disabled: bool = False
    trading_disabled: bool = False
    cancel_only: bool = False
    limit_only: bool = False
    post_only: bool = False
    auction_mode: bool = False
    view_only: bool = False


class _Pagination(_Record, frozen=True, kw_only=True):
    next_cursor: str = ""
    has_next: bool = False


class ProductList(_Record, frozen=True, kw_only=True):
    """A page of products."""

    products: list[Product]
    pagination: _Pagination | None = None


class Level(_Record, frozen=True, kw_only=True):
    """One price level."""

    price: str
    size: str


class PriceBook(_Record, frozen=True, kw_only=True):
    """A book as it was at a time."""

    product_id: str
    bids: list[Level]
    asks: list[Level]
    time: str = ""


class PriceBookAnswer(_Record, frozen=True, kw_only=True):
    """The answer that holds a book."""

    pricebook: PriceBook


class CandleRow(_Record, frozen=True, kw_only=True):
    """One candle; `start` in UTC seconds."""

    start: str
    low: str
    high: str
    open: str
    close: str
    volume: str


class CandleList(_Record, frozen=True, kw_only=True):
    """Candles, newest first."""

    candles: list[CandleRow]


class TradeRow(_Record, frozen=True, kw_only=True):
    """One public trade; `side` is that of the resting order."""

    trade_id: str
    product_id: str
    price: str
    size: str
    time: str
    side: str


class TradeList(_Record, frozen=True, kw_only=True):
    """Public trades, newest first, and the top of the book."""

    trades: list[TradeRow]
    best_bid: str = ""
    best_ask: str = ""


class ServerTime(_Record, frozen=True, kw_only=True, rename={"millis": "epochMillis", "seconds": "epochSeconds"}):
    """The venue's time."""

    iso: str = ""
    seconds: str = ""
    millis: str = ""


# --- accounts --------------------------------------------------------------------------------------------------------


class Rights(_Record, frozen=True, kw_only=True):
    """What a key may do."""

    can_view: bool
    can_trade: bool
    can_transfer: bool
    portfolio_uuid: str = ""
    portfolio_type: str = ""


class _FeeTier(_Record, frozen=True, kw_only=True):
    maker_fee_rate: str = ""
    taker_fee_rate: str = ""
    pricing_tier: str = ""


class Fees(_Record, frozen=True, kw_only=True):
    """The account's present fees."""

    fee_tier: _FeeTier


class Account(_Record, frozen=True, kw_only=True):
    """One wallet."""

    currency: str
    available_balance: Money
    hold: Money | None = None


class AccountPage(_Record, frozen=True, kw_only=True):
    """A page of wallets."""

    accounts: list[Account]
    has_next: bool = False
    cursor: str = ""


# --- orders ----------------------------------------------------------------------------------------------------------


class Terms(_Record, frozen=True, kw_only=True):
    """What an order asks for, whatever its kind."""

    base_size: str | None = None
    quote_size: str | None = None
    limit_price: str | None = None
    stop_price: str | None = None
    stop_trigger_price: str | None = None
    stop_direction: str | None = None
    end_time: str | None = None
    post_only: bool | None = None


class OrderRow(_Record, frozen=True, kw_only=True):
    """An order as the venue lists it."""

    order_id: str
    product_id: str
    side: str
    status: str
    order_configuration: dict[str, Terms] | None = None
    client_order_id: str = ""
    created_time: str | None = None
    last_fill_time: str | None = None
    last_update_time: str | None = None
    filled_size: str = ""
    filled_value: str = ""
    average_filled_price: str = ""
    number_of_fills: str = ""
    total_fees: str = ""
    time_in_force: str = ""
    trigger_status: str = ""
    order_type: str = ""
    product_type: str = ""
    reject_reason: str = ""
    reject_message: str = ""
    cancel_message: str = ""
    pending_cancel: bool = False
    size_in_quote: bool = False


class OrderPage(_Record, frozen=True, kw_only=True):
    """A page of orders, newest first."""

    orders: list[OrderRow]
    has_next: bool = False
    cursor: str = ""


class OneOrder(_Record, frozen=True, kw_only=True):
    """The answer about one order."""

    order: OrderRow


class FillRow(_Record, frozen=True, kw_only=True):
    """One execution."""

    trade_id: str
    order_id: str
    product_id: str
    side: str
    price: str
    size: str
    commission: str
    trade_time: str
    entry_id: str = ""
    trade_type: str = "FILL"
    sequence_timestamp: str = ""
    liquidity_indicator: str = ""
    size_in_quote: bool = False


class FillPage(_Record, frozen=True, kw_only=True):
    """A page of executions, newest first; it does not say whether it is the last."""

    fills: list[FillRow]
    cursor: str = ""


class Refusal(_Record, frozen=True, kw_only=True):
    """Why a request about an order was refused although the answer's status is 200."""

    error: str = ""
    message: str = ""
    error_details: str = ""
    preview_failure_reason: str = ""
    new_order_failure_reason: str = ""
    edit_failure_reason: str = ""
    edit_order_failure_reason: str = ""

    def reasons(self) -> tuple[str, ...]:
        """All codes it holds, the narrowest first; most of them only fill their field."""
        return (
            self.preview_failure_reason,
            self.new_order_failure_reason,
            self.edit_failure_reason,
            self.edit_order_failure_reason,
            self.error,
        )


class _Taken(_Record, frozen=True, kw_only=True):
    order_id: str = ""
    client_order_id: str = ""


class PlaceAnswer(_Record, frozen=True, kw_only=True):
    """What became of a new order."""

    success: bool
    order_id: str = ""
    success_response: _Taken | None = None


class AmendAnswer(_Record, frozen=True, kw_only=True):
    """What became of a change."""

    success: bool


class CancelResult(_Record, frozen=True, kw_only=True):
    """What became of one cancel among several."""

    success: bool
    order_id: str = ""
    failure_reason: str = ""


class CancelAnswer(_Record, frozen=True, kw_only=True):
    """What became of cancels."""

    results: list[CancelResult]


_T = TypeVar("_T")
_DECODERS: dict[type, msgspec.json.Decoder[object]] = {}


def decoded(kind: type[_T], body: bytes) -> _T:
    """Read an answer.

    Args:
        kind: What it should be.
        body: Its bytes.

    Raises:
        ExchangeError: It is something else; `error_code` is "unreadable". What became of the request is not known.
    """
    decoder = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind)
    try:
        found = decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ExchangeError(
            f"Coinbase answered something else than {kind.__name__}: {error}.", error_code="unreadable"
        ) from error
    assert isinstance(found, kind)
    return found

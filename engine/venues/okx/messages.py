"""What OKX sends, as it sends it: numbers are text, "" stands for nothing, unknown fields are skipped.

Rows are the same in answers and on the streams. Only fields that are used are named, each with a default, because OKX
adds and drops fields without notice; the parsers decide which of them they cannot do without.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any, Generic, TypeVar

import msgspec

from engine.errors import DataValidationError

__all__ = [
    "Ack",
    "AlgoRow",
    "Arg",
    "AssetRow",
    "BalanceRow",
    "BillRow",
    "BookRow",
    "CandleRow",
    "ConfigRow",
    "CurrencyRow",
    "Envelope",
    "FeeGroup",
    "FeeRow",
    "FillRow",
    "Frame",
    "FundingRow",
    "IndexRow",
    "InstrumentRow",
    "LeverageRow",
    "MarkRow",
    "OrderRow",
    "PositionRow",
    "StatusRow",
    "TickerRow",
    "TierRow",
    "TimeRow",
    "TradeRow",
    "decode",
    "decode_rows",
    "exact",
    "maybe",
    "ms",
]

T = TypeVar("T")
MS = 1_000_000


class _Row(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A row without containers in it."""


class _Nest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A row that holds others."""


# --- the market -------------------------------------------------------------------------------------------------------


class InstrumentRow(_Row, frozen=True, kw_only=True):
    """One instrument of `public/instruments` or of the `instruments` channel."""

    inst_id: str
    inst_type: str
    state: str = ""
    """`live`, `suspend`, `preopen`, `test` …"""
    base_ccy: str = ""
    quote_ccy: str = ""
    settle_ccy: str = ""
    ct_type: str = ""
    """`linear` or `inverse`; empty for spot."""
    ct_val: str = ""
    ct_mult: str = ""
    ct_val_ccy: str = ""
    uly: str = ""
    inst_family: str = ""
    tick_sz: str = ""
    lot_sz: str = ""
    min_sz: str = ""
    max_lmt_sz: str = ""
    max_mkt_sz: str = ""
    lever: str = ""
    group_id: str = ""
    """Of its fees; empty in older answers."""


class TickerRow(_Row, frozen=True, kw_only=True):
    """One row of `market/tickers` or of the `tickers` channel."""

    inst_id: str
    ts: str
    inst_type: str = ""
    last: str = ""
    ask_px: str = ""
    bid_px: str = ""
    open24h: str = ""
    high24h: str = ""
    low24h: str = ""
    vol24h: str = ""
    """In base currency for spot, in contracts for swaps."""
    vol_ccy24h: str = msgspec.field(default="", name="volCcy24h")
    """In quote currency for spot, in base currency for swaps."""


class TradeRow(_Row, frozen=True, kw_only=True):
    """One row of `market/trades` or of the `trades` channel, which joins trades of one order at one price."""

    inst_id: str
    trade_id: str
    px: str
    sz: str
    side: str
    ts: str


class BookRow(_Nest, frozen=True, kw_only=True):
    """A book or what changed of it; levels are (price, quantity, nothing, orders)."""

    asks: list[tuple[str, str, str, str]]
    bids: list[tuple[str, str, str, str]]
    ts: str
    seq_id: int | None = None
    prev_seq_id: int | None = None
    checksum: int | None = None
    """Of the first 25 levels; the exchange sends none any more."""


CandleRow = list[str]
"""Open time, open, high, low, close, volume (base or contracts), volume (base for swaps), volume in quote, and whether
it is complete; older answers end after the seventh."""


class MarkRow(_Row, frozen=True, kw_only=True):
    """One row of `public/mark-price` or of the `mark-price` channel."""

    inst_id: str
    mark_px: str
    ts: str


class IndexRow(_Row, frozen=True, kw_only=True):
    """One row of `market/index-tickers` or of the `index-tickers` channel; `inst_id` is the index, as `BTC-USDT`."""

    inst_id: str
    idx_px: str
    ts: str


class FundingRow(_Row, frozen=True, kw_only=True):
    """One row of `public/funding-rate` or of the `funding-rate` channel."""

    inst_id: str
    funding_rate: str
    funding_time: str
    """When that rate is paid."""
    next_funding_time: str = ""
    """When the one after it is paid."""
    ts: str = ""


class TierRow(_Row, frozen=True, kw_only=True):
    """One row of `public/position-tiers`."""

    mmr: str
    max_lever: str
    min_sz: str
    """Contracts from which on it holds."""
    max_sz: str = ""
    inst_family: str = ""
    uly: str = ""
    inst_id: str = ""
    tier: str = ""


class TimeRow(_Row, frozen=True, kw_only=True):
    """`public/time`."""

    ts: str


class StatusRow(_Row, frozen=True, kw_only=True):
    """One row of `system/status`."""

    title: str = ""
    state: str = ""
    """`scheduled`, `ongoing`, `pre_open`, `completed`, `canceled`."""
    begin: str = ""
    end: str = ""
    service_type: str = ""


# --- the account ------------------------------------------------------------------------------------------------------


class CurrencyRow(_Row, frozen=True, kw_only=True):
    """One currency of the trading account."""

    ccy: str
    eq: str = ""
    """Everything in it, open profit and loss and the margin of isolated positions included."""
    cash_bal: str = ""
    avail_bal: str = ""
    frozen_bal: str = ""
    ord_frozen: str = ""
    upl: str = ""
    """Open profit and loss of cross and isolated positions settled in it."""
    iso_upl: str = ""
    iso_eq: str = ""
    u_time: str = ""


class BalanceRow(_Nest, frozen=True, kw_only=True):
    """`account/balance` and the `account` channel."""

    details: list[CurrencyRow] = []
    mgn_ratio: str = ""
    """Of the whole account in cross margin; empty where it has none."""
    imr: str = ""
    mmr: str = ""
    adj_eq: str = ""
    total_eq: str = ""
    u_time: str = ""


class AssetRow(_Row, frozen=True, kw_only=True):
    """One currency of the funding account (`asset/balances`)."""

    ccy: str
    bal: str = ""
    avail_bal: str = ""
    frozen_bal: str = ""


class PositionRow(_Row, frozen=True, kw_only=True):
    """One position of `account/positions` or of the `positions` channel."""

    inst_id: str
    inst_type: str
    mgn_mode: str
    pos: str
    pos_side: str = "net"
    avg_px: str = ""
    mark_px: str = ""
    upl: str = ""
    lever: str = ""
    liq_px: str = ""
    margin: str = ""
    """Set aside for it; empty in cross margin."""
    imr: str = ""
    mmr: str = ""
    mgn_ratio: str = ""
    ccy: str = ""
    u_time: str = ""


class BillRow(_Row, frozen=True, kw_only=True):
    """One row of `account/bills`."""

    bill_id: str
    inst_id: str
    ccy: str
    ts: str
    type: str = ""
    sub_type: str = ""
    bal_chg: str = ""
    pnl: str = ""
    px: str = ""
    sz: str = ""


class FeeGroup(_Row, frozen=True, kw_only=True):
    """Fees of a group of instruments; negative is what is paid."""

    group_id: str = ""
    maker: str = ""
    taker: str = ""


class FeeRow(_Nest, frozen=True, kw_only=True):
    """`account/trade-fee`; negative is what is paid, positive a rebate."""

    inst_type: str
    maker: str = ""
    taker: str = ""
    maker_u: str = ""
    taker_u: str = ""
    maker_usdc: str = msgspec.field(default="", name="makerUSDC")
    taker_usdc: str = msgspec.field(default="", name="takerUSDC")
    fee_group: list[FeeGroup] = []


class LeverageRow(_Row, frozen=True, kw_only=True):
    """`account/leverage-info`: of one instrument in one margin mode."""

    inst_id: str
    mgn_mode: str
    lever: str
    pos_side: str = ""


class ConfigRow(_Row, frozen=True, kw_only=True):
    """`account/config`."""

    uid: str = ""
    acct_lv: str = ""
    """1 spot, 2 futures, 3 multi-currency margin, 4 portfolio margin."""
    pos_mode: str = ""
    """`net_mode` or `long_short_mode`."""
    perm: str = ""
    """`read_only`, `trade`, `withdraw`, joined by commas."""
    ip: str = ""
    """Addresses that the key is bound to, joined by commas; empty for none."""
    label: str = ""


# --- orders -----------------------------------------------------------------------------------------------------------


class Ack(_Row, frozen=True, kw_only=True):
    """The answer to one order of a placing, changing or cancelling request."""

    s_code: str = "0"
    s_msg: str = ""
    ord_id: str = ""
    cl_ord_id: str = ""
    algo_id: str = ""
    algo_cl_ord_id: str = ""
    req_id: str = ""
    ts: str = ""


class OrderRow(_Row, frozen=True, kw_only=True):
    """One order of `trade/order`, of the lists of orders, or of the `orders` channel with its last execution."""

    inst_id: str
    inst_type: str
    ord_id: str
    side: str
    sz: str
    state: str
    """`live`, `partially_filled`, `filled`, `canceled`, `mmp_canceled`."""
    ord_type: str = ""
    cl_ord_id: str = ""
    algo_id: str = ""
    algo_cl_ord_id: str = ""
    """Of the stop or take-profit order that this one came of when it was triggered."""
    px: str = ""
    tgt_ccy: str = ""
    td_mode: str = ""
    acc_fill_sz: str = ""
    avg_px: str = ""
    category: str = ""
    """`normal`, `adl`, `full_liquidation`, `partial_liquidation` …"""
    cancel_source: str = ""
    cancel_source_reason: str = ""
    reduce_only: str = ""
    c_time: str = ""
    u_time: str = ""
    # The execution that the message tells of; only on the stream.
    trade_id: str = ""
    fill_px: str = ""
    fill_sz: str = ""
    fill_fee: str = ""
    fill_fee_ccy: str = ""
    fill_time: str = ""
    exec_type: str = ""
    fee: str = ""
    fee_ccy: str = ""
    """Of all executions so far."""
    # The change that the message tells of; only on the stream.
    req_id: str = ""
    amend_result: str = ""
    """`0` done, `-1` failed, `1` the order was cancelled because of it; empty for no change."""
    code: str = ""
    msg: str = ""


class AlgoRow(_Nest, frozen=True, kw_only=True):
    """One algo order: a stop or take-profit order that waits for its trigger."""

    algo_id: str
    inst_id: str
    inst_type: str
    ord_type: str
    """`conditional`, `oco`, `trigger`, …"""
    side: str
    state: str
    """`live`, `pause`, `partially_effective`, `effective`, `canceled`, `order_failed`, `partially_failed`."""
    sz: str = ""
    algo_cl_ord_id: str = ""
    ord_id: str = ""
    """Of the order that it became last."""
    ord_id_list: list[str] = []
    sl_trigger_px: str = ""
    sl_ord_px: str = ""
    tp_trigger_px: str = ""
    tp_ord_px: str = ""
    trigger_px: str = ""
    ord_px: str = ""
    td_mode: str = ""
    reduce_only: str = ""
    close_fraction: str = ""
    actual_side: str = ""
    last: str = ""
    trigger_time: str = ""
    fail_code: str = ""
    req_id: str = ""
    amend_result: str = ""
    c_time: str = ""
    u_time: str = ""


class FillRow(_Row, frozen=True, kw_only=True):
    """One execution of `trade/fills` or `trade/fills-history`."""

    inst_id: str
    trade_id: str
    ord_id: str
    fill_px: str
    fill_sz: str
    side: str
    ts: str
    bill_id: str = ""
    inst_type: str = ""
    cl_ord_id: str = ""
    exec_type: str = ""
    fee: str = ""
    fee_ccy: str = ""
    sub_type: str = ""
    """Kind of the bill; 100 to 111 for liquidations, 125 to 128 for deleveraging."""
    fill_time: str = ""


# --- around them ------------------------------------------------------------------------------------------------------


class Envelope(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """An answer."""

    code: str
    msg: str = ""
    data: list[T] = []


class Arg(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Which subscription a message belongs to."""

    channel: str = ""
    inst_id: str = ""
    inst_type: str = ""


class Frame(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A message of a stream: an event (`subscribe`, `login`, `error`, `notice` …) or data."""

    event: str = ""
    arg: Arg = Arg()
    action: str = ""
    data: msgspec.Raw = msgspec.Raw(b"[]")
    code: str = ""
    msg: str = ""
    id: str = ""
    conn_id: str = ""


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    found = _decoders.get(kind)
    if found is None:
        found = _decoders[kind] = msgspec.json.Decoder(kind)
    return found


def decode(body: bytes | msgspec.Raw, row: type[T]) -> T:
    """Read one value.

    Raises:
        DataValidationError: It is not JSON, or lacks what the value cannot be without.
    """
    try:
        found: T = _decoder(row).decode(body)
    except msgspec.DecodeError as error:
        raise DataValidationError(f"OKX sent what cannot be read as {row.__name__} ({error}).") from error
    return found


def decode_rows(body: bytes, row: type[T]) -> list[T]:
    """Rows of a successful answer. Raises as `decode`."""
    envelope: Envelope[T] = decode(body, Envelope[row])  # type: ignore[valid-type]
    return envelope.data


def maybe(text: str) -> Decimal | None:
    """An exact number; None for nothing.

    Raises:
        DataValidationError: It is no finite number.
    """
    if not text:
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise DataValidationError(f"OKX sent {text[:40]!r} where a number belongs.")
    return value


def exact(text: str) -> Decimal:
    """An exact number; 0 for nothing. Raises as `maybe`."""
    return maybe(text) or Decimal(0)


def ms(text: str) -> int:
    """UTC nanoseconds of a time in milliseconds; 0 for nothing.

    Raises:
        DataValidationError: It is no time.
    """
    if not text:
        return 0
    if not text.isdecimal():
        raise DataValidationError(f"OKX sent {text[:40]!r} where a time in milliseconds belongs.")
    return int(text) * MS

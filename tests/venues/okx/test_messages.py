"""Every recorded message of OKX can be read, and numbers stay exact."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import DataValidationError
from engine.venues.okx.messages import (
    Ack,
    AlgoRow,
    Arg,
    BalanceRow,
    BookRow,
    CandleRow,
    FeeRow,
    FillRow,
    Frame,
    FundingRow,
    IndexRow,
    InstrumentRow,
    MarkRow,
    OrderRow,
    PositionRow,
    TickerRow,
    TierRow,
    TradeRow,
    decode,
    decode_rows,
    exact,
    maybe,
    ms,
)
from tests.venues.okx.recorded import captures, current, fixtures

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS: dict[str, Any] = {
    "http_cancel_algo_order_response": Ack,
    "http_get_account_balance": BalanceRow,
    "http_get_candlesticks": list[str],
    "http_get_candlesticks_full": list[str],
    "http_get_index_price": IndexRow,
    "http_get_instruments_futures": InstrumentRow,
    "http_get_instruments_margin": InstrumentRow,
    "http_get_instruments_spot": InstrumentRow,
    "http_get_instruments_swap": InstrumentRow,
    "http_get_mark_price": MarkRow,
    "http_get_order_book": BookRow,
    "http_get_orders_algo_pending": AlgoRow,
    "http_get_orders_algo_pending_attached_oco": AlgoRow,
    "http_get_orders_algo_pending_close_fraction": AlgoRow,
    "http_get_orders_history": OrderRow,
    "http_get_orders_pending": OrderRow,
    "http_get_position_tiers": TierRow,
    "http_get_positions": PositionRow,
    "http_get_trade_fee_response": FeeRow,
    "http_get_trades": TradeRow,
    "http_place_algo_order_response": Ack,
}
"""Answers and what their rows are."""
BARE: dict[str, Any] = {"http_place_order_response": Ack, "http_transaction_detail": FillRow}
"""Recorded as a row without its envelope."""
UNUSED = {
    "http_get_account_positions-history",
    "http_get_funding_rate_history",
    "http_get_option_summary",
    "http_set_position_mode_response",
}
"""Answers of endpoints that are not asked."""
CHANNELS: dict[str, Any] = {
    "account": BalanceRow,
    "bbo-tbt": BookRow,
    "books": BookRow,
    "books5": BookRow,
    "books-l2-tbt": BookRow,
    "candle1D": CandleRow,
    "candle1m": CandleRow,
    "funding-rate": FundingRow,
    "instruments": InstrumentRow,
    "orders": OrderRow,
    "orders-algo": AlgoRow,
    "tickers": TickerRow,
    "trades": TradeRow,
}
"""Channels and what their rows are."""

NOT_RECORDED = {
    ("Ack", "reqId"),
    ("AlgoRow", "amendResult"),
    ("AlgoRow", "failCode"),
    ("AlgoRow", "ordIdList"),
    ("AlgoRow", "reqId"),
    ("FeeRow", "feeGroup"),
    ("Frame", "id"),
    ("InstrumentRow", "groupId"),
    ("OrderRow", "amendResult"),
    ("OrderRow", "fillFee"),
    ("OrderRow", "fillFeeCcy"),
    ("OrderRow", "reqId"),
}
"""Fields that no recorded message has: named after the documentation alone."""


def _as_sent(row: Any, raw: dict[str, Any]) -> bool:
    """Whether every field that was read is exactly what was sent."""
    camel = dict(zip(row.__struct_encode_fields__, _values(row), strict=True))
    return all(camel[name] == raw[name] for name in camel.keys() & raw.keys() if isinstance(raw[name], str | int))


def _values(row: Any) -> list[Any]:
    return [getattr(row, name) for name in row.__struct_fields__]


def test_every_recorded_answer_is_read_as_it_was_sent(shared_data: Path) -> None:
    answers = {name: body for name, body in fixtures(shared_data).items() if name.startswith("http_")}
    assert set(answers) == set(ANSWERS) | set(BARE) | UNUSED
    for name, kind in ANSWERS.items():
        rows, raw = decode_rows(answers[name], kind), json.loads(answers[name])["data"]
        assert len(rows) == len(raw) > 0, name
        if not isinstance(raw[0], list):
            assert all(_as_sent(row, sent) for row, sent in zip(rows, raw, strict=True)), name
    for name, kind in BARE.items():
        assert _as_sent(decode(answers[name], kind), json.loads(answers[name])), name


def test_every_recorded_frame_is_read_as_it_was_sent(shared_data: Path) -> None:
    frames = [body for name, body in fixtures(shared_data).items() if name.startswith("ws_")]
    frames += [body for _, body in current(shared_data)]
    frames += [body for kind, _, body in captures(shared_data) if kind == "recv"]
    seen: Counter[str] = Counter()
    for body in frames:
        frame = decode(body, Frame)
        if frame.event:
            seen[frame.event] += 1
            continue
        kind: Any = list.__class_getitem__(CHANNELS[frame.arg.channel])
        rows, raw = decode(frame.data, kind), json.loads(body)["data"]
        assert len(rows) == len(raw)
        if not isinstance(raw[0], list):
            assert all(_as_sent(row, sent) for row, sent in zip(rows, raw, strict=True))
        seen[frame.arg.channel] += 1
    assert set(seen) == set(CHANNELS) | {"subscribe"}
    assert seen["books"] == 287 + 3 + 2
    assert seen["books-l2-tbt"] == 1494 + 10


def test_every_recorded_list_of_instruments_is_read(shared_data: Path) -> None:
    lists = [body for kind, url, body in captures(shared_data) if kind == "http" and "/public/instruments" in url]
    assert len(lists) == 30
    assert all(decode_rows(body, InstrumentRow) for body in lists)


def test_no_field_is_named_otherwise_than_okx_names_it(shared_data: Path) -> None:
    bodies = [*fixtures(shared_data).values(), *(body for _, body in current(shared_data))]
    bodies += [body for kind, _, body in captures(shared_data) if kind == "http"]
    recorded = {name for body in bodies for name in re.findall(rb'"(\w+)"\s*:', body)}
    kinds = (*ANSWERS.values(), *CHANNELS.values(), Frame, Arg)
    unseen = {
        (kind.__name__, name)
        for kind in kinds
        if hasattr(kind, "__struct_encode_fields__")
        for name in kind.__struct_encode_fields__
        if name.encode() not in recorded
    }
    assert unseen == NOT_RECORDED


def test_numbers_are_exact_and_nothing_is_none() -> None:
    assert exact("0.00000000000000012") == Decimal("0.00000000000000012")
    assert maybe("") is None
    assert exact("") == 0
    assert ms("1746947317401") == 1_746_947_317_401_000_000
    assert ms("") == 0


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1,5", "abc", "--1"])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(DataValidationError):
        maybe(text)


@pytest.mark.parametrize("text", ["-5", "12.5", "soon"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(DataValidationError):
        ms(text)


@pytest.mark.parametrize("body", [b"", b"<html>429</html>", b'{"code":0}', b'{"code":"0","data":[{"px":"1"}]}'])
def test_what_cannot_be_read_is_a_typed_error(body: bytes) -> None:
    with pytest.raises(DataValidationError):
        decode_rows(body, TradeRow)

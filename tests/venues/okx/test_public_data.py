"""OKX's market data becomes exact model objects."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from engine.errors import DataValidationError
from engine.model.market import MarkPrice
from engine.model.order import OrderSide
from engine.venues.okx.messages import (
    BookRow,
    Frame,
    FundingRow,
    IndexRow,
    MarkRow,
    StatusRow,
    TickerRow,
    TradeRow,
    decode,
    decode_rows,
)
from engine.venues.okx.public_data import (
    Marks,
    maintained,
    parse_book,
    parse_candle,
    parse_candles,
    parse_ticker,
    parse_trade,
    side_of,
)
from tests.venues.okx.recorded import captures, current, fixtures, instrument

if TYPE_CHECKING:
    from pathlib import Path

SPOT = instrument("BTC-USDT")
SWAP = instrument("BTC-USDT-SWAP", multiplier="0.01")


def frames(shared_data: Path, channel: str) -> list[tuple[str, list[Any], Frame]]:
    """Every recorded data frame of a channel: instrument, raw rows, frame."""
    bodies = [body for name, body in fixtures(shared_data).items() if name.startswith("ws_")]
    bodies += [body for _, body in current(shared_data)]
    bodies += [body for kind, _, body in captures(shared_data) if kind == "recv"]
    found = []
    for body in bodies:
        frame = decode(body, Frame)
        if frame.arg.channel == channel and not frame.event:
            found.append((frame.arg.inst_id, json.loads(body)["data"], frame))
    return found


def test_every_recorded_trade_is_exact(shared_data: Path) -> None:
    seen = 0
    for symbol, raw, frame in frames(shared_data, "trades"):
        what = instrument(symbol)
        for row, sent in zip(decode(frame.data, list[TradeRow]), raw, strict=True):
            trade = parse_trade(what, row)
            assert what.price_from_int(trade.price) == Decimal(sent["px"])
            assert what.quantity_from_int(trade.quantity) == Decimal(sent["sz"])
            assert (trade.aggressor.value, trade.trade_id, trade.ts) == (
                sent["side"],
                sent["tradeId"],
                int(sent["ts"]) * 10**6,
            )
            seen += 1
    assert seen > 100
    answered = decode_rows(fixtures(shared_data)["http_get_trades"], TradeRow)
    assert [parse_trade(SPOT, row).aggressor for row in answered] == [OrderSide.SELL, OrderSide.BUY]


def test_every_recorded_ticker_is_exact_and_volumes_are_in_currency(shared_data: Path) -> None:
    seen = 0
    for symbol, raw, frame in frames(shared_data, "tickers"):
        what = instrument(symbol)
        for row, sent in zip(decode(frame.data, list[TickerRow]), raw, strict=True):
            ticker = parse_ticker(what, row)
            for ours, theirs in ((ticker.bid, "bidPx"), (ticker.ask, "askPx"), (ticker.last, "last")):
                assert ours == (Decimal(sent[theirs]) if sent[theirs] else None)
            spot = "SWAP" not in symbol
            assert ticker.base_volume == Decimal(sent["vol24h" if spot else "volCcy24h"])
            assert (ticker.quote_volume is None) is not spot
            seen += 1
    assert seen > 70


def test_a_candle_of_a_swap_has_its_volume_in_base_currency(shared_data: Path) -> None:
    rows = decode_rows(fixtures(shared_data)["http_get_candlesticks_full"], list[str])
    earlier, later = parse_candles(SWAP, "1m", rows)
    assert (earlier.ts, later.ts) == (1_747_093_980_000_000_000, 1_747_094_040_000_000_000)
    assert (later.open, later.high, later.low, later.close) == (102806.1, 102820.4, 102806.1, 102820.4)
    assert later.volume == 10.4037
    assert parse_candles(SPOT, "1m", rows)[1].volume == 1040.37


def test_growing_candles_are_not_listed_but_streamed_as_such(shared_data: Path) -> None:
    assert parse_candles(SPOT, "1m", decode_rows(fixtures(shared_data)["http_get_candlesticks"], list[str])) == []
    ((_, raw, frame),) = frames(shared_data, "candle1m")
    (candle,) = (parse_candle(SPOT, "1m", row) for row in decode(frame.data, list[list[str]]))
    assert not candle.closed
    assert candle.volume == float(raw[0][5])
    ((_, _, day),) = frames(shared_data, "candle1D")
    assert parse_candle(SPOT, "1d", decode(day.data, list[list[str]])[0]).closed


@pytest.mark.parametrize("row", [[], ["1", "2", "3"], ["1", "a", "2", "3", "4", "5", "6", "7", "1"]])
def test_a_broken_candle_is_a_typed_error(row: list[str]) -> None:
    with pytest.raises(DataValidationError):
        parse_candle(SPOT, "1m", row)


def test_a_book_is_sorted_cut_and_exact(shared_data: Path) -> None:
    (row,) = decode_rows(fixtures(shared_data)["http_get_order_book"], BookRow)
    book = parse_book(SPOT, row, 2)
    assert [SPOT.price_from_int(p) for p, _ in book.bids] == [Decimal("41006.7"), Decimal("41006.6")]
    assert [SPOT.quantity_from_int(q) for _, q in book.asks] == [Decimal("0.60038921"), Decimal("0.30178218")]
    assert book.snapshot


def test_every_recorded_short_book_is_exact(shared_data: Path) -> None:
    seen = 0
    for symbol, raw, frame in (*frames(shared_data, "books5"), *frames(shared_data, "bbo-tbt")):
        what = instrument(symbol)
        for row, sent in zip(decode(frame.data, list[BookRow]), raw, strict=True):
            book = parse_book(what, row, 5)
            for ours, side in ((book.bids, "bids"), (book.asks, "asks")):
                assert [what.price_from_int(p) for p, _ in ours] == [Decimal(level[0]) for level in sent[side]]
            assert book.seq == sent["seqId"]
            seen += 1
    assert seen == 4


def test_marks_join_index_and_funding(shared_data: Path) -> None:
    marks = Marks()
    (mark,) = decode_rows(fixtures(shared_data)["http_get_mark_price"], MarkRow)
    (index,) = decode_rows(fixtures(shared_data)["http_get_index_price"], IndexRow)
    ((_, _, frame),) = frames(shared_data, "funding-rate")
    (funding,) = decode(frame.data, list[FundingRow])
    bare = marks.mark(SWAP, mark)
    assert bare == MarkPrice(SWAP.id, 1_744_590_349_506_000_000, Decimal("84660.1"))
    marks.index(index)
    marks.funding(SWAP, funding)
    whole = marks.mark(SWAP, mark)
    assert (whole.index, whole.funding_rate) == (Decimal(103895), Decimal("0.0001"))
    assert whole.next_funding == 1_744_590_349_506_000_000
    other = marks.mark(instrument("ETH-USDT-SWAP"), mark)
    assert (other.index, other.funding_rate) == (None, None)
    marks.forget(SWAP.id)
    assert marks.mark(SWAP, mark).funding_rate is None


def test_only_maintenance_under_way_counts() -> None:
    assert not maintained([])
    assert not maintained([StatusRow(state="scheduled"), StatusRow(state="completed")])
    assert maintained([StatusRow(state="scheduled"), StatusRow(state="ongoing")])


def test_a_side_that_is_neither_is_refused() -> None:
    with pytest.raises(DataValidationError):
        side_of("long")

"""Binance: books equal every recorded bookTicker; gaps, old diffs and late snapshots are handled by the ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from engine.model.market import BookUpdate, FeedStatus, MarketEvent, MarketTrade, OrderBook
from engine.model.order import OrderSide
from engine.venues.markets.capture import CaptureLine, scaled
from engine.venues.markets.capture_binance import BinanceParser, survey
from tests.venues.markets.capture_kit import answered, lines_of, received

if TYPE_CHECKING:
    from pathlib import Path

FILES = [
    ("spot_4sym_20210814", 90),
    ("spot_4sym_20211012", 20),
    ("spot_btcusdt_20240808", 500),
    ("usdm_4sym_20210722", 50),
    ("usdm_btcusdt_20240808", 600),
]


@pytest.mark.parametrize(("file", "least"), FILES)
def test_the_best_prices_equal_every_book_ticker_of_the_same_update(shared_data: Path, file: str, least: int) -> None:
    lines = lines_of(shared_data / "captures" / "binance" / f"{file}.jsonl.gz")
    instruments = survey(lines, "BINANCE")
    by_symbol = {f"{i.base}{i.quote}": i for i in instruments}
    tickers: dict[tuple[str, int], dict[str, Any]] = {}
    for line in lines:
        if line.t == "recv" and "@bookTicker" in line.data:
            ticker = orjson.loads(line.data)["data"]
            tickers[ticker["s"], ticker["u"]] = ticker
    parser = BinanceParser(instruments)
    books = {i.id: OrderBook(i.id) for i in instruments}
    compared = 0
    for line in lines:
        for event in parser.feed(line):
            if not isinstance(event, BookUpdate):
                continue
            book = books[event.instrument]
            assert book.apply(event)
            symbol = next(s for s, i in by_symbol.items() if i.id == event.instrument)
            found = tickers.get((symbol, parser.last_update_id(symbol)))
            if found is None or event.snapshot:
                continue
            scale, lots = by_symbol[symbol].price_scale, by_symbol[symbol].quantity_scale
            bid, ask = scaled(found["b"], scale), scaled(found["a"], scale)
            assert (book.best_bid, book.best_ask) == (bid, ask)
            assert (book.bids[bid], book.asks[ask]) == (scaled(found["B"], lots), scaled(found["A"], lots))
            compared += 1
    assert compared >= least


def diff(first: int, last: int, *, pu: int | None = None, bids: Any = (), asks: Any = (), e: int = 1000) -> CaptureLine:
    body = {"e": "depthUpdate", "E": e, "s": "BTCUSDT", "U": first, "u": last, "b": bids, "a": asks}
    if pu is not None:
        body["pu"] = pu
    return received({"stream": "btcusdt@depth@100ms", "data": body})


def depth(last: int) -> CaptureLine:
    body = {"lastUpdateId": last, "bids": [["100.0", "1.00"]], "asks": [["100.5", "2.00"]]}
    return answered("https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000", body)


def play(*lines: CaptureLine) -> list[MarketEvent]:
    parser = BinanceParser(survey([depth(1), diff(1, 1, bids=[["99.5", "1.25"]])], "BINANCE"))
    return [event for line in lines for event in parser.feed(line)]


def shape(events: list[MarketEvent]) -> list[object]:
    """Seqs of updates, `live` of news."""
    return [e.seq if isinstance(e, BookUpdate) else e.live if isinstance(e, FeedStatus) else e for e in events]


def test_diffs_before_the_snapshot_wait_and_the_old_ones_are_dropped() -> None:
    events = play(diff(5, 8), diff(9, 12, bids=[["99.5", "3"]]), diff(13, 14), depth(10), diff(15, 15))
    assert shape(events) == [True, 0, 1, 2, 3]
    snapshot, bridge = events[1], events[2]
    assert isinstance(snapshot, BookUpdate)
    assert isinstance(bridge, BookUpdate)
    assert snapshot.bids == ((1000, 100),)
    assert bridge.bids == ((995, 300),)


def test_a_missing_diff_loses_the_book_until_the_next_snapshot() -> None:
    events = play(depth(10), diff(11, 12), diff(14, 15), diff(16, 17), depth(15), diff(18, 18))
    assert shape(events) == [True, 0, 1, False, True, 2, 3, 4]


def test_a_snapshot_older_than_the_diffs_is_not_joined() -> None:
    events = play(diff(20, 22), depth(10), diff(23, 24), depth(22), diff(25, 25))
    assert shape(events) == [True, 0, False, True, 1, 2, 3]


def test_futures_follow_the_previous_id_and_bridge_on_the_snapshots_own() -> None:
    kept = play(depth(100), diff(90, 99, pu=80), diff(95, 105, pu=89), diff(200, 210, pu=105))
    assert shape(kept) == [True, 0, 1, 2]
    lost = play(depth(100), diff(95, 105, pu=89), diff(200, 210, pu=150))
    assert shape(lost) == [True, 0, 1, False]


def test_a_trade_names_the_aggressor_and_the_insurance_fund_is_no_trade() -> None:
    trade = {"e": "trade", "E": 5, "T": 5, "s": "BTCUSDT", "t": 77, "p": "100.50", "q": "0.25", "m": True}
    (event,) = play(received(trade))
    assert isinstance(event, MarketTrade)
    assert (event.trade_id, event.price, event.quantity) == ("77", 1005, 25)
    assert event.aggressor is OrderSide.SELL
    assert play(received({**trade, "X": "INSURANCE_FUND"})) == []
    assert play(received({**trade, "s": "DOGEUSDT"}), received([1]), received({"result": None})) == []

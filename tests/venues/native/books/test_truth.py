"""Books against what was recorded beside them: best prices, checksums, and a naive dict, in both implementations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from engine.model.order import OrderSide
from engine.venues.native.books.binance import BinanceBooks
from engine.venues.native.books.coinbase import CoinbaseBooks
from engine.venues.native.books.keeping import Taken
from engine.venues.native.books.loading import load
from engine.venues.native.books.okx import OkxBooks
from engine.venues.numbers import scaled
from tests.venues.native.books.kit import Log, keep_all, lines

if TYPE_CHECKING:
    from pathlib import Path

COMPILED = pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
BINANCE = ["spot_4sym_20211012", "spot_4sym_20210814", "usdm_4sym_20210722", "spot_btcusdt_20240808",
           "usdm_btcusdt_20240808"]  # fmt: skip
MOST = 12_000
"""Lines of the two long recordings that the plain way is tested with; the compiled way takes them whole."""


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    load()


def _snapshot(books: BinanceBooks, url: str, data: str, ts: int) -> None:
    if "/depth" in url or '"lastUpdateId"' in data[:20]:
        named = parse_qs(urlsplit(url).query).get("symbol")
        symbol = named[0].upper() if named else next(iter(books.kept))
        assert books.snapshot(symbol, data.encode(), ts) is not Taken.UNREADABLE


@COMPILED
@pytest.mark.parametrize("name", BINANCE)
def test_binance_best_prices_equal_every_recorded_ticker_of_the_same_update(
    shared_data: Path, name: str, compiled: bool
) -> None:
    path = shared_data / "captures" / "binance" / f"{name}.jsonl.gz"
    log = Log()
    books = BinanceBooks(log, compiled=compiled)
    keep_all(books, path, "binance")
    tickers: dict[tuple[str, int], dict[str, Any]] = {}
    at: dict[tuple[str, int], tuple[int | None, int | None]] = {}
    for line in lines(path) if compiled else lines(path)[:MOST]:
        data = line.data.encode()
        if line.t == "http":
            _snapshot(books, line.url, line.data, line.ts_ns)
        elif (line.t == "recv" and b"bookTicker" in data[:60]) or b'"bookTicker"' in data:
            body = orjson.loads(data)
            body = body.get("data", body)
            tickers[body["s"], body["u"]] = body
        elif line.t == "recv":
            books.feed(data)
        for symbol, kept in books.kept.items():
            if kept.live:
                at[symbol, kept.last] = (kept.book.best_bid, kept.book.best_ask)
    both = tickers.keys() & at.keys()
    for key in both:
        places = books.kept[key[0]].places[0]
        assert at[key] == (scaled(tickers[key]["b"], places), scaled(tickers[key]["a"], places)), key
    assert len(both) >= (1 if "2021" in name else 20)
    assert all(kept.live for kept in books.kept.values())
    assert log.losses == []


@COMPILED
@pytest.mark.parametrize("name", ["books_3inst_20220513", "books_l2_tbt_10inst_20210722_c1"])
def test_okx_every_checksum_holds(shared_data: Path, name: str, compiled: bool) -> None:
    path = shared_data / "captures" / "okx" / f"{name}.jsonl.gz"
    log = Log()
    books = OkxBooks(log, compiled=compiled)
    keep_all(books, path, "okx")
    expected = 0
    for line in lines(path):
        if line.t == "recv":
            body = orjson.loads(line.data)
            if "action" in body and body["arg"]["instId"] in books.kept:
                expected += len(body["data"])
            books.feed(line.data.encode())
    assert log.losses == []
    assert books.checked == expected > 250


@COMPILED
def test_coinbase_has_no_gap_and_equals_a_naive_dict_after_every_message(shared_data: Path, compiled: bool) -> None:
    path = shared_data / "captures" / "coinbase" / "advanced_trade_btc_eth_20260809_first640.jsonl.gz"
    log = Log()
    books = CoinbaseBooks(log, compiled=compiled)
    keep_all(books, path, "coinbase")
    naive: dict[tuple[str, str], dict[int, int]] = {}
    applied = 0
    for line in lines(path):
        if line.t != "recv":
            continue
        taken = books.feed(line.data.encode(), line.conn)
        body = orjson.loads(line.data)
        if body.get("channel") != "l2_data":
            assert taken is Taken.OTHER
            continue
        applied += taken is Taken.APPLIED
        for event in body["events"]:
            kept = books.kept[event["product_id"]]
            for side in ("bid", "offer"):
                levels = naive.setdefault((kept.symbol, side), {})
                for update in event["updates"]:
                    if update["side"] == side:
                        price = scaled(update["price_level"], kept.places[0])
                        levels[price] = scaled(update["new_quantity"], kept.places[1])
                        if not levels[price]:
                            del levels[price]
            _same(kept.book, naive[kept.symbol, "bid"], naive[kept.symbol, "offer"])
    assert applied > 400
    assert log.losses == []


def _same(book: Any, bids: dict[int, int], asks: dict[int, int]) -> None:
    for side, levels, changed in (
        (OrderSide.BUY, bids, book.last_change().bids),
        (OrderSide.SELL, asks, book.last_change().asks),
    ):
        held = book.levels(OrderSide.SELL if side is OrderSide.BUY else OrderSide.BUY)
        assert dict(held) == levels
        prices = [price for price, _ in held]
        assert prices == sorted(prices, reverse=side is OrderSide.BUY)
        assert len(held) == len(levels)
        assert (book.best_bid if side is OrderSide.BUY else book.best_ask) == prices[0]
        for price, _ in changed[-50:]:
            assert levels.get(price, 0) == book.size_at(side, price)


def test_coinbase_legacy_messages_are_nobodys_and_change_nothing(shared_data: Path) -> None:
    path = shared_data / "captures" / "coinbase" / "exchange_level2_10prod_20210417.jsonl.gz"
    log = Log()
    books = CoinbaseBooks(log)
    keep_all(books, path, "coinbase")
    for line in lines(path):
        if line.t == "recv":
            assert books.feed(line.data.encode(), line.conn) is Taken.OTHER
    assert (log.moves, log.losses) == ([], [])

"""Coinbase: gap-free by sequence number, books equal the ticker, the aggressor is the maker's opposite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from engine.model.market import BookUpdate, FeedStatus, MarketEvent, MarketTrade, OrderBook
from engine.model.order import OrderSide
from engine.venues.markets.capture import CaptureLine, scaled
from engine.venues.markets.capture_coinbase import CoinbaseParser, survey
from tests.venues.markets.capture_kit import lines_of, received

if TYPE_CHECKING:
    from pathlib import Path

ADVANCED = "captures/coinbase/advanced_trade_btc_eth_20260809_first640.jsonl.gz"
LEGACY = "captures/coinbase/exchange_level2_10prod_20210417.jsonl.gz"


def test_the_advanced_feed_has_no_gap_and_its_book_equals_the_ticker(shared_data: Path) -> None:
    lines = lines_of(shared_data / ADVANCED)
    instruments = survey(lines, "COINBASE")
    parser = CoinbaseParser(instruments)
    books = {i.symbol.replace("/", "-"): OrderBook(i.id) for i in instruments}
    by_id = {book.instrument: book for book in books.values()}
    equal = compared = 0
    for line in lines:
        for event in parser.feed(line):
            if isinstance(event, BookUpdate):
                assert by_id[event.instrument].apply(event)
            elif isinstance(event, FeedStatus):
                assert event.live
        if line.t == "recv" and '"channel":"ticker"' in line.data:
            for event in orjson.loads(line.data)["events"]:
                for ticker in event["tickers"]:
                    book = books[ticker["product_id"]]
                    if book.best_bid is not None:
                        compared += 1
                        best = (scaled(ticker["best_bid"], 2), scaled(ticker["best_ask"], 2))
                        equal += (book.best_bid, book.best_ask) == best
    # Ticker and book are not sent together, so a few tickers are ahead of the book or behind it.
    assert compared > 80
    assert equal / compared > 0.8


def test_the_aggressor_is_on_the_side_of_the_book_that_was_hit(shared_data: Path) -> None:
    for file in (ADVANCED, LEGACY):
        lines = lines_of(shared_data / file)
        instruments = survey(lines, "COINBASE")
        parser = CoinbaseParser(instruments)
        books = {i.id: OrderBook(i.id) for i in instruments}
        agree = total = 0
        for line in lines:
            for event in parser.feed(line):
                book = books[event.instrument]
                if isinstance(event, BookUpdate):
                    book.apply(event)
                elif isinstance(event, MarketTrade) and book.best_bid is not None and book.best_ask is not None:
                    total += 1
                    agree += (2 * event.price > book.best_bid + book.best_ask) == (event.aggressor is OrderSide.BUY)
        assert agree / total > 0.9


def frame(number: int, channel: str, *events: dict[str, Any]) -> CaptureLine:
    stamp = "2026-08-09T21:05:48.228568804Z"
    return received({"channel": channel, "timestamp": stamp, "sequence_num": number, "events": list(events)})


def level(side: str, price: str, quantity: str) -> dict[str, str]:
    return {"side": side, "price_level": price, "new_quantity": quantity}


SNAPSHOT = {
    "type": "snapshot",
    "product_id": "BTC-USD",
    "updates": [level("bid", "10.5", "1"), level("offer", "11", "2")],
}
UPDATE = {
    "type": "update",
    "product_id": "BTC-USD",
    "updates": [level("offer", "10.9", "3"), level("bid", "10.5", "0")],
}


def play(*lines: CaptureLine) -> list[MarketEvent]:
    parser = CoinbaseParser(survey([frame(0, "l2_data", SNAPSHOT, UPDATE)], "COINBASE"))
    return [event for line in lines for event in parser.feed(line)]


def shape(events: list[MarketEvent]) -> list[object]:
    return [e.seq if isinstance(e, BookUpdate) else e.live if isinstance(e, FeedStatus) else e for e in events]


def test_a_missing_message_of_any_channel_loses_the_books_until_the_next_snapshot() -> None:
    events = play(
        frame(1, "l2_data", SNAPSHOT),
        frame(2, "heartbeats"),
        frame(3, "l2_data", UPDATE),
        frame(5, "l2_data", UPDATE),
        frame(6, "l2_data", UPDATE),
        frame(7, "l2_data", SNAPSHOT),
    )
    assert shape(events) == [True, 0, 1, False, True, 2]
    update = events[2]
    assert isinstance(update, BookUpdate)
    assert (update.bids, update.asks) == (((105, 0),), ((109, 3),))


def test_trades_come_oldest_first_and_those_before_the_connection_are_left_out() -> None:
    def trade(number: int) -> dict[str, str]:
        return {
            "product_id": "BTC-USD",
            "trade_id": str(number),
            "price": "10.5",
            "size": "2",
            "side": "SELL",
            "time": "2026-08-09T21:05:42.514318Z",
        }

    events = play(
        frame(1, "market_trades", {"type": "snapshot", "trades": [trade(2), trade(1)]}),
        frame(2, "market_trades", {"type": "update", "trades": [trade(4), trade(3)]}),
    )
    assert [e.trade_id for e in events if isinstance(e, MarketTrade)] == ["3", "4"]
    assert all(e.aggressor is OrderSide.BUY for e in events if isinstance(e, MarketTrade))

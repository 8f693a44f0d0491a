"""Fills over a level-2 book: what is displayed, what queues before us, what trades."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from engine.model.market import FeedStatus
from engine.model.order import OrderStatus
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import BookFillSettings, PaperSettings, StopTrigger
from tests.venues.paper.helpers import (
    BTC,
    PAPER,
    START,
    D,
    executions,
    fills,
    make_exchange,
    names,
    order,
    snapshot,
    trade,
    update,
)

if TYPE_CHECKING:
    from engine.venues.paper.exchange import PaperExchange

BIDS = [("99", "5"), ("98", "10"), ("97", "20")]
ASKS = [("101", "5"), ("102", "10"), ("103", "20")]


def make(settings: BookFillSettings | None = None, **balances: str) -> PaperExchange:
    """An exchange that has seen a book of 5, 10 and 20 units a side around 100."""
    exchange = make_exchange(
        FillKind.BOOK,
        settings=PaperSettings(book=settings or BookFillSettings(collar_pct=D(10))),
        balances=balances or None,
    )
    exchange.on_book(snapshot(BIDS, ASKS))
    return exchange


# --- taking ----------------------------------------------------------------------------------------------------------


def test_a_market_order_walks_the_book() -> None:
    exchange = make()
    reports = exchange.place(order("buy", "market", "16"), START)
    assert names(reports) == ["Accepted", "Filled", "Filled", "Filled"]
    assert executions(reports) == ["buy 5@101 taker", "buy 10@102 taker", "buy 1@103 taker"]
    reports = exchange.place(order("sell", "market", "6"), START)
    assert executions(reports) == ["sell 5@99 taker", "sell 1@98 taker"]


def test_what_we_took_stays_taken_until_the_level_is_sent_anew() -> None:
    exchange = make()
    exchange.place(order("buy", "market", "4"), START)
    assert executions(exchange.place(order("buy", "market", "2"), START)) == ["buy 1@101 taker", "buy 1@102 taker"]
    exchange.on_book(update(2, bids=[("99", "6")]))
    assert executions(exchange.place(order("buy", "market", "1"), START)) == ["buy 1@102 taker"]
    exchange.on_book(update(3, asks=[("101", "5")]))
    assert executions(exchange.place(order("buy", "market", "1"), START)) == ["buy 1@101 taker"]


def test_a_market_order_never_walks_beyond_the_collar() -> None:
    exchange = make(BookFillSettings(collar_pct=D(2)))
    reports = exchange.place(order("buy", "market", "20"), START)
    assert executions(reports) == ["buy 5@101 taker", "buy 10@102 taker"]
    assert names(reports)[-1] == "Canceled"
    reports = exchange.place(order("sell", "market", "20"), START)
    assert executions(reports) == ["sell 5@99 taker", "sell 10@98 taker"]


def test_a_marketable_limit_takes_up_to_its_limit_and_rests() -> None:
    exchange = make()
    reports = exchange.place(order("buy", "limit", "7", price="101", client_id="l"), START)
    assert executions(reports) == ["buy 5@101 taker"]
    (resting,) = exchange.open_orders(PAPER)
    assert (resting.filled, resting.status) == (D(5), OrderStatus.PARTIALLY_FILLED)
    # nothing is displayed at its price on its own side, so it is first in the queue
    assert executions(exchange.on_trade(trade("101", "1", "sell"))) == ["buy 1@101 maker"]


@pytest.mark.parametrize(
    ("quantity", "tif", "expected", "last"),
    [
        ("7", "IOC", ["buy 5@101 taker"], "Expired"),
        ("5", "IOC", ["buy 5@101 taker"], "Filled"),
        ("7", "FOK", [], "Expired"),
        ("5", "FOK", ["buy 5@101 taker"], "Filled"),
    ],
)
def test_ioc_and_fok(quantity: str, tif: str, expected: list[str], last: str) -> None:
    reports = make().place(order("buy", "limit", quantity, price="101", tif=tif), START)
    assert executions(reports) == expected
    assert names(reports)[-1] == last


def test_a_market_fok_needs_all_within_the_collar() -> None:
    exchange = make(BookFillSettings(collar_pct=D(2)))
    assert names(exchange.place(order("buy", "market", "16", tif="FOK"), START)) == ["Accepted", "Expired"]
    assert executions(exchange.place(order("buy", "market", "15", tif="FOK"), START)) == [
        "buy 5@101 taker",
        "buy 10@102 taker",
    ]


def test_post_only_is_rejected_where_it_would_take() -> None:
    exchange = make()
    assert names(exchange.place(order("buy", "limit", price="101", post_only=True), START)) == ["Rejected"]
    assert names(exchange.place(order("buy", "limit", price="100", post_only=True), START)) == ["Accepted"]
    # also where it would meet an own order
    assert names(exchange.place(order("sell", "limit", price="100", post_only=True), START)) == ["Rejected"]


def test_an_empty_or_closed_market_takes_no_market_order() -> None:
    exchange = make_exchange(FillKind.BOOK)
    assert names(exchange.place(order("buy"), START)) == ["Rejected"]
    exchange = make()
    exchange.on_market(FeedStatus(BTC, START, live=False))
    assert names(exchange.place(order("buy"), START)) == ["Rejected"]
    exchange.on_market(FeedStatus(BTC, START, live=True))
    assert names(exchange.place(order("buy"), START)) == ["Accepted", "Filled"]


def test_one_sided_books_are_walked_too() -> None:
    exchange = make_exchange(FillKind.BOOK)
    exchange.on_book(snapshot([], [("101", "5")]))
    assert executions(exchange.place(order("buy"), START)) == ["buy 1@101 taker"]
    exchange.on_trade(trade("101", "1", "buy"))
    assert names(exchange.place(order("sell"), START)) == ["Accepted", "Canceled"]


# --- queueing --------------------------------------------------------------------------------------------------------


def test_trades_eat_the_queue_before_us_first() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", "2", price="99"), START)
    assert executions(exchange.on_trade(trade("99", "4", "sell"))) == []
    assert executions(exchange.on_trade(trade("99", "2", "sell"))) == ["buy 1@99 maker"]
    assert executions(exchange.on_trade(trade("99", "9", "sell"))) == ["buy 1@99 maker"]
    assert exchange.open_orders(PAPER) == []


def test_trades_of_the_other_side_at_our_price_are_not_ours() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", price="100"), START)
    assert executions(exchange.on_trade(trade("100", "4", "buy"))) == []
    assert executions(exchange.on_trade(trade("100", "4", "sell"))) == ["buy 1@100 maker"]


def test_own_orders_at_one_price_fill_in_order_of_arrival() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", "2", price="99", client_id="first"), START)
    exchange.on_book(update(2, bids=[("99", "8")]))
    exchange.place(order("buy", "limit", "2", price="99", client_id="second"), START)
    # 5 displayed, first, 3 more displayed, second
    reports = exchange.on_trade(trade("99", "11", "sell"))
    assert [(f.client_id, f.quantity) for f in fills(reports)] == [("first", D(2)), ("second", D(1))]


def test_a_shrinking_level_shrinks_the_queue_in_proportion() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", price="99"), START)
    exchange.on_book(update(2, bids=[("99", "10")]))  # 5 more, behind us
    exchange.on_book(update(3, bids=[("99", "4")]))  # six tenths canceled: of the 5 before us 2 are left
    assert executions(exchange.on_trade(trade("99", "2", "sell"))) == []
    assert executions(exchange.on_trade(trade("99", "1", "sell"))) == ["buy 1@99 maker"]


def test_a_level_that_shrinks_by_its_trades_shrinks_the_queue_once() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", price="99"), START)
    exchange.on_trade(trade("99", "2", "sell"))
    exchange.on_book(update(2, bids=[("99", "3")]))
    assert executions(exchange.on_trade(trade("99", "3", "sell"))) == []
    exchange.on_book(update(3, bids=[("99", "0")]))
    assert executions(exchange.on_trade(trade("99", "1", "sell"))) == ["buy 1@99 maker"]


def test_a_trade_through_our_price_fills_up_to_its_size() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", "3", price="99"), START)
    assert executions(exchange.on_trade(trade("98.99", "2", "sell"))) == ["buy 2@99 maker"]


def test_quotes_that_reach_our_price_fill_up_to_their_size() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", "3", price="99"), START)
    reports = exchange.on_book(update(2, bids=[("99", "0")], asks=[("98.5", "1"), ("99", "1")]))
    assert executions(reports) == ["buy 1@99 maker", "buy 1@99 maker"]
    # the same quotes do not fill twice
    assert executions(exchange.on_book(update(3, asks=[("103", "5")]))) == []


def test_a_lost_update_is_noticed_and_a_snapshot_heals_it() -> None:
    exchange = make()
    exchange.on_book(update(5, asks=[("100", "5")]))
    assert exchange.broken == {BTC}
    assert executions(exchange.place(order("buy"), START)) == ["buy 1@101 taker"]
    exchange.on_book(snapshot(BIDS, [("100", "5")], seq=6))
    assert exchange.broken == set()
    assert executions(exchange.place(order("buy"), START)) == ["buy 1@100 taker"]


# --- amending --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"quantity": D(1)}, ["buy 1@99 maker"]),  # smaller: keeps its place
        ({"quantity": D(3)}, []),  # larger: behind the 5 displayed
        ({"price": D("98.5")}, []),
    ],
)
def test_only_a_smaller_quantity_keeps_the_place_in_the_queue(change: dict[str, D], expected: list[str]) -> None:
    exchange = make()
    exchange.place(order("buy", "limit", "2", price="99", client_id="a"), START)
    exchange.on_trade(trade("99", "5", "sell"))
    assert names(exchange.amend(PAPER, "a", START, **change)) == ["Amended"]  # type: ignore[arg-type]
    assert executions(exchange.on_trade(trade("99", "1", "sell"))) == expected


def test_an_amendment_through_the_market_executes() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", "2", price="99", client_id="a"), START)
    reports = exchange.amend(PAPER, "a", START, price=D(101))  # type: ignore[arg-type]
    assert names(reports) == ["Amended", "Filled"]
    assert executions(reports) == ["buy 2@101 taker"]


# --- triggers --------------------------------------------------------------------------------------------------------


def test_a_stop_is_set_off_by_the_last_trade_and_walks_the_book() -> None:
    exchange = make()
    exchange.place(order("sell", "stop", "6", stop="98.5"), START)
    reports = exchange.on_trade(trade("98.5", "1", "sell"))
    assert names(reports) == ["Triggered", "Filled", "Filled"]
    assert executions(reports) == ["sell 5@99 taker", "sell 1@98 taker"]


def test_a_stop_is_set_off_by_the_best_price() -> None:
    exchange = make()
    exchange.place(order("buy", "stop", stop="102"), START)
    reports = exchange.on_book(update(2, asks=[("101", "0")]))
    assert executions(reports) == ["buy 1@102 taker"]


@pytest.mark.parametrize(("mode", "by_book", "by_trade"), [("last", 0, 1), ("best", 1, 0), ("last_or_best", 1, 1)])
def test_which_price_sets_off_a_stop_is_a_setting(mode: str, by_book: int, by_trade: int) -> None:
    settings = BookFillSettings(collar_pct=D(10), trigger=StopTrigger(mode))
    exchange = make(settings)
    exchange.place(order("sell", "stop", stop="98"), START)
    assert len(executions(exchange.on_book(update(2, bids=[("99", "0")])))) == by_book
    exchange = make(settings)
    exchange.place(order("sell", "stop", stop="98"), START)
    assert len(executions(exchange.on_trade(trade("98", "1", "sell")))) == by_trade


def test_a_stop_limit_that_the_market_jumps_over_rests_at_its_limit() -> None:
    exchange = make()
    exchange.place(order("sell", "stop", stop="98.5", price="98.2"), START)
    reports = exchange.on_book(update(2, bids=[("99", "0"), ("98", "0")], asks=[("98", "1"), ("101", "0")]))
    assert names(reports) == ["Triggered"]
    assert executions(exchange.on_trade(trade("98.3", "1", "buy"))) == ["sell 1@98.2 maker"]


def test_a_take_profit_is_set_off_in_the_positions_favour() -> None:
    exchange = make()
    exchange.place(order("sell", "target", stop="102"), START)
    exchange.place(order("buy", "target", stop="98"), START)
    assert executions(exchange.on_trade(trade("102", "1", "buy"))) == ["sell 1@99 taker"]
    assert executions(exchange.on_trade(trade("98", "1", "sell"))) == ["buy 1@101 taker"]


def test_a_stop_that_is_already_passed_is_set_off_at_once() -> None:
    reports = make().place(order("sell", "stop", stop="99.5"), START)
    assert names(reports) == ["Accepted", "Triggered", "Filled"]


def test_one_exit_filled_ends_the_other() -> None:
    exchange = make()
    exchange.place(order("sell", "stop", stop="98", oco="x"), START)
    exchange.place(order("sell", "limit", price="100.5", oco="x"), START)
    reports = exchange.on_trade(trade("101", "5", "buy"))
    assert names(reports) == ["Filled", "Canceled"]
    assert exchange.open_orders(PAPER) == []


# --- own orders that meet --------------------------------------------------------------------------------------------


def test_own_orders_that_meet_trade_under_one_trade_id_with_two_keys() -> None:
    exchange = make()
    exchange.place(order("sell", "limit", "2", price="100", client_id="maker"), START)
    reports = exchange.place(order("buy", "limit", "3", price="101", client_id="taker"), START)
    assert executions(reports) == ["sell 2@100 maker", "buy 2@100 taker", "buy 1@101 taker"]
    sold, bought, rest = fills(reports)
    assert sold.trade_id == bought.trade_id != rest.trade_id
    assert sold.venue_order_id != bought.venue_order_id
    assert len({sold.key, bought.key, rest.key}) == 3


def test_what_is_displayed_before_an_own_order_trades_first() -> None:
    exchange = make()
    exchange.place(order("sell", "limit", "2", price="101", client_id="maker"), START)
    exchange.on_book(update(2, asks=[("101", "8")]))  # 3 more behind us
    reports = exchange.place(order("buy", "market", "9", client_id="taker"), START)
    assert executions(reports) == [
        "buy 5@101 taker",
        "sell 2@101 maker",
        "buy 2@101 taker",
        "buy 2@101 taker",
    ]
    # nothing is before the own order any more
    exchange.place(order("sell", "limit", "1", price="101", client_id="later"), START)
    assert executions(exchange.on_trade(trade("101", "2", "buy"))) == ["sell 1@101 maker"]


def test_a_fok_counts_own_orders_as_liquidity() -> None:
    exchange = make()
    exchange.place(order("sell", "limit", "2", price="100"), START)
    reports = exchange.place(order("buy", "limit", "7", price="101", tif="FOK"), START)
    assert executions(reports) == ["sell 2@100 maker", "buy 2@100 taker", "buy 5@101 taker"]


def test_money_passes_through_a_self_trade_unchanged_but_for_fees() -> None:
    exchange = make(USDT="1000", BTC="10")
    before = {b.currency: b.total for b in exchange.balances(PAPER)}
    exchange.place(order("sell", "limit", "2", price="100"), START)
    exchange.place(order("buy", "limit", "2", price="100"), START)
    assert {b.currency: b.total for b in exchange.balances(PAPER)} == before
    assert all(b.locked == 0 for b in exchange.balances(PAPER))


def test_an_own_order_that_cannot_be_paid_for_is_left_alone() -> None:
    exchange = make_exchange(FillKind.BOOK, balances={"USDT": "9", "BTC": "5"})
    exchange.on_book(snapshot([("9.99", "1")], [("10", "0.899"), ("10.2", "5")]))
    exchange.place(order("sell", "limit", "1", price="10.1", client_id="maker"), START)
    # what is left after the first level does not pay one lot of the own order
    reports = exchange.place(order("buy", "market", "0.9", client_id="taker"), START)
    assert executions(reports) == ["buy 0.899@10 taker"]
    assert names(reports)[-1] == "Canceled"
    assert [o.client_id for o in exchange.open_orders(PAPER)] == ["maker"]

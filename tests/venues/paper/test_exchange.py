"""Accounts, orders and their life at the paper exchange, whatever fills them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from engine.errors import NotFoundError, OrderRejectionError, StateConsistencyError, ValidationError
from engine.events import OrderAccepted, OrderAmended, OrderCancelRejected, OrderRejected
from engine.model.candle import Candle
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId
from engine.model.instrument import InstrumentKind
from engine.model.order import OrderStatus, OrderType
from engine.venues.paper.changes import ExchangeImage
from engine.venues.paper.exchange import PaperExchange
from engine.venues.paper.fill_model import FillKind
from engine.venues.paper.settings import FeeCurrency, PaperSettings
from tests.venues.paper.helpers import (
    BTC,
    MINUTE,
    PAPER,
    PLAIN_BARS,
    SIM,
    START,
    D,
    executions,
    fills,
    make_exchange,
    make_instrument,
    names,
    order,
    snapshot,
    trade,
)

if TYPE_CHECKING:
    from decimal import Decimal

    from engine.model.venue import OrderCommand

USDT, COIN = Currency("USDT"), Currency("BTC")


def make(
    settings: PaperSettings | None = None, /, *, usdt: str = "1000", btc: str = "5", **terms: str
) -> PaperExchange:
    """An exchange over a book of 100 units at 99 and 101."""
    exchange = make_exchange(
        FillKind.BOOK, settings=settings, instrument=make_instrument(**terms), balances={"USDT": usdt, "BTC": btc}
    )
    exchange.on_book(snapshot([("99", "100")], [("101", "100")]))
    return exchange


def money(exchange: PaperExchange) -> dict[str, tuple[Decimal, Decimal]]:
    """(total, locked) by currency."""
    return {b.currency: (b.total, b.locked) for b in exchange.balances(PAPER)}


def cid(text: str) -> ClientOrderId:
    return ClientOrderId(text)


# --- what is refused -------------------------------------------------------------------------------------------------

RULES: dict[str, str] = {"min_notional": "10", "min_quantity": "0.01", "max_quantity": "8", "tick": "0.5"}


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (order("buy", "market", "0"), "bad_order"),
        (order("buy", "limit"), "bad_order"),
        (order("buy", "market", price="100"), "bad_order"),
        (order("buy", "market", stop="100"), "bad_order"),
        (order("sell", "stop"), "bad_order"),
        (order("sell", "stop", stop="-1"), "bad_order"),
        (order("buy", "limit", price="0"), "bad_order"),
        (order("buy", "market", post_only=True), "bad_order"),
        (order("buy", "limit", price="99", tif="IOC", post_only=True), "bad_order"),
        (order("buy", "limit", price="99.25"), "tick"),
        (order("buy", "limit", price="99.000000001"), "tick"),
        (order("sell", "stop", stop="99.1"), "tick"),
        (order("buy", "market", "0.0015"), "lot"),
        (order("buy", "market", "0.000000001"), "lot"),
        (order("buy", "market", "0.009"), "min_quantity"),
        (order("sell", "limit", "8.001", price="200"), "max_quantity"),
        (order("buy", "limit", "0.1", price="99"), "min_notional"),
        (order("buy", "market", "0.09"), "min_notional"),
        (order("buy", "limit", "7", price="200"), "insufficient_balance"),
        (order("sell", "limit", "5.5", price="200"), "insufficient_balance"),
        (order("buy", "limit", price="101", post_only=True), "post_only"),
        (order("buy", "limit", price="100", reduce_only=True), "reduce_only"),
    ],
)
def test_an_order_against_the_rules_is_rejected_with_a_code_and_changes_nothing(
    command: OrderCommand, code: str
) -> None:
    exchange = make(None, **RULES)
    before = money(exchange)
    ((account, event),) = exchange.place(command, START)
    assert account == PAPER
    assert isinstance(event, OrderRejected)
    assert event.code == code
    assert event.reason.endswith(".")
    assert money(exchange) == before
    assert exchange.open_orders(PAPER) == []
    found = exchange.order(PAPER, command.client_id)
    assert found is not None
    assert (found.status, found.quantity, found.price) == (OrderStatus.REJECTED, command.quantity, command.price)


def test_unknown_accounts_instruments_and_kinds_are_rejected() -> None:
    exchange = make()
    strange = msgspec.structs.replace(order("buy"), account=AccountId("nobody"))
    elsewhere = msgspec.structs.replace(order("buy"), instrument=InstrumentId("SIM:XRP/USDT"))
    perpetual = msgspec.structs.replace(
        make_instrument(), id=InstrumentId("SIM:BTC-PERP"), kind=InstrumentKind.INVERSE_PERPETUAL
    )
    exchange.list_instrument(perpetual, FillKind.BOOK)
    swap = msgspec.structs.replace(order("buy"), instrument=perpetual.id)
    codes = [
        event.code
        for command in (strange, elsewhere, swap)
        for _, event in exchange.place(command, START)
        if isinstance(event, OrderRejected)
    ]
    assert codes == ["unknown_account", "unknown_instrument", "unsupported_kind"]


def test_rules_hold_by_time() -> None:
    old = make_instrument(tick="0.5")
    new = msgspec.structs.replace(make_instrument(tick="0.25").rules[0], valid_from=START + 10)
    exchange = make_exchange(FillKind.BOOK, instrument=msgspec.structs.replace(old, rules=(*old.rules, new)))
    assert names(exchange.place(order("buy", "limit", price="99.25"), START)) == ["Rejected"]
    assert names(exchange.place(order("buy", "limit", price="99.25"), START + 10)) == ["Accepted"]


@pytest.mark.parametrize("state", ["open", "ended", "rejected"])
def test_a_client_id_is_good_for_one_order_only(state: str) -> None:
    exchange = make()
    command = order("buy", "limit", price="1000" if state == "rejected" else "99", quantity="2", client_id="same")
    exchange.place(command, START)
    if state == "ended":
        exchange.cancel(PAPER, cid("same"), START)
    before = money(exchange), exchange.order(PAPER, cid("same"))
    with pytest.raises(OrderRejectionError) as raised:
        exchange.place(command, START)
    assert raised.value.error_code == "duplicate_client_id"
    assert (money(exchange), exchange.order(PAPER, cid("same"))) == before


# --- money -----------------------------------------------------------------------------------------------------------


def test_fees_follow_the_role_and_are_taken_in_quote() -> None:
    exchange = make(maker="0.001", taker="0.002")
    exchange.place(order("buy", "limit", "1", price="100", client_id="m"), START)
    assert money(exchange)["USDT"] == (D(1000), D("100.2"))
    (made,) = fills(exchange.on_trade(trade("100", "5", "sell")))
    assert (made.fee, made.fee_currency) == (D("0.1"), USDT)
    (taken,) = fills(exchange.place(order("sell", "market", "1"), START))
    assert (taken.fee, taken.fee_currency) == (D("0.198"), USDT)
    assert money(exchange) == {"USDT": (D(1000) - 100 - D("0.1") + 99 - D("0.198"), D(0)), "BTC": (D(5), D(0))}


def test_a_rebate_is_a_negative_fee() -> None:
    exchange = make(maker="-0.001", taker="0.002")
    exchange.place(order("buy", "limit", "1", price="100"), START)
    (made,) = fills(exchange.on_trade(trade("100", "5", "sell")))
    assert made.fee == D("-0.1")
    assert money(exchange)["USDT"][0] == D("900.1")


def test_fees_may_be_taken_from_what_is_received() -> None:
    exchange = make(PaperSettings(fee_currency=FeeCurrency.RECEIVED), taker="0.001")
    (bought,) = fills(exchange.place(order("buy", "market", "1"), START))
    assert (bought.fee, bought.fee_currency) == (D("0.001"), COIN)
    (sold,) = fills(exchange.place(order("sell", "market", "1"), START))
    assert (sold.fee, sold.fee_currency) == (D("0.099"), USDT)
    assert money(exchange)["BTC"][0] == D("4.999")


def test_open_orders_hold_funds_until_they_end() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", "4", price="98", client_id="b"), START)
    exchange.place(order("sell", "limit", "3", price="105", client_id="s"), START)
    assert money(exchange) == {"USDT": (D(1000), D(392)), "BTC": (D(5), D(3))}
    assert names(exchange.place(order("sell", "limit", "3", price="106"), START)) == ["Rejected"]
    exchange.amend(PAPER, cid("b"), START, quantity=D(2))
    exchange.cancel(PAPER, cid("s"), START)
    assert money(exchange) == {"USDT": (D(1000), D(196)), "BTC": (D(5), D(0))}


def test_an_oco_group_holds_what_its_largest_member_needs() -> None:
    exchange = make()
    exchange.place(order("sell", "limit", "5", price="105", oco="x", client_id="t"), START)
    assert names(exchange.place(order("sell", "stop", "5", stop="95", oco="x", client_id="s"), START)) == ["Accepted"]
    assert money(exchange)["BTC"] == (D(5), D(5))
    reports = exchange.cancel(PAPER, cid("t"), START)
    assert names(reports) == ["Canceled", "Canceled"]
    assert money(exchange)["BTC"] == (D(5), D(0))


def test_a_market_order_fills_what_the_balance_covers_and_is_canceled() -> None:
    exchange = make_exchange(FillKind.BOOK, balances={"USDT": "1000"})
    exchange.on_book(snapshot([("99", "5")], [("100", "5"), ("101", "5")]))
    reports = exchange.place(order("buy", "market", "10"), START)
    assert executions(reports) == ["buy 5@100 taker", "buy 4.95@101 taker"]
    assert names(reports)[-1] == "Canceled"
    assert money(exchange)["USDT"] == (D("0.05"), D(0))


def test_a_stop_that_gaps_beyond_its_funds_buys_what_they_pay() -> None:
    exchange = make_exchange(FillKind.BAR, balances={"USDT": "100"})
    exchange.mark(BTC, 90.0)
    exchange.place(order("buy", "stop", "1", stop="95"), START)
    reports = exchange.on_bar(BTC, START, START + MINUTE, 110.0, 111.0, 109.0, 110.0, 50.0)
    assert executions(reports) == ["buy 0.909@110 taker"]
    assert names(reports)[-1] == "Canceled"
    assert money(exchange)["USDT"] == (D("0.01"), D(0))


def test_deposits_and_withdrawals_move_what_is_free() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", "4", price="98"), START)
    exchange.deposit(PAPER, USDT, D(-608))
    with pytest.raises(ValidationError, match="0 is free"):
        exchange.deposit(PAPER, USDT, D(-1))
    exchange.deposit(PAPER, Currency("ETH"), D("1.5"))
    assert money(exchange)["ETH"] == (D("1.5"), D(0))
    with pytest.raises(NotFoundError):
        exchange.deposit(AccountId("nobody"), USDT, D(1))


# --- shorts ----------------------------------------------------------------------------------------------------------


def test_shorts_are_refused_unless_allowed() -> None:
    exchange = make(btc="0")
    ((_, event),) = exchange.place(order("sell"), START)
    assert isinstance(event, OrderRejected)
    assert event.code == "insufficient_balance"


def test_an_allowed_short_holds_its_proceeds_and_as_much_again() -> None:
    exchange = make(PaperSettings(allow_short=True), usdt="250", btc="1")
    assert names(exchange.place(order("sell", "market", "5"), START)) == ["Rejected"]
    assert executions(exchange.place(order("sell", "market", "3"), START)) == ["sell 3@99 taker"]
    # one was owned, two are short
    assert money(exchange) == {"BTC": (D(-2), D(0)), "USDT": (D(547), D(396))}
    assert names(exchange.place(order("buy", "limit", "5", price="100", reduce_only=True), START)) == [
        "Accepted",
        "Amended",
    ]
    assert executions(exchange.place(order("buy", "market", "1"), START)) == ["buy 1@101 taker"]
    assert money(exchange) == {"BTC": (D(-1), D(0)), "USDT": (D(446), D(198))}
    assert executions(exchange.place(order("buy", "market", "1"), START)) == ["buy 1@101 taker"]
    assert money(exchange) == {"USDT": (D(345), D(0))}
    assert exchange.open_orders(PAPER) == []


# --- life ------------------------------------------------------------------------------------------------------------


def test_cancels_and_amendments_of_what_does_not_work_are_rejected() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", "2", price="98", client_id="w"), START)
    exchange.place(order("sell", "stop", "2", stop="95", client_id="s"), START)
    exchange.place(order("buy", "market", client_id="done"), START)
    attempts = [
        exchange.cancel(PAPER, cid("never"), START),
        exchange.cancel(PAPER, cid("done"), START),
        exchange.amend(PAPER, cid("never"), START, price=D(1)),
        exchange.amend(PAPER, cid("w"), START),
        exchange.amend(PAPER, cid("w"), START, stop_price=D(97)),
        exchange.amend(PAPER, cid("s"), START, price=D(97)),
        exchange.amend(PAPER, cid("w"), START, price=D("97.001")),
        exchange.amend(PAPER, cid("w"), START, quantity=D(1000)),
    ]
    found = [[(type(e), e.code) for _, e in a if isinstance(e, OrderCancelRejected)] for a in attempts]
    codes = ["unknown_order", "already_ended", "unknown_order", *["bad_amendment"] * 3, "tick", "insufficient_balance"]
    assert found == [[(OrderCancelRejected, code)] for code in codes]
    kept = exchange.order(PAPER, cid("w"))
    assert kept is not None
    assert (kept.quantity, kept.price) == (D(2), D(98))


def test_an_amendment_below_what_is_filled_is_rejected() -> None:
    exchange = make()
    exchange.place(order("buy", "limit", "3", price="100", client_id="w"), START)
    exchange.on_trade(trade("100", "2", "sell"))
    assert names(exchange.amend(PAPER, cid("w"), START, quantity=D(2))) == ["CancelRejected"]
    ((_, event),) = exchange.amend(PAPER, cid("w"), START, quantity=D("2.5"))
    assert event == OrderAmended(client_id=cid("w"), ts=START, quantity=D("2.5"))
    assert executions(exchange.on_trade(trade("100", "2", "sell"))) == ["buy 0.5@100 maker"]


def test_every_order_is_found_by_its_client_id() -> None:
    exchange = make()
    accepted = exchange.place(order("buy", "limit", "2", price="98", client_id="w"), START + 5)[0][1]
    assert isinstance(accepted, OrderAccepted)
    found = exchange.order(PAPER, cid("w"))
    assert found is not None
    assert found.venue_order_id == accepted.venue_order_id
    assert (found.type, found.status, found.created) == (OrderType.LIMIT, OrderStatus.ACCEPTED, START + 5)
    assert exchange.open_orders(PAPER) == [found]
    assert exchange.order(PAPER, cid("never")) is None
    with pytest.raises(NotFoundError, match="it has: paper"):
        exchange.balances(AccountId("nobody"))


def test_fills_are_read_on_from_a_cursor() -> None:
    exchange = make()
    exchange.open_account(AccountId("other"))
    first, cursor = exchange.fills_since(PAPER, "")
    assert (first, cursor) == ([], "0")
    exchange.place(order("buy", client_id="a"), START)
    exchange.place(msgspec.structs.replace(order("buy"), account=AccountId("other")), START)
    found, cursor = exchange.fills_since(PAPER, cursor)
    assert [fill.client_id for fill in found] == ["a"]
    exchange.place(order("sell", client_id="b"), START)
    found, cursor = exchange.fills_since(PAPER, cursor)
    assert [fill.client_id for fill in found] == ["b"]
    assert exchange.fills_since(PAPER, cursor) == ([], cursor)
    assert len(exchange.fills_since(AccountId("other"), "")[0]) == 1
    with pytest.raises(ValidationError, match="cursor"):
        exchange.fills_since(PAPER, "yesterday")
    with pytest.raises(StateConsistencyError, match="older than the journal"):
        exchange.fills_since(PAPER, exchange.cursors.of(1_000))


def test_closed_candles_reach_the_instruments_that_fill_on_bars() -> None:
    exchange = make_exchange(FillKind.BAR)
    exchange.mark(BTC, 100.0)
    exchange.place(order("buy"), START)
    growing = Candle(BTC, "1m", START, 102.0, 103.0, 101.0, 102.0, 5.0, closed=False)
    assert exchange.on_market(growing) == ()
    reports = exchange.on_market(msgspec.structs.replace(growing, closed=True))
    assert executions(reports) == ["buy 1@102 taker"]


def test_an_instrument_with_orders_is_not_listed_anew() -> None:
    exchange = make()
    assert exchange.kind_of(BTC) is FillKind.BOOK
    exchange.place(order("buy", "limit", price="98", client_id="w"), START)
    with pytest.raises(ValidationError, match="working orders"):
        exchange.list_instrument(make_instrument(), FillKind.BAR)
    exchange.cancel(PAPER, cid("w"), START)
    exchange.list_instrument(make_instrument(), FillKind.BAR)
    assert exchange.kind_of(BTC) is FillKind.BAR


# --- storing ---------------------------------------------------------------------------------------------------------


def restored(exchange: PaperExchange, settings: PaperSettings | None = None) -> PaperExchange:
    """Another exchange, made from everything the first one says has changed."""
    changes = exchange.take_changes()
    orders = sorted(changes.orders, key=lambda o: o.seq)
    image = ExchangeImage(
        accounts=changes.accounts,
        open_orders=tuple(o for o in orders if o.is_open),
        ended_orders=tuple(o for o in orders if not o.is_open),
        fills=changes.fills,
        counters=changes.counters,
    )
    copied = msgspec.msgpack.decode(msgspec.msgpack.encode(image), type=ExchangeImage)
    other = PaperExchange(SIM, [make_instrument()], settings or PaperSettings(bars=PLAIN_BARS), track=True)
    other.restore(copied)
    return other


def test_a_restored_exchange_goes_on_where_the_other_stood() -> None:
    exchange = make_exchange(FillKind.BOOK, balances={"USDT": "10000", "BTC": "5"}, track=True)
    book = snapshot([("99", "5")], [("101", "5")])
    exchange.on_book(book)
    exchange.place(order("buy", client_id="done"), START)
    exchange.place(order("buy", "limit", "2", price="99", client_id="queued"), START)
    exchange.place(order("sell", "limit", "3", price="105", oco="x", client_id="target"), START)
    exchange.place(order("sell", "stop", "3", stop="90", oco="x", client_id="stop"), START)
    exchange.on_trade(trade("99", "4", "sell"))
    other = restored(exchange)
    assert money(other) == money(exchange)
    assert other.open_orders(PAPER) == exchange.open_orders(PAPER)
    assert other.order(PAPER, cid("done")) == exchange.order(PAPER, cid("done"))
    assert other.fills_since(PAPER, "") == exchange.fills_since(PAPER, "")
    assert other.take_changes().empty
    other.on_book(book)
    with pytest.raises(OrderRejectionError):
        other.place(order("buy", client_id="done"), START)
    for each in (exchange, other):
        # one unit is still before us in the queue, and new numbers follow the old ones
        reports = each.on_trade(trade("99", "3", "sell"))
        assert executions(reports) == ["buy 2@99 maker"]
        assert fills(reports)[0].trade_id == "T2"
        reports = each.on_trade(trade("90", "1", "sell"))
        assert names(reports) == ["Triggered", "Filled", "Canceled"]
    assert money(other) == money(exchange)


def test_a_restored_short_still_holds_its_funds() -> None:
    settings = PaperSettings(allow_short=True)
    exchange = make_exchange(FillKind.BOOK, settings=settings, balances={"USDT": "1000"}, track=True)
    exchange.on_book(snapshot([("99", "5")], [("101", "5")]))
    exchange.place(order("sell", "market", "2"), START)
    other = restored(exchange, settings)
    assert money(other) == money(exchange) == {"BTC": (D(-2), D(0)), "USDT": (D(1198), D(396))}


def test_an_exchange_without_a_store_remembers_no_changes() -> None:
    exchange = make()
    exchange.place(order("buy"), START)
    assert exchange.take_changes().empty

"""Round trips: what fills add up to, for every way of going in and out."""

from __future__ import annotations

from decimal import Decimal as D
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backtest.trades import TradeBook
from engine.model.decimals import exact
from engine.model.fill import Fill
from engine.model.ids import AccountId, ClientOrderId, Currency, InstrumentId, TradeId, VenueId, VenueOrderId
from engine.model.order import Liquidity, OrderSide
from tests.backtest.helpers import make_instrument

if TYPE_CHECKING:
    from engine.backtest.trades import ClosedTrade

INSTRUMENT = make_instrument()


def fill(ts: int, quantity: str | D, price: str | D, fee: str | D = "0", currency: str = "USDT") -> Fill:
    """A signed execution."""
    amount = D(quantity)
    return Fill(
        venue=VenueId("SIM"),
        account=AccountId("a"),
        instrument=InstrumentId("SIM:BTC/USDT"),
        trade_id=TradeId(str(ts)),
        venue_order_id=VenueOrderId("v"),
        client_id=ClientOrderId("c"),
        side=OrderSide.BUY if amount > 0 else OrderSide.SELL,
        price=D(price),
        quantity=abs(amount),
        fee=D(fee),
        fee_currency=Currency(currency),
        liquidity=Liquidity.TAKER,
        ts=ts,
    )


def book(*fills: Fill) -> list[ClosedTrade]:
    trades = TradeBook(INSTRUMENT)
    for number, one in enumerate(fills):
        trades.add(one, f"reason {number}")
    return trades.closed


def test_in_and_out() -> None:
    (trade,) = book(fill(1, "2", "100", "0.2"), fill(5, "-2", "110", "0.22"))
    assert (trade.side, trade.entry_time, trade.exit_time) == (OrderSide.BUY, 1, 5)
    assert (trade.entry_price, trade.exit_price, trade.quantity) == (D(100), D(110), D(2))
    assert (trade.fees, trade.pnl) == (D("0.42"), D("19.58"))
    assert (trade.entry_reason, trade.reason) == ("reason 0", "reason 1")


def test_a_short_gains_from_a_fall() -> None:
    (trade,) = book(fill(1, "-2", "100", "0.2"), fill(5, "2", "90", "0.18"))
    assert (trade.side, trade.pnl, trade.quantity) == (OrderSide.SELL, D("19.62"), D(2))


def test_many_ways_in_and_out_make_one_trade_of_mean_prices() -> None:
    (trade,) = book(
        fill(1, "1", "100"), fill(2, "3", "104"), fill(3, "-2", "106"), fill(4, "1", "90"), fill(5, "-3", "108")
    )
    assert (trade.entry_price, trade.exit_price, trade.quantity) == (D("100.4"), D("107.2"), D(5))
    assert trade.pnl == 34
    assert (trade.entry_time, trade.exit_time, trade.reason) == (1, 5, "reason 4")


def test_a_fill_that_turns_the_position_closes_one_trade_and_opens_the_next_with_its_share_of_the_fee() -> None:
    long, short = book(fill(1, "2", "100", "1"), fill(2, "-5", "110", "5"), fill(3, "3", "105", "3"))
    assert (long.side, long.quantity, long.fees, long.pnl) == (OrderSide.BUY, D(2), D(3), D(17))
    assert (short.side, short.quantity, short.fees, short.pnl) == (OrderSide.SELL, D(3), D(6), D(9))
    assert (short.entry_time, short.entry_price, short.entry_reason) == (2, D(110), "reason 1")


def test_a_fee_in_base_units_is_a_sale_of_them_at_the_price_of_the_fill() -> None:
    # 1 bought, 0.001 of it kept by the venue; 0.999 sold at 110
    (trade,) = book(fill(1, "1", "100", "0.001", "BTC"), fill(2, "-0.999", "110", "0.10989"))
    cash = -D(100) + D("0.999") * 110 - D("0.10989")
    assert trade.pnl == cash
    assert trade.fees == D("0.1") + D("0.10989")


def test_slippage_is_what_worse_prices_than_wanted_have_cost() -> None:
    trades = TradeBook(INSTRUMENT)
    trades.add(fill(1, "2", "100.5"), "in", D(100))
    trades.add(fill(2, "1", "101"), "in", None)
    # wanted at 98, sold half a unit of price lower; then half a unit better than wanted, and a short of one opened
    trades.add(fill(3, "-1", "97.5"), "stop", D(98))
    trades.add(fill(4, "-3", "99.5"), "turn", D(99))
    trades.add(fill(5, "1", "90"), "out", D(91))
    assert [trade.slippage for trade in trades.closed] == [D(1) + D("0.5") - D(1), D("-0.5") - D(1)]


def test_what_is_still_open_is_no_trade_yet() -> None:
    trades = TradeBook(INSTRUMENT)
    assert trades.open_since == 0
    assert trades.add(fill(7, "1", "100"), "in") is None
    assert (trades.closed, trades.open_since) == ([], 7)


amounts = st.integers(-50, 50).filter(bool).map(lambda n: D(n) / 1000)
prices = st.integers(1, 100_000).map(lambda n: D(n) / 100)
fees = st.integers(-100, 1000).map(lambda n: D(n) / 10_000)


@given(st.lists(st.tuples(amounts, prices, fees), min_size=1, max_size=30), prices)
def test_results_add_up_to_the_change_of_cash_however_fills_come(steps: list[tuple[D, D, D]], last: D) -> None:
    held = sum((amount for amount, _, _ in steps), D(0))
    if held:
        steps = [*steps, (-held, last, D("0.01"))]
    trades = book(*(fill(ts, *step) for ts, step in enumerate(steps, 1)))
    with exact():
        cash = sum((-amount * price - fee for amount, price, fee in steps), D(0))
        assert sum((trade.pnl for trade in trades), D(0)) == cash
        assert sum((trade.fees for trade in trades), D(0)) == sum((fee for _, _, fee in steps), D(0))
    assert all(trade.quantity > 0 for trade in trades)
    for before, after in pairwise(trades):
        assert before.entry_time <= before.exit_time <= after.entry_time


@given(st.lists(st.tuples(amounts, prices), min_size=1, max_size=30), prices)
def test_fees_taken_in_base_units_add_up_as_well(steps: list[tuple[D, D]], last: D) -> None:
    fills = [fill(ts, a, p, abs(a) / 1000 if a > 0 else "0", "BTC") for ts, (a, p) in enumerate(steps, 1)]
    with exact():
        held = sum((one.side.sign * one.quantity - one.fee for one in fills), D(0))
        if held:
            fills.append(fill(len(fills) + 1, -held, last))
        cash = sum((-one.side.sign * one.quantity * one.price for one in fills), D(0))
        assert sum((trade.pnl for trade in book(*fills)), D(0)) == cash


@pytest.mark.parametrize("price", ["3", "0.00000007", "123456.789"])
def test_means_are_rounded_for_display_and_results_are_not(price: str) -> None:
    (trade,) = book(fill(1, "1", price), fill(2, "2", D(price) * 2), fill(3, "-3", D(price) * 3))
    assert trade.entry_price == (D(price) * 5 / 3).normalize().quantize(trade.entry_price)
    assert trade.pnl == D(price) * 4

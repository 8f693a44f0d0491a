"""Positions close the oldest lots first, and profit is exact."""

from __future__ import annotations

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from engine.model.decimals import exact
from engine.model.ids import AccountId, InstrumentId
from engine.model.position import Position

ONE = D(1)


def position() -> Position:
    return Position(account=AccountId("paper"), instrument=InstrumentId("SIM:BTC/USDT"))


def test_the_oldest_lot_is_closed_first() -> None:
    held = position()
    held.book(D(1), D(100), ONE, 1)
    held.book(D(2), D(110), ONE, 2)
    assert held.book(D("-1.5"), D(120), ONE, 3) == D(20) + D(5)
    assert [(lot.quantity, lot.price) for lot in held.lots] == [(D("1.5"), D(110))]
    assert held.average_price() == 110


def test_a_position_may_turn_round_in_one_execution() -> None:
    held = position()
    held.book(D(1), D(100), ONE, 1)
    assert held.book(D(-3), D(90), ONE, 2) == -10
    assert (held.quantity, held.average_price()) == (D(-2), D(90))
    assert held.book(D(2), D(80), ONE, 3) == 20
    assert (held.quantity, held.average_price(), held.realised) == (D(0), None, D(10))


TRADES = st.lists(
    st.tuples(st.decimals(-9, 9, places=3).filter(bool), st.decimals(min_value="0.01", max_value=1000, places=2)),
    max_size=25,
)


@given(TRADES, st.decimals(min_value="0.01", max_value=1000, places=2), st.sampled_from([D(1), D("0.001"), D(100)]))
def test_profit_realised_and_not_is_what_came_in_less_what_went_out(
    trades: list[tuple[D, D]], mark: D, multiplier: D
) -> None:
    held = position()
    cash = D(0)
    with exact():
        for number, (quantity, price) in enumerate(trades):
            held.book(quantity, price, multiplier, number)
            cash -= quantity * price * multiplier
            assert len({lot.quantity > 0 for lot in held.lots}) <= 1, "all lots have one sign"
        worth = cash + held.quantity * mark * multiplier
        assert held.realised + held.unrealised(mark, multiplier) == worth
    assert held.quantity == sum((quantity for quantity, _ in trades), D(0))

"""Lots by themselves: their order, and that nothing is lost however they are divided."""

from __future__ import annotations

from decimal import Decimal as D
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.capital.tax.lots import METHODS, Lots, TaxLot
from engine.model.decimals import ZERO, exact

if TYPE_CHECKING:
    from engine.capital.tax.lots import LotMethod

AMOUNTS = st.integers(1, 10**7).map(lambda whole: D(whole).scaleb(-5))
COSTS = st.none() | st.integers(0, 10**12).map(lambda whole: D(whole).scaleb(-9))


def lot(quantity: D | str, cost: D | str | None, acquired: int = 0) -> TaxLot:
    return TaxLot(quantity=D(quantity), cost=None if cost is None else D(cost), acquired=acquired, origin="x")


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(METHODS),
    st.lists(st.tuples(AMOUNTS, COSTS, st.integers(0, 9)), min_size=1, max_size=8),
    st.lists(AMOUNTS, max_size=8),
)
def test_nothing_is_lost_however_lots_are_divided(
    method: LotMethod, bought: list[tuple[D, D | None, int]], sold: list[D]
) -> None:
    lots = Lots(method)
    for quantity, cost, acquired in bought:
        lots.add(lot(quantity, cost, acquired))
    pieces = [piece for quantity in sold for piece in lots.take(quantity)]
    with exact():
        left = sum((one.quantity for one in lots), ZERO)
        assert lots.quantity == left
        assert left + sum((piece.quantity for piece in pieces), ZERO) == sum((one[0] for one in bought), ZERO)
        costs = [one.cost for one in (*lots, *pieces) if one.cost is not None]
        assert sum(costs, ZERO) == sum((cost for _, cost, _ in bought if cost is not None), ZERO)
        assert all(cost >= ZERO for cost in costs)
        assert left == ZERO or left + sum(sold, ZERO) == sum((one[0] for one in bought), ZERO)


@pytest.mark.parametrize("method", METHODS)
def test_what_has_no_known_cost_keeps_none_and_is_no_part_of_an_average(method: LotMethod) -> None:
    lots = Lots(method)
    for number, cost in enumerate(("100", None, "300")):
        lots.add(lot("1", cost, number))
    assert lots.cost is None
    known = {D(200)} if method == "average" else {D(100), D(300)}
    assert {piece.cost for piece in lots.take(D(3))} == {None, *known}
    assert lots.quantity == D(0)
    assert lots.cost == D(0)


def test_the_dearest_go_first_and_the_unknown_last_even_after_what_was_free() -> None:
    lots = Lots("hifo")
    for number, cost in enumerate((None, "0", "5", "9", "9")):
        lots.add(lot("1", cost, number))
    assert [(piece.cost, piece.acquired) for piece in lots.take(D(5))] == [
        (D(9), 3), (D(9), 4), (D(5), 2), (D(0), 1), (None, 0),
    ]  # fmt: skip


def test_a_debt_is_settled_first_and_in_its_order() -> None:
    lots = Lots("fifo")
    lots.owe(D(1), D(10), 1, "a")
    lots.owe(D(2), None, 2, "b")
    assert lots.quantity == D(-3)
    settled = lots.add(lot("2", "30", 5))
    assert [(debt.origin, debt.cost, piece.cost, piece.quantity) for debt, piece in settled] == [
        ("a", D(10), D(15), D(1)), ("b", None, D(15), D(1)),
    ]  # fmt: skip
    lots.add(lot("3", "33", 6))
    assert (lots.quantity, lots.cost, lots.owed) == (D(2), D(22), ())

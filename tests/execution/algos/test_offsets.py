"""Slices that rest come nearer to the market when they are not executed in time, and move away when they are."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.model.algos import ParentStatus, SchedulePlan
from engine.model.schedule import Slice
from tests.execution.algos.yard import BUY, NS, SELL, Yard
from tests.venues.paper.helpers import BTC

PASSIVE = SchedulePlan(name="twap", slices=tuple(Slice(n * 60 * NS, D(n + 1) / 20) for n in range(20)), passive=True)


def offsets(yard: Yard) -> D:
    assert yard.algos.offsets is not None
    return yard.algos.offsets.of(BTC)


def limits(yard: Yard) -> list[str]:
    return [line.partition("@")[2] for line in yard.told() if "limit" in line]


@pytest.mark.parametrize(("side", "first", "second"), [(BUY, "99", "99.19"), (SELL, "101", "100.81")])
def test_a_slice_that_was_not_executed_brings_the_next_one_nearer(side: str, first: str, second: str) -> None:
    yard = Yard(adapts=True)
    yard.market("99", "101")
    yard.open(PASSIVE, side)  # type: ignore[arg-type]
    for _ in range(62):
        yard.step(1)
    # 0.95 of a step of a tenth of the spread of 2
    assert limits(yard) == [first, second]
    assert offsets(yard) == D("-0.095")


def test_slices_that_are_executed_move_away_slowly() -> None:
    yard = Yard(adapts=True)
    yard.market("99", "101")
    yard.open(PASSIVE)
    for _ in range(4):
        yard.step(1)
        yard.market("96", "98.9")
        yard.market("99", "101")
        for _ in range(60):
            yard.step(1)
    assert offsets(yard) == D("0.02")
    assert limits(yard)[:3] == ["99", "98.99", "98.98"]


def test_when_nothing_is_ever_executed_it_ends_at_the_other_side_and_not_beyond() -> None:
    yard = Yard(adapts=True)
    yard.market("99", "101")
    parent = yard.open(PASSIVE)
    for _ in range(1_300):
        yard.step(1)
    assert parent.status is ParentStatus.DONE
    assert all(D("99") <= D(price) <= D("101") for price in limits(yard))
    # Where it takes the other side's price it is executed, and tries again half a hundredth of the spread away.
    assert set(limits(yard)[11:]) == {"101", "100.99"}


def test_after_a_restart_it_goes_on_from_what_the_state_remembers() -> None:
    yard = Yard(adapts=True)
    yard.market("99", "101")
    yard.open(PASSIVE)
    for _ in range(200):
        yard.step(1)
    assert offsets(yard) == D("-0.285")
    assert offsets(yard.again(adapts=True)) == D("-0.285")


def test_a_parent_that_is_cancelled_says_nothing_about_its_price() -> None:
    yard = Yard(adapts=True)
    yard.market("99", "101")
    parent = yard.open(PASSIVE)
    yard.step(1)
    yard.algos.cancel(parent, "changed my mind")
    yard.step(1)
    assert offsets(yard) == 0
    assert offsets(yard.again(adapts=True)) == 0

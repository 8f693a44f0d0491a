"""How an order is traded follows from its size and urgency; around every threshold."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.errors import SlippageError, ValidationError
from engine.execution.selection import (
    DAY_NS,
    MINUTE_NS,
    Algorithm,
    affordable_part,
    check_estimate,
    check_slippage,
    choose,
    pace,
    parts_needed,
    should_wait,
)
from engine.model.impact import ImpactEstimate
from engine.model.order import OrderSide


def told(cost: float, *, walk: bool = True, share: float | None = 0.001) -> ImpactEstimate:
    return ImpactEstimate(
        cost=cost, half_spread=0.0001, walk=cost if walk else None, model=cost, scale=0.01, volume_share=share
    )


@pytest.mark.parametrize(
    ("cost", "walk", "parts"),
    [
        (0.0001, True, 1), (0.0011, True, 1), (0.00111, True, 2), (0.0021, True, 2), (0.00211, True, 3),
        (0.0011, False, 1), (0.00111, False, 2), (0.0021, False, 4),
    ],
)  # fmt: skip
def test_parts_keep_each_impact_within_the_limit(cost: float, walk: bool, parts: int) -> None:
    assert parts_needed(told(cost, walk=walk), 0.001) == parts


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(ValidationError):
        parts_needed(told(0.01), 0)


@pytest.mark.parametrize(
    ("cost", "urgency", "share", "algorithm"),
    [
        (0.0011, 0.5, 0.001, Algorithm.LIMIT),
        (0.0011, 0.89, 0.001, Algorithm.LIMIT),
        (0.0011, 0.9, 0.001, Algorithm.MARKET),
        (0.0012, 0.9, 0.001, Algorithm.SHORTFALL),
        (0.0012, 0.25, 0.001, Algorithm.SHORTFALL),
        (0.0012, 0.24, 0.001, Algorithm.VWAP),
        (0.0012, 0.24, None, Algorithm.TWAP),
        (0.5, 1.0, 0.001, Algorithm.MARKET),
    ],
)
def test_the_algorithm_follows_from_size_and_urgency(
    cost: float, urgency: float, share: float | None, algorithm: Algorithm
) -> None:
    choice = choose(told(cost, share=share), urgency)
    assert choice.algorithm is algorithm
    assert choice.reason.endswith(".")
    scheduled = algorithm not in (Algorithm.LIMIT, Algorithm.MARKET)
    assert bool(choice.duration_ns) is scheduled
    assert (choice.slices > 1) is scheduled


def test_a_window_is_long_enough_for_the_volume_and_no_longer_than_a_day() -> None:
    assert choose(told(0.002, share=0.001)).duration_ns == pytest.approx(DAY_NS / 100)
    assert choose(told(0.002, share=0.0001)).duration_ns == 5 * MINUTE_NS
    assert choose(told(0.002, share=0.5)).duration_ns == DAY_NS
    assert choose(None).algorithm is Algorithm.TWAP
    with pytest.raises(ValidationError):
        choose(None, 1.1)


def test_volatility_hurries_the_urgent_and_slows_the_patient() -> None:
    assert pace(2, 1, 0.5) == 1
    assert pace(2, 1, 1.0) == 2
    assert pace(4, 1, 1.0) == 2
    assert pace(2, 1, 0.0) == 0.5
    assert pace(0.25, 1, 0.0) == 2
    assert pace(0, 1, 1.0) == pace(1, 0, 1.0) == 1


@pytest.mark.parametrize(
    ("spread", "behind", "waits"), [(0.0003, 0, False), (0.00031, 0, True), (0.00031, 0.99, True), (0.00031, 1, False)]
)
def test_a_slice_waits_for_the_spread_but_not_once_it_is_late(spread: float, behind: float, waits: bool) -> None:
    assert should_wait(spread, 0.0001, behind) is waits


def test_a_slice_takes_a_part_of_what_is_visible() -> None:
    assert affordable_part(D(10), D(30)) == 10
    assert affordable_part(D(10), D(8)) == 4
    assert affordable_part(D(-1), D(8)) == 0


def test_an_estimate_beyond_the_limit_is_refused_and_says_into_how_many_parts() -> None:
    check_estimate(told(0.002), D("0.002"))
    with pytest.raises(SlippageError, match="split it into 2 parts") as refused:
        check_estimate(told(0.00201), D("0.002"))
    assert refused.value.error_code == "estimated_slippage"
    with pytest.raises(SlippageError, match="half the spread alone"):
        check_estimate(told(0.002), D("0.0001"))


@pytest.mark.parametrize(("side", "price"), [(OrderSide.BUY, "101"), (OrderSide.SELL, "99")])
def test_slippage_at_the_limit_goes_on_and_beyond_it_stops(side: OrderSide, price: str) -> None:
    assert check_slippage(side, D(100), D(price), D("0.01")) == D("0.01")
    with pytest.raises(SlippageError, match="is stopped"):
        check_slippage(side, D(100), D(price) + side.sign * D("0.01"), D("0.01"))
    assert check_slippage(side, D(100), D(100) - side.sign, D("0.01")) == D("-0.01")

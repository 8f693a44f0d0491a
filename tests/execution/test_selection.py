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
    choose,
    parts_needed,
    should_wait,
)
from engine.model.impact import ImpactEstimate


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


@pytest.mark.parametrize(("spread", "waits"), [(0.0003, False), (0.00031, True)])
def test_a_slice_waits_for_a_spread_beyond_three_times_the_usual(spread: float, waits: bool) -> None:
    assert should_wait(spread, 0.0001) is waits
    assert not should_wait(spread, 0)


@pytest.mark.parametrize(("visible", "most"), [("8", 4), ("2", 1), ("1.5", 1), ("1", 1), ("0.9", D("0.9")), ("0", 0)])
def test_a_slice_takes_half_of_what_is_visible_but_the_smallest_order_where_that_is_there(
    visible: str, most: D
) -> None:
    assert affordable_part(D(visible), D(1)) == most


def test_an_estimate_beyond_the_limit_is_refused_and_says_into_how_many_parts() -> None:
    check_estimate(told(0.002), D("0.002"))
    with pytest.raises(SlippageError, match="split it into 2 parts") as refused:
        check_estimate(told(0.00201), D("0.002"))
    assert refused.value.error_code == "estimated_slippage"
    with pytest.raises(SlippageError, match="half the spread alone"):
        check_estimate(told(0.002), D("0.0001"))

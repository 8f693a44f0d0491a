"""Limit offsets find the place at which the wanted share of orders is filled."""

from __future__ import annotations

import random

import pytest

from engine.errors import ValidationError
from engine.execution.fill_rate import FillRate


def test_one_step_either_way() -> None:
    start = FillRate(step=0.1)
    assert start.rate is None
    assert start.after(filled=True).offset == pytest.approx(0.005)
    missed = start.after(filled=False)
    assert missed.offset == pytest.approx(-0.095)
    assert (missed.seen, missed.filled, missed.rate) == (1, 0, 0.0)


def test_the_offset_stays_in_its_bounds() -> None:
    near = FillRate(offset=-0.99)
    assert near.after(filled=False).offset == -1
    assert FillRate(offset=2.0).after(filled=True).offset == 2.0


@pytest.mark.parametrize("target", [0.5, 0.8, 0.95])
def test_it_finds_the_offset_at_which_the_target_is_filled(target: float) -> None:
    chance = random.Random(7)
    rate = FillRate(target=target, step=0.02, offset=1.0)
    late = []
    for number in range(12_000):
        # An order away by x spreads is filled with probability 1 - x within the time it has.
        filled = chance.random() > rate.offset
        rate = rate.after(filled=filled)
        if number >= 4_000:
            late.append(filled)
    assert sum(late) / len(late) == pytest.approx(target, abs=0.01)
    assert rate.offset == pytest.approx(1 - target, abs=0.12)


def test_the_price_is_away_from_the_market_for_either_side() -> None:
    rate = FillRate(offset=0.5)
    assert rate.price(100.0, 0.2, 1) == pytest.approx(99.9)
    assert rate.price(100.2, 0.2, -1) == pytest.approx(100.3)
    assert FillRate(offset=-1.0).price(100.0, 0.2, 1) == pytest.approx(100.2)


@pytest.mark.parametrize("wrong", [{"target": 0.0}, {"target": 1.0}, {"step": 0.0}, {"offset": 2.1}])
def test_what_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        FillRate(**wrong)  # type: ignore[arg-type]

"""A side of the simulated book stays a book whatever is done to it."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venues.markets.sim_book import MAX_LEVELS, MIN_LEVELS, BookShape, Ladder

MID = 100_000


def ladder(sign: int, gap: float = 3.0, seed: int = 1) -> Ladder:
    side = Ladder(sign, random.Random(seed))
    side.shape = BookShape(gap=gap, size=1000.0)
    side.build(MID + 2 * sign, 1.0)
    side.changes()
    return side


def is_sound(side: Ladder) -> bool:
    return side.keys == sorted(set(side.keys)) and set(side.keys) == set(side.sizes) and min(side.sizes.values()) > 0


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("gap", [0.4, 1.0, 3.0, 20.0])
def test_a_fresh_ladder_stands_at_its_price_and_is_deep(sign: int, gap: float) -> None:
    side = ladder(sign, gap)
    assert side.best == MID + 2 * sign
    assert MIN_LEVELS <= len(side.keys) <= MAX_LEVELS
    assert is_sound(side)


@given(
    st.sampled_from([1, -1]),
    st.sampled_from([0.5, 2.0, 9.0]),
    st.lists(
        st.one_of(
            st.tuples(st.just("quote"), st.integers(-60, 60)),
            st.tuples(st.just("take"), st.integers(1, 30_000)),
            st.tuples(st.just("churn"), st.integers(1, 4)),
        ),
        max_size=60,
    ),
)
def test_quotes_hits_and_changes_leave_a_sound_book_and_a_true_diff(
    sign: int, gap: float, actions: list[tuple[str, int]]
) -> None:
    side = ladder(sign, gap)
    followed = dict(side.levels())
    for action, amount in actions:
        if action == "quote":
            target = MID + amount
            side.retreat(target)
            side.advance(target, 1.0)
            assert side.best == target
            side.churn(2, 1.0)
        elif action == "take":
            before = sum(side.sizes.values())
            done = side.take(amount, 4)
            assert len(done) <= 4
            assert sum(q for _, q in done) == before - sum(side.sizes.values()) <= amount
        else:
            side.churn(amount, 0.7)
            assert MIN_LEVELS <= len(side.keys) <= MAX_LEVELS
        assert is_sound(side)
        for price, lots in side.changes():
            if lots:
                followed[price] = lots
            else:
                followed.pop(price, None)
        assert followed == dict(side.levels())


def test_retreating_tells_what_stood_in_the_way_best_first() -> None:
    side = ladder(1)
    before = side.levels()
    gone = side.retreat(before[3][0])
    assert gone == list(before[:3])
    assert side.best == before[3][0]
    assert side.retreat(0) == []


def test_a_market_order_walks_from_the_best_level_outwards() -> None:
    side = ladder(-1)
    (first, first_lots), (second, _) = side.levels()[:2]
    assert side.take(first_lots + 1, 5) == [(first, first_lots), (second, 1)]


def test_a_hole_near_the_touch_is_filled_again() -> None:
    side = ladder(1, gap=1.0)
    side.retreat(MID + 200)
    side.advance(MID, 1.0)
    for _ in range(400):
        side.churn(3, 1.0)
    near = [k for k in side.keys if k <= MID + 210]
    assert max(b - a for a, b in pairwise(near)) < 30


def test_round_prices_attract_size() -> None:
    rounds: list[int] = []
    others: list[int] = []
    for seed in range(30):
        for price, lots in ladder(1, gap=0.5, seed=seed).levels():
            (rounds if price % 100 == 0 else others).append(lots)
    assert sum(rounds) / len(rounds) > 1.5 * sum(others) / len(others)


def test_a_level_that_is_not_there_cannot_be_reduced() -> None:
    side = ladder(1)
    before = side.levels()
    side.reduce(5, 10)
    assert side.levels() == before
    assert side.changes() == ()


def test_a_saved_ladder_is_the_same() -> None:
    side = ladder(-1)
    side.churn(4, 1.0)
    copy = Ladder(-1, random.Random(2))
    copy.shape = side.shape
    copy.load(side.dump())
    assert copy.levels() == side.levels()
    assert copy.changes() == side.changes() != ()

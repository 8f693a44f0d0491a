"""Grids and ranges: what a person writes, what a strategy's own rules refuse, what is drawn."""

from __future__ import annotations

import pytest

from engine.backtest.search.sampling import draw_sets
from engine.backtest.search.space import Axis, candidates, parse_axis, ranges_for
from engine.errors import ConfigurationError, ValidationError
from strategies.static.trend_following import TrendFollowing


def test_an_axis_is_a_walk_with_both_ends_or_a_list_each_value_once() -> None:
    assert parse_axis(TrendFollowing, "fast_ma", "5:20:5") == Axis(name="fast_ma", values=(5, 10, 15, 20))
    assert parse_axis(TrendFollowing, "slow_ma", "60, 80,60").values == (60, 80)
    assert parse_axis(TrendFollowing, "trail_atr", "0.1:0.5:0.1").values == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert parse_axis(TrendFollowing, "allow_short", "yes,no").values == (True, False)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("fast_ma", "5:20", "from:to:step"),
        ("fast_ma", "20:5:1", "holds no values"),
        ("fast_ma", "5:20:0", "holds no values"),
        ("fast_ma", "5:20:0.5", "whole numbers"),
        ("fast_ma", "five", "no number"),
        ("fast_ma", "1:1000000:1", "larger step"),
        ("fast_ma", ",", "at least one value"),
        ("allow_short", "maybe", "true or false"),
    ],
)
def test_an_axis_that_cannot_be_read_says_what_to_write(name: str, text: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        parse_axis(TrendFollowing, name, text)


def test_an_unknown_parameter_names_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match="did you mean fast_ma"):
        parse_axis(TrendFollowing, "fast_mas", "5:20:5")


def test_combinations_the_strategy_refuses_are_left_out_and_named() -> None:
    axes = [parse_axis(TrendFollowing, "fast_ma", "10:30:10"), parse_axis(TrendFollowing, "slow_ma", "20,40")]
    found = candidates(TrendFollowing, {}, axes)
    assert found.of == 6
    assert [tuple(one.values()) for one in found.sets] == [(10, 20), (10, 40), (20, 40), (30, 40)]
    assert [one.params for one in found.left_out] == [{"fast_ma": 20, "slow_ma": 20}, {"fast_ma": 30, "slow_ma": 20}]
    assert found.left_out[0].reason == "fast_ma (20) must be below slow_ma (20)"


def test_a_grid_of_which_nothing_is_possible_is_refused_with_the_reason() -> None:
    axes = [parse_axis(TrendFollowing, "fast_ma", "30,40"), parse_axis(TrendFollowing, "slow_ma", "20")]
    with pytest.raises(ValidationError, match=r"none of the 2 combinations: fast_ma \(30\) must be below"):
        candidates(TrendFollowing, {}, axes)


def test_a_draw_is_repeatable_without_repetition_and_within_the_grid() -> None:
    axes = [parse_axis(TrendFollowing, "fast_ma", "5:50:1"), parse_axis(TrendFollowing, "slow_ma", "60:200:5")]
    one, again, other = (candidates(TrendFollowing, {}, axes, 40, seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert len({tuple(found.values()) for found in one.sets}) == 40
    assert all(found["fast_ma"] in axes[0].values and found["slow_ma"] in axes[1].values for found in one.sets)


def test_a_draw_larger_than_the_grid_gives_the_grid() -> None:
    axes = [parse_axis(TrendFollowing, "fast_ma", "5,6"), parse_axis(TrendFollowing, "slow_ma", "60,61")]
    assert len(candidates(TrendFollowing, {}, axes, 100).sets) == 4


def test_ranges_come_from_the_declared_bounds_without_what_is_fixed() -> None:
    ranges = {one.name: one for one in ranges_for(TrendFollowing, {}, ["volume_factor"])}
    assert "volume_factor" not in ranges
    assert "position_size_pct" not in ranges  # every strategy has it; it is no idea of this one
    assert (ranges["fast_ma"].low, ranges["fast_ma"].high, ranges["fast_ma"].whole) == (2, 500, True)
    assert ranges["fast_ma"].log
    assert ranges["trail_atr"].low > 0
    assert ranges["allow_short"].choices == (False, True)


def test_a_range_that_is_asked_for_takes_the_place_of_the_bounds() -> None:
    (one,) = ranges_for(TrendFollowing, {"fast_ma": "5:50:5"})
    assert (one.low, one.high, one.step, one.words) == (5, 50, 5, "5:50:5")
    assert {one.at(share / 100) for share in range(100)} == set(range(5, 51, 5))
    with pytest.raises(ValidationError, match="either a value or a range"):
        ranges_for(TrendFollowing, {"fast_ma": "5:50"}, ["fast_ma"])
    with pytest.raises(ValidationError, match="from below to"):
        ranges_for(TrendFollowing, {"fast_ma": "50:5"})


def test_drawn_sets_are_possible_distinct_repeatable_and_spread() -> None:
    ranges = ranges_for(TrendFollowing, {"fast_ma": "5:60", "slow_ma": "20:120"})
    found = draw_sets(TrendFollowing, {}, ranges, 32, 7)
    assert found == draw_sets(TrendFollowing, {}, ranges, 32, 7)
    assert len({tuple(one.values()) for one in found.sets}) == 32
    assert all(float(one["fast_ma"]) < float(one["slow_ma"]) for one in found.sets)
    assert all("must be below" in one.reason for one in found.left_out)
    slow = sorted(float(one["slow_ma"]) for one in found.sets)
    assert slow[0] < 45
    assert slow[-1] > 100


def test_drawing_more_than_there_is_ends_with_what_there_is() -> None:
    ranges = ranges_for(TrendFollowing, {"fast_ma": "5,6,7", "slow_ma": "6,7"})
    found = draw_sets(TrendFollowing, {}, ranges, 50, 7)
    assert sorted(tuple(one.values()) for one in found.sets) == [(5, 6), (5, 7), (6, 7)]


def test_ranges_of_which_nothing_is_possible_are_refused() -> None:
    ranges = ranges_for(TrendFollowing, {"fast_ma": "50:60", "slow_ma": "20:40"})
    with pytest.raises(ValidationError, match="takes none of"):
        draw_sets(TrendFollowing, {}, ranges, 5, 7)

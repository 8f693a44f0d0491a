"""Stylised facts of the fair prices, on ninety days of minutes of a few seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from engine.venues.markets.sim_path import CHUNK, FairPath
from engine.venues.markets.sim_profile import ASSETS, PAIRS, SimulatedSettings

if TYPE_CHECKING:
    from engine.model.candle import FloatArray

GENESIS = 29_248_333
DAYS = 90
SEEDS = (1, 2, 3)


def path(seed: int, *, seasonal: bool = True, volatility: float = 1.0) -> FairPath:
    settings = SimulatedSettings(seed=seed, seasonal=seasonal, volatility=volatility)
    return FairPath(settings, GENESIS, ASSETS, PAIRS)


def minute_returns(fair: FairPath) -> FloatArray:
    days = [np.diff(fair.chunk(k).levels, axis=1) for k in range(DAYS - 1, -1, -1)]
    return np.concatenate(days[::-1], axis=1)


def kurtosis(x: FloatArray) -> float:
    centred = x - x.mean()
    return float((centred**4).mean() / (centred**2).mean() ** 2)


def autocorrelation(x: FloatArray, lag: int) -> float:
    return float(np.corrcoef(x[lag:], x[:-lag])[0, 1])


@pytest.fixture(scope="module", params=SEEDS)
def returns(request: pytest.FixtureRequest) -> FloatArray:
    return minute_returns(path(request.param))


def test_returns_have_fat_tails_that_thin_out_with_the_horizon(returns: FloatArray) -> None:
    # Recorded one minute candles: 23. A Gaussian has 3.
    for row in returns:
        assert 8 < kurtosis(row) < 80
        hourly = row.reshape(-1, 60).sum(axis=1)
        assert 3.5 < kurtosis(hourly) < kurtosis(row)


def test_the_size_of_returns_clusters_over_hours_and_their_sign_does_not(returns: FloatArray) -> None:
    # Recorded one minute candles: 0.3 at a minute, 0.2 at a quarter, 0.1 at four hours; signs within 0.02.
    for row in returns:
        size = np.abs(row)
        measured = [autocorrelation(size, lag) for lag in (1, 15, 60, 240)]
        assert measured == sorted(measured, reverse=True)
        assert 0.2 < measured[0] < 0.5
        assert measured[1] > 0.12
        assert measured[3] > 0.04
        assert abs(autocorrelation(row, 1)) < 0.04


def test_assets_correlate_like_recorded_ones(returns: FloatArray) -> None:
    quarter = returns.reshape(len(ASSETS), -1, 15).sum(axis=2)
    matrix = np.corrcoef(quarter)
    # BTC-ETH 0.77, BTC-BNB 0.65, ETH-BNB 0.71 in recorded candles of 2025
    expected = np.outer([a.beta for a in ASSETS], [a.beta for a in ASSETS])
    np.fill_diagonal(expected, 1)
    assert np.abs(matrix - expected).max() < 0.12
    assert matrix.min() > 0.5


def test_volatility_has_the_size_of_its_profile(returns: FloatArray) -> None:
    measured = returns.std(axis=1)
    assert np.all(np.abs(measured / [a.sigma for a in ASSETS] - 1) < 0.5)


def test_there_are_calm_and_wild_days(returns: FloatArray) -> None:
    daily = returns[0].reshape(DAYS, CHUNK).std(axis=1)
    assert daily.max() > 2.5 * daily.min()


def test_american_hours_are_livelier_than_the_night_and_weekends_calmer() -> None:
    fair = path(4)
    moves = np.abs(minute_returns(fair)[0])
    minutes = GENESIS + np.arange(len(moves))
    hour, weekday = minutes % 1440 // 60, (minutes // 1440 + 3) % 7
    assert moves[(hour >= 13) & (hour < 16)].mean() > 1.4 * moves[(hour >= 3) & (hour < 6)].mean()
    assert moves[weekday == 5].mean() < 0.9 * moves[weekday < 5].mean()


def test_value_rises_with_the_move_and_clusters() -> None:
    fair = path(5)
    value = np.log(np.concatenate([fair.texture(k, 0).value for k in range(30)]))
    moves = np.abs(minute_returns(fair)[0][: len(value)])
    assert np.corrcoef(value, np.log(moves + 1e-6))[0, 1] > 0.2
    assert autocorrelation(value, 1) > 0.5
    assert autocorrelation(value, 60) > 0.2
    assert 0.3 < np.exp(value).sum() / 30 / PAIRS[0].daily_volume < 2


def test_extremes_enclose_open_and_close_and_are_as_wide_as_a_walks() -> None:
    fair = path(6)
    for pair in range(len(PAIRS)):
        texture = fair.texture(0, pair)
        levels = fair.weights[pair] @ fair.chunk(0).levels
        move = np.abs(np.diff(levels))
        assert np.all(texture.above >= 0)
        assert np.all(texture.below >= 0)
        spans = move + texture.above + texture.below
        # A Brownian path's expected range is twice its expected absolute move; recorded candles have 1.8 to 2.
        assert 1.6 < spans.mean() / move.mean() < 2.6


def test_any_day_can_be_asked_for_in_any_order() -> None:
    forward, backward, single = path(7), path(7), path(7)
    ahead = {k: forward.chunk(k).levels for k in range(-6, 7)}
    behind = {k: backward.chunk(k).levels for k in range(6, -7, -1)}
    for k, levels in ahead.items():
        assert np.array_equal(levels, behind[k])
    assert np.array_equal(single.chunk(-6).levels, ahead[-6])
    assert np.array_equal(single.texture(3, 2).value, forward.texture(3, 2).value)


def test_days_join_without_a_jump_and_pass_through_the_prices_of_the_profile() -> None:
    fair = path(8)
    for k in range(-5, 5):
        assert np.allclose(fair.chunk(k).levels[:, -1], fair.chunk(k + 1).levels[:, 0], atol=1e-12)
    assert np.exp(fair.chunk(0).levels[:, 0]).tolist() == pytest.approx([a.price for a in ASSETS])
    assert fair.minute(GENESIS) == (0, 0)
    assert fair.minute(GENESIS - 1) == (-1, CHUNK - 1)


def test_the_cross_is_the_quotient_of_its_legs() -> None:
    fair = path(9)
    btc, eth = fair.chunk(2).levels[0], fair.chunk(2).levels[1]
    assert np.allclose(fair.weights[2] @ fair.chunk(2).levels, eth - btc)


def test_what_was_forgotten_is_made_again_the_same() -> None:
    fair = path(10)
    first = fair.chunk(0).levels.copy()
    for k in range(1, 60):
        fair.chunk(k)
    assert np.array_equal(fair.chunk(0).levels, first)


def test_the_volatility_setting_scales_every_move() -> None:
    usual, wild = minute_returns(path(1, seasonal=False)), minute_returns(path(1, seasonal=False, volatility=3.0))
    assert wild.std() / usual.std() == pytest.approx(3.0, rel=0.01)

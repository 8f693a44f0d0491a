"""Random series: their statistics, the bars' soundness, scenarios, and repeatability."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.backtest.analysis.bootstrap import (
    SCENARIOS,
    VolatilityModel,
    block_indices,
    block_length,
    find_jumps,
    fit_volatility,
    shuffled,
    simulate,
    standardised,
    stressed,
)
from engine.backtest.analysis.paths import PriceModel
from engine.errors import DataError
from engine.strategy.soundness import first_fault
from tests.backtest.analysis.test_bias import walk
from tests.backtest.helpers import FLAT, make_bars


def rng(seed: int = 5) -> np.random.Generator:
    return np.random.Generator(np.random.SFC64(seed))


def test_blocks_go_on_with_the_next_row_and_have_the_length_asked_for() -> None:
    rows = block_indices(rng(), 100, 5_000, 20, 8.0)
    assert (rows.min(), rows.max()) == (0, 99)
    follows = np.diff(rows, axis=1) % 100 == 1
    # A block ends with probability 1/8, and one in a hundred new blocks begins with the next row by chance.
    assert follows.mean() == pytest.approx(1 - 1 / 8 + 1 / 800, abs=0.004)
    assert np.bincount(rows.ravel(), minlength=100).std() / 1000 < 0.12
    single = block_indices(rng(), 10, 1_000, 2, 1.0)
    assert (np.diff(single, axis=1) % 10 == 1).mean() == pytest.approx(0.1, abs=0.03)
    assert block_length(8760) == 21
    assert block_length(1) == 1


def test_shuffling_keeps_every_value() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0])
    found = shuffled(rng(), values, 50)
    assert np.sort(found, axis=1).tolist() == [values.tolist()] * 50
    assert len({tuple(row) for row in found.tolist()}) > 10


def test_scenarios_scale_the_volatility_and_keep_the_mean_growth() -> None:
    source = rng().normal(0.0005, 0.01, (40, 5_000))
    jumps = find_jumps(source[0])
    variance = float(source.var())
    same = stressed(rng(), source, SCENARIOS["normal"], jumps, 0.0005, variance)
    assert same is source
    double = stressed(rng(), source, SCENARIOS["stress"], jumps, 0.0005, variance)
    assert double.std() == pytest.approx(2 * source.std(), rel=1e-9)
    assert np.log(np.exp(double).mean()) == pytest.approx(np.log(np.exp(source).mean()), abs=1e-4)
    extreme = stressed(rng(), source, SCENARIOS["extreme"], jumps, 0.0005, variance)
    assert extreme.std() > 4 * source.std()


def test_jumps_by_hand() -> None:
    calm = np.tile([0.01, -0.01], 500)
    # 1.4826 x 0.01 is the robust deviation; three of six times that are jumps.
    jumpy = calm.copy()
    jumpy[[10, 400, 700]] = [-0.1, -0.12, 0.1]
    found = find_jumps(jumpy)
    assert found.rate == pytest.approx(3 / 1000)
    assert found.mean == pytest.approx(-0.04)
    none = find_jumps(calm)
    assert (none.rate, none.mean) == pytest.approx((0.001, -4 * 0.014826))


def test_the_volatility_of_a_known_process_is_found_again() -> None:
    truth = VolatilityModel(mean=0.0, omega=2e-6, alpha=0.1, beta=0.85)
    returns = simulate(rng(), truth, rng(1).standard_normal(20_000), 20_000, 1)[0][0]
    found = fit_volatility(returns)
    assert found is not None
    assert found.alpha == pytest.approx(0.1, abs=0.03)
    assert found.beta == pytest.approx(0.85, abs=0.05)
    assert found.variance == pytest.approx(returns.var(), rel=1e-9)
    shocks = standardised(found, returns)
    assert (shocks.mean(), shocks.std()) == pytest.approx((0.0, 1.0), abs=1e-9)
    assert fit_volatility(returns[:20]) is None
    assert fit_volatility(np.zeros(100)) is None


@pytest.mark.parametrize("way", ["prices", "parametric", "noise"])
@pytest.mark.parametrize("scenario", ["normal", "stress", "extreme"])
def test_every_path_is_made_of_possible_bars(way: str, scenario: str) -> None:
    bars = walk()
    model = PriceModel(bars, way)  # type: ignore[arg-type]
    paths = model.draw(rng(), 12, SCENARIOS[scenario])
    assert paths.close.shape == (12, len(bars))
    for path in range(12):
        assert first_fault(paths.bars(path)) is None
    steps = np.diff(np.log(paths.close), axis=1)
    scale = {"normal": 1.0, "stress": 2.0, "extreme": 4.0}[scenario]
    # Noise of a quarter of the deviation adds 2 x (scale / 4)^2 of the variance to what is there.
    wanted = math.sqrt(1.0 + 2.0 * (scale / 4) ** 2) if way == "noise" else scale
    assert steps.std() / model.steps.std() == pytest.approx(wanted, rel=0.12 if scenario != "extreme" else 0.35)


def test_paths_are_repeatable_and_differ_from_each_other() -> None:
    model = PriceModel(walk(), "prices")
    one, two = (model.draw(rng(3), 4, SCENARIOS["normal"]).close for _ in range(2))
    assert one.tobytes() == two.tobytes()
    assert len(np.unique(one[:, -1])) == 4


def test_the_market_must_move() -> None:
    with pytest.raises(DataError, match="never move"):
        PriceModel(make_bars([FLAT] * 100), "prices")
    with pytest.raises(DataError, match="50 bars"):
        PriceModel(make_bars([FLAT] * 10), "prices")

"""The trader's own pressure: square root in size, fading in time, a linear rest for good."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.venues.markets.sim_impact import ImpactModel
from engine.venues.markets.sim_profile import ASSETS

SECOND = 10**9
BTC = ASSETS[0]
DAILY = BTC.sigma * math.sqrt(1440)


def model() -> ImpactModel:
    return ImpactModel(ASSETS, 1.0)


def test_the_peak_follows_the_square_root_law() -> None:
    peaks = []
    for value in (1e6, 4e6, 16e6):
        impact = model()
        impact.press(SECOND, 0, value)
        peaks.append(impact.transient(SECOND)[0])
    assert peaks[1] / peaks[0] == pytest.approx(2)
    assert peaks[2] / peaks[1] == pytest.approx(2)
    assert peaks[0] == pytest.approx(0.8 * DAILY * math.sqrt(1e6 / BTC.daily_volume))


def test_slicing_at_once_changes_nothing_and_slicing_in_time_is_cheaper() -> None:
    whole, sliced, patient = model(), model(), model()
    whole.press(SECOND, 0, 10e6)
    for i in range(10):
        sliced.press(SECOND, 0, 1e6)
        patient.press(SECOND + i * 120 * SECOND, 0, 1e6)
    assert sliced.transient(SECOND)[0] == pytest.approx(whole.transient(SECOND)[0])
    assert patient.transient(SECOND + 1080 * SECOND)[0] < 0.7 * whole.transient(SECOND)[0]


def test_pressure_fades_fast_at_first_and_then_slowly() -> None:
    impact = model()
    impact.press(0, 0, 5e6)
    peak, after10, after60, after600 = (impact.transient(s * SECOND)[0] for s in (0, 10, 60, 600))
    assert peak > after10 > after60 > after600 > 0
    assert after10 < 0.8 * peak
    assert after600 > 0.2 * peak
    assert impact.transient(10 * 86_400 * SECOND) == [0.0] * len(ASSETS)
    assert not impact.active


def test_what_stays_is_linear_so_that_a_round_trip_leaves_nothing() -> None:
    impact = model()
    impact.press(0, 1, 3e6)
    assert impact.permanent[1] > 0
    impact.press(SECOND, 1, -1e6)
    impact.press(SECOND, 1, -2e6)
    assert impact.permanent[1] == pytest.approx(0, abs=1e-15)
    assert impact.permanent[0] == 0


def test_what_stays_is_small_beside_the_peak() -> None:
    impact = model()
    impact.press(0, 0, 10_000)
    assert 0 < impact.permanent[0] < 0.01 * impact.transient(0)[0]


@given(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 3), st.integers(-(10**8), 10**8)), max_size=30))
def test_buying_and_selling_are_mirror_images_and_a_saved_state_is_the_same(
    presses: list[tuple[int, int, int]],
) -> None:
    up, down = model(), model()
    now = 0
    for wait, asset, value in presses:
        now += wait * SECOND
        up.press(now, asset, value)
        down.press(now, asset, -value)
    copy = model()
    copy.load(up.dump())
    later = now + 7 * SECOND
    assert [-x for x in down.transient(later)] == pytest.approx(up.transient(later))
    assert copy.transient(later) == up.transient(later)
    assert copy.permanent == up.permanent

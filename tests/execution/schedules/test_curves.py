"""TWAP, VWAP and participation: what is due by when, and never more than a cap allows."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ValidationError
from engine.execution.schedules.curves import pov_due, room_under_cap, twap, vwap
from engine.execution.schedules.volume import DAY_NS, VolumeProfile, volume_profile
from engine.model.candle import Candle
from engine.model.ids import InstrumentId
from engine.model.schedule import Slice

HOUR = DAY_NS // 24
MINUTE = 60 * 10**9


def bar(hour: int, volume: float) -> Candle:
    return Candle(
        instrument=InstrumentId("SIM:BTC/USDT"), timeframe="1h", ts=hour * HOUR, open=1, high=1, low=1, close=1,
        volume=volume, closed=True,
    )  # fmt: skip


def test_a_twap_is_even() -> None:
    assert twap(40, 4) == (Slice(0, D("0.25")), Slice(10, D("0.5")), Slice(20, D("0.75")), Slice(30, D(1)))
    assert twap(10, 1) == (Slice(0, D(1)),)


@given(st.integers(1, 200), st.decimals(0, D("0.5"), places=2), st.integers())
def test_jitter_moves_slices_by_no_more_than_it_says_and_the_same_way_each_time(n: int, jitter: D, seed: int) -> None:
    window = 1_000_000 * n
    shifted = twap(window, n, jitter=jitter, seed=seed)
    assert shifted == twap(window, n, jitter=jitter, seed=seed)
    assert len(shifted) == n
    sizes = [b - a for a, b in zip([D(0), *(s.share for s in shifted)], (s.share for s in shifted), strict=False)]
    for k, (step, size) in enumerate(zip(shifted, sizes, strict=True)):
        assert 0 <= step.offset_ns - k * 1_000_000 <= float(jitter) * 1_000_000
        assert abs(size * n - 1) <= jitter + D("1e-6")


@pytest.mark.parametrize(("window", "slices", "jitter"), [(10, 0, "0"), (10, 1001, "0"), (3, 4, "0"), (10, 2, "0.51")])
def test_a_twap_out_of_its_range_is_refused(window: int, slices: int, jitter: str) -> None:
    with pytest.raises(ValidationError):
        twap(window, slices, jitter=D(jitter))


def test_a_profile_is_the_mean_of_each_hour_over_the_last_days() -> None:
    days = [bar(24 * day + hour, 1000.0 if day < 10 else hour) for day in range(30) for hour in range(24)]
    profile = volume_profile(days)
    assert list(profile.volumes) == [float(hour) for hour in range(24)]
    assert profile.daily == sum(range(24))
    assert profile.expected(3 * HOUR, 5 * HOUR) == pytest.approx(3 + 4)
    assert profile.expected(23 * HOUR + HOUR // 2, 25 * HOUR) == pytest.approx(11.5)
    assert profile.expected(0, 3 * DAY_NS) == pytest.approx(3 * profile.daily)


def test_hours_never_seen_get_the_mean_of_the_others() -> None:
    assert list(volume_profile([bar(0, 2.0), bar(1, 4.0)]).volumes) == [2.0, 4.0, *[3.0] * 22]
    with pytest.raises(ValidationError, match="no candles"):
        volume_profile([])


def test_a_vwap_follows_the_expected_volume_and_leaves_empty_hours_out() -> None:
    profile = VolumeProfile(volume_profile([bar(h, 0.0 if h == 1 else 1.0 + (h == 2)) for h in range(24)]).volumes)
    assert vwap(profile, 0, 4 * HOUR, 4) == (
        Slice(0, D("0.25")), Slice(2 * HOUR, D("0.75")), Slice(3 * HOUR, D(1)),
    )  # fmt: skip
    with pytest.raises(ValidationError, match="No volume"):
        vwap(profile, HOUR, HOUR, 2)


def test_participation_counts_own_volume_as_a_part_of_the_whole() -> None:
    assert pov_due(D(900), D("0.1"), D(1000)) == 100
    assert pov_due(D(900), D("0.1"), D(60)) == 60
    assert pov_due(D(0), D("0.1"), D(60)) == 0
    for rate in ("0", "1", "-0.1"):
        with pytest.raises(ValidationError):
            pov_due(D(1), D(rate), D(1))


@given(st.decimals(0, 10**9, places=8), st.decimals(D("0.01"), D("0.99"), places=2), st.decimals(0, 10**6, places=8))
def test_what_a_cap_leaves_room_for_never_breaks_it(others: D, cap: D, executed: D) -> None:
    room = room_under_cap(others, cap, executed)
    assert room >= 0
    if room:
        own = executed + room
        assert own <= cap * (own + others) + D("1e-9")

"""VWAP: what is due by when follows the volume that is expected."""

from __future__ import annotations

from decimal import Decimal as D

import pytest

from engine.errors import ValidationError
from engine.execution.schedules.curves import vwap
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

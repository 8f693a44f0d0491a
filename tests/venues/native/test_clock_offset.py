"""The venue's clock from the quickest of the last looks at it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from engine.clock import SimulatedClock
from engine.venues.native.clock_offset import KEPT, ClockOffset

MS = 1_000_000


@given(
    st.integers(-60_000, 60_000),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), min_size=1, max_size=20),
)
def test_the_offset_is_right_within_its_own_uncertainty(true_ms: int, ways: list[tuple[int, int]]) -> None:
    clock = SimulatedClock()
    offset = ClockOffset(clock)
    for there, back in ways:
        sent = clock.now()
        told = sent + (there + true_ms) * MS
        clock.set(sent + (there + back) * MS)
        offset.add(sent, told, clock.now())
    assert offset.uncertainty_ns is not None
    assert abs(offset.offset_ns - true_ms * MS) <= offset.uncertainty_ns
    assert offset.uncertainty_ns == min(a + b for a, b in ways[-KEPT:]) * MS // 2
    assert offset.now() == clock.now() + offset.offset_ns


def test_before_the_first_look_there_is_no_offset() -> None:
    offset = ClockOffset(SimulatedClock())
    assert (offset.measured, offset.offset_ns, offset.age_ns, offset.uncertainty_ns) == (False, 0, None, None)
    offset.add(0, 7 * MS, 0)
    assert (offset.measured, offset.offset_ns) == (True, 7 * MS)


def test_after_a_jump_only_new_looks_count() -> None:
    clock = SimulatedClock()
    offset = ClockOffset(clock)
    now = clock.now()
    offset.add(now, now + 3 * MS, now)
    offset.restart()
    assert offset.offset_ns == 3 * MS
    offset.add(now, now + 900 * MS, now + 400 * MS)
    assert offset.offset_ns == 700 * MS


def test_looks_of_more_than_an_hour_ago_say_nothing() -> None:
    clock = SimulatedClock()
    offset = ClockOffset(clock)
    old = clock.now()
    offset.add(old, old, old)
    late = old + 3700 * 1000 * MS
    offset.add(late, late + 60 * MS, late + 20 * MS)
    assert offset.offset_ns == 50 * MS

"""What a watchdog decides, told by times alone."""

from __future__ import annotations

import pytest

from console.watch_policy import (
    ASLEEP_S,
    FIRST_BEAT_S,
    LAST_WORDS_S,
    LONGEST_PAUSE_S,
    MOST_RESTARTS,
    WINDOW_S,
    Policy,
    Step,
    Verdict,
)
from engine.control.notify import SILENCE_S

BEAT = {"WATCHDOG": "1"}


def looked(policy: Policy, start: float, end: float) -> list[tuple[float, Step]]:
    """What is to be done, asked every second."""
    found = [(float(now), policy.judge(float(now))) for now in range(int(start) + 1, int(end) + 1)]
    return [(now, step) for now, step in found if step is not Step.NOTHING]


def watching(*, ours: bool = True, beats: bool = True) -> Policy:
    policy = Policy()
    policy.follow(7, 0.0, ours=ours)
    if beats:
        policy.hear({"READY": "1"}, 0.0)
    return policy


def test_an_engine_that_beats_is_left_alone() -> None:
    policy = watching()
    for now in range(1, 500):
        if now % 29 == 0:
            policy.hear(BEAT, float(now))
        assert policy.judge(float(now)) is Step.NOTHING


def test_silence_asks_for_a_traceback_once_and_then_ends_it_by_force() -> None:
    found = looked(watching(), 0, SILENCE_S + LAST_WORDS_S)
    assert found == [(SILENCE_S, Step.ABORT), (SILENCE_S + LAST_WORDS_S, Step.KILL)]


def test_an_engine_of_ours_may_load_for_a_while_before_it_beats() -> None:
    assert looked(watching(beats=False), 0, FIRST_BEAT_S) == [(FIRST_BEAT_S, Step.ABORT)]


def test_a_stranger_that_never_beats_is_not_known_to_hang() -> None:
    assert looked(watching(ours=False, beats=False), 0, 10 * SILENCE_S) == []


def test_whoever_slept_does_not_hold_the_silence_against_the_engine() -> None:
    policy = watching()
    assert policy.judge(1.0) is Step.NOTHING
    woken = 1.0 + SILENCE_S + ASLEEP_S
    assert policy.judge(woken) is Step.NOTHING
    assert looked(policy, woken, woken + SILENCE_S) == [(woken + SILENCE_S, Step.ABORT)]


def test_an_orderly_end_is_the_end() -> None:
    policy = watching()
    policy.hear({"STOPPING": "1"}, 1.0)
    assert policy.gone(2.0) is Verdict.END


def test_one_that_never_came_up_is_not_tried_again_but_one_that_did_is() -> None:
    assert watching(beats=False).gone(1.0) is Verdict.END
    policy = watching()
    assert policy.gone(1.0) is Verdict.RESTART
    policy.follow(8, 2.0, ours=True)
    assert policy.gone(3.0) is Verdict.RESTART


def test_one_that_was_there_before_us_is_started_again() -> None:
    assert watching(ours=False, beats=False).gone(1.0) is Verdict.RESTART


def test_an_end_that_was_asked_of_the_one_before_does_not_count_for_the_next() -> None:
    policy = watching()
    policy.hear({"STOPPING": "1"}, 1.0)
    policy.follow(8, 2.0, ours=False)
    assert policy.gone(3.0) is Verdict.RESTART


@pytest.mark.parametrize(("apart", "last"), [(1.0, Verdict.GIVE_UP), (WINDOW_S / MOST_RESTARTS, Verdict.RESTART)])
def test_five_restarts_within_ten_minutes_are_enough(apart: float, last: Verdict) -> None:
    policy = watching()
    verdicts = []
    for number in range(MOST_RESTARTS + 1):
        verdicts.append(policy.gone(number * apart))
        policy.follow(number, number * apart, ours=True)
    assert verdicts == [Verdict.RESTART] * MOST_RESTARTS + [last]


def test_pauses_grow_and_stay_bearable() -> None:
    policy = watching()
    pauses = []
    for now in range(MOST_RESTARTS):
        policy.gone(float(now))
        pauses.append(policy.pause())
    assert pauses == sorted(pauses)
    assert pauses[0] == 0.5
    assert pauses[-1] <= LONGEST_PAUSE_S

"""A schedule is sound or refused, and says what is due by when."""

from __future__ import annotations

from decimal import Decimal

import pytest

from engine.errors import ValidationError
from engine.model.schedule import Slice, check_schedule, horizon_of, quantity_due, share_due

HALVES = (Slice(0, Decimal("0.5")), Slice(10, Decimal(1)))


def test_a_sound_schedule_is_returned() -> None:
    assert check_schedule(list(HALVES)) == HALVES
    assert horizon_of(HALVES) == 10


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        ((), "at least one slice"),
        ((Slice(-1, Decimal(1)),), "not later"),
        ((Slice(5, Decimal("0.5")), Slice(5, Decimal(1))), "not later"),
        ((Slice(0, Decimal(0)), Slice(5, Decimal(1))), "adds nothing"),
        ((Slice(0, Decimal("0.6")), Slice(5, Decimal("0.6")), Slice(6, Decimal(1))), "adds nothing"),
        ((Slice(0, Decimal("NaN")),), "adds nothing"),
        ((Slice(0, Decimal("0.999")),), "must end at 1"),
        ((Slice(0, Decimal("1.001")),), "must end at 1"),
    ],
)
def test_an_unsound_schedule_is_refused(slices: tuple[Slice, ...], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        check_schedule(slices)


@pytest.mark.parametrize(("elapsed", "share"), [(-1, "0"), (0, "0.5"), (9, "0.5"), (10, "1"), (99, "1")])
def test_what_is_due_at_and_around_each_slice(elapsed: int, share: str) -> None:
    assert share_due(HALVES, elapsed) == Decimal(share)
    assert quantity_due(HALVES, elapsed, Decimal(4)) == Decimal(share) * 4

"""The fault test of the hand-over in its short form: frozen on both sides of the switch, killed at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.handovers import run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("seed", "step", "old", "new"),
    [
        # Stopped just after it gave the lock away: it wakes up when another one trades, and leaves.
        (8001, "handover.granted:stop", ["ready", "left"], ["ready"]),
        # Stopped with the lock in its hand: it is ended, and the engine goes on.
        (8002, "handover.taking:stop", ["ready"], []),
        # Stopped while everything stands still: the other one gives up, and the engine goes on where it stood.
        (8003, "handover.let_go:stop", ["ready"], None),
        # Dies with the right to write: the next start recovers.
        (8004, "handover.taken:kill", ["ready", "left"], []),
    ],
)
def test_nothing_is_lost_or_doubled_and_one_engine_goes_on(
    seed: int, step: str, old: list[str], new: list[str] | None, tmp_path: Path
) -> None:
    ending = run(seed, step, keep=tmp_path)
    assert ending.problems == []
    assert ending.struck
    assert ending.said["old"] == old
    if new is not None:
        assert ending.said["new"] == new
    else:
        (refusal,) = ending.said["new"]
        assert "did not" in refusal

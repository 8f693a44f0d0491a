"""What the operation that restarts an engine refuses before anything has begun."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from engine.control.ops.handover import restart
from engine.control.requests import Empty
from engine.errors import ConflictError


def context(*states: str) -> tuple[Any, list[int]]:
    """An engine with jobs in these states that could be handed over, and the successors that were started."""
    started: list[int] = []

    async def start() -> int:
        started.append(4711)
        return 4711

    door = SimpleNamespace(standing=SimpleNamespace(state="none", pid=0), expect=lambda pid: None)
    jobs = SimpleNamespace(rows=lambda: [SimpleNamespace(state=state) for state in states])
    return SimpleNamespace(handover=door, start_successor=start, jobs=jobs), started


@pytest.mark.parametrize(
    ("states", "words"), [(("running",), "1 job is"), (("queued", "done", "running"), "2 jobs are")]
)
async def test_jobs_under_way_are_not_lost_with_the_process(states: tuple[str, ...], words: str) -> None:
    found, started = context(*states)
    with pytest.raises(ConflictError, match=f"{words} under way"):
        await restart(found, Empty())
    assert started == []


async def test_jobs_that_have_ended_hold_nothing_up() -> None:
    found, started = context("done", "failed", "cancelled")
    assert "4711" in await restart(found, Empty())
    assert started == [4711]

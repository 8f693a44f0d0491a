"""Crash points: each stands in the code, strikes at the pass that was ordered, and does nothing otherwise."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine.crash_points import CRASH_AT, POINTS, arm, crash_point, killer
from tests.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSED = re.compile(r'\bcrash_point\("([a-z_.]+)"\)')


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    arm(None)


def test_every_point_stands_in_the_code_and_none_stands_there_unnamed() -> None:
    files = [path for room in ("console", "engine", "storage") for path in sorted((ROOT / room).rglob("*.py"))]
    placed = {name for path in files for name in PASSED.findall(path.read_text(encoding="utf-8"))}
    assert placed == set(POINTS)


def test_who_is_armed_hears_every_pass() -> None:
    heard: list[str] = []
    crash_point("journal.commit")
    arm(heard.append)
    crash_point("journal.commit")
    crash_point("order.sent")
    arm(None)
    crash_point("order.sent")
    assert heard == ["journal.commit", "order.sent"]


@pytest.mark.parametrize("order", ["journal", "journal.commit", "journal.commit:0", "journal.commit:x", "no.such:1"])
def test_an_order_that_cannot_be_carried_out_is_refused(order: str) -> None:
    with pytest.raises(ValueError, match=r"journal\.committed"):
        killer(order)


@pytest.mark.parametrize("nth", [1, 3])
def test_a_process_dies_at_the_pass_that_was_ordered(nth: int) -> None:
    program = "from engine.crash_points import *\nfor n in range(5):\n print(n, flush=True); crash_point('mark.write')"
    child = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, CRASH_AT: f"mark.write:{nth}"},
        capture_output=True,
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    assert len(child.stdout.split()) == nth


def test_a_process_may_freeze_instead_and_go_on() -> None:
    program = "from engine.crash_points import *\ncrash_point('mark.write'); print('on', flush=True)"
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, CRASH_AT: "mark.write:1:stop"},
        stdout=subprocess.PIPE,
    )
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    os.kill(child.pid, signal.SIGCONT)
    output, _ = child.communicate(timeout=20)
    assert (output, child.returncode) == (b"on\n", 0)

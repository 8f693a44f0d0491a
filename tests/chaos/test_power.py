"""The power-loss test in its short form, what the recorder writes down, and that it can find something."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.chaos.disk import Disk, build_recorder, compiler
from tests.chaos.plan import Plan
from tests.chaos.power import recorded

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import os, sys
root, marker = sys.argv[1], sys.argv[1] + "/sent"
def put(name, text, at=0, sync=False):
    file = os.open(f"{root}/{name}", os.O_CREAT | os.O_WRONLY, 0o600)
    os.pwrite(file, text, at)
    if sync: os.fsync(file)
    os.close(file)
def folder():
    file = os.open(root, os.O_RDONLY); os.fsync(file); os.close(file)
def mark(text):
    file = os.open(marker, os.O_CREAT | os.O_APPEND | os.O_WRONLY); os.write(file, text + b"\\n"); os.close(file)
put("a", b"first", sync=True)
mark(b"1")
folder()
mark(b"2")
put("a", b"F")
put("old", b"old", sync=True); folder()
put("new", b"new", sync=True); os.rename(f"{root}/new", f"{root}/old")
mark(b"3")
folder()
put("a", b"!", 5, sync=True)
mark(b"4")
file = os.open(f"{root}/a", os.O_WRONLY); os.ftruncate(file, 2); os.close(file)
os.unlink(f"{root}/old")
mark(b"5")
"""


@pytest.fixture(scope="module", autouse=True)
def _can_compile() -> None:
    if compiler() is None:
        reason = "there is no C compiler, which the recorder of writes needs"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def test_only_what_was_synced_before_is_on_the_disk_for_certain(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        **os.environ,
        "LD_PRELOAD": str(build_recorder(tmp_path)),
        "DISK_LOG": str(tmp_path / "log"),
        "DISK_LOG_ROOT": str(home),
    }
    subprocess.run([sys.executable, "-c", PROGRAM, str(home)], env=environment, check=True)
    disk = Disk(tmp_path / "log", home, {"config.toml": b"c"}, ("sent",))
    places = [place for place, _, _ in disk.moments]
    always = {"config.toml": b"c"}
    assert [disk.image(place) for place in places] == [
        always,
        {**always, "a": b"first"},
        {**always, "a": b"first", "old": b"old"},
        {**always, "a": b"First!", "old": b"new"},
        {**always, "a": b"First!", "old": b"new"},
    ]
    assert disk.lines("sent", places[2]) == b"1\n2\n3\n"
    # What was not synced may be there all the same: every mixture of old and new, and nothing else.
    lucky = [disk.image(places[4], random.Random(seed)) for seed in range(40)]
    assert {image["a"] for image in lucky} == {b"First!", b"Fi"}
    assert {image.get("old") for image in lucky} == {b"new", None}
    assert {disk.image(places[2], random.Random(seed))["old"] for seed in range(40)} == {b"old", b"new"}


def test_nothing_is_lost_doubled_or_misstated_when_the_power_fails() -> None:
    with recorded(Plan(7201), seconds=1.2) as recording:
        moments = recording.moments
        assert len(moments) > 20
        for number in range(4):
            # By turns: nothing that was not synced is there, or a part of it.
            moment = moments[len(moments) * (2 * number + 1) // 8]
            verdict = recording.fail(moment, random.Random(number) if number % 2 else None)
            assert verdict.problems == [], moment.what


def test_a_journal_that_is_not_synced_is_found_out() -> None:
    with recorded(Plan(7211, defect="journal not synced"), seconds=0.5) as recording:
        assert recording.fail(recording.moments[-1], None).lost

"""Killed at any moment, out of space at any moment: what was said to be durable is there, and nothing else was said."""

from __future__ import annotations

import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from storage.journal import Journal, Reader, replay
from storage.journal.cut import cut
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

CHILD = [sys.executable, "-m", "tests.storage.journal.crash_child"]


def start(path: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([*CHILD, str(path), *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def largest(lines: list[str], *words: str) -> int:
    return max((int(line.split()[1]) for line in lines if line.split()[0] in words), default=0)


def test_everything_said_to_be_durable_survives_being_killed_during_bursts(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    chance = random.Random(11)
    said = 0
    for number in range(5):
        child = start(path)
        assert child.stdout is not None
        goal = said + chance.randrange(50, 1500)
        lines: list[str] = []
        for line in child.stdout:
            lines.append(line)
            if largest([line], "durable", "effect") >= goal:
                child.kill()
                break
        lines += child.stdout.readlines()
        child.stdout.close()
        assert child.wait() == -9
        # The start before this kill has found everything that was said before.
        assert largest(lines, "recovered") >= said
        # The last line may have been cut by the kill.
        said = largest([line for line in lines if line.endswith("\n")], "durable", "effect")
        reader = Reader(path)
        assert reader.verify()[0] >= said
        reader.close()
        if number % 2:
            cut(path, kept=2)
    recovered = Journal.open(path).recovered
    assert recovered.state.seq >= said
    assert recovered.snapshot_seq > 0
    assert recovered.notes == []
    assert recovered.state.state_hash() == replay(path).state_hash()


@pytest.mark.parametrize("most", [60_000, 300_000, 900_000])
def test_a_full_disk_halts_the_journal_and_releases_nothing_more(tmp_path: Path, most: int) -> None:
    path = tmp_path / "journal.db"
    child = start(path, str(most))
    output, _ = child.communicate(timeout=60)
    lines = output.splitlines()
    assert child.returncode == 0, output
    effects = largest(lines, "effect")
    refused = next(line for line in lines if line.startswith("refused"))
    assert int(refused.split()[1]) > effects
    assert refused.split()[2] in {"SQLITE_IOERR_WRITE", "SQLITE_FULL", "SQLITE_IOERR", "JournalError"}
    failures, durable = lines[-1].rsplit(" ", 1)
    assert failures == "failures ['JournalError']"
    assert lines[-2] == refused
    # With space again everything that was released is there, and the journal is whole.
    recovered = Journal.open(path).recovered
    assert recovered.state.seq >= int(durable) >= effects > 0


def test_the_program_that_cuts_a_snapshot_ends_with_its_parent() -> None:
    program = (
        "import threading; from storage.journal import cut; "
        "cut.cut = lambda *_: threading.Event().wait(); cut.main(['journal.db', '3'])"
    )
    child = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE)
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(timeout=20) == 2

"""One engine per home folder, and the lock rather than the text decides who it is."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from engine.clock import SimulatedClock
from engine.control.lock import EngineLock, LockHolder, find_holder, send_stop, wait_until_free
from engine.errors import EngineAlreadyRunningError, EngineError, EngineNotRunningError

if TYPE_CHECKING:
    from pathlib import Path

HOLD = """
import sys, time
from pathlib import Path
from engine.control.lock import EngineLock
lock = EngineLock.acquire(Path(sys.argv[1]), release="1.2.3")
print("held", flush=True)
time.sleep(60)
"""


def hold_elsewhere(home: Path) -> subprocess.Popen[bytes]:
    """Hold the lock in another process."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(home)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    process.stdout.close()
    return process


def test_the_holder_is_named_with_release_and_start(tmp_path: Path) -> None:
    with EngineLock.acquire(tmp_path, release="1.2.3", clock=SimulatedClock(42)) as lock:
        assert find_holder(tmp_path) == lock.holder == LockHolder(os.getpid(), "1.2.3", 42)
        assert (tmp_path / "engine.lock").stat().st_mode & 0o777 == 0o600
        assert not os.get_inheritable(lock.fileno())
    assert find_holder(tmp_path) is None
    with pytest.raises(EngineNotRunningError):
        lock.fileno()


def test_a_second_engine_is_refused_and_told_who_has_it(tmp_path: Path) -> None:
    with EngineLock.acquire(tmp_path, release="1"), pytest.raises(EngineAlreadyRunningError) as refusal:
        EngineLock.acquire(tmp_path, release="1")
    assert refusal.value.details == {"pid": os.getpid()}
    assert f"process {os.getpid()}" in refusal.value.message
    assert str(tmp_path) in refusal.value.message


def test_the_lock_dies_with_its_owner_and_what_it_wrote_misleads_nobody(tmp_path: Path) -> None:
    process = hold_elsewhere(tmp_path)
    holder = find_holder(tmp_path)
    assert holder is not None
    assert holder.pid == process.pid
    process.kill()
    process.wait()
    assert json.loads((tmp_path / "engine.lock").read_text())["pid"] == process.pid
    assert find_holder(tmp_path) is None
    with pytest.raises(EngineNotRunningError):
        send_stop(tmp_path)
    EngineLock.acquire(tmp_path, release="1").release()


def test_a_held_lock_that_names_a_stranger_is_not_believed(tmp_path: Path) -> None:
    with EngineLock.acquire(tmp_path, release="1") as lock:
        stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        lock.path.write_text(json.dumps({"pid": stranger.pid, "release": "1", "started": 0}))
        assert find_holder(tmp_path) == LockHolder(0, "", 0)
        with pytest.raises(EngineNotRunningError, match="just starting or ending"):
            send_stop(tmp_path)
        assert stranger.poll() is None
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": "x"}', "\x00" * 9])
def test_unreadable_text_is_a_holder_without_a_name(tmp_path: Path, text: str) -> None:
    with EngineLock.acquire(tmp_path, release="1") as lock:
        lock.path.write_text(text)
        assert find_holder(tmp_path) == LockHolder(0, "", 0)
        with pytest.raises(EngineAlreadyRunningError) as refusal:
            EngineLock.acquire(tmp_path, release="1")
        assert refusal.value.details == {"pid": 0}


@pytest.mark.parametrize("now", [False, True])
def test_stop_reaches_the_holder_and_the_folder_becomes_free(tmp_path: Path, now: bool) -> None:
    process = hold_elsewhere(tmp_path)
    assert not wait_until_free(tmp_path, 0.0)
    if now:
        process.send_signal(signal.SIGSTOP)
    assert send_stop(tmp_path, now=now).pid == process.pid
    process.send_signal(signal.SIGCONT)
    assert process.wait(10) == -signal.SIGTERM
    assert wait_until_free(tmp_path, 10.0)


def test_a_lock_that_cannot_be_opened_is_not_taken_for_a_free_one(tmp_path: Path) -> None:
    (tmp_path / "engine.lock").mkdir()
    with pytest.raises(EngineError, match="cannot be opened"):
        find_holder(tmp_path)
    with pytest.raises(EngineError, match="cannot be opened"):
        EngineLock.acquire(tmp_path, release="1")


def test_a_lock_whose_file_was_removed_while_it_was_taken_is_taken_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise two would hold a lock each, and neither would know of the other."""
    real, times = fcntl.flock, iter(range(10))

    def flock(descriptor: int, operation: int) -> None:
        if next(times) == 0:
            (tmp_path / "engine.lock").unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)
    with EngineLock.acquire(tmp_path, release="1"):
        monkeypatch.undo()
        with pytest.raises(EngineAlreadyRunningError):
            EngineLock.acquire(tmp_path, release="2")


def test_giving_a_lock_back_that_another_process_has_adopted_leaves_what_that_one_wrote(tmp_path: Path) -> None:
    ours = EngineLock.acquire(tmp_path, release="1", clock=SimulatedClock(1))
    theirs = EngineLock.adopt(tmp_path, os.dup(ours.fileno()), release="2", clock=SimulatedClock(2))
    ours.release()
    assert find_holder(tmp_path) == theirs.holder
    theirs.release()
    assert find_holder(tmp_path) is None


def test_a_folder_that_never_had_an_engine_has_none(tmp_path: Path) -> None:
    assert find_holder(tmp_path) is None
    assert find_holder(tmp_path / "absent") is None
    assert wait_until_free(tmp_path, 0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_was_passed_over_is_known_to_be_open_elsewhere(tmp_path: Path) -> None:
    lock = EngineLock.acquire(tmp_path, release="2.0.0")
    other = EngineLock.adopt(tmp_path, os.dup(lock.fileno()), release="2.1.0")
    assert other.is_open_in(os.getpid())
    assert not other.is_open_in(1 if os.getpid() != 1 else 2)
    lock.forget()
    holder = find_holder(tmp_path)
    assert holder is not None
    assert holder.release == "2.1.0"
    other.release()
    assert find_holder(tmp_path) is None


def test_what_is_not_the_lock_is_not_adopted(tmp_path: Path) -> None:
    EngineLock.acquire(tmp_path, release="2.0.0").release()
    stranger = os.open(tmp_path / "other", os.O_CREAT | os.O_RDWR)
    with pytest.raises(EngineError, match="not the lock"):
        EngineLock.adopt(tmp_path, stranger, release="2.0.0")
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(stranger)

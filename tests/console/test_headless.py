"""A headless engine's process and its watchdog, as real processes around a stub engine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from console.cli import root
from console.watch import LOCK_FILE, read_alarm, watchdog_pid
from engine.control.lock import EngineLock, find_holder
from tests.kit.stub_engine import seen
from tests.kit.terminal import until

if TYPE_CHECKING:
    from collections.abc import Iterator

KIT = Path(__file__).parent.parent / "kit"


class House:
    """A home folder and the processes around its engine."""

    def __init__(self, home: Path) -> None:
        self.home = home
        (home / "run").mkdir(mode=0o700)
        (home / "logs").mkdir(mode=0o700)
        self.children: list[subprocess.Popen[bytes]] = []
        self.environ = os.environ | {"WATCHDOG_USEC": "300000"}
        self.log = (home / "logs" / "process.log").open("wb")

    def start(self, stub: str, *arguments: str) -> tuple[subprocess.Popen[bytes], str]:
        """Start a process that says on a pipe how its engine came up; returns it and what it said."""
        hear, tell = os.pipe()
        given = [str(self.home), str(tell)] if stub == "watchdog" else ["--home", str(self.home), "--ready", str(tell)]
        child = self.run(stub, *given, *arguments, fd=tell)
        os.close(tell)
        with os.fdopen(hear, encoding="utf-8") as line:
            return child, line.read()

    def run(self, stub: str, *arguments: str, fd: int | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, str(KIT / f"{stub}_stub.py"), *arguments]
        fds = () if fd is None else (fd,)
        child = subprocess.Popen(command, env=self.environ, stdout=self.log, stderr=self.log, pass_fds=fds)
        self.children.append(child)
        return child

    @property
    def engine(self) -> int:
        """The process that holds the lock; 0 for none."""
        holder = find_holder(self.home)
        return holder.pid if holder is not None else 0

    def said(self) -> str:
        return (self.home / "logs" / "process.log").read_text(encoding="utf-8", errors="replace")

    def other_engine(self, before: int) -> int:
        """Wait until another engine runs than the one before."""
        until(lambda: self.engine not in (0, before) and seen(self.home, "pid") == self.engine)
        return self.engine

    def close(self) -> None:
        for pid in {watchdog_pid(self.home), self.engine} - {0}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for child in self.children:
            child.kill()
            child.wait()
        self.log.close()


def watches(pid: int) -> bool:
    """Whether a watchdog holds on to a process, where the system tells; it has its lock a moment earlier."""
    held = Path(f"/proc/{pid}/fd")
    with contextlib.suppress(OSError):
        return not held.is_dir() or any("pidfd" in str(entry.readlink()) for entry in held.iterdir())
    return False


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    found = House(tmp_path)
    yield found
    found.close()


def test_ready_reload_and_orderly_stop_are_told_to_whoever_asked(house: House) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(house.home / "notify"))
        systemd.settimeout(10)
        house.environ["NOTIFY_SOCKET"] = str(house.home / "notify")
        child, said = house.start("headless")
        assert said == f"ready {child.pid}\n"
        assert house.engine == child.pid
        child.send_signal(signal.SIGHUP)
        until(lambda: seen(house.home, "reloads") == 1)
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
        assert seen(house.home, "state") == "stopped"
        heard: list[str] = []
        while heard[-1:] != ["STOPPING=1"]:
            heard.append(systemd.recv(4096).decode().splitlines()[0])
    assert [word for word in heard if word != "WATCHDOG=1"] == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert "WATCHDOG=1" in heard


def test_a_second_engine_says_who_is_the_first_and_ends_with_3(house: House) -> None:
    with EngineLock.acquire(house.home, release="1"):
        child, said = house.start("headless")
        assert child.wait(10) == 3
    assert said.startswith(f"running An engine is already running in {house.home} (process {os.getpid()})")


def test_a_start_that_fails_is_a_sentence_and_is_not_repeated(house: House) -> None:
    child, said = house.start("watchdog", "--fail", "start")
    assert said.startswith("error The engine could not go on (RuntimeError: the stub refuses to start)")
    assert child.wait(10) == 0
    assert house.engine == 0


def test_a_second_terminate_ends_an_engine_that_does_not_stop(house: House) -> None:
    child, _ = house.start("headless", "--fail", "stop")
    child.send_signal(signal.SIGTERM)
    until(lambda: seen(house.home, "state") == "stopping")
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 128 + signal.SIGTERM


def test_a_killed_engine_is_started_again_and_a_stopped_one_is_not(house: House) -> None:
    dog, said = house.start("watchdog")
    first = house.engine
    assert said == f"ready {first}\n"
    assert watchdog_pid(house.home) == dog.pid
    os.kill(first, signal.SIGKILL)
    second = house.other_engine(first)
    os.kill(second, signal.SIGTERM)
    assert dog.wait(10) == 0
    assert house.engine == 0
    assert sorted(entry.name for entry in (house.home / "run").iterdir()) == [LOCK_FILE]
    record = json.loads((house.home / "logs" / "engine.log").read_text(encoding="utf-8").splitlines()[0])
    assert (record["level"], record["logger"]) == ("error", "console.watchdog")


def test_an_engine_that_hangs_says_where_and_is_replaced(house: House) -> None:
    house.start("watchdog", "--fail", "hang")
    first = house.engine
    house.other_engine(first)
    assert "Fatal Python error: Aborted" in house.said()
    assert "in hang" in house.said()


def test_an_engine_that_takes_no_signal_is_ended_by_force(house: House) -> None:
    house.start("watchdog")
    first = house.engine
    os.kill(first, signal.SIGSTOP)
    house.other_engine(first)
    assert "the engine hangs" in house.said()


def test_an_engine_that_ends_again_and_again_is_given_up_with_an_alarm(house: House) -> None:
    dog, _ = house.start("watchdog", "--fail", "crash")
    assert dog.wait(30) == 1
    alarm = read_alarm(house.home)
    assert alarm is not None
    assert "ended 6 times within 10 minutes and is not started again" in alarm.text
    assert "CRITICAL watchdog" in house.said()
    house.start("headless")
    assert read_alarm(house.home) is None


def test_an_engine_that_is_stopped_while_it_waits_to_be_started_again_stays_down(house: House) -> None:
    dog, _ = house.start("watchdog", "--pause", "30")
    os.kill(house.engine, signal.SIGKILL)
    until(lambda: "it is started again" in house.said())
    stopped = CliRunner().invoke(root, ["--home", str(house.home), "stop"])
    assert stopped.output == f"No engine is running in {house.home}. Its watchdog does not start it again.\n"
    assert dog.wait(10) == 0
    assert house.engine == 0


def test_an_engine_that_fails_by_itself_is_started_again(house: House) -> None:
    dog, _ = house.start("watchdog", "--fail", "fail")
    until(lambda: house.said().count("RuntimeError: the stub fails") > 1)
    dog.kill()
    dog.wait()


def test_the_engine_goes_on_without_its_watchdog_and_another_one_takes_it_over(house: House) -> None:
    dog, _ = house.start("watchdog")
    first = house.engine
    dog.kill()
    dog.wait()
    other = house.run("watchdog", str(house.home), "-")
    until(lambda: watchdog_pid(house.home) == other.pid and watches(other.pid))
    assert house.engine == first
    os.kill(first, signal.SIGKILL)
    house.other_engine(first)
    assert other.poll() is None


def test_a_lost_watchdog_is_started_again_by_the_engine(house: House) -> None:
    dog, _ = house.start("watchdog", "--watched")
    first = house.engine
    dog.kill()
    dog.wait()
    until(lambda: watchdog_pid(house.home) not in (0, dog.pid))
    assert house.engine == first
    os.kill(first, signal.SIGTERM)
    until(lambda: watchdog_pid(house.home) == 0)
    assert house.engine == 0


def test_of_two_watchdogs_one_ends(house: House) -> None:
    dog, _ = house.start("watchdog")
    assert house.run("watchdog", str(house.home), "-").wait(10) == 0
    assert watchdog_pid(house.home) == dog.pid

"""What systemd and the watchdog hear from an engine's process, on real datagram sockets."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

import pytest

from engine.clock import SimulatedClock
from engine.control.notify import BEAT_S, Notifier, watchdog_socket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from engine.clock import Clock

ME = f"MAINPID={os.getpid()}"


class Ear:
    """A socket that hears datagrams."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.setblocking(False)

    def words(self) -> list[list[str]]:
        found = []
        while True:
            try:
                found.append(self.socket.recv(4096).decode().splitlines())
            except BlockingIOError:
                return found


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Ear]:
    ear = Ear(str(tmp_path / "notify"))
    yield ear
    ear.socket.close()


@pytest.fixture
def watchdog(tmp_path: Path) -> Iterator[Ear]:
    (tmp_path / "run").mkdir()
    ear = Ear(str(watchdog_socket(tmp_path)))
    yield ear
    ear.socket.close()


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Callable[..., Notifier]]:
    """Makes notifiers of one home folder, and closes them."""
    notifiers: list[Notifier] = []

    def make(environ: dict[str, str], clock: Clock | None = None) -> Notifier:
        notifiers.append(Notifier(tmp_path, environ, clock))
        return notifiers[-1]

    yield make
    for notifier in notifiers:
        notifier.close()


def test_start_reload_and_stop_are_told_in_systemds_words(
    tmp_path: Path, systemd: Ear, made: Callable[..., Notifier]
) -> None:
    notifier = made({"NOTIFY_SOCKET": str(tmp_path / "notify")}, SimulatedClock(5_000_000))
    notifier.ready()
    notifier.reloading()
    notifier.ready()
    notifier.stopping()
    notifier.succeeded_by(77)
    said = systemd.words()
    assert [words[0] for words in said] == ["READY=1", "RELOADING=1", "READY=1", "STOPPING=1", "MAINPID=77"]
    assert said[1][1] == "MONOTONIC_USEC=5000"
    assert notifier.supervised


def test_an_abstract_address_is_understood(made: Callable[..., Notifier]) -> None:
    ear = Ear(f"\0quarterdeck-test-{os.getpid()}")
    made({"NOTIFY_SOCKET": f"@quarterdeck-test-{os.getpid()}"}).ready()
    assert ear.words()[0][0] == "READY=1"
    ear.socket.close()


async def test_beats_come_from_the_loop_and_to_systemd_only_once_ready(
    tmp_path: Path, systemd: Ear, watchdog: Ear, made: Callable[..., Notifier]
) -> None:
    clock = SimulatedClock()
    environ = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
    notifier = made(environ, clock)
    heart = asyncio.create_task(notifier.beat())
    await asyncio.sleep(0)
    assert watchdog.words() == [["WATCHDOG=1", ME]]
    assert systemd.words() == []
    notifier.ready()
    for _ in range(6):
        await clock.advance(BEAT_S)
    assert [words for words in systemd.words() if words == ["WATCHDOG=1"]] == [["WATCHDOG=1"]] * 6
    assert notifier.watched
    heart.cancel()


async def test_a_watchdog_that_goes_is_missed_once(watchdog: Ear, made: Callable[..., Notifier]) -> None:
    clock = SimulatedClock()
    notifier = made({"WATCHDOG_USEC": "900000"}, clock)
    missed: list[bool] = []
    notifier.on_alone = lambda: missed.append(True)
    heart = asyncio.create_task(notifier.beat())
    await asyncio.sleep(0)
    await clock.advance(0.3)
    assert len(watchdog.words()) == 2
    watchdog.socket.close()
    await clock.advance(3)
    assert missed == [True]
    assert not notifier.watched
    heart.cancel()


def test_nobody_there_is_no_matter(made: Callable[..., Notifier]) -> None:
    notifier = made({})
    notifier.ready()
    notifier.stopping()
    notifier.close()
    notifier.close()
    notifier.ready()
    assert not notifier.supervised


def test_what_is_unlocked_is_left_with_both(made: Callable[..., Notifier], systemd: Ear, watchdog: Ear) -> None:
    from engine.keys.capsule import Capsule

    capsule = Capsule()
    os.pwrite(capsule.descriptor, b"unlocked", 0)
    notifier = made(environ={"NOTIFY_SOCKET": systemd.socket.getsockname()})
    notifier.keep(capsule.descriptor)
    for ear in (systemd, watchdog):
        said, descriptors, _, _ = socket.recv_fds(ear.socket, 4096, 4)
        assert said.decode().splitlines()[:2] == ["FDSTORE=1", "FDNAME=quarterdeck-keys"]
        (descriptor,) = descriptors
        assert os.pread(descriptor, 64, 0) == b"unlocked"
        os.close(descriptor)
    capsule.close()


def test_a_watchdog_that_comes_later_gets_it_too(made: Callable[..., Notifier], tmp_path: Path) -> None:
    from engine.keys.capsule import Capsule

    capsule, notifier = Capsule(), made(environ={})
    notifier.keep(capsule.descriptor)
    (tmp_path / "run").mkdir()
    ear = Ear(str(watchdog_socket(tmp_path)))
    notifier.ready()
    _, descriptors, _, _ = socket.recv_fds(ear.socket, 4096, 4)
    assert not descriptors
    said, descriptors, _, _ = socket.recv_fds(ear.socket, 4096, 4)
    assert "FDNAME=quarterdeck-keys" in said.decode()
    os.close(descriptors[0])
    ear.socket.close()
    capsule.close()

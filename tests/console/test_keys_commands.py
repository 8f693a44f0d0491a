"""Keys around real engines: added unseen, and unlocked through every way in which an engine can start again."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from console.watch import watchdog_pid
from engine.control.client import call
from engine.control.lock import find_holder
from engine.errors import QuarterdeckError
from tests.kit.terminal import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from engine.control.views_keys import KeysView

COMMAND = [sys.executable, "-P", "-m", "console"]
KEY, SECRET, PASSPHRASE = "visible-key-0123456789", "hidden-secret-0123456789", "a long passphrase"


def pid_of(home: Path) -> int:
    holder = find_holder(home)
    return holder.pid if holder is not None else 0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    yield folder
    for pid in (watchdog_pid(folder), pid_of(folder)) if (folder / "run").exists() else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def run(home: Path, *arguments: str, says: tuple[str, ...] = (), environ: dict[str, str] | None = None) -> str:
    """Run a command; {0} in its arguments is a descriptor from which the first of `says` can be read, and so on."""
    return done(home, *arguments, says=says, environ=environ).stdout


def done(
    home: Path, *arguments: str, says: tuple[str, ...] = (), environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as `run` does; what it said on both ways."""
    ends = []
    for text in says:
        reading, writing = os.pipe()
        os.write(writing, text.encode())
        os.close(writing)
        ends.append(reading)
    ended = subprocess.run(
        [*COMMAND, "--home", str(home), *(part.format(*ends) for part in arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        pass_fds=ends,
        env={**os.environ, **(environ or {})},
        timeout=60,
        check=False,
    )
    for end in ends:
        os.close(end)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended


def keys(home: Path) -> KeysView:
    found: KeysView = call(home, "keys.list")
    return found


def is_open(home: Path) -> bool:
    with contextlib.suppress(QuarterdeckError):
        return keys(home).state == "open"
    return False


def add(home: Path, environ: dict[str, str] | None = None) -> None:
    says = (f"{KEY}\n{SECRET}\n", f"{PASSPHRASE}\n")
    run(home, "keys", "add", "binance", "--from-fd", "{0}", "--passphrase-fd", "{1}", says=says, environ=environ)


def kill_and_await_the_next(home: Path) -> None:
    before = pid_of(home)
    os.kill(before, signal.SIGKILL)
    until(lambda: pid_of(home) not in (0, before))


def test_unlocked_once_they_stay_so_through_crash_and_hand_over_but_not_through_a_reboot(home: Path) -> None:
    add(home, environ={"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"})
    run(home, "engine", "start", "--passphrase-fd", "{0}", says=(PASSPHRASE,))
    assert keys(home).state == "open"
    kill_and_await_the_next(home)
    until(lambda: is_open(home))
    run(home, "engine", "restart")
    assert keys(home).state == "open"
    # Nothing secret has come to rest anywhere on the way.
    for file in home.rglob("*"):
        if file.is_file():
            body = file.read_bytes()
            assert SECRET.encode() not in body, file
            assert PASSPHRASE.encode() not in body, file
    run(home, "stop")
    run(home, "engine", "start", "--no-watchdog", "--passphrase-fd", "{0}", says=(PASSPHRASE,))
    os.kill(pid_of(home), signal.SIGKILL)
    until(lambda: pid_of(home) == 0)
    assert "keys are LOCKED" in done(home, "engine", "start").stderr
    found = keys(home)
    assert found.state == "locked"
    assert "keys unlock" in found.reason
    run(home, "keys", "unlock", "--passphrase-fd", "{0}", says=(PASSPHRASE,))
    assert keys(home).state == "open"


def test_a_log_out_that_takes_the_session_bus_along_locks_nothing(home: Path, tmp_path: Path) -> None:
    service = tmp_path / "keyring.json"
    service.write_text("{}")
    environ = {
        "PYTHON_KEYRING_BACKEND": "tests.kit.file_keyring.FileKeyring",
        "QUARTERDECK_TEST_KEYRING": str(service),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    add(home, environ)
    run(home, "engine", "start", environ=environ)
    assert keys(home).place == "the system's keyring"
    service.unlink()
    os.kill(pid_of(home), signal.SIGHUP)
    assert keys(home).state == "open"
    kill_and_await_the_next(home)
    until(lambda: is_open(home))


def test_a_secret_is_typed_unseen(home: Path) -> None:
    master, terminal = pty.openpty()
    child = subprocess.Popen(
        [*COMMAND, "--home", str(home), "keys", "add", "okx", "main"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        env={**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"},
    )
    os.close(terminal)
    seen = b""
    typed = [(b"Key of OKX", KEY), (b"Secret of OKX", SECRET), (b"Passphrase of the key", "okx phrase")]
    for prompt, text in [*typed, (b"New passphrase", PASSPHRASE), (b"The same again", PASSPHRASE)]:
        while prompt not in seen:
            seen += os.read(master, 4096)
        os.write(master, f"{text}\n".encode())
    with contextlib.suppress(OSError):
        while data := os.read(master, 4096):
            seen += data
    os.close(master)
    assert child.wait(20) == 0, seen
    assert "OKX/main" in seen.decode()
    for text in (KEY, SECRET, "okx phrase", PASSPHRASE):
        assert text not in seen.decode()


def test_without_an_engine_a_key_is_tested_by_its_passphrase_and_nothing_is_unlocked(home: Path) -> None:
    with pytest.raises(AssertionError, match=r"No engine runs in .* engine start --unlock"):
        run(home, "keys", "unlock")
    home.mkdir(exist_ok=True)
    # Nobody listens there: what is refused is the connection, no longer the key.
    (home / "config.toml").write_text('[venues.binance]\nmode = "live"\naddresses = { rest = "http://127.0.0.1:9" }\n')
    with pytest.raises(AssertionError, match="has no key; add one with `quarterdeck keys add`"):
        run(home, "keys", "test", "binance")
    add(home, environ={"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"})
    with pytest.raises(AssertionError, match="no terminal to type a secret on"):
        run(home, "keys", "test", "binance")
    with pytest.raises(AssertionError, match="passphrase"):
        run(home, "keys", "test", "binance", "--passphrase-fd", "{0}", says=("another passphrase",))
    with pytest.raises(AssertionError, match=r"127\.0\.0\.1"):
        run(home, "keys", "test", "binance", "--passphrase-fd", "{0}", says=(PASSPHRASE,))
    assert "locked" in run(home, "keys", "list")


@pytest.mark.parametrize(
    ("says", "problem"), [("only one line\n", "one a line"), ("", "one a line"), ("key\n-----BEGIN X\n", "")]
)
def test_what_comes_on_a_descriptor_is_checked(home: Path, says: str, problem: str) -> None:
    from console.keys_commands import _read

    reading, writing = os.pipe()
    os.write(writing, says.encode())
    os.close(writing)
    if problem:
        with pytest.raises(Exception, match=problem):
            _read(reading)
    else:
        assert _read(reading) == {"key": "key", "secret": "-----BEGIN X", "passphrase": ""}

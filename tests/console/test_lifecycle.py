"""What `status` and `stop` say when there is nothing to stop, or it does not answer."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

from click.testing import CliRunner

from console.cli import root
from engine.clock import SimulatedClock
from engine.control.lock import EngineLock

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def run(home: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(root, ["--home", str(home), *arguments])
    return result.exit_code, result.output


def test_without_an_engine_status_says_so_and_stop_has_nothing_to_do(tmp_path: Path) -> None:
    assert run(tmp_path, "status") == (3, f"No engine is running in {tmp_path}.\n")
    assert run(tmp_path, "stop") == (0, f"No engine is running in {tmp_path}.\n")
    code, output = run(tmp_path, "status", "--json")
    assert (code, json.loads(output)) == (3, {"running": False, "home": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []


def test_status_names_process_release_and_start(tmp_path: Path) -> None:
    with EngineLock.acquire(tmp_path, release="9.8.7", clock=SimulatedClock(1_700_000_000_000_000_000)):
        code, output = run(tmp_path, "status")
    assert code == 0
    assert f"process {os.getpid()}, release 9.8.7, since 2023-11-14 22:13:20 UTC" in output


def test_a_nameless_holder_is_reported_and_not_signalled(tmp_path: Path) -> None:
    with EngineLock.acquire(tmp_path, release="1") as lock:
        lock.path.write_text("")
        assert "just starting or ending" in run(tmp_path, "status")[1]
        code, output = run(tmp_path, "stop")
    assert code == 1
    assert "just starting or ending" in output


def test_an_engine_that_does_not_stop_in_time_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    with EngineLock.acquire(tmp_path, release="1"):
        code, output = run(tmp_path, "stop", "--wait", "0")
    assert sent == [(os.getpid(), signal.SIGTERM)]
    assert code == 1
    assert "has not stopped within 0 s" in output
    assert "stop --now" in output


def test_a_lock_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "engine.lock").mkdir()
    code, output = run(tmp_path, "status")
    assert code == 1
    assert "cannot be opened" in output

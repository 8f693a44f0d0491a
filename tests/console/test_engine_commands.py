"""The commands around a real headless engine: start, look, attach, reload, stop; one engine for the whole module."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from console.cli import root
from console.engine_status import facts, line, look, sentences
from console.watch import Alarm, leave_alarm, watchdog_pid
from engine.control.client import call
from engine.control.lock import EngineLock, find_holder
from engine.control.places import prepare_run_folder
from engine.errors import ConfigurationError
from tests.kit.terminal import Terminal, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-P", "-m", "console"]


def run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(root, ["--home", str(home), *arguments])


def pid_of(home: Path) -> int:
    holder = find_holder(home)
    return holder.pid if holder is not None else 0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home folder whose engine runs."""
    home = tmp_path_factory.mktemp("house")
    started = run(home, "engine", "start")
    assert started.exit_code == 0, started.output
    assert f"The engine runs (process {pid_of(home)})." in started.output
    yield home
    for pid in {watchdog_pid(home), pid_of(home)} - {0}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def process_runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def console(home: Path, *arguments: str) -> Terminal:
    return Terminal([*COMMAND, "--home", str(home), *arguments], (100, 30))


def shows(terminal: Terminal, *words: str) -> None:
    """Wait until all of these words are on the screen."""
    terminal.until(lambda: all(word in terminal.text() for word in words))


def log_of(home: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (home / "logs" / "engine.log").read_text(encoding="utf-8").splitlines()]


def test_a_second_engine_is_refused_with_the_firsts_pid(house: Path) -> None:
    for arguments in (["engine", "start"], ["engine", "start", "--no-watchdog"]):
        again = run(house, *arguments)
        assert again.exit_code == 3
        assert f"already running in {house} (process {pid_of(house)})" in again.output


def test_status_is_the_engines_own_word(house: Path) -> None:
    said = json.loads(run(house, "engine", "status", "--json").output)
    assert (said["running"], said["answers"], said["pid"]) == (True, True, pid_of(house))
    assert said["watchdog"] == watchdog_pid(house) != 0
    text = run(house, "status").output
    wanted = ("mode       PAPER, up", "trading    active", "bots       0 running", "10,000.00 USDT", "facts are safe")
    assert [words for words in wanted if words not in text] == []
    assert run(house, "status", "--line").output == "PAPER · 0 bots · 0 orders · 0 pos · 10,000.00 USDT\n"


def test_consoles_come_and_go_see_each_other_and_may_only_look(house: Path) -> None:
    pid = pid_of(house)
    first, second = console(house), console(house, "attach", "--read-only")
    try:
        for terminal in (first, second):
            shows(terminal, "10,000.00", "attached")
        shows(first, f"An engine runs here already (process {pid})")
        assert "READ-ONLY" in second.lines()[0]
        assert "READ-ONLY" not in first.text()
        call(house, "bots.create", {"name": "seen", "strategy": "trend_following", "instrument": "SIM:BTC/USDT",
                                    "timeframe": "1m", "capital": "100"})  # fmt: skip
        for terminal in (first, second):
            shows(terminal, "seen")
        first.type("\x07")
        assert first.end() == 0
        assert f"the engine goes on (process {pid})" in first.text()
        second.process.send_signal(signal.SIGHUP)
        assert second.end() == 0
    finally:
        first.close()
        second.close()
    assert pid_of(house) == pid


def test_a_hang_up_has_the_settings_read_again_and_says_what_waits(house: Path) -> None:
    (house / "config.toml").write_text(
        "[strategies]\nmax_concurrent_strategies = 1\n[paper]\nseed = 7\n", encoding="utf-8"
    )
    os.kill(pid_of(house), signal.SIGHUP)
    until(lambda: any(record["event"] == "settings read again" for record in log_of(house)))
    record = next(record for record in log_of(house) if record["event"] == "settings read again")
    assert record["taken"] == ["strategies.max_concurrent_strategies: 10 -> 1"]
    assert record["need_restart"] == ["paper.seed: 42 -> 7"]
    (house / "config.toml").write_text("nonsense", encoding="utf-8")
    os.kill(pid_of(house), signal.SIGHUP)
    until(lambda: any(record["event"] == "the settings were not taken over" for record in log_of(house)))
    (house / "config.toml").unlink()
    assert run(house, "status").exit_code == 0


def test_logs_are_shown_by_level(house: Path) -> None:
    assert "engine started" in run(house, "engine", "logs", "-n", "1000").output
    assert "engine started" not in run(house, "engine", "logs", "-n", "1000", "--level", "error").output


def test_a_restart_hands_over_and_the_same_watchdog_looks_after_the_successor(house: Path) -> None:
    before, dog = pid_of(house), watchdog_pid(house)
    said = run(house, "engine", "restart")
    assert said.exit_code == 0, said.output
    after = pid_of(house)
    assert after not in (0, before)
    assert f"The engine goes on in process {after}" in said.output
    assert json.loads(run(house, "status", "--json").output)["status"]["pid"] == after
    until(lambda: not process_runs(before))
    assert watchdog_pid(house) == dog


def test_an_engine_that_does_not_answer_is_a_state_and_is_ended_by_force(house: Path) -> None:
    pid = pid_of(house)
    os.kill(pid, signal.SIGSTOP)
    found = look(house, 0.05)
    said = " ".join(sentences(found))
    assert f"process {pid}" in said
    assert "It does not answer" in said
    assert facts(found)["answers"] is False
    assert line(found) == f"ENGINE SILENT (process {pid})"
    assert run(house, "status", "--line").exit_code == 0
    refused = run(house, "stop", "--now", "--positions", "close")
    assert refused.exit_code == 2
    dog = watchdog_pid(house)
    stopped = run(house, "stop", "--now")
    assert stopped.output == f"The engine has stopped (process {pid}).\n"
    until(lambda: watchdog_pid(house) == 0)
    assert pid_of(house) == 0, f"the watchdog {dog} has started another engine"


def test_without_an_engine_every_command_says_so(tmp_path: Path) -> None:
    assert run(tmp_path, "status", "--line").output == "no engine\n"
    terminal = console(tmp_path, "attach")
    assert terminal.end() == 3
    assert "No engine is running" in terminal.text()
    assert "quarterdeck engine start" in terminal.text()
    terminal.close()
    logs = run(tmp_path, "engine", "logs")
    assert logs.exit_code == 1
    assert "There is no log yet" in logs.output


def test_a_start_that_cannot_be_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[paper]\nseed = "x"\n', encoding="utf-8")
    failed = run(tmp_path, "engine", "start", "--no-watchdog")
    assert failed.exit_code == 1
    assert "paper.seed: Input should be a valid integer" in failed.output


def test_a_path_too_long_for_a_socket_starts_nothing(tmp_path: Path) -> None:
    refused = run(tmp_path / ("long" * 30), "engine", "start")
    assert isinstance(refused.exception, ConfigurationError)
    assert "--home" in refused.exception.message
    assert pid_of(tmp_path / ("long" * 30)) == 0


def test_an_alarm_that_was_left_is_shown(tmp_path: Path) -> None:
    prepare_run_folder(tmp_path)
    leave_alarm(tmp_path, Alarm(1_700_000_000_000_000_000, "The engine is not started again."))
    said = run(tmp_path, "status")
    assert said.exit_code == 3
    assert "ALARM of 2023-11-14 22:13:20 UTC: The engine is not started again." in said.output
    assert json.loads(run(tmp_path, "status", "--json").output)["alarm"]["text"] == "The engine is not started again."
    assert run(tmp_path, "status", "--line").output == "ALARM: engine not restarted\n"


def test_a_lock_without_a_socket_is_all_that_is_known(tmp_path: Path) -> None:
    with EngineLock.acquire(tmp_path, release="9.8.7"):
        said = run(tmp_path, "status")
        assert "this is what its lock says" in said.output
        refused = run(tmp_path, "stop", "--positions", "close")
    assert refused.exit_code == 1
    assert "cannot be asked to cancel or close anything" in refused.output

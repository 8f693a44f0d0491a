"""A real terminal, a real launcher, a real engine process: however the console ends, the engine does not notice."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from console.cli import Invocation
from console.home import process_log
from console.launcher import offer_another
from console.lifecycle import status, stop
from console.watch import watchdog_pid
from engine.control.lock import find_holder
from tests.kit.terminal import Terminal, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LAUNCH = Path(__file__).parent.parent / "kit" / "launch_stub.py"
# The shared machine can hold up any process; a write that waits for the terminal would hold up the loop for seconds.
BLOCKED_MS = 500


class Session:
    """A console started on a terminal, and what is known of its engine from outside."""

    def __init__(self, home: Path, *options: str, size: tuple[int, int] = (80, 24)) -> None:
        self.home = home
        self.terminal = Terminal([sys.executable, str(LAUNCH), str(home), *options], size)
        self.pid = 0

    def drawn(self) -> Session:
        """Wait until the console is drawn and the engine beats."""
        self.terminal.until(lambda: "row 001" in self.terminal.text() and self.seen("beats"))
        self.pid = self.holder_pid()
        return self

    def seen(self, what: str) -> Any:
        """A value that the stub engine has written down."""
        try:
            return json.loads((self.home / "stub.json").read_text(encoding="utf-8"))[what]
        except (OSError, KeyError):
            return None

    def holder_pid(self) -> int:
        """The process that holds the home folder's lock; 0 when none does."""
        holder = find_holder(self.home)
        return holder.pid if holder else 0

    def beats_on(self) -> None:
        """Fail unless the same engine goes on beating."""
        before = self.seen("beats")
        until(lambda: self.seen("beats") > before + 20)
        assert self.holder_pid() == self.pid
        assert process_has_no_terminal(self.pid)

    def stop(self) -> str:
        """Run `quarterdeck stop`; returns what it says."""
        result = CliRunner().invoke(stop, [], obj=Invocation(home=self.home))
        assert result.exit_code == 0, result.output
        return result.output

    def log(self) -> str:
        """What the engine's process has written down."""
        return process_log(self.home).read_text(encoding="utf-8")

    def close(self) -> None:
        """End whatever is left."""
        for pid in {self.pid, self.holder_pid()} - {0}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.terminal.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    """Starts sessions in one home folder; ends all of them afterwards."""
    sessions: list[Session] = []

    def begin(*options: str, size: tuple[int, int] = (80, 24)) -> Session:
        sessions.append(Session(tmp_path, *options, size=size))
        return sessions[-1]

    yield begin
    for session in reversed(sessions):
        session.close()


def process_has_no_terminal(pid: int) -> bool:
    links = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    return not any(link.startswith("/dev/pts") for link in links)


def given_back(terminal: Terminal) -> bool:
    """Whether the shell gets the terminal as it lent it."""
    while terminal.far >= 0 and terminal.read():
        pass
    left = terminal.output.rfind(b"\x1b[?1049l")
    cleared = (b"\x1b[?1003l", b"\x1b[?2004l", b"\x1b[<u")
    return (
        termios.tcgetattr(terminal.near) == terminal.modes
        and all(0 < terminal.output.rfind(sequence) < left for sequence in cleared)
        and terminal.output.rfind(b"\x1b[?25h") > terminal.output.rfind(b"\x1b[?25l")
    )


def test_leaving_the_console_leaves_the_engine_running_until_it_is_stopped(start: Callable[..., Session]) -> None:
    session = start().drawn()
    session.terminal.resize(100, 30)
    session.terminal.until(lambda: session.seen("size") == [100, 30])
    session.terminal.until(lambda: "row 029" in session.terminal.text())

    session.terminal.type("q")
    assert session.terminal.end() == 0
    assert f"the engine goes on without it (process {session.pid})" in session.terminal.text()
    assert "stop` ends it" in session.terminal.text()
    assert given_back(session.terminal)
    session.beats_on()

    said = CliRunner().invoke(status, ["--json"], obj=Invocation(home=session.home))
    assert json.loads(said.output)["pid"] == session.pid
    assert said.exit_code == 0
    assert session.stop() == f"The engine has stopped (process {session.pid}).\n"
    assert session.seen("state") == "stopped"
    assert CliRunner().invoke(status, [], obj=Invocation(home=session.home)).exit_code == 3


def test_an_engine_that_was_left_is_watched_and_takes_a_hang_up_for_a_wish_to_read_its_settings(
    start: Callable[..., Session],
) -> None:
    session = start("--watched").drawn()
    assert watchdog_pid(session.home) == 0
    session.terminal.type("q")
    assert session.terminal.end() == 0
    until(lambda: watchdog_pid(session.home))
    os.kill(session.pid, signal.SIGHUP)
    until(lambda: session.seen("reloads") == 1)
    session.beats_on()
    session.stop()
    until(lambda: watchdog_pid(session.home) == 0)
    assert session.holder_pid() == 0


def test_a_terminal_that_stops_reading_for_ten_minutes_holds_up_nothing(start: Callable[..., Session]) -> None:
    session = start("--flood", "--clock-factor", "600", size=(120, 50)).drawn()
    until(lambda: session.seen("held") > 50)
    session.terminal.type("f")
    until(lambda: "f" in session.seen("keys"))
    assert session.seen("late_ms") < BLOCKED_MS
    assert session.holder_pid() == session.pid

    session.terminal.until(lambda: session.terminal.lines()[49].startswith("keys f row 049"))
    assert all(line.startswith("keys f row") for line in session.terminal.lines())
    session.terminal.type("s")
    assert session.terminal.end() == 0
    assert session.seen("late_ms") < BLOCKED_MS


def test_a_terminal_that_is_silent_for_too_long_is_given_up(start: Callable[..., Session]) -> None:
    session = start("--flood", "--clock-factor", "4000", size=(120, 50)).drawn()
    until(lambda: "console ended: lost it has taken nothing for" in session.log())
    session.beats_on()
    assert session.seen("late_ms") < BLOCKED_MS
    assert session.terminal.end() == 0
    assert "The console lost its terminal; the engine goes on" in session.terminal.text()
    assert given_back(session.terminal)


def test_a_closed_terminal_ends_the_console_and_not_the_engine(start: Callable[..., Session]) -> None:
    session = start("--flood").drawn()
    session.terminal.hang_up()
    until(lambda: "console ended: lost" in session.log())
    session.beats_on()
    assert session.seen("late_ms") < BLOCKED_MS
    until(lambda: session.terminal.process.poll() is not None)
    assert "has stopped" in session.stop()


def test_a_hang_up_signal_ends_the_console_and_not_the_engine(start: Callable[..., Session]) -> None:
    session = start().drawn()
    session.terminal.process.send_signal(signal.SIGHUP)
    assert session.terminal.end() == 0
    session.beats_on()
    assert given_back(session.terminal)


def test_an_app_that_crashes_leaves_the_engine_running_and_a_sentence(start: Callable[..., Session]) -> None:
    session = start().drawn()
    session.terminal.type("c")
    assert session.terminal.end() == 0
    assert "The console ended by an error of its own" in session.terminal.text()
    assert "unasked: crashed" in session.terminal.text()
    assert "Traceback" not in session.terminal.text()
    assert "ValueError: the stub app crashes" in session.log()
    assert given_back(session.terminal)
    session.beats_on()


def test_a_widget_that_asks_the_process_to_exit_does_not_stop_the_engine(start: Callable[..., Session]) -> None:
    session = start().drawn()
    session.terminal.type("e")
    until(lambda: "asked the process to exit; it goes on" in session.log())
    os.kill(session.pid, signal.SIGHUP)
    assert session.terminal.end() == 0
    assert given_back(session.terminal)
    session.beats_on()


def test_an_app_that_hangs_is_left_behind(start: Callable[..., Session]) -> None:
    session = start("--teardown", "0.1").drawn()
    session.terminal.type("h")
    until(lambda: session.seen("keys") == "h")
    os.kill(session.terminal.process.pid, signal.SIGHUP)
    assert session.terminal.end() == 0
    assert given_back(session.terminal)
    session.beats_on()
    assert "has stopped" in session.stop()


def test_killing_the_launcher_does_not_kill_the_engine(start: Callable[..., Session]) -> None:
    session = start().drawn()
    session.terminal.process.kill()
    session.terminal.process.wait()
    until(lambda: "console ended: lost the launcher is gone" in session.log(), step=session.terminal.read)
    session.beats_on()
    assert given_back(session.terminal)


def test_killing_the_engine_process_gives_the_terminal_back(start: Callable[..., Session]) -> None:
    session = start().drawn()
    os.kill(session.pid, signal.SIGKILL)
    assert session.terminal.end() == 128 + signal.SIGKILL
    assert "was ended by SIGKILL" in session.terminal.text()
    assert given_back(session.terminal)
    assert session.holder_pid() == 0


def test_a_second_engine_in_one_home_is_refused_by_a_sentence_that_names_the_first(
    start: Callable[..., Session],
) -> None:
    first = start().drawn()
    second = start()
    assert second.terminal.end() == 3
    assert f"An engine is already running in {first.home} (process {first.pid})" in second.terminal.text()
    assert "Traceback" not in second.terminal.text()
    assert first.holder_pid() == first.pid


def test_terminating_the_launcher_stops_the_engine_in_order(start: Callable[..., Session]) -> None:
    session = start().drawn()
    session.terminal.process.terminate()
    assert session.terminal.end() == 0
    assert "Stopping the engine" in session.terminal.text()
    assert session.seen("state") == "stopped"
    assert session.holder_pid() == 0
    assert given_back(session.terminal)


def test_a_second_terminate_ends_an_engine_that_does_not_stop(start: Callable[..., Session]) -> None:
    session = start("--fail", "stop").drawn()
    session.terminal.process.terminate()
    session.terminal.until(lambda: session.seen("state") == "stopping")
    session.terminal.process.terminate()
    assert session.terminal.end() == 128 + signal.SIGTERM
    assert session.holder_pid() == 0


def test_a_failed_start_is_a_sentence_and_its_trace_is_in_the_log(start: Callable[..., Session]) -> None:
    session = start("--fail", "start")
    assert session.terminal.end() == 1
    assert "Quarterdeck could not go on (RuntimeError: the stub refuses to start)" in session.terminal.text()
    assert "Traceback" not in session.terminal.text()
    assert "Traceback" in session.log()


def test_ctrl_z_is_a_key_and_stops_nobody(start: Callable[..., Session]) -> None:
    session = start().drawn()
    session.terminal.type("\x1a")
    os.kill(session.terminal.process.pid, signal.SIGTSTP)
    session.terminal.type("s")
    assert session.terminal.end() == 0


@pytest.mark.parametrize(("answer", "status"), [("\n", 5), ("n\n", 0)])
def test_after_a_crash_enter_attaches_another_console(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    hear, tell = os.pipe()
    os.write(tell, answer.encode())
    monkeypatch.setattr("console.launcher.STDIN", hear)
    monkeypatch.setattr("console.attach.attach_to", lambda home: 5 if home == tmp_path else 1)
    assert offer_another(tmp_path) == status
    os.close(hear)
    os.close(tell)


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    script = "import sys, pathlib, console.launcher as l; sys.exit(l.launch([], pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_venue_that_is_chosen_while_an_engine_runs_is_said_to_have_no_effect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.launcher import _attached

    monkeypatch.delenv("QUARTERDECK_VENUE", raising=False)
    plain = "An engine runs here already (process 7); this console is attached to it."
    assert _attached(tmp_path, 7) == plain
    monkeypatch.setenv("QUARTERDECK_VENUE", "okx")
    said = _attached(tmp_path, 7)
    assert said.startswith(f"{plain} Choosing the venue okx has no effect on it")
    # It is the one that the running engine was started for.
    (tmp_path / "settings-seen.json").write_text('{"venue": "\\"OKX\\""}')
    assert _attached(tmp_path, 7) == plain

"""The thin process in the terminal's foreground: it starts the engine's process, lends it the terminal and waits.

The engine's process leads its own session, so nothing that happens to the terminal reaches it as a signal. What the
kernel tells the foreground (window size, hang-up, terminate) the launcher passes on. Whatever becomes of the other
process, the launcher gives the terminal back as it found it and says in a sentence what has happened.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import termios
from contextlib import suppress
from typing import TYPE_CHECKING

from console.home import command_line, open_process_log, prepare_home, process_log
from console.launch_line import MAX_LINE, Words, encode
from console.terminal import RESTORE_SCREEN, restore_attributes, save_attributes
from engine.control.lock import find_holder
from engine.errors import QuarterdeckError
from engine.model.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

    from console.cli import Invocation

__all__ = ["launch", "main", "offer_another"]

STDIN, STDOUT, STDERR = 0, 1, 2
NO_TERMINAL = 2
# How long a lost terminal's launcher stays to hear the answer, and how long a process may take to end after its last
# word, in seconds.
FAREWELL_S = 10.0
HEARD = (signal.SIGWINCH, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)


def main(invocation: Invocation) -> int:
    """Start the console in this terminal; returns the exit status for the shell."""
    try:
        home = prepare_home(invocation.home)
    except QuarterdeckError as error:
        _say(STDERR, error.message)
        return 1
    running = find_holder(home)
    if running is not None and not invocation.scene:
        from console.attach import attach_to

        return attach_to(home, greeting=_attached(home, running.pid))
    # -P: the folder the person happens to stand in is no place to import from
    command = [sys.executable, "-P", "-m", "console.embedded", "--home", str(home)]
    if invocation.scene:
        command += ["--scene", invocation.scene]
    return launch(command, home, on_end=lambda how: offer_another(home) if how == "crashed" else follow(home))


def _attached(home: Path, pid: int) -> str:
    """What is said when an engine runs already: also that a venue chosen now is not the one it trades at."""
    from console.cli import VENUE_VARIABLE
    from engine.control.home_venues import meant_venue

    who = f" (process {pid})" if pid else ""
    chosen = os.environ.get(VENUE_VARIABLE, "")
    said = f"An engine runs here already{who}; this console is attached to it."
    if chosen and chosen.upper() != meant_venue(home).get("venue", "").upper():
        stop = command_line(home, "stop")
        said += f" Choosing the venue {chosen} has no effect on it: end it with `{stop}`, then start again."
    return said


def launch(command: Sequence[str], home: Path, on_end: Callable[[str], int] | None = None) -> int:
    """Run the engine's process on this terminal until the console ends.

    Args:
        command: What to start; `--launcher FD` is added, the number of its end of the conversation.
        home: The home folder; it exists.
        on_end: Called when the console ended though nobody asked it to, and the engine goes on: `crashed` by an error
            of its own, or `handed` over with the engine to another process. Gives the status.

    Returns:
        0 when the engine goes on without the console, 2 when there is no terminal, else the process's own status
        (128 plus the signal's number when a signal ended it).
    """
    refusal = _why_not_here()
    if refusal:
        _say(STDERR, refusal)
        return NO_TERMINAL
    attributes = save_attributes(STDIN)
    ours, theirs = socket.socketpair()
    with ours, _signals() as heard:
        try:
            with theirs, open_process_log(home) as log:
                process = subprocess.Popen(
                    [*command, "--launcher", str(theirs.fileno())],
                    stdout=log,
                    stderr=log,
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except OSError as error:
            _say(STDERR, f"Quarterdeck could not be started: {error}.")
            return 1
        watch = _Watch(process, ours, heard, home)
        watch.wait()
        # No longer ours to decide: from here a signal ends the launcher even while the terminal takes nothing.
    restore_attributes(STDIN, attributes)
    watch.take_leave()
    return on_end(watch.unasked) if on_end is not None and watch.unasked else watch.status


class _Watch:
    """Waits for the process and its words, and passes on what the terminal says."""

    def __init__(self, process: subprocess.Popen[bytes], line: socket.socket, heard: socket.socket, home: Path) -> None:
        self.status = 0
        self.unasked = ""
        """How the console ended though nobody asked it to while somebody is still there: `crashed` or `handed`."""
        self._process = process
        self._line = line
        self._heard = heard
        self._home = home
        self._words = Words()
        self._ready = False
        self._hung_up = False
        self._detached = ""
        self._dirty = True
        self._exit_said = False
        self._errors: list[str] = []

    def wait(self) -> None:
        """Return when the process has ended, or has let go of the terminal."""
        talking = True
        while talking:
            readable, _, _ = select.select([self._line, self._heard], [], [], FAREWELL_S if self._hung_up else None)
            if not readable and self._hung_up:
                # Nobody can see what we still have to say, and the process has its own eyes on the terminal.
                self._exit_said = True
                return
            if self._heard in readable:
                for number in self._heard.recv(MAX_LINE):
                    self._pass_on(number)
            if self._line in readable:
                talking = self._listen()
        if not self._detached:
            self._await_end()

    def take_leave(self) -> None:
        """Give the screen back where the process could not, and say what has become of it."""
        with suppress(OSError):
            if self._ready and self._dirty and not self._hung_up:
                os.write(STDOUT, RESTORE_SCREEN)
        for text in self._errors:
            _say(STDERR, text)
        if self._detached:
            _say(STDOUT, self._detached)
        elif not self._exit_said:
            _say(STDERR, self._crash_sentence())
        if not self._process.returncode:
            # The engine goes on without us; this tells subprocess not to warn about it.
            self._process.returncode = 0

    def _pass_on(self, number: int) -> None:
        match number:
            case signal.SIGWINCH | signal.SIGTERM:
                self._process.send_signal(number)
            case signal.SIGHUP:
                self._hung_up = True
                with suppress(OSError):
                    self._line.send(encode("hup"))
            case signal.SIGINT if not self._ready:
                # Ctrl-C is a signal only as long as the console has not made a key of it.
                self._process.send_signal(signal.SIGTERM)

    def _listen(self) -> bool:
        try:
            data = self._line.recv(MAX_LINE)
        except OSError:
            data = b""
        for word, rest in self._words.feed(data):
            self._understand(word, rest)
        return bool(data)

    def _understand(self, word: str, rest: str) -> None:
        match word:
            case "ready":
                self._ready = True
            case "stopping":
                self._ready, self._dirty = False, False
                _say(STDOUT, f"Stopping the engine (process {self._process.pid})…")
            case "detached":
                pid, why, screen = [*rest.split(), "", "", ""][:3]
                self._dirty = screen != "restored"
                self._detached = self._detached_sentence(pid, why)
                self.unasked = why if why == "crashed" and not self._hung_up else ""
            case "handed":
                pid, screen = [*rest.split(), "", ""][:2]
                self._dirty = screen != "restored"
                self._detached = f"The engine goes on in process {pid}."
                self.unasked = "" if self._hung_up else word
            case "error":
                self._errors.append(rest)
            case "exit":
                self._exit_said, self._dirty = True, False

    def _await_end(self) -> None:
        try:
            status = self._process.wait(FAREWELL_S)
        except subprocess.TimeoutExpired:
            self._errors.append(f"The engine's process {self._process.pid} does not end.")
            self._exit_said, self.status = True, 1
            return
        self.status = 128 - status if status < 0 else status

    def _detached_sentence(self, pid: str, why: str) -> str:
        how = {
            "crashed": f"The console ended by an error of its own (see {process_log(self._home)})",
            "lost": "The console lost its terminal",
        }.get(why, "The console is closed")
        attach, stop = command_line(self._home, "attach"), command_line(self._home, "stop")
        return f"{how}; the engine goes on without it (process {pid}). `{attach}` comes back, `{stop}` ends it."

    def _crash_sentence(self) -> str:
        code = self._process.returncode
        how = f"ended by {signal.Signals(-code).name}" if code and code < 0 else f"ended with status {code}"
        what = "was" if code and code < 0 else "has"
        when = "" if self._ready else " before the console could be drawn"
        return (
            f"The engine's process {what} {how}{when}; its log is {process_log(self._home)}. "
            "At the next start the engine recovers from its journal."
        )


def offer_another(home: Path) -> int:
    """The engine goes on although the console crashed: ask whether another console shall take the terminal."""
    _say(STDOUT, "Press Enter for another console on it, or n and Enter for the shell.")
    try:
        answer = os.read(STDIN, MAX_LINE)
    except (OSError, KeyboardInterrupt):
        return 0
    if answer.strip():
        return 0
    from console.attach import attach_to

    return attach_to(home)


def follow(home: Path) -> int:
    """The engine has been handed over to another process: attach a console to that one."""
    from console.attach import attach_to

    return attach_to(home, greeting="The engine was handed over to another process; this console is attached to it.")


def _why_not_here() -> str:
    """Why no console can be drawn here; empty when it can."""
    if not (os.isatty(STDIN) and os.isatty(STDOUT)):
        return "The console needs a terminal for input and output, and this is none. Start `quarterdeck` in a terminal."
    with suppress(OSError):
        # Fails where the terminal is not our controlling one, and then there is no foreground either.
        if os.tcgetpgrp(STDIN) != os.getpgrp():
            return "The console cannot be drawn from the background. Start `quarterdeck` without `&`."
    return ""


@contextlib.contextmanager
def _signals() -> Iterator[socket.socket]:
    """Hear signals as bytes on a socket, each its number; afterwards they mean again what they meant before."""
    hear, tell = socket.socketpair()
    hear.setblocking(False)
    tell.setblocking(False)

    def take(_number: int, _frame: FrameType | None) -> None:
        """Do nothing: the number arrives on the socket."""

    with hear, tell:
        before = signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
        # Handlers, not "ignore": they fall back to the default in the process that is started.
        previous = {number: signal.signal(number, take) for number in HEARD}
        try:
            yield hear
        finally:
            signal.set_wakeup_fd(before)
            for number, handler in previous.items():
                signal.signal(number, handler)


def _say(fd: int, text: str) -> None:
    with suppress(OSError, termios.error):
        os.write(fd, clean(text).encode("utf-8", "replace") + b"\n")

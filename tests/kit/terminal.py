"""A terminal for tests: the far end of a real pseudo-terminal, with a screen that can be read."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Terminal", "until"]

STEP_S = 0.005


class Terminal:
    """Runs a command on a pseudo-terminal of its own session.

    Args:
        command: What to run.
        size: Columns and rows.
        pass_fds: Descriptors that the command inherits.
    """

    def __init__(
        self, command: Sequence[str], size: tuple[int, int] = (80, 24), *, pass_fds: Sequence[int] = ()
    ) -> None:
        self.far, near = pty.openpty()
        self.output = bytearray()
        """Everything read from the command so far."""
        self._screen = pyte.Screen(*size)
        self._stream = pyte.ByteStream(self._screen)
        self.resize(*size)
        self.modes = termios.tcgetattr(near)
        self.near = near
        """Our own descriptor of the command's side; keeps the terminal's modes readable."""
        environment = os.environ | {"TERM": "xterm-256color", "COLUMNS": "1", "LINES": "1"}
        self.process = subprocess.Popen(
            list(command),
            stdin=near,
            stdout=near,
            stderr=near,
            start_new_session=True,
            env=environment,
            pass_fds=tuple(pass_fds),
        )

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size; the kernel tells the foreground."""
        fcntl.ioctl(self.far, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self._screen.resize(rows, columns)

    def drain(self, seconds: float = STEP_S) -> bytes:
        """Take what has arrived without understanding it, waiting at most that long for the first of it."""
        if not select.select([self.far], [], [], seconds)[0]:
            return b""
        try:
            data = os.read(self.far, 1 << 16)
        except OSError:
            return b""
        self.output += data
        return data

    def read(self, seconds: float = STEP_S) -> bytes:
        """Read what has arrived and show it, waiting at most that long for the first of it."""
        data = self.drain(seconds)
        # pyte takes the keyboard protocol's sequences, which it does not know, for text.
        for unknown in (b"\x1b[>25u", b"\x1b[<u", b"\x18"):
            data = data.replace(unknown, b"")
        self._stream.feed(data)
        return data

    def lines(self) -> list[str]:
        """What the screen shows."""
        return [line.rstrip() for line in self._screen.display]

    def text(self) -> str:
        """What the screen shows, as one text in which a wrapped sentence is whole."""
        return "".join(self._screen.display)

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.far, keys.encode())

    def until(self, true: Callable[[], object], seconds: float = 15.0) -> None:
        """Read until the condition holds."""
        until(true, seconds, lambda: self.read())

    def end(self, seconds: float = 15.0) -> int:
        """Read until the command has ended; returns its exit status."""
        self.until(lambda: self.process.poll() is not None, seconds)
        while self.read():
            pass
        return self.process.returncode

    def hang_up(self) -> None:
        """Close the far end, as a terminal window or a dropped line does."""
        os.close(self.far)
        os.close(self.near)
        self.far = self.near = -1

    def close(self) -> None:
        """End what still runs on it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for fd in (self.far, self.near):
            if fd >= 0:
                os.close(fd)


def until(true: Callable[[], object], seconds: float = 15.0, step: Callable[[], object] | None = None) -> None:
    """Wait in small steps until a condition holds; fails after that many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        if step is None:
            time.sleep(STEP_S)
        else:
            step()

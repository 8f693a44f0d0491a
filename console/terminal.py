"""A terminal opened for ourselves: non-blocking, and given back as it was found.

The shell and we hold the same open file description when a terminal is inherited, so a flag such as O_NONBLOCK set on
it would change the shell's too. The terminal is therefore opened anew; only where that is forbidden (another user's
terminal after `su`) the inherited one is used and its flag put back at the end.
"""

from __future__ import annotations

import fcntl
import os
import termios
import tty
from contextlib import suppress
from typing import Any

__all__ = ["RESTORE_SCREEN", "Terminal", "restore_attributes", "save_attributes", "window_size"]

RESTORE_SCREEN = (
    b"\x18\x1b\\"  # end a sequence that was cut off
    b"\x1b[?2026l"  # show what a synchronised update holds back
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1016l"  # mouse off
    b"\x1b[?2004l\x1b[?1004l\x1b[?2048l"  # bracketed paste, focus reports, size reports off
    b"\x1b[<u"  # pop the keyboard protocol; it belongs to the alternate screen, so before leaving that
    b"\x1b[?7h\x1b[0m"  # wrap lines, plain colours
    b"\x1b[?1049l\x1b[?25h"  # main screen, cursor
)
"""Gives a terminal back to the shell from whatever state a console left it in."""

DEFAULT_SIZE = (80, 24)


def window_size(fd: int) -> tuple[int, int]:
    """Columns and rows of a terminal; 80x24 when it does not say."""
    with suppress(OSError):
        columns, rows = os.get_terminal_size(fd)
        if columns > 0 and rows > 0:
            return columns, rows
    return DEFAULT_SIZE


def save_attributes(fd: int) -> list[Any] | None:
    """The terminal's modes, or None when they cannot be read."""
    try:
        return termios.tcgetattr(fd)
    except termios.error:
        return None


def restore_attributes(fd: int, attributes: list[Any] | None) -> None:
    """Put saved modes back and drop keys and mouse reports that were typed for the console; never waits."""
    if attributes is not None:
        with suppress(termios.error, OSError):
            termios.tcsetattr(fd, termios.TCSANOW, attributes)
    with suppress(termios.error, OSError):
        termios.tcflush(fd, termios.TCIFLUSH)


class Terminal:
    """A terminal under our own file description.

    Args:
        inherited: Descriptor of the terminal as it was handed to the process; it stays open and its owner's.

    Raises:
        OSError: The terminal is gone.
    """

    def __init__(self, inherited: int) -> None:
        self.fd, self.own = _open_anew(inherited)
        """`own` says whether the description is ours alone."""
        self._attributes = save_attributes(self.fd)

    def raw(self, *, keep_signals: bool = False) -> None:
        """Give every key to the program: no echo, no lines, no flow control, no signals from keys."""
        if self._attributes is None:
            return
        modes = [*self._attributes[:6], list(self._attributes[6])]
        signals = 0 if keep_signals else termios.ISIG
        modes[tty.LFLAG] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | signals)
        modes[tty.IFLAG] &= ~(termios.IXON | termios.IXOFF | termios.ICRNL | termios.INLCR | termios.IGNCR)
        # With VMIN 1 an empty read means a hang-up and nothing else.
        modes[tty.CC][termios.VMIN] = 1
        modes[tty.CC][termios.VTIME] = 0
        with suppress(termios.error):
            termios.tcsetattr(self.fd, termios.TCSANOW, modes)

    def drop_output(self) -> None:
        """Throw away what the other end has not read yet."""
        with suppress(termios.error, OSError):
            termios.tcflush(self.fd, termios.TCOFLUSH)

    def close(self) -> None:
        """Put the modes back and let go of the terminal; a second call does nothing."""
        if self.fd < 0:
            return
        restore_attributes(self.fd, self._attributes)
        if not self.own:
            with suppress(OSError):
                os.set_blocking(self.fd, True)
        with suppress(OSError):
            os.close(self.fd)
        self.fd = -1


def _open_anew(inherited: int) -> tuple[int, bool]:
    names = [f"/proc/self/fd/{inherited}", f"/dev/fd/{inherited}"]
    with suppress(OSError):
        names.insert(0, os.ttyname(inherited))
    wanted = os.fstat(inherited).st_rdev
    for name in names:
        with suppress(OSError):
            # O_NOCTTY: the process leads its own session and must not take the terminal for its controlling one
            fd = os.open(name, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
            if os.fstat(fd).st_rdev == wanted:
                return fd, True
            os.close(fd)
    fd = fcntl.fcntl(inherited, fcntl.F_DUPFD_CLOEXEC, 3)
    os.set_blocking(fd, False)
    return fd, False

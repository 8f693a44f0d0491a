"""The launcher around the stub of `embedded_stub`, with the terminal as its controlling one, as a shell would do it."""

from __future__ import annotations

import fcntl
import os
import sys
import termios
from pathlib import Path

from console.launcher import launch

STUB = Path(__file__).with_name("embedded_stub.py")


def main() -> int:
    """Take the terminal, then launch: the arguments are the home folder and what the stub is told."""
    home, *rest = sys.argv[1:]
    # The kernel sends window sizes and hang-ups to the foreground of the terminal's own session only.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    return launch([sys.executable, str(STUB), "--home", home, *rest], Path(home), on_end=_unasked)


def _unasked(how: str) -> int:
    os.write(1, f"unasked: {how}\n".encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
